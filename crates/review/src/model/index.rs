//! Indexes: made, altered, attached, built anew.
//!
//! Not for: DROP INDEX (`drop`), and indexes that constraints bring along (`constraint`).

use posthaste_base::catalog::{Catalog, Index, Name, Relation, RelationKind};

use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::upkeep as forms;
use super::{WorkKind, relations};
use crate::statement::{Action, Alter, CreateIndex, ObjectKind, Reindex, ReindexKind};

pub(super) fn create(builder: &mut Builder<'_>, create: &CreateIndex) {
    let form = if create.is_concurrent { &forms::CREATE_INDEX_CONCURRENTLY } else { &forms::CREATE_INDEX };
    builder.block(form);
    if create.nulls_not_distinct {
        builder.needs(15, "NULLS NOT DISTINCT");
    }
    let Some(relation) = builder.relation(&create.table, form) else { return };
    builder.take(form, Whom::Named, &relation.name);
    match relation.kind {
        RelationKind::View => builder.refuse("an index cannot be made on a view"),
        RelationKind::PartitionedTable if create.is_concurrent => {
            builder.refuse("an index on a partitioned table cannot be made concurrently");
        }
        _ => {}
    }
    let same_name = |name: &str| builder.catalog.index(Some(&relation.name.schema), name).is_some();
    let is_there = create.name.as_ref().is_some_and(|name| same_name(name.as_str()));
    if is_there {
        if !create.if_not_exists {
            builder.refuse("an index of that name exists already");
        }
        return;
    }
    if relation.kind != RelationKind::PartitionedTable {
        builder.work_on_table(&relation.name, WorkKind::Scan);
        return;
    }
    if create.is_only {
        return;
    }
    for partition in relations::partitions(builder.catalog, relation) {
        builder.take(form, Whom::Partitions, &partition.name);
        match partition.indexes.iter().find(|index| is_like(index, create)) {
            Some(index) => builder.take_index(form, Whom::Index, &index.name),
            None if relations::has_rows(partition) => {
                builder.work_on_table(&partition.name, WorkKind::Scan);
            }
            None => {}
        }
    }
}

/// Whether an index that a partition has is the one that is wanted.
fn is_like(index: &Index, create: &CreateIndex) -> bool {
    let columns = create.keys.iter().map(|key| key.column.as_ref().map(|column| column.name.as_str()));
    let method = create.method.as_ref().map_or("btree", |method| method.as_str());
    index.parent.is_none()
        && index.is_valid
        && index.is_unique == create.is_unique
        && index.method == method
        && index.predicate.is_none()
        && create.predicate.is_none()
        && index.include.len() == create.include.len()
        && index.keys.iter().all(|key| key.column.is_some() && !key.is_descending)
        && create
            .keys
            .iter()
            .all(|key| !key.is_descending && key.opclass.is_none() && key.collation.is_none())
        && index.keys.iter().map(|key| key.column.as_deref()).eq(columns)
}

pub(super) fn alter(builder: &mut Builder<'_>, alter: &Alter, table: &Relation, index: &Index) {
    for clause in &alter.clauses {
        let form = form_of(builder, alter, &clause.action);
        builder.take_index(form, Whom::Named, &index.name);
        match &clause.action {
            Action::AttachIndex { index: child } => {
                if let Found::Index(child_table, child) = builder.find(child) {
                    builder.take_index(form, Whom::Index, &child.name);
                    builder.take(form, Whom::Read, &child_table.name);
                }
                builder.take(form, Whom::Read, &table.name);
            }
            Action::SetTablespace { tablespace, .. } if *tablespace != "pg_default" => {
                builder.work_on_index(&index.name, WorkKind::Build);
            }
            _ => {}
        }
    }
}

pub(super) fn alter_unknown(builder: &mut Builder<'_>, alter: &Alter, name: &Name) {
    for clause in &alter.clauses {
        let form = form_of(builder, alter, &clause.action);
        builder.take_index(form, Whom::Named, name);
    }
}

fn form_of(builder: &mut Builder<'_>, alter: &Alter, action: &Action) -> &'static Form {
    match action {
        Action::RenameTo { .. } if alter.kind == ObjectKind::Index => &forms::RENAME_INDEX,
        Action::RenameTo { .. } => &forms::RENAME_INDEX_AS_TABLE,
        Action::SetOptions { .. } | Action::ResetOptions { .. } => &forms::INDEX_OPTIONS,
        Action::SetStatistics { .. } => &forms::INDEX_STATISTICS,
        Action::SetTablespace { .. } => &forms::INDEX_TABLESPACE,
        Action::DependsOnExtension { is_no, .. } => {
            if *is_no {
                builder.needs(13, "NO DEPENDS ON EXTENSION");
            }
            &forms::INDEX_DEPENDS
        }
        Action::AttachIndex { .. } => &forms::ATTACH_INDEX,
        _ => &forms::RENAME_INDEX_AS_TABLE,
    }
}

pub(super) fn reindex(builder: &mut Builder<'_>, reindex: &Reindex) {
    match reindex.kind {
        ReindexKind::Index => {
            let Some(name) = &reindex.name else { return };
            match builder.find(name) {
                Found::Index(table, index) => reindex_index(builder, reindex, table, index),
                Found::Unknown(name) => {
                    let form = table_form(reindex);
                    builder.block(form);
                    builder.take_index(form, Whom::Index, &name);
                    builder.depends(format!("what `{}` is, which no catalog tells", name.name));
                }
                _ => builder.refuse(format!("index `{name}` does not exist")),
            }
        }
        ReindexKind::Table => {
            let Some(name) = &reindex.name else { return };
            let Some(relation) = builder.relation(name, &REINDEX_UNKNOWN) else {
                builder.block(table_form(reindex));
                return;
            };
            reindex_table(builder, reindex, relation);
        }
        ReindexKind::Schema | ReindexKind::Database | ReindexKind::System => reindex_all(builder, reindex),
    }
}

/// A table that no catalog knows is at least locked against writes.
static REINDEX_UNKNOWN: Form =
    Form { rules: &[super::form::always(Whom::Named, posthaste_report::LockMode::Share)], ..forms::REINDEX };

fn table_form(reindex: &Reindex) -> &'static Form {
    if reindex.is_concurrent { &forms::REINDEX_CONCURRENTLY } else { &forms::REINDEX }
}

fn reindex_index(builder: &mut Builder<'_>, reindex: &Reindex, table: &Relation, index: &Index) {
    if !index.is_partitioned {
        let form = table_form(reindex);
        builder.block(form);
        rebuild_all(builder, form, table, [index]);
        return;
    }
    if builder.version < 14 {
        builder.block(table_form(reindex));
        builder.refuse("a partitioned index cannot be built anew before PostgreSQL 14");
        return;
    }
    let form = partitioned_form(reindex);
    builder.block(form);
    builder.take(form, Whom::Named, &table.name);
    builder.take_index(form, Whom::ParentIndexes, &index.name);
    for partition in relations::partitions(builder.catalog, table) {
        let whom = if reindex.is_concurrent { Whom::Written } else { Whom::Partitions };
        if relations::has_rows(partition) {
            builder.take(form, whom, &partition.name);
        }
        for own in &partition.indexes {
            if is_below(builder.catalog, own, &index.name) {
                let whom = if own.is_partitioned { Whom::Partitions } else { Whom::Index };
                builder.take_index(form, whom, &own.name);
                rebuild(builder, partition, own);
            }
        }
    }
}

fn partitioned_form(reindex: &Reindex) -> &'static Form {
    if reindex.is_concurrent { &forms::REINDEX_PARTITIONED_CONCURRENTLY } else { &forms::REINDEX_PARTITIONED }
}

fn is_below(catalog: &Catalog, index: &Index, top: &Name) -> bool {
    let mut parent = index.parent.as_ref();
    while let Some(name) = parent {
        if name == top {
            return true;
        }
        parent = catalog.index(Some(&name.schema), &name.name).and_then(|(_, index)| index.parent.as_ref());
    }
    false
}

fn reindex_table(builder: &mut Builder<'_>, reindex: &Reindex, relation: &Relation) {
    if relation.kind != RelationKind::PartitionedTable {
        let form = table_form(reindex);
        builder.block(form);
        rebuild_all(builder, form, relation, &relation.indexes);
        return;
    }
    let form = partitioned_form(reindex);
    builder.block(form);
    builder.take(form, Whom::Named, &relation.name);
    if builder.version < 14 {
        return;
    }
    for partition in relations::partitions(builder.catalog, relation) {
        builder.take(form, Whom::Partitions, &partition.name);
        let whom = if reindex.is_concurrent { Whom::Indexes } else { Whom::Index };
        for own in partition.indexes.iter().filter(|own| !own.is_partitioned) {
            builder.take_index(form, whom, &own.name);
            rebuild(builder, partition, own);
        }
    }
}

fn reindex_all(builder: &mut Builder<'_>, reindex: &Reindex) {
    let form = if reindex.is_concurrent { &forms::REINDEX_CONCURRENTLY } else { &forms::REINDEX_ALL };
    builder.block(&forms::REINDEX_ALL);
    if !builder.is_known() {
        builder.depends("which tables there are, which no catalog tells");
    }
    let schema = reindex.name.as_ref().filter(|_| reindex.kind == ReindexKind::Schema);
    if reindex.kind == ReindexKind::System {
        return;
    }
    let catalog = builder.catalog;
    for relation in catalog.relations.iter().filter(|relation| relations::has_rows(relation)) {
        if schema.is_none_or(|schema| schema.name == relation.name.schema) {
            rebuild_all(builder, form, relation, &relation.indexes);
        }
    }
}

/// Locks a table and its indexes, which are built anew.
fn rebuild_all<'i>(
    builder: &mut Builder<'_>,
    form: &Form,
    table: &Relation,
    indexes: impl IntoIterator<Item = &'i Index>,
) {
    builder.take(form, Whom::Written, &table.name);
    for index in indexes {
        builder.take_index(form, Whom::Index, &index.name);
        rebuild(builder, table, index);
    }
}

fn rebuild(builder: &mut Builder<'_>, table: &Relation, index: &Index) {
    if !index.is_partitioned {
        builder.work_on_index(&index.name, WorkKind::Build);
        builder.work_on_table(&table.name, WorkKind::Scan);
    }
}
