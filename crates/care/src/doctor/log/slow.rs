//! A slow log with `# Query_time:` lines, statement by statement.
//!
//! Times of waiting for locks are said apart: a statement that waits is a victim. Not for: PostgreSQL's own log.

use std::collections::BTreeMap;

use posthaste_report::{Confidence, Finding, Object, Severity};

use super::{Told, at, shape, suspicions};
use crate::doctor::{counted, duration, shortened};

/// From which on a statement is worth a word (row N11).
const SLOW_S: f64 = 0.1;

#[derive(Default)]
struct Entry {
    line: usize,
    query_s: f64,
    lock_s: f64,
    sent: i64,
    examined: i64,
    statement: String,
}

pub(super) fn read(file: &str, text: &str) -> Vec<Finding> {
    let mut shapes: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries(text) {
        shapes.entry(shape(&entry.statement)).or_default().push(entry);
    }
    // Only what can be told apart: a statement that was cut by an error has none.
    shapes.into_iter().filter_map(|(shape, entries)| finding(file, &shape, &entries)).collect()
}

fn entries(text: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for (place, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("# Query_time:") {
            let number = |name: &str| -> f64 {
                let after = rest.split_once(name).map_or("", |(_, after)| after);
                after.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
            };
            let first = rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default();
            found.push(Entry {
                line: place + 1,
                query_s: first,
                lock_s: number("Lock_time:"),
                sent: number("Rows_sent:") as i64,
                examined: number("Rows_examined:") as i64,
                statement: String::new(),
            });
        } else if let Some(entry) = found.last_mut().filter(|_| !line.starts_with('#')) {
            entry.statement.push_str(line);
            entry.statement.push('\n');
        }
    }
    found
}

fn finding(file: &str, shape: &str, entries: &[Entry]) -> Option<Finding> {
    let worst = entries.iter().max_by(|a, b| a.query_s.total_cmp(&b.query_s))?;
    let locked = entries.iter().map(|entry| entry.lock_s).fold(0.0, f64::max);
    if worst.query_s < SLOW_S && locked < SLOW_S {
        return None;
    }
    let severity = match worst.query_s {
        s if s >= 10.0 || locked >= 60.0 => Severity::Critical,
        s if s >= 1.0 => Severity::High,
        _ => Severity::Medium,
    };
    let a_row = worst.examined / worst.sent.max(1);
    let message = format!(
        "a statement took up to {} and read {} for {} ({})",
        duration(worst.query_s),
        counted(worst.examined, "row"),
        counted(worst.sent, "row"),
        counted(entries.len(), "time")
    );
    let total_s: f64 = entries.iter().map(|entry| entry.query_s).sum();
    let mut finding = at("log-slow-statement", severity, message, file, worst.line)
        .about(Object { kind: "statement".into(), ..Object::default() })
        .count("calls", entries.len() as i64)
        .count("total_ms", (total_s * 1_000.0) as i64)
        .count("max_ms", (worst.query_s * 1_000.0) as i64)
        .count("rows_examined", worst.examined)
        .count("rows_sent", worst.sent)
        .count("lock_ms", (locked * 1_000.0) as i64)
        .evidence(shortened(shape, 400));
    if a_row >= 100 {
        finding = finding.evidence(format!("{} read for each that is given", counted(a_row, "row")));
    }
    if locked >= 1.0 {
        finding = finding.evidence(format!(
            "it also waited up to {} for locks: somebody held them meanwhile",
            duration(locked)
        ));
    }
    for suspicion in suspicions(shape) {
        finding = finding.evidence(suspicion);
    }
    if shape.contains("lost connection") || shape.contains("query killed") {
        finding = finding.evidence("the connection was lost while it ran");
    }
    Some(finding.sure(Confidence::Certain).remedy(
        "look at its plan on this server: the log is of another time, and maybe of another engine",
        Vec::new(),
    ))
}
