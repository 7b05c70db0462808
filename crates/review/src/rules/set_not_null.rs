//! ALTER COLUMN ... SET NOT NULL without a proof.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "set-not-null",
    title: "SET NOT NULL reads the whole table under ACCESS EXCLUSIVE, unless a validated CHECK proves it",
    page: page!("set-not-null"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::SetNotNull { column } = clause.action() else { continue };
        if clause.part.effect() == Effect::None {
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("proving that {column} is never NULL"),
            remedy: format!(
                "CHECK ({column} IS NOT NULL) NOT VALID, then VALIDATE CONSTRAINT in another transaction, then SET NOT NULL \
                 (which is instant then), then drop the CHECK"
            ),
        };
        blocking(ctx, &about, found);
    }
}
