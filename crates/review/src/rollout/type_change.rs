//! A type change that would rewrite: a successor column takes the old one's place.
//!
//! A trigger keeps the successor in step for rows that are written, batches fill it for those that are there, its
//! indexes, keys and constraints are built meanwhile (see `beside`), and one short transaction swaps the names (see
//! `swap`). Not for: type changes that PostgreSQL makes without a rewrite.

mod beside;
mod swap;

use posthaste_base::catalog::{
    Column, Constraint, ConstraintKind, Index, Name, Relation, RelationKind, Sequence,
};
use posthaste_base::quote::identifier;
use posthaste_report::Batches;

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::World;
use super::{NoRoute, rows};
use crate::statement::{Expression, Identifier, ObjectName, TypeName};

pub(super) struct Change<'a> {
    pub column: &'a Identifier,
    pub type_name: &'a TypeName,
    pub collation: Option<&'a ObjectName>,
    pub using: Option<&'a Expression>,
}

/// The column, and the names that its swap needs.
struct Subject<'a> {
    table: &'a Relation,
    column: &'a Column,
    /// The table's name, quoted.
    quoted: String,
    successor: String,
    former: String,
    /// Keeps the successor in step until the swap.
    forward: Sync,
    /// Keeps the former column in step after it, where the new type can be brought into the old one.
    backward: Option<Sync>,
    /// What numbers the rows.
    sequence: Option<&'a Sequence>,
}

/// A function and the trigger that calls it, both quoted.
struct Sync {
    function: String,
    trigger: String,
    /// Not quoted.
    name: String,
}

pub(super) fn change(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    change: &Change<'_>,
) -> Result<(), NoRoute> {
    let column = table.columns.iter().find(|known| *change.column == known.name.as_str());
    let Some(column) = column else {
        return Err(NoRoute::new("a column that the file itself adds; give it its type there", table));
    };
    refuse_what_hangs_on_it(world, table, column)?;
    let subject = subject(world, table, column, change);
    world.put_successor(&table.name, &column.name, &subject.successor);
    let expression = match change.using {
        Some(using) => using.text.clone(),
        None => format!("{}::{}", identifier(&column.name), change.type_name.text),
    };
    add_successor(draft, &subject, change, world, &expression);
    let mut batches = rows::by_key(table);
    fill(&mut batches, &subject, &expression);
    draft.batches(
        format!("fill the successor of {}.{}", table.name.name, column.name),
        batches,
        Undo::WithAnother,
    );
    let beside = beside::build(draft, world, &subject)?;
    swap::swap(draft, world, &subject, &beside);
    note_sequence(draft, &subject, change);
    contract(draft, &subject);
    Ok(())
}

/// What a swap of names would break, or leave on the former column.
fn refuse_what_hangs_on_it(world: &World<'_>, table: &Relation, column: &Column) -> Result<(), NoRoute> {
    let name = &column.name;
    let on_it = || table.constraints.iter().filter(move |constraint| constraint.columns.contains(name));
    let is_refused_later = |constraint: &&Constraint| {
        constraint.kind == ConstraintKind::ForeignKey
            && constraint.references.as_ref().is_some_and(|to| {
                let is_open = |column: &String| {
                    world.retypes(&to.table, std::slice::from_ref(column))
                        && world.successor(&to.table, column).is_none()
                };
                to.columns.iter().any(is_open)
            })
    };
    let reason = if table.kind == RelationKind::PartitionedTable || !table.parents.is_empty() {
        "its table is partitioned or inherits, and every member would have to change in the same moment"
            .to_owned()
    } else if column.generated.is_some() || is_read_by_generated(table, name) {
        "it is a generated column, or one reads it".to_owned()
    } else if on_it().any(|constraint| constraint.kind == ConstraintKind::Exclusion) {
        "it is part of an exclusion constraint".to_owned()
    } else if on_it().any(|constraint| !constraint.is_enforced) {
        "a constraint on it is not enforced".to_owned()
    } else if on_it().any(|constraint| constraint.definition.is_empty()) {
        "a constraint on it could not be read, because its table was locked".to_owned()
    } else if on_it().any(|constraint| is_refused_later(&constraint)) {
        "its foreign key leads to a column that the file changes later; write that change first".to_owned()
    } else if let Some(dependent) = depends_on_column(table, name) {
        format!("{dependent} reads it")
    } else if table.indexes.iter().any(|index| is_complicated(index, name)) {
        "an index has it in an expression or a condition, or is the table's order or identity".to_owned()
    } else if column.identity.is_some() && sequence_of(world, table, column).is_none() {
        "it is an identity whose sequence is not known".to_owned()
    } else if let Some(other) = partitioned_referrer(world, table, name) {
        format!("a foreign key of {other}, which is partitioned or inherits, leads to it")
    } else {
        return Ok(());
    };
    Err(NoRoute::new(format!("no successor can take the place of {name}: {reason}"), table))
}

fn is_read_by_generated(table: &Relation, column: &str) -> bool {
    table.columns.iter().any(|known| known.generated.is_some() && mentions(known.default.as_ref(), column))
}

fn depends_on_column(table: &Relation, column: &String) -> Option<String> {
    let reads = |columns: &Vec<String>| columns.is_empty() || columns.contains(column);
    let found = table.dependents.iter().find(|dependent| reads(&dependent.columns))?;
    Some(format!("{} {}", found.kind, found.name.name))
}

fn mentions(text: Option<&String>, column: &str) -> bool {
    text.is_some_and(|text| text.contains(column))
}

fn is_complicated(index: &Index, column: &String) -> bool {
    mentions(index.predicate.as_ref(), column)
        || index.keys.iter().any(|key| mentions(key.expression.as_ref(), column))
        || (uses(index, column) && (index.is_replica_identity || index.is_clustered))
}

fn uses(index: &Index, column: &String) -> bool {
    index.include.contains(column) || index.keys.iter().any(|key| key.column.as_ref() == Some(column))
}

/// Foreign keys of all tables that lead to the column.
fn incoming<'a>(
    world: &World<'a>,
    table: &'a Relation,
    column: &'a String,
) -> impl Iterator<Item = (&'a Relation, &'a Constraint)> {
    let leads_here = move |constraint: &&Constraint| {
        constraint.kind == ConstraintKind::ForeignKey
            && constraint
                .references
                .as_ref()
                .is_some_and(|to| to.table == table.name && to.columns.contains(column))
    };
    let catalog = world.catalog;
    catalog.relations.iter().flat_map(move |relation| {
        relation.constraints.iter().filter(leads_here).map(move |constraint| (relation, constraint))
    })
}

fn partitioned_referrer(world: &World<'_>, table: &Relation, column: &String) -> Option<String> {
    let mut all = incoming(world, table, column);
    let is_of_many =
        |relation: &Relation| relation.kind == RelationKind::PartitionedTable || !relation.parents.is_empty();
    all.find(|(relation, constraint)| is_of_many(relation) || !constraint.is_enforced)
        .map(|(relation, _)| relation.name.name.clone())
}

fn sequence_of<'a>(world: &World<'a>, table: &Relation, column: &Column) -> Option<&'a Sequence> {
    let is_its_own = |one: &&Sequence| {
        one.table.as_ref() == Some(&table.name) && one.column.as_ref() == Some(&column.name)
    };
    world.catalog.sequences.iter().find(is_its_own)
}

fn subject<'a>(
    world: &World<'a>,
    table: &'a Relation,
    column: &'a Column,
    change: &Change<'_>,
) -> Subject<'a> {
    let sync = |end: &str| {
        let name = world.free_name(&format!("{}_{}_{end}", table.name.name, column.name));
        Sync {
            function: Name::new(&table.name.schema, &name).quoted(),
            // Triggers fire by name; this one must see what all others made of the row.
            trigger: identifier(&format!("zzz_{name}")),
            name: format!("zzz_{name}"),
        }
    };
    Subject {
        table,
        column,
        quoted: table.name.quoted(),
        successor: format!("{}_new", column.name),
        former: format!("{}_old", column.name),
        forward: sync("sync"),
        backward: is_plain_cast(change).then(|| sync("back")),
        sequence: sequence_of(world, table, column),
    }
}

/// Whether the new value is the old one in another type, and not computed from it.
fn is_plain_cast(change: &Change<'_>) -> bool {
    let Some(using) = change.using else { return true };
    let plain: String = using.text.chars().filter(|c| !c.is_whitespace()).collect();
    let cast = plain.to_lowercase().strip_prefix(&change.column.name).map(str::to_owned);
    cast.and_then(|rest| rest.strip_prefix("::").map(str::to_owned))
        .is_some_and(|name| name.chars().all(|c| c.is_alphanumeric() || "_(),.[]".contains(c)))
}

fn add_successor(
    draft: &mut Draft,
    subject: &Subject<'_>,
    change: &Change<'_>,
    world: &World<'_>,
    expression: &str,
) {
    let collation =
        change.collation.map(|name| format!(" collate {}", world.cut(name.span))).unwrap_or_default();
    let type_text = format!("{}{collation}", change.type_name.text);
    let (successor, alias) = (identifier(&subject.successor), identifier(&subject.table.name.name));
    let with = [
        ("table", subject.quoted.as_str()),
        ("column", &successor),
        ("successor", &successor),
        ("function", &subject.forward.function),
        ("trigger", &subject.forward.trigger),
        ("expression", expression),
        ("type", &type_text),
        ("alias", &alias),
    ];
    let statements = vec![
        template!("add_column").with(&with),
        template!("sync_function").with(&with),
        template!("sync_trigger").with(&with),
    ];
    let undo = vec![
        template!("drop_trigger").with(&with),
        template!("drop_function").with(&with),
        template!("drop_column").with(&with),
    ];
    let title = format!(
        "add a successor of {}.{}, kept in step by a trigger",
        subject.table.name.name, change.column
    );
    draft.transaction(Stage::Expand, title, statements, Undo::By(undo));
}

fn fill(batches: &mut Batches, subject: &Subject<'_>, expression: &str) {
    let successor = identifier(&subject.successor);
    let values = [("table", subject.quoted.as_str()), ("column", &successor), ("expression", expression)];
    batches.statements = vec![template!("backfill").with(&values)];
    batches.left = Some(template!("count_behind").with(&values));
}

/// The sequence of a serial keeps its own type, and ends where that ends.
fn note_sequence(draft: &mut Draft, subject: &Subject<'_>, change: &Change<'_>) {
    let Some(sequence) = subject.sequence.filter(|_| subject.column.identity.is_none()) else {
        return note_identity(draft, subject);
    };
    if change.type_name.canonical == "bigint" && sequence.type_name != "bigint" {
        draft.note(format!(
            "The sequence {} stays {} and ends at {}, as ALTER COLUMN ... TYPE leaves it. Add to the migration: alter \
             sequence {} as bigint",
            sequence.name.name,
            sequence.type_name,
            sequence.maximum,
            sequence.name.quoted()
        ));
    }
}

fn note_identity(draft: &mut Draft, subject: &Subject<'_>) {
    let Some(sequence) = subject.sequence else { return };
    draft.note(format!(
        "The identity of {}.{} gets a new sequence at the swap, which goes on where {} is. Its grants and its cache are \
         those of a new sequence.",
        subject.table.name.name, subject.column.name, sequence.name.name
    ));
}

fn contract(draft: &mut Draft, subject: &Subject<'_>) {
    let about = match subject.backward {
        Some(_) => {
            "The former column is kept in step until here, so that the swap can be taken back without a loss. A value \
             that its type cannot hold is NULL in it; with such a row there is no way back."
        }
        None => {
            "The former column is kept until here. Rows written since the swap have no value in it, for nothing says \
             how to compute it from the new one: the swap cannot be taken back."
        }
    };
    let table = &subject.table.name.name;
    let title = format!("make sure that nothing needs {table}.{}", subject.former);
    draft.manual(Stage::Contract, title, about);
    let mut statements = Vec::new();
    if let Some(sync) = &subject.backward {
        statements.extend(sync.drops(&subject.quoted));
    }
    let former = identifier(&subject.former);
    statements.push(template!("drop_column").with(&[("table", &subject.quoted), ("column", &former)]));
    let title = format!("take the former column {} away", subject.former);
    draft.transaction(Stage::Contract, title, statements, Undo::Impossible);
}

impl Sync {
    fn drops(&self, table: &str) -> [String; 2] {
        let with = [("table", table), ("function", self.function.as_str()), ("trigger", &self.trigger)];
        [template!("drop_trigger").with(&with), template!("drop_function").with(&with)]
    }
}
