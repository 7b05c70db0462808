//! Standbys that are connected, and how far each is behind the current position.
//!
//! Not for: standbys that are gone, which show as slots that keep WAL (see `replication_slot`).

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, bytes, counted, duration};

pub(crate) const CHECK: Check = Check {
    code: "replication-lag",
    title: "connected standbys that are behind",
    needs: Needs { hidden: Some("the positions of standbys are hidden"), ..Needs::NOTHING },
    judge: Judge::Rows(include_str!("../../sql/doctor/replication.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    name: String,
    is_hidden: bool,
    state: Option<String>,
    sync_state: Option<String>,
    unsent_bytes: Option<i64>,
    flush_lag_bytes: Option<i64>,
    replay_lag_bytes: Option<i64>,
    replay_lag_s: Option<f64>,
    reply_age_s: Option<f64>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let hidden = rows.iter().filter(|row| row.is_hidden).count();
    let worst = rows.iter().filter_map(|row| row.replay_lag_bytes).max();
    let mut outcome = Outcome::line(match (rows.len(), worst) {
        (0, _) => "no standby is connected".to_owned(),
        (count, None) => format!("{} connected", counted(count, "standby")),
        (count, Some(worst)) => {
            format!("{} connected, the farthest {} behind", counted(count, "standby"), bytes(worst))
        }
    });
    if hidden > 0 {
        outcome.skipped.push(format!("the positions of {} are hidden", counted(hidden, "standby")));
    }
    let limits = &facts.thresholds;
    for row in rows.iter().filter(|row| !row.is_hidden && row.state.as_deref() != Some("backup")) {
        let lag_bytes = row.replay_lag_bytes.unwrap_or_default();
        // A quiet primary reports an old time with no bytes behind it.
        let lag_s = row.replay_lag_s.filter(|_| lag_bytes > 0).unwrap_or_default();
        let severity =
            if lag_s >= 30.0 * limits.replication_lag_s || lag_bytes >= 16 * limits.replication_lag_bytes {
                Severity::High
            } else if lag_s >= limits.replication_lag_s || lag_bytes >= limits.replication_lag_bytes {
                Severity::Medium
            } else {
                continue;
            };
        let message =
            format!("the standby {} is {} and {} behind", row.name, bytes(lag_bytes), duration(lag_s));
        let unsent = row.unsent_bytes.unwrap_or_default();
        let unreplayed = lag_bytes - row.flush_lag_bytes.unwrap_or_default();
        let cause = if unsent * 2 > lag_bytes {
            "most of it was not sent yet: the network or the sender is the limit"
        } else if unreplayed * 2 > lag_bytes {
            "most of it arrived and was not replayed: queries on the standby, or its processor and disk, are the limit"
        } else {
            "most of it was sent and not written: the standby's disk is the limit"
        };
        outcome.findings.push(
            Finding::new(CHECK.code, severity, message)
                .about(Object { kind: "standby".into(), name: Some(row.name.clone()), ..Object::default() })
                .count("lag_bytes", lag_bytes)
                .count("unsent_bytes", unsent)
                .evidence_aged(cause, row.reply_age_s)
                .evidence(format!(
                    "state {}, {}",
                    row.state.as_deref().unwrap_or("unknown"),
                    row.sync_state.as_deref().unwrap_or("unknown")
                ))
                .remedy(
                    "write less at a time, give the standby the primary's disk and network, and end long queries on it",
                    Vec::new(),
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

    fn check(lag_bytes: i64, lag_s: Option<f64>, expected: Option<Severity>) {
        let row = json!({"name": "b", "is_hidden": false, "state": "streaming", "sync_state": "async",
            "unsent_bytes": 0, "flush_lag_bytes": 0, "replay_lag_bytes": lag_bytes, "replay_lag_s": lag_s,
            "reply_age_s": 1.0});
        let found = judged(&CHECK, &facts(), json!([row])).findings;
        assert_eq!(found.first().map(|finding| finding.severity), expected, "{lag_bytes} {lag_s:?}");
    }

    #[test]
    fn bytes_and_seconds_both_count() {
        check(0, Some(900.0), None);
        check(100, Some(15.0), Some(Severity::Medium));
        check(65 << 20, None, Some(Severity::Medium));
        check(2 << 30, Some(400.0), Some(Severity::High));
    }
}
