//! New names, wherever the old ones stand.
//!
//! The server keeps trees and numbers, so that texts of expressions follow by themselves; here their words are replaced.

use posthaste_base::catalog::{Catalog, Name};

use super::{comparable, family, is_taken};
use crate::statement::Identifier;

pub(super) fn relation(catalog: &mut Catalog, place: usize, to: &Identifier) -> Result<(), String> {
    let from = catalog.relations[place].name.clone();
    let to = Name::new(&from.schema, &to.name);
    if is_taken(catalog, &to) {
        return Err(format!("relation \"{}\" already exists", to.name));
    }
    move_relation(catalog, place, &to);
    Ok(())
}

/// Indexes and own sequences go along to another schema.
pub(super) fn set_schema(catalog: &mut Catalog, place: usize, schema: &Identifier) -> Result<(), String> {
    let is_there = super::is_partial(catalog) || catalog.schemas.is_empty();
    if !is_there && !catalog.schemas.contains(&schema.name) {
        return Err(format!("schema \"{schema}\" does not exist"));
    }
    let from = catalog.relations[place].name.clone();
    let to = Name::new(&schema.name, &from.name);
    move_relation(catalog, place, &to);
    for index in &mut catalog.relations[place].indexes {
        index.name.schema.clone_from(&schema.name);
    }
    for constraint in &mut catalog.relations[place].constraints {
        if let Some(index) = &mut constraint.index {
            index.schema.clone_from(&schema.name);
        }
    }
    for sequence in catalog.sequences.iter_mut().filter(|one| one.table.as_ref() == Some(&to)) {
        sequence.name.schema.clone_from(&schema.name);
    }
    Ok(())
}

/// Gives a relation another name, wherever it is named.
pub(super) fn move_relation(catalog: &mut Catalog, place: usize, to: &Name) {
    let from = std::mem::replace(&mut catalog.relations[place].name, to.clone());
    let renamed = |name: &mut Name| {
        if *name == from {
            name.clone_from(to);
        }
    };
    for relation in &mut catalog.relations {
        relation.parents.iter_mut().for_each(renamed);
        relation.partition.iter_mut().for_each(|partition| renamed(&mut partition.parent));
        relation.dependents.iter_mut().for_each(|dependent| renamed(&mut dependent.name));
        for constraint in &mut relation.constraints {
            constraint.references.iter_mut().for_each(|references| renamed(&mut references.table));
        }
    }
    catalog.sequences.iter_mut().filter_map(|one| one.table.as_mut()).for_each(renamed);
    catalog.publications.iter_mut().flat_map(|one| &mut one.tables).for_each(renamed);
}

pub(super) fn column(catalog: &mut Catalog, place: usize, from: &str, to: &str) {
    let table = catalog.relations[place].name.clone();
    let renamed = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    let worded = |text: &mut String| *text = comparable::renamed(text, from, to);
    let relation = &mut catalog.relations[place];
    for column in &mut relation.columns {
        renamed(&mut column.name);
        if column.generated.is_some() {
            column.default.iter_mut().for_each(worded);
        }
    }
    for constraint in &mut relation.constraints {
        constraint.columns.iter_mut().for_each(renamed);
        worded(&mut constraint.definition);
    }
    for index in &mut relation.indexes {
        for key in &mut index.keys {
            key.column.iter_mut().for_each(renamed);
            key.expression.iter_mut().for_each(worded);
        }
        index.include.iter_mut().for_each(renamed);
        index.predicate.iter_mut().for_each(worded);
    }
    if let Some(key) = &mut relation.partition_key {
        key.columns.iter_mut().for_each(renamed);
        worded(&mut key.definition);
    }
    for dependent in &mut relation.dependents {
        dependent.columns.iter_mut().for_each(renamed);
    }
    for sequence in catalog.sequences.iter_mut().filter(|one| one.table.as_ref() == Some(&table)) {
        sequence.column.iter_mut().for_each(renamed);
    }
    for relation in &mut catalog.relations {
        for references in relation.constraints.iter_mut().filter_map(|one| one.references.as_mut()) {
            if references.table == table {
                references.columns.iter_mut().for_each(renamed);
            }
        }
    }
}

pub(super) fn constraint(
    catalog: &mut Catalog,
    place: usize,
    from: &Identifier,
    to: &Identifier,
) -> Result<(), String> {
    let members = family(catalog, place);
    let schema = catalog.relations[place].name.schema.clone();
    let (old, new) = (Name::new(&schema, &from.name), Name::new(&schema, &to.name));
    for part in catalog.relations.iter_mut().flat_map(|relation| &mut relation.indexes) {
        if part.parent.as_ref() == Some(&old) {
            part.parent = Some(new.clone());
        }
    }
    let relation = &catalog.relations[place];
    if relation.constraints.iter().all(|one| one.name != from.name) {
        return Err(format!("constraint \"{from}\" for table \"{}\" does not exist", relation.name.name));
    }
    for member in members {
        let relation = &mut catalog.relations[member];
        let is_meant =
            |name: &str, is_inherited: bool| name == from.name && (member == place || is_inherited);
        for known in &mut relation.constraints {
            if is_meant(&known.name, known.is_inherited) && (member == place || known.index.is_none()) {
                known.name.clone_from(&to.name);
                known.index = known.index.take().map(|index| Name::new(index.schema, &to.name));
            }
        }
        if member == place {
            for index in relation.indexes.iter_mut().filter(|one| one.constraint.as_ref() == Some(&from.name))
            {
                index.name.name.clone_from(&to.name);
                index.constraint = Some(to.name.clone());
            }
        }
    }
    Ok(())
}

/// The constraint that an index serves has its name.
pub(super) fn index(catalog: &mut Catalog, table: usize, index: usize, to: &Name) -> Result<(), String> {
    if is_taken(catalog, to) {
        return Err(format!("relation \"{}\" already exists", to.name));
    }
    let from = catalog.relations[table].indexes[index].name.clone();
    catalog.relations[table].indexes[index].name = to.clone();
    if catalog.relations[table].indexes[index].constraint.is_some() {
        catalog.relations[table].indexes[index].constraint = Some(to.name.clone());
    }
    for relation in &mut catalog.relations {
        for constraint in relation.constraints.iter_mut().filter(|one| one.index.as_ref() == Some(&from)) {
            constraint.index = Some(to.clone());
            constraint.name.clone_from(&to.name);
        }
        for child in relation.indexes.iter_mut().filter(|one| one.parent.as_ref() == Some(&from)) {
            child.parent = Some(to.clone());
        }
    }
    Ok(())
}
