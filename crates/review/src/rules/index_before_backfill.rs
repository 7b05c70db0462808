//! An index that is built before a backfill writes its columns.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, part_object, remedy, shown};
use crate::rows;
use crate::severity::count;
use crate::statement::{CreateIndex, QueryKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "index-before-backfill",
    title: "An index is built before the backfill of its columns, so that every row is written to it again",
    page: page!("index-before-backfill"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::CreateIndex(create) = ctx.statement() else { return };
    let table = ctx.name(&create.table);
    if ctx.is_harmless(&table) {
        return;
    }
    let columns = columns_of(create);
    for (_, later) in ctx.later() {
        let Statement::Query(query) = &later.statement else { continue };
        let is_it = query.target.as_ref().is_some_and(|target| ctx.name(&target.name) == table);
        if query.kind != QueryKind::Update || !is_it {
            continue;
        }
        let written: Vec<&str> = query
            .assignments
            .iter()
            .map(|assignment| assignment.column.as_str())
            .filter(|column| columns.iter().any(|known| known == column))
            .collect();
        let estimate = rows::of(query, ctx.state);
        let few = estimate.rows.is_some_and(|rows| rows < ctx.thresholds().bulk_rows);
        if written.is_empty() || few || estimate.is_single {
            continue;
        }
        let name = create.name.as_ref().map_or("the index", |name| name.as_str());
        let amount =
            estimate.rows.map_or_else(|| "the rows".to_owned(), |rows| format!("about {} rows", count(rows)));
        let message = format!(
            "{name} is built before line {} updates {} of {amount} of {}: each of them is then written to the index as well, \
             and to every other index of the table, because the row's new version cannot stay on its page alone (no HOT)",
            later.line,
            written.join(", "),
            shown(&table)
        );
        let mut finding = ctx.finding(RULE.code, Severity::Medium, message);
        if estimate.rows.is_none() {
            finding.confidence = posthaste_report::Confidence::Possible;
            finding.depends_on.extend(estimate.depends_on);
        }
        finding.object = part_object("index", &table, name);
        finding.object.columns = written.iter().map(|column| (*column).to_owned()).collect();
        finding.remedy = remedy("fill the column first, then build the index");
        found.push(finding);
        return;
    }
}

/// Columns whose change must be written to the index: keys, expressions, INCLUDE and the predicate.
fn columns_of(create: &CreateIndex) -> Vec<String> {
    let keys = create.keys.iter().filter_map(|key| key.column.as_ref());
    let expressions = create.keys.iter().filter_map(|key| key.expression.as_ref()).chain(&create.predicate);
    let used = expressions.flat_map(|expression| expression.columns.iter().map(|used| &used.column));
    keys.chain(&create.include).chain(used).map(|column| column.name.clone()).collect()
}
