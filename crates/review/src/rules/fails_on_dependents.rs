//! A column that a view needs is dropped or changed: the server refuses it.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, listed, remedy, shown, table_object};
use crate::statement::{Action, ObjectKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "fails-on-dependents",
    title: "Something is dropped or changed that a view or a foreign key depends on, which the server refuses",
    page: page!("fails-on-dependents"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    if let Statement::Drop(drop) = ctx.statement()
        && drop.kind == ObjectKind::Table
        && !drop.is_cascade
    {
        let together: Vec<_> = drop.targets.iter().map(|target| ctx.name(&target.name)).collect();
        for table in &together {
            let mut users = views(ctx, table, None);
            let others = ctx.state.catalog.relations.iter().filter(|other| !together.contains(&other.name));
            for other in others {
                let keys = other.constraints.iter().filter(|constraint| {
                    constraint.references.as_ref().is_some_and(|reference| reference.table == *table)
                });
                users.extend(
                    keys.map(|key| format!("the foreign key {} of {}", key.name, shown(&other.name))),
                );
            }
            if users.is_empty() {
                continue;
            }
            let message = format!("{} cannot be dropped: {} needs it", shown(table), listed(&users));
            let mut finding = ctx.finding(RULE.code, Severity::High, message);
            finding.object = table_object(table);
            finding.remedy = remedy("drop what depends on it first, by name");
            found.push(finding);
        }
    }
    for clause in ctx.clauses() {
        let (column, what) = match clause.action() {
            Action::DropColumn { column, is_cascade: false, .. } => (column, "dropped"),
            Action::SetType { column, .. } => (column, "changed"),
            _ => continue,
        };
        let users = views(ctx, &clause.table, Some(column.as_str()));
        if users.is_empty() {
            continue;
        }
        let message =
            format!("{}.{column} cannot be {what}: {} needs it", shown(&clause.table), listed(&users));
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::High, message);
        finding.object = column_object(&clause.table, [column.as_str()]);
        finding.remedy = remedy("drop the view and make it anew, in one transaction with the change");
        found.push(finding);
    }
}

/// Views (functions are not tracked) that read the table, or the column.
fn views(ctx: &Context<'_>, table: &posthaste_base::catalog::Name, column: Option<&str>) -> Vec<String> {
    let Some(relation) = ctx.relation(table) else { return Vec::new() };
    let reads = |columns: &[String]| column.is_none_or(|column| columns.iter().any(|known| known == column));
    let is_hard = |kind: &str| ["view", "materialized-view", "rule"].contains(&kind);
    relation
        .dependents
        .iter()
        .filter(|dependent| is_hard(&dependent.kind) && reads(&dependent.columns))
        .map(|dependent| format!("the {} {}", dependent.kind.replace('-', " "), shown(&dependent.name)))
        .collect()
}
