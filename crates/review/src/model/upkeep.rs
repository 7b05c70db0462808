//! VACUUM, CLUSTER, ANALYZE, TRUNCATE, REFRESH and LOCK.
//!
//! Not for: REINDEX (`index`).

use posthaste_base::catalog::{Relation, RelationKind};
use posthaste_report::LockMode;

use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::{rows, upkeep as forms};
use super::{WorkKind, query, relations};
use crate::statement::{Analyze, Cluster, LockTable, Refresh, Truncate, Vacuum, VacuumTable};

pub(super) fn vacuum(builder: &mut Builder<'_>, vacuum: &Vacuum) {
    let form = if vacuum.is_full { &forms::VACUUM_FULL } else { &forms::VACUUM };
    builder.block(form);
    for relation in tables(builder, &vacuum.tables, form) {
        let mut parts = vec![relation];
        parts.extend(relations::partitions(builder.catalog, relation));
        for part in parts {
            // A partitioned table is locked, and then passed over.
            builder.take(form, Whom::Named, &part.name);
            if !relations::has_rows(part) {
                continue;
            }
            if vacuum.is_full {
                builder.take_indexes(form, Whom::Indexes, part);
                rewrite(builder, part);
            } else {
                // Locked, but for the planner's sake, even when they are not cleaned.
                builder.take_indexes(form, Whom::Index, part);
            }
            if vacuum.is_analyze {
                analyze_one(builder, part);
            }
        }
        if relation.kind == RelationKind::PartitionedTable && vacuum.is_analyze {
            analyze_one(builder, relation);
        }
    }
}

fn rewrite(builder: &mut Builder<'_>, relation: &Relation) {
    builder.work_on_table(&relation.name, WorkKind::Rewrite);
    for index in &relation.indexes {
        builder.work_on_index(&index.name, WorkKind::Build);
    }
}

/// Those that are named, or all of the database.
fn tables<'a>(builder: &mut Builder<'a>, named: &[VacuumTable], form: &Form) -> Vec<&'a Relation> {
    if named.is_empty() {
        if !builder.is_known() {
            builder.depends("which tables there are, which no catalog tells");
        }
        return builder.catalog.relations.iter().filter(|relation| relations::has_rows(relation)).collect();
    }
    named.iter().filter_map(|table| builder.relation(&table.name, form)).collect()
}

pub(super) fn analyze(builder: &mut Builder<'_>, analyze: &Analyze) {
    for relation in tables(builder, &analyze.tables, &forms::ANALYZE) {
        analyze_one(builder, relation);
        let own = relations::partitions(builder.catalog, relation);
        let form = &forms::ANALYZE;
        for part in &own {
            builder.take(form, Whom::Partitions, &part.name);
            if relations::has_rows(part) {
                builder.take_indexes(form, Whom::Indexes, part);
            }
        }
        if own.is_empty() {
            for child in relations::descendants(builder.catalog, relation) {
                builder.take(form, Whom::Descendants, &child.name);
                if builder.version >= 18 {
                    builder.take_indexes(form, Whom::Indexes, child);
                }
            }
        }
    }
}

fn analyze_one(builder: &mut Builder<'_>, relation: &Relation) {
    builder.take(&forms::ANALYZE, Whom::Named, &relation.name);
    if relation.kind != RelationKind::PartitionedTable {
        builder.take_indexes(&forms::ANALYZE, Whom::Indexes, relation);
    }
}

pub(super) fn cluster(builder: &mut Builder<'_>, cluster: &Cluster) {
    let Some(name) = &cluster.table else {
        builder.block(&forms::CLUSTER_ALL);
        let catalog = builder.catalog;
        for relation in &catalog.relations {
            if relation.indexes.iter().any(|index| index.is_clustered) {
                cluster_one(builder, &forms::CLUSTER_ALL, relation);
            }
        }
        return;
    };
    let Some(relation) = builder.relation(name, &forms::CLUSTER) else { return };
    if relation.kind == RelationKind::PartitionedTable {
        builder.block(&forms::CLUSTER_ALL);
        if builder.version < 15 {
            builder.refuse("a partitioned table cannot be clustered before PostgreSQL 15");
        }
        builder.take(&forms::CLUSTER_ALL, Whom::Parent, &relation.name);
        for partition in relations::partitions(builder.catalog, relation) {
            if relations::has_rows(partition) {
                cluster_one(builder, &forms::CLUSTER_ALL, partition);
            }
        }
        return;
    }
    if cluster.index.is_none() && relation.indexes.iter().all(|index| !index.is_clustered) {
        builder.refuse("the table was never clustered, and no index is named");
    }
    cluster_one(builder, &forms::CLUSTER, relation);
}

fn cluster_one(builder: &mut Builder<'_>, form: &Form, relation: &Relation) {
    builder.take(form, Whom::Named, &relation.name);
    builder.take_indexes(form, Whom::Indexes, relation);
    rewrite(builder, relation);
}

pub(super) fn truncate(builder: &mut Builder<'_>, truncate: &Truncate) {
    let mut open: Vec<&Relation> = Vec::new();
    for table in &truncate.tables {
        let Some(relation) = builder.relation(&table.name, &forms::TRUNCATE) else { continue };
        if table.is_only && relation.kind == RelationKind::PartitionedTable {
            builder.refuse("ONLY cannot be used with a partitioned table");
        }
        add(&mut open, relation);
        if !table.is_only {
            relations::descendants(builder.catalog, relation)
                .into_iter()
                .for_each(|part| add(&mut open, part));
        }
    }
    let mut next = 0;
    while let Some(relation) = open.get(next).copied() {
        next += 1;
        for (other, _) in relations::referencing(builder.catalog, relation) {
            if open.iter().any(|there| there.name == other.name) {
                continue;
            }
            if truncate.is_cascade {
                add(&mut open, other);
                relations::partitions(builder.catalog, other)
                    .into_iter()
                    .for_each(|part| add(&mut open, part));
            } else {
                builder.refuse(format!("`{}` refers to it with a foreign key", other.name.name));
            }
        }
    }
    for relation in open {
        truncate_one(builder, relation, truncate.restarts_identity);
    }
}

fn add<'a>(open: &mut Vec<&'a Relation>, relation: &'a Relation) {
    if open.iter().all(|there| there.name != relation.name) {
        open.push(relation);
    }
}

fn truncate_one(builder: &mut Builder<'_>, relation: &Relation, restarts_identity: bool) {
    let form = &forms::TRUNCATE;
    builder.take(form, Whom::Named, &relation.name);
    for above in relations::ancestors(builder.catalog, relation) {
        builder.take(form, Whom::Parent, &above.name);
    }
    if relations::has_rows(relation) {
        builder.work_on_table(&relation.name, WorkKind::Empty);
        for index in &relation.indexes {
            builder.take_index(form, Whom::Indexes, &index.name);
            builder.work_on_index(&index.name, WorkKind::Empty);
        }
    }
    if restarts_identity {
        for sequence in relations::sequences(builder.catalog, relation, None) {
            builder.take(form, Whom::Sequences, &sequence.name);
        }
    }
}

pub(super) fn refresh(builder: &mut Builder<'_>, refresh: &Refresh) {
    let form = if refresh.is_concurrent { &forms::REFRESH_CONCURRENTLY } else { &forms::REFRESH };
    let Some(view) = builder.relation(&refresh.view, form) else { return };
    if view.kind != RelationKind::MaterializedView {
        builder.refuse(format!("`{}` is not a materialized view", refresh.view));
        return;
    }
    builder.take(form, Whom::Named, &view.name);
    builder.take_indexes(form, Whom::Indexes, view);
    if refresh.is_concurrent {
        let is_usable = |i: &posthaste_base::catalog::Index| {
            i.is_unique && i.predicate.is_none() && i.keys.iter().all(|key| key.column.is_some())
        };
        if !view.indexes.iter().any(is_usable) {
            builder.refuse("it needs a unique index over columns, without a condition");
        }
        builder.work_on_table(&view.name, WorkKind::Query);
    } else {
        let work = if refresh.with_no_data { WorkKind::Empty } else { WorkKind::Rewrite };
        builder.work_on_table(&view.name, work);
        for index in &view.indexes {
            let work = if refresh.with_no_data { WorkKind::Empty } else { WorkKind::Build };
            builder.work_on_index(&index.name, work);
        }
    }
    if !refresh.with_no_data {
        for source in relations::sources(builder.catalog, view) {
            query::read(builder, source, &rows::SELECT, false);
        }
    }
}

pub(super) fn lock(builder: &mut Builder<'_>, lock: &LockTable) {
    let mode = LockMode::ALL.into_iter().find(|mode| mode.as_str() == lock.mode);
    let mode = mode.unwrap_or(LockMode::AccessExclusive);
    for table in &lock.tables {
        match builder.find(&table.name) {
            Found::Relation(relation) => lock_one(builder, relation, table.is_only, mode),
            Found::Unknown(name) => {
                builder.lock_table(&name, mode);
                builder.depends(format!("what `{}` is, which no catalog tells", table.name));
            }
            _ => builder.refuse(format!("relation `{}` does not exist", table.name)),
        }
    }
}

fn lock_one(builder: &mut Builder<'_>, relation: &Relation, is_only: bool, mode: LockMode) {
    builder.lock_table(&relation.name, mode);
    match relation.kind {
        RelationKind::MaterializedView => builder.refuse("a materialized view cannot be locked"),
        // A view is locked with all that it reads.
        RelationKind::View => {
            for source in relations::sources(builder.catalog, relation) {
                lock_one(builder, source, false, mode);
            }
        }
        _ if !is_only => {
            for part in relations::descendants(builder.catalog, relation) {
                builder.lock_table(&part.name, mode);
            }
        }
        _ => {}
    }
}
