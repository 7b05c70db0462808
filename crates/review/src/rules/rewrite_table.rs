//! CLUSTER, VACUUM FULL, SET LOGGED, SET TABLESPACE, SET ACCESS METHOD: the whole table is written anew.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, Statement};

pub(super) const RULE: Rule = Rule {
    code: "rewrite-table",
    title: "A table or an index is written anew under ACCESS EXCLUSIVE",
    page: page!("rewrite-table"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let whole = match ctx.statement() {
        Statement::Cluster(_) => {
            Some(("CLUSTER", "use pg_repack or pg_squeeze, which write the new copy beside the old one"))
        }
        Statement::Vacuum(vacuum) if vacuum.is_full => Some((
            "a full VACUUM",
            "plain VACUUM makes the space usable again without a lock; to give it back use pg_repack",
        )),
        Statement::MoveAll(_) => {
            Some(("moving all to a tablespace", "move one table at a time, in a window"))
        }
        _ => None,
    };
    if let Some((what, instead)) = whole {
        report(ctx, ctx.located.span, &ctx.facts.whole, what, instead, found);
    }
    for clause in ctx.clauses() {
        let what = match clause.action() {
            Action::SetLogged => "SET LOGGED",
            Action::SetUnlogged => "SET UNLOGGED",
            Action::SetTablespace { .. } => "SET TABLESPACE",
            Action::SetAccessMethod { .. } => "SET ACCESS METHOD",
            _ => continue,
        };
        let instead = "make a second table as it should be, copy the rows in batches, and swap the names; or do it in a window";
        report(ctx, clause.span(), clause.part, what, instead, found);
    }
}

fn report(
    ctx: &Context<'_>,
    span: crate::statement::Span,
    part: &crate::facts::Part,
    what: &str,
    instead: &str,
    found: &mut Findings,
) {
    if part.effect() == Effect::None {
        return;
    }
    let about = Blocking { code: RULE.code, span, part, what: what.to_owned(), remedy: instead.to_owned() };
    blocking(ctx, &about, found);
}
