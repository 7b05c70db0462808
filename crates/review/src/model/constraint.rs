//! ALTER TABLE ... ADD, VALIDATE, ALTER, DROP CONSTRAINT, and both sides of foreign keys.
//!
//! Not for: constraints of domains (`domain`).

use posthaste_base::catalog::{Constraint, ConstraintKind, Name, Relation, RelationKind};

use super::WorkKind;
use super::alter::{Reach, Step};
use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::alter_table as forms;
use super::proof::{Facts, Proof};
use super::relations;
use crate::statement::{
    ConstraintChange, ForeignKey, Identifier, ObjectName, TableConstraint, TableConstraintKind,
};

/// ADD CONSTRAINT. `dropped` are the constraints that the same statement drops, which prove nothing any more.
pub(super) fn add(
    builder: &mut Builder<'_>,
    relation: &Relation,
    constraint: &TableConstraint,
    is_only: bool,
    dropped: &[&str],
) -> Step {
    let timing = constraint.timing;
    if timing.is_not_enforced {
        builder.needs(18, "NOT ENFORCED");
    }
    let skips = timing.is_not_valid || timing.is_not_enforced;
    let has_children = builder.catalog.children(&relation.name).next().is_some();
    match &constraint.kind {
        TableConstraintKind::Check { no_inherit, .. } => {
            if is_only && has_children && !no_inherit {
                builder.refuse("the constraint must be added to the children too");
            }
            let mut step = if *no_inherit {
                Step { works_on_named_alone: true, ..Step::of(&forms::ADD_CHECK_NO_INHERIT, Reach::Family) }
            } else {
                Step::of(&forms::ADD_CHECK, Reach::Family)
            };
            if !skips {
                step.raise(WorkKind::Scan);
            }
            step
        }
        TableConstraintKind::NotNull { column, .. } => {
            builder.needs(18, "ADD NOT NULL");
            let mut step = Step::of(&forms::ADD_NOT_NULL, Reach::Family);
            if !skips && needs_null_scan(builder, relation, std::slice::from_ref(&column.name), dropped) {
                step.raise(WorkKind::Scan);
            }
            step
        }
        TableConstraintKind::Unique { using_index: Some(index), .. } => {
            using_index(builder, relation, constraint.name.as_ref(), index);
            Step::of(&forms::ADD_USING_INDEX, Reach::Family)
        }
        TableConstraintKind::Unique { columns, nulls_not_distinct, without_overlaps, .. } => {
            if *nulls_not_distinct {
                builder.needs(15, "NULLS NOT DISTINCT");
            }
            if *without_overlaps {
                builder.needs(18, "WITHOUT OVERLAPS");
            }
            refuse_without_key(builder, relation, columns);
            build_index(builder, relation, &forms::ADD_UNIQUE)
        }
        TableConstraintKind::PrimaryKey { using_index, columns, without_overlaps, .. } => {
            if *without_overlaps {
                builder.needs(18, "WITHOUT OVERLAPS");
            }
            if relation.constraints.iter().any(|c| c.kind == ConstraintKind::PrimaryKey) {
                builder.refuse("the table has a primary key already");
            }
            let keys = match using_index {
                Some(index) => index_columns(relation, &index.name),
                None => columns.iter().map(|column| column.name.clone()).collect(),
            };
            let mut step = match using_index {
                Some(index) => using_index_of_key(builder, relation, constraint.name.as_ref(), index),
                None => {
                    refuse_without_key(builder, relation, columns);
                    build_index(builder, relation, &forms::ADD_PRIMARY_KEY)
                }
            };
            if has_nullable(relation, &keys) {
                step.also = Some(&forms::PRIMARY_KEY_NOT_NULL);
                step.works_on_named_alone = false;
                if needs_null_scan(builder, relation, &keys, dropped) {
                    step.raise(WorkKind::Scan);
                }
            }
            step
        }
        TableConstraintKind::Exclude { .. } => build_index(builder, relation, &forms::ADD_UNIQUE),
        TableConstraintKind::ForeignKey { key, .. } => {
            if relation.kind == RelationKind::PartitionedTable {
                if is_only {
                    builder.refuse("ONLY cannot be used for a foreign key on a partitioned table");
                }
                if timing.is_not_valid {
                    builder.needs(18, "a NOT VALID foreign key on a partitioned table");
                }
            }
            foreign_key(builder, relation, key, skips)
        }
    }
}

fn foreign_key(builder: &mut Builder<'_>, relation: &Relation, key: &ForeignKey, skips: bool) -> Step {
    let form = &forms::ADD_FOREIGN_KEY;
    let columns: Vec<String> = key.columns.iter().map(|c| c.name.clone()).collect();
    refuse_without_unique(builder, &key.table, &columns);
    take_referenced(builder, form, &key.table, &columns);
    take_partitions(builder, form, relation);
    let mut step = Step { works_on_named_alone: true, ..Step::of(form, Reach::Family) };
    if !skips {
        read_both(builder, form, relation, &key.table);
        step.raise(WorkKind::Scan);
        // Partitions are checked one by one; those that only inherit are not.
        step.works_on_named_alone = relation.kind != RelationKind::PartitionedTable;
    }
    step
}

fn refuse_without_unique(builder: &mut Builder<'_>, table: &ObjectName, columns: &[String]) {
    if let Found::Relation(referenced) = builder.find(table)
        && relations::referenced_index(referenced, columns).is_none()
    {
        builder.refuse(format!("no unique constraint of `{table}` matches the referenced columns"));
    }
}

/// Locks the other side of a foreign key, with its partitions and the index that it relies on.
pub(super) fn take_referenced(
    builder: &mut Builder<'_>,
    form: &Form,
    table: &ObjectName,
    columns: &[String],
) {
    match builder.find(table) {
        Found::Relation(referenced) => take_referenced_relation(builder, form, referenced, columns),
        Found::Unknown(name) => {
            builder.take(form, Whom::Referenced, &name);
            builder.depends(format!("what `{table}` is, which no catalog tells"));
        }
        _ => builder.refuse(format!("relation `{table}` does not exist")),
    }
}

pub(super) fn take_referenced_relation(
    builder: &mut Builder<'_>,
    form: &Form,
    referenced: &Relation,
    columns: &[String],
) {
    builder.take(form, Whom::Referenced, &referenced.name);
    if let Some(index) = relations::referenced_index(referenced, columns) {
        builder.take_index(form, Whom::ReferencedIndex, &index.name);
    }
    for partition in relations::partitions(builder.catalog, referenced) {
        builder.take(form, Whom::Referenced, &partition.name);
        if let Some(index) = relations::referenced_index(partition, columns) {
            builder.take_index(form, Whom::ReferencedIndex, &index.name);
        }
    }
}

pub(super) fn take_partitions(builder: &mut Builder<'_>, form: &Form, relation: &Relation) {
    for partition in relations::partitions(builder.catalog, relation) {
        builder.take(form, Whom::Partitions, &partition.name);
    }
}

/// The query that checks a foreign key reads both tables, and with them their indexes.
pub(super) fn read_both(
    builder: &mut Builder<'_>,
    form: &Form,
    relation: &Relation,
    referenced: &ObjectName,
) {
    match builder.find(referenced) {
        Found::Relation(referenced) => read_both_relations(builder, form, relation, referenced),
        _ => builder.take_indexes(form, Whom::Indexes, relation),
    }
}

pub(super) fn read_both_relations(
    builder: &mut Builder<'_>,
    form: &Form,
    relation: &Relation,
    referenced: &Relation,
) {
    for part in with_rows(builder, relation) {
        builder.take_indexes(form, Whom::Indexes, part);
    }
    for part in with_rows(builder, referenced) {
        builder.take_indexes(form, Whom::OtherIndexes, part);
        builder.work_on_table(&part.name, WorkKind::Query);
    }
    // The planner opens the indexes of a partitioned table itself only from 16 on.
    if referenced.kind == RelationKind::PartitionedTable && builder.version >= 16 {
        builder.take_indexes(form, Whom::OtherIndexes, referenced);
    }
}

/// The table, or the partitions that hold its rows.
fn with_rows<'a>(builder: &Builder<'a>, relation: &'a Relation) -> Vec<&'a Relation> {
    if relations::has_rows(relation) {
        return vec![relation];
    }
    relations::partitions(builder.catalog, relation).into_iter().filter(|r| relations::has_rows(r)).collect()
}

fn build_index(builder: &mut Builder<'_>, relation: &Relation, form: &'static Form) -> Step {
    for partition in relations::partitions(builder.catalog, relation) {
        builder.take(form, Whom::Partitions, &partition.name);
    }
    let mut step = Step::of(form, Reach::Family);
    step.raise(WorkKind::Scan);
    step.works_on_named_alone = relation.kind != RelationKind::PartitionedTable;
    step
}

fn using_index(
    builder: &mut Builder<'_>,
    relation: &Relation,
    name: Option<&Identifier>,
    index: &Identifier,
) {
    let Some(found) = relation.indexes.iter().find(|other| other.name.name == index.name) else {
        if builder.is_known() {
            builder.refuse(format!("index `{index}` does not exist on that table"));
        }
        return;
    };
    if found.predicate.is_some() {
        builder.refuse(format!("`{index}` is a partial index"));
    }
    if !found.is_valid {
        builder.refuse(format!("index `{index}` is not valid"));
    }
    builder.take_index(&forms::ADD_USING_INDEX, Whom::Index, &found.name);
    if name.is_some_and(|name| name != index) {
        builder.take_index(&forms::USING_INDEX_RENAMED, Whom::Index, &found.name);
    }
}

fn using_index_of_key(
    builder: &mut Builder<'_>,
    relation: &Relation,
    name: Option<&Identifier>,
    index: &Identifier,
) -> Step {
    using_index(builder, relation, name, index);
    Step::of(&forms::ADD_USING_INDEX, Reach::Family)
}

fn index_columns(relation: &Relation, index: &str) -> Vec<String> {
    let index = relation.indexes.iter().find(|other| other.name.name == index);
    index.map(|index| index.keys.iter().filter_map(|key| key.column.clone()).collect()).unwrap_or_default()
}

/// A unique constraint of a partitioned table has to have the columns of its key.
fn refuse_without_key(builder: &mut Builder<'_>, relation: &Relation, columns: &[Identifier]) {
    let Some(key) = &relation.partition_key else { return };
    if key.columns.iter().any(|column| !column.is_empty() && columns.iter().all(|c| c.name != *column)) {
        builder
            .refuse("a unique constraint on a partitioned table must have all columns of the partition key");
    }
}

fn has_nullable(relation: &Relation, columns: &[String]) -> bool {
    relation.columns.iter().any(|column| columns.contains(&column.name) && !column.is_not_null)
}

/// Whether rows have to be read to know that there are no NULLs in these columns.
pub(super) fn needs_null_scan(
    builder: &mut Builder<'_>,
    relation: &Relation,
    columns: &[String],
    dropped: &[&str],
) -> bool {
    let facts = Facts::of(relation, dropped);
    let mut needed = false;
    for column in columns {
        match facts.prove_not_null(column) {
            Proof::Proven => {}
            Proof::Not => needed = true,
            Proof::Unclear => {
                // A condition that has the column and is no comparison does not prove it for PostgreSQL either.
                needed = true;
            }
        }
    }
    // On 18 a NOT NULL that is not valid says nothing about the rows that are there.
    needed || (builder.version >= 18 && has_invalid_not_null(relation, columns))
}

fn has_invalid_not_null(relation: &Relation, columns: &[String]) -> bool {
    relation.constraints.iter().any(|constraint| {
        constraint.kind == ConstraintKind::NotNull
            && !constraint.is_validated
            && constraint.columns.iter().any(|column| columns.contains(column))
    })
}

pub(super) fn validate(builder: &mut Builder<'_>, relation: &Relation, name: &str) -> Step {
    let Some(constraint) = find(builder, relation, name, false) else {
        return Step::of(&forms::VALIDATE_CHECK, Reach::Named);
    };
    let Some(reference) = &constraint.references else {
        if constraint.is_validated {
            return Step::of(&forms::VALIDATE_CHECK, Reach::Named);
        }
        let mut step = Step::of(&forms::VALIDATE_CHECK, Reach::Family);
        step.works_on_named_alone = constraint.no_inherit;
        step.raise(WorkKind::Scan);
        return step;
    };
    let form = &forms::VALIDATE_FOREIGN_KEY;
    let mut step = Step::of(form, Reach::Named);
    if constraint.is_validated {
        return step;
    }
    step.raise(WorkKind::Scan);
    step.works_on_named_alone = relation.kind != RelationKind::PartitionedTable;
    take_partitions(builder, form, relation);
    if let Some(referenced) = relations::by_name(builder.catalog, &reference.table) {
        builder.take(form, Whom::Referenced, &referenced.name);
        for partition in relations::partitions(builder.catalog, referenced) {
            builder.take(&forms::VALIDATE_REFERENCED_PARTITIONS, Whom::Referenced, &partition.name);
        }
        read_both_relations(builder, form, relation, referenced);
    }
    step
}

pub(super) fn alter(
    builder: &mut Builder<'_>,
    relation: &Relation,
    name: &str,
    change: ConstraintChange,
) -> Step {
    if change.is_enforced.is_some() || change.inherits.is_some() {
        builder.needs(18, "ALTER CONSTRAINT of that kind");
    }
    let Some(constraint) = find(builder, relation, name, false) else {
        return Step::of(&forms::ALTER_CONSTRAINT, Reach::Named);
    };
    let referenced = constraint
        .references
        .as_ref()
        .and_then(|r| relations::by_name(builder.catalog, &r.table).map(|t| (t, r)));
    match (change.is_enforced, referenced) {
        (Some(true), Some((referenced, reference))) => {
            let mut step = Step::of(&forms::ENFORCE, Reach::Named);
            take_referenced_relation(builder, &forms::ENFORCE, referenced, &reference.columns);
            read_both_relations(builder, &forms::ENFORCE, relation, referenced);
            step.raise(WorkKind::Scan);
            step
        }
        (Some(false), Some((referenced, _))) => {
            builder.take(&forms::NOT_ENFORCED, Whom::Referenced, &referenced.name);
            Step::of(&forms::NOT_ENFORCED, Reach::Named)
        }
        _ => Step::of(&forms::ALTER_CONSTRAINT, Reach::Named),
    }
}

pub(super) fn drop(
    builder: &mut Builder<'_>,
    relation: &Relation,
    name: &str,
    if_exists: bool,
    is_cascade: bool,
) -> Step {
    let form = &forms::DROP_CONSTRAINT;
    let Some(constraint) = find(builder, relation, name, if_exists) else {
        return Step::of(form, Reach::Named);
    };
    if constraint.is_inherited {
        builder.refuse(format!("constraint `{name}` is inherited"));
    }
    go_with(builder, form, relation, constraint, is_cascade);
    let reaches = match constraint.kind {
        ConstraintKind::Check | ConstraintKind::NotNull if !constraint.no_inherit => Reach::Family,
        _ if relation.kind == RelationKind::PartitionedTable => Reach::Family,
        _ => Reach::Named,
    };
    Step::of(form, reaches)
}

/// Locks what goes with a constraint: its index, the other side of a foreign key, the keys that rely on it.
pub(super) fn go_with(
    builder: &mut Builder<'_>,
    form: &Form,
    relation: &Relation,
    constraint: &Constraint,
    is_cascade: bool,
) {
    if let Some(reference) = &constraint.references {
        builder.take(form, Whom::Referenced, &reference.table);
        if let Some(referenced) = relations::by_name(builder.catalog, &reference.table) {
            for partition in relations::partitions(builder.catalog, referenced) {
                builder.take(form, Whom::Referenced, &partition.name);
            }
        }
    }
    let Some(index) = &constraint.index else { return };
    take_index_tree(builder, form, index);
    let keys: Vec<&String> = constraint.columns.iter().collect();
    let mut relying: Vec<Name> = Vec::new();
    for (other, key) in relations::referencing(builder.catalog, relation) {
        let columns = key.references.as_ref().map(|r| &r.columns);
        let is_on_it = columns.is_some_and(|c| c.len() == keys.len() && c.iter().all(|c| keys.contains(&c)));
        if is_on_it {
            relying.push(other.name.clone());
        }
    }
    for name in &relying {
        if is_cascade {
            builder.take(form, Whom::Referencing, name);
        } else {
            builder.refuse(format!("a foreign key of `{}` depends on it", name.name));
        }
    }
}

/// An index, and those of partitions that are attached to it.
pub(super) fn take_index_tree(builder: &mut Builder<'_>, form: &Form, index: &Name) {
    builder.take_index(form, Whom::Index, index);
    let catalog = builder.catalog;
    for relation in &catalog.relations {
        for child in relation.indexes.iter().filter(|child| child.parent.as_ref() == Some(index)) {
            take_index_tree(builder, form, &child.name);
        }
    }
}

pub(super) fn find<'a>(
    builder: &mut Builder<'_>,
    relation: &'a Relation,
    name: &str,
    if_exists: bool,
) -> Option<&'a Constraint> {
    let found = relation.constraints.iter().find(|constraint| constraint.name == name);
    if found.is_none() && !if_exists {
        builder.refuse(format!("constraint `{name}` does not exist"));
    }
    found
}
