//! Constraints that were never checked against the rows that were there, or that are not enforced at all.
//!
//! Not for: rows that break a constraint which looks valid (see `integrity`).

use posthaste_base::catalog::Name;
use posthaste_report::{Finding, Severity};
use serde::Deserialize;

use crate::doctor::remedy::{self, On};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, shortened, table};

pub(crate) const CHECK: Check = Check {
    code: "constraint-not-validated",
    title: "constraints that were never checked, or are not enforced",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/constraint.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    oid: i64,
    name: String,
    kind: String,
    is_validated: bool,
    is_enforced: bool,
    parent_oid: i64,
    is_inherited: bool,
    schema: String,
    table_name: String,
    pages: i64,
    tuples: f64,
    columns: Vec<String>,
    definition: Option<String>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let mut outcome = Outcome::default();
    // What is inherited is checked with its parent's.
    let own =
        |row: &&Row| row.parent_oid == 0 && !row.is_inherited && (!row.is_validated || !row.is_enforced);
    for row in rows.iter().filter(own) {
        let kind = match row.kind.as_str() {
            "f" => "foreign key",
            "n" => "NOT NULL",
            _ => "check",
        };
        let what = match row.is_enforced {
            true => "was never checked against the rows that were there before it",
            false => "is not enforced: nothing checks it",
        };
        let message = format!("the {kind} {} of {} {what}", row.name, row.table_name);
        let on = On {
            name: Name::new(row.schema.as_str(), row.table_name.as_str()),
            pages: row.pages,
            rows: Some(row.tuples),
        };
        let mut finding =
            Finding::new(CHECK.code, Severity::Medium, message).about(table(&row.schema, &row.table_name));
        finding.object.name = Some(row.name.clone());
        finding.object.columns = row.columns.clone();
        if let Some(definition) = &row.definition {
            finding = finding.evidence(shortened(definition, 200));
        }
        outcome.findings.push(match row.is_enforced {
            true => finding.remedy(
                "count and mend the rows that break it (posthaste integrity), then validate it: writes go on meanwhile",
                vec![remedy::validate_constraint(row.oid, &on, &row.name, facts.block_bytes)],
            ),
            false => finding.remedy("count the rows that break it, then have it enforced", Vec::new()),
        });
    }
    outcome.line = format!("{} not validated", counted(outcome.findings.len(), "constraint"));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(more: Value, expected: usize) {
        let mut row = json!({"oid": 7, "name": "c", "kind": "f", "is_validated": true, "is_enforced": true,
            "parent_oid": 0, "is_inherited": false, "schema": "s", "table_name": "t", "pages": 1, "tuples": 5.0,
            "columns": ["a"], "definition": "FOREIGN KEY (a) REFERENCES b(id)"});
        let Value::Object(more) = more else { panic!("more fields") };
        row.as_object_mut().unwrap().extend(more.clone());
        assert_eq!(judged(&CHECK, &facts(), json!([row])).findings.len(), expected, "{more:?}");
    }

    #[test]
    fn only_a_constraint_s_own_state_counts() {
        check(json!({}), 0);
        check(json!({"is_validated": false}), 1);
        check(json!({"is_validated": false, "parent_oid": 4}), 0);
        check(json!({"is_validated": false, "is_inherited": true}), 0);
        check(json!({"is_enforced": false, "is_validated": false}), 1);
    }
}
