//! Foreign keys that no index serves: each deleted or changed key of the other table reads this one from end to end.
//!
//! A composite key is served only by an index that has all of its columns at its head. Not for: whether the rows obey
//! the key (see `integrity`).

use std::collections::BTreeMap;

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Finding, Severity, Step};
use serde::Deserialize;

use crate::doctor::remedy::{self, Leaf, NewIndex, On};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, table};

pub(crate) const CHECK: Check = Check {
    code: "foreign-key-without-index",
    title: "foreign keys that no index serves",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/foreign_key.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    oid: i64,
    name: String,
    parent_oid: i64,
    schema: String,
    table_name: String,
    table_oid: i64,
    table_kind: String,
    tuples: f64,
    pages: i64,
    live: i64,
    columns: Vec<String>,
    referenced_schema: String,
    referenced_table: String,
    referenced_columns: Vec<String>,
    referenced_deletes: i64,
    on_delete: String,
    is_served: bool,
    taken_names: Vec<String>,
}

impl Row {
    fn rows(&self) -> f64 {
        (self.live as f64).max(self.tuples).max(0.0)
    }
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let mut below: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.parent_oid != 0) {
        below.entry(row.parent_oid).or_default().push(row);
    }
    let keys: Vec<&Row> = rows.iter().filter(|row| row.parent_oid == 0).collect();
    let mut outcome = Outcome::default();
    let mut small = 0;
    let mut served = BTreeMap::new();
    for key in &keys {
        let leaves = leaves(key, &below);
        let unserved: Vec<&Row> = leaves.iter().copied().filter(|leaf| !leaf.is_served).collect();
        let count = leaves.iter().map(|leaf| leaf.rows()).sum::<f64>();
        if unserved.is_empty() {
            served.insert(key.oid, ());
        } else if count < facts.thresholds.table_rows_min {
            small += 1;
        } else {
            // Two keys over the same columns need one index.
            let is_known = outcome.findings.iter().any(|known: &Finding| {
                known.object.columns == key.columns
                    && known.object.table.as_ref() == Some(&key.table_name)
                    && known.object.schema.as_ref() == Some(&key.schema)
            });
            let mut finding = finding(key, &leaves, &unserved, count, facts);
            if is_known {
                finding.remedy = finding.remedy.map(|mut remedy| {
                    remedy.steps.clear();
                    remedy
                });
            }
            outcome.findings.push(finding);
        }
    }
    outcome.line = format!(
        "{} of {} are served by an index, {small} more are on small tables",
        served.len(),
        counted(keys.len(), "foreign key")
    );
    Ok(outcome)
}

/// The keys of all partitions at the bottom; of a plain table, its own.
fn leaves<'a>(key: &'a Row, below: &BTreeMap<i64, Vec<&'a Row>>) -> Vec<&'a Row> {
    match below.get(&key.oid) {
        Some(children) => children.iter().flat_map(|child| leaves(child, below)).collect(),
        None if key.table_kind == "p" => Vec::new(),
        None => vec![key],
    }
}

fn finding(key: &Row, leaves: &[&Row], unserved: &[&Row], rows: f64, facts: &Facts) -> Finding {
    let hurts = key.referenced_deletes > 0 || key.on_delete == "c" || key.on_delete == "n";
    let severity = match rows {
        rows if rows >= 100_000.0 && hurts => Severity::High,
        rows if rows >= 10_000.0 => Severity::Medium,
        _ => Severity::Low,
    };
    let columns = key.columns.join(", ");
    let on = if leaves.len() > 1 || key.table_kind == "p" {
        format!(" on {} of {}", unserved.len(), counted(leaves.len(), "partition"))
    } else {
        String::new()
    };
    let message = format!(
        "no index serves the foreign key {} of {} ({columns}){on}: each row deleted from {} reads {}",
        key.name,
        key.table_name,
        key.referenced_table,
        counted(rows as i64, "row")
    );
    let deletes = format!(
        "{} from {}.{} so far",
        deleted(key.referenced_deletes),
        key.referenced_schema,
        key.referenced_table
    );
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(table(&key.schema, &key.table_name))
        .count("rows", rows as i64)
        .count("referenced_deletes", key.referenced_deletes)
        .evidence_aged(deletes, facts.counters_age_s)
        .evidence(format!("it refers to {} ({})", key.referenced_table, key.referenced_columns.join(", ")));
    finding.object.kind = "constraint".into();
    finding.object.name = Some(key.name.clone());
    finding.object.columns = key.columns.clone();
    finding.remedy("build an index whose head is the key's columns", steps(key, unserved, facts))
}

fn deleted(count: i64) -> String {
    format!("{} {} deleted", counted(count, "row"), if count == 1 { "was" } else { "were" })
}

fn steps(key: &Row, unserved: &[&Row], facts: &Facts) -> Vec<Step> {
    let keys: Vec<String> = key.columns.iter().map(|column| quote::identifier(column)).collect();
    let new = NewIndex { method: "btree".into(), keys, predicate: None };
    let on = |row: &Row| On {
        name: Name::new(row.schema.as_str(), row.table_name.as_str()),
        pages: row.pages,
        rows: Some(row.rows()),
    };
    let name = remedy::new_name(&key.table_name, &key.columns, "idx", &key.taken_names);
    let leaf = |row: &&Row| Leaf {
        name: on(row).name,
        oid: row.table_oid,
        pages: row.pages,
        taken: row.taken_names.clone(),
    };
    // Partitions that have the index already are left out: their own is found when the parent is declared.
    let leaves: Vec<Leaf> = unserved.iter().map(leaf).collect();
    remedy::create_index(&on(key), key.table_kind == "p", &leaves, &name, &new, facts.block_bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{facts, judged};
    use super::*;

    fn row(oid: i64, more: Value) -> Value {
        let mut row = json!({"oid": oid, "name": "fk", "parent_oid": 0, "schema": "S", "table_name": "Order Item",
            "table_oid": oid, "table_kind": "r", "tuples": 50_000.0, "pages": 100, "live": 50_000,
            "columns": ["Order", "line"], "referenced_schema": "public", "referenced_table": "orders",
            "referenced_columns": ["id", "line"], "referenced_deletes": 0, "on_delete": "a", "is_served": false,
            "taken_names": []});
        let Value::Object(more) = more else { panic!("more fields") };
        row.as_object_mut().unwrap().extend(more);
        row
    }

    fn check(more: Value, expected: Option<Severity>) {
        let found = judged(&CHECK, &facts(), json!([row(1, more.clone())])).findings;
        assert_eq!(found.first().map(|one| one.severity), expected, "{more}");
    }

    #[test]
    fn size_and_deletes_make_it_worse() {
        check(json!({"is_served": true}), None);
        check(json!({"live": 60, "tuples": 60.0}), None);
        check(json!({"live": 5_000, "tuples": 5_000.0}), Some(Severity::Low));
        check(json!({}), Some(Severity::Medium));
        check(json!({"live": 900_000}), Some(Severity::Medium));
        check(json!({"live": 900_000, "on_delete": "c"}), Some(Severity::High));
        check(json!({"live": 900_000, "referenced_deletes": 4}), Some(Severity::High));
    }

    #[test]
    fn a_key_of_partitions_is_one_finding_and_one_index() {
        let rows = json!([
            row(1, json!({"table_kind": "p", "live": 0, "tuples": 0.0})),
            row(2, json!({"parent_oid": 1, "table_name": "p1"})),
            row(3, json!({"parent_oid": 1, "table_name": "p2", "is_served": true})),
        ]);
        let found = judged(&CHECK, &facts(), rows).findings;
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("on 1 of 2 partitions"), "{}", found[0].message);
        let ids: Vec<_> =
            found[0].remedy.as_ref().unwrap().steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
    }
}
