//! CREATE TABLE in all its forms.

use std::collections::BTreeMap;

use posthaste_base::catalog::{
    Catalog, Column, ConstraintKind, Name, Partition, PartitionKey, Relation, RelationKind,
};

use super::{column, constraint, expect, find, index, is_taken, look_for, made};
use crate::statement::{
    CreateTable, CreateTableAs, LikeClause, ObjectName, PartitionBound, PartitionBy, Persistence, Setting,
};

pub(super) fn create(catalog: &mut Catalog, create: &CreateTable) -> Result<(), String> {
    let name = made(catalog, &create.name)?;
    if is_taken(catalog, &name) {
        return if create.if_not_exists {
            Ok(())
        } else {
            Err(format!("relation \"{name}\" already exists", name = create.name))
        };
    }
    let relation = Relation {
        name: name.clone(),
        kind: match (&create.partition_by, &create.server) {
            (_, Some(_)) => RelationKind::ForeignTable,
            (Some(_), None) => RelationKind::PartitionedTable,
            (None, None) => RelationKind::Table,
        },
        is_unlogged: create.persistence == Persistence::Unlogged,
        is_temporary: create.persistence == Persistence::Temporary,
        access_method: create.access_method.as_ref().map_or("heap", |method| method.as_str()).to_owned(),
        options: options(&create.options),
        replica_identity: "d".to_owned(),
        partition_key: create.partition_by.as_ref().map(partition_key),
        ..Relation::default()
    };
    let place = catalog.relations.len();
    catalog.relations.push(relation);
    if let Some(of_type) = &create.of_type {
        let columns = find(catalog, of_type).map(|of| catalog.relations[of].columns.clone());
        catalog.relations[place].columns = columns.unwrap_or_default();
    }
    for parent in create.inherits.iter().chain(&create.partition_of) {
        match look_for(catalog, parent)? {
            Some(parent) => take_columns(catalog, parent, place),
            None => {
                let parent = made(catalog, parent)?;
                catalog.relations[place].parents.push(parent);
            }
        }
    }
    for like in &create.likes {
        take_like(catalog, like, place)?;
    }
    add_columns(catalog, place, create)?;
    add_constraints(catalog, place, create)?;
    for parent in &create.inherits {
        if let Some(parent) = look_for(catalog, parent)? {
            constraint::inherit_checks(catalog, parent, place);
        }
    }
    if let (Some(parent), Some(bound)) = (&create.partition_of, &create.bound) {
        match look_for(catalog, parent)? {
            Some(parent) => attach(catalog, parent, place, bound),
            None => {
                let parent = made(catalog, parent)?;
                catalog.relations[place].partition = Some(partition(parent, bound));
            }
        }
    }
    Ok(())
}

fn add_columns(catalog: &mut Catalog, place: usize, create: &CreateTable) -> Result<(), String> {
    let table = catalog.relations[place].name.clone();
    for definition in &create.columns {
        let known = catalog.relations[place].columns.iter().position(|one| one.name == definition.name.name);
        match known {
            Some(known) => {
                // A column of a parent, or of the type, gets what is said here.
                let mut column = catalog.relations[place].columns[known].clone();
                column::apply_constraints(catalog, &table, &mut column, definition);
                catalog.relations[place].columns[known] = column;
            }
            // Its type is that of a parent which the catalog lacks.
            None if definition.type_name.is_none() && super::is_partial(catalog) => {}
            None if definition.type_name.is_none() => {
                return Err(format!("column \"{}\" does not exist", definition.name));
            }
            None => {
                let number = next_number(&catalog.relations[place]);
                let column = column::make(catalog, &table, number, definition);
                catalog.relations[place].columns.push(column);
            }
        }
    }
    Ok(())
}

/// As the server does: NOT NULLs and CHECKs with the table, then the primary key, other indexes, and foreign keys.
fn add_constraints(catalog: &mut Catalog, place: usize, create: &CreateTable) -> Result<(), String> {
    let inline = create.columns.iter().flat_map(|column| {
        column.constraints.iter().filter_map(|one| constraint::of_column(&column.name, one))
    });
    let mut all: Vec<_> = create.constraints.iter().cloned().chain(inline).collect();
    all.sort_by_key(constraint::order);
    // Those with names first, so that the others get the names that are left.
    let named = all.iter().take_while(|one| constraint::order(one) == 0).count();
    for (index, one) in all.iter().enumerate() {
        if index == named {
            constraint::add_not_nulls(catalog, place);
        }
        constraint::add(catalog, place, one)?;
    }
    constraint::add_not_nulls(catalog, place);
    Ok(())
}

pub(super) fn create_as(catalog: &mut Catalog, create: &CreateTableAs) -> Result<(), String> {
    let name = made(catalog, &create.name)?;
    if is_taken(catalog, &name) {
        return if create.if_not_exists {
            Ok(())
        } else {
            Err(format!("relation \"{}\" already exists", create.name))
        };
    }
    // Names that are not written, and all types, come from the query, which is not evaluated.
    let columns = create.columns.iter().enumerate().map(|(index, column)| Column {
        name: column.name.clone(),
        number: index as i16 + 1,
        type_modifier: -1,
        ..Column::default()
    });
    let columns = columns.collect();
    catalog.relations.push(Relation {
        name,
        columns,
        is_unlogged: create.persistence == Persistence::Unlogged,
        is_temporary: create.persistence == Persistence::Temporary,
        access_method: create.access_method.as_ref().map_or("heap", |method| method.as_str()).to_owned(),
        options: options(&create.options),
        replica_identity: "d".to_owned(),
        ..Relation::default()
    });
    Ok(())
}

pub(super) fn next_number(relation: &Relation) -> i16 {
    relation.columns.iter().map(|column| column.number).max().unwrap_or_default() + 1
}

pub(super) fn options(settings: &[Setting]) -> BTreeMap<String, String> {
    let pair = |one: &Setting| (one.name.clone(), one.value.clone().unwrap_or_else(|| "true".to_owned()));
    settings.iter().map(pair).collect()
}

fn partition_key(by: &PartitionBy) -> PartitionKey {
    let name = |key: &crate::statement::PartitionKeyPart| match &key.column {
        Some(column) => (column.name.clone(), column.name.clone()),
        None => (String::new(), key.expression.as_ref().map(|it| it.text.clone()).unwrap_or_default()),
    };
    let (columns, texts): (Vec<String>, Vec<String>) = by.keys.iter().map(name).unzip();
    let definition = format!("{} ({})", by.strategy.to_uppercase(), texts.join(", "));
    PartitionKey { strategy: by.strategy.clone(), columns, definition }
}

/// A parent's columns come first; those that are there already are merged.
fn take_columns(catalog: &mut Catalog, parent: usize, place: usize) {
    let name = catalog.relations[parent].name.clone();
    let columns = catalog.relations[parent].columns.clone();
    let child = &mut catalog.relations[place];
    for mut column in columns {
        if child.columns.iter().all(|one| one.name != column.name) {
            column.number = next_number(child);
            // An identity of a partitioned table is its partitions' as well, from 17 on.
            column.identity = None;
            child.columns.push(column);
        }
    }
    child.parents.push(name);
}

fn take_like(catalog: &mut Catalog, like: &LikeClause, place: usize) -> Result<(), String> {
    let Some(from) = look_for(catalog, &like.table)? else { return Ok(()) };
    let has = |what: &str| {
        let includes = like.including.iter().any(|one| one == what || one == "all");
        includes && !like.excluding.iter().any(|one| one == what || one == "all")
    };
    let source = catalog.relations[from].clone();
    let table = catalog.relations[place].name.clone();
    for column in &source.columns {
        let mut column = Column { number: next_number(&catalog.relations[place]), ..column.clone() };
        let is_generated = column.generated.is_some();
        if (is_generated && !has("generated")) || (!is_generated && !has("defaults")) {
            (column.default, column.generated) = (None, None);
        }
        if column.identity.is_some() && has("identity") {
            column::make_sequence(catalog, &table, &column, &Default::default());
        } else {
            column.identity = None;
        }
        let given = constraint::not_null_name(&source, &column.name);
        let name = column.name.clone();
        catalog.relations[place].columns.push(column);
        if given.is_some() {
            constraint::add_not_null(catalog, place, &name, given.as_deref(), Default::default(), false);
        }
    }
    for known in
        source.constraints.iter().filter(|one| one.kind == ConstraintKind::Check && has("constraints"))
    {
        let known = posthaste_base::catalog::Constraint { oid: 0, is_inherited: false, ..known.clone() };
        catalog.relations[place].constraints.push(known);
    }
    if has("indexes") {
        for known in &source.indexes {
            index::copy(catalog, place, known, None);
        }
    }
    Ok(())
}

/// Makes a table a partition: it gets the constraints, indexes and triggers that it does not have.
pub(super) fn attach(catalog: &mut Catalog, parent: usize, place: usize, bound: &PartitionBound) {
    let parent_name = catalog.relations[parent].name.clone();
    let child = &mut catalog.relations[place];
    child.partition = Some(partition(parent_name.clone(), bound));
    if !child.parents.contains(&parent_name) {
        child.parents.push(parent_name.clone());
    }
    let source = catalog.relations[parent].clone();
    for column in source.columns.iter().filter(|column| column.is_not_null) {
        let child = &mut catalog.relations[place];
        if let Some(known) = child.columns.iter_mut().find(|one| one.name == column.name) {
            known.is_not_null = true;
        }
    }
    constraint::inherit_checks(catalog, parent, place);
    constraint::add_not_nulls(catalog, place);
    for known in &source.indexes {
        index::attach_or_copy(catalog, place, known);
    }
    for known in source.constraints.iter().filter(|one| one.kind == ConstraintKind::ForeignKey) {
        constraint::inherit_key(catalog, place, known);
    }
    // Only those for each row are passed on, which the catalog tells by the other partitions alone.
    let siblings = catalog.relations.iter().enumerate();
    let siblings = siblings.filter(|(at, one)| *at != place && one.parents.contains(&parent_name));
    let siblings: Vec<Relation> = siblings.map(|(_, one)| one.clone()).collect();
    let is_of_rows = |name: &str| {
        siblings.is_empty() || siblings.iter().any(|one| one.triggers.iter().any(|known| known.name == name))
    };
    for trigger in source.triggers.iter().filter(|one| !one.is_internal && is_of_rows(&one.name)) {
        let child = &mut catalog.relations[place];
        if child.triggers.iter().all(|one| one.name != trigger.name) {
            child.triggers.push(trigger.clone());
        }
    }
}

fn partition(parent: Name, bound: &PartitionBound) -> Partition {
    let (bound, is_default) = match bound {
        PartitionBound::Default { .. } => ("DEFAULT".to_owned(), true),
        PartitionBound::List { values, .. } => (format!("FOR VALUES IN ({})", texts(values)), false),
        PartitionBound::Range { from, to, .. } => {
            (format!("FOR VALUES FROM ({}) TO ({})", texts(from), texts(to)), false)
        }
        PartitionBound::Hash { bound, .. } => {
            (format!("FOR VALUES WITH (modulus {}, remainder {})", bound.modulus, bound.remainder), false)
        }
    };
    Partition { parent, bound, is_default }
}

fn texts(values: &[crate::statement::Expression]) -> String {
    values.iter().map(|value| value.text.clone()).collect::<Vec<_>>().join(", ")
}

/// Takes a partition out; its constraints stay and are its own.
pub(super) fn detach(catalog: &mut Catalog, parent: usize, partition: &ObjectName) -> Result<(), String> {
    let parent_name = catalog.relations[parent].name.clone();
    let place = expect(catalog, partition)?;
    let child = &mut catalog.relations[place];
    if child.partition.as_ref().is_none_or(|known| known.parent != parent_name) {
        return Err(format!("relation \"{partition}\" is not a partition of \"{}\"", parent_name.name));
    }
    leave(child, &parent_name);
    child.partition = None;
    // Triggers that came from the parent go again.
    let of_parent: Vec<String> =
        catalog.relations[parent].triggers.iter().map(|one| one.name.clone()).collect();
    catalog.relations[place].triggers.retain(|one| !of_parent.contains(&one.name));
    Ok(())
}

/// What a child keeps when it leaves its parent is its own from then on.
pub(super) fn leave(child: &mut Relation, parent: &Name) {
    child.parents.retain(|one| one != parent);
    for constraint in &mut child.constraints {
        constraint.is_inherited = false;
    }
    for index in &mut child.indexes {
        index.parent = None;
    }
}
