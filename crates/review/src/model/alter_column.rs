//! ALTER TABLE ... DROP COLUMN and ALTER COLUMN ... TYPE, with all that hangs on the column.
//!
//! Not for: whether a type change rewrites (`type_change`).

use posthaste_base::catalog::Relation;

use super::alter::{Reach, Step, existing, is_inherited};
use super::builder::Builder;
use super::form::Whom;
use super::forms::alter_table as forms;
use super::type_change::{NewType, TypeWork, type_change};
use super::{WorkKind, constraint, relations};
use crate::statement::Alter;

pub(super) fn drop(
    builder: &mut Builder<'_>,
    alter: &Alter,
    relation: &Relation,
    column: &str,
    if_exists: bool,
    is_cascade: bool,
) -> Step {
    let form = &forms::DROP_COLUMN;
    let is_there = relation.columns.iter().any(|other| other.name == column);
    if !is_there && !relation.columns.is_empty() {
        if !if_exists {
            builder.refuse(format!("column `{column}` does not exist"));
        }
        return Step::of(form, Reach::Named);
    }
    if is_inherited(builder, relation, column) {
        builder.refuse(format!("column `{column}` is inherited"));
    }
    if relation.partition_key.as_ref().is_some_and(|key| key.columns.iter().any(|other| other == column)) {
        builder.refuse(format!("column `{column}` is part of the partition key"));
    }
    let views = relations::views(builder.catalog, relation, Some(column));
    if !views.is_empty() && !is_cascade {
        builder.refuse(format!("`{}` reads it", views[0].name.name));
    }
    let mut reached = vec![relation];
    if alter.is_only {
        for child in builder.catalog.children(&relation.name) {
            builder.take(form, Whom::Children, &child.name);
        }
    } else {
        reached.extend(relations::descendants(builder.catalog, relation));
    }
    for part in reached {
        drop_column_of(builder, part, column, is_cascade);
    }
    for view in views {
        builder.take(form, Whom::Dependents, &view.name);
        builder.take_indexes(form, Whom::Index, view);
    }
    Step::of(form, Reach::Family)
}

fn drop_column_of(builder: &mut Builder<'_>, relation: &Relation, column: &str, is_cascade: bool) {
    let form = &forms::DROP_COLUMN;
    for index in relation.indexes.iter().filter(|index| relations::index_uses(index, column)) {
        builder.take_index(form, Whom::Index, &index.name);
    }
    for constraint in relation.constraints.iter().filter(|c| c.columns.iter().any(|other| other == column)) {
        constraint::go_with(builder, form, relation, constraint, is_cascade);
    }
    for sequence in relations::sequences(builder.catalog, relation, Some(column)) {
        builder.take(form, Whom::Sequences, &sequence.name);
    }
}

pub(super) fn set_type(
    builder: &mut Builder<'_>,
    alter: &Alter,
    relation: &Relation,
    column: &str,
    new: NewType<'_>,
) -> Step {
    let form = &forms::SET_TYPE;
    let mut step = Step::of(form, Reach::Family);
    let Some(found) = relation.columns.iter().find(|other| other.name == column) else {
        existing(builder, relation, column);
        builder.depends(format!("the type of `{column}`"));
        step.raise(WorkKind::Rewrite);
        builder.work_on_table(&relation.name, WorkKind::Rewrite);
        return step;
    };
    refuse_type(builder, alter, relation, column);
    let family = relations::family(builder.catalog, relation);
    let is_other = family.is_empty();
    for part in family.into_iter().chain(is_other.then_some(relation)) {
        let Some(found) = part.columns.iter().find(|other| other.name == column) else { continue };
        let change = type_change(builder.catalog, part, found, new);
        if change.work > TypeWork::None && relations::has_rows(part) {
            let is_rewrite = change.work == TypeWork::Rewrite;
            builder.work_on_table(&part.name, if is_rewrite { WorkKind::Rewrite } else { WorkKind::Scan });
        }
        for name in &change.rebuilt {
            builder.take_index(form, Whom::Indexes, name);
            builder.work_on_index(name, WorkKind::Build);
        }
        for index in part.indexes.iter().filter(|index| relations::index_uses(index, column)) {
            builder.take_index(form, Whom::Index, &index.name);
        }
        keys_again(builder, part, column, change.work == TypeWork::Rewrite);
        for reason in change.depends_on {
            builder.depends(reason);
        }
    }
    for sequence in relations::sequences(builder.catalog, relation, Some(column)) {
        let is_identity = found.identity.is_some();
        let form = if is_identity { &forms::SET_TYPE_OF_IDENTITY } else { &forms::SET_TYPE_OF_SERIAL };
        builder.take(form, Whom::Sequences, &sequence.name);
    }
    step
}

/// What PostgreSQL does not let pass.
fn refuse_type(builder: &mut Builder<'_>, alter: &Alter, relation: &Relation, column: &str) {
    if is_inherited(builder, relation, column) {
        builder.refuse(format!("column `{column}` is inherited"));
    }
    let has_children = builder.catalog.children(&relation.name).next().is_some();
    if alter.is_only && has_children {
        builder.refuse("the type of an inherited column must be changed in the children too");
    }
    if relation.partition_key.as_ref().is_some_and(|key| key.columns.iter().any(|other| other == column)) {
        builder.refuse(format!("column `{column}` is part of the partition key"));
    }
    for dependent in relation.dependents.iter().filter(|d| d.columns.iter().any(|other| other == column)) {
        builder.refuse(format!("{} `{}` uses the column", dependent.kind, dependent.name.name));
    }
    let computes = relation.columns.iter().find(|other| {
        let expression = other.default.as_deref().filter(|_| other.generated.is_some());
        other.name != column && expression.is_some_and(|text| relations::mentions(text, column))
    });
    if let Some(other) = computes {
        builder.refuse(format!("generated column `{}` uses the column", other.name));
    }
}

/// Foreign keys with the column, on either side, are made again; after a rewrite they are checked again.
fn keys_again(builder: &mut Builder<'_>, relation: &Relation, column: &str, is_rewritten: bool) {
    let form = &forms::SET_TYPE;
    let again = &forms::ADD_FOREIGN_KEY;
    for key in relations::foreign_keys(relation).filter(|key| key.columns.iter().any(|c| c == column)) {
        let Some(reference) = &key.references else { continue };
        builder.take(form, Whom::Referenced, &reference.table);
        let Some(referenced) = relations::by_name(builder.catalog, &reference.table) else { continue };
        constraint::take_referenced_relation(builder, again, referenced, &reference.columns);
        if is_rewritten && key.is_validated && key.is_enforced {
            constraint::read_both_relations(builder, again, relation, referenced);
        }
    }
    let referencing: Vec<_> = relations::referencing(builder.catalog, relation).collect();
    for (other, key) in referencing {
        let Some(reference) = &key.references else { continue };
        if !reference.columns.iter().any(|c| c == column) {
            continue;
        }
        builder.take(form, Whom::Referencing, &other.name);
        constraint::take_referenced_relation(builder, again, relation, &reference.columns);
        if is_rewritten && key.is_validated && key.is_enforced {
            builder.work_on_table(&other.name, WorkKind::Scan);
            constraint::read_both_relations(builder, again, other, relation);
        }
    }
}
