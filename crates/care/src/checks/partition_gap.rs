//! Ranges between two partitions that no partition takes: a row for them is refused, or falls into the default.
//!
//! Not for: what comes after the last one (see `partition_missing_next`).

use posthaste_report::{Finding, Severity};

use super::bounds::{Range, Row, SQL, by_parent, ranges};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, remedy, table};

pub(crate) const CHECK: Check = Check {
    code: "partition-gap",
    title: "gaps between range partitions",
    needs: Needs::NOTHING,
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, _: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let mut outcome = Outcome::default();
    let mut looked = 0;
    for of_parent in by_parent(&rows).values() {
        let Some(first) = of_parent.first().filter(|row| row.strategy == "r") else { continue };
        match ranges(of_parent) {
            Some(ranges) => {
                looked += 1;
                let gaps = ranges.windows(2).filter(|pair| pair[0].to.order() < pair[1].from.order());
                outcome.findings.extend(gaps.map(|pair| finding(first, of_parent, &pair[0], &pair[1])));
            }
            None => outcome.skipped.push(format!(
                "gaps of {}: its key has several columns, or values without an order that is known here",
                first.parent().quoted()
            )),
        }
    }
    outcome.line =
        format!("{} between the partitions of {}", counted(outcome.findings.len(), "gap"), tables(looked));
    Ok(outcome)
}

fn tables(count: usize) -> String {
    counted(count, "range-partitioned table")
}

fn finding(parent: &Row, of_parent: &[&Row], before: &Range, after: &Range) -> Finding {
    let (from, to) = (before.to.text(), after.from.text());
    let (severity, what) = match parent.has_default {
        true => (Severity::Low, "a row for it falls into the default partition"),
        false => (Severity::Medium, "a row for it is refused"),
    };
    let message = format!(
        "{} has no partition from {from} to {to}, between {} and {}: {what}",
        parent.parent_name, before.name, after.name
    );
    let taken: Vec<String> = of_parent.iter().filter_map(|row| row.name.clone()).collect();
    let plain: String = from.chars().filter(char::is_ascii_digit).take(8).collect();
    let name = remedy::new_name(&parent.parent_name, &[plain], "gap", &taken);
    let default = of_parent.iter().find(|row| row.is_default == Some(true)).and_then(|row| row.child());
    let bound = format!("for values from ({from}) to ({to})");
    let step = remedy::create_partition(&parent.parent(), &name, &bound, default.as_ref());
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(table(&parent.parent_schema, &parent.parent_name))
        .evidence(format!("{} ends at {from}, {} begins at {to}", before.name, after.name));
    finding.object.name = Some(before.name.clone());
    if parent.has_default {
        finding =
            finding.depends_on("whether the default partition holds rows for it: they must be moved first");
    }
    finding.remedy("make a partition for it, unless nothing is ever to be there", vec![step])
}

#[cfg(test)]
mod tests {
    use posthaste_report::Action;
    use serde_json::json;

    use super::super::bounds::row;
    use super::super::tests::{facts, judged};
    use super::*;

    fn month(oid: i64, name: &str, from: &str, to: &str) -> serde_json::Value {
        row(oid, name, &format!("FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00')"))
    }

    #[test]
    fn a_month_that_is_not_there_is_found_in_any_order() {
        let rows = json!([
            month(2, "march", "2025-03-01", "2025-04-01"),
            month(3, "january", "2025-01-01", "2025-02-01"),
            month(4, "april", "2025-04-01", "2025-05-01"),
        ]);
        let found = judged(&CHECK, &facts(), rows).findings;
        assert_eq!(found.len(), 1);
        let Action::Transaction { statements } = &found[0].remedy.as_ref().unwrap().steps[0].action else {
            panic!("{found:?}")
        };
        assert_eq!(
            statements[0],
            "create table public.\"Events_20250201_gap\" partition of public.\"Events\" \
             for values from ('2025-02-01 00:00:00+00') to ('2025-03-01 00:00:00+00')"
        );
    }

    #[test]
    fn what_cannot_be_ordered_is_said() {
        let outcome = judged(&CHECK, &facts(), json!([row(2, "a", "FOR VALUES FROM ('a') TO ('b')")]));
        assert_eq!((outcome.findings.len(), outcome.skipped.len()), (0, 1));
    }
}
