//! Unique indexes that miss rows of their table, so that duplicates hide behind a constraint that looks valid.
//!
//! amcheck compares every row with the index (`heapallindexed`); without that it is silent about them. Small indexes
//! only, since it reads all of both. Not for: naming the duplicates (see `integrity`).

use std::time::{Duration, Instant};

use futures::future::FutureExt as _;
use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Finding, Severity};
use serde::Deserialize;

use super::density;
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Told, Unseen, Visitor, counted, index, remedy};

/// For one index with its table: 256 MB.
const PAGES_EACH: i64 = 32_768;
/// For all of them: 1 GB.
const PAGES_ALL: i64 = 131_072;
/// Indexes that one statement looks at, one after the other, and their pages in all.
const ROWS_TOGETHER: usize = 50;
const PAGES_TOGETHER: i64 = 8_192;
/// When so much time is gone, the rest is left to pg_amcheck.
const TIME: Duration = Duration::from_secs(3);

pub(crate) const CHECK: Check = Check {
    code: "unique-index-broken",
    title: "unique indexes that miss rows (amcheck)",
    needs: Needs { extension: Some("amcheck"), ..Needs::NOTHING },
    judge: Judge::Visit(|visitor, facts| look(visitor, facts).boxed()),
};

#[derive(Deserialize)]
struct Row {
    oid: i64,
    schema: String,
    name: String,
    table_schema: String,
    table_name: String,
    pages: i64,
    is_locked: bool,
}

async fn look(visitor: &Visitor, facts: &Facts) -> Result<Outcome, Unseen> {
    let function = "bt_index_check(regclass,boolean)";
    let Some(schema) = density::may_call(visitor, facts, "amcheck", function).await? else {
        return Err(Unseen::new("this role may not call bt_index_check: grant execute on it"));
    };
    let rows: Vec<Row> = visitor.rows(include_str!("../../sql/doctor/amcheck_candidate.sql")).await?.of()?;
    let sql = density::in_schema(include_str!("../../sql/doctor/amcheck.sql"), &schema);
    let mut outcome = Outcome::default();
    let (mut budget, mut whole) = (PAGES_ALL, 0);
    let mut left_out = Vec::new();
    let mut chosen = Vec::new();
    for row in &rows {
        let name = Name::new(row.schema.as_str(), row.name.as_str());
        if row.is_locked {
            left_out.push(format!("{}: somebody locks it exclusively, or waits to", name.quoted()));
            continue;
        }
        if row.pages > PAGES_EACH.min(budget) {
            left_out.push(format!(
                "{}: too large to be read by the way; run pg_amcheck --heapallindexed",
                name.quoted()
            ));
            continue;
        }
        budget -= row.pages;
        chosen.push(row);
    }
    let (started, mut rest) = (Instant::now(), chosen.as_slice());
    while let Some(count) = together(rest).filter(|_| started.elapsed() < TIME) {
        let (batch, more) = rest.split_at(count);
        rest = more;
        if visitor.rows_with(&sql, &[&oids(batch)]).await.is_ok() {
            whole += batch.len();
            continue;
        }
        // One of them is damaged, or could not be looked at: each for itself.
        for row in batch {
            let name = Name::new(row.schema.as_str(), row.name.as_str());
            match visitor.rows_with(&sql, &[&oids(&[row])]).await {
                Ok(_) => whole += 1,
                Err(unseen) if is_damage(&unseen.why) => {
                    outcome.findings.push(finding(row, &unseen.why, facts));
                }
                Err(unseen) => left_out.push(format!("{}: {}", name.quoted(), unseen.why)),
            }
        }
    }
    if !rest.is_empty() {
        let (unread, seconds) = (counted(rest.len(), "unique index"), TIME.as_secs());
        outcome.skipped.push(format!(
            "{unread}: their turn did not come within {seconds} s; run pg_amcheck --heapallindexed"
        ));
    }
    outcome.line =
        format!("{} of {} hold every row of their table", whole, counted(rows.len(), "unique index"));
    outcome.skipped.extend(density::said("", left_out).into_iter().map(|one| one.trim().to_owned()));
    Ok(outcome)
}

/// How many of the next ones are looked at by one statement; None when there are none.
fn together(rows: &[&Row]) -> Option<usize> {
    let mut pages = 0;
    let fits = |row: &&&Row| {
        pages += row.pages;
        pages <= PAGES_TOGETHER
    };
    let count = rows.iter().take(ROWS_TOGETHER).take_while(fits).count();
    (!rows.is_empty()).then_some(count.max(1))
}

/// As an array of PostgreSQL's.
fn oids(rows: &[&Row]) -> String {
    let oids: Vec<String> = rows.iter().map(|row| row.oid.to_string()).collect();
    format!("{{{}}}", oids.join(","))
}

/// What amcheck says of damage, and not of rights, locks or time.
fn is_damage(why: &str) -> bool {
    ["lacks matching index tuple", "invariant violated", "index tuple", "mismatch", "corrupt", "page "]
        .iter()
        .any(|sign| why.contains(sign))
}

fn finding(row: &Row, why: &str, facts: &Facts) -> Finding {
    let misses = why.contains("lacks matching index tuple");
    let what = if misses { "misses rows of" } else { "is damaged on" };
    let message =
        format!("the unique index {} {what} {}: duplicates may hide behind it", row.name, row.table_name);
    let (own, on) = (
        Name::new(row.schema.as_str(), row.name.as_str()),
        Name::new(row.table_schema.as_str(), row.table_name.as_str()),
    );
    Finding::new("unique-index-broken", Severity::Critical, message)
        .about(index(&row.schema, &row.table_name, &row.name))
        .sure(Confidence::Certain)
        .evidence_aged(format!("amcheck: {why}"), Some(0.0))
        .remedy(
            "count duplicates over the table and not through the index (posthaste integrity), merge them, then build the \
             index anew; find the cause: a collation that changed with the system, or a damaged disk",
            vec![remedy::reindex(row.oid, &own, &on, row.pages, facts.block_bytes)],
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_from_not_being_able_to_look() {
        assert!(is_damage("heap tuple (0,5) from table \"t\" lacks matching index tuple within index \"i\""));
        assert!(is_damage("item order invariant violated for index \"i\""));
        assert!(!is_damage("permission denied for function bt_index_check"));
        assert!(!is_damage("it would have had to wait for a lock"));
    }
}
