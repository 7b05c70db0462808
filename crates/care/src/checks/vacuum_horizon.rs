//! Who keeps VACUUM from removing dead rows, and for how long already.
//!
//! Not for: how many dead rows there are (see `dead_rows`).

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, remedy, shortened,
};

/// Dead rows of so many transactions stay: enough for bloat on a busy table.
const AGE_XIDS_MEDIUM: i64 = 1_000_000;
const AGE_XIDS_HIGH: i64 = 50_000_000;
const HELD_S: f64 = 3_600.0;

pub(crate) const CHECK: Check = Check {
    code: "vacuum-horizon",
    title: "sessions, slots, standbys and prepared transactions that hold VACUUM back",
    needs: Needs {
        hidden: Some("the snapshots of other roles' sessions are hidden"),
        primary: true,
        ..Needs::NOTHING
    },
    judge: Judge::Rows(include_str!("../../sql/doctor/vacuum_horizon.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    holder: String,
    name: String,
    pid: Option<i64>,
    backend_start: Option<String>,
    transaction_start: Option<String>,
    age_xids: Option<i64>,
    held_s: Option<f64>,
    state: Option<String>,
    query: Option<String>,
}

fn judge(rows: &Rows, _: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let oldest = rows.iter().filter_map(|row| row.age_xids).max();
    let mut outcome = Outcome::line(match oldest {
        None => "nothing holds VACUUM back".to_owned(),
        Some(age) => format!("the oldest that VACUUM waits for is {} old", counted(age, "transaction")),
    });
    for row in &rows {
        let age = row.age_xids.unwrap_or_default();
        let held_s = row.held_s.unwrap_or_default();
        let severity = if age >= AGE_XIDS_HIGH {
            Severity::High
        } else if age >= AGE_XIDS_MEDIUM || (held_s >= HELD_S && age > 1_000) {
            Severity::Medium
        } else {
            continue;
        };
        let (what, text, steps) = told(row);
        let since = row.held_s.map(|held_s| format!(", for {}", duration(held_s))).unwrap_or_default();
        let message = format!(
            "{what} keeps VACUUM from what the last {} made dead{since}",
            counted(age, "transaction")
        );
        let mut finding = Finding::new(CHECK.code, severity, message)
            .about(Object { kind: row.holder.clone(), name: Some(row.name.clone()), ..Object::default() })
            .count("age_xids", age)
            .remedy(text, steps);
        if let Some(state) = &row.state {
            finding = finding.evidence_aged(format!("state: {state}"), row.held_s);
        }
        if let Some(query) = row.query.as_deref().filter(|query| !query.is_empty()) {
            finding = finding.evidence(shortened(query, 200));
        }
        outcome.findings.push(finding);
    }
    Ok(outcome)
}

fn told(row: &Row) -> (String, &'static str, Vec<posthaste_report::Step>) {
    let name = &row.name;
    match row.holder.as_str() {
        "session" => {
            let steps = row.pid.zip(row.backend_start.as_deref());
            (
                format!("process {} ({name})", row.pid.unwrap_or_default()),
                "end its transaction, or the session",
                steps
                    .map(|(pid, start)| remedy::terminate(pid, start, row.transaction_start.as_deref()))
                    .into_iter()
                    .collect(),
            )
        }
        "prepared-transaction" => (
            format!("the prepared transaction {name}"),
            "commit it or roll it back, as its transaction manager says",
            Vec::new(),
        ),
        "standby" => (
            format!("the standby {name}, by its feedback,"),
            "end the long query on the standby, or switch its hot_standby_feedback off",
            Vec::new(),
        ),
        _ => (
            format!("the replication slot {name}"),
            "let its consumer catch up, or drop the slot when it has none any more",
            Vec::new(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(holder: &str, age_xids: i64, held_s: Option<f64>, expected: Option<Severity>) {
        let row = json!({"holder": holder, "name": "n", "pid": 5, "backend_start": "2026-01-01 00:00:00+00",
            "age_xids": age_xids, "held_s": held_s, "state": "active", "query": "q"});
        let found = judged(&CHECK, &facts(), json!([row])).findings;
        assert_eq!(found.first().map(|finding| finding.severity), expected, "{holder} {age_xids} {held_s:?}");
    }

    #[test]
    fn age_is_counted_in_transactions() {
        check("session", 500, Some(20_000.0), None);
        check("session", 5_000, Some(20_000.0), Some(Severity::Medium));
        check("slot", 2_000_000, None, Some(Severity::Medium));
        check("standby", 60_000_000, None, Some(Severity::High));
    }
}
