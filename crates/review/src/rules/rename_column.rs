//! RENAME COLUMN.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, remedy, shown};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "rename-column",
    title: "A column is renamed, so that running clients do not find it",
    page: page!("rename-column"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let (Action::RenameColumn { from, to } | Action::RenameAttribute { from, to, .. }) = clause.action()
        else {
            continue;
        };
        if ctx.is_new(&clause.table) || ctx.was_added(&clause.table, from.as_str()) {
            continue;
        }
        let message = format!(
            "{}.{from} becomes {to}: old and new versions of the application cannot both run, and one of them does during a deploy",
            shown(&clause.table)
        );
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::High, message);
        finding.object = column_object(&clause.table, [from.as_str()]);
        finding.remedy = remedy(
            "add a column of the new name, keep both by a trigger, fill it in batches, move readers and writers over, then drop \
             the old one; or leave the name, and rename in the application",
        );
        found.push(finding);
    }
}
