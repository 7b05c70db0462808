//! ADD COLUMN with an inline UNIQUE or PRIMARY KEY.

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, ColumnConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "add-column-unique",
    title: "A column is added with UNIQUE or PRIMARY KEY, so that an index is built under ACCESS EXCLUSIVE",
    page: page!("add-column-unique"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddColumn { column, .. } = clause.action() else { continue };
        let word = column.constraints.iter().find_map(|constraint| match constraint.kind {
            ColumnConstraintKind::Unique { .. } => Some("UNIQUE"),
            ColumnConstraintKind::PrimaryKey { .. } => Some("PRIMARY KEY"),
            _ => None,
        });
        let Some(word) = word else { continue };
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("building the index of {word} on {}", column.name),
            remedy: "add the column alone, build a unique index with CREATE UNIQUE INDEX CONCURRENTLY, then \
                     ADD CONSTRAINT ... USING INDEX"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
