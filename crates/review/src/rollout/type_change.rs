//! A type change that would rewrite: a successor column takes the old one's place.
//!
//! A trigger keeps the successor in step for rows that are written, batches fill it for those that are there, its
//! indexes, keys and constraints are built meanwhile (see `beside`), and one short transaction swaps the names (see
//! `swap`). Not for: type changes that PostgreSQL makes without a rewrite.

mod beside;
mod swap;

use posthaste_base::catalog::{
    Column, Constraint, ConstraintKind, Dependent, Index, Name, Relation, RelationKind, Sequence,
};
use posthaste_base::quote::identifier;
use posthaste_report::Batches;

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::World;
use super::{NoRoute, remade, rows};
use crate::statement::{Expression, Identifier, ObjectName, TypeName};

pub(super) struct Change<'a> {
    /// Of its statement.
    pub number: u32,
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
        return Err(NoRoute::new("a column that the file itself adds; give it its type there"));
    };
    refuse_what_hangs_on_it(world, table, column)?;
    if let Some(no) = super::column::is_checked(world, change.type_name) {
        return Err(no);
    }
    let readers = remade::readers(table, &column.name);
    let views = remade::around_change(draft, world, change.number, &column.name, &readers)?;
    let subject = subject(world, table, column, change);
    world.put_successor(&table.name, &column.name, &subject.successor);
    let expression = match change.using {
        Some(using) => using.text.clone(),
        None => format!("{}::{}", identifier(&column.name), change.type_name.text),
    };
    add_successor(draft, &subject, change, world, &expression);
    let leaves = if table.kind == RelationKind::PartitionedTable { world.leaves(table) } else { vec![table] };
    for leaf in leaves {
        let batches = fill(&subject, leaf, &expression);
        let title = format!("fill the successor of {}.{}", leaf.name.name, column.name);
        draft.batches(title, batches, Undo::WithAnother);
    }
    let beside = beside::build(draft, world, &subject)?;
    swap::swap(draft, world, &subject, &beside, views);
    if subject.backward.is_none() {
        draft.note(format!(
            "The type change of {}.{} computes its values: from the swap on there is no way back, because nothing says \
             how to compute the old ones. Until the swap everything can be taken back.",
            table.name.name, column.name
        ));
    }
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
    let is_partitioned = table.kind == RelationKind::PartitionedTable;
    if let Some(why) = fails(world, table, column) {
        return Err(NoRoute::at_all(format!("it fails: {why}")));
    }
    let reason = if !table.parents.is_empty() && table.partition.is_none() {
        "its table inherits, and every member would have to change in the same moment".to_owned()
    } else if !is_partitioned && world.catalog.children(&table.name).next().is_some() {
        "other tables inherit from it, and every member would have to change in the same moment".to_owned()
    } else if let Some(why) = is_partitioned.then(|| partitioned(world, table, column)).flatten() {
        why
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
    Err(NoRoute::new(format!("no successor can take the place of {name}: {reason}")))
}

/// What PostgreSQL refuses whatever is done.
fn fails(world: &World<'_>, table: &Relation, column: &Column) -> Option<String> {
    let name = &column.name;
    if is_in_key(world, table, name) {
        return Some(format!(
            "{name} is part of the partition key; make a new partitioned table, and move the rows"
        ));
    }
    if table.partition.is_some() {
        return Some(format!("{name} belongs to the partitioned table above; change it there"));
    }
    let reads = |dependent: &&Dependent| dependent.columns.contains(name) && !is_view(dependent);
    let reader = table.dependents.iter().find(reads)?;
    Some(format!(
        "the {} {} reads {name}; drop it before and make it again after, in the same file",
        reader.kind, reader.name.name
    ))
}

/// Whether the rows of the table, or of a partition of it, are put to their places by the column.
fn is_in_key(world: &World<'_>, table: &Relation, column: &String) -> bool {
    table.partition_key.as_ref().is_some_and(|key| key.columns.contains(column))
        || world.catalog.children(&table.name).any(|child| is_in_key(world, child, column))
}

/// Why no successor of a partitioned table's column can be built partition by partition.
fn partitioned(world: &World<'_>, table: &Relation, column: &Column) -> Option<String> {
    let name = &column.name;
    let has = |kind| table.constraints.iter().any(|one| one.kind == kind && one.columns.contains(name));
    let leaves = world.leaves(table);
    if world.version < 13 {
        return Some("before PostgreSQL 13 no trigger of a partitioned table can change a row".to_owned());
    }
    if has(ConstraintKind::ForeignKey) || incoming(world, table, name).next().is_some() {
        return Some("a foreign key of a partitioned table is checked at once".to_owned());
    }
    if table.indexes.iter().any(|index| uses(index, name) && (index.constraint.is_some() || index.is_unique))
    {
        return Some("a key of a partitioned table cannot take over indexes that are there".to_owned());
    }
    if column.identity.is_some() {
        return Some("an identity of a partitioned table is numbered by its parent".to_owned());
    }
    if leaves.iter().any(|leaf| leaf.kind == RelationKind::ForeignTable) {
        return Some("one of its partitions is a foreign table".to_owned());
    }
    let differs = leaves.iter().filter(|leaf| {
        let own = leaf.columns.iter().find(|known| known.name == *name);
        own.is_none_or(|own| own.default != column.default || own.is_not_null != column.is_not_null)
    });
    if let Some(leaf) = differs.into_iter().next() {
        return Some(format!("{} has another default for it, or forbids NULL by itself", leaf.name.name));
    }
    // What a partition has of its own would be left on the former column.
    let has_own = leaves.iter().find(|leaf| {
        let has_index = leaf.indexes.iter().any(|index| uses(index, name) && index.parent.is_none());
        let has_constraint =
            leaf.constraints.iter().any(|one| one.columns.contains(name) && !one.is_inherited);
        has_index || has_constraint || !leaf.dependents.is_empty()
    });
    has_own.map(|leaf| format!("{} has an index, a constraint or a reader of its own on it", leaf.name.name))
}

fn is_view(dependent: &Dependent) -> bool {
    dependent.kind == "view"
}

fn is_read_by_generated(table: &Relation, column: &str) -> bool {
    table.columns.iter().any(|known| known.generated.is_some() && mentions(known.default.as_ref(), column))
}

fn depends_on_column(table: &Relation, column: &String) -> Option<String> {
    let reads = |columns: &Vec<String>| columns.is_empty() || columns.contains(column);
    let mut others = table.dependents.iter().filter(|dependent| !is_view(dependent));
    let found = others.find(|dependent| reads(&dependent.columns))?;
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
        let trigger = world.free_name(&format!("zzz_{name}"));
        Sync {
            function: Name::new(&table.name.schema, &name).quoted(),
            // Triggers fire by name; this one must see what all others made of the row.
            trigger: identifier(&trigger),
            name: trigger,
        }
    };
    Subject {
        table,
        column,
        quoted: table.name.quoted(),
        successor: world.free_column(table, &format!("{}_new", column.name)),
        former: world.free_column(table, &format!("{}_old", column.name)),
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

/// The successor in the table itself, or in one of its partitions, which is called like the table.
fn fill(subject: &Subject<'_>, leaf: &Relation, expression: &str) -> Batches {
    let mut batches = rows::by_key(leaf);
    let mut table = leaf.name.quoted();
    if leaf.name != subject.table.name {
        let alias = &subject.table.name.name;
        table.push_str(&format!(" as {}", identifier(alias)));
        batches.alias = Some(alias.clone());
    }
    let successor = identifier(&subject.successor);
    let values = [("table", table.as_str()), ("column", &successor), ("expression", expression)];
    batches.statements = vec![template!("backfill").with(&values)];
    batches.left = Some(template!("count_behind").with(&values));
    batches
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
