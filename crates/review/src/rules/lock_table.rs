//! LOCK TABLE in a mode that clients wait for.

use posthaste_report::{LockMode, Severity};

use super::{Check, Findings, Rule, page, waiters};
use crate::context::{Context, remedy, shown, table_object};
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "lock-table",
    title: "A table is locked by hand, until the transaction ends",
    page: page!("lock-table"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Lock(lock) = ctx.statement() else { return };
    let Some(mode) = LockMode::ALL.into_iter().find(|mode| mode.as_str() == lock.mode) else { return };
    if !mode.blocks_writes() {
        return;
    }
    for table in &lock.tables {
        let table = ctx.name(&table.name);
        if ctx.is_new(&table) {
            continue;
        }
        let message =
            format!("{mode} on {}: {} wait until the transaction ends", shown(&table), waiters(mode));
        let mut finding = ctx.finding(RULE.code, Severity::Medium, message);
        finding.object = table_object(&table);
        finding.remedy =
            remedy("lock no table by hand: statements take what they need; keep the transaction brief");
        found.push(finding);
    }
}
