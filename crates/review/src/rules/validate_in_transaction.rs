//! NOT VALID and VALIDATE in one transaction: the strong lock of the first is held through the scan of the second.

use posthaste_report::{LockMode, Severity};

use super::{Check, Findings, Rule, page, waiters};
use crate::context::{Context, part_object, remedy, shown};
use crate::severity::Work;
use crate::statement::{Action, Statement, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "validate-in-transaction",
    title: "A constraint is validated in the transaction that added it, so that the lock of ADD is held through the scan",
    page: page!("validate-in-transaction"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Some(transaction) = ctx.transaction else { return };
    for clause in ctx.clauses() {
        let Action::ValidateConstraint { constraint } = clause.action() else { continue };
        let added = ctx.all[transaction.statements.start..ctx.index].iter().find_map(|located| {
            let Statement::Alter(alter) = &located.statement else { return None };
            if ctx.name(&alter.name) != clause.table {
                return None;
            }
            alter.clauses.iter().find_map(|other| match &other.action {
                Action::AddConstraint(added) if added.name.as_ref() == Some(constraint) => {
                    Some(match added.kind {
                        TableConstraintKind::ForeignKey { .. } => LockMode::ShareRowExclusive,
                        _ => LockMode::AccessExclusive,
                    })
                }
                _ => None,
            })
        });
        let Some(mode) = added else { continue };
        let Some(verdict) = ctx.judge(&clause.table, mode, Work::Scan) else { continue };
        let message = format!(
            "validating {constraint} reads all of {} under the {mode} that adding it took: {} wait, as if NOT VALID were not \
             there",
            shown(&clause.table),
            waiters(mode)
        );
        let mut finding = ctx.verdict(RULE.code, clause.span(), verdict, message);
        finding.severity = finding.severity.max(Severity::Critical);
        finding.object = part_object("constraint", &clause.table, constraint.as_str());
        finding.remedy = remedy("commit between the two, or put VALIDATE into a file of its own");
        found.push(finding);
    }
}
