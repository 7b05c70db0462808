//! A statement about a table, a column or a constraint that is not there.

use posthaste_base::catalog::Name;
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, part_object, remedy, shown, table_object};
use crate::statement::{Action, ObjectKind, Span, Statement};

pub(super) const RULE: Rule = Rule {
    code: "missing-object",
    title: "A statement names a table, a column or a constraint that is not there, and fails",
    page: page!("missing-object"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    if !ctx.state.is_complete() {
        return;
    }
    match ctx.statement() {
        Statement::CreateIndex(create) => {
            let table = ctx.name(&create.table);
            if missing_table(ctx, ctx.located.span, &table, found) {
                return;
            }
            for column in create.keys.iter().filter_map(|key| key.column.as_ref()).chain(&create.include) {
                missing_column(ctx, column.span, &table, column.as_str(), found);
            }
        }
        Statement::Query(query) => {
            for write in &query.writes {
                missing_table(ctx, write.table.name.span, &ctx.name(&write.table.name), found);
            }
            if let Some(target) = &query.target {
                let table = ctx.name(&target.name);
                for assignment in &query.assignments {
                    missing_column(ctx, assignment.span, &table, assignment.column.as_str(), found);
                }
            }
        }
        Statement::Alter(alter) if is_table(alter.kind) && !alter.if_exists => {
            for clause in ctx.clauses() {
                let is_index =
                    ctx.state.catalog.index(Some(&clause.table.schema), &clause.table.name).is_some();
                if is_index || missing_table(ctx, clause.span(), &clause.table, found) {
                    return;
                }
                clause_names(ctx, &clause, found);
            }
        }
        Statement::Drop(drop) if drop.kind == ObjectKind::Table && !drop.if_exists => {
            for target in &drop.targets {
                missing_table(ctx, target.name.span, &ctx.name(&target.name), found);
            }
        }
        _ => {}
    }
}

fn is_table(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Table | ObjectKind::ForeignTable)
}

fn clause_names(ctx: &Context<'_>, clause: &crate::context::Clause<'_>, found: &mut Findings) {
    let column = match clause.action() {
        Action::DropColumn { column, if_exists: false, .. }
        | Action::SetType { column, .. }
        | Action::SetDefault { column, .. }
        | Action::DropDefault { column }
        | Action::SetNotNull { column }
        | Action::DropNotNull { column }
        | Action::RenameColumn { from: column, .. } => Some(column),
        _ => None,
    };
    if let Some(column) = column {
        missing_column(ctx, column.span, &clause.table, column.as_str(), found);
    }
    let constraint = match clause.action() {
        Action::DropConstraint { constraint, if_exists: false, .. }
        | Action::ValidateConstraint { constraint }
        | Action::RenameConstraint { from: constraint, .. } => constraint,
        _ => return,
    };
    let Some(relation) = ctx.relation(&clause.table) else { return };
    let added_here = clause.alter.clauses.iter().any(|other| {
        matches!(&other.action, Action::AddConstraint(added) if added.name.as_ref() == Some(constraint))
    });
    if added_here || relation.constraints.iter().any(|known| known.name == constraint.as_str()) {
        return;
    }
    let message = format!("{} has no constraint {constraint}: the statement fails", shown(&clause.table));
    let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::High, message);
    finding.object = part_object("constraint", &clause.table, constraint.as_str());
    finding.remedy = remedy("correct the name");
    found.push(finding);
}

fn missing_table(ctx: &Context<'_>, span: Span, table: &Name, found: &mut Findings) -> bool {
    if ctx.relation(table).is_some() || is_of_system(&table.schema) {
        return false;
    }
    let message = format!("there is no table {}: the statement fails", shown(table));
    let mut finding = ctx.finding_at(RULE.code, span, Severity::High, message);
    finding.object = table_object(table);
    finding.remedy = remedy("correct the name, or run the migration that makes the table first");
    found.push(finding);
    true
}

fn missing_column(ctx: &Context<'_>, span: Span, table: &Name, column: &str, found: &mut Findings) {
    let Some(relation) = ctx.relation(table) else { return };
    let is_system = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"].contains(&column);
    let added_here = ctx.alter().is_some_and(|alter| {
        alter.clauses.iter().any(|clause| {
            matches!(&clause.action, Action::AddColumn { column: added, .. } if added.name.as_str() == column)
        })
    });
    if is_system
        || added_here
        || relation.columns.is_empty()
        || relation.columns.iter().any(|known| known.name == column)
    {
        return;
    }
    let message = format!("{} has no column {column}: the statement fails", shown(table));
    let mut finding = ctx.finding_at(RULE.code, span, Severity::High, message);
    finding.object = column_object(table, [column]);
    finding.remedy = remedy("correct the name, or add the column first");
    found.push(finding);
}

/// The catalog holds what users made.
fn is_of_system(schema: &str) -> bool {
    schema.starts_with("pg_") || schema == "information_schema"
}
