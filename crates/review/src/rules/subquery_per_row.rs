//! A correlated subquery in an UPDATE that no index serves.

use posthaste_base::catalog::Name;
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, listed, remedy, shown};
use crate::rows;
use crate::severity::{Work, count, size};
use crate::statement::{Expression, Query, Statement};

pub(super) const RULE: Rule = Rule {
    code: "subquery-per-row",
    title: "An UPDATE runs a subquery for each row, and no index serves it",
    page: page!("subquery-per-row"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Query(query) = ctx.statement() else { return };
    let Some(target) = &query.target else { return };
    let table = ctx.name(&target.name);
    if query.assignments.is_empty() || ctx.is_harmless(&table) {
        return;
    }
    let rows = rows::of(query, ctx.state);
    let called = target.alias.clone().unwrap_or_else(|| target.name.name.clone());
    for expression in query.assignments.iter().filter_map(|assignment| assignment.expression.as_ref()) {
        for inner in correlated(ctx, query, expression, &called) {
            let Some(relation) = ctx.relation(&inner) else { continue };
            if ctx.is_harmless(&inner) || has_index(ctx, &inner, expression) {
                continue;
            }
            let bytes = ctx.volume(&inner).bytes(Work::Scan).unwrap_or(0);
            let times =
                rows.rows.map_or_else(|| "each row".to_owned(), |rows| format!("{} rows", count(rows)));
            let message = format!(
                "for {times} of {} the subquery reads all of {} ({}): no index of it begins with a column that the subquery \
                 compares",
                shown(&table),
                shown(&inner),
                size(bytes)
            );
            let severity = if bytes > 1 << 20 { Severity::High } else { Severity::Medium };
            let mut finding = ctx.finding_at(RULE.code, expression.span, severity, message);
            finding.object = column_object(&relation.name, Vec::<String>::new());
            finding.remedy = remedy(format!(
                "join with {} grouped once, or index the column that is compared before the backfill",
                listed(&[shown(&inner)])
            ));
            found.push(finding);
        }
    }
}

/// Tables of an expression's subqueries, when it names the row that is updated.
fn correlated(ctx: &Context<'_>, _query: &Query, expression: &Expression, outer: &str) -> Vec<Name> {
    if !expression.columns.iter().any(|used| used.table.as_deref() == Some(outer)) {
        return Vec::new();
    }
    expression.tables.iter().map(|used| ctx.name(&used.name)).collect()
}

/// Whether an index begins with a column of the table that the expression names.
fn has_index(ctx: &Context<'_>, table: &Name, expression: &Expression) -> bool {
    let Some(relation) = ctx.relation(table) else { return false };
    let used_as = expression.tables.iter().find(|used| ctx.name(&used.name) == *table);
    let called = used_as.map(|used| used.alias.as_deref().unwrap_or(&used.name.name));
    let is_its_own =
        |used: &crate::statement::ColumnUse| used.table.is_none() || used.table.as_deref() == called;
    relation.indexes.iter().filter(|index| index.is_valid && index.predicate.is_none()).any(|index| {
        let first = index.keys.first().and_then(|key| key.column.as_deref());
        first.is_some_and(|first| {
            expression.columns.iter().any(|used| used.column == first && is_its_own(used))
        })
    })
}
