//! ADD PRIMARY KEY USING INDEX over columns that may be NULL.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "primary-key-using-index",
    title: "PRIMARY KEY USING INDEX over a nullable column reads the whole table under ACCESS EXCLUSIVE",
    page: page!("primary-key-using-index"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddConstraint(constraint) = clause.action() else { continue };
        let TableConstraintKind::PrimaryKey { using_index: Some(index), .. } = &constraint.kind else {
            continue;
        };
        if clause.part.effect() == Effect::None {
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("making the columns of {index} NOT NULL"),
            remedy: "make the columns NOT NULL before: CHECK (column IS NOT NULL) NOT VALID, VALIDATE, SET NOT NULL; then \
                     this statement is instant"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
