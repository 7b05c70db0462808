//! DELETE of many rows in one statement.

use super::{Check, Findings, Rule, bulk_update, page};
use crate::context::Context;
use crate::statement::QueryKind;

pub(super) const RULE: Rule = Rule {
    code: "bulk-delete",
    title: "One DELETE removes many rows: each stays locked until the commit, and its space is not given back",
    page: page!("bulk-delete"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    bulk_update::report(ctx, QueryKind::Delete, RULE.code, found);
}
