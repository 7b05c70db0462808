//! The report as one JSON document: `{"version": 1, "tool", "target", "findings", "skipped", "summary"}`.
//!
//! Not for: reading it. The types say what is in it.

use crate::Report;

pub(super) fn render(report: &Report) -> String {
    // What is in a report can always be written: its maps have texts as keys.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
