//! A report for people at a terminal: worst first, a block for each finding, and what was not looked at.
//!
//! Nothing is said by colour alone. Not for: whether the terminal has colours, which the caller knows.

use std::fmt::Write as _;

use super::{RenderOptions, words};
use crate::{Finding, Report, Severity};

/// Where the text of a labelled line begins.
const INDENT: usize = 14;

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> String {
    let page = Page { width: options.width.max(40), is_colored: options.is_colored };
    let mut text = String::new();
    for finding in &report.findings {
        page.finding(&mut text, finding);
        text.push('\n');
    }
    if !report.skipped.is_empty() {
        text.push_str("Not looked at:\n");
        for skipped in &report.skipped {
            let line = format!("{}: {}", skipped.what, skipped.why);
            page.wrapped(&mut text, 2, "- ", &words::visible_line(&line));
        }
        text.push('\n');
    }
    let found = match report.findings.len() {
        0 => "no findings".to_owned(),
        1 => format!("1 finding: {}", words::severities(report)),
        count => format!("{count} findings: {}", words::severities(report)),
    };
    page.wrapped(&mut text, 0, "", &words::visible_line(&format!("{}: {found}", words::title(report))));
    text
}

struct Page {
    width: usize,
    is_colored: bool,
}

impl Page {
    fn finding(&self, text: &mut String, finding: &Finding) {
        let _ = write!(text, "{}  {}", self.severity(finding.severity), finding.code);
        if let Some(confidence) = words::confidence(finding.confidence) {
            let _ = write!(text, " ({confidence})");
        }
        text.push('\n');
        let about = words::object(&finding.object);
        let place = words::place(finding).map(|place| match &finding.location {
            Some(location) if location.statement > 0 => format!("{place}, statement {}", location.statement),
            _ => place,
        });
        for line in [place, about].into_iter().flatten() {
            let _ = writeln!(text, "  {}", words::visible_line(&line));
        }
        self.wrapped(text, 2, "", &words::visible_line(&finding.message));
        self.labelled(text, "locks", &finding.locks.iter().map(words::lock).collect::<Vec<_>>());
        self.labelled(
            text,
            "effect",
            &words::effect(finding.effect).map(str::to_owned).into_iter().collect::<Vec<_>>(),
        );
        self.labelled(text, "counts", &words::counts(finding).into_iter().collect::<Vec<_>>());
        self.labelled(text, "because", &words::evidence(finding));
        self.labelled(text, "depends on", &finding.depends_on);
        if let Some(remedy) = &finding.remedy {
            self.labelled(text, "do", std::slice::from_ref(&remedy.text));
            for step in &remedy.steps {
                for statement in words::statements(step) {
                    for line in words::visible_lines(&statement).lines() {
                        let _ = writeln!(text, "{:INDENT$}  {line}", "");
                    }
                }
            }
        }
    }

    fn labelled(&self, text: &mut String, label: &str, values: &[String]) {
        for (place, value) in values.iter().enumerate() {
            let label = if place == 0 { label } else { "" };
            let label = format!("  {label:<width$}", width = INDENT - 2);
            for (number, line) in words::visible_lines(value).lines().enumerate() {
                let label = if number == 0 { label.as_str() } else { "" };
                self.wrapped(text, 0, &format!("{label:INDENT$}"), line);
            }
        }
    }

    /// Breaks lines between words; the lines that follow are set in as far as the first one's text.
    fn wrapped(&self, text: &mut String, indent: usize, label: &str, line: &str) {
        let begin = indent + label.chars().count();
        let mut at = begin;
        let _ = write!(text, "{:indent$}{label}", "");
        for (place, word) in line.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let length = word.chars().count();
            if place > 0 && at + 1 + length > self.width {
                let _ = write!(text, "\n{:begin$}", "");
                at = begin;
            } else if place > 0 {
                text.push(' ');
                at += 1;
            }
            text.push_str(word);
            at += length;
        }
        text.push('\n');
    }

    fn severity(&self, severity: Severity) -> String {
        let color = match severity {
            Severity::Critical => "1;31",
            Severity::High => "31",
            Severity::Medium => "33",
            Severity::Low => "36",
            Severity::Info => "2",
        };
        if self.is_colored { format!("\u{1b}[{color}m{severity}\u{1b}[0m") } else { severity.to_string() }
    }
}
