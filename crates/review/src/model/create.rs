//! CREATE of tables, views, sequences, functions, triggers, rules, policies, publications and statistics: what of
//! that which is there it locks.
//!
//! Not for: what is made, which nobody else can see yet.

use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::{objects as forms, rows};
use super::{alter_object, constraint, partition, query, relations};
use crate::statement::{
    ColumnConstraintKind, CreateFunction, CreateOther, CreatePolicy, CreatePublication, CreateRule,
    CreateSequence, CreateStatistics, CreateTable, CreateTableAs, CreateTrigger, CreateView, Expression,
    ForeignKey, ObjectKind, ObjectName, PublicationTable, Statement, TableConstraintKind,
};
use posthaste_base::catalog::RelationKind;

pub(super) fn table(builder: &mut Builder<'_>, create: &CreateTable) {
    let is_there =
        matches!(builder.find(&create.name), Found::Relation(_) | Found::Index(..) | Found::Sequence(_));
    if is_there && in_same_place(builder, &create.name) {
        if !create.if_not_exists {
            builder.refuse(format!("relation `{}` exists already", create.name));
        }
        return;
    }
    if let Some(parent) = &create.partition_of {
        partition::create(builder, parent, create.bound.as_ref());
    }
    partition::create_inherits(builder, &create.inherits);
    for like in &create.likes {
        if let Some(relation) = builder.relation(&like.table, &LIKE) {
            builder.take(&forms::CREATE_TABLE, Whom::Read, &relation.name);
        }
    }
    if let Some(kind) = &create.of_type
        && let Found::Relation(kind) = builder.find(kind)
    {
        builder.take(&forms::CREATE_TABLE, Whom::Read, &kind.name);
    }
    for column in &create.columns {
        for inline in &column.constraints {
            match &inline.kind {
                ColumnConstraintKind::References(key) => refer(builder, create, key),
                ColumnConstraintKind::Generated { kind, .. }
                    if *kind != crate::statement::GeneratedKind::Stored =>
                {
                    builder.needs(18, "a virtual column");
                }
                _ => {}
            }
        }
    }
    for table_constraint in &create.constraints {
        match &table_constraint.kind {
            TableConstraintKind::ForeignKey { key, .. } => refer(builder, create, key),
            TableConstraintKind::NotNull { .. } => builder.needs(18, "a NOT NULL constraint of the table"),
            _ => {}
        }
    }
}

/// What LIKE names and no catalog knows is read.
static LIKE: Form = Form {
    rules: &[super::form::always(Whom::Named, posthaste_report::LockMode::AccessShare)],
    ..forms::CREATE_TABLE
};

/// A name without a schema is made in the first of the search path, and there it may be free.
fn in_same_place(builder: &Builder<'_>, name: &ObjectName) -> bool {
    let full = builder.full_name(name);
    let catalog = builder.catalog;
    catalog.relation(Some(&full.schema), &full.name).is_some()
        || catalog.index(Some(&full.schema), &full.name).is_some()
        || catalog.sequences.iter().any(|sequence| sequence.name == full)
}

fn refer(builder: &mut Builder<'_>, create: &CreateTable, key: &ForeignKey) {
    // A key to the table that is being made.
    if key.table.name == create.name.name
        && (key.table.schema.is_none() || key.table.schema == create.name.schema)
    {
        return;
    }
    let columns: Vec<String> = key.columns.iter().map(|column| column.name.clone()).collect();
    constraint::take_referenced(builder, &forms::CREATE_TABLE, &key.table, &columns);
}

pub(super) fn table_as(builder: &mut Builder<'_>, create: &CreateTableAs) {
    if in_same_place(builder, &create.name) {
        if !create.if_not_exists {
            builder.refuse(format!("relation `{}` exists already", create.name));
        }
        return;
    }
    if create.is_execute {
        builder.depends("what is prepared under that name");
    }
    if create.with_no_data {
        query::look_at(builder, &create.query, &forms::CREATE_TABLE_AS);
    } else {
        query::run(builder, &create.query);
    }
}

pub(super) fn view(builder: &mut Builder<'_>, create: &CreateView) {
    let is_there = in_same_place(builder, &create.name);
    if create.is_materialized {
        if is_there {
            if !create.if_not_exists {
                builder.refuse(format!("relation `{}` exists already", create.name));
            }
            return;
        }
        if !create.with_no_data {
            return query::run(builder, &create.query);
        }
    } else if is_there && create.or_replace {
        let full = builder.full_name(&create.name);
        builder.take(&forms::REPLACE_VIEW, Whom::Named, &full);
    } else if is_there {
        builder.refuse(format!("relation `{}` exists already", create.name));
    }
    let mut query = create.query.clone();
    if create.is_recursive {
        // It reads itself.
        query.reads.retain(|table| table.name.name != create.name.name);
    }
    query::look_at(builder, &query, &forms::CREATE_VIEW);
}

pub(super) fn sequence(builder: &mut Builder<'_>, create: &CreateSequence) {
    if let Some(Some((table, _))) = &create.options.owned_by
        && let Found::Relation(relation) = builder.find(table)
    {
        builder.take(&forms::CREATE_SEQUENCE, Whom::Read, &relation.name);
    }
}

pub(super) fn function(builder: &mut Builder<'_>, create: &CreateFunction) {
    if create.language != "sql" {
        return;
    }
    for located in &create.body.statements {
        // Other statements are parsed, and looked at when the function is called.
        let Statement::Query(query) = &located.statement else { continue };
        query::look_through(builder, query, &forms::CREATE_FUNCTION);
        for write in &query.writes {
            if let Found::Relation(relation) = builder.find(&write.table.name) {
                builder.take(&rows::INSERT, Whom::Written, &relation.name);
            }
        }
    }
}

pub(super) fn trigger(builder: &mut Builder<'_>, create: &CreateTrigger) {
    let form = &forms::CREATE_TRIGGER;
    if create.or_replace {
        builder.needs(14, "CREATE OR REPLACE TRIGGER");
    }
    let Some(relation) = builder.relation(&create.table, form) else { return };
    builder.take(form, Whom::Named, &relation.name);
    if relation.kind == RelationKind::PartitionedTable && create.for_each_row {
        for partition in relations::partitions(builder.catalog, relation) {
            builder.take(form, Whom::Partitions, &partition.name);
        }
    }
    if let Some(from) = &create.from
        && let Found::Relation(from) = builder.find(from)
    {
        builder.take(form, Whom::Read, &from.name);
    }
}

pub(super) fn rule(builder: &mut Builder<'_>, create: &CreateRule) {
    let form = &forms::RULE_OR_POLICY;
    let Some(relation) = builder.relation(&create.table, form) else { return };
    builder.take(form, Whom::Named, &relation.name);
    for action in &create.actions {
        if let Statement::Query(query) = &action.statement {
            query::look_at(builder, query, form);
            for write in &query.writes {
                if let Found::Relation(written) = builder.find(&write.table.name) {
                    builder.take(&rows::INSERT, Whom::Written, &written.name);
                }
            }
        }
    }
}

pub(super) fn policy(builder: &mut Builder<'_>, create: &CreatePolicy) {
    let form = &forms::RULE_OR_POLICY;
    let Some(relation) = builder.relation(&create.table, form) else { return };
    builder.take(form, Whom::Named, &relation.name);
    conditions(builder, form, [create.using.as_ref(), create.with_check.as_ref()]);
}

/// Tables that the subqueries of a policy's conditions read.
pub(super) fn conditions(builder: &mut Builder<'_>, form: &Form, conditions: [Option<&Expression>; 2]) {
    for table in conditions.into_iter().flatten().flat_map(|condition| &condition.tables) {
        if let Found::Relation(relation) = builder.find(&table.name) {
            builder.take(form, Whom::Read, &relation.name);
        }
    }
}

pub(super) fn publication(builder: &mut Builder<'_>, create: &CreatePublication) {
    if !create.schemas.is_empty() {
        builder.needs(15, "FOR TABLES IN SCHEMA");
    }
    publication_tables(builder, &create.tables);
}

pub(super) fn publication_tables(builder: &mut Builder<'_>, tables: &[PublicationTable]) {
    let form = &forms::PUBLICATION_TABLES;
    for table in tables {
        if !table.columns.is_empty() || table.condition.is_some() {
            builder.needs(15, "columns and conditions of a publication");
        }
        let Some(relation) = builder.relation(&table.name, form) else { continue };
        builder.take(form, Whom::Named, &relation.name);
        if !table.is_only && relation.kind != RelationKind::PartitionedTable {
            for child in relations::descendants(builder.catalog, relation) {
                builder.take(form, Whom::Named, &child.name);
            }
        }
    }
}

pub(super) fn statistics(builder: &mut Builder<'_>, create: &CreateStatistics) {
    if !create.expressions.is_empty() {
        builder.needs(14, "CREATE STATISTICS over an expression");
    }
    if let Some(relation) = builder.relation(&create.table, &forms::STATISTICS) {
        builder.take(&forms::STATISTICS, Whom::Named, &relation.name);
    }
}

pub(super) fn other(builder: &mut Builder<'_>, create: &CreateOther) {
    if matches!(create.kind, ObjectKind::Database | ObjectKind::Tablespace | ObjectKind::Subscription) {
        builder.block(&forms::OUTSIDE);
    }
    alter_object::nothing(create.kind);
}
