//! What takes a statement back, for those that stay as they were written.
//!
//! Not for: steps of routes, which say it themselves; and for data, which only a backup brings back.

use posthaste_base::catalog::Name;
use posthaste_base::quote::{identifier, literal};

use super::draft::Undo;
use super::template::template;
use super::world::World;
use super::{column, constraint};
use crate::statement::{Action, Alter, AlterClause, ObjectKind, RowSecurity, Statement};

/// Of a whole statement.
pub(super) fn of(world: &World<'_>, statement: &Statement) -> Undo {
    let drop = |kind: &str, name: String| {
        Undo::By(vec![template!("drop_named").with(&[("kind", kind), ("name", &name)])])
    };
    let named = |name| world.name(name).quoted();
    match statement {
        Statement::CreateTable(create) if !create.if_not_exists => drop("table", named(&create.name)),
        Statement::CreateTableAs(create) if !create.if_not_exists => drop("table", named(&create.name)),
        Statement::CreateView(create) if create.is_materialized => {
            drop("materialized view", named(&create.name))
        }
        Statement::CreateView(create) if !create.or_replace => drop("view", named(&create.name)),
        Statement::CreateSequence(create) if !create.if_not_exists => drop("sequence", named(&create.name)),
        Statement::CreateType(create) => drop("type", named(&create.name)),
        Statement::CreateDomain(create) => drop("domain", named(&create.name)),
        Statement::CreateSchema(create) if !create.if_not_exists && create.elements.is_empty() => {
            drop("schema", identifier(&create.name.name))
        }
        Statement::CreateTrigger(create) if !create.or_replace => {
            drop("trigger", format!("{} on {}", identifier(&create.name.name), named(&create.table)))
        }
        Statement::CreatePolicy(create) => {
            drop("policy", format!("{} on {}", identifier(&create.name.name), named(&create.table)))
        }
        Statement::CreateExtension(create) if !create.if_not_exists => {
            drop("extension", identifier(&create.name.name))
        }
        Statement::Alter(alter) => of_alter(world, alter),
        // Nobody's work depends on them.
        Statement::Comment(_) | Statement::Analyze(_) | Statement::Vacuum(_) | Statement::Explain(_) => {
            Undo::WithAnother
        }
        _ => Undo::Impossible,
    }
}

/// The clauses taken back from the last to the first; nothing when one of them cannot be.
fn of_alter(world: &World<'_>, alter: &Alter) -> Undo {
    let mut statements = Vec::new();
    for clause in alter.clauses.iter().rev() {
        match of_clause(world, alter, clause) {
            Undo::By(more) => statements.extend(more),
            Undo::WithAnother => {}
            Undo::Impossible => return Undo::Impossible,
        }
    }
    if statements.is_empty() { Undo::WithAnother } else { Undo::By(statements) }
}

pub(super) fn of_clause(world: &World<'_>, alter: &Alter, clause: &AlterClause) -> Undo {
    let name = world.name(&alter.name);
    let table = name.quoted();
    let one = |statement: String| Undo::By(vec![statement]);
    let kind = alter.kind.words().to_lowercase();
    match &clause.action {
        Action::AddColumn { column, if_not_exists: false } => {
            one(column::drop_column(&table, &column.name.name))
        }
        Action::AddConstraint(added) if alter.kind == ObjectKind::Table => {
            let constraint = added.name.as_ref().map(|name| name.name.clone());
            constraint.map_or(Undo::Impossible, |name| one(constraint::drop_constraint(&table, &name)))
        }
        Action::ValidateConstraint { .. } | Action::SetStatistics { .. } => Undo::WithAnother,
        Action::SetNotNull { column } => {
            one(template!("drop_not_null").with(&[("table", &table), ("column", &identifier(&column.name))]))
        }
        Action::SetDefault { column, .. } | Action::DropDefault { column } => {
            match world.relation(&alter.name) {
                Some(relation) => column::undo_default(relation, column),
                None => Undo::WithAnother,
            }
        }
        Action::RenameTo { to } => {
            let new = Name::new(&name.schema, &to.name).quoted();
            one(template!("rename_named").with(&[
                ("kind", &kind),
                ("name", &new),
                ("to", &identifier(&name.name)),
            ]))
        }
        Action::RenameColumn { from, to } => one(template!("rename_column").with(&[
            ("table", &table),
            ("column", &identifier(&to.name)),
            ("to", &identifier(&from.name)),
        ])),
        Action::RenameConstraint { from, to } => one(template!("rename_constraint").with(&[
            ("table", &table),
            ("constraint", &identifier(&to.name)),
            ("to", &identifier(&from.name)),
        ])),
        Action::RenameValue { from, to } => one(template!("rename_label").with(&[
            ("name", &table),
            ("from", &literal(to)),
            ("to", &literal(from)),
        ])),
        Action::SetSchema { schema } => {
            let moved = Name::new(&schema.name, &name.name).quoted();
            one(template!("set_schema").with(&[
                ("kind", &kind),
                ("name", &moved),
                ("schema", &identifier(&name.schema)),
            ]))
        }
        Action::RowSecurity(row_security) => {
            let action = match row_security {
                RowSecurity::Enable => "disable row level security",
                RowSecurity::Disable => "enable row level security",
                RowSecurity::Force => "no force row level security",
                RowSecurity::NoForce => "force row level security",
            };
            one(template!("alter_table").with(&[("table", &table), ("action", action)]))
        }
        _ => Undo::Impossible,
    }
}
