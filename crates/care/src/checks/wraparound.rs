//! How near the counters of transactions and multixacts are to the point where the server refuses to write.
//!
//! Not for: dead rows.

use posthaste_base::catalog::Name;
use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::remedy::{self, On};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, percent, table};

/// The server stops taking transactions about three million before this.
const END: f64 = 2_147_483_648.0;
/// Autovacuum begins at `autovacuum_freeze_max_age` (200 million); so far behind, it does not keep up.
const MEDIUM: i64 = 500_000_000;
const HIGH: i64 = 1_000_000_000;
/// From 1.6 billion the server itself leaves everything else aside (`vacuum_failsafe_age`).
const CRITICAL: i64 = 1_600_000_000;

pub(crate) const CHECK: Check = Check {
    code: "wraparound",
    title: "transaction and multixact numbers near their end",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/wraparound.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    kind: String,
    schema: Option<String>,
    name: String,
    is_here: bool,
    xid_age: i64,
    multixact_age: i64,
    pages: Option<i64>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let oldest = rows.iter().map(|row| row.xid_age.max(row.multixact_age)).max().unwrap_or_default();
    let mut outcome = Outcome::line(format!(
        "the oldest transaction number is {} old, {} of the way to the end",
        counted(oldest, "transaction"),
        percent(oldest as f64, END)
    ));
    let is_multi = |row: &Row| row.multixact_age > row.xid_age;
    for row in &rows {
        let age = row.xid_age.max(row.multixact_age);
        let severity = match age {
            age if age >= CRITICAL => Severity::Critical,
            age if age >= HIGH => Severity::High,
            age if age >= MEDIUM => Severity::Medium,
            _ => continue,
        };
        let counter = if is_multi(row) { "multixact" } else { "transaction" };
        let what = match row.kind.as_str() {
            "database" => format!("the database {}", row.name),
            "toast" => format!("the TOAST table of {}", row.name),
            _ => format!("the table {}", row.name),
        };
        let message = format!(
            "the oldest {counter} number of {what} is {} old, {} of the way to the end",
            counted(age, counter),
            percent(age as f64, END)
        );
        let mut finding = Finding::new(CHECK.code, severity, message)
            .count("xid_age", row.xid_age)
            .count("multixact_age", row.multixact_age)
            .evidence(format!(
                "autovacuum_freeze_max_age is {}",
                facts.setting("autovacuum_freeze_max_age").unwrap_or("unknown")
            ));
        finding.object = match row.kind.as_str() {
            "database" => {
                Object { kind: "database".into(), name: Some(row.name.clone()), ..Object::default() }
            }
            _ => table(row.schema.as_deref().unwrap_or_default(), &row.name),
        };
        let mut steps = Vec::new();
        if let (true, "table", Some(schema)) = (row.is_here, row.kind.as_str(), &row.schema) {
            let on = On {
                name: Name::new(schema.as_str(), row.name.as_str()),
                pages: row.pages.unwrap_or_default(),
                rows: None,
            };
            steps.push(remedy::vacuum_freeze(&on, facts.block_bytes));
        }
        outcome.findings.push(finding.remedy(
            "end what holds the vacuum horizon, then freeze the oldest tables; find out why autovacuum does not",
            steps,
        ));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(xid_age: i64, multixact_age: i64, expected: Option<Severity>) {
        let row = json!({"kind": "table", "schema": "s", "name": "T", "is_here": true, "xid_age": xid_age,
            "multixact_age": multixact_age, "pages": 1});
        let found = judged(&CHECK, &facts(), json!([row])).findings;
        assert_eq!(found.first().map(|finding| finding.severity), expected, "{xid_age} {multixact_age}");
    }

    #[test]
    fn either_counter_can_run_out() {
        check(200_000_000, 0, None);
        check(600_000_000, 0, Some(Severity::Medium));
        check(0, 1_200_000_000, Some(Severity::High));
        check(1_700_000_000, 0, Some(Severity::Critical));
    }
}
