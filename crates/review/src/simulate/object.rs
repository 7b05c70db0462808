//! Views, functions, statistics, publications and extensions.

use posthaste_base::catalog::{
    Catalog, Column, Dependent, Extension, Function, Publication, Relation, RelationKind,
};

use super::{alter, expect, find, is_taken, look_for, made, name};
use crate::statement::{
    Action, Alter, CreateExtension, CreateFunction, CreatePublication, CreateStatistics, CreateView,
    DropTarget, ObjectKind, ObjectName, Persistence, TypeName,
};

pub(super) fn create_view(catalog: &mut Catalog, create: &CreateView) -> Result<(), String> {
    let name = made(catalog, &create.name)?;
    let old = find(catalog, &create.name).filter(|_| create.or_replace);
    if old.is_none() && is_taken(catalog, &name) {
        let message = format!("relation \"{}\" already exists", create.name);
        return if create.if_not_exists { Ok(()) } else { Err(message) };
    }
    for read in &create.query.reads {
        look_for(catalog, &read.name)?;
    }
    let kind = if create.is_materialized { "materialized-view" } else { "view" };
    for relation in &mut catalog.relations {
        relation.dependents.retain(|dependent| dependent.name != name);
    }
    for read in &create.query.reads {
        let Some(place) = look_for(catalog, &read.name)? else { continue };
        let columns = used_columns(&catalog.relations[place], create);
        let dependent = Dependent { name: name.clone(), kind: kind.to_owned(), columns };
        let dependents = &mut catalog.relations[place].dependents;
        if dependents.iter().all(|known| known.name != name) {
            dependents.push(dependent);
        }
    }
    let columns = create.columns.iter().enumerate().map(|(index, column)| Column {
        name: column.name.clone(),
        number: index as i16 + 1,
        type_modifier: -1,
        ..Column::default()
    });
    let relation = Relation {
        name,
        kind: if create.is_materialized { RelationKind::MaterializedView } else { RelationKind::View },
        is_temporary: create.persistence == Persistence::Temporary,
        columns: columns.collect(),
        options: super::table::options(&create.options),
        replica_identity: if create.is_materialized { "d" } else { "n" }.to_owned(),
        ..Relation::default()
    };
    match old {
        Some(place) => {
            let dependents = std::mem::take(&mut catalog.relations[place].dependents);
            catalog.relations[place] = Relation { dependents, ..relation };
        }
        None => catalog.relations.push(relation),
    }
    Ok(())
}

/// Columns of a table that a view names; all of them for a `*`.
fn used_columns(relation: &Relation, create: &CreateView) -> Vec<String> {
    let used = &create.query.columns_used;
    let is_all = used.iter().any(|one| one.column.name == "*");
    let is_used = |column: &&Column| is_all || used.iter().any(|one| one.column.name == column.name);
    let mut columns: Vec<String> =
        relation.columns.iter().filter(is_used).map(|column| column.name.clone()).collect();
    columns.sort();
    columns
}

pub(super) fn create_function(catalog: &mut Catalog, create: &CreateFunction) -> Result<(), String> {
    let name = made(catalog, &create.name)?;
    let inputs = create.parameters.iter().filter(|one| one.mode != "out");
    // As `format_type` without a modifier.
    let plain = |type_name: &TypeName| {
        let text = &type_name.canonical;
        let bare = text
            .find('(')
            .zip(text.find(')'))
            .map(|(open, close)| text[..open].to_owned() + &text[close + 1..]);
        bare.unwrap_or_else(|| text.clone())
    };
    let arguments: Vec<String> = inputs.map(|one| plain(&one.type_name)).collect();
    let known = catalog.functions.iter().position(|one| one.name == name && one.arguments == arguments);
    if known.is_some() && !create.or_replace {
        return Err(format!("function \"{}\" already exists with same argument types", create.name));
    }
    let outputs: Vec<String> = create
        .parameters
        .iter()
        .filter(|one| matches!(one.mode.as_str(), "out" | "inout"))
        .map(|one| plain(&one.type_name))
        .collect();
    let set = if create.returns.as_ref().is_some_and(|returns| returns.is_setof) { "SETOF " } else { "" };
    let returns = match (&create.returns, create.returns_table.as_slice(), outputs.as_slice()) {
        (Some(returns), _, _) => format!("{set}{}", plain(returns)),
        (None, [only], _) => format!("SETOF {}", plain(&only.type_name)),
        (None, [_, _, ..], _) => "SETOF record".to_owned(),
        (None, [], [only]) if !create.is_procedure => only.clone(),
        (None, [], []) => "void".to_owned(),
        (None, [], _) => "record".to_owned(),
    };
    let function = Function {
        name,
        arguments,
        returns,
        volatility: create.volatility.clone(),
        kind: if create.is_procedure { "p" } else { "f" }.to_owned(),
        language: create.language.clone(),
        body: None,
    };
    match known {
        Some(place) => catalog.functions[place] = function,
        None => catalog.functions.push(function),
    }
    Ok(())
}

/// Places of functions of that name, and of those arguments when they are said.
pub(super) fn function_places(
    catalog: &Catalog,
    name: &ObjectName,
    arguments: Option<&[TypeName]>,
) -> Vec<usize> {
    let schemas: Vec<&String> = match &name.schema {
        Some(schema) => vec![schema],
        None => catalog.search_path.iter().collect(),
    };
    let written: Option<Vec<&String>> =
        arguments.map(|types| types.iter().map(|one| &one.canonical).collect());
    let is_it = |one: &Function, schema: &String| {
        let is_alike = written.as_ref().is_none_or(|types| types.iter().copied().eq(one.arguments.iter()));
        one.name.name == name.name && one.name.schema == *schema && is_alike
    };
    let in_schema = |schema: &&String| {
        let found = catalog.functions.iter().enumerate().filter(|(_, one)| is_it(one, schema));
        found.map(|(place, _)| place).collect::<Vec<_>>()
    };
    schemas.iter().map(in_schema).find(|found| !found.is_empty()).unwrap_or_default()
}

pub(super) fn alter_function(catalog: &mut Catalog, alter: &Alter) -> Result<(), String> {
    let places = function_places(catalog, &alter.name, alter.arguments.as_deref());
    let Some(place) = places.first() else { return Err(alter::missing("function", &alter.name)) };
    let function = &mut catalog.functions[*place];
    for clause in &alter.clauses {
        match &clause.action {
            Action::RenameTo { to } => function.name.name.clone_from(&to.name),
            Action::SetSchema { schema } => function.name.schema.clone_from(&schema.name),
            Action::FunctionOptions { options } => {
                let volatility = options.iter().find(|one| one.name == "volatility");
                let first = volatility.and_then(|one| one.value.as_ref()?.get(..1).map(str::to_owned));
                function.volatility = first.unwrap_or_else(|| function.volatility.clone());
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn drop_function(
    catalog: &mut Catalog,
    target: &DropTarget,
    is_cascade: bool,
) -> Result<bool, String> {
    let places = function_places(catalog, &target.name, target.arguments.as_deref());
    let Some(place) = places.first() else { return Ok(false) };
    let name = catalog.functions[*place].name.clone();
    let is_last = places.len() == 1;
    for relation in &mut catalog.relations {
        let used = relation.triggers.iter().find(|one| one.function == name).filter(|_| is_last);
        if let Some(trigger) = used.filter(|_| !is_cascade) {
            return Err(format!("trigger \"{}\" depends on function \"{}\"", trigger.name, target.name));
        }
        relation.triggers.retain(|one| one.function != name || !is_last);
    }
    catalog.functions.remove(*place);
    Ok(true)
}

pub(super) fn create_statistics(catalog: &mut Catalog, create: &CreateStatistics) -> Result<(), String> {
    let place = expect(catalog, &create.table)?;
    let table = catalog.relations[place].name.clone();
    let columns: Vec<String> = create.columns.iter().map(|column| column.name.clone()).collect();
    let name = match &create.name {
        Some(name) => name.name.clone(),
        None => format!("{}_{}_stat", table.name, name::joined(&columns)),
    };
    let statistics = &mut catalog.relations[place].statistics;
    if !statistics.contains(&name) {
        statistics.push(name);
        statistics.sort();
    } else if !create.if_not_exists {
        return Err(format!("statistics object \"{name}\" already exists"));
    }
    Ok(())
}

pub(super) fn create_publication(catalog: &mut Catalog, create: &CreatePublication) -> Result<(), String> {
    let name = create.name.name.clone();
    if catalog.publications.iter().any(|known| known.name == name) {
        return Err(format!("publication \"{name}\" already exists"));
    }
    let mut publication = Publication { name, all_tables: create.all_tables, ..Publication::default() };
    for table in &create.tables {
        let place = expect(catalog, &table.name)?;
        publication.tables.push(catalog.relations[place].name.clone());
    }
    catalog.publications.push(publication);
    Ok(())
}

pub(super) fn alter_publication(catalog: &mut Catalog, alter: &Alter) -> Result<(), String> {
    let place = catalog.publications.iter().position(|one| one.name == alter.name.name);
    let Some(place) = place else { return Err(alter::missing("publication", &alter.name)) };
    for clause in &alter.clauses {
        let named = match &clause.action {
            Action::PublicationAdd { tables, .. }
            | Action::PublicationSet { tables, .. }
            | Action::PublicationDrop { tables, .. } => tables,
            Action::RenameTo { to } => {
                catalog.publications[place].name.clone_from(&to.name);
                continue;
            }
            _ => continue,
        };
        let mut tables = Vec::new();
        for table in named {
            tables.push(catalog.relations[expect(catalog, &table.name)?].name.clone());
        }
        let known = &mut catalog.publications[place].tables;
        match &clause.action {
            Action::PublicationAdd { .. } => known.extend(tables),
            Action::PublicationSet { .. } => *known = tables,
            _ => known.retain(|table| !tables.contains(table)),
        }
    }
    Ok(())
}

pub(super) fn create_extension(catalog: &mut Catalog, create: &CreateExtension) -> Result<(), String> {
    if catalog.extensions.iter().any(|known| known.name == create.name.name) {
        let message = format!("extension \"{}\" already exists", create.name);
        return if create.if_not_exists { Ok(()) } else { Err(message) };
    }
    catalog.extensions.push(Extension {
        name: create.name.name.clone(),
        version: create.version.clone().unwrap_or_default(),
        schema: create.schema.as_ref().map_or("public", |schema| schema.as_str()).to_owned(),
    });
    Ok(())
}

/// What has no dependents in the catalog. Whether it was there; of kinds that the catalog does not hold, always.
pub(super) fn drop_named(catalog: &mut Catalog, kind: ObjectKind, name: &ObjectName) -> bool {
    match kind {
        ObjectKind::Publication => {
            let before = catalog.publications.len();
            catalog.publications.retain(|one| one.name != name.name);
            catalog.publications.len() < before
        }
        ObjectKind::Extension => {
            let before = catalog.extensions.len();
            catalog.extensions.retain(|one| one.name != name.name);
            catalog.extensions.len() < before
        }
        ObjectKind::Statistics => {
            let mut is_found = false;
            for relation in &mut catalog.relations {
                is_found |= relation.statistics.contains(&name.name);
                relation.statistics.retain(|one| *one != name.name);
            }
            is_found
        }
        _ => true,
    }
}
