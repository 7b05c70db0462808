//! ADD CONSTRAINT ... UNIQUE or PRIMARY KEY that builds its index.

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "add-unique",
    title: "A UNIQUE or PRIMARY KEY builds its index under ACCESS EXCLUSIVE",
    page: page!("add-unique"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddConstraint(constraint) = clause.action() else { continue };
        let word = match &constraint.kind {
            TableConstraintKind::Unique { using_index: None, .. } => "UNIQUE",
            TableConstraintKind::PrimaryKey { using_index: None, .. } => "PRIMARY KEY",
            _ => continue,
        };
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("building the index of {word}"),
            remedy: "build the index first with CREATE UNIQUE INDEX CONCURRENTLY, then \
                     ADD CONSTRAINT ... USING INDEX, which is instant (for a primary key make its columns NOT NULL before)"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
