//! DROP: what goes with what is dropped, and what keeps it from going.

use posthaste_base::catalog::{Catalog, ConstraintKind, Name};

use super::{alter, constraint, find, kind, object, part, place_of, schema, sequence};
use crate::statement::{Drop, DropTarget, ObjectKind, ObjectName};

pub(super) fn apply(catalog: &mut Catalog, drop: &Drop) -> Result<(), String> {
    let mut together: Vec<Name> = Vec::new();
    if matches!(drop.kind, ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView) {
        let places = drop.targets.iter().filter_map(|target| find(catalog, &target.name));
        together = places.map(|place| catalog.relations[place].name.clone()).collect();
    }
    let mut refused = Ok(());
    for target in &drop.targets {
        refused = refused.and(match drop_one(catalog, drop, target, &together) {
            Ok(false) if !drop.if_exists => {
                Err(alter::missing(&drop.kind.words().to_lowercase(), &target.name))
            }
            done => done.map(|_| ()),
        });
    }
    refused
}

/// Whether there was something to drop.
fn drop_one(
    catalog: &mut Catalog,
    drop: &Drop,
    target: &DropTarget,
    together: &[Name],
) -> Result<bool, String> {
    let name = &target.name;
    match drop.kind {
        ObjectKind::Table | ObjectKind::ForeignTable | ObjectKind::View | ObjectKind::MaterializedView => {
            let Some(place) = find(catalog, name) else { return Ok(false) };
            let name = catalog.relations[place].name.clone();
            relation(catalog, &name, drop.is_cascade, together)?;
            Ok(true)
        }
        ObjectKind::Index => {
            let Some((table, index)) = index_place(catalog, name) else { return Ok(false) };
            drop_index(catalog, table, index)?;
            Ok(true)
        }
        ObjectKind::Sequence => sequence::drop(catalog, name, drop.is_cascade),
        ObjectKind::Type | ObjectKind::Domain => kind::drop(catalog, name, drop.is_cascade),
        ObjectKind::Schema => schema::drop(catalog, name, drop.is_cascade),
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => {
            object::drop_function(catalog, target, drop.is_cascade)
        }
        ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy => part::drop(catalog, drop.kind, target),
        _ => Ok(object::drop_named(catalog, drop.kind, name)),
    }
}

pub(super) fn index_place(catalog: &Catalog, name: &ObjectName) -> Option<(usize, usize)> {
    let in_schema = |schema: &str| {
        catalog.relations.iter().enumerate().find_map(|(table, relation)| {
            let is_it = |one: &posthaste_base::catalog::Index| {
                one.name.name == name.name && one.name.schema == schema
            };
            Some((table, relation.indexes.iter().position(is_it)?))
        })
    };
    match &name.schema {
        Some(schema) => in_schema(schema),
        None => catalog.search_path.iter().find_map(|schema| in_schema(schema)),
    }
}

fn drop_index(catalog: &mut Catalog, table: usize, index: usize) -> Result<(), String> {
    let known = &catalog.relations[table].indexes[index];
    let name = known.name.clone();
    if let Some(constraint) = &known.constraint {
        return Err(format!("constraint \"{constraint}\" requires index \"{}\"", name.name));
    }
    if known.parent.is_some() {
        return Err(format!("index \"{}\" is a part of its parent's", name.name));
    }
    remove_index(catalog, &name);
    Ok(())
}

/// With those of the partitions that are parts of it.
fn remove_index(catalog: &mut Catalog, name: &Name) {
    let parts: Vec<Name> = catalog
        .relations
        .iter()
        .flat_map(|relation| &relation.indexes)
        .filter(|index| index.parent.as_ref() == Some(name))
        .map(|index| index.name.clone())
        .collect();
    for relation in &mut catalog.relations {
        relation.indexes.retain(|index| index.name != *name);
        relation.constraints.retain(|constraint| constraint.index.as_ref() != Some(name));
    }
    parts.iter().for_each(|part| remove_index(catalog, part));
}

/// A table or a view, with its partitions, and with CASCADE all that depends on it.
pub(super) fn relation(
    catalog: &mut Catalog,
    name: &Name,
    is_cascade: bool,
    together: &[Name],
) -> Result<(), String> {
    let Some(place) = place_of(catalog, name) else { return Ok(()) };
    let is_partition_of = |one: &posthaste_base::catalog::Relation| {
        one.partition.as_ref().is_some_and(|partition| partition.parent == *name)
    };
    let partitions = catalog.relations.iter().filter(|one| is_partition_of(one)).map(|one| one.name.clone());
    let partitions: Vec<Name> = partitions.collect();
    let dependents = catalog.relations[place].dependents.clone();
    let heirs = catalog.relations.iter().filter(|one| one.parents.contains(name) && !is_partition_of(one));
    let mut blockers: Vec<Name> = heirs.map(|one| one.name.clone()).collect();
    let views = dependents.iter().filter(|one| one.kind.ends_with("view")).map(|one| one.name.clone());
    blockers.extend(views);
    for one in &catalog.relations {
        let refers = one.constraints.iter().any(|constraint| {
            constraint.references.as_ref().is_some_and(|references| references.table == *name)
        });
        if refers
            && one.name != *name
            && !is_partition_of(one)
            && !together.contains(&one.name)
            && !is_cascade
        {
            return Err(format!("a foreign key of \"{}\" depends on \"{}\"", one.name.name, name.name));
        }
    }
    blockers.retain(|blocker| !together.contains(blocker) && blocker != name);
    if let Some(blocker) = blockers.first().filter(|_| !is_cascade) {
        return Err(format!("\"{}\" depends on \"{}\"", blocker.name, name.name));
    }
    let gone = catalog.relations.remove(place);
    for sequence in catalog.sequences.iter_mut().filter(|one| one.table.as_ref() == Some(name)) {
        let column = gone.columns.iter().find(|column| Some(&column.name) == sequence.column.as_ref());
        if !sequence::is_owned(sequence, column.and_then(|column| column.default.as_deref())) {
            (sequence.table, sequence.column) = (None, None);
        }
    }
    let owned = catalog.sequences.iter().filter(|one| one.table.as_ref() == Some(name));
    for sequence in owned.map(|one| one.name.clone()).collect::<Vec<_>>() {
        sequence::free(catalog, &sequence, is_cascade)?;
    }
    for partition in &partitions {
        relation(catalog, partition, is_cascade, together)?;
    }
    for blocker in blockers {
        relation(catalog, &blocker, true, together)?;
    }
    forget(catalog, name);
    Ok(())
}

/// Takes a table's name out of everything that names it.
fn forget(catalog: &mut Catalog, name: &Name) {
    for one in &mut catalog.relations {
        one.constraints.retain(|constraint| {
            constraint.references.as_ref().is_none_or(|references| references.table != *name)
        });
        one.dependents.retain(|dependent| dependent.name != *name);
        one.parents.retain(|parent| parent != name);
    }
    catalog.sequences.retain(|sequence| sequence.table.as_ref() != Some(name));
    catalog.publications.iter_mut().for_each(|publication| publication.tables.retain(|table| table != name));
}

/// A column with its constraints and indexes, on a table and its children.
pub(super) fn column(
    catalog: &mut Catalog,
    members: &[usize],
    column: &str,
    is_cascade: bool,
) -> Result<(), String> {
    let names: Vec<Name> = members.iter().map(|member| catalog.relations[*member].name.clone()).collect();
    for name in names {
        let Some(place) = place_of(catalog, &name) else { continue };
        let relation = catalog.relations[place].clone();
        let uses = |columns: &[String]| columns.iter().any(|one| one == column);
        let views = relation.dependents.iter().filter(|one| one.kind.ends_with("view") && uses(&one.columns));
        let views: Vec<Name> = views.map(|one| one.name.clone()).collect();
        if let Some(view) = views.first().filter(|_| !is_cascade) {
            return Err(format!("view \"{}\" depends on column \"{column}\"", view.name));
        }
        for key in relation.constraints.iter().filter(|one| uses(&one.columns)) {
            if matches!(key.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique) {
                constraint::free_key(catalog, &name, key, is_cascade)?;
            }
        }
        for view in views {
            self::relation(catalog, &view, true, &[])?;
        }
        let Some(place) = place_of(catalog, &name) else { continue };
        remove_column(catalog, place, column);
    }
    Ok(())
}

fn remove_column(catalog: &mut Catalog, place: usize, column: &str) {
    let table = catalog.relations[place].name.clone();
    let relation = &mut catalog.relations[place];
    relation.columns.retain(|one| one.name != column);
    relation.constraints.retain(|one| !one.columns.iter().any(|name| name == column));
    let in_text =
        |text: &Option<String>| text.as_ref().is_some_and(|text| super::comparable::names(text, column));
    relation.indexes.retain(|index| {
        let in_keys =
            index.keys.iter().any(|key| key.column.as_deref() == Some(column) || in_text(&key.expression));
        !in_keys && !index.include.iter().any(|name| name == column) && !in_text(&index.predicate)
    });
    // Generated columns that read it go only with CASCADE, which the server asks for.
    relation.dependents.iter_mut().for_each(|one| one.columns.retain(|name| name != column));
    catalog
        .sequences
        .retain(|one| one.table.as_ref() != Some(&table) || one.column.as_deref() != Some(column));
}
