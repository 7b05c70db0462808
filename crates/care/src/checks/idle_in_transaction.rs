//! Sessions that keep a transaction open and do nothing: by the start of the transaction, and by whom they hold up.
//!
//! Not for: who waits for them, session by session (see `lock_chain`).

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, remedy, shortened,
};

pub(crate) const CHECK: Check = Check {
    code: "idle-in-transaction",
    title: "transactions that are open while their session does nothing",
    needs: Needs { hidden: Some("what the sessions of other roles do is hidden"), ..Needs::NOTHING },
    judge: Judge::Rows(include_str!("../../sql/doctor/idle_in_transaction.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    pid: i64,
    backend_start: String,
    transaction_start: Option<String>,
    role_name: String,
    database: String,
    application: String,
    state: String,
    transaction_s: Option<f64>,
    idle_s: Option<f64>,
    has_written: bool,
    blocks: i64,
    query: Option<String>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let limit_s = facts.thresholds.idle_in_transaction_s;
    let mut outcome = Outcome::line(match rows.first().and_then(|row| row.transaction_s) {
        None => "no session is idle in a transaction".to_owned(),
        Some(oldest_s) => format!(
            "{} idle in a transaction, the oldest open for {}",
            counted(rows.len(), "session"),
            duration(oldest_s)
        ),
    });
    for row in &rows {
        let open_s = row.transaction_s.unwrap_or_default();
        if open_s < limit_s && row.blocks == 0 {
            continue;
        }
        let severity = match (row.blocks > 0, open_s >= 10.0 * limit_s.max(1.0)) {
            (true, _) | (_, true) => Severity::High,
            _ => Severity::Medium,
        };
        let holds_up = if row.blocks > 0 {
            format!(" and holds up {}", counted(row.blocks, "session"))
        } else {
            String::new()
        };
        let message = format!(
            "process {} of {} has had a transaction open for {}{holds_up}, and does nothing",
            row.pid,
            row.role_name,
            duration(open_s)
        );
        let mut finding = Finding::new(CHECK.code, severity, message)
            .about(Object { kind: "session".into(), name: Some(row.pid.to_string()), ..Object::default() })
            .count("pid", row.pid)
            .count("blocks", row.blocks)
            .evidence_aged(
                format!("its last statement: {}", shortened(row.query.as_deref().unwrap_or_default(), 200)),
                row.idle_s,
            )
            .evidence(format!("{} in {}, application {}", row.role_name, row.database, row.application));
        if row.state.contains("aborted") {
            finding = finding.evidence("the transaction has failed: it can only be rolled back");
        }
        let written = if row.has_written {
            "it has written: ending it rolls that back"
        } else {
            "it has written nothing"
        };
        outcome.findings.push(finding.evidence(written).remedy(
            "end the session, and set idle_in_transaction_session_timeout for its role so that the next one ends \
             by itself; the application should not wait for others inside a transaction",
            vec![remedy::terminate(row.pid, &row.backend_start, row.transaction_start.as_deref())],
        ));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(transaction_s: f64, blocks: i64, expected: Option<Severity>) {
        let row = json!({"pid": 7, "backend_start": "2026-01-01 00:00:00+00", "role_name": "app",
            "database": "shop", "application": "web", "state": "idle in transaction",
            "transaction_s": transaction_s, "idle_s": 1.0, "has_written": true, "blocks": blocks, "query": "q"});
        let found = judged(&CHECK, &facts(), json!([row])).findings;
        assert_eq!(found.first().map(|finding| finding.severity), expected, "{transaction_s} {blocks}");
    }

    #[test]
    fn age_of_the_transaction_counts_and_who_waits() {
        check(2.0, 0, None);
        check(2.0, 1, Some(Severity::High));
        check(61.0, 0, Some(Severity::Medium));
        check(601.0, 0, Some(Severity::High));
    }
}
