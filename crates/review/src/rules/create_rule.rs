//! CREATE RULE: statements of clients become other statements.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy, shown, table_object};
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "create-rule",
    title: "A rule rewrites what clients send, without an error",
    page: page!("create-rule"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::CreateRule(rule) = ctx.statement() else { return };
    let table = ctx.name(&rule.table);
    if ctx.is_new(&table) {
        return;
    }
    let what = if rule.is_instead { "do something else" } else { "do more" };
    let message =
        format!("every {} on {} will {what} than it says", rule.event.to_uppercase(), shown(&table));
    let mut finding = ctx.finding(RULE.code, Severity::Medium, message);
    finding.object = table_object(&table);
    finding.remedy = remedy(
        "use a trigger, which runs once for each row and is easier to follow; or a view with INSTEAD OF triggers",
    );
    found.push(finding);
}
