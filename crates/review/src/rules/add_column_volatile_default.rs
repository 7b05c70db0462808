//! ADD COLUMN with a default that differs from row to row.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, ColumnDefinition};

pub(super) const RULE: Rule = Rule {
    code: "add-column-volatile-default",
    title: "A column is added with a volatile default, so that the table is rewritten",
    page: page!("add-column-volatile-default"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddColumn { column, .. } = clause.action() else { continue };
        let Some(default) = column.default().filter(|_| clause.part.effect() == Effect::Rewrite) else {
            continue;
        };
        if has_other_cause(column) {
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("adding {} with the volatile default `{}`", column.name, default.text),
            remedy: format!(
                "add {} without a default, then set the default (which is for new rows alone), then fill the old rows \
                 in batches",
                column.name
            ),
        };
        blocking(ctx, &about, found);
    }
}

/// Serial, identity and generated columns have rules of their own.
fn has_other_cause(column: &ColumnDefinition) -> bool {
    column.is_identity()
        || column.generated().is_some()
        || column.type_name.as_ref().is_some_and(|name| name.serial_base().is_some())
}
