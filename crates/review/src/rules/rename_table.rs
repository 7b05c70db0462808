//! ALTER TABLE ... RENAME TO.

use posthaste_base::catalog::Name;
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy, shown, table_object};
use crate::statement::{Action, ObjectKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "rename-table",
    title: "A table is renamed, so that running clients do not find it",
    page: page!("rename-table"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let is_table =
        ctx.alter().is_some_and(|alter| matches!(alter.kind, ObjectKind::Table | ObjectKind::ForeignTable));
    for clause in ctx.clauses().filter(|_| is_table) {
        let Action::RenameTo { to } = clause.action() else { continue };
        // ALTER TABLE renames indexes and views as well.
        let is_index = ctx.relation(&clause.table).is_none()
            && ctx.state.catalog.index(Some(&clause.table.schema), &clause.table.name).is_some();
        let is_missing = ctx.state.has_catalog && ctx.relation(&clause.table).is_none();
        if is_index || is_missing || ctx.is_new(&clause.table) || is_replaced(ctx, &clause.table) {
            continue;
        }
        let message = format!(
            "{} becomes {to}: clients that run now, and old versions during the deploy, do not find it",
            shown(&clause.table)
        );
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::High, message);
        finding.object = table_object(&clause.table);
        finding.remedy = remedy(
            "make a view of the old name over the new table in the same transaction (simple views take writes), and drop it when \
             no old version runs any more",
        );
        found.push(finding);
    }
}

/// The same transaction puts something else under the old name: a swap, or a view for old clients.
fn is_replaced(ctx: &Context<'_>, old: &Name) -> bool {
    let Some(transaction) = ctx.transaction else { return false };
    ctx.later().take_while(|(at, _)| *at < transaction.statements.end).any(|(_, later)| {
        match &later.statement {
            Statement::CreateView(create) => ctx.name(&create.name) == *old,
            Statement::CreateTable(create) => ctx.name(&create.name) == *old,
            Statement::Alter(alter) => alter
                .clauses
                .iter()
                .any(|c| matches!(&c.action, Action::RenameTo { to } if to.as_str() == old.name)),
            _ => false,
        }
    })
}
