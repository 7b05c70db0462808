//! ADD COLUMN of a domain that has constraints.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "add-column-domain",
    title: "A column of a constrained domain is added, so that the table is rewritten",
    page: page!("add-column-domain"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddColumn { column, .. } = clause.action() else { continue };
        let Some(type_name) = &column.type_name else { continue };
        let has_other_cause = type_name.serial_base().is_some()
            || column.is_identity()
            || column.generated().is_some()
            || column.default().is_some();
        if has_other_cause || clause.part.effect() != Effect::Rewrite {
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("adding {} of the constrained domain {}", column.name, type_name.name),
            remedy: "give the column the domain's base type and a CHECK of its own: NOT VALID first, then VALIDATE"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
