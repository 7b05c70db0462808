//! Replication slots: the WAL that they keep, and the standbys or consumers that they have lost.
//!
//! Not for: standbys that are connected (see `replication_lag`).

use posthaste_report::{Finding, Object, Severity, Step};
use serde::Deserialize;

use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, bytes, counted, duration, remedy,
};

pub(crate) const CHECK: Check = Check {
    code: "replication-slot",
    title: "replication slots that keep WAL, and lost consumers",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/slot.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    name: String,
    slot_type: String,
    plugin: Option<String>,
    database: Option<String>,
    is_active: bool,
    is_temporary: bool,
    wal_status: Option<String>,
    invalidation_reason: Option<String>,
    safe_bytes: Option<i64>,
    inactive_s: Option<f64>,
    kept_bytes: Option<i64>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let kept = rows.iter().filter_map(|row| row.kept_bytes).max().unwrap_or_default();
    let active = rows.iter().filter(|row| row.is_active).count();
    let mut outcome = Outcome::line(match rows.len() {
        0 => "there are no replication slots".to_owned(),
        count => format!(
            "{}, {active} in use; the most WAL that one keeps is {}",
            counted(count, "slot"),
            bytes(kept)
        ),
    });
    // Without a limit a slot keeps WAL until the disk is full.
    let is_unlimited = facts.setting("max_slot_wal_keep_size").is_none_or(|size| size == "-1");
    outcome.findings.extend(rows.iter().filter(|row| !row.is_temporary).filter_map(|row| {
        let kept = row.kept_bytes.unwrap_or_default();
        let (severity, what) = verdict(row, kept, facts)?;
        let message = format!("the slot {} {what}", row.name);
        let (text, steps) = remedy_of(row);
        let mut finding = Finding::new(CHECK.code, severity, message)
            .about(Object {
                kind: "replication-slot".into(),
                name: Some(row.name.clone()),
                ..Object::default()
            })
            .count("kept_bytes", kept)
            .remedy(text, steps);
        let of = row.plugin.as_deref().zip(row.database.as_deref());
        let of = of.map(|(plugin, database)| format!(", {plugin} in {database}")).unwrap_or_default();
        finding = finding.evidence_aged(format!("a {} slot{of}", row.slot_type), row.inactive_s);
        if let Some(reason) = row.invalidation_reason.as_deref() {
            finding = finding.evidence(format!("it was invalidated: {reason}"));
        }
        finding = match row.safe_bytes {
            Some(safe) => finding.evidence(format!("{} more and it is lost", bytes(safe))),
            None if is_unlimited => {
                finding.evidence("max_slot_wal_keep_size is not set: it keeps WAL until the disk is full")
            }
            None => finding,
        };
        Some(finding)
    }));
    Ok(outcome)
}

fn verdict(row: &Row, kept: i64, facts: &Facts) -> Option<(Severity, String)> {
    let limit = facts.thresholds.slot_bytes;
    let idle = row.inactive_s.map(|idle_s| format!(" for {}", duration(idle_s))).unwrap_or_default();
    if row.wal_status.as_deref() == Some("lost") {
        return Some((Severity::High, "is lost: its consumer must be made anew".to_owned()));
    }
    if row.wal_status.as_deref() == Some("unreserved") {
        return Some((Severity::High, format!("is about to be lost: it needs {} of WAL", bytes(kept))));
    }
    if !row.is_active {
        let severity = if kept >= limit { Severity::High } else { Severity::Medium };
        return Some((severity, format!("has no consumer{idle} and keeps {} of WAL", bytes(kept))));
    }
    (kept >= limit)
        .then(|| (Severity::Medium, format!("keeps {} of WAL: its consumer is behind", bytes(kept))))
}

fn remedy_of(row: &Row) -> (&'static str, Vec<Step>) {
    let is_lost = row.wal_status.as_deref() == Some("lost");
    match (row.is_active, is_lost) {
        (true, false) => ("find out what slows its consumer", Vec::new()),
        (_, true) => {
            ("drop it, and make the standby or subscription anew", vec![remedy::drop_slot(&row.name)])
        }
        (false, false) => (
            "start its consumer again, or drop the slot when it has none any more: a standby without its slot may \
             have to be made anew",
            vec![remedy::drop_slot(&row.name)],
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(is_active: bool, status: &str, kept_bytes: i64, expected: Option<Severity>) {
        let row = json!({"name": "s", "slot_type": "physical", "plugin": null, "database": null,
            "is_active": is_active, "is_temporary": false, "wal_status": status, "invalidation_reason": null,
            "safe_bytes": null, "inactive_s": null, "kept_bytes": kept_bytes});
        let found = judged(&CHECK, &facts(), json!([row])).findings;
        assert_eq!(
            found.first().map(|finding| finding.severity),
            expected,
            "{is_active} {status} {kept_bytes}"
        );
    }

    #[test]
    fn a_lost_standby_shows_as_its_slot() {
        check(true, "reserved", 1 << 20, None);
        check(true, "extended", 2 << 30, Some(Severity::Medium));
        check(false, "reserved", 16 << 20, Some(Severity::Medium));
        check(false, "extended", 2 << 30, Some(Severity::High));
        check(true, "lost", 0, Some(Severity::High));
    }
}
