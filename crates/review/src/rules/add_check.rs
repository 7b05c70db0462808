//! ADD CONSTRAINT ... CHECK without NOT VALID; and NOT NULL as a constraint (18 and newer).

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "add-check",
    title: "A CHECK is added and proven in one step, so that the whole table is read under ACCESS EXCLUSIVE",
    page: page!("add-check"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddConstraint(constraint) = clause.action() else { continue };
        let what = match &constraint.kind {
            TableConstraintKind::Check { .. } => "CHECK",
            TableConstraintKind::NotNull { .. } => "NOT NULL",
            _ => continue,
        };
        if clause.part.effect() == Effect::None {
            continue;
        }
        let name = constraint.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("proving the {what}{name}"),
            remedy: "add it with NOT VALID (instant: it holds for new rows at once), then VALIDATE CONSTRAINT in a \
                     transaction of its own, which lets clients read and write"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
