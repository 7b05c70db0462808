//! ADD CONSTRAINT ... EXCLUDE.

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "add-exclusion",
    title: "An exclusion constraint builds its index under ACCESS EXCLUSIVE, and there is no other way",
    page: page!("add-exclusion"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddConstraint(constraint) = clause.action() else { continue };
        let TableConstraintKind::Exclude { .. } = &constraint.kind else { continue };
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: "building the index of EXCLUDE".to_owned(),
            remedy: "PostgreSQL has no online way: make a new table with the constraint and move the rows, or do it in a \
                     window"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
