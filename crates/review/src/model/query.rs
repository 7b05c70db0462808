//! Queries: which tables, views, partitions and indexes are locked to read and to write rows.
//!
//! Planning a query locks the indexes of each table in the mode of the table. Not for: how much is read.

use posthaste_base::catalog::{Constraint, Name, Relation, RelationKind};

use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::{objects, rows};
use super::volatility::{Volatility, of_call};
use super::{WorkKind, relations};
use crate::statement::{
    Copy, Explain, FunctionCall, ObjectName, Query, QueryKind, RowLock, Statement, TableUse, TableWrite,
    WriteKind,
};

/// Runs a query.
pub(super) fn run(builder: &mut Builder<'_>, query: &Query) {
    if query.kind == QueryKind::Merge {
        builder.needs(15, "MERGE");
    }
    for table in &query.reads {
        let form =
            if is_row_locked(&query.row_locks, table) { &rows::SELECT_FOR_UPDATE } else { &rows::SELECT };
        if let Some(relation) = source(builder, &table.name, form) {
            if may_prune(builder, query, relation) {
                builder.depends(format!("which partitions of `{}` the plan needs", table.name));
            }
            read(builder, relation, form, table.is_only);
        }
    }
    for write in &query.writes {
        write_to(builder, query, write, true);
    }
    calls(builder, &query.functions);
}

/// EXPLAIN plans, and does not run without ANALYZE.
pub(super) fn explain(builder: &mut Builder<'_>, explain: &Explain) {
    match &explain.statement.statement {
        Statement::Query(query) if !explain.is_analyze => {
            for table in &query.reads {
                if let Some(relation) = source(builder, &table.name, &rows::SELECT) {
                    read(builder, relation, &rows::SELECT, table.is_only);
                }
            }
            for write in &query.writes {
                write_to(builder, query, write, false);
            }
        }
        other => super::statement::apply(builder, other),
    }
}

/// A query that is only looked at, as in a view: what it names is locked, and nothing below.
pub(super) fn look_at(builder: &mut Builder<'_>, query: &Query, form: &Form) {
    for table in &query.reads {
        if let Some(relation) = source(builder, &table.name, form) {
            builder.take(form, Whom::Read, &relation.name);
        }
    }
}

/// The same, with what is behind views.
pub(super) fn look_through(builder: &mut Builder<'_>, query: &Query, form: &Form) {
    for table in &query.reads {
        let mut open: Vec<&Relation> = source(builder, &table.name, form).into_iter().collect();
        while let Some(relation) = open.pop() {
            builder.take(form, Whom::Read, &relation.name);
            if relation.kind == RelationKind::View {
                open.extend(relations::sources(builder.catalog, relation));
            }
        }
    }
}

/// A table by name; the system's own are nobody's matter, and what is unknown is locked by its name.
fn source<'a>(builder: &mut Builder<'a>, name: &ObjectName, form: &Form) -> Option<&'a Relation> {
    let is_system = matches!(name.schema.as_deref(), Some("pg_catalog" | "information_schema"));
    match builder.find(name) {
        Found::Relation(relation) => Some(relation),
        _ if is_system || (name.schema.is_none() && name.name.starts_with("pg_")) => None,
        Found::Sequence(sequence) => {
            let sequence = sequence.clone();
            builder.take(form, Whom::Read, &sequence);
            None
        }
        Found::Unknown(full) => {
            for whom in [Whom::Read, Whom::Written] {
                builder.take(form, whom, &full);
            }
            builder.work_on_table(&full, WorkKind::Query);
            builder.depends(format!("what `{name}` is, which no catalog tells"));
            None
        }
        Found::Nothing | Found::Index(..) => {
            builder.refuse(format!("relation `{name}` does not exist"));
            None
        }
    }
}

fn is_row_locked(locks: &[RowLock], table: &TableUse) -> bool {
    locks.iter().any(|lock| {
        let called = table.alias.as_deref().unwrap_or(&table.name.name);
        lock.of.is_empty() || lock.of.iter().any(|name| name == called)
    })
}

/// With a condition on the partition key, partitions that cannot have the rows are not even locked.
fn may_prune(builder: &Builder<'_>, query: &Query, relation: &Relation) -> bool {
    if relation.kind == RelationKind::View {
        let sources = relations::sources(builder.catalog, relation);
        return sources.into_iter().any(|source| may_prune(builder, query, source));
    }
    let Some(key) = &relation.partition_key else { return false };
    let is_used = |column: &String| query.columns_used.iter().any(|used| used.column.name == *column);
    let has_condition = query.condition.is_some() || query.is_joined || query.reads.len() > 1;
    has_condition && key.columns.iter().any(|column| column.is_empty() || is_used(column))
}

/// Reads a table or what is behind a view, in the modes of the form, for which `Read` stands for the table.
pub(super) fn read(builder: &mut Builder<'_>, relation: &Relation, form: &Form, is_only: bool) {
    builder.take(form, Whom::Read, &relation.name);
    if relation.kind == RelationKind::View {
        for source in relations::sources(builder.catalog, relation) {
            read(builder, source, form, false);
        }
        return;
    }
    plan(builder, relation, form, is_only);
}

/// What planning opens of a table: its descendants and all indexes.
fn plan(builder: &mut Builder<'_>, relation: &Relation, form: &Form, is_only: bool) {
    let mut parts = vec![relation];
    if !is_only {
        parts.extend(relations::descendants(builder.catalog, relation));
    }
    for part in parts {
        if part.name != relation.name {
            builder.take(form, Whom::Descendants, &part.name);
        }
        let indexes =
            if part.kind == RelationKind::PartitionedTable { Whom::ParentIndexes } else { Whom::Indexes };
        builder.take_indexes(form, indexes, part);
        if relations::has_rows(part) {
            builder.work_on_table(&part.name, WorkKind::Query);
        }
    }
}

fn write_to(builder: &mut Builder<'_>, query: &Query, write: &TableWrite, is_run: bool) {
    let form = if write.kind == WriteKind::Insert { &rows::INSERT } else { &rows::UPDATE };
    let Some(relation) = source(builder, &write.table.name, form) else { return };
    write_relation(builder, query, write, relation, is_run);
}

fn write_relation(
    builder: &mut Builder<'_>,
    query: &Query,
    write: &TableWrite,
    relation: &Relation,
    is_run: bool,
) {
    let is_insert = write.kind == WriteKind::Insert;
    let form = if is_insert { &rows::INSERT } else { &rows::UPDATE };
    builder.take(form, Whom::Written, &relation.name);
    if relation.kind == RelationKind::View {
        for source in relations::sources(builder.catalog, relation) {
            write_relation(builder, query, write, source, is_run);
        }
        return;
    }
    let conflict = query.on_conflict.as_ref().is_some_and(|conflict| conflict.is_update);
    if is_insert {
        insert_into(builder, relation, is_run);
        if conflict {
            builder.take_indexes(&rows::INSERT_ON_CONFLICT_UPDATE, Whom::Indexes, relation);
        }
    } else {
        if may_prune(builder, query, relation) {
            builder.depends(format!("which partitions of `{}` the plan needs", write.table.name));
        }
        for above in relations::ancestors(builder.catalog, relation) {
            builder.take(form, Whom::Parent, &above.name);
        }
        plan(builder, relation, form, write.table.is_only);
    }
    if !is_run {
        return;
    }
    let mut parts = vec![relation];
    if !write.table.is_only {
        parts.extend(relations::descendants(builder.catalog, relation));
    }
    for part in parts {
        check_keys(builder, query, write, part, conflict);
        triggers(builder, part);
    }
    if is_insert {
        use_defaults(builder, query, relation);
    }
}

fn insert_into(builder: &mut Builder<'_>, relation: &Relation, is_run: bool) {
    let form = &rows::INSERT;
    for above in relations::ancestors(builder.catalog, relation) {
        builder.take(form, Whom::Parent, &above.name);
    }
    let partitions = relations::partitions(builder.catalog, relation);
    if !partitions.is_empty() && is_run {
        builder.depends(format!("which partitions of `{}` the rows go to", relation.name.name));
        for partition in partitions {
            builder.take(form, Whom::Partitions, &partition.name);
        }
    }
    if relations::has_rows(relation) {
        builder.work_on_table(&relation.name, WorkKind::Query);
    }
}

/// The other sides of foreign keys are looked up when a row is written that needs it.
fn check_keys(
    builder: &mut Builder<'_>,
    query: &Query,
    write: &TableWrite,
    relation: &Relation,
    conflict_updates: bool,
) {
    let sets = |columns: &[String]| {
        let assigned = |column: &String| query.assignments.iter().any(|a| a.column == *column.as_str());
        columns.iter().any(assigned)
    };
    let inserts = matches!(write.kind, WriteKind::Insert | WriteKind::Merge);
    let updates = matches!(write.kind, WriteKind::Update | WriteKind::Merge) || conflict_updates;
    let deletes = matches!(write.kind, WriteKind::Delete | WriteKind::Merge);
    let names = |columns: &[String]| query.columns.iter().any(|column| columns.contains(&column.name));
    for key in relations::foreign_keys(relation).filter(|key| key.is_enforced) {
        // A column that is not named gets its default, which is mostly NULL and then refers to nothing.
        let is_inserted =
            inserts && (query.columns.is_empty() || names(&key.columns) || has_default(relation, key));
        if !is_inserted && !(updates && (sets(&key.columns) || write.kind == WriteKind::Merge)) {
            continue;
        }
        let Some(reference) = &key.references else { continue };
        builder.depends(format!("whether a row refers to `{}`", reference.table.name));
        look_up(builder, &rows::KEY_CHECK, Whom::Referenced, &reference.table);
    }
    let referencing: Vec<_> = relations::referencing(builder.catalog, relation).collect();
    for (other, key) in referencing {
        let Some(reference) = key.references.as_ref().filter(|_| key.is_enforced) else { continue };
        let is_updated = updates && (sets(&reference.columns) || write.kind == WriteKind::Merge);
        if !deletes && !is_updated {
            continue;
        }
        builder.depends(format!("whether a row goes to which `{}` refers", other.name.name));
        let acts = |code: &str| matches!(code, "c" | "n" | "d");
        if (deletes && acts(&reference.on_delete)) || (is_updated && acts(&reference.on_update)) {
            look_up(builder, &rows::KEY_CASCADE, Whom::Referencing, &other.name);
            cascade(builder, other, &mut vec![relation.name.clone()]);
        } else {
            look_up(builder, &rows::KEY_CHECK, Whom::Referencing, &other.name);
        }
    }
}

/// Rows that go with others may have rows of their own that refer to them.
fn cascade(builder: &mut Builder<'_>, relation: &Relation, seen: &mut Vec<Name>) {
    if seen.contains(&relation.name) {
        return;
    }
    seen.push(relation.name.clone());
    triggers(builder, relation);
    let referencing: Vec<_> = relations::referencing(builder.catalog, relation).collect();
    for (other, key) in referencing {
        let acts = key.references.as_ref().is_some_and(|r| matches!(r.on_delete.as_str(), "c" | "n" | "d"));
        let form = if acts { &rows::KEY_CASCADE } else { &rows::KEY_CHECK };
        look_up(builder, form, Whom::Referencing, &other.name);
        if acts {
            cascade(builder, other, seen);
        }
    }
}

fn look_up(builder: &mut Builder<'_>, form: &Form, whom: Whom, name: &Name) {
    let Some(relation) = relations::by_name(builder.catalog, name) else {
        return builder.take(form, whom, name);
    };
    for part in relations::family(builder.catalog, relation) {
        builder.take(form, whom, &part.name);
        if part.kind != RelationKind::PartitionedTable || builder.version >= 16 {
            builder.take_indexes(form, Whom::OtherIndexes, part);
        }
        builder.work_on_table(&part.name, WorkKind::Query);
    }
}

fn has_default(relation: &Relation, key: &Constraint) -> bool {
    relation.columns.iter().any(|column| key.columns.contains(&column.name) && column.default.is_some())
}

/// What triggers do is not known.
fn triggers(builder: &mut Builder<'_>, relation: &Relation) {
    let own = relation.triggers.iter().find(|trigger| !trigger.is_internal && trigger.enabled != "D");
    if let Some(trigger) = own {
        builder.depends(format!("what trigger `{}` of `{}` does", trigger.name, relation.name.name));
    }
}

/// Columns that are not named and have a sequence take a value of it.
fn use_defaults(builder: &mut Builder<'_>, query: &Query, relation: &Relation) {
    let is_all =
        query.columns.is_empty() && query.source != Some(crate::statement::InsertSource::DefaultValues);
    for sequence in relations::sequences(builder.catalog, relation, None) {
        let column = relation.columns.iter().find(|c| Some(&c.name) == sequence.column.as_ref());
        let is_used = column.is_some_and(|c| {
            c.identity.is_some() || c.default.as_deref().is_some_and(|default| default.contains("nextval("))
        });
        if !is_used {
            continue;
        }
        let named = query.columns.iter().any(|column| sequence.column.as_deref() == Some(column.as_str()));
        if !is_all && !named {
            builder.take(&objects::NEXT_VALUE, Whom::Named, &sequence.name);
        }
    }
}

/// Calls of functions: sequences are locked, and what volatile functions of users do is not known.
fn calls(builder: &mut Builder<'_>, functions: &[FunctionCall]) {
    lock_sequences(builder, functions, &objects::NEXT_VALUE, Whom::Named);
    for call in functions {
        let is_ours = builder
            .catalog
            .functions
            .iter()
            .any(|function| function.name.name == call.name.name && function.name.schema != "pg_catalog");
        if is_ours && of_call(builder.catalog, call) == Volatility::Volatile {
            builder.depends(format!("what function `{}` does", call.name));
        }
    }
}

pub(super) fn lock_sequences(builder: &mut Builder<'_>, functions: &[FunctionCall], form: &Form, whom: Whom) {
    for call in functions {
        if !matches!(call.name.name.as_str(), "nextval" | "setval") {
            continue;
        }
        let Some(text) = &call.first_string else { continue };
        let plain = text.replace('"', "");
        let (schema, name) = match plain.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, plain.as_str()),
        };
        let name = ObjectName::new(schema, name);
        let found = match builder.find(&name) {
            Found::Sequence(found) => found.clone(),
            _ => builder.full_name(&name),
        };
        builder.take(form, whom, &found);
    }
}

pub(super) fn copy(builder: &mut Builder<'_>, copy: &Copy) {
    if let Some(query) = &copy.query {
        run(builder, query);
    }
    let Some(table) = &copy.table else { return };
    if copy.is_from {
        let Some(relation) = source(builder, &table.name, &rows::INSERT) else { return };
        builder.take(&rows::INSERT, Whom::Written, &relation.name);
        insert_into(builder, relation, true);
        let query = Query { columns: copy.columns.clone(), ..Query::default() };
        let write = TableWrite { table: table.clone(), kind: WriteKind::Insert, has_condition: false };
        check_keys(builder, &query, &write, relation, false);
        triggers(builder, relation);
        use_defaults(builder, &query, relation);
    } else if let Some(relation) = source(builder, &table.name, &rows::COPY_TO) {
        builder.take(&rows::COPY_TO, Whom::Read, &relation.name);
        builder.work_on_table(&relation.name, WorkKind::Query);
    }
}
