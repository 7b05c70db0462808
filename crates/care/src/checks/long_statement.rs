//! Statements of clients that run for long.
//!
//! Not for: transactions that do nothing (see `idle_in_transaction`).

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, remedy, shortened,
};

pub(crate) const CHECK: Check = Check {
    code: "long-statement",
    title: "statements that run for minutes",
    needs: Needs { hidden: Some("the statements of other roles are hidden"), ..Needs::NOTHING },
    judge: Judge::Rows(include_str!("../../sql/doctor/long_statement.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    pid: i64,
    backend_start: String,
    statement_start: Option<String>,
    role_name: String,
    database: String,
    application: String,
    statement_s: f64,
    transaction_s: Option<f64>,
    waits_for: Option<String>,
    wait_event: Option<String>,
    query: Option<String>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let limit_s = facts.thresholds.long_statement_s;
    let longest = rows.iter().map(|row| row.statement_s).fold(0.0, f64::max);
    let mut outcome = Outcome::line(match rows.len() {
        0 => "no statement has been running for more than a second".to_owned(),
        running => format!(
            "{} running for more than a second, the longest for {}",
            counted(running, "statement"),
            duration(longest)
        ),
    });
    for row in rows.iter().filter(|row| row.statement_s >= limit_s) {
        let severity = if row.statement_s >= 12.0 * limit_s { Severity::High } else { Severity::Medium };
        let query = row.query.as_deref().unwrap_or_default();
        let message = format!(
            "process {} of {} has been running one statement for {}",
            row.pid,
            row.role_name,
            duration(row.statement_s)
        );
        let session = format!("{} in {}, application {}", row.role_name, row.database, row.application);
        let mut finding = Finding::new(CHECK.code, severity, message)
            .about(Object { kind: "session".into(), name: Some(row.pid.to_string()), ..Object::default() })
            .count("pid", row.pid)
            .evidence_aged(shortened(query, 200), Some(row.statement_s))
            .evidence_aged(session, row.transaction_s);
        if let (Some(kind), Some(event)) = (&row.waits_for, &row.wait_event) {
            finding = finding.evidence(format!("it waits for {kind}: {event}"));
        }
        outcome.findings.push(
            finding
                .depends_on("whether it is a report, a backup or an index build that may take so long")
                .remedy(
                    "cancel it when nobody needs it; a statement_timeout for its role ends the next one",
                    vec![remedy::cancel(row.pid, &row.backend_start, row.statement_start.as_deref())],
                ),
        );
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    #[test]
    fn minutes_are_medium_and_hours_high() {
        let row = |pid: i64, statement_s: f64| {
            json!({"pid": pid, "backend_start": "2026-01-01 00:00:00+00", "role_name": "app", "database": "shop",
                "application": "web", "statement_s": statement_s, "transaction_s": statement_s,
                "waits_for": "IO", "wait_event": "DataFileRead", "query": "select\n 1"})
        };
        let rows = json!([row(1, 4.0), row(2, 400.0), row(3, 7_300.0)]);
        let outcome = judged(&CHECK, &facts(), rows);
        let found: Vec<_> = outcome.findings.iter().map(|one| (one.counts["pid"], one.severity)).collect();
        assert_eq!(found, [(2, Severity::Medium), (3, Severity::High)]);
        assert!(outcome.line.starts_with("3 statements running"), "{}", outcome.line);
    }
}
