//! CREATE INDEX that is not CONCURRENTLY, on a table that has rows.

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "create-index",
    title: "An index is built while writers wait",
    page: page!("create-index"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::CreateIndex(create) = ctx.statement() else { return };
    if create.is_concurrent {
        return;
    }
    let name = create.name.as_ref().map_or_else(|| "an index".to_owned(), |name| name.name.clone());
    let table = ctx.name(&create.table);
    let is_partitioned = ctx
        .relation(&table)
        .is_some_and(|relation| relation.kind == posthaste_base::catalog::RelationKind::PartitionedTable);
    let instead = if is_partitioned {
        "make it ON ONLY the parent (instant), build it CONCURRENTLY on each partition, and ATTACH each: CONCURRENTLY itself \
         is refused on a partitioned table"
    } else {
        "use CREATE INDEX CONCURRENTLY, outside of a transaction, and look afterwards that the index is valid"
    };
    let about = Blocking {
        code: RULE.code,
        span: ctx.located.span,
        part: &ctx.facts.whole,
        what: format!("building {name}"),
        remedy: instead.to_owned(),
    };
    blocking(ctx, &about, found);
}
