//! UPDATE of many rows in one statement.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, evidence, remedy, shown, table_object, whole};
use crate::rows;
use crate::severity::{count, duration};
use crate::statement::{QueryKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "bulk-update",
    title: "One UPDATE writes many rows: each stays locked until the commit, and leaves a dead one behind",
    page: page!("bulk-update"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    report(ctx, QueryKind::Update, RULE.code, found);
}

/// The same for DELETE.
pub(super) fn report(ctx: &Context<'_>, kind: QueryKind, code: &str, found: &mut Findings) {
    let Statement::Query(query) = ctx.statement() else { return };
    let Some(target) = query.target.as_ref().filter(|_| query.kind == kind) else { return };
    let table = ctx.name(&target.name);
    if ctx.is_harmless(&table) {
        return;
    }
    let estimate = rows::of(query, ctx.state);
    let verb = if kind == QueryKind::Delete { "deletes" } else { "updates" };
    let (severity, confidence, amount) = match estimate.rows {
        Some(rows) if rows < ctx.thresholds().bulk_rows => return,
        // Ten times the limit is a matter of seconds, a hundred times one of minutes.
        Some(rows) if rows < ctx.thresholds().bulk_rows * 10 => (Severity::Low, Confidence::Likely, rows),
        Some(rows) if rows < ctx.thresholds().bulk_rows * 100 => (Severity::Medium, Confidence::Likely, rows),
        Some(rows) => (Severity::High, Confidence::Likely, rows),
        None if estimate.is_single => return,
        None => (if estimate.is_all { Severity::High } else { Severity::Medium }, Confidence::Possible, 0),
    };
    let bulk = if confidence == Confidence::Possible {
        if estimate.is_all {
            "every row".to_owned()
        } else {
            "as many rows as its condition finds".to_owned()
        }
    } else if estimate.is_all {
        format!("all {} rows", count(amount))
    } else {
        format!("about {} rows", count(amount))
    };
    let seconds = ctx.facts.seconds.filter(|_| estimate.rows.is_some());
    let time = seconds.map_or_else(String::new, |s| format!(", which takes about {}", duration(s)));
    let message = format!(
        "{verb} {bulk} of {} in one statement{time}: they stay locked until the commit, other writers of them wait",
        shown(&table)
    );
    let mut finding = ctx.finding(code, severity, message);
    finding.confidence = finding.confidence.max(confidence);
    finding.object = table_object(&table);
    if let Some(rows) = estimate.rows {
        finding.counts.insert("rows".to_owned(), i64::try_from(rows).unwrap_or(i64::MAX));
    }
    if let Some(s) = seconds {
        finding.counts.insert("milliseconds".to_owned(), whole(s * 1000.0));
    }
    finding.evidence.extend(estimate.reasons.into_iter().map(evidence));
    finding.depends_on.extend(estimate.depends_on);
    finding.remedy = remedy(
        "go by ranges of the key, each a transaction of its own, with a pause that follows the replicas; `posthaste plan` \
         writes the batches and `posthaste run` carries them out",
    );
    found.push(finding);
}
