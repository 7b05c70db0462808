//! Keys of two or four bytes that no sequence feeds, by the values that they hold.
//!
//! Each is asked for its two ends through its own index, and not at all where that would wait. Not for: sequences
//! (see `sequence_near_end`).

use futures::future::FutureExt as _;
use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Finding, Severity};
use serde::Deserialize;

use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Told, Unseen, Visitor, counted, percent, remedy, table,
};

pub(crate) const CHECK: Check = Check {
    code: "integer-key-near-end",
    title: "small integer keys near their end",
    needs: Needs::NOTHING,
    judge: Judge::Visit(|visitor, facts| look(visitor, facts).boxed()),
};

#[derive(Deserialize)]
struct Row {
    schema: String,
    table_name: String,
    column_name: String,
    type_name: String,
    may_read: bool,
    is_locked: bool,
}

#[derive(Deserialize)]
struct Ends {
    lowest: Option<i64>,
    highest: Option<i64>,
}

async fn look(visitor: &Visitor, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = visitor.rows(include_str!("../../sql/doctor/integer_key.sql")).await?.of()?;
    let mut outcome = Outcome::default();
    let (mut asked, mut hidden) = (0, 0);
    for row in &rows {
        let name = Name::new(row.schema.as_str(), row.table_name.as_str());
        if !row.may_read {
            hidden += 1;
            continue;
        }
        if row.is_locked {
            outcome.skipped.push(format!("{}: somebody locks it exclusively, or waits to", name.quoted()));
            continue;
        }
        let values = [("table", &*name.quoted()), ("column", &*quote::identifier(&row.column_name))];
        let sql = remedy::fill(include_str!("../../sql/doctor/key_extremes.sql"), &values);
        match visitor.rows(&sql).await.and_then(|rows| rows.one::<Ends>()) {
            Ok(ends) => {
                asked += 1;
                outcome.findings.extend(judge(row, &ends, facts));
            }
            Err(unseen) => outcome.skipped.push(format!("{}: {}", name.quoted(), unseen.why)),
        }
    }
    if hidden > 0 {
        outcome.skipped.push(format!("the values of {} may not be read", counted(hidden, "key")));
    }
    outcome.line = format!(
        "of {} that no sequence feeds, {} {} near its end",
        counted(asked, "integer key"),
        outcome.findings.len(),
        if outcome.findings.len() == 1 { "is" } else { "are" }
    );
    Ok(outcome)
}

fn judge(row: &Row, ends: &Ends, facts: &Facts) -> Option<Finding> {
    let (lowest, highest) = match row.type_name.as_str() {
        "smallint" => (f64::from(i16::MIN), f64::from(i16::MAX)),
        _ => (f64::from(i32::MIN), f64::from(i32::MAX)),
    };
    let up = ends.highest.unwrap_or_default().max(0) as f64 / highest;
    let down = ends.lowest.unwrap_or_default().min(0) as f64 / lowest;
    let used = up.max(down);
    if used < facts.thresholds.run_out_share {
        return None;
    }
    let severity = match used {
        used if used >= 0.98 => Severity::Critical,
        used if used >= 0.9 => Severity::High,
        _ => Severity::Medium,
    };
    let message = format!(
        "{}.{} has used {} of what a {} holds, and no sequence feeds it",
        row.table_name,
        row.column_name,
        percent(used, 1.0),
        row.type_name
    );
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(table(&row.schema, &row.table_name))
        .count("highest", ends.highest.unwrap_or_default())
        .count("lowest", ends.lowest.unwrap_or_default())
        .evidence_aged("the ends of its index", Some(0.0))
        .remedy(
            "make the column a bigint: a new column, filled in batches, then switched with the old one",
            Vec::new(),
        );
    finding.object.columns = vec![row.column_name.clone()];
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;

    fn check(type_name: &str, lowest: i64, highest: i64, expected: Option<Severity>) {
        let row = Row {
            schema: "s".into(),
            table_name: "t".into(),
            column_name: "id".into(),
            type_name: type_name.into(),
            may_read: true,
            is_locked: false,
        };
        let ends = Ends { lowest: Some(lowest), highest: Some(highest) };
        assert_eq!(judge(&row, &ends, &facts()).map(|one| one.severity), expected, "{type_name} {highest}");
    }

    #[test]
    fn both_ends_count() {
        check("integer", 1, 1_000_000, None);
        check("integer", 1, 2_100_000_000, Some(Severity::High));
        check("integer", -2_147_483_648, 5, Some(Severity::Critical));
        check("smallint", 0, 30_000, Some(Severity::High));
    }
}
