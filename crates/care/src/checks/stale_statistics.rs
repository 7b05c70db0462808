//! Tables whose statistics do not fit the rows any more, by what was modified and not by the time that went by.
//!
//! Not for: when autovacuum ran.

use std::collections::BTreeMap;

use posthaste_report::{Confidence, Finding, Severity};

use super::tables::{SQL, Table};
use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, percent, remedy, table,
};

pub(crate) const CHECK: Check = Check {
    code: "stale-statistics",
    title: "statistics that are missing or do not fit the rows",
    needs: Needs { primary: true, ..Needs::NOTHING },
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let tables: Vec<Table> = rows.of()?;
    let mut outcome = Outcome::default();
    let mut below: BTreeMap<i64, f64> = BTreeMap::new();
    for one in &tables {
        if let (Some(parent), Some(rows)) = (one.parent_oid, one.rows()) {
            *below.entry(parent).or_default() += rows;
        }
    }
    let mut uncounted_parents = 0;
    for one in &tables {
        if one.kind != "p" {
            outcome.findings.extend(of_table(one, facts));
        } else if facts.major() < 14 {
            uncounted_parents += 1;
        } else if one.tuples < 0.0 {
            outcome.findings.extend(of_parent(one, below.get(&one.oid).copied().unwrap_or_default(), facts));
        }
    }
    if uncounted_parents > 0 {
        let parents = counted(uncounted_parents, "partitioned table");
        outcome
            .skipped
            .push(format!("whether {parents} were analysed as a whole: before 14 the server does not say"));
    }
    outcome.line = format!(
        "statistics are missing or stale for {} of {}",
        outcome.findings.len(),
        counted(tables.len(), "table")
    );
    Ok(outcome)
}

fn of_table(one: &Table, facts: &Facts) -> Option<Finding> {
    let limits = &facts.thresholds;
    let rows = one.rows();
    let known = rows.unwrap_or_default().max(one.inserted as f64);
    // Never analysed: the number of rows is not known to the planner either.
    let is_never = one.analyzed_s.is_none() && (one.tuples < 0.0 || (one.tuples == 0.0 && one.live > 0));
    if is_never {
        if known < limits.modified_rows_min as f64 {
            return None;
        }
        let severity = if known >= 10_000.0 { Severity::Medium } else { Severity::Low };
        let message = format!(
            "{} was never analysed: the planner guesses about {}",
            one.table_name,
            counted(known as i64, "row")
        );
        let finding = Finding::new(CHECK.code, severity, message).count("rows", known as i64);
        return Some(told(finding, one));
    }
    let share = one.modified as f64 / rows.unwrap_or_default().max(1.0);
    if one.modified < limits.modified_rows_min || share < limits.modified_share {
        return None;
    }
    let severity = if share >= 0.5 && one.modified >= 10_000 { Severity::Medium } else { Severity::Low };
    let message = format!(
        "{} of {} changed since it was analysed: {} of {}",
        percent(one.modified as f64, rows.unwrap_or_default()),
        one.table_name,
        counted(one.modified, "row"),
        counted(rows.unwrap_or_default() as i64, "row")
    );
    let age = one.analyzed_s.map_or_else(
        || "no ANALYZE since the counters were reset".to_owned(),
        |age_s| format!("the last ANALYZE was {} ago", duration(age_s)),
    );
    let finding = Finding::new(CHECK.code, severity, message)
        .count("modified", one.modified)
        .count("rows", rows.unwrap_or_default() as i64)
        .evidence_aged(age, one.analyzed_s);
    Some(told(finding, one))
}

/// Autovacuum analyses partitions, and never the whole: joins and groups over it are planned without statistics.
fn of_parent(one: &Table, rows: f64, facts: &Facts) -> Option<Finding> {
    if rows < facts.thresholds.modified_rows_min as f64 {
        return None;
    }
    let severity = if rows >= 10_000.0 { Severity::Medium } else { Severity::Low };
    let message = format!(
        "the partitioned table {} was never analysed as a whole, with {} in its partitions",
        one.table_name,
        counted(rows as i64, "row")
    );
    let finding = Finding::new(CHECK.code, severity, message)
        .count("rows", rows as i64)
        .evidence("autovacuum never analyses a partitioned table itself");
    Some(told(finding, one))
}

fn told(finding: Finding, one: &Table) -> Finding {
    finding.about(table(&one.schema, &one.table_name)).sure(Confidence::Likely).remedy(
        "analyse it; a smaller autovacuum_analyze_scale_factor keeps it so, and a partitioned table needs a schedule",
        vec![remedy::analyze(one.oid, &one.on())],
    )
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
    fn modified_rows_count_and_not_the_age() {
        check(json!({"analyzed_s": 90.0 * 86_400.0}), &[]);
        check(json!({"modified": 1_500, "live": 10_000}), &[]);
        check(json!({"modified": 2_500, "live": 10_000}), &[Severity::Low]);
        check(json!({"modified": 35_000, "live": 10_000}), &[Severity::Medium]);
        check(json!({"modified": 500, "live": 600}), &[]);
    }

    #[test]
    fn never_is_told_from_reset_counters() {
        check(json!({"analyzed_s": null, "tuples": -1.0, "live": 50_000}), &[Severity::Medium]);
        check(json!({"analyzed_s": null, "tuples": -1.0, "live": 5}), &[]);
        check(json!({"analyzed_s": null, "tuples": 50_000.0, "live": 50_000}), &[]);
    }

    #[test]
    fn a_parent_is_never_analysed_by_itself() {
        let rows = json!([
            row(
                "whole",
                json!({"oid": 1, "kind": "p", "tuples": -1.0, "live": 0, "pages": 0, "analyzed_s": null})
            ),
            row("part", json!({"oid": 2, "parent_oid": 1, "is_partition": true, "live": 40_000})),
        ]);
        let found = judged(&CHECK, &facts(), rows).findings;
        assert_eq!((found.len(), found[0].severity), (1, Severity::Medium));
        assert!(found[0].message.contains("40,000 rows"), "{}", found[0].message);
    }
}
