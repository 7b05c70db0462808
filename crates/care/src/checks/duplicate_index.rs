//! Indexes that another one makes needless: the same key, or the head of a longer one.
//!
//! Two are only the same when method, operator classes, collations, order, predicate, expressions and included columns
//! are. Not for: indexes that nothing reads (see `unused_index`).

use std::collections::BTreeMap;

use posthaste_report::{Finding, Severity};

use super::indexes::{Index, SQL};
use crate::doctor::{
    Check, Facts, INDEX_OID, Judge, Needs, Outcome, Rows, Told, Unseen, bytes, counted, index, remedy,
};

pub(crate) const CHECK: Check = Check {
    code: "duplicate-index",
    title: "indexes that another one makes needless",
    needs: Needs::NOTHING,
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let indexes: Vec<Index> = rows.of()?;
    let mut outcome = Outcome::default();
    let mut by_table: BTreeMap<i64, Vec<&Index>> = BTreeMap::new();
    // One that is not valid serves nobody, and is a matter of its own.
    for one in indexes.iter().filter(|one| one.is_valid && one.is_live && !one.is_of_extension) {
        by_table.entry(one.table_oid).or_default().push(one);
    }
    for of_table in by_table.values().filter(|of_table| of_table.len() > 1) {
        for one in of_table {
            if let Some(other) = better(one, of_table) {
                outcome.findings.push(finding(one, other, facts));
            }
        }
    }
    outcome.line = format!(
        "{} of {} do what another one does too",
        outcome.findings.len(),
        counted(indexes.len(), "index")
    );
    Ok(outcome)
}

/// Which other index makes this one needless, if one does. The best of them, so that the answer is always the same.
fn better<'a>(one: &Index, of_table: &[&'a Index]) -> Option<&'a Index> {
    if one.needed_for().is_some() && !is_second_constraint(one, of_table) {
        return None;
    }
    let serves = |other: &&&Index| {
        one.is_served_by(other)
            && keeps_promise(one, other)
            && (!one.is_same_key(other) || rank(other) < rank(one))
    };
    of_table.iter().filter(serves).min_by_key(|other| (other.keys().len(), rank(other))).copied()
}

/// The promise of a unique index must be kept by the one that stays.
fn keeps_promise(one: &Index, other: &Index) -> bool {
    !one.is_unique
        || (other.is_unique
            && one.is_same_key(other)
            && one.included() == other.included()
            && one.nulls_not_distinct == other.nulls_not_distinct
            && (other.is_immediate || !one.is_immediate))
}

/// A second unique constraint over the same columns, to which nothing refers.
fn is_second_constraint(one: &Index, of_table: &[&Index]) -> bool {
    let is_plain = !one.is_primary && !one.is_exclusion && one.referred_by == 0 && !one.is_replica_identity;
    is_plain
        && one.parent_oid.is_none()
        && one.constraint_name.is_some()
        && of_table.iter().any(|other| {
            one.is_same_key(other)
                && keeps_promise(one, other)
                && other.constraint_name.is_some()
                && rank(other) < rank(one)
        })
}

/// Of two that do the same, the one with the smaller rank stays.
fn rank(one: &Index) -> (bool, bool, bool, bool, bool, std::cmp::Reverse<i64>, i64) {
    (
        !one.is_primary,
        one.referred_by == 0,
        one.needed_for().is_none(),
        !one.is_unique,
        !one.is_clustered,
        std::cmp::Reverse(one.scans),
        one.oid,
    )
}

fn finding(one: &Index, other: &Index, facts: &Facts) -> Finding {
    let is_same = one.is_same_key(other);
    let size = one.pages * facts.block_bytes;
    let (severity, how) = match is_same {
        true => (Severity::Medium, "has the same key as"),
        false => (Severity::Low, "is the head of"),
    };
    let message = format!("{} {how} {} and takes {}", one.name, other.name, bytes(size));
    let stays = match other.needed_for() {
        Some(why) => format!("{} stays: {why}", other.name),
        None if other.is_unique => format!("{} stays: it also keeps values unique", other.name),
        None if is_same => {
            format!(
                "{} stays: it was read {} against {}",
                other.name,
                counted(other.scans, "time"),
                one.scans
            )
        }
        None => format!("{} stays: it also serves what needs its further columns", other.name),
    };
    let step = match one.constraint_name.as_deref() {
        Some(constraint) => remedy::drop_constraint(one.oid, &one.table(), constraint),
        None => remedy::drop_index(one.oid, &one.index_name(), &one.table(), one.is_partitioned()),
    };
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(index(&one.schema, &one.table_name, &one.name))
        .count("bytes", size)
        .count("table_writes", one.table_writes)
        .evidence(stays)
        .evidence("method, operator classes, collations, order, predicate and expressions are the same")
        .evidence_aged(
            format!("{} to the table each write both", counted(one.table_writes, "write")),
            facts.counters_age_s,
        );
    finding.counts.insert(INDEX_OID.to_owned(), one.oid);
    if !is_same && one.pages * 4 < other.pages {
        finding = finding.depends_on("whether it is read so often that its smaller size counts");
    }
    finding.remedy(format!("drop {}", one.name), vec![step])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::indexes::row;
    use super::super::tests::{facts, judged};
    use super::*;

    /// Which of two is to go.
    fn check(a: Value, b: Value, expected: &[&str]) {
        let rows = json!([row(1, "a", a.clone()), row(2, "b", b.clone())]);
        let found = judged(&CHECK, &facts(), rows).findings;
        let names: Vec<_> = found.iter().map(|one| one.object.name.as_deref().unwrap()).collect();
        assert_eq!(names, expected, "{a}\n{b}");
    }

    fn two(options: &str) -> Value {
        json!({"key_count": 2, "key": "2 3", "classes": "10 10", "collations": "0 0", "options": options})
    }

    #[test]
    fn order_collation_class_and_predicate_tell_them_apart() {
        check(json!({}), json!({}), &["b"]);
        check(json!({}), json!({"scans": 900}), &["a"]);
        check(two("0 0"), two("0 3"), &[]);
        // Read backward, it is the same.
        check(two("0 0"), two("3 3"), &["b"]);
        check(two("0 3"), two("3 0"), &["b"]);
        check(json!({}), json!({"classes": "11"}), &[]);
        check(json!({}), json!({"collations": "100"}), &[]);
        check(json!({}), json!({"predicate": "p"}), &[]);
        check(json!({"key": "0", "expressions": "x"}), json!({"key": "0", "expressions": "y"}), &[]);
        check(json!({}), json!({"method": "hash"}), &[]);
        check(json!({}), json!({"is_valid": false}), &[]);
    }

    #[test]
    fn the_head_of_a_longer_one_goes() {
        check(json!({}), two("0 0"), &["a"]);
        check(json!({"is_unique": true}), two("0 0"), &[]);
        check(json!({"key": "3"}), two("0 0"), &[]);
        check(json!({"options": "3"}), two("0 0"), &["a"]);
        check(json!({"key": "2 9"}), two("0 0"), &[]);
        check(json!({"key": "2 3"}), two("0 0"), &["a"]);
        check(
            json!({"method": "gin"}),
            {
                let mut longer = two("0 0");
                longer["method"] = json!("gin");
                longer
            },
            &[],
        );
    }

    #[test]
    fn what_keeps_a_promise_stays() {
        check(json!({}), json!({"is_unique": true}), &["a"]);
        check(json!({"is_unique": true, "constraint_name": "a"}), json!({"is_unique": true}), &["b"]);
        check(json!({"is_unique": true}), json!({"is_unique": true, "nulls_not_distinct": true}), &[]);
        check(json!({"is_primary": true, "is_unique": true, "constraint_name": "a"}), json!({}), &["b"]);
        check(json!({"is_replica_identity": true, "is_unique": true}), json!({"is_unique": true}), &["b"]);
        check(json!({"parent_oid": 9}), json!({}), &["b"]);
        check(json!({"parent_oid": 9}), json!({"parent_oid": 8}), &[]);
    }

    #[test]
    fn a_second_constraint_is_dropped_as_one() {
        let unique = |name: &str| json!({"is_unique": true, "constraint_name": name});
        let rows = json!([row(1, "a", unique("a")), row(2, "b", unique("b"))]);
        let found = judged(&CHECK, &facts(), rows).findings;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].remedy.as_ref().unwrap().steps[0].id, "drop-constraint-2");
        let mut referred = unique("b");
        referred["referred_by"] = json!(1);
        check(unique("a"), referred, &["a"]);
    }
}
