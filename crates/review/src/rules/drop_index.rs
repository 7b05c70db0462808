//! DROP INDEX that is not CONCURRENTLY; and one that is still used.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, evidence, part_object, remedy, shown};
use crate::severity::count;
use crate::statement::{ObjectKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "drop-index",
    title: "An index is dropped that queries use, or in a way that locks its table",
    page: page!("drop-index"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Drop(drop) = ctx.statement() else { return };
    if drop.kind != ObjectKind::Index {
        return;
    }
    for target in &drop.targets {
        let known = ctx.state.catalog.index(target.name.schema.as_deref(), &target.name.name);
        if known.is_some_and(|(table, _)| ctx.is_new(&table.name)) {
            continue;
        }
        let scans = known.and_then(|(_, index)| index.scans).unwrap_or(0);
        let is_used = known.is_some_and(|(_, index)| index.is_valid) && scans > 0;
        if !is_used && (drop.is_concurrent || known.is_some_and(|(table, _)| ctx.is_harmless(&table.name))) {
            continue;
        }
        let table = known.map(|(table, _)| table.name.clone());
        let severity = if is_used { Severity::Medium } else { Severity::Low };
        let on = table.as_ref().map_or_else(|| "its table".to_owned(), shown);
        let message = if is_used {
            format!(
                "{} was used {} times since the counters were reset: its queries get slower",
                target.name,
                count(scans)
            )
        } else {
            format!(
                "dropping {} needs ACCESS EXCLUSIVE on {on}: brief, but it waits for every query on it, and all others \
                     wait behind it",
                target.name
            )
        };
        let mut finding = ctx.finding(RULE.code, severity, message);
        finding.object = part_object("index", &table.unwrap_or_default(), &target.name.name);
        if let Some(at) = known.and_then(|(_, index)| index.last_scan_at) {
            finding.evidence.push(evidence(format!("last used at {at}")));
        }
        finding.remedy =
            remedy("use DROP INDEX CONCURRENTLY, outside of a transaction, when no query needs it any more");
        found.push(finding);
    }
}
