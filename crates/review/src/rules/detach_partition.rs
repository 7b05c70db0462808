//! DETACH PARTITION that is not CONCURRENTLY.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy, shown, table_object};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "detach-partition",
    title: "DETACH PARTITION locks the whole partitioned table",
    page: page!("detach-partition"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::DetachPartition { partition, is_concurrent: false, is_finalize: false } = clause.action()
        else {
            continue;
        };
        if ctx.is_new(&clause.table) {
            continue;
        }
        let message = format!(
            "taking {partition} out of {} needs ACCESS EXCLUSIVE on all of it: brief, but it waits for every query on any \
             partition, and all others wait behind it",
            shown(&clause.table)
        );
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::Low, message);
        finding.object = table_object(&clause.table);
        finding.remedy = (ctx.version >= 14)
            .then(|| remedy("use DETACH PARTITION ... CONCURRENTLY, outside of a transaction"))
            .flatten();
        found.push(finding);
    }
}
