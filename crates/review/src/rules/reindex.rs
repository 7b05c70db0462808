//! REINDEX that is not CONCURRENTLY.

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "reindex",
    title: "Indexes are rebuilt while writers wait, and with them whoever plans a query on the table",
    page: page!("reindex"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Reindex(reindex) = ctx.statement() else { return };
    if reindex.is_concurrent {
        return;
    }
    let name = reindex.name.as_ref().map_or_else(|| "the database".to_owned(), ToString::to_string);
    let about = Blocking {
        code: RULE.code,
        span: ctx.located.span,
        part: &ctx.facts.whole,
        what: format!(
            "rebuilding {name} (ACCESS EXCLUSIVE on the index: every query on the table waits to be planned)"
        ),
        remedy: "use REINDEX ... CONCURRENTLY, outside of a transaction".to_owned(),
    };
    blocking(ctx, &about, found);
}
