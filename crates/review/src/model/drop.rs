//! DROP of anything.
//!
//! Not for: DROP as an action of ALTER TABLE.

use posthaste_base::catalog::{ConstraintKind, Name, Relation, RelationKind, TypeKind};

use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::{objects as forms, upkeep};
use super::{alter_object, domain, relations};
use crate::statement::{Drop, DropTarget, ObjectKind};

pub(super) fn apply(builder: &mut Builder<'_>, drop: &Drop) {
    match drop.kind {
        ObjectKind::Table
        | ObjectKind::ForeignTable
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Sequence => relations_of(builder, drop),
        ObjectKind::Index => indexes(builder, drop),
        ObjectKind::Trigger => {
            for target in &drop.targets {
                trigger(builder, drop, target);
            }
        }
        ObjectKind::Rule | ObjectKind::Policy => {
            for target in &drop.targets {
                if let Some(Found::Relation(relation)) =
                    target.table.as_ref().map(|table| builder.find(table))
                {
                    builder.take(&forms::RULE_OR_POLICY, Whom::Named, &relation.name);
                }
            }
        }
        ObjectKind::Type | ObjectKind::Domain => domain::drop(builder, drop),
        ObjectKind::Statistics => {
            for target in &drop.targets {
                alter_object::drop_statistics(builder, &target.name);
            }
        }
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate => {
            for target in &drop.targets {
                function(builder, drop, target);
            }
        }
        ObjectKind::Schema => schemas(builder, drop),
        ObjectKind::Extension if drop.is_cascade => {
            builder.depends("what belongs to it, which the catalog does not tell");
            // Types that were not made in SQL are an extension's: their columns go too.
            let catalog = builder.catalog;
            for info in catalog.types.iter().filter(|info| info.kind == TypeKind::Base) {
                domain::drop_users(builder, info, true);
            }
        }
        ObjectKind::Owned => builder.depends("what belongs to the role, which the catalog does not tell"),
        ObjectKind::Database | ObjectKind::Tablespace => builder.block(&forms::OUTSIDE),
        _ => {}
    }
}

fn relations_of(builder: &mut Builder<'_>, drop: &Drop) {
    let names: Vec<_> = drop.targets.iter().map(|target| &target.name).collect();
    let form = &forms::DROP_TABLE;
    let mut found: Vec<&Relation> = Vec::new();
    for name in names {
        match builder.find(name) {
            Found::Relation(relation) if is_kind(relation.kind, drop.kind) => found.push(relation),
            Found::Relation(_) => {
                builder.refuse(format!("`{name}` is not a {}", drop.kind.words().to_lowercase()))
            }
            Found::Sequence(sequence) => {
                let sequence = sequence.clone();
                drop_sequence(builder, drop, &sequence);
            }
            Found::Unknown(full) => builder.lock_unknown(&full, form),
            Found::Nothing if drop.if_exists => {}
            _ => builder.refuse(format!("`{name}` does not exist")),
        }
    }
    // What is dropped together does not stand in its own way.
    let dropped: Vec<Name> = found
        .iter()
        .flat_map(|relation| relations::family(builder.catalog, relation))
        .map(|relation| relation.name.clone())
        .collect();
    for relation in &found {
        drop_relation(builder, relation, drop.is_cascade, &dropped);
    }
}

fn is_kind(kind: RelationKind, wanted: ObjectKind) -> bool {
    match wanted {
        ObjectKind::View => kind == RelationKind::View,
        ObjectKind::MaterializedView => kind == RelationKind::MaterializedView,
        ObjectKind::ForeignTable => kind == RelationKind::ForeignTable,
        ObjectKind::Table => matches!(kind, RelationKind::Table | RelationKind::PartitionedTable),
        _ => false,
    }
}

/// Drops one relation with all that goes with it.
pub(super) fn drop_relation(
    builder: &mut Builder<'_>,
    relation: &Relation,
    is_cascade: bool,
    dropped: &[Name],
) {
    let form = &forms::DROP_TABLE;
    let mut parts = vec![relation];
    let children = relations::descendants(builder.catalog, relation);
    if relation.kind == RelationKind::PartitionedTable || is_cascade {
        parts.extend(children);
    } else if let Some(child) = children.iter().find(|child| !dropped.contains(&child.name)) {
        builder.refuse(format!("`{}` inherits from it", child.name.name));
    }
    for part in parts {
        drop_one(builder, form, part, is_cascade, dropped);
    }
    if let Some(partition) = &relation.partition {
        builder.take(form, Whom::Parent, &partition.parent);
        if let Some(parent) = relations::by_name(builder.catalog, &partition.parent)
            && let Some(default) = relations::default_partition(builder.catalog, parent)
        {
            builder.take(form, Whom::Default, &default.name);
        }
    }
}

fn drop_one(builder: &mut Builder<'_>, form: &Form, relation: &Relation, is_cascade: bool, dropped: &[Name]) {
    builder.take(form, Whom::Named, &relation.name);
    builder.take_indexes(form, Whom::Indexes, relation);
    for sequence in relations::sequences(builder.catalog, relation, None) {
        builder.take(form, Whom::Sequences, &sequence.name);
    }
    for key in relations::foreign_keys(relation) {
        let Some(reference) = &key.references else { continue };
        builder.take(form, Whom::Referenced, &reference.table);
        if let Some(referenced) = relations::by_name(builder.catalog, &reference.table) {
            for partition in relations::partitions(builder.catalog, referenced) {
                builder.take(form, Whom::Referenced, &partition.name);
            }
        }
    }
    for (other, _) in relations::referencing(builder.catalog, relation) {
        if is_cascade {
            builder.take(form, Whom::Referencing, &other.name);
            for partition in relations::partitions(builder.catalog, other) {
                builder.take(form, Whom::Referencing, &partition.name);
            }
        } else if !dropped.contains(&other.name) {
            builder.refuse(format!("`{}` refers to it with a foreign key", other.name.name));
        }
    }
    let views = relations::views(builder.catalog, relation, None);
    for view in views {
        if is_cascade {
            builder.take(form, Whom::Dependents, &view.name);
            builder.take_indexes(form, Whom::Indexes, view);
        } else if !dropped.contains(&view.name) {
            builder.refuse(format!("`{}` reads it", view.name.name));
        }
    }
}

fn drop_sequence(builder: &mut Builder<'_>, drop: &Drop, name: &Name) {
    let form = &forms::DROP_TABLE;
    builder.take(form, Whom::Named, name);
    let catalog = builder.catalog;
    let sequence = catalog.sequences.iter().find(|sequence| sequence.name == *name);
    let Some((table, column)) = sequence.and_then(|s| Some((s.table.as_ref()?, s.column.as_ref()?))) else {
        return;
    };
    // An identity has one sequence of its own; another one of its column is only kept with it.
    let is_other = |other: &&posthaste_base::catalog::Sequence| {
        other.name != *name && other.table.as_ref() == Some(table) && other.column.as_ref() == Some(column)
    };
    let is_only = !catalog.sequences.iter().any(|other| is_other(&other));
    let uses = relations::by_name(catalog, table)
        .and_then(|table| table.columns.iter().find(|other| other.name == *column))
        .is_some_and(|column| (column.identity.is_some() && is_only) || column.default.is_some());
    if !uses {
        return;
    }
    if drop.is_cascade {
        builder.take(form, Whom::Users, table);
    } else {
        builder.refuse(format!("the default of `{}.{column}` uses it", table.name));
    }
}

fn indexes(builder: &mut Builder<'_>, drop: &Drop) {
    let form = if drop.is_concurrent { &upkeep::DROP_INDEX_CONCURRENTLY } else { &upkeep::DROP_INDEX };
    builder.block(form);
    if drop.is_concurrent && drop.targets.len() > 1 {
        builder.refuse("DROP INDEX CONCURRENTLY takes one index at a time");
    }
    for target in &drop.targets {
        match builder.find(&target.name) {
            Found::Index(table, index) => {
                if drop.is_concurrent && index.is_partitioned {
                    builder.refuse("a partitioned index cannot be dropped concurrently");
                }
                if index.parent.is_some() {
                    builder.refuse("the parent's index requires it");
                }
                let is_needed = |c: &&posthaste_base::catalog::Constraint| {
                    c.index.as_ref() == Some(&index.name) && c.kind != ConstraintKind::ForeignKey
                };
                if let Some(constraint) = table.constraints.iter().find(is_needed) {
                    builder.refuse(format!("constraint `{}` requires it", constraint.name));
                }
                drop_index(builder, form, table, &index.name);
            }
            Found::Unknown(name) => {
                builder.take_index(form, Whom::Named, &name);
                builder.depends(format!("which table `{}` is on, which no catalog tells", target.name));
            }
            Found::Nothing if drop.if_exists => {}
            _ => builder.refuse(format!("index `{}` does not exist", target.name)),
        }
    }
}

fn drop_index(builder: &mut Builder<'_>, form: &Form, table: &Relation, name: &Name) {
    builder.take(form, Whom::Written, &table.name);
    builder.take_index(form, Whom::Named, name);
    for partition in relations::partitions(builder.catalog, table) {
        for child in partition.indexes.iter().filter(|child| child.parent.as_ref() == Some(name)) {
            drop_index(builder, form, partition, &child.name);
        }
    }
}

fn trigger(builder: &mut Builder<'_>, drop: &Drop, target: &DropTarget) {
    let form = &forms::DROP_TRIGGER;
    let Some(table) = &target.table else { return };
    let relation = match builder.find(table) {
        Found::Relation(relation) => relation,
        Found::Unknown(name) => return builder.lock_unknown(&name, form),
        _ if drop.if_exists => return,
        _ => return builder.refuse(format!("relation `{table}` does not exist")),
    };
    if relation.triggers.iter().all(|trigger| trigger.name != target.name.name) {
        if !drop.if_exists {
            builder.refuse(format!("trigger `{}` does not exist", target.name));
        }
        return;
    }
    builder.take(form, Whom::Named, &relation.name);
    alter_object::take_trigger_partitions(builder, form, relation, Some(&target.name.name));
}

/// Triggers go with their function; what else uses it is not known.
fn function(builder: &mut Builder<'_>, drop: &Drop, target: &DropTarget) {
    let catalog = builder.catalog;
    for relation in &catalog.relations {
        let uses = |t: &&posthaste_base::catalog::Trigger| {
            t.function.name == target.name.name
                && target.name.schema.as_ref().is_none_or(|schema| *schema == t.function.schema)
        };
        let Some(trigger) = relation.triggers.iter().find(uses) else { continue };
        if drop.is_cascade {
            builder.take(&forms::DROP_FUNCTION, Whom::Users, &relation.name);
        } else {
            builder.refuse(format!("trigger `{}` of `{}` uses it", trigger.name, relation.name.name));
        }
    }
    if drop.is_cascade {
        builder.depends("which defaults, checks and indexes call it, which the catalog does not tell");
    }
}

fn schemas(builder: &mut Builder<'_>, drop: &Drop) {
    let catalog = builder.catalog;
    for target in &drop.targets {
        let inside: Vec<&Relation> =
            catalog.relations.iter().filter(|relation| relation.name.schema == target.name.name).collect();
        if !drop.is_cascade {
            if let Some(first) = inside.first() {
                builder.refuse(format!("`{}` is in it", first.name.name));
            }
            continue;
        }
        let dropped: Vec<Name> = inside.iter().map(|relation| relation.name.clone()).collect();
        for relation in inside {
            drop_relation(builder, relation, true, &dropped);
        }
        for sequence in catalog.sequences.iter().filter(|s| s.name.schema == target.name.name) {
            builder.take(&forms::DROP_TABLE, Whom::Named, &sequence.name);
        }
        for info in catalog.types.iter().filter(|info| info.name.schema == target.name.name) {
            domain::drop_users(builder, info, true);
        }
    }
}
