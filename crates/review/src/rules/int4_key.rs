//! Keys of four bytes.

use posthaste_base::catalog::Name;
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, remedy, shown};
use crate::statement::{
    ColumnConstraintKind, ColumnDefinition, CreateTable, Statement, TableConstraintKind, TypeName,
};

pub(super) const RULE: Rule = Rule {
    code: "int4-key",
    title: "A key counts in four bytes, and ends at 2,147,483,647",
    page: page!("int4-key"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::CreateTable(create) = ctx.statement() else { return };
    let table = ctx.made_name(&create.name);
    for column in &create.columns {
        let Some(type_name) = &column.type_name else { continue };
        if !is_four_bytes(type_name) {
            continue;
        }
        let counts = column.is_identity()
            || type_name.serial_base().is_some()
            || column
                .default()
                .is_some_and(|default| default.functions.iter().any(|call| call.name.name == "nextval"));
        if counts && is_key(create, column) {
            report(ctx, column, &table, None, found);
        }
        // A reference must be as wide as what it refers to.
        if let Some(parent) = wider_parent(ctx, column) {
            report(ctx, column, &table, Some(parent), found);
        }
    }
}

fn report(
    ctx: &Context<'_>,
    column: &ColumnDefinition,
    table: &Name,
    parent: Option<String>,
    found: &mut Findings,
) {
    let (severity, message) = match parent {
        Some(parent) => (
            Severity::Medium,
            format!(
                "{}.{} has four bytes and refers to {parent}, which has eight: it overflows first",
                shown(table),
                column.name
            ),
        ),
        None => (
            Severity::Low,
            format!(
                "{}.{} counts in four bytes: after 2.1 billion inserts, also failed ones, no row can be added",
                shown(table),
                column.name
            ),
        ),
    };
    let mut finding = ctx.finding_at(RULE.code, column.span, severity, message);
    finding.object = column_object(table, [column.name.as_str()]);
    finding.remedy = remedy("use bigint: changing it later rewrites the table and all that refers to it");
    found.push(finding);
}

fn is_four_bytes(type_name: &TypeName) -> bool {
    type_name.serial_base().map_or(type_name.canonical == "integer", |base| base != "bigint")
}

fn is_key(create: &CreateTable, column: &ColumnDefinition) -> bool {
    let inline = column.constraints.iter().any(|constraint| {
        matches!(
            constraint.kind,
            ColumnConstraintKind::PrimaryKey { .. } | ColumnConstraintKind::Unique { .. }
        )
    });
    inline
        || create.constraints.iter().any(|constraint| match &constraint.kind {
            TableConstraintKind::PrimaryKey { columns, .. } | TableConstraintKind::Unique { columns, .. } => {
                columns.contains(&column.name)
            }
            _ => false,
        })
}

/// The column of eight bytes that it refers to.
fn wider_parent(ctx: &Context<'_>, column: &ColumnDefinition) -> Option<String> {
    column.constraints.iter().find_map(|constraint| {
        let ColumnConstraintKind::References(key) = &constraint.kind else { return None };
        let parent = ctx.name(&key.table);
        let relation = ctx.relation(&parent)?;
        let primary = relation.indexes.iter().find(|index| index.is_primary);
        let referred = match key.columns.first() {
            Some(column) => column.name.clone(),
            None => primary?.keys.first()?.column.clone()?,
        };
        let is_wider = ctx.column(&parent, &referred).is_some_and(|known| known.type_name == "bigint");
        is_wider.then(|| format!("{}.{referred}", shown(&parent)))
    })
}
