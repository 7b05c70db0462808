//! Tables whose rows cannot be told apart: no primary key, and nothing that could stand for one.
//!
//! Not for: whether the key is a good one.

use posthaste_report::{Finding, Severity};

use super::tables::{SQL, Table};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, table};

pub(crate) const CHECK: Check = Check {
    code: "no-primary-key",
    title: "tables without a key",
    needs: Needs::NOTHING,
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, _: &Facts) -> Result<Outcome, Unseen> {
    let tables: Vec<Table> = rows.of()?;
    let mut outcome = Outcome::default();
    // A partition has the key of its parent, or lacks it with all others.
    let asked =
        |one: &&Table| one.kind != "m" && !one.is_partition && !one.is_of_extension && !is_set_aside(one);
    for one in tables.iter().filter(asked).filter(|one| !one.has_primary_key) {
        // Updates of a published table fail when nothing identifies a row.
        let fails = one.is_published && matches!(one.replica_identity.as_str(), "d" | "n");
        let severity = match (fails, one.has_unique_key) {
            (true, _) => Severity::High,
            (false, false) => Severity::Medium,
            (false, true) => Severity::Low,
        };
        let has = if one.has_unique_key { ", but a unique key without NULLs" } else { "" };
        let mut finding =
            Finding::new(CHECK.code, severity, format!("{} has no primary key{has}", one.table_name))
                .about(table(&one.schema, &one.table_name))
                .count("rows", one.rows().unwrap_or_default() as i64);
        if fails {
            finding =
                finding.evidence("it is published without a replica identity: UPDATE and DELETE on it fail");
        }
        let text = match one.has_unique_key {
            true => "make the unique index the primary key: ALTER TABLE ... ADD PRIMARY KEY USING INDEX",
            false => "find the columns that identify a row, look for duplicates in them, then add the key",
        };
        outcome.findings.push(finding.remedy(text, Vec::new()));
    }
    outcome.line =
        format!("{} of {} have no primary key", outcome.findings.len(), counted(tables.len(), "table"));
    Ok(outcome)
}

/// Rows that a plan of ours put aside have the form of their table, and no keys: some are there because of their key.
fn is_set_aside(one: &Table) -> bool {
    ["posthaste_quarantine", "posthaste_undo"].contains(&one.schema.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tables::row;
    use super::super::tests::{facts, judged};
    use super::*;

    fn check(more: Value, expected: &[Severity]) {
        let found = judged(&CHECK, &facts(), json!([row("t", more.clone())])).findings;
        assert_eq!(found.iter().map(|one| one.severity).collect::<Vec<_>>(), expected, "{more}");
    }

    #[test]
    fn a_unique_key_is_half_a_key_and_replication_needs_one() {
        check(json!({}), &[]);
        check(json!({"has_primary_key": false}), &[Severity::Low]);
        check(json!({"has_primary_key": false, "has_unique_key": false}), &[Severity::Medium]);
        check(json!({"has_primary_key": false, "is_published": true}), &[Severity::High]);
        check(json!({"has_primary_key": false, "is_partition": true}), &[]);
        let aside =
            json!({"schema": "posthaste_quarantine", "has_primary_key": false, "has_unique_key": false});
        check(aside, &[]);
    }
}
