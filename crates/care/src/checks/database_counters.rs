//! What the database counted of itself: reads from disk, temporary files, deadlocks, and its size.
//!
//! Not for: single statements (see `slow_query`).

use posthaste_report::{Confidence, Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, bytes, counted, duration, percent,
};

/// Below it, and with so much read, more memory or fewer scans would be felt.
const HIT_SHARE: f64 = 0.9;
const READ_BYTES_MIN: i64 = 1 << 30;

pub(crate) const CHECK: Check = Check {
    code: "database-counters",
    title: "buffer hits, temporary files, deadlocks, disk and growth",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/database.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    bytes: Option<i64>,
    blocks_read: Option<i64>,
    blocks_hit: Option<i64>,
    temp_files: Option<i64>,
    temp_bytes: Option<i64>,
    deadlocks: Option<i64>,
    counted_s: Option<f64>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let row: Row = rows.one()?;
    let (read, hit) = (row.blocks_read.unwrap_or_default(), row.blocks_hit.unwrap_or_default());
    let age_s = row.counted_s.or(facts.counters_age_s);
    let share = percent(hit as f64, (hit + read) as f64);
    let size = row.bytes.map_or_else(|| "hidden".to_owned(), bytes);
    let mut outcome =
        Outcome::line(format!("the database's size is {size}, {share} of its reads come from memory"));
    if row.bytes.is_none() {
        outcome.skipped.push("the size of the database is hidden from this role".into());
    }
    outcome.skipped.push("how much room the disk has left is not known to the server".into());
    let object = Object { kind: "database".into(), name: Some(facts.database.clone()), ..Object::default() };
    let read_bytes = read.saturating_mul(facts.block_bytes);
    if read_bytes >= READ_BYTES_MIN && (hit as f64) < HIT_SHARE * (hit + read) as f64 {
        let message = format!("only {share} of the pages that are asked for are in memory");
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Low, message)
                .about(object.clone())
                .count("blocks_read", read)
                .count("blocks_hit", hit)
                .sure(Confidence::Likely)
                .evidence_aged(format!("{} read into the buffers", bytes(read_bytes)), age_s)
                .depends_on("how much of it the system's own cache held, which the server does not see")
                .remedy(
                    "find the statements that read most (slow-query), before giving it more memory",
                    Vec::new(),
                ),
        );
    }
    let temporary = row.temp_bytes.unwrap_or_default();
    let a_day = age_s.map(|age_s| temporary as f64 / (age_s / 86_400.0).max(1.0));
    if a_day.is_some_and(|a_day| a_day >= (10_i64 << 30) as f64) {
        let message = format!(
            "{} of temporary files a day: sorts and hashes do not fit work_mem",
            bytes(a_day.unwrap_or_default() as i64)
        );
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Low, message)
                .about(object.clone())
                .count("temp_bytes", temporary)
                .evidence_aged(counted(row.temp_files.unwrap_or_default(), "file"), age_s)
                .remedy(
                    "log_temp_files shows which statements write them; raise work_mem for their role",
                    Vec::new(),
                ),
        );
    }
    let deadlocks = row.deadlocks.unwrap_or_default();
    if age_s.is_some_and(|age_s| deadlocks as f64 / (age_s / 86_400.0).max(1.0) >= 1.0) {
        let message = format!(
            "{} counted: transactions lock the same rows in another order",
            counted(deadlocks, "deadlock")
        );
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Low, message)
                .about(object.clone())
                .count("deadlocks", deadlocks)
                .evidence_aged("counted by the server", age_s)
                .remedy("the log names both statements of each; lock rows in one order", Vec::new()),
        );
    }
    outcome.findings.extend(growth(&row, facts, object));
    Ok(outcome)
}

/// When the declared disk is full, if it goes on like this.
fn growth(row: &Row, facts: &Facts, object: Object) -> Option<Finding> {
    let (before, now) = (facts.baseline.as_ref()?, row.bytes?);
    let (old, disk) = (before.database_bytes?, facts.declared.server.disk_bytes?);
    let between_s = facts.now_s - before.at_s;
    let a_second = (now - old) as f64 / between_s;
    if a_second <= 0.0 {
        return None;
    }
    let left_s = (disk - now).max(0) as f64 / a_second;
    let severity = match left_s / 86_400.0 {
        days if days < 7.0 => Severity::High,
        days if days < 30.0 => Severity::Medium,
        _ => return None,
    };
    let message = format!(
        "at {} a day, the disk of {} is full in {}",
        bytes((a_second * 86_400.0) as i64),
        bytes(disk),
        duration(left_s)
    );
    Some(
        Finding::new(CHECK.code, severity, message)
            .about(object)
            .count("bytes", now)
            .count("bytes_before", old)
            .sure(Confidence::Possible)
            .evidence_aged("grown since the snapshot", Some(between_s))
            .depends_on("what else is on the disk, WAL above all")
            .remedy("archive or drop what is not needed, or grow the disk before", Vec::new()),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;
    use crate::doctor::{Declared, Snapshot};

    fn row(read: i64, hit: i64, deadlocks: i64) -> serde_json::Value {
        json!([{"bytes": 80_i64 << 30, "blocks_read": read, "blocks_hit": hit, "temp_files": 0, "temp_bytes": 0,
            "deadlocks": deadlocks, "counted_s": 86_400.0 * 10.0}])
    }

    #[test]
    fn a_few_reads_say_nothing() {
        assert_eq!(judged(&CHECK, &facts(), row(900, 100, 3)).findings, []);
        assert_eq!(judged(&CHECK, &facts(), row(900_000, 100_000, 0)).findings.len(), 1);
        assert_eq!(judged(&CHECK, &facts(), row(0, 0, 20)).findings.len(), 1);
    }

    #[test]
    fn growth_is_held_against_the_disk() {
        let mut facts = facts();
        let before = Snapshot { at_s: 0.0, database_bytes: Some(70 << 30), ..Snapshot::default() };
        facts.baseline = Some(Arc::new(before));
        facts.now_s = 86_400.0;
        facts.declared = Declared::from_toml("[server]\ndisk_bytes = 107374182400").unwrap();
        let found = judged(&CHECK, &facts, row(0, 0, 0)).findings;
        assert_eq!(found[0].message, "at 10 GB a day, the disk of 100 GB is full in 2 days 0 h");
        assert_eq!(found[0].severity, Severity::High);
    }
}
