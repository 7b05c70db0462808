//! ADD COLUMN of a serial type, or as an identity.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "add-column-serial",
    title: "A serial or identity column is added, so that the table is rewritten",
    page: page!("add-column-serial"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddColumn { column, .. } = clause.action() else { continue };
        let is_serial = column.type_name.as_ref().is_some_and(|name| name.serial_base().is_some());
        if !(is_serial || column.is_identity()) || clause.part.effect() != Effect::Rewrite {
            continue;
        }
        let kind = if is_serial { "serial" } else { "identity" };
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("numbering the rows for the {kind} column {}", column.name),
            remedy:
                "add a plain bigint column, make a sequence and set it as the default, fill the old rows in \
                     batches, then make the column NOT NULL by a validated CHECK"
                    .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
