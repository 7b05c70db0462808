//! A provider's log of events: `2024-01-15T14:12:00.000Z [instance] WARN Connection count at limit: 298/300`.
//!
//! What belongs together (the lines of one second) is said together, and what says that all is well is left out.
//! Not for: statements (see `slow`).

use std::collections::BTreeMap;

use posthaste_report::{Finding, Object, Severity};

use super::{Told, at};

struct Event<'a> {
    line: usize,
    /// Up to the second, which groups a message with its details.
    second: &'a str,
    time: &'a str,
    instance: &'a str,
    level: &'a str,
    text: &'a str,
}

/// What an event is about, by the words in it.
const TOPICS: &[(&str, &[&str])] = &[
    (
        "log-connections",
        &["connection count", "connections being rejected", "pool exhausted", "waiting connections"],
    ),
    ("log-lock-wait", &["lock wait", "lock holder", "deadlock"]),
    ("log-replica-lag", &["replica lag"]),
    ("log-killed-statement", &["query killed", "killed query", "query cancelled", "killed due to timeout"]),
    ("log-wal-rate", &["wal) generation", "transaction log"]),
    ("log-processor", &["cpu utilization", "load average"]),
    ("log-memory", &["memory pressure", "freeable memory"]),
    ("log-disk", &["free storage", "disk full", "storage full"]),
    ("log-degraded", &["degraded"]),
];

pub(super) fn is_event(line: &str) -> bool {
    parse(1, line).is_some()
}

pub(super) fn read(file: &str, text: &str) -> Vec<Finding> {
    let events: Vec<Event<'_>> =
        text.lines().enumerate().filter_map(|(place, line)| parse(place + 1, line)).collect();
    let mut topics: BTreeMap<&str, Vec<&Event<'_>>> = BTreeMap::new();
    for event in events.iter().filter(|event| severity(event.level).is_some()) {
        let lower = event.text.to_lowercase();
        let topic = TOPICS.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
        topics.entry(topic.map_or("log-event", |(code, _)| *code)).or_default().push(event);
    }
    topics.into_iter().filter_map(|(code, of_topic)| finding(file, code, &of_topic, &events)).collect()
}

fn parse(line: usize, text: &str) -> Option<Event<'_>> {
    let (time, rest) = text.split_once(" [")?;
    let (instance, rest) = rest.split_once("] ")?;
    let (level, text) = rest.split_once(' ')?;
    let is_time =
        time.len() >= 19 && time.as_bytes().get(4) == Some(&b'-') && time.as_bytes().get(10) == Some(&b'T');
    let is_level = ["DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"].contains(&level);
    (is_time && is_level).then(|| Event { line, second: &time[..19], time, instance, level, text })
}

fn severity(level: &str) -> Option<Severity> {
    match level {
        "CRITICAL" | "FATAL" => Some(Severity::Critical),
        "ERROR" => Some(Severity::High),
        "WARN" | "WARNING" => Some(Severity::Medium),
        _ => None,
    }
}

fn finding(file: &str, code: &str, of_topic: &[&Event<'_>], all: &[Event<'_>]) -> Option<Finding> {
    let worst = of_topic.iter().min_by_key(|event| severity(event.level))?;
    // A limit that was reached is worse than the level says.
    let mut severity = severity(worst.level)?;
    let share =
        of_topic.iter().filter_map(|event| limit(event.text)).map(|(used, of)| used / of).fold(0.0, f64::max);
    if share >= 0.95 {
        severity = severity.min(Severity::Critical);
    }
    let (first, last) = (of_topic.first()?, of_topic.last()?);
    let span = if first.time == last.time {
        format!("at {}", first.second)
    } else {
        format!("from {} to {}", first.second, last.second)
    };
    let message = format!("{}: {} ({span})", worst.instance, worst.text);
    let mut finding = at(code, severity, message, file, worst.line)
        .about(Object { kind: "server".into(), name: Some(worst.instance.to_owned()), ..Object::default() })
        .count("events", of_topic.len() as i64);
    for event in of_topic {
        let details = all.iter().filter(|other| {
            other.second == event.second
                && other.level == "INFO"
                && other.line > event.line
                && other.line <= event.line + 3
        });
        let details: Vec<&str> = details.map(|other| other.text).collect();
        let more = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
        finding = finding.evidence(format!("{} {} {}{more}", event.time, event.level, event.text));
    }
    if let Some((used, of)) = of_topic.iter().rev().find_map(|event| limit(event.text)) {
        finding = finding.count("used", used as i64).count("limit", of as i64);
    }
    Some(finding.remedy(advice(code), Vec::new()))
}

/// `298/300` as two numbers.
fn limit(text: &str) -> Option<(f64, f64)> {
    text.split_whitespace().find_map(|word| {
        let (used, of) = word.split_once('/')?;
        Some((used.parse().ok()?, of.trim_end_matches(',').parse().ok().filter(|of| *of > 0.0)?))
    })
}

fn advice(code: &str) -> &'static str {
    match code {
        "log-connections" => {
            "smaller pools or a pooler in transaction mode, and an end to what holds connections"
        }
        "log-lock-wait" => {
            "run changes of tables with a short lock_timeout and tries, and end what holds the lock"
        }
        "log-replica-lag" => "read what must be fresh from the primary until the standby has caught up",
        "log-killed-statement" => "find the statement by its total time, and its plan",
        "log-wal-rate" => "find what writes: a batch without pauses, or an index that is built",
        "log-processor" => "find the statement with the largest share of the load",
        "log-memory" => "fewer connections at a time, or less work_mem",
        "log-disk" => "free or grow the disk before it is full",
        _ => "look at what happened in the minutes before",
    }
}
