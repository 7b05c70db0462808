//! A standby seen from itself: how old what it shows is, and the queries that it had to cancel.
//!
//! Not for: a primary's view of its standbys (see `replication_lag`).

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, bytes, counted, duration};

pub(crate) const CHECK: Check = Check {
    code: "replica-health",
    title: "this standby's age, source and cancelled queries",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/replica.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    is_replica: bool,
    received: Option<String>,
    replayed: Option<String>,
    unreplayed_bytes: i64,
    replay_age_s: Option<f64>,
    has_receiver: bool,
    conflicts_tablespace: i64,
    conflicts_lock: i64,
    conflicts_snapshot: i64,
    conflicts_bufferpin: i64,
    conflicts_deadlock: i64,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let row: Row = rows.one()?;
    if !row.is_replica {
        return Ok(Outcome::line("this server is a primary"));
    }
    let object = Object { kind: "server".into(), ..Object::default() };
    let age_s = row.replay_age_s.unwrap_or_default();
    // With all that came replayed, the age only says that the primary wrote nothing.
    let is_behind = row.unreplayed_bytes > 0 || row.received != row.replayed;
    let mut outcome = Outcome::line(format!(
        "this standby has {} to replay, its last transaction is {} old",
        bytes(row.unreplayed_bytes),
        duration(age_s)
    ));
    if !row.has_receiver {
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::High, "this standby receives no WAL: it falls behind")
                .about(object.clone())
                .evidence(format!("replayed to {}", row.replayed.as_deref().unwrap_or("nowhere")))
                .depends_on("whether it reads WAL from an archive instead")
                .remedy("look at primary_conninfo, the slot and the log of this standby", Vec::new()),
        );
    }
    if is_behind && age_s >= facts.thresholds.replication_lag_s {
        let severity = if age_s >= 30.0 * facts.thresholds.replication_lag_s {
            Severity::High
        } else {
            Severity::Medium
        };
        outcome.findings.push(
            Finding::new(CHECK.code, severity, format!("what this standby shows is {} old", duration(age_s)))
                .about(object.clone())
                .count("unreplayed_bytes", row.unreplayed_bytes)
                .remedy("end long queries here, or give replay more processor and disk", Vec::new()),
        );
    }
    let conflicts = row.conflicts_tablespace
        + row.conflicts_lock
        + row.conflicts_snapshot
        + row.conflicts_bufferpin
        + row.conflicts_deadlock;
    if conflicts > 0 {
        let message = format!("{} cancelled here because replay needed the way", was(conflicts));
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Low, message)
                .about(object)
                .count("conflicts", conflicts)
                .evidence_aged(
                    format!(
                        "by snapshot {}, lock {}, buffer pin {}, tablespace {}, deadlock {}",
                        row.conflicts_snapshot,
                        row.conflicts_lock,
                        row.conflicts_bufferpin,
                        row.conflicts_tablespace,
                        row.conflicts_deadlock
                    ),
                    facts.counters_age_s,
                )
                .remedy(
                    "hot_standby_feedback keeps the rows that queries here need, at the cost of bloat on the primary; \
                     max_standby_streaming_delay lets replay wait",
                    Vec::new(),
                ),
        );
    }
    Ok(outcome)
}

fn was(count: i64) -> String {
    format!("{} {}", counted(count, "query"), if count == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(is_replica: bool, unreplayed_bytes: i64, age_s: f64, snapshot: i64, expected: &[Severity]) {
        let row = json!({"is_replica": is_replica, "received": "0/1", "replayed": "0/1",
            "unreplayed_bytes": unreplayed_bytes, "replay_age_s": age_s, "has_receiver": true,
            "conflicts_tablespace": 0, "conflicts_lock": 0, "conflicts_snapshot": snapshot,
            "conflicts_bufferpin": 0, "conflicts_deadlock": 0});
        let found = judged(&CHECK, &facts(), json!([row])).findings;
        assert_eq!(found.iter().map(|one| one.severity).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_quiet_primary_is_no_lag() {
        check(false, 0, 0.0, 0, &[]);
        check(true, 0, 9_000.0, 0, &[]);
        check(true, 5_000, 20.0, 0, &[Severity::Medium]);
        check(true, 0, 0.0, 3, &[Severity::Low]);
    }
}
