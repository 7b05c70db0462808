//! Partitions: attached over checks that prove their bounds, so that nothing is scanned under a strong lock.

use posthaste_base::catalog::{ConstraintKind, Index, Relation};
use posthaste_base::quote::identifier;

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::{World, default_name};
use super::{Clause, NoRoute, constraint};
use crate::statement::{Expression, ObjectName, PartitionBound, Shape};

/// ATTACH PARTITION of a table that holds rows.
pub(super) fn attach(
    draft: &mut Draft,
    world: &World<'_>,
    clause: &Clause<'_>,
    partition: &ObjectName,
    bound: &PartitionBound,
) -> Result<(), NoRoute> {
    let Some(parent) = world.relation(&clause.alter.name) else {
        return Err(NoRoute::of_nothing("the partitioned table is not in the catalog"));
    };
    let default = world
        .catalog
        .children(&parent.name)
        .find(|child| child.partition.as_ref().is_some_and(|partition| partition.is_default));
    let proof =
        world.filled(partition).map(|table| proof(parent, bound).map(|proof| (table, proof))).transpose()?;
    let Some((table, proof)) = proof else {
        draft.transaction(Stage::Expand, clause.title(), vec![clause.statement()], Undo::Impossible);
        return Ok(());
    };
    let (check, declare) = prove(draft, table, "partition", &proof.all);
    let mut drops = vec![constraint::drop_constraint(&table.name.quoted(), &check)];
    let mut declares = vec![declare];
    if let Some(default) = default.filter(|default| default.size.rows != Some(0)) {
        // The default partition must be known to hold none of the rows that now belong elsewhere.
        let (name, declare) = prove(draft, default, "not_in_new", &proof.none);
        declares.push(declare);
        drops.push(constraint::drop_constraint(&default.name.quoted(), &name));
    }
    complete(draft, parent, table);
    let undo = template!("detach_at_once")
        .with(&[("table", &parent.name.quoted()), ("partition", &table.name.quoted())]);
    draft.transaction(
        Stage::Switch,
        format!("make {} a partition of {}", table.name.name, parent.name.name),
        vec![clause.statement()],
        Undo::By(vec![undo]),
    );
    draft.transaction(
        Stage::Contract,
        format!("take the checks away that proved the bounds of {}", table.name.name),
        drops,
        Undo::By(declares),
    );
    Ok(())
}

/// What ATTACH would build or check under its locks, because the parent has it and the partition has not.
fn complete(draft: &mut Draft, parent: &Relation, table: &Relation) {
    for wanted in &parent.indexes {
        let is_like = |index: &&Index| {
            index.is_valid
                && index.keys == wanted.keys
                && index.is_unique == wanted.is_unique
                && index.include == wanted.include
                && index.predicate == wanted.predicate
                && index.is_primary == wanted.is_primary
        };
        if table.indexes.iter().find(is_like).is_none() {
            constraint::index_like(draft, table, wanted);
        }
    }
    for wanted in parent.constraints.iter().filter(|wanted| wanted.kind == ConstraintKind::ForeignKey) {
        if !table.constraints.iter().any(|known| known.definition == wanted.definition) {
            constraint::declare_and_validate(draft, table, &wanted.name, &wanted.definition);
        }
    }
}

/// The check's name, and the statement that declares it.
fn prove(draft: &mut Draft, table: &Relation, end: &str, condition: &str) -> (String, String) {
    let quoted = table.name.quoted();
    let name = default_name(&table.name.name, "", end);
    let add = template!("add_check").with(&[
        ("table", &quoted),
        ("constraint", &identifier(&name)),
        ("expression", condition),
    ]);
    draft.transaction(
        Stage::Validate,
        format!("declare {name} on {}, for new rows", table.name.name),
        vec![add.clone()],
        Undo::By(vec![constraint::drop_constraint(&quoted, &name)]),
    );
    constraint::validate(draft, &table.name, &name);
    (name, add)
}

/// What PostgreSQL wants to see proven.
struct Proof {
    /// Of every row of the new partition.
    all: String,
    /// Of every row of the default partition.
    none: String,
}

/// For the bounds that can be said in a simple check.
fn proof(parent: &Relation, bound: &PartitionBound) -> Result<Proof, NoRoute> {
    let no = |why: &str| Err(NoRoute::new(why, parent));
    let key = parent.partition_key.as_ref().map(|key| key.columns.as_slice());
    let Some([column]) = key else {
        return no(
            "the bounds of a key of several columns or of an expression are not proven by a simple check",
        );
    };
    if column.is_empty() {
        return no("the bounds of an expression are not proven by a simple check");
    }
    let column = identifier(column);
    match bound {
        PartitionBound::Range { from, to, .. } => {
            let part = |values: &[Expression], joined: &str, open: &str| match values {
                [value] if is_word(value, open) => String::new(),
                [value] => format!(" {joined} {}", value.text),
                _ => String::new(),
            };
            let (from_all, to_all) = (format!("and {column} >="), format!("and {column} <"));
            let (from_none, to_none) = (format!("or {column} <"), format!("or {column} >="));
            let all = template!("range_check").with(&[
                ("column", &column),
                ("from", &part(from, &from_all, "minvalue")),
                ("to", &part(to, &to_all, "maxvalue")),
            ]);
            let none = template!("range_check_not").with(&[
                ("column", &column),
                ("below", &part(from, &from_none, "minvalue")),
                ("above", &part(to, &to_none, "maxvalue")),
            ]);
            Ok(Proof { all, none })
        }
        PartitionBound::List { values, .. } if !values.iter().any(Expression::is_null) => {
            let values: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
            let values = values.join(", ");
            let with = [("column", column.as_str()), ("values", values.as_str())];
            Ok(Proof {
                all: template!("list_check").with(&with),
                none: template!("list_check_not").with(&with),
            })
        }
        PartitionBound::List { .. } => no("bounds that take NULL are not proven by a simple check"),
        PartitionBound::Hash { .. } => no("the bounds of a hash are not proven by a simple check"),
        PartitionBound::Default { .. } => no("a default partition has no bounds to prove"),
    }
}

fn is_word(value: &Expression, word: &str) -> bool {
    matches!(&value.shape, Shape::Column(used) if used.column == word)
}

/// DETACH PARTITION: concurrently, where the server can.
pub(super) fn detach(draft: &mut Draft, world: &World<'_>, clause: &Clause<'_>, partition: &ObjectName) {
    let parent = world.relation(&clause.alter.name);
    let has_default = parent.is_some_and(|parent| {
        world
            .catalog
            .children(&parent.name)
            .any(|child| child.partition.as_ref().is_some_and(|p| p.is_default))
    });
    let title = format!("make {partition} a table of its own");
    let undo = parent.and_then(|parent| {
        let bound = &world.relation(partition)?.partition.as_ref()?.bound;
        Some(vec![template!("attach_partition").with(&[
            ("table", &parent.name.quoted()),
            ("partition", &world.name(partition).quoted()),
            ("bound", bound),
        ])])
    });
    let undo = undo.map_or(Undo::Impossible, Undo::By);
    if world.version >= 14 && !has_default {
        let table = world.name(&clause.alter.name).quoted();
        let statement =
            template!("detach").with(&[("table", &table), ("partition", &world.name(partition).quoted())]);
        draft.alone(Stage::Contract, title, statement, None, undo);
    } else {
        draft.transaction(Stage::Contract, title, vec![clause.statement()], undo);
    }
}
