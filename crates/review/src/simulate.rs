//! A statement carried out on a catalog: what is there afterwards, under the names that PostgreSQL would choose.
//!
//! It says what a file made before its next statement, and where a plan or a way back ends, without a server. Rows
//! are not known, so that what only they decide is taken to succeed. Not for: locks and costs, which the model tells,
//! and statements that change no catalog.

mod alter;
mod column;
mod comparable;
mod constraint;
mod drop;
mod index;
mod kind;
mod name;
mod object;
mod part;
mod rename;
mod schema;
mod sequence;
mod table;

use posthaste_base::catalog::{Catalog, Name, Relation};

pub use comparable::comparable;
pub(crate) use sequence::is_owned;

use crate::statement::{ObjectName, Statement};

/// Carries out one statement. The error says why the server would refuse it; the catalog may then be half changed.
pub fn apply(catalog: &mut Catalog, statement: &Statement) -> Result<(), String> {
    let done = carry_out(catalog, statement);
    let table = match statement {
        Statement::CreateTable(create) => Some(&create.name),
        Statement::Alter(alter) => Some(&alter.name),
        _ => None,
    };
    if let Some(place) = table.and_then(|table| find(catalog, table)) {
        sequence::link(catalog, place);
    }
    done
}

/// Whether the catalog is not whole, so that what is not in it may be there all the same.
fn is_partial(catalog: &Catalog) -> bool {
    !catalog.unread.is_empty()
}

fn carry_out(catalog: &mut Catalog, statement: &Statement) -> Result<(), String> {
    match statement {
        Statement::CreateTable(create) => table::create(catalog, create),
        Statement::CreateTableAs(create) => table::create_as(catalog, create),
        Statement::CreateIndex(create) => index::create(catalog, create),
        Statement::CreateView(create) => object::create_view(catalog, create),
        Statement::CreateSequence(create) => sequence::create(catalog, create),
        Statement::CreateType(create) => kind::create(catalog, create),
        Statement::CreateDomain(create) => kind::create_domain(catalog, create),
        Statement::CreateFunction(create) => object::create_function(catalog, create),
        Statement::CreateTrigger(create) => part::create_trigger(catalog, create),
        Statement::CreateRule(create) => part::create_rule(catalog, create),
        Statement::CreatePolicy(create) => part::create_policy(catalog, create),
        Statement::CreateStatistics(create) => object::create_statistics(catalog, create),
        Statement::CreatePublication(create) => object::create_publication(catalog, create),
        Statement::CreateExtension(create) => object::create_extension(catalog, create),
        Statement::CreateSchema(create) => schema::create(catalog, create),
        Statement::Alter(alter) => alter::apply(catalog, alter),
        Statement::Drop(drop) => drop::apply(catalog, drop),
        Statement::Set(set) if set.name == "search_path" => {
            // "$user" is a schema that most databases do not have.
            let path = set.values.iter().map(|value| value.trim_matches('"').to_owned());
            catalog.search_path = path.filter(|schema| schema != "$user" && !schema.is_empty()).collect();
            Ok(())
        }
        _ => apply_all(catalog, statement.runs().iter().map(|one| &one.statement)),
    }
}

/// Carries out statements in order, up to the first that is refused.
pub fn apply_all<'a>(
    catalog: &mut Catalog,
    statements: impl IntoIterator<Item = &'a Statement>,
) -> Result<(), String> {
    statements.into_iter().try_for_each(|statement| apply(catalog, statement))
}

/// The place of a relation in the catalog.
fn find(catalog: &Catalog, name: &ObjectName) -> Option<usize> {
    catalog.place(name.schema.as_deref(), &name.name)
}

fn place_of(catalog: &Catalog, name: &Name) -> Option<usize> {
    catalog.place(Some(&name.schema), &name.name)
}

fn expect(catalog: &Catalog, name: &ObjectName) -> Result<usize, String> {
    find(catalog, name).ok_or_else(|| format!("relation \"{name}\" does not exist"))
}

/// As `expect`; nothing where the catalog may lack it.
fn look_for(catalog: &Catalog, name: &ObjectName) -> Result<Option<usize>, String> {
    match find(catalog, name) {
        None if is_partial(catalog) => Ok(None),
        None => expect(catalog, name).map(Some),
        found => Ok(found),
    }
}

/// Where a new object goes: its written schema, or the first of the search path that is there.
pub(crate) fn made(catalog: &Catalog, name: &ObjectName) -> Result<Name, String> {
    let is_there = |schema: &String| {
        is_partial(catalog) || catalog.schemas.is_empty() || catalog.schemas.contains(schema)
    };
    if let Some(schema) = &name.schema {
        let is_there = schema == "pg_temp" || is_there(schema);
        return if is_there {
            Ok(Name::new(schema, &name.name))
        } else {
            Err(format!("schema \"{schema}\" does not exist"))
        };
    }
    let first = catalog.search_path.iter().find(|schema| !schema.starts_with("pg_") && is_there(schema));
    Ok(Name::new(first.map_or("public", String::as_str), &name.name))
}

/// Places of those that inherit from it or are its partitions, at any depth, itself first.
fn family(catalog: &Catalog, place: usize) -> Vec<usize> {
    let mut found = vec![place];
    let mut next = 0;
    while next < found.len() {
        let parent = catalog.relations[found[next]].name.clone();
        let children = catalog.relations.iter().enumerate().filter(|(_, one)| one.parents.contains(&parent));
        let children: Vec<usize> = children.map(|(at, _)| at).filter(|at| !found.contains(at)).collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// Whether a name is taken by a table, a view, an index or a sequence, which share their names.
fn is_taken(catalog: &Catalog, name: &Name) -> bool {
    let by_index = |relation: &Relation| relation.indexes.iter().any(|index| index.name == *name);
    catalog.relations.iter().any(|relation| relation.name == *name || by_index(relation))
        || catalog.sequences.iter().any(|sequence| sequence.name == *name)
}
