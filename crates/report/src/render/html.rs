//! A report as one page that stands alone: no script, nothing loaded from elsewhere, light and dark.
//!
//! Not for: the dashboard, whose pages are live.

use std::fmt::Write as _;

use super::words;
use crate::{Finding, Report};

const STYLE: &str = include_str!("page.css");

pub(super) fn render(report: &Report) -> String {
    let title = words::title(report);
    let mut text = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    text.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    // Should anything be mistaken for a script, it does not run.
    text.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    let _ = writeln!(
        text,
        "<title>Posthaste {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        line(&title)
    );
    let _ = writeln!(text, "<h1>{}</h1>", line(&title));
    let summary = if report.findings.is_empty() { "no findings".into() } else { words::severities(report) };
    let _ = writeln!(text, "<p class=\"summary\">{summary}</p>");
    for item in &report.findings {
        finding(&mut text, item);
    }
    if !report.skipped.is_empty() {
        text.push_str("<section>\n<h2>Not looked at</h2>\n<ul>\n");
        for skipped in &report.skipped {
            let _ = writeln!(text, "<li>{}: {}</li>", line(&skipped.what), line(&skipped.why));
        }
        text.push_str("</ul>\n</section>\n");
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn finding(text: &mut String, finding: &Finding) {
    let severity = finding.severity;
    let _ = writeln!(text, "<article class=\"{severity}\">");
    let _ = writeln!(
        text,
        "<h2><span class=\"severity\">{severity}</span> <code>{}</code></h2>",
        line(&finding.code)
    );
    let _ = writeln!(text, "<p>{}</p>\n<dl>", line(&finding.message));
    list(text, "where", &words::place(finding).into_iter().collect::<Vec<_>>());
    list(text, "object", &words::object(&finding.object).into_iter().collect::<Vec<_>>());
    let confidence = words::confidence(finding.confidence).map(str::to_owned);
    list(text, "confidence", &confidence.into_iter().collect::<Vec<_>>());
    list(text, "locks", &finding.locks.iter().map(words::lock).collect::<Vec<_>>());
    list(text, "effect", &words::effect(finding.effect).map(str::to_owned).into_iter().collect::<Vec<_>>());
    list(text, "counts", &words::counts(finding).into_iter().collect::<Vec<_>>());
    list(text, "because", &words::evidence(finding));
    list(text, "depends on", &finding.depends_on);
    if let Some(remedy) = &finding.remedy {
        list(text, "do", std::slice::from_ref(&remedy.text));
    }
    text.push_str("</dl>\n");
    let steps = finding.remedy.iter().flat_map(|remedy| &remedy.steps);
    let statements: Vec<String> = steps.flat_map(words::statements).collect();
    if !statements.is_empty() {
        let _ = writeln!(
            text,
            "<pre><code>{}</code></pre>",
            escaped(&words::visible_lines(&statements.join("\n")))
        );
    }
    text.push_str("</article>\n");
}

fn list(text: &mut String, label: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    let _ = writeln!(text, "<dt>{label}</dt>");
    for value in values {
        let _ = writeln!(text, "<dd>{}</dd>", escaped(&words::visible_lines(value)));
    }
}

fn line(text: &str) -> String {
    escaped(&words::visible_line(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
