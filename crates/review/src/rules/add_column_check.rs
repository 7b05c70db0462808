//! ADD COLUMN with an inline CHECK.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, ColumnConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "add-column-check",
    title: "A column is added with a CHECK, so that the whole table is read although every value is new",
    page: page!("add-column-check"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddColumn { column, .. } = clause.action() else { continue };
        let is_check = |kind: &ColumnConstraintKind| matches!(kind, ColumnConstraintKind::Check { .. });
        let checked = column.constraints.iter().any(|c| is_check(&c.kind) && !c.timing.is_not_enforced);
        if !checked || clause.part.effect() != Effect::Scan {
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("checking the new column {}", column.name),
            remedy: format!(
                "add {} without the CHECK, then the CHECK as NOT VALID, then VALIDATE CONSTRAINT in another transaction",
                column.name
            ),
        };
        blocking(ctx, &about, found);
    }
}
