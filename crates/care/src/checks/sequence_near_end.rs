//! Sequences against their own end and that of the column that they feed.
//!
//! Not for: keys that no sequence feeds (see `integer_key_near_end`).

use std::collections::BTreeMap;

use futures::future::FutureExt as _;
use posthaste_base::catalog::Name;
use posthaste_report::{Finding, Object, Severity, Step};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Told, Unseen, Visitor, counted, percent, remedy};

pub(crate) const CHECK: Check = Check {
    code: "sequence-near-end",
    title: "sequences near their end or that of their column",
    needs: Needs::NOTHING,
    judge: Judge::Visit(|visitor, facts| look(visitor, facts).boxed()),
};

#[derive(Deserialize)]
struct Row {
    oid: i64,
    schema: String,
    name: String,
    type_name: String,
    start_value: i64,
    increment: i64,
    minimum: i64,
    maximum: i64,
    cycles: bool,
    may_read: bool,
    #[serde(default)]
    last_value: Option<i64>,
    table_schema: Option<String>,
    table_name: Option<String>,
    column_name: Option<String>,
    column_type: Option<String>,
}

/// Asked for at once. Each costs the server a lock until the statement ends.
const AT_ONCE: usize = 50;
/// In all: those that can be full soon come first.
const ASKED_MAX: usize = 2_000;

#[derive(Deserialize)]
struct Last {
    oid: i64,
    last_value: Option<i64>,
}

async fn look(visitor: &Visitor, facts: &Facts) -> Result<Outcome, Unseen> {
    let mut rows: Vec<Row> = visitor.rows(include_str!("../../sql/doctor/sequence.sql")).await?.of()?;
    rows.sort_by_key(|row| (end(row).unsigned_abs(), row.oid));
    let readable: Vec<i64> = rows.iter().filter(|row| row.may_read).map(|row| row.oid).collect();
    let mut values = BTreeMap::new();
    for oids in readable.iter().take(ASKED_MAX).collect::<Vec<_>>().chunks(AT_ONCE) {
        let oids: Vec<String> = oids.iter().map(ToString::to_string).collect();
        let asked = format!("{{{}}}", oids.join(","));
        let sql = include_str!("../../sql/doctor/sequence_value.sql");
        let found: Vec<Last> = visitor.rows_with(sql, &[&asked]).await?.of()?;
        values.extend(found.into_iter().filter_map(|value| Some((value.oid, value.last_value?))));
    }
    for row in &mut rows {
        row.last_value = values.get(&row.oid).copied();
    }
    let mut outcome = judge(&rows, facts);
    let left = readable.len().saturating_sub(ASKED_MAX);
    if left > 0 {
        outcome.skipped.push(format!("{} with the most room: there are too many", counted(left, "sequence")));
    }
    Ok(outcome)
}

fn judge(rows: &[Row], facts: &Facts) -> Outcome {
    let mut outcome = Outcome::default();
    let mut most: f64 = 0.0;
    for row in rows {
        let Some(used) = used(row) else { continue };
        most = most.max(used);
        if !row.cycles && used >= facts.thresholds.run_out_share {
            outcome.findings.push(finding(row, used));
        }
    }
    let hidden = rows.iter().filter(|row| !row.may_read).count();
    if hidden > 0 {
        outcome.skipped.push(format!(
            "the last value of {} is hidden: grant select on them (pg_monitor is not enough), or pg_read_all_data",
            counted(hidden, "sequence")
        ));
    }
    outcome.line = format!(
        "of {}, the one nearest its end has used {}",
        counted(rows.len(), "sequence"),
        percent(most, 1.0)
    );
    outcome
}

/// The last number that both the sequence and its column can have, in the direction in which it counts.
fn end(row: &Row) -> i64 {
    let (lowest, highest) = match row.column_type.as_deref() {
        Some("smallint") => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Some("integer") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    if row.increment < 0 { row.minimum.max(lowest) } else { row.maximum.min(highest) }
}

/// Counted from where it began, as far as it has come.
fn used(row: &Row) -> Option<f64> {
    let begin = if row.increment < 0 { row.maximum.min(row.start_value.max(-1)) } else { row.minimum.max(0) };
    let (begin, end) = (begin as f64, end(row) as f64);
    let last = row.last_value? as f64;
    let whole = (end - begin).abs();
    (whole > 0.0).then(|| ((last - begin) / (end - begin)).clamp(0.0, 1.0))
}

fn finding(row: &Row, used: f64) -> Finding {
    let severity = match used {
        used if used >= 0.98 => Severity::Critical,
        used if used >= 0.9 => Severity::High,
        _ => Severity::Medium,
    };
    let last = row.last_value.unwrap_or_default();
    let left = (end(row).abs_diff(last) / row.increment.unsigned_abs().max(1)).min(i64::MAX as u64);
    let column_ends_first = end(row) != if row.increment < 0 { row.minimum } else { row.maximum };
    let limit = match (&row.table_name, &row.column_name, &row.column_type) {
        (Some(table), Some(column), Some(kind)) if column_ends_first => {
            format!("the {kind} column {table}.{column}, which ends before the sequence does")
        }
        _ => format!("its own end, as a {}", row.type_name),
    };
    let message = format!(
        "{} has used {} of {limit}: {} left",
        row.name,
        percent(used, 1.0),
        counted(i64::try_from(left).unwrap_or(i64::MAX), "number")
    );
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(Object {
            kind: "sequence".into(),
            schema: Some(row.schema.clone()),
            table: row.table_name.clone(),
            name: Some(row.name.clone()),
            columns: row.column_name.iter().cloned().collect(),
        })
        .count("last_value", last)
        .count("end", end(row))
        .count("left", i64::try_from(left).unwrap_or(i64::MAX))
        .evidence_aged(format!("its last value is {last}"), Some(0.0));
    if let (Some(schema), Some(table)) = (&row.table_schema, &row.table_name) {
        finding = finding.evidence(format!("it feeds {schema}.{table}"));
    }
    let (text, steps) = way_out(row, column_ends_first);
    finding.remedy(text, steps)
}

fn way_out(row: &Row, column_ends_first: bool) -> (&'static str, Vec<Step>) {
    let widest = match row.column_type.as_deref() {
        Some("smallint") => i64::from(i16::MAX),
        Some("integer") => i64::from(i32::MAX),
        _ => i64::MAX,
    };
    let own = match row.type_name.as_str() {
        "smallint" => i64::from(i16::MAX),
        "integer" => i64::from(i32::MAX),
        _ => i64::MAX,
    };
    let possible = widest.min(own);
    // Only a low ceiling of its own can be lifted by a statement alone.
    if !column_ends_first && row.increment > 0 && row.maximum < possible {
        let name = Name::new(row.schema.as_str(), row.name.as_str());
        let step = remedy::extend_sequence(row.oid, &name, row.maximum, possible);
        return ("lift its maximum to that of its column", vec![step]);
    }
    (
        "make the column a bigint: a new column, filled in batches, then switched with the old one; every foreign key to \
         it and every client that reads it as four bytes must follow",
        Vec::new(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::facts;
    use super::*;

    fn check(more: Value, expected: Option<(Severity, usize)>) {
        let mut row = json!({"oid": 1, "schema": "s", "name": "q", "type_name": "bigint", "start_value": 1,
            "increment": 1, "minimum": 1, "maximum": i64::MAX, "cycles": false, "may_read": true, "last_value": 10,
            "table_schema": "s", "table_name": "t", "column_name": "id", "column_type": "bigint"});
        let Value::Object(more) = more else { panic!("more fields") };
        row.as_object_mut().unwrap().extend(more.clone());
        let row: Row = serde_json::from_value(row).unwrap();
        let found = judge(&[row], &facts()).findings;
        let said = found.first().map(|one| (one.severity, one.remedy.as_ref().unwrap().steps.len()));
        assert_eq!(said, expected, "{more:?}");
    }

    #[test]
    fn the_first_end_counts() {
        let last = 2_000_000_000;
        check(json!({"last_value": last}), None);
        check(json!({"last_value": last, "column_type": "integer"}), Some((Severity::High, 0)));
        check(
            json!({"last_value": last, "type_name": "integer", "maximum": i32::MAX}),
            Some((Severity::High, 0)),
        );
        check(json!({"last_value": 990, "maximum": 1_000}), Some((Severity::Critical, 1)));
        check(json!({"last_value": 990, "maximum": 1_000, "cycles": true}), None);
        check(json!({"last_value": null}), None);
    }

    #[test]
    fn counting_down_ends_too() {
        let down = json!({"increment": -1, "minimum": i32::MIN, "maximum": -1, "start_value": -1,
            "last_value": -1_900_000_000, "type_name": "integer", "column_type": "integer"});
        check(down, Some((Severity::Medium, 0)));
    }
}
