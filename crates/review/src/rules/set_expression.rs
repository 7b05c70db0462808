//! ALTER COLUMN ... SET EXPRESSION (17 and newer).

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "set-expression",
    title: "A stored generated column gets another expression, so that the table is rewritten",
    page: page!("set-expression"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::SetExpression { column, .. } = clause.action() else { continue };
        if clause.part.effect() == Effect::None {
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("computing {column} anew"),
            remedy:
                "add a column with the new expression, fill it in batches by a trigger, and swap the names"
                    .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
