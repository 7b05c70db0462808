//! CREATE INDEX CONCURRENTLY on a partitioned table.

use posthaste_base::catalog::RelationKind;
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy, shown, table_object};
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "concurrently-on-partitioned",
    title: "CONCURRENTLY is refused on a partitioned table",
    page: page!("concurrently-on-partitioned"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let table = match ctx.statement() {
        Statement::CreateIndex(create) if create.is_concurrent => ctx.name(&create.table),
        Statement::Drop(drop) if drop.is_concurrent => {
            let parent = drop.targets.iter().find_map(|target| {
                let (table, index) =
                    ctx.state.catalog.index(target.name.schema.as_deref(), &target.name.name)?;
                index.is_partitioned.then(|| table.name.clone())
            });
            let Some(parent) = parent else { return };
            parent
        }
        _ => return,
    };
    if ctx.relation(&table).is_none_or(|relation| relation.kind != RelationKind::PartitionedTable) {
        return;
    }
    let message =
        format!("{} is partitioned: the server refuses {} CONCURRENTLY on it", shown(&table), ctx.keyword());
    let mut finding = ctx.finding(RULE.code, Severity::High, message);
    finding.object = table_object(&table);
    finding.remedy = remedy(
        "create the index ON ONLY the parent (instant), build one CONCURRENTLY on each partition, and attach each with \
         ALTER INDEX ... ATTACH PARTITION; `posthaste plan` writes these steps",
    );
    found.push(finding);
}
