//! Indexes that nothing reads and every write pays for.
//!
//! What the data needs stays: unique indexes, those of constraints, of replication and of foreign keys. A partition's
//! index belongs to its parent's. Not for: two indexes that do the same (see `duplicate_index`).

use std::collections::BTreeMap;

use posthaste_report::{Confidence, Finding, Severity};

use super::indexes::{Index, SQL};
use crate::doctor::{
    Check, Facts, INDEX_OID, Judge, Needs, Outcome, Rows, Told, Unseen, bytes, counted, duration, index,
    remedy,
};

/// The planner's own look at the ends of an index counts as a scan, so that a handful is none.
const HANDFUL: i64 = 5;
/// Without a scan for so long, 16 and newer call it unused whatever came before.
const FORGOTTEN_S: f64 = 90.0 * 86_400.0;
/// Smaller ones cost nothing that could be measured.
const PAGES_MIN: i64 = 5;

pub(crate) const CHECK: Check = Check {
    code: "unused-index",
    title: "indexes that nothing reads",
    needs: Needs::NOTHING,
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let indexes: Vec<Index> = rows.of()?;
    let age_s = facts.counters_age_s;
    let mut outcome = Outcome::default();
    let parts = parts(&indexes);
    let mut kept = 0;
    for one in indexes.iter().filter(|one| one.is_valid && one.is_live && !one.is_of_extension) {
        let of_one = vec![one];
        let all = parts.get(&one.oid).unwrap_or(&of_one);
        let (scans, pages) = (sum(all, |part| part.scans), sum(all, |part| part.pages));
        let last_s = all.iter().filter_map(|part| part.last_scan_s).reduce(f64::min);
        let Some(seen) = unused(scans, last_s, age_s) else { continue };
        if one.is_unique || one.needed_for().is_some() || pages < PAGES_MIN {
            continue;
        }
        if one.serves_foreign_key {
            kept += 1;
            continue;
        }
        outcome.findings.push(finding(one, all, pages, seen, facts));
    }
    let since =
        age_s.map_or_else(|| "since an unknown time".to_owned(), |age_s| format!("for {}", duration(age_s)));
    outcome.line = format!(
        "{} of {} were read by nothing, counted {since}; {kept} more serve foreign keys alone",
        outcome.findings.len(),
        counted(indexes.len(), "index")
    );
    Ok(outcome)
}

fn sum(all: &[&Index], number: impl Fn(&Index) -> i64) -> i64 {
    all.iter().map(|part| number(part)).sum()
}

/// The indexes of all partitions below each parent's, whatever the depth.
fn parts(indexes: &[Index]) -> BTreeMap<i64, Vec<&Index>> {
    let parents: BTreeMap<i64, i64> =
        indexes.iter().filter_map(|one| Some((one.oid, one.parent_oid?))).collect();
    let mut parts: BTreeMap<i64, Vec<&Index>> = BTreeMap::new();
    for one in indexes.iter().filter(|one| !one.is_partitioned()) {
        let mut above = parents.get(&one.oid);
        while let Some(parent) = above {
            parts.entry(*parent).or_default().push(one);
            above = parents.get(parent);
        }
    }
    parts
}

enum Seen {
    Never,
    Hardly(i64),
    NotSince(f64),
}

fn unused(scans: i64, last_s: Option<f64>, age_s: Option<f64>) -> Option<Seen> {
    match (scans, last_s) {
        (0, _) => Some(Seen::Never),
        (_, Some(last_s)) if last_s >= FORGOTTEN_S => Some(Seen::NotSince(last_s)),
        (scans, None) if scans <= HANDFUL && age_s.is_some_and(|age_s| age_s >= FORGOTTEN_S / 3.0) => {
            Some(Seen::Hardly(scans))
        }
        _ => None,
    }
}

fn finding(one: &Index, all: &[&Index], pages: i64, seen: Seen, facts: &Facts) -> Finding {
    let age_s = facts.counters_age_s;
    let is_long = age_s.is_some_and(|age_s| age_s >= facts.thresholds.unused_counters_s);
    let confidence = match seen {
        _ if !is_long || facts.replicas > 0 || facts.is_replica => Confidence::Possible,
        Seen::Never | Seen::NotSince(_) => Confidence::Likely,
        Seen::Hardly(_) => Confidence::Possible,
    };
    let size = pages * facts.block_bytes;
    let severity = match (confidence, size) {
        (Confidence::Possible, _) => Severity::Info,
        (_, size) if size >= 1 << 30 => Severity::Medium,
        _ => Severity::Low,
    };
    let used = match seen {
        Seen::Never => "was read by nothing".to_owned(),
        Seen::Hardly(scans) => format!("was read {}", counted(scans, "time")),
        Seen::NotSince(last_s) => format!("was last read {} ago", duration(last_s)),
    };
    let parts = if one.is_partitioned() {
        format!(", on {}", counted(all.len(), "partition"))
    } else {
        String::new()
    };
    let message = format!("{} {used}, and takes {}{parts}", one.name, bytes(size));
    let writes = sum(all, |part| part.table_writes);
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(index(&one.schema, &one.table_name, &one.name))
        .count("scans", sum(all, |part| part.scans))
        .count("bytes", size)
        .count("table_writes", writes)
        .sure(confidence)
        .evidence_aged("counted on this server", age_s)
        .evidence(format!("{} to its table each cost a write to it", counted(writes, "write")));
    finding.counts.insert(INDEX_OID.to_owned(), one.oid);
    if age_s.is_none() {
        finding = finding.depends_on("since when scans are counted, which is not known");
    } else if !is_long {
        finding = finding.depends_on("whether a week or a month brings a query that needs it");
    }
    if facts.replicas > 0 {
        finding =
            finding.depends_on(format!("what {} counted by themselves", counted(facts.replicas, "replica")));
    }
    if confidence == Confidence::Possible {
        return finding.remedy("look again when the counters are older, on every replica too", Vec::new());
    }
    let step = remedy::drop_index(one.oid, &one.index_name(), &one.table(), one.is_partitioned());
    finding.remedy("drop it, without stopping anybody; its definition is kept to make it again", vec![step])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::indexes::row;
    use super::super::tests::{facts, judged};
    use super::*;

    fn found(rows: Value) -> Vec<(String, Severity)> {
        let found = judged(&CHECK, &facts(), rows).findings;
        found.into_iter().map(|one| (one.object.name.unwrap(), one.severity)).collect()
    }

    fn check(more: Value, expected: Option<Severity>) {
        let said = found(json!([row(5, "i", more.clone())]));
        assert_eq!(said.first().map(|one| one.1), expected, "{more}");
    }

    #[test]
    fn what_the_data_needs_stays() {
        check(json!({"scans": 0}), Some(Severity::Low));
        check(json!({"scans": 0, "is_unique": true}), None);
        check(json!({"scans": 0, "constraint_name": "c"}), None);
        check(json!({"scans": 0, "is_replica_identity": true}), None);
        check(json!({"scans": 0, "serves_foreign_key": true}), None);
        check(json!({"scans": 0, "is_valid": false}), None);
        check(json!({"scans": 0, "pages": 1}), None);
    }

    #[test]
    fn a_probe_is_no_use_and_an_old_scan_is_none() {
        check(json!({"scans": 2}), Some(Severity::Info));
        check(json!({"scans": 200}), None);
        check(json!({"scans": 200, "last_scan_s": 100.0 * 86_400.0}), Some(Severity::Low));
        check(json!({"scans": 2, "last_scan_s": 60.0}), None);
    }

    #[test]
    fn young_counters_and_replicas_make_it_a_guess() {
        let rows = || json!([row(5, "i", json!({"scans": 0}))]);
        let mut facts = facts();
        facts.counters_age_s = Some(60.0);
        let finding = &judged(&CHECK, &facts, rows()).findings[0];
        assert_eq!((finding.severity, finding.confidence), (Severity::Info, Confidence::Possible));
        assert_eq!(finding.remedy.as_ref().unwrap().steps, []);
        facts.counters_age_s = Some(60.0 * 86_400.0);
        facts.replicas = 1;
        assert_eq!(judged(&CHECK, &facts, rows()).findings[0].confidence, Confidence::Possible);
    }

    #[test]
    fn a_partition_s_index_belongs_to_its_parent_s() {
        let parent = || row(1, "whole", json!({"table_kind": "p", "scans": 0, "pages": 0}));
        let part = |oid: i64, scans: i64| {
            row(oid, &format!("part{oid}"), json!({"parent_oid": 1, "table_oid": oid, "scans": scans}))
        };
        assert_eq!(found(json!([parent(), part(2, 0), part(3, 900)])), []);
        assert_eq!(found(json!([parent(), part(2, 0), part(3, 0)])), [("whole".to_owned(), Severity::Low)]);
    }
}
