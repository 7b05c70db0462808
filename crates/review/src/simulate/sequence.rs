//! Sequences that stand alone; those of columns are made with their columns.

use posthaste_base::catalog::{Catalog, Column, Name, Sequence};

use super::{alter, column, expect, is_taken, made};
use crate::statement::{Action, Alter, CreateSequence, ObjectName, Persistence, SequenceOptions};

pub(super) fn create(catalog: &mut Catalog, create: &CreateSequence) -> Result<(), String> {
    let name = made(catalog, &create.name)?;
    if is_taken(catalog, &name) {
        let message = format!("relation \"{}\" already exists", create.name);
        return if create.if_not_exists { Ok(()) } else { Err(message) };
    }
    if create.persistence == Persistence::Temporary {
        return Ok(());
    }
    let mut sequence = Sequence { name, type_name: "bigint".to_owned(), ..Sequence::default() };
    column::set_sequence(&mut sequence, &create.options, true);
    own(catalog, &mut sequence, &create.options)?;
    catalog.sequences.push(sequence);
    Ok(())
}

fn own(catalog: &Catalog, sequence: &mut Sequence, options: &SequenceOptions) -> Result<(), String> {
    match &options.owned_by {
        None => {}
        Some(None) => (sequence.table, sequence.column) = (None, None),
        Some(Some((table, column))) => {
            let place = expect(catalog, table)?;
            sequence.table = Some(catalog.relations[place].name.clone());
            sequence.column = Some(column.name.clone());
        }
    }
    Ok(())
}

pub(super) fn place(catalog: &Catalog, name: &ObjectName) -> Option<usize> {
    let in_schema = |schema: &str| {
        catalog.sequences.iter().position(|one| one.name.name == name.name && one.name.schema == schema)
    };
    match &name.schema {
        Some(schema) => in_schema(schema),
        None => catalog.search_path.iter().find_map(|schema| in_schema(schema)),
    }
}

pub(super) fn alter(catalog: &mut Catalog, statement: &Alter) -> Result<(), String> {
    let Some(place) = place(catalog, &statement.name) else {
        return if statement.if_exists { Ok(()) } else { Err(alter::missing("relation", &statement.name)) };
    };
    for clause in &statement.clauses {
        let mut sequence = catalog.sequences[place].clone();
        match &clause.action {
            Action::Sequence(options) => {
                column::set_sequence(&mut sequence, options, false);
                own(catalog, &mut sequence, options)?;
            }
            Action::RenameTo { to } => {
                let from = std::mem::replace(&mut sequence.name.name, to.name.clone());
                rename_in_defaults(catalog, &from, &to.name);
            }
            Action::SetSchema { schema } => sequence.name.schema.clone_from(&schema.name),
            _ => {}
        }
        catalog.sequences[place] = sequence;
    }
    Ok(())
}

/// Defaults know their sequence by its number.
fn rename_in_defaults(catalog: &mut Catalog, from: &str, to: &str) {
    let columns = catalog.relations.iter_mut().flat_map(|relation| &mut relation.columns);
    for text in columns.filter_map(|column| column.default.as_mut()).filter(|text| text.contains("nextval("))
    {
        for open in ["'", "."] {
            *text = text.replace(&format!("{open}{from}'"), &format!("{open}{to}'"));
        }
    }
}

/// A sequence that a default of a table uses is listed with that column, as the catalog has it.
pub(super) fn link(catalog: &mut Catalog, place: usize) {
    let relation = &catalog.relations[place];
    let is_numbered =
        |column: &&Column| column.default.as_ref().is_some_and(|text| text.contains("nextval("));
    let columns: Vec<&Column> = relation.columns.iter().filter(is_numbered).collect();
    if columns.is_empty() {
        return;
    }
    for sequence in catalog.sequences.iter_mut().filter(|one| one.table.is_none()) {
        let ends = [format!("'{}'", sequence.name.name), format!(".{}'", sequence.name.name)];
        let uses = |text: &String| ends.iter().any(|end| text.contains(end));
        let user = columns.iter().find(|column| column.default.as_ref().is_some_and(uses));
        if let Some(column) = user {
            sequence.table = Some(relation.name.clone());
            sequence.column = Some(column.name.clone());
        }
    }
}

/// Defaults of other tables that use a sequence which goes with its own.
pub(super) fn free(catalog: &mut Catalog, name: &Name, is_cascade: bool) -> Result<(), String> {
    let end = format!("{}'", name.name);
    for relation in &mut catalog.relations {
        let uses = |text: &String| text.contains("nextval(") && text.contains(&end);
        for column in relation.columns.iter_mut().filter(|column| column.default.as_ref().is_some_and(uses)) {
            if !is_cascade {
                let table = &relation.name.name;
                return Err(format!("the default of \"{table}\" depends on sequence \"{}\"", name.name));
            }
            column.default = None;
        }
    }
    Ok(())
}

/// Whether it goes with its column. The catalog does not tell owners from users, so that the name has to.
pub(crate) fn is_owned(sequence: &Sequence, default: Option<&str>) -> bool {
    let is_used = default.is_some_and(|text| text.contains("nextval(") && text.contains(&sequence.name.name));
    sequence.name.name.ends_with("_seq") || !is_used
}

pub(super) fn drop(catalog: &mut Catalog, name: &ObjectName, is_cascade: bool) -> Result<bool, String> {
    let Some(place) = place(catalog, name) else { return Ok(false) };
    let sequence = catalog.sequences[place].clone();
    // An identity has one sequence of its own; another one of its column is only kept with it.
    let is_of_it = |one: &&Sequence| one.table == sequence.table && one.column == sequence.column;
    let is_only = catalog.sequences.iter().filter(is_of_it).count() == 1;
    let table = sequence.table.as_ref().and_then(|table| super::place_of(catalog, table));
    let column = table.and_then(|table| {
        let columns = &mut catalog.relations[table].columns;
        columns.iter_mut().find(|column| Some(&column.name) == sequence.column.as_ref())
    });
    if let Some(column) = column {
        if column.identity.is_some() && is_only {
            return Err(format!("sequence \"{name}\" is that of an identity column"));
        }
        let is_used = column.default.as_ref().is_some_and(|text| text.contains(&sequence.name.name));
        if is_used && !is_cascade {
            return Err(format!("the default of column \"{}\" depends on sequence \"{name}\"", column.name));
        }
        if is_used {
            column.default = None;
        }
    }
    catalog.sequences.remove(place);
    Ok(true)
}
