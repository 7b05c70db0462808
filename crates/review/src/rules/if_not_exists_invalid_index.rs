//! CREATE INDEX ... IF NOT EXISTS over an index that a failed build left invalid.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, part_object, remedy};
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "if-not-exists-invalid-index",
    title: "IF NOT EXISTS takes an invalid index for one that works, and builds nothing",
    page: page!("if-not-exists-invalid-index"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::CreateIndex(create) = ctx.statement() else { return };
    let Some(name) = create.name.as_ref().filter(|_| create.if_not_exists) else { return };
    let table = ctx.name(&create.table);
    // An index is made in its table's schema.
    match ctx.state.catalog.index(Some(&table.schema), name.as_str()) {
        Some((_, index)) if !index.is_valid => {
            let message = format!("{name} is there and invalid: the statement succeeds and builds nothing");
            let mut finding = ctx.finding(RULE.code, Severity::High, message);
            finding.object = part_object("index", &table, name.as_str());
            finding.remedy =
                remedy(format!("drop {name} with DROP INDEX CONCURRENTLY first, then create it"));
            found.push(finding);
        }
        None if create.is_concurrent && !ctx.state.has_catalog => {
            let message = format!(
                "if an earlier build of {name} failed, it is there and invalid, and IF NOT EXISTS builds nothing"
            );
            let mut finding = ctx.finding(RULE.code, Severity::Low, message);
            finding.confidence = posthaste_report::Confidence::Possible;
            finding.depends_on.push(format!("whether an invalid index {name} is there"));
            finding.object = part_object("index", &table, name.as_str());
            finding.remedy = remedy(format!(
                "put DROP INDEX CONCURRENTLY IF EXISTS {name} before it, and leave IF NOT EXISTS out"
            ));
            found.push(finding);
        }
        _ => {}
    }
}
