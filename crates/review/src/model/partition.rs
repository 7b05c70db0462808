//! Partitions: made, attached, detached; and inheritance that is begun or ended.
//!
//! Not for: what reaches partitions through their parent.

use posthaste_base::catalog::{Constraint, Index, Relation, RelationKind};

use super::alter::{Reach, Step};
use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::partitions as forms;
use super::proof::{Facts, Proof};
use super::syntax::{self, Bound};
use super::{WorkKind, constraint, relations};
use crate::statement::{Expression, ObjectName, PartitionBound, Shape};

pub(super) fn attach(
    builder: &mut Builder<'_>,
    parent: &Relation,
    partition: &ObjectName,
    bound: &PartitionBound,
) -> Step {
    let form = &forms::ATTACH;
    builder.take_indexes(form, Whom::ParentIndexes, parent);
    for above in relations::ancestors(builder.catalog, parent) {
        builder.take(form, Whom::Parent, &above.name);
    }
    let step = Step::of(form, Reach::Named);
    let bound = read(bound);
    let Some(partition) = other_table(builder, partition, form, Whom::Partition) else {
        return step;
    };
    beside_default(builder, form, parent, &bound);
    let has_keys = keys_of_parent(builder, form, parent, Some(partition));
    let has_index = |index: &Index| partition.indexes.iter().any(|own| fits(own, index));
    let builds = !parent.indexes.iter().all(has_index);
    for part in relations::family(builder.catalog, partition) {
        builder.take(form, Whom::Partition, &part.name);
        if !relations::has_rows(part) {
            continue;
        }
        if builds {
            builder.work_on_table(&part.name, WorkKind::Scan);
        }
        if !is_proven(builder, parent, part, &bound) {
            builder.work_on_table(&part.name, WorkKind::Scan);
        }
        if has_keys {
            check_keys(builder, parent, part);
        }
    }
    step
}

/// Every bound above the partition has to be proven too.
fn is_proven(builder: &mut Builder<'_>, parent: &Relation, part: &Relation, bound: &Bound) -> bool {
    let facts = Facts::of(part, &[]);
    let mut proofs = Vec::new();
    match bound {
        Bound::Default => {
            let key = key_of(parent);
            for sibling in builder.catalog.children(&parent.name) {
                let Some(taken) = sibling.partition.as_ref().and_then(|p| syntax::bound(&p.bound)) else {
                    continue;
                };
                proofs.push(facts.prove_outside(&key, &taken));
            }
        }
        bound => proofs.push(facts.prove_within(&key_of(parent), bound)),
    }
    let mut above = parent;
    while let Some(partition) = &above.partition {
        let Some(next) = relations::by_name(builder.catalog, &partition.parent) else { break };
        let proof = match syntax::bound(&partition.bound) {
            Some(Bound::Default) | None => Proof::Unclear,
            Some(bound) => facts.prove_within(&key_of(next), &bound),
        };
        proofs.push(proof);
        above = next;
    }
    if proofs.contains(&Proof::Unclear) && !proofs.contains(&Proof::Not) {
        builder.depends(format!("whether the checks of `{}` prove the bounds", part.name.name));
    }
    proofs.iter().all(|proof| *proof == Proof::Proven)
}

fn key_of(parent: &Relation) -> Vec<String> {
    parent.partition_key.as_ref().map(|key| key.columns.clone()).unwrap_or_default()
}

/// The default partition is locked, and read unless a check proves that it has none of the rows.
fn beside_default(builder: &mut Builder<'_>, form: &Form, parent: &Relation, bound: &Bound) {
    let Some(default) = relations::default_partition(builder.catalog, parent) else { return };
    for part in relations::family(builder.catalog, default) {
        builder.take(form, Whom::Default, &part.name);
        if !relations::has_rows(part) {
            continue;
        }
        match Facts::of(part, &[]).prove_outside(&key_of(parent), bound) {
            Proof::Proven => {}
            Proof::Not => builder.work_on_table(&part.name, WorkKind::Scan),
            Proof::Unclear => {
                builder.work_on_table(&part.name, WorkKind::Scan);
                builder.depends(format!(
                    "whether the checks of `{}` prove that it has no such rows",
                    part.name.name
                ));
            }
        }
    }
}

/// Foreign keys of the parent, and those that refer to it, are made for the partition too; one that the `partition` has
/// already is taken over.
fn keys_of_parent(
    builder: &mut Builder<'_>,
    form: &Form,
    parent: &Relation,
    partition: Option<&Relation>,
) -> bool {
    let mut has_keys = false;
    for key in relations::foreign_keys(parent) {
        let Some(reference) = &key.references else { continue };
        has_keys = true;
        let own = partition.and_then(|partition| same_key(partition, key));
        // Before 18, one that is not validated is left beside a new one.
        if own.is_some_and(|own| own.is_validated || builder.version >= 18) {
            builder.take(&forms::ATTACH_TAKES_KEYS, Whom::Referenced, &reference.table);
        }
        if own.is_some_and(|own| own.is_validated) {
            builder.take(form, Whom::Referenced, &reference.table);
        } else if let Some(referenced) = relations::by_name(builder.catalog, &reference.table) {
            constraint::take_referenced_relation(builder, form, referenced, &reference.columns);
        }
    }
    for (other, _) in relations::referencing(builder.catalog, parent).collect::<Vec<_>>() {
        builder.take(form, Whom::Referencing, &other.name);
    }
    has_keys
}

/// The rows of a partition that is attached are checked against the parent's foreign keys.
fn check_keys(builder: &mut Builder<'_>, parent: &Relation, part: &Relation) {
    let form = &forms::ATTACH_CHECKS_KEYS;
    for key in relations::foreign_keys(parent) {
        let Some(reference) = &key.references else { continue };
        // Once it is validated, it is taken over unread.
        if same_key(part, key).is_some_and(|own| own.is_validated) {
            continue;
        }
        if let Some(referenced) = relations::by_name(builder.catalog, &reference.table) {
            builder.work_on_table(&part.name, WorkKind::Scan);
            constraint::read_both_relations(builder, form, part, referenced);
        }
    }
}

/// The foreign key of a table that says the same as one of another table; a validated one, if there are several.
fn same_key<'a>(table: &'a Relation, key: &Constraint) -> Option<&'a Constraint> {
    let said = |key: &Constraint| key.definition.trim_end_matches(" NOT VALID").to_owned();
    relations::foreign_keys(table).filter(|own| said(own) == said(key)).max_by_key(|own| own.is_validated)
}

/// Whether an index of a partition can be attached to that of the parent.
fn fits(own: &Index, parents: &Index) -> bool {
    own.parent.is_none()
        && own.is_valid
        && own.method == parents.method
        && own.is_unique == parents.is_unique
        && own.keys == parents.keys
        && own.include == parents.include
        && own.predicate == parents.predicate
        && (parents.constraint.is_none() || own.constraint.is_some())
}

/// CREATE TABLE ... PARTITION OF.
pub(super) fn create(builder: &mut Builder<'_>, parent: &ObjectName, bound: Option<&PartitionBound>) {
    let form = &forms::CREATE_PARTITION;
    let Some(parent) = other_table(builder, parent, form, Whom::Parent) else { return };
    if parent.kind != RelationKind::PartitionedTable {
        builder.refuse(format!("`{}` is not partitioned", parent.name.name));
        return;
    }
    builder.take_indexes(form, Whom::ParentIndexes, parent);
    if let Some(bound) = bound {
        beside_default(builder, form, parent, &read(bound));
    }
    keys_of_parent(builder, form, parent, None);
}

/// Another table that a statement names: locked as the form says, when it is there.
fn other_table<'a>(
    builder: &mut Builder<'a>,
    name: &ObjectName,
    form: &Form,
    whom: Whom,
) -> Option<&'a Relation> {
    match builder.find(name) {
        Found::Relation(relation) => {
            builder.take(form, whom, &relation.name);
            Some(relation)
        }
        Found::Unknown(full) => {
            builder.take(form, whom, &full);
            builder.depends(format!("what `{name}` is, which no catalog tells"));
            None
        }
        _ => {
            builder.refuse(format!("relation `{name}` does not exist"));
            None
        }
    }
}

pub(super) fn detach(
    builder: &mut Builder<'_>,
    parent: &Relation,
    partition: &ObjectName,
    is_concurrent: bool,
    is_finalize: bool,
) -> Step {
    let form: &'static Form = match (is_concurrent, is_finalize) {
        (true, _) => &forms::DETACH_CONCURRENTLY,
        (_, true) => &forms::DETACH_FINALIZE,
        _ => &forms::DETACH,
    };
    let step = Step::of(form, Reach::Named);
    let default = relations::default_partition(builder.catalog, parent);
    if is_concurrent && default.is_some() {
        builder.refuse("partitions cannot be detached concurrently when there is a default partition");
    }
    let Some(partition) = other_table(builder, partition, form, Whom::Partition) else {
        return step;
    };
    for index in partition.indexes.iter().filter(|index| index.parent.is_some()) {
        builder.take_index(form, Whom::Index, &index.name);
    }
    if let Some(default) = default {
        builder.take(form, Whom::Default, &default.name);
    }
    for key in relations::foreign_keys(parent) {
        if let Some(reference) = &key.references {
            builder.take(form, Whom::Referenced, &reference.table);
        }
    }
    for (other, _) in relations::referencing(builder.catalog, parent).collect::<Vec<_>>() {
        builder.take(&forms::DETACH_REFERENCED, Whom::Partition, &partition.name);
        builder.take(form, Whom::Referencing, &other.name);
        builder.take_indexes(form, Whom::OtherIndexes, other);
        builder.work_on_table(&other.name, WorkKind::Query);
    }
    step
}

pub(super) fn inherit(builder: &mut Builder<'_>, parent: &ObjectName) -> Step {
    other_table(builder, parent, &forms::INHERIT, Whom::Parent);
    Step::of(&forms::INHERIT, Reach::Named)
}

pub(super) fn no_inherit(builder: &mut Builder<'_>, parent: &ObjectName) -> Step {
    other_table(builder, parent, &forms::NO_INHERIT, Whom::Parent);
    Step::of(&forms::NO_INHERIT, Reach::Named)
}

/// CREATE TABLE ... INHERITS.
pub(super) fn create_inherits(builder: &mut Builder<'_>, parents: &[ObjectName]) {
    for parent in parents {
        other_table(builder, parent, &forms::CREATE_INHERITS, Whom::Parent);
    }
}

/// The bound of a statement, in the form of the catalog's.
fn read(bound: &PartitionBound) -> Bound {
    let values = |expressions: &[Expression]| expressions.iter().map(value).collect();
    match bound {
        PartitionBound::List { values: list, .. } => Bound::List(values(list)),
        PartitionBound::Range { from, to, .. } => Bound::Range { from: values(from), to: values(to) },
        PartitionBound::Hash { .. } => Bound::Hash,
        PartitionBound::Default { .. } => Bound::Default,
    }
}

fn value(expression: &Expression) -> String {
    match &expression.shape {
        Shape::Null => "NULL".to_owned(),
        Shape::String(text) => format!("'{text}'"),
        Shape::Literal(text) => text.clone(),
        _ => expression.text.trim().to_uppercase(),
    }
}
