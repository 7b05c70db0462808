//! The logs of one incident: what hurt, where in the file, with its numbers.

use posthaste_care::doctor::log::read;
use posthaste_report::{Finding, Severity};

fn found(file: &str, text: &str) -> Vec<Finding> {
    read(file, text).expect("a log that is known")
}

fn one<'a>(findings: &'a [Finding], code: &str, counts: &[(&str, i64)]) -> &'a Finding {
    let is_it = |finding: &&Finding| {
        finding.code == code && counts.iter().all(|(name, count)| finding.counts.get(*name) == Some(count))
    };
    findings.iter().find(is_it).unwrap_or_else(|| panic!("{code} {counts:?} in {findings:#?}"))
}

#[test]
fn slow_statements_are_taken_by_their_shape() {
    let findings = found("rds_slowquery.log", include_str!("samples/rds_slowquery.log"));
    // Twice the same but for the user, and twice cut short: each shape is one.
    let twice = one(&findings, "log-slow-statement", &[("calls", 2), ("max_ms", 12_345)]);
    assert_eq!(twice.severity, Severity::Critical);
    assert_eq!((twice.counts["rows_examined"], twice.counts["lock_ms"]), (8_901_234, 78_901));
    assert!(twice.evidence.iter().any(|one| one.text.contains("CROSS JOIN")), "{twice:#?}");
    assert!(twice.evidence.iter().any(|one| one.text.contains("sub-select")), "{twice:#?}");
    let killed = one(&findings, "log-slow-statement", &[("max_ms", 18_234)]);
    assert!(killed.evidence.iter().any(|one| one.text.contains("connection was lost")), "{killed:#?}");
    one(&findings, "log-slow-statement", &[("max_ms", 2_345), ("rows_sent", 50)]);
    one(&findings, "log-slow-statement", &[("max_ms", 4_567)]);
    // Two that took under a tenth of a second are well.
    assert!(findings.iter().all(|finding| finding.counts["max_ms"] >= 100), "{findings:#?}");
    assert_eq!(findings.len(), 6);
}

#[test]
fn events_are_taken_by_their_matter() {
    let findings = found("aurora_events.log", include_str!("samples/aurora_events.log"));
    let connections = one(&findings, "log-connections", &[("events", 4)]);
    assert_eq!((connections.severity, connections.counts["limit"]), (Severity::Critical, 300));
    assert!(connections.evidence.iter().any(|one| one.text.contains("245/300")));
    assert!(connections.evidence.iter().any(|one| one.text.contains("Waiting connections: 45")));
    let locks = one(&findings, "log-lock-wait", &[("events", 1)]);
    assert!(locks.evidence[0].text.contains("Lock holder: pid 12345"), "{locks:#?}");
    assert_eq!(locks.location.as_ref().map(|place| place.line), Some(17));
    for code in [
        "log-replica-lag",
        "log-killed-statement",
        "log-wal-rate",
        "log-processor",
        "log-memory",
        "log-degraded",
    ] {
        one(&findings, code, &[]);
    }
    // A backup that was made is no finding.
    assert!(findings.iter().all(|finding| !finding.message.contains("backup")), "{findings:#?}");
}

#[test]
fn load_is_held_against_the_processors() {
    let text = include_str!("samples/performance_insights_snapshot.json");
    let findings = found("performance_insights_snapshot.json", text);
    let load = one(&findings, "insights-load", &[("processors", 4)]);
    assert_eq!(load.severity, Severity::Critical);
    assert!(load.message.starts_with("18.7 sessions work at a time on 4 processors"), "{}", load.message);
    let first = one(&findings, "insights-statement", &[("rows_examined", 8_901_234), ("rows_returned", 100)]);
    assert_eq!(first.severity, Severity::Critical);
    // The others take 45, 89 and 12 ms.
    assert_eq!(findings.len(), 2, "{findings:#?}");
    let error = read("x.json", "{\"topSQL\": [}").expect_err("no JSON");
    assert!(error.message().contains("line 1, column 13"), "{error}");
}
