//! Rows in default partitions: each is one that had no place, and stands in the way of the partition that it should be in.
//!
//! Not for: what lies between the others (see `partition_gap`).

use posthaste_report::{Confidence, Finding, Severity};

use super::bounds::{Row, SQL};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, table};

pub(crate) const CHECK: Check = Check {
    code: "partition-default-rows",
    title: "rows in default partitions",
    needs: Needs { primary: true, ..Needs::NOTHING },
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let defaults: Vec<&Row> = rows.iter().filter(|row| row.is_default == Some(true)).collect();
    let mut outcome = Outcome::default();
    for row in &defaults {
        let count = row.rows();
        // A default partition of a list may be meant to hold the rest.
        if count < 1.0 {
            continue;
        }
        let name = row.name.as_deref().unwrap_or_default();
        let severity = if row.strategy == "r" { Severity::Medium } else { Severity::Low };
        let message = format!(
            "the default partition {name} of {} holds {}: a new partition for them cannot be made while they are there",
            row.parent_name,
            counted(count as i64, "row")
        );
        outcome.findings.push(
            Finding::new(CHECK.code, severity, message)
                .about(table(row.schema.as_deref().unwrap_or_default(), name))
                .count("rows", count as i64)
                .sure(Confidence::Likely)
                .evidence_aged("from the counters of live rows", facts.counters_age_s)
                .remedy(
                    "make the missing partitions as tables of their own, move the rows into them in batches, and attach \
                     each with a check that is valid; DETACH CONCURRENTLY is refused while there is a default partition",
                    Vec::new(),
                ),
        );
    }
    outcome.line =
        format!("{} of {} hold rows", outcome.findings.len(), counted(defaults.len(), "default partition"));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::bounds::row;
    use super::super::tests::{facts, judged};
    use super::*;

    #[test]
    fn an_empty_default_is_fine() {
        let mut empty = row(2, "other", "DEFAULT");
        empty["live"] = json!(0);
        empty["tuples"] = json!(-1.0);
        assert_eq!(judged(&CHECK, &facts(), json!([empty])).findings, []);
        let found = judged(&CHECK, &facts(), json!([row(2, "other", "DEFAULT")])).findings;
        assert_eq!(found[0].counts["rows"], 10);
    }
}
