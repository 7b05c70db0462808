//! Schemas with what is in them.

use posthaste_base::catalog::{Catalog, Name};

use super::{alter, kind};
use crate::statement::{Action, Alter, CreateSchema, ObjectName};

pub(super) fn create(catalog: &mut Catalog, create: &CreateSchema) -> Result<(), String> {
    let name = &create.name.name;
    if catalog.schemas.contains(name) {
        return if create.if_not_exists { Ok(()) } else { Err(format!("schema \"{name}\" already exists")) };
    }
    catalog.schemas.push(name.clone());
    // Names without a schema in its elements mean the new one.
    let path = std::mem::replace(&mut catalog.search_path, vec![name.clone()]);
    catalog.search_path.extend(path.iter().cloned());
    let result = super::apply_all(catalog, create.elements.iter().map(|element| &element.statement));
    catalog.search_path = path;
    result
}

pub(super) fn rename(catalog: &mut Catalog, statement: &Alter) -> Result<(), String> {
    let from = statement.name.name.clone();
    for clause in &statement.clauses {
        let Action::RenameTo { to } = &clause.action else { continue };
        let Some(schema) = catalog.schemas.iter_mut().find(|schema| **schema == from) else {
            return Err(alter::missing("schema", &statement.name));
        };
        schema.clone_from(&to.name);
        rename_in_all(catalog, &from, &to.name);
    }
    Ok(())
}

fn rename_in_all(catalog: &mut Catalog, from: &str, to: &str) {
    let renamed = |name: &mut Name| {
        if name.schema == from {
            to.clone_into(&mut name.schema);
        }
    };
    for relation in &mut catalog.relations {
        renamed(&mut relation.name);
        relation.parents.iter_mut().for_each(renamed);
        relation.partition.iter_mut().for_each(|partition| renamed(&mut partition.parent));
        relation.dependents.iter_mut().for_each(|dependent| renamed(&mut dependent.name));
        relation.columns.iter_mut().for_each(|column| renamed(&mut column.type_ref));
        relation.triggers.iter_mut().for_each(|trigger| renamed(&mut trigger.function));
        for constraint in &mut relation.constraints {
            constraint.index.iter_mut().for_each(renamed);
            constraint.references.iter_mut().for_each(|references| renamed(&mut references.table));
        }
        for index in &mut relation.indexes {
            renamed(&mut index.name);
            index.parent.iter_mut().for_each(renamed);
        }
    }
    catalog.types.iter_mut().for_each(|known| renamed(&mut known.name));
    catalog.functions.iter_mut().for_each(|known| renamed(&mut known.name));
    for sequence in &mut catalog.sequences {
        renamed(&mut sequence.name);
        sequence.table.iter_mut().for_each(renamed);
    }
    catalog.publications.iter_mut().flat_map(|known| &mut known.tables).for_each(renamed);
}

pub(super) fn drop(catalog: &mut Catalog, name: &ObjectName, is_cascade: bool) -> Result<bool, String> {
    let schema = &name.name;
    if !catalog.schemas.contains(schema) {
        return Ok(false);
    }
    let relations = catalog.relations.iter().map(|one| &one.name).filter(|one| one.schema == *schema);
    let relations: Vec<Name> = relations.cloned().collect();
    let others =
        catalog.types.iter().map(|one| &one.name).chain(catalog.functions.iter().map(|one| &one.name));
    let has_others =
        others.chain(catalog.sequences.iter().map(|one| &one.name)).any(|one| one.schema == *schema);
    if !is_cascade && (!relations.is_empty() || has_others) {
        return Err(format!("schema \"{schema}\" is not empty"));
    }
    for relation in &relations {
        super::drop::relation(catalog, relation, true, &relations)?;
    }
    let types = catalog.types.iter().map(|one| one.name.clone()).filter(|one| one.schema == *schema);
    for known in types.collect::<Vec<_>>() {
        kind::drop(catalog, &ObjectName::new(Some(&known.schema), &known.name), true)?;
    }
    catalog.sequences.retain(|one| one.name.schema != *schema);
    catalog.functions.retain(|one| one.name.schema != *schema);
    catalog.schemas.retain(|one| one != schema);
    Ok(true)
}
