//! Partitions that lack an index, a constraint or a NOT NULL that most of their siblings have.
//!
//! Not for: indexes that a parent declares and a partition lacks, when the parent says so itself (see `invalid_index`).

use std::collections::{BTreeMap, BTreeSet};

use posthaste_base::catalog::Name;
use posthaste_report::{Finding, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, table};

pub(crate) const CHECK: Check = Check {
    code: "partition-differs",
    title: "partitions without what their siblings have",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/partition_shape.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    parent_oid: i64,
    parent_schema: String,
    parent_name: String,
    schema: String,
    name: String,
    is_default: bool,
    is_locked: bool,
    indexes: Vec<String>,
    constraints: Option<Vec<String>>,
    not_nulls: Vec<String>,
}

impl Row {
    fn traits(&self) -> BTreeSet<&str> {
        let constraints = self.constraints.iter().flatten();
        self.indexes.iter().chain(constraints).chain(&self.not_nulls).map(String::as_str).collect()
    }
}

fn judge(rows: &Rows, _: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let mut parents: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.is_default) {
        parents.entry(row.parent_oid).or_default().push(row);
    }
    let mut outcome = Outcome::default();
    for partitions in parents.values() {
        let first = partitions[0];
        if partitions.iter().any(|row| row.is_locked) {
            let parent = Name::new(first.parent_schema.as_str(), first.parent_name.as_str());
            outcome
                .skipped
                .push(format!("partitions of {}: somebody locks one exclusively", parent.quoted()));
            continue;
        }
        let mut having: BTreeMap<&str, usize> = BTreeMap::new();
        for partition in partitions {
            for one in partition.traits() {
                *having.entry(one).or_default() += 1;
            }
        }
        for (one, count) in having {
            // Half of two is no rule.
            if count * 2 > partitions.len() && count < partitions.len() {
                outcome.findings.push(finding(one, count, partitions));
            }
        }
    }
    outcome.line = format!(
        "{} that some partitions of {} lack",
        counted(outcome.findings.len(), "index or constraint")
            .replace("index or constraints", "indexes or constraints"),
        counted(parents.len(), "table")
    );
    Ok(outcome)
}

fn finding(one: &str, count: usize, partitions: &[&Row]) -> Finding {
    let lacking: Vec<&&Row> = partitions.iter().filter(|row| !row.traits().contains(one)).collect();
    let first = lacking[0];
    let others = if lacking.len() > 1 { format!(" and {} more", lacking.len() - 1) } else { String::new() };
    let message = format!(
        "{}{others} of {} has no {one}, as {} of its {} partitions have",
        first.name,
        first.parent_name,
        count,
        partitions.len()
    );
    let severity = if one.contains(" index on ") { Severity::Medium } else { Severity::Low };
    let mut finding = Finding::new("partition-differs", severity, message)
        .about(table(&first.schema, &first.name))
        .count("with", count as i64)
        .count("without", lacking.len() as i64);
    finding.object.name = Some(one.to_owned());
    for row in lacking.iter().take(10) {
        finding = finding
            .evidence(format!("{} lacks it", Name::new(row.schema.as_str(), row.name.as_str()).quoted()));
    }
    finding
        .remedy("make it there too; declared on the parent, new partitions get it by themselves", Vec::new())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{facts, judged};
    use super::*;

    fn row(name: &str, indexes: &[&str], is_locked: bool) -> Value {
        json!({"parent_oid": 1, "parent_schema": "s", "parent_name": "Events", "schema": "s", "name": name,
            "is_default": false, "is_locked": is_locked, "indexes": indexes, "constraints": [], "not_nulls": []})
    }

    #[test]
    fn the_one_without_it_is_named() {
        let index = "btree index on (at)";
        let rows = json!([row("a", &[index], false), row("b", &[], false), row("c", &[index], false)]);
        let found = judged(&CHECK, &facts(), rows).findings;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].object.table.as_deref(), Some("b"));
    }

    #[test]
    fn one_of_two_is_no_rule_and_a_locked_one_is_left_out() {
        let index = "btree index on (at)";
        let rows = json!([row("a", &[index], false), row("b", &[], false)]);
        assert_eq!(judged(&CHECK, &facts(), rows).findings, []);
        let rows = json!([row("a", &[index], false), row("b", &[], true), row("c", &[index], false)]);
        let outcome = judged(&CHECK, &facts(), rows);
        assert_eq!((outcome.findings.len(), outcome.skipped.len()), (0, 1));
    }
}
