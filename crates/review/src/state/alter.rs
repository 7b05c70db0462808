//! ALTER carried out on a catalog.
//!
//! Not for: other statements (see `apply`).

use posthaste_base::catalog::{Catalog, Name, Partition, Relation, TypeInfo};

use super::apply::{add_column, add_constraint, known_name, made_name, relation_mut, set_not_null};
use crate::statement::{Action, Alter, PartitionBound, RowSecurity};

pub(super) fn apply(catalog: &mut Catalog, alter: &Alter) {
    for clause in &alter.clauses {
        let made = made_name(catalog, &alter.name);
        if let Some(known) = catalog.types.iter_mut().find(|known| known.name == made) {
            of_type(known, &clause.action);
            continue;
        }
        let name = known_name(catalog, &alter.name);
        match &clause.action {
            Action::AttachPartition { partition, bound } => {
                let partition = known_name(catalog, partition);
                let is_default = matches!(bound, PartitionBound::Default { .. });
                if let Some(relation) = relation_mut(catalog, &partition) {
                    relation.parents = vec![name.clone()];
                    relation.partition = Some(Partition { parent: name, bound: String::new(), is_default });
                }
            }
            Action::DetachPartition { partition, .. } => {
                let partition = known_name(catalog, partition);
                if let Some(relation) = relation_mut(catalog, &partition) {
                    relation.parents.clear();
                    relation.partition = None;
                }
            }
            Action::RenameTo { to } => rename(catalog, &name, Name::new(&name.schema, &to.name)),
            Action::SetSchema { schema } => rename(catalog, &name, Name::new(&schema.name, &name.name)),
            action => {
                // Foreign keys are looked up while the table changes.
                let Some(at) = catalog.relations.iter().position(|relation| relation.name == name) else {
                    continue;
                };
                let mut relation = std::mem::take(&mut catalog.relations[at]);
                of_table(catalog, &mut relation, action);
                catalog.relations[at] = relation;
            }
        }
    }
}

fn of_type(known: &mut TypeInfo, action: &Action) {
    match action {
        Action::AddValue { value, .. } if !known.labels.contains(value) => known.labels.push(value.clone()),
        Action::RenameValue { from, to } => {
            known.labels.iter_mut().filter(|label| *label == from).for_each(|label| label.clone_from(to));
        }
        Action::RenameTo { to } => known.name.name.clone_from(&to.name),
        _ => {}
    }
}

/// A table or an index under a new name, for all that lead to it as well.
fn rename(catalog: &mut Catalog, from: &Name, to: Name) {
    let is_table = catalog.relations.iter().any(|relation| relation.name == *from);
    for relation in &mut catalog.relations {
        if !is_table {
            for index in relation.indexes.iter_mut().filter(|index| index.name == *from) {
                index.name.clone_from(&to);
            }
            continue;
        }
        if relation.name == *from {
            relation.name.clone_from(&to);
        }
        relation
            .parents
            .iter_mut()
            .filter(|parent| *parent == from)
            .for_each(|parent| parent.clone_from(&to));
        for constraint in &mut relation.constraints {
            if let Some(reference) =
                constraint.references.as_mut().filter(|reference| reference.table == *from)
            {
                reference.table.clone_from(&to);
            }
        }
        for dependent in relation.dependents.iter_mut().filter(|dependent| dependent.name == *from) {
            dependent.name.clone_from(&to);
        }
    }
}

fn of_table(catalog: &Catalog, relation: &mut Relation, action: &Action) {
    let column_of =
        |relation: &mut Relation, name: &str, change: &dyn Fn(&mut posthaste_base::catalog::Column)| {
            relation.columns.iter_mut().filter(|known| known.name == name).for_each(change);
        };
    match action {
        Action::AddColumn { column, .. } => add_column(catalog, relation, column),
        Action::DropColumn { column, .. } => drop_column(relation, column.as_str()),
        Action::RenameColumn { from, to } => rename_column(relation, from.as_str(), to.as_str()),
        Action::SetType { column, type_name, .. } => column_of(relation, column.as_str(), &|known| {
            known.type_name.clone_from(&type_name.canonical);
            known.type_ref = type_name.name.in_schema("pg_catalog");
            // What the planner knew of the values still holds, near enough.
        }),
        Action::SetDefault { column, expression } => column_of(relation, column.as_str(), &|known| {
            known.default = (!expression.is_null()).then(|| expression.text.clone());
        }),
        Action::DropDefault { column } => column_of(relation, column.as_str(), &|known| known.default = None),
        Action::SetNotNull { column } => set_not_null(relation, std::slice::from_ref(column)),
        Action::DropNotNull { column } => {
            column_of(relation, column.as_str(), &|known| known.is_not_null = false)
        }
        Action::AddConstraint(constraint) => add_constraint(catalog, relation, constraint),
        Action::ValidateConstraint { constraint } => {
            let named = relation.constraints.iter_mut().filter(|known| known.name == constraint.as_str());
            named.for_each(|known| known.is_validated = true);
        }
        Action::DropConstraint { constraint, .. } => {
            relation.constraints.retain(|known| known.name != constraint.as_str());
            relation.indexes.retain(|index| index.constraint.as_deref() != Some(constraint.as_str()));
        }
        Action::RenameConstraint { from, to } => {
            for known in relation.constraints.iter_mut().filter(|known| known.name == from.as_str()) {
                known.name.clone_from(&to.name);
            }
        }
        Action::RowSecurity(mode) => match mode {
            RowSecurity::Enable => relation.has_row_security = true,
            RowSecurity::Disable => relation.has_row_security = false,
            RowSecurity::Force => relation.forces_row_security = true,
            RowSecurity::NoForce => relation.forces_row_security = false,
        },
        Action::Inherit { parent } => relation.parents.push(known_name(catalog, parent)),
        Action::NoInherit { parent } => {
            let parent = known_name(catalog, parent);
            relation.parents.retain(|known| *known != parent);
        }
        Action::SetLogged => relation.is_unlogged = false,
        Action::SetUnlogged => relation.is_unlogged = true,
        _ => {}
    }
}

/// Indexes and constraints go with a column that they name.
fn drop_column(relation: &mut Relation, column: &str) {
    relation.columns.retain(|known| known.name != column);
    let names =
        |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == column);
    relation.indexes.retain(|index| {
        let in_keys = index
            .keys
            .iter()
            .any(|key| key.column.as_deref() == Some(column) || key.expression.as_deref().is_some_and(names));
        !(in_keys
            || index.include.iter().any(|known| known == column)
            || index.predicate.as_deref().is_some_and(names))
    });
    relation.constraints.retain(|constraint| !constraint.columns.iter().any(|known| known == column));
}

fn rename_column(relation: &mut Relation, from: &str, to: &str) {
    let rename = |known: &mut String| {
        if known == from {
            to.clone_into(known);
        }
    };
    relation.columns.iter_mut().for_each(|column| rename(&mut column.name));
    relation.constraints.iter_mut().flat_map(|constraint| &mut constraint.columns).for_each(rename);
    for index in &mut relation.indexes {
        index.keys.iter_mut().filter_map(|key| key.column.as_mut()).for_each(rename);
        index.include.iter_mut().for_each(rename);
    }
}
