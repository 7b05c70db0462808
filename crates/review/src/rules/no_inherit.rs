//! NO INHERIT: the parent loses the child's rows.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy, shown, table_object};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "no-inherit",
    title: "A table leaves its parent, so that queries of the parent silently see fewer rows",
    page: page!("no-inherit"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::NoInherit { parent } = clause.action() else { continue };
        if ctx.is_harmless(&clause.table) {
            continue;
        }
        let message = format!("queries of {parent} no longer see the rows of {}", shown(&clause.table));
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::Medium, message);
        finding.object = table_object(&clause.table);
        finding.remedy = remedy("be sure that nobody asks the parent for these rows");
        found.push(finding);
    }
}
