//! A report as Markdown, for a comment on a pull request: a table, and the details of each finding.
//!
//! Not for: the whole of Markdown's dialects. What is escaped is escaped in GitHub's and GitLab's.

use std::fmt::Write as _;

use super::words;
use crate::{Finding, Report};

pub(super) fn render(report: &Report) -> String {
    let mut text = format!("## Posthaste {}\n\n", line(&words::title(report)));
    if report.findings.is_empty() {
        text.push_str("No findings.\n");
    } else {
        let _ = writeln!(text, "{}.\n", words::severities(report));
        text.push_str("| Severity | Code | Where | What |\n| --- | --- | --- | --- |\n");
        for finding in &report.findings {
            let place = words::place(finding).or_else(|| words::object(&finding.object)).unwrap_or_default();
            let cells = [finding.severity.to_string(), finding.code.clone(), place, finding.message.clone()];
            let _ = writeln!(text, "| {} |", cells.map(|cell| line(&cell)).join(" | "));
        }
        for finding in &report.findings {
            details(&mut text, finding);
        }
    }
    if !report.skipped.is_empty() {
        text.push_str("\n### Not looked at\n\n");
        for skipped in &report.skipped {
            let _ = writeln!(text, "- {}: {}", line(&skipped.what), line(&skipped.why));
        }
    }
    text
}

fn details(text: &mut String, finding: &Finding) {
    let mut points: Vec<String> = Vec::new();
    points.extend(words::object(&finding.object));
    points
        .extend(words::confidence(finding.confidence).map(|confidence| format!("Confidence: {confidence}")));
    points.extend(finding.locks.iter().map(|lock| format!("Lock: {}", words::lock(lock))));
    points.extend(words::effect(finding.effect).map(|effect| format!("Effect: {effect}")));
    points.extend(words::counts(finding).map(|counts| format!("Counts: {counts}")));
    points.extend(words::evidence(finding));
    points.extend(finding.depends_on.iter().map(|unknown| format!("Depends on: {unknown}")));
    points.extend(finding.remedy.iter().map(|remedy| format!("Do: {}", remedy.text)));
    if points.is_empty() {
        return;
    }
    let summary = format!("{}: {}", finding.code, finding.message);
    let _ = writeln!(text, "\n<details><summary>{}</summary>\n", html(&words::visible_line(&summary)));
    for point in points {
        let _ = writeln!(text, "- {}", line(&point));
    }
    let statements: Vec<String> =
        finding.remedy.iter().flat_map(|remedy| &remedy.steps).flat_map(words::statements).collect();
    if !statements.is_empty() {
        let code = words::visible_lines(&statements.join("\n"));
        let fence = "`".repeat(longest_ticks(&code).max(2) + 1);
        let _ = writeln!(text, "\n{fence}sql\n{code}\n{fence}");
    }
    text.push_str("\n</details>\n");
}

pub(super) fn longest_ticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// Everything that Markdown or HTML would read as a mark stands for itself; a line break ends a table's row.
pub(super) fn line(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let shown = words::visible_line(text);
    let mut letters = shown.chars().peekable();
    let mut before = None;
    while let Some(c) = letters.next() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Within a word it marks nothing.
            '_' if is_word(before) && is_word(letters.peek().copied()) => escaped.push(c),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // Nobody is to be called by a column's name.
            '@' => escaped.push_str("@\u{2060}"),
            _ => escaped.push(c),
        }
        before = Some(c);
    }
    escaped
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{2060}")
}
