//! ADD COLUMN ... GENERATED ... STORED.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "add-column-generated",
    title: "A stored generated column is added, so that the table is rewritten",
    page: page!("add-column-generated"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddColumn { column, .. } = clause.action() else { continue };
        if column.generated().is_none() || clause.part.effect() != Effect::Rewrite {
            continue;
        }
        let virtual_column =
            if ctx.version >= 18 { "make it VIRTUAL, which computes on reading; or " } else { "" };
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("computing the stored column {}", column.name),
            remedy: format!(
                "{virtual_column}add a plain column, keep it by a trigger, and fill the old rows in batches"
            ),
        };
        blocking(ctx, &about, found);
    }
}
