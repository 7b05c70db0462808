//! ALTER TYPE ... RENAME VALUE.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, named_object, remedy, shown};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "rename-enum-value",
    title: "A label of an enum is renamed, so that running clients send and expect one that is gone",
    page: page!("rename-enum-value"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::RenameValue { from, to } = clause.action() else { continue };
        if ctx.state.made_others.contains(&clause.table) {
            continue;
        }
        let message =
            format!("`{from}` of {} becomes `{to}`: clients that send `{from}` fail", shown(&clause.table));
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::High, message);
        finding.object = named_object("type", &clause.table);
        finding.remedy = remedy(
            "add the new label, deploy code that reads both and writes the new one, and update the rows in batches; a label \
             cannot be dropped, only left unused",
        );
        found.push(finding);
    }
}
