//! ALTER CONSTRAINT ... ENFORCED (18 and newer).

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "enforce-constraint",
    title: "A constraint becomes ENFORCED, so that the whole table is read under ACCESS EXCLUSIVE",
    page: page!("enforce-constraint"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AlterConstraint { constraint, change } = clause.action() else { continue };
        if change.is_enforced != Some(true) || clause.part.effect() == Effect::None {
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("proving {constraint}"),
            remedy: "add a second constraint of the same meaning with NOT VALID, VALIDATE it, and drop the one that is not \
                     enforced"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
