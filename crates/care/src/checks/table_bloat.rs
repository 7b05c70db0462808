//! Space in tables that holds no rows and is not given back.
//!
//! Measured with pgstattuple where this role may; else estimated, and only from statistics that fit; else withheld.
//! Not for: dead rows that VACUUM can still remove (see `dead_rows`).

use futures::future::FutureExt as _;
use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Finding, Severity};
use serde::Deserialize;

use super::density::{self, Candidate};
use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Told, Unseen, Visitor, bytes, counted, percent, remedy, table,
};

/// The largest ones are measured, as far as this many pages in all: half a gigabyte, a second or so from memory.
const PAGES_MAX: i64 = 65_536;

pub(crate) const CHECK: Check = Check {
    code: "table-bloat",
    title: "space in tables that holds no rows",
    needs: Needs::NOTHING,
    judge: Judge::Visit(|visitor, facts| look(visitor, facts).boxed()),
};

#[derive(Deserialize)]
struct Measured {
    bytes: i64,
    dead_bytes: i64,
    free_bytes: i64,
}

async fn look(visitor: &Visitor, facts: &Facts) -> Result<Outcome, Unseen> {
    let candidates = density::candidates(visitor).await?;
    let tables: Vec<&Candidate> = candidates.iter().filter(|one| one.kind != "i").collect();
    let mut outcome = Outcome::default();
    let allowed = density::may_measure(visitor, facts, "pgstattuple_approx(regclass)").await?;
    let (mut budget, mut measured, mut estimated) = (PAGES_MAX, 0, 0);
    let mut withheld = Vec::new();
    for one in &tables {
        if let Some(schema) = allowed.as_deref().filter(|_| !one.is_locked && one.pages <= budget) {
            let sql = density::in_schema(include_str!("../../sql/doctor/table_density.sql"), schema);
            let rows = visitor.rows_with(&sql, &[&one.oid.to_string()]).await;
            if let Ok(found) = rows.and_then(|rows| rows.one::<Measured>()) {
                (budget, measured) = (budget - one.pages, measured + 1);
                outcome.findings.extend(judge_measured(one, &found, facts));
                continue;
            }
        }
        match estimate(one, facts.block_bytes) {
            Ok(pages) => {
                estimated += 1;
                outcome.findings.extend(judge_estimated(one, pages, facts));
            }
            Err(why) => withheld
                .push(format!("{}: {why}", Name::new(one.schema.as_str(), one.name.as_str()).quoted())),
        }
    }
    outcome.line = format!(
        "of {} over 10 MB, {measured} measured, {estimated} estimated and {} withheld: {} bloated",
        counted(tables.len(), "table"),
        withheld.len(),
        outcome.findings.len()
    );
    outcome.skipped.extend(density::said("the bloat of", withheld));
    Ok(outcome)
}

/// Pages that the rows would need, from their width; or why nobody knows.
pub(super) fn estimate(one: &Candidate, block_bytes: i64) -> Result<f64, String> {
    one.why_withheld()?;
    let fill = one.option("fillfactor").and_then(|value| value.parse::<f64>().ok()).unwrap_or(100.0) / 100.0;
    let bitmap = if one.may_have_nulls == Some(true) { (one.columns as f64 / 8.0).ceil() } else { 0.0 };
    let aligned = |bytes: f64| (bytes / 8.0).ceil() * 8.0;
    // 23 bytes of header, rounded up with the bitmap; the row rounded up; 4 for its line pointer.
    let row = aligned(23.0 + bitmap) + aligned(one.width_bytes) + 4.0;
    let a_page = (((block_bytes - 24) as f64 * fill) / row).floor().max(1.0);
    Ok((one.tuples / a_page).ceil())
}

fn judge_estimated(one: &Candidate, needed: f64, facts: &Facts) -> Option<Finding> {
    let wasted = ((one.pages as f64 - needed) * facts.block_bytes as f64).max(0.0) as i64;
    // Alignment inside of rows is not known, and costs up to a quarter: what looks like less is none.
    let how = format!("estimated from widths of columns: {} would do", counted(needed as i64, "page"));
    finding(one, wasted, one.pages * facts.block_bytes, how, Confidence::Likely, facts)
}

fn judge_measured(one: &Candidate, found: &Measured, facts: &Facts) -> Option<Finding> {
    let how = format!("measured: {} free, {} dead", bytes(found.free_bytes), bytes(found.dead_bytes));
    let fill = one.option("fillfactor").and_then(|value| value.parse::<f64>().ok()).unwrap_or(100.0) / 100.0;
    // What fillfactor leaves free is meant to be.
    let meant = found.bytes as f64 * (1.0 - fill);
    let wasted = ((found.free_bytes + found.dead_bytes) as f64 - meant).max(0.0) as i64;
    finding(one, wasted, found.bytes, how, Confidence::Certain, facts)
}

fn finding(
    one: &Candidate,
    wasted: i64,
    whole: i64,
    how: String,
    confidence: Confidence,
    facts: &Facts,
) -> Option<Finding> {
    let share = wasted as f64 / whole.max(1) as f64;
    let limits = &facts.thresholds;
    if share < limits.bloat_share || wasted < limits.bloat_bytes_min {
        return None;
    }
    let severity = match (share, wasted) {
        (share, wasted) if share >= 0.6 && wasted >= 1 << 30 => Severity::High,
        (share, wasted) if share >= 0.5 && wasted >= 10 << 20 || wasted >= 1 << 30 => Severity::Medium,
        _ => Severity::Low,
    };
    let part = percent(wasted as f64, whole as f64);
    let message = format!("{part} of {}, {} of {}, holds no rows", one.name, bytes(wasted), bytes(whole));
    let on = remedy::On {
        name: Name::new(one.schema.as_str(), one.name.as_str()),
        pages: one.pages,
        rows: Some(one.tuples),
    };
    Some(
        Finding::new(CHECK.code, severity, message)
            .about(table(&one.schema, &one.name))
            .count("wasted_bytes", wasted)
            .count("bytes", whole)
            .sure(confidence)
            .evidence_aged(how, one.counted_s)
            .remedy(
                "new rows use the space again; to give it back, write the table anew beside the writes (pg_repack, \
                 pg_squeeze). VACUUM FULL stops everybody and needs the space a second time",
                vec![remedy::vacuum(one.oid, &on, facts.block_bytes)],
            ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::density::row;
    use super::super::tests::facts;
    use super::*;

    fn check(more: serde_json::Value, expected: Option<Severity>) {
        let one: Candidate = serde_json::from_value(row("t", "r", more.clone())).unwrap();
        let needed = estimate(&one, 8192).unwrap();
        assert_eq!(judge_estimated(&one, needed, &facts()).map(|found| found.severity), expected, "{more}");
    }

    #[test]
    fn an_estimate_goes_by_width_and_fillfactor() {
        // 100 bytes and 4 for the pointer: 60 rows a page.
        check(json!({"width_bytes": 76.0, "tuples": 600_000.0, "pages": 10_000}), None);
        check(json!({"width_bytes": 76.0, "tuples": 120_000.0, "pages": 10_000}), Some(Severity::Medium));
        check(
            json!({"width_bytes": 76.0, "tuples": 300_000.0, "pages": 10_000, "options": ["fillfactor=50"]}),
            None,
        );
    }

    #[test]
    fn bad_inputs_give_no_number() {
        let why = |more| {
            let one: Candidate = serde_json::from_value(row("t", "r", more)).unwrap();
            estimate(&one, 8192).unwrap_err()
        };
        assert!(why(json!({"known": 1})).contains("width"));
        assert!(why(json!({"modified": 500_000})).contains("stale"));
        assert!(why(json!({"tuples": -1.0})).contains("never"));
    }

    #[test]
    fn what_fillfactor_leaves_is_no_bloat() {
        let one: Candidate =
            serde_json::from_value(row("t", "r", json!({"options": ["fillfactor=50"]}))).unwrap();
        let found = Measured { bytes: 100 << 20, dead_bytes: 0, free_bytes: 52 << 20 };
        assert_eq!(judge_measured(&one, &found, &facts()), None);
        let found = Measured { bytes: 100 << 20, dead_bytes: 0, free_bytes: 92 << 20 };
        assert_eq!(judge_measured(&one, &found, &facts()).unwrap().confidence, Confidence::Certain);
    }
}
