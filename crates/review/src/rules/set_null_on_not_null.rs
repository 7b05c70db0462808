//! ON DELETE SET NULL over a column that is NOT NULL.

use posthaste_base::catalog::Name;
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, remedy, shown};
use crate::statement::{
    Action, ColumnConstraintKind, ForeignKey, ForeignKeyAction, Span, Statement, TableConstraintKind,
};

pub(super) const RULE: Rule = Rule {
    code: "set-null-on-not-null",
    title: "ON DELETE SET NULL over a NOT NULL column makes every such delete fail",
    page: page!("set-null-on-not-null"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    if let Statement::CreateTable(create) = ctx.statement() {
        let table = ctx.made_name(&create.name);
        let is_not_null = |name: &str| {
            let in_key = create.constraints.iter().any(|constraint| {
                matches!(&constraint.kind, TableConstraintKind::PrimaryKey { columns, .. } if columns.iter().any(|c| c.as_str() == name))
            });
            in_key || create.columns.iter().any(|column| column.name.as_str() == name && column.is_not_null())
        };
        for column in &create.columns {
            for constraint in &column.constraints {
                if let ColumnConstraintKind::References(key) = &constraint.kind {
                    report(
                        ctx,
                        constraint.span,
                        &table,
                        std::slice::from_ref(&column.name.name),
                        key,
                        &is_not_null,
                        found,
                    );
                }
            }
        }
        for constraint in &create.constraints {
            if let TableConstraintKind::ForeignKey { columns, key } = &constraint.kind {
                let columns = crate::context::names(columns);
                report(ctx, constraint.span, &table, &columns, key, &is_not_null, found);
            }
        }
    }
    for clause in ctx.clauses() {
        let table = clause.table.clone();
        let is_not_null = |name: &str| ctx.column(&table, name).is_some_and(|column| column.is_not_null);
        match clause.action() {
            Action::AddConstraint(constraint) => {
                if let TableConstraintKind::ForeignKey { columns, key } = &constraint.kind {
                    let columns = crate::context::names(columns);
                    report(ctx, clause.span(), &table, &columns, key, &is_not_null, found);
                }
            }
            Action::AddColumn { column, .. } => {
                for constraint in &column.constraints {
                    if let ColumnConstraintKind::References(key) = &constraint.kind {
                        let is_not_null = |_: &str| column.is_not_null();
                        report(
                            ctx,
                            clause.span(),
                            &table,
                            std::slice::from_ref(&column.name.name),
                            key,
                            &is_not_null,
                            found,
                        );
                    }
                }
            }
            _ => {}
        }
    }
}

fn report(
    ctx: &Context<'_>,
    span: Span,
    table: &Name,
    columns: &[String],
    key: &ForeignKey,
    is_not_null: &dyn Fn(&str) -> bool,
    found: &mut Findings,
) {
    let actions = [(key.on_delete, "DELETE", "deleted"), (key.on_update, "UPDATE", "changed")];
    for (action, word, done) in actions {
        if action != ForeignKeyAction::SetNull {
            continue;
        }
        let set = crate::context::names(&key.on_delete_columns);
        let set = if set.is_empty() || word == "UPDATE" { columns } else { &set };
        let Some(column) = set.iter().find(|column| is_not_null(column)) else { continue };
        // A later statement of the file may still drop the NOT NULL.
        if ctx.later().any(|(_, later)| drops_not_null(ctx, &later.statement, table, column)) {
            continue;
        }
        let parent = shown(&ctx.name(&key.table));
        let message = format!(
            "ON {word} SET NULL, but {}.{column} is NOT NULL: a row of {parent} that is referred to cannot be {done}, each try fails",
            shown(table)
        );
        let mut finding = ctx.finding_at(RULE.code, span, Severity::High, message);
        finding.object = column_object(table, [column]);
        finding.remedy = remedy(
            "drop the NOT NULL first (instant) if rows without an owner make sense; or choose CASCADE or RESTRICT",
        );
        found.push(finding);
    }
}

fn drops_not_null(ctx: &Context<'_>, statement: &Statement, table: &Name, column: &str) -> bool {
    let Statement::Alter(alter) = statement else { return false };
    ctx.name(&alter.name) == *table
        && alter.clauses.iter().any(|clause| {
            matches!(&clause.action, Action::DropNotNull { column: dropped } if dropped.as_str() == column)
        })
}
