//! PostgreSQL's own log, whatever its line prefix: long statements, lock waits, deadlocks, refused connections, plans.
//!
//! Not for: times before an entry's message, whose form the prefix decides.

use std::collections::BTreeMap;

use posthaste_report::{Finding, Object, Severity};

use super::{Told, at, shape, suspicions};
use crate::doctor::{counted, duration, plan_reading, shortened};

const LEVELS: &[&str] = &["LOG", "WARNING", "ERROR", "FATAL", "PANIC"];
const SLOW_MS: f64 = 100.0;

struct Entry {
    line: usize,
    level: &'static str,
    text: String,
    statement: String,
}

/// Messages by what they begin with or hold, what they mean, and what to do.
const EVENTS: &[(&str, &str, Severity, &str, &str)] = &[
    (
        "log-lock-wait",
        "still waiting for ",
        Severity::High,
        "sessions waited for locks",
        "run changes of tables with a short lock_timeout",
    ),
    (
        "log-deadlock",
        "deadlock detected",
        Severity::Medium,
        "transactions locked each other out",
        "lock rows in one order everywhere",
    ),
    (
        "log-connections",
        "too many clients",
        Severity::Critical,
        "connections were refused",
        "smaller pools, or a pooler",
    ),
    (
        "log-connections",
        "remaining connection slots",
        Severity::Critical,
        "connections were refused",
        "smaller pools, or a pooler",
    ),
    (
        "log-killed-statement",
        "canceling statement due to statement timeout",
        Severity::Medium,
        "statements took longer than they may",
        "find them by their total time",
    ),
    (
        "log-killed-statement",
        "canceling statement due to lock timeout",
        Severity::Low,
        "statements gave up waiting for a lock",
        "see who held it",
    ),
    (
        "log-conflict",
        "due to conflict with recovery",
        Severity::Low,
        "replay on this standby cancelled queries",
        "hot_standby_feedback, or a longer delay",
    ),
    (
        "log-disk",
        "No space left on device",
        Severity::Critical,
        "the disk was full",
        "free or grow it before anything else",
    ),
    (
        "log-memory",
        "out of memory",
        Severity::High,
        "memory ran out",
        "less work_mem, fewer connections at a time",
    ),
    (
        "log-wal-rate",
        "checkpoints are occurring too frequently",
        Severity::Low,
        "checkpoints come by size and not by time",
        "raise max_wal_size",
    ),
    (
        "log-temporary-file",
        "temporary file: path",
        Severity::Low,
        "sorts and hashes did not fit memory",
        "raise work_mem for the role that needs it",
    ),
    (
        "log-corruption",
        "invalid page in block",
        Severity::Critical,
        "damaged pages were read",
        "copy the files, then restore from a backup",
    ),
    (
        "log-crash",
        "was terminated by signal",
        Severity::Critical,
        "a server process crashed",
        "read what it ran, and the system's log for the killer of processes",
    ),
    (
        "log-wraparound",
        "must be vacuumed within",
        Severity::Critical,
        "transaction numbers run out",
        "see the check wraparound",
    ),
    (
        "log-archive",
        "archive command failed",
        Severity::High,
        "WAL was not archived",
        "read the command's own message",
    ),
];

pub(super) fn is_entry(line: &str) -> bool {
    level(line).is_some()
}

fn level(line: &str) -> Option<(&'static str, &str)> {
    LEVELS.iter().find_map(|level| {
        let at = line.find(&format!("{level}:  "))?;
        Some((*level, &line[at + level.len() + 3..]))
    })
}

fn entries(text: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for (place, line) in text.lines().enumerate() {
        if let Some((level, text)) = level(line) {
            found.push(Entry { line: place + 1, level, text: text.to_owned(), statement: String::new() });
        } else if let Some(entry) = found.last_mut() {
            match line.split_once("STATEMENT:  ") {
                Some((_, statement)) => entry.statement = statement.to_owned(),
                // What is indented goes on from the line before.
                None if line.starts_with('\t') => {
                    let of = if entry.statement.is_empty() { &mut entry.text } else { &mut entry.statement };
                    of.push('\n');
                    of.push_str(line.trim_start());
                }
                None => {}
            }
        }
    }
    found
}

pub(super) fn read(file: &str, text: &str) -> Vec<Finding> {
    let entries = entries(text);
    let mut findings = events(file, &entries);
    findings.extend(statements(file, &entries));
    for entry in &entries {
        let plan = entry.text.split_once("plan:\n").map(|(_, plan)| plan);
        let document = plan.and_then(|plan| serde_json::from_str(plan).ok());
        let of = format!("the plan at line {} of {file}", entry.line);
        findings.extend(document.iter().flat_map(|document| plan_reading::read(document, &of)));
    }
    findings
}

fn events(file: &str, entries: &[Entry]) -> Vec<Finding> {
    let mut found: BTreeMap<usize, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let event = EVENTS.iter().position(|(_, sign, ..)| entry.text.contains(sign));
        if let Some(event) = event {
            found.entry(event).or_default().push(entry);
        } else if entry.level == "PANIC" {
            found.entry(EVENTS.len()).or_default().push(entry);
        }
    }
    found
        .into_iter()
        .filter_map(|(event, of_event)| {
            let panic =
                ("log-crash", "", Severity::Critical, "the server panicked", "read the entries before it");
            let (code, _, severity, what, advice) = EVENTS.get(event).copied().unwrap_or(panic);
            let first = of_event.first()?;
            let message = format!("{what} ({})", counted(of_event.len(), "time"));
            let mut finding = at(code, severity, message, file, first.line)
                .about(Object { kind: "server".into(), ..Object::default() })
                .count("events", of_event.len() as i64);
            for entry in of_event.iter().take(3) {
                finding = finding.evidence(format!("line {}: {}", entry.line, shortened(&entry.text, 200)));
            }
            Some(finding.remedy(advice, Vec::new()))
        })
        .collect()
}

fn statements(file: &str, entries: &[Entry]) -> Vec<Finding> {
    let mut shapes: BTreeMap<String, Vec<(f64, usize)>> = BTreeMap::new();
    for entry in entries {
        let Some(rest) = entry.text.strip_prefix("duration: ") else { continue };
        let Some((ms, rest)) = rest.split_once(" ms") else { continue };
        // `statement:` of a simple query, `execute name:` of a prepared one.
        let Some((how, statement)) = rest.trim_start().split_once(':') else { continue };
        if !(how == "statement" || how.starts_with("execute")) {
            continue;
        }
        if let Ok(ms) = ms.trim().parse::<f64>() {
            shapes.entry(shape(statement)).or_default().push((ms, entry.line));
        }
    }
    let slow = shapes.into_iter().filter_map(|(shape, times)| {
        let (worst_ms, line) = times.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
        if worst_ms < SLOW_MS {
            return None;
        }
        let severity = match worst_ms {
            ms if ms >= 10_000.0 => Severity::High,
            ms if ms >= 1_000.0 => Severity::Medium,
            _ => Severity::Low,
        };
        let total_ms: f64 = times.iter().map(|(ms, _)| ms).sum();
        let message = format!(
            "a statement took up to {} ({})",
            duration(worst_ms / 1_000.0),
            counted(times.len(), "time")
        );
        let mut finding = at("log-slow-statement", severity, message, file, line)
            .about(Object { kind: "statement".into(), ..Object::default() })
            .count("calls", times.len() as i64)
            .count("max_ms", worst_ms as i64)
            .count("total_ms", total_ms as i64)
            .evidence(shortened(&shape, 300));
        for suspicion in suspicions(&shape) {
            finding = finding.evidence(suspicion);
        }
        Some(finding.remedy("look at its plan with real values", Vec::new()))
    });
    slow.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-01-01 10:00:00.000 UTC [71] app@shop LOG:  duration: 1250.500 ms  statement: select *\n\
        \tfrom orders where id = 5\n\
        2026-01-01 10:00:01.000 UTC [72] app@shop LOG:  process 72 still waiting for AccessShareLock on relation 5\n\
        2026-01-01 10:00:01.000 UTC [72] app@shop DETAIL:  Process holding the lock: 9.\n\
        2026-01-01 10:00:02.000 UTC [73] FATAL:  sorry, too many clients already\n\
        2026-01-01 10:00:03.000 UTC [71] app@shop LOG:  duration: 1500.000 ms  execute s1: select * from orders where id = 7\n\
        2026-01-01 10:00:04.000 UTC [71] LOG:  duration: 3.1 ms  plan:\n\
        \t{\"Query Text\": \"q\", \"Plan\": {\"Node Type\": \"Seq Scan\", \"Relation Name\": \"t\", \"Plan Rows\": 90000, \"Filter\": \"(a = 1)\"}}\n";

    #[test]
    fn entries_are_read_under_any_prefix() {
        let found = read("pg.log", LOG);
        let mut said: Vec<_> = found
            .iter()
            .map(|one| (one.code.as_str(), one.location.as_ref().map(|place| place.line)))
            .collect();
        said.sort();
        assert_eq!(
            said,
            [
                ("log-connections", Some(5)),
                ("log-lock-wait", Some(3)),
                ("log-slow-statement", Some(6)),
                ("plan-sequential-scan", None),
            ]
        );
        let slow = found.iter().find(|one| one.code == "log-slow-statement").unwrap();
        assert_eq!((slow.counts["calls"], slow.counts["max_ms"]), (2, 1_500));
    }
}
