//! ALTER, COMMENT and GRANT of what is no table: sequences, triggers, rules, policies, publications and the rest.
//!
//! Not for: types and domains (`domain`).

use posthaste_base::catalog::{Name, Relation};

use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::objects as forms;
use super::{create, relations};
use crate::statement::{Action, Alter, Comment, Grant, ObjectKind, ObjectName};

pub(super) fn apply(builder: &mut Builder<'_>, alter: &Alter) {
    match alter.kind {
        ObjectKind::Trigger => {
            let Some(table) = &alter.on else { return };
            let form = &forms::DROP_TRIGGER;
            let Some(relation) = builder.relation(table, form) else { return };
            builder.take(form, Whom::Named, &relation.name);
            take_trigger_partitions(builder, form, relation, Some(&alter.name.name));
        }
        ObjectKind::Rule | ObjectKind::Policy => {
            let Some(table) = &alter.on else { return };
            let form = &forms::RULE_OR_POLICY;
            let Some(relation) = builder.relation(table, form) else { return };
            builder.take(form, Whom::Named, &relation.name);
            for clause in &alter.clauses {
                if let Action::Policy { using, with_check, .. } = &clause.action {
                    create::conditions(builder, form, [using.as_ref(), with_check.as_ref()]);
                }
            }
        }
        ObjectKind::Publication => publication(builder, alter),
        ObjectKind::Statistics => {
            if alter.clauses.iter().any(|clause| matches!(clause.action, Action::SetStatistics { .. })) {
                builder.needs(13, "ALTER STATISTICS SET STATISTICS");
            }
        }
        ObjectKind::System => builder.block(&forms::OUTSIDE),
        kind => nothing(kind),
    }
}

/// What locks no relation.
pub(super) fn nothing(_: ObjectKind) {}

/// Partitions that have the trigger too: those of triggers for each row.
pub(super) fn take_trigger_partitions(
    builder: &mut Builder<'_>,
    form: &Form,
    relation: &Relation,
    name: Option<&str>,
) {
    for partition in relations::partitions(builder.catalog, relation) {
        // Before 15 those that came from the parent are marked as internal.
        let mut own = partition.triggers.iter();
        if own.any(|trigger| name.map_or(!trigger.is_internal, |name| trigger.name == name)) {
            builder.take(form, Whom::Partitions, &partition.name);
        }
    }
}

fn publication(builder: &mut Builder<'_>, alter: &Alter) {
    let catalog = builder.catalog;
    let publication = catalog.publications.iter().find(|p| p.name == alter.name.name);
    for clause in &alter.clauses {
        match &clause.action {
            Action::PublicationAdd { tables, .. } | Action::PublicationDrop { tables, .. } => {
                create::publication_tables(builder, tables);
            }
            Action::PublicationSet { tables, .. } => {
                create::publication_tables(builder, tables);
                // Those that were in it, too: they go, or are compared.
                for table in publication.into_iter().flat_map(|publication| &publication.tables) {
                    builder.take(&forms::PUBLICATION_TABLES, Whom::Named, table);
                }
                if publication.is_none() {
                    builder.depends("which tables were in the publication");
                }
            }
            _ => {}
        }
    }
}

/// ALTER SEQUENCE, also written as ALTER TABLE.
pub(super) fn sequence(builder: &mut Builder<'_>, alter: &Alter, name: &Name) {
    for clause in &alter.clauses {
        match &clause.action {
            Action::Sequence(options) => {
                if options.persistence.is_some() {
                    builder.needs(15, "SET LOGGED or UNLOGGED of a sequence");
                    builder.take(&forms::MOVE_SEQUENCE, Whom::Named, name);
                    continue;
                }
                builder.take(&forms::ALTER_SEQUENCE, Whom::Named, name);
                if let Some(Some((table, _))) = &options.owned_by
                    && let Found::Relation(relation) = builder.find(table)
                {
                    builder.take(&forms::ALTER_SEQUENCE, Whom::Read, &relation.name);
                }
            }
            action => {
                if matches!(action, Action::SetLogged | Action::SetUnlogged) {
                    builder.needs(15, "SET LOGGED or UNLOGGED of a sequence");
                }
                builder.take(&forms::MOVE_SEQUENCE, Whom::Named, name);
            }
        }
    }
}

pub(super) fn comment(builder: &mut Builder<'_>, comment: &Comment) {
    let (name, form) = match comment.kind {
        ObjectKind::Constraint | ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy => {
            let Some(on) = &comment.on else { return };
            (on, &forms::COMMENT_ON_PART)
        }
        ObjectKind::Table
        | ObjectKind::ForeignTable
        | ObjectKind::Column
        | ObjectKind::Index
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Sequence => (&comment.name, &forms::COMMENT),
        _ => return,
    };
    named(builder, name, form);
}

fn named(builder: &mut Builder<'_>, name: &ObjectName, form: &Form) {
    match builder.find(name) {
        Found::Relation(relation) => builder.take(form, Whom::Named, &relation.name),
        Found::Index(_, index) => builder.take_index(form, Whom::Named, &index.name),
        Found::Sequence(sequence) => {
            let sequence = sequence.clone();
            builder.take(form, Whom::Named, &sequence);
        }
        Found::Unknown(full) => builder.lock_unknown(&full, form),
        Found::Nothing => builder.refuse(format!("relation `{name}` does not exist")),
    }
}

pub(super) fn grant(builder: &mut Builder<'_>, grant: &Grant) {
    let on_relations = matches!(grant.kind, Some(ObjectKind::Table | ObjectKind::Sequence));
    if grant.is_default || !on_relations {
        return;
    }
    for object in &grant.objects {
        named(builder, object, &forms::GRANT);
    }
}

/// The catalog knows the statistics of a table by their names alone.
pub(super) fn drop_statistics(builder: &mut Builder<'_>, name: &ObjectName) {
    let catalog = builder.catalog;
    let relation = catalog.relations.iter().find(|relation| relation.statistics.contains(&name.name));
    match relation {
        Some(relation) => builder.take(&forms::STATISTICS, Whom::Named, &relation.name),
        None => builder.depends(format!("which table the statistics `{name}` are of")),
    }
}
