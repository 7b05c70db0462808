//! A label of an enum that is used in the transaction that adds it.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, named_object, remedy, shown};
use crate::statement::{Action, Statement};

pub(super) const RULE: Rule = Rule {
    code: "enum-value-in-transaction",
    title: "A new label of an enum is used in the transaction that adds it, which the server refuses",
    page: page!("enum-value-in-transaction"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Some(transaction) = ctx.transaction else { return };
    for clause in ctx.clauses() {
        let Action::AddValue { value, .. } = clause.action() else { continue };
        // A label of a type that the same transaction made may be used.
        if ctx.state.made_others.contains(&clause.table) && was_made_in(ctx, transaction.statements.start) {
            continue;
        }
        let quoted = format!("'{}'", value.replace('\'', "''"));
        let using = ctx.later().take_while(|(at, _)| *at < transaction.statements.end).find(|(_, later)| {
            // Another label that is placed beside it names it, and that is allowed.
            let is_label = matches!(&later.statement, Statement::Alter(alter)
                if alter.clauses.iter().any(|c| matches!(c.action, Action::AddValue { .. })));
            !is_label && later.text.contains(&quoted)
        });
        let Some((_, using)) = using else { continue };
        let message = format!(
            "line {} uses `{value}` in the transaction that adds it to {}: the server refuses it (unsafe use of new value)",
            using.line,
            shown(&clause.table)
        );
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::High, message);
        finding.object = named_object("type", &clause.table);
        finding.remedy = remedy("commit after ADD VALUE: give it a file of its own");
        found.push(finding);
    }
}

fn was_made_in(ctx: &Context<'_>, start: usize) -> bool {
    let Some(alter) = ctx.alter() else { return false };
    ctx.all[start..ctx.index].iter().any(|earlier| match &earlier.statement {
        Statement::CreateType(create) => create.name == alter.name,
        _ => false,
    })
}
