//! Workflow commands, which GitHub shows beside the lines of a pull request.
//!
//! Source: "Workflow commands for GitHub Actions". Not for: a comment on the whole (see `markdown`).

use super::words;
use crate::{Finding, Report, Severity};

pub(super) fn render(report: &Report) -> String {
    let mut text: String = report.findings.iter().map(command).collect();
    for skipped in &report.skipped {
        let message = format!("Not looked at: {}: {}", skipped.what, skipped.why);
        text.push_str(&format!("::notice title=posthaste {}::{}\n", property(&report.tool), data(&message)));
    }
    text
}

fn command(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "notice",
    };
    let mut properties = Vec::new();
    if let Some(location) = &finding.location {
        properties.push(format!("file={}", property(&location.file)));
        properties.push(format!("line={}", location.line.max(1)));
        properties.push(format!("col={}", location.column.max(1)));
    }
    properties.push(format!("title={}", property(&format!("{} {}", finding.severity, finding.code))));
    format!("::{level} {}::{}\n", properties.join(","), data(&message(finding)))
}

fn message(finding: &Finding) -> String {
    let mut lines = vec![words::visible_line(&finding.message)];
    if finding.location.is_none() {
        lines.extend(words::object(&finding.object).map(|object| words::visible_line(&object)));
    }
    lines.extend(finding.locks.iter().map(|lock| words::visible_line(&words::lock(lock))));
    lines.extend(words::evidence(finding).iter().map(|text| words::visible_lines(text)));
    if !finding.depends_on.is_empty() {
        lines.push(format!("Depends on {}", words::visible_lines(&finding.depends_on.join("; "))));
    }
    if let Some(remedy) = &finding.remedy {
        lines.push(words::visible_lines(&remedy.text));
        let statements = remedy.steps.iter().flat_map(words::statements);
        lines.extend(statements.map(|statement| words::visible_lines(&statement)));
    }
    lines.join("\n")
}

/// A line break would begin another command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
