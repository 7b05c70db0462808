//! Tables that a crash empties, and that no standby has.
//!
//! Not for: temporary tables.

use posthaste_report::{Finding, Severity};

use super::tables::{SQL, Table};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, remedy, table};

pub(crate) const CHECK: Check = Check {
    code: "unlogged-table",
    title: "tables that a crash empties",
    needs: Needs::NOTHING,
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let tables: Vec<Table> = rows.of()?;
    let mut outcome = Outcome::default();
    for one in tables.iter().filter(|one| one.persistence == "u" && !one.is_of_extension && one.kind != "p") {
        let rows = one.rows().unwrap_or_default() as i64;
        let message =
            format!("{} is unlogged: a crash empties it, and standbys have none of it", one.table_name);
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Medium, message)
                .about(table(&one.schema, &one.table_name))
                .count("rows", rows)
                .evidence(format!("about {} would be lost", counted(rows, "row")))
                .depends_on("whether its rows can be made again, as those of a cache can")
                .remedy(
                    "make it durable, at a quiet time: it is written anew under an exclusive lock",
                    vec![remedy::set_logged(one.oid, &one.on(), facts.block_bytes)],
                ),
        );
    }
    outcome.line = format!("{} of {} are unlogged", outcome.findings.len(), counted(tables.len(), "table"));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tables::row;
    use super::super::tests::{facts, judged};
    use super::*;

    #[test]
    fn only_unlogged_tables_are_named() {
        let rows = json!([row("a", json!({})), row("b", json!({"persistence": "u"}))]);
        let outcome = judged(&CHECK, &facts(), rows);
        assert_eq!(outcome.findings[0].object.table.as_deref(), Some("b"));
        assert_eq!(outcome.line, "1 of 2 tables are unlogged");
    }
}
