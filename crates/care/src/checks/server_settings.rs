//! Settings that put data at risk, or that do not fit the size of what is here.
//!
//! Not for: settings of single tables (see `autovacuum_off`), and for tuning by rules of thumb.

use posthaste_report::{Confidence, Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, bytes};

pub(crate) const CHECK: Check = Check {
    code: "server-settings",
    title: "settings that risk data or do not fit the size",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/database.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    bytes: Option<i64>,
    pages: Option<i64>,
    relations: i64,
}

struct Misfit {
    setting: &'static str,
    severity: Severity,
    message: String,
    remedy: &'static str,
    confidence: Confidence,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let row: Row = rows.one()?;
    let size = row.bytes.or(row.pages.map(|pages| pages * facts.block_bytes)).unwrap_or_default();
    let mut outcome = Outcome::line(format!(
        "shared_buffers is {} for a database of {} in {} tables",
        facts.bytes("shared_buffers").map_or_else(|| "unknown".to_owned(), bytes),
        bytes(size),
        row.relations
    ));
    for told in dangers(facts).into_iter().chain(misfits(facts, size)) {
        let value = facts.setting(told.setting).unwrap_or("unknown");
        let source = facts.settings.get(told.setting).and_then(|setting| setting.source.as_deref());
        outcome.findings.push(
            Finding::new(CHECK.code, told.severity, told.message)
                .about(Object {
                    kind: "setting".into(),
                    name: Some(told.setting.into()),
                    ..Object::default()
                })
                .evidence(format!("{} is {value}, from {}", told.setting, source.unwrap_or("unknown")))
                .sure(told.confidence)
                .remedy(told.remedy, Vec::new()),
        );
    }
    Ok(outcome)
}

/// What can lose or hide data, whatever the size.
fn dangers(facts: &Facts) -> Vec<Misfit> {
    let mut found = Vec::new();
    let mut say = |setting, is_bad: bool, severity, message: &str, remedy| {
        if is_bad {
            let confidence = Confidence::Certain;
            found.push(Misfit { setting, severity, message: message.to_owned(), remedy, confidence });
        }
    };
    let off = |name: &str| facts.setting(name) == Some("off");
    say(
        "fsync",
        off("fsync"),
        Severity::Critical,
        "fsync is off: a crash of the machine can lose or spoil the whole database",
        "switch fsync on; for speed, synchronous_commit = off loses at most the last moments",
    );
    say(
        "full_page_writes",
        off("full_page_writes"),
        Severity::High,
        "full_page_writes is off: a crash can leave torn pages that recovery cannot mend",
        "switch full_page_writes on, unless the file system writes whole pages at once",
    );
    say(
        "zero_damaged_pages",
        facts.is_on("zero_damaged_pages"),
        Severity::Critical,
        "zero_damaged_pages is on: damaged pages are emptied in silence",
        "switch it off; restore what is damaged from a backup",
    );
    say(
        "ignore_checksum_failure",
        facts.is_on("ignore_checksum_failure"),
        Severity::Critical,
        "ignore_checksum_failure is on: damaged pages are read as if they were whole",
        "switch it off; restore what is damaged from a backup",
    );
    say(
        "ignore_system_indexes",
        facts.is_on("ignore_system_indexes"),
        Severity::High,
        "ignore_system_indexes is on: the catalog's indexes are not used",
        "reindex the system catalogs and switch it off",
    );
    say(
        "autovacuum",
        off("autovacuum"),
        Severity::High,
        "autovacuum is off: dead rows stay, statistics age, and transaction numbers run out",
        "switch autovacuum on; make it gentler by its cost settings, never by switching it off",
    );
    say(
        "track_counts",
        off("track_counts"),
        Severity::High,
        "track_counts is off: autovacuum does not know what to do, and nothing is counted",
        "switch track_counts on",
    );
    say(
        "session_replication_role",
        facts.setting("session_replication_role") == Some("replica"),
        Severity::High,
        "session_replication_role is replica for sessions like this one: foreign keys are not checked",
        "reset it for the role or the database",
    );
    found
}

/// What was right for another size.
fn misfits(facts: &Facts, size: i64) -> Vec<Misfit> {
    let mut found = Vec::new();
    let (likely, possible) = (Confidence::Likely, Confidence::Possible);
    if let Some(buffers) =
        facts.bytes("shared_buffers").filter(|buffers| *buffers <= 128 << 20 && size > 10 << 30)
    {
        let message = format!("shared_buffers is {} and the database {}", bytes(buffers), bytes(size));
        let remedy = "give a quarter of the machine's memory to shared_buffers";
        let (setting, severity) = ("shared_buffers", Severity::Medium);
        found.push(Misfit { setting, severity, message, remedy, confidence: likely });
    }
    if let Some(memory) =
        facts.bytes("maintenance_work_mem").filter(|mem| *mem <= 64 << 20 && size > 50 << 30)
    {
        let message = format!(
            "maintenance_work_mem is {}: VACUUM reads the indexes of large tables several times",
            bytes(memory)
        );
        let remedy = "raise maintenance_work_mem to a gigabyte, or autovacuum_work_mem alone";
        let (setting, severity) = ("maintenance_work_mem", Severity::Low);
        found.push(Misfit { setting, severity, message, remedy, confidence: likely });
    }
    if let Some(wal) = facts.bytes("max_wal_size").filter(|wal| *wal <= 1 << 30 && size > 50 << 30) {
        let message =
            format!("max_wal_size is {}: a busy database of this size checkpoints too often", bytes(wal));
        let remedy = "raise max_wal_size until checkpoints come by time and not by size";
        let (setting, severity) = ("max_wal_size", Severity::Low);
        found.push(Misfit { setting, severity, message, remedy, confidence: possible });
    }
    let sessions = facts.number("max_connections").unwrap_or_default() as i64;
    let (work, memory) = (facts.bytes("work_mem").unwrap_or_default(), facts.declared.server.memory_bytes);
    if let Some(memory) = memory.filter(|memory| sessions.saturating_mul(work) > *memory) {
        let message = format!(
            "work_mem of {} times {sessions} connections is {}, more than the machine's {}",
            bytes(work),
            bytes(sessions.saturating_mul(work)),
            bytes(memory)
        );
        let remedy = "lower work_mem or max_connections; give single roles more where they sort";
        let (setting, severity) = ("work_mem", Severity::Medium);
        found.push(Misfit { setting, severity, message, remedy, confidence: likely });
    }
    let limit = facts.number("vacuum_cost_limit").unwrap_or(200.0);
    let own = facts.number("autovacuum_vacuum_cost_limit").filter(|own| *own >= 0.0).unwrap_or(limit);
    let delay_ms = facts.number("autovacuum_vacuum_cost_delay").filter(|own| *own >= 0.0).unwrap_or(2.0);
    // At the limits' default prices, a page that is read and made dirty costs 22.
    let bytes_a_second = if delay_ms > 0.0 { own / 22.0 * 8192.0 * 1000.0 / delay_ms } else { f64::INFINITY };
    if size > 10 << 30 && bytes_a_second < 10e6 {
        let message = format!(
            "autovacuum may rewrite {} a second at most, for a database of {}",
            bytes(bytes_a_second as i64),
            bytes(size)
        );
        let remedy = "set autovacuum_vacuum_cost_delay to 2 ms and raise autovacuum_vacuum_cost_limit";
        let (setting, severity) = ("autovacuum_vacuum_cost_delay", Severity::Medium);
        found.push(Misfit { setting, severity, message, remedy, confidence: likely });
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(settings: &[(&str, &str, Option<&str>)], size: i64, expected: &[(&str, Severity)]) {
        let mut facts = facts();
        for (name, value, unit) in settings {
            let setting = json!({"value": value, "unit": unit, "source": "default"});
            facts.settings.insert((*name).into(), serde_json::from_value(setting).unwrap());
        }
        let row = json!({"bytes": size, "pages": null, "relations": 3});
        let found = judged(&CHECK, &facts, json!([row])).findings;
        let found: Vec<_> =
            found.iter().map(|one| (one.object.name.as_deref().unwrap(), one.severity)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_loses_data_is_said_at_any_size() {
        check(&[("fsync", "on", None), ("autovacuum", "on", None)], 1 << 20, &[]);
        check(
            &[("fsync", "off", None), ("autovacuum", "off", None)],
            1 << 20,
            &[("fsync", Severity::Critical), ("autovacuum", Severity::High)],
        );
    }

    #[test]
    fn defaults_fit_a_small_database_and_not_a_large_one() {
        let defaults =
            [("shared_buffers", "16384", Some("8kB")), ("maintenance_work_mem", "65536", Some("kB"))];
        check(&defaults, 1 << 30, &[]);
        let expected = [("shared_buffers", Severity::Medium), ("maintenance_work_mem", Severity::Low)];
        check(&defaults, 100 << 30, &expected);
        check(
            &[("autovacuum_vacuum_cost_delay", "20", Some("ms"))],
            100 << 30,
            &[("autovacuum_vacuum_cost_delay", Severity::Medium)],
        );
    }
}
