//! B-trees whose leaves are mostly empty.
//!
//! Random keys live at half to two thirds full and are well: only what is emptier is said. Not for: indexes of other
//! kinds, for which nothing is known.

use futures::future::FutureExt as _;
use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Finding, Severity};
use serde::Deserialize;

use super::density::{self, Candidate};
use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Told, Unseen, Visitor, bytes, counted, index, percent, remedy,
};

const PAGES_MAX: i64 = 65_536;
/// Leaves are filled to 90 % when a b-tree is built. Under this share of that, it is worth building anew.
const DENSITY_MIN: f64 = 0.4;

pub(crate) const CHECK: Check = Check {
    code: "index-bloat",
    title: "b-trees whose leaves are mostly empty",
    needs: Needs::NOTHING,
    judge: Judge::Visit(|visitor, facts| look(visitor, facts).boxed()),
};

#[derive(Deserialize)]
struct Measured {
    bytes: i64,
    leaf_pages: i64,
    deleted_pages: i64,
    leaf_density: Option<f64>,
}

async fn look(visitor: &Visitor, facts: &Facts) -> Result<Outcome, Unseen> {
    let candidates = density::candidates(visitor).await?;
    let indexes: Vec<&Candidate> = candidates.iter().filter(|one| one.kind == "i").collect();
    let mut outcome = Outcome::default();
    let allowed = density::may_measure(visitor, facts, "pgstatindex(regclass)").await?;
    let (mut budget, mut measured, mut estimated) = (PAGES_MAX, 0, 0);
    let mut withheld = Vec::new();
    for one in &indexes {
        if let Some(schema) = allowed.as_deref().filter(|_| !one.is_locked && one.pages <= budget) {
            let sql = density::in_schema(include_str!("../../sql/doctor/index_density.sql"), schema);
            let rows = visitor.rows_with(&sql, &[&one.oid.to_string()]).await;
            if let Ok(found) = rows.and_then(|rows| rows.one::<Measured>()) {
                (budget, measured) = (budget - one.pages, measured + 1);
                outcome.findings.extend(judge_measured(one, &found, facts));
                continue;
            }
        }
        match estimate(one, facts.block_bytes) {
            Ok(density) => {
                estimated += 1;
                let how =
                    "estimated from widths of columns, and at least so much: equal keys are stored once"
                        .to_owned();
                let whole = one.pages * facts.block_bytes;
                outcome.findings.extend(finding(one, density, whole, how, Confidence::Likely, facts));
            }
            Err(why) => withheld
                .push(format!("{}: {why}", Name::new(one.schema.as_str(), one.name.as_str()).quoted())),
        }
    }
    outcome.line = format!(
        "of {} over 10 MB, {measured} measured, {estimated} estimated and {} withheld: {} bloated",
        counted(indexes.len(), "b-tree"),
        withheld.len(),
        outcome.findings.len()
    );
    outcome.skipped.extend(density::said("the bloat of", withheld));
    Ok(outcome)
}

/// How full the leaves are, of 1, if every entry were stored apart.
fn estimate(one: &Candidate, block_bytes: i64) -> Result<f64, String> {
    one.why_withheld()?;
    // 8 bytes of header and 4 for the line pointer; 16 bytes of each page are special, 24 its header.
    let entry = ((8.0 + one.width_bytes) / 8.0).ceil() * 8.0 + 4.0;
    let room = (block_bytes - 40) as f64;
    Ok((one.tuples * entry / (one.pages as f64 * room)).min(1.0))
}

fn judge_measured(one: &Candidate, found: &Measured, facts: &Facts) -> Option<Finding> {
    let density = found.leaf_density? / 100.0;
    let all = (found.leaf_pages + found.deleted_pages).max(1) as f64;
    // Pages that are deleted and not used again are as empty as can be.
    let density = density * found.leaf_pages as f64 / all;
    let how = format!(
        "measured: leaves {:.0} % full, {} deleted",
        found.leaf_density.unwrap_or_default(),
        counted(found.deleted_pages, "page")
    );
    finding(one, density, found.bytes, how, Confidence::Certain, facts)
}

fn finding(
    one: &Candidate,
    density: f64,
    whole: i64,
    how: String,
    confidence: Confidence,
    facts: &Facts,
) -> Option<Finding> {
    let fill = one.option("fillfactor").and_then(|value| value.parse::<f64>().ok()).unwrap_or(90.0) / 100.0;
    let wasted = (whole as f64 * (1.0 - density / fill)).max(0.0) as i64;
    if density >= DENSITY_MIN * fill || wasted < facts.thresholds.bloat_bytes_min {
        return None;
    }
    let severity = if wasted >= 1 << 30 { Severity::Medium } else { Severity::Low };
    let message = format!(
        "{} of {}, {} of {}, is empty",
        percent(wasted as f64, whole as f64),
        one.name,
        bytes(wasted),
        bytes(whole)
    );
    let own = Name::new(one.schema.as_str(), one.name.as_str());
    let on = Name::new(
        one.table_schema.as_deref().unwrap_or_default(),
        one.table_name.as_deref().unwrap_or_default(),
    );
    Some(
        Finding::new(CHECK.code, severity, message)
            .about(index(&one.schema, &on.name, &one.name))
            .count("wasted_bytes", wasted)
            .count("bytes", whole)
            .sure(confidence)
            .evidence_aged(how, one.counted_s)
            .remedy(
                "build it anew beside the writes",
                vec![remedy::reindex(one.oid, &own, &on, one.pages, facts.block_bytes)],
            ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::density::row;
    use super::super::tests::facts;
    use super::*;

    fn check(tuples: f64, expected: Option<Severity>) {
        let one: Candidate =
            serde_json::from_value(row("i", "i", json!({"width_bytes": 8.0, "tuples": tuples}))).unwrap();
        let density = estimate(&one, 8192).unwrap();
        let found = finding(&one, density, one.pages * 8192, String::new(), Confidence::Likely, &facts());
        assert_eq!(found.map(|found| found.severity), expected, "{tuples}");
    }

    #[test]
    fn half_full_is_well() {
        // 10,000 pages take about 4 million entries of 20 bytes.
        check(3_600_000.0, None);
        check(2_000_000.0, None);
        check(800_000.0, Some(Severity::Low));
    }

    #[test]
    fn deleted_pages_are_empty_ones() {
        let one: Candidate = serde_json::from_value(row("i", "i", json!({}))).unwrap();
        let found = |leaf_pages, deleted_pages| {
            let measured = Measured { bytes: 80 << 20, leaf_pages, deleted_pages, leaf_density: Some(88.0) };
            judge_measured(&one, &measured, &facts()).is_some()
        };
        assert!(!found(10_000, 0));
        assert!(found(2_000, 8_000));
    }
}
