//! Partitions: attached over checks that prove their bounds, so that nothing is scanned under a strong lock.

use posthaste_base::catalog::{ConstraintKind, Index, Relation, RelationKind};
use posthaste_base::quote::identifier;

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::{World, default_name, index_definition};
use super::{Clause, NoRoute, as_it_is, constraint, index};
use crate::statement::{
    Action, CreateTable, Expression, Located, ObjectName, PartitionBound, Persistence, Shape, Statement,
};

/// CREATE TABLE; one that is a partition beside a default partition with rows is made alone, and attached.
pub(super) fn create(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    create: &CreateTable,
) -> Result<(), NoRoute> {
    let parent = create.partition_of.as_ref().and_then(|parent| world.filled(parent));
    let (Some(parent), Some(bound)) = (parent, &create.bound) else { return as_it_is(draft, world, located) };
    let Some(default) = filled_default(world, parent) else { return as_it_is(draft, world, located) };
    if create.if_not_exists && world.relation(&create.name).is_some() {
        return as_it_is(draft, world, located);
    }
    let none = proof(parent, bound)?.none;
    world.makes(&create.name);
    let table = world.name(&create.name);
    let (quoted, of) = (table.quoted(), parent.name.quoted());
    let bound = world.cut(bound.span());
    let is_plain = create.columns.is_empty()
        && create.constraints.is_empty()
        && create.partition_by.is_none()
        && create.persistence == Persistence::Permanent
        && create.server.is_none()
        && create.options.is_empty()
        && create.tablespace.is_none()
        && create.access_method.is_none();
    let drop = template!("drop_table").with(&[("table", &quoted)]);
    let compression = if world.version >= 14 { " including compression" } else { "" };
    if is_plain {
        draft.transaction(
            Stage::Expand,
            format!("make {} like {}, and no partition of it yet", table.name, parent.name.name),
            vec![template!("table_like").with(&[("table", &quoted), ("of", &of), ("more", compression)])],
            Undo::By(vec![drop.clone()]),
        );
    }
    let (check, declare) = prove_none(draft, default, &none);
    let title = format!("make {} a partition of {}", table.name, parent.name.name);
    if !is_plain {
        world.makes_late(&table.name);
    }
    let with = [("table", of.as_str()), ("partition", &quoted), ("bound", bound)];
    if is_plain {
        let undo = Undo::By(vec![template!("detach_at_once").with(&with)]);
        draft.transaction(Stage::Switch, title, vec![template!("attach_partition").with(&with)], undo);
    } else {
        draft.transaction(Stage::Switch, title, vec![super::located_text(located)], Undo::By(vec![drop]));
    }
    draft.transaction(
        Stage::Contract,
        format!("take the check away that proved that {} has no row of {}", default.name.name, table.name),
        vec![constraint::drop_constraint(&default.name.quoted(), &check)],
        Undo::By(vec![declare]),
    );
    Ok(())
}

/// ATTACH PARTITION of a table that holds rows.
pub(super) fn attach(
    draft: &mut Draft,
    world: &World<'_>,
    clause: &Clause<'_>,
    partition: &ObjectName,
    bound: &PartitionBound,
) -> Result<(), NoRoute> {
    let parent = world.filled(&clause.alter.name);
    let default = parent.and_then(|parent| filled_default(world, parent));
    let Some(table) = world.filled(partition) else {
        // Nobody's rows are read in the partition itself.
        return match (parent, default) {
            (Some(parent), Some(default)) => {
                let none = proof(parent, bound)?.none;
                let (check, declare) = prove_none(draft, default, &none);
                switch(draft, clause, parent.name.quoted(), world.name(partition).quoted());
                let drop = constraint::drop_constraint(&default.name.quoted(), &check);
                let title =
                    format!("take the check away that {} has no row of {partition}", default.name.name);
                draft.transaction(Stage::Contract, title, vec![drop], Undo::By(vec![declare]));
                Ok(())
            }
            _ => {
                let undo = Undo::Impossible;
                let stage = super::stage_of(draft, world, &clause.statement());
                draft.transaction(stage, clause.title(), vec![clause.statement()], undo);
                Ok(())
            }
        };
    };
    let Some(parent) = world.relation(&clause.alter.name) else {
        return Err(NoRoute::new("the partitioned table is not in the catalog"));
    };
    let here = proof(parent, bound)?;
    let mut all = vec![here.all];
    all.extend(above(world, parent)?);
    let (check, declare) = prove(draft, table, "partition", &all.join(" and "));
    let mut drops = vec![constraint::drop_constraint(&table.name.quoted(), &check)];
    let mut declares = vec![declare];
    if let Some(default) = default {
        let (name, declare) = prove_none(draft, default, &here.none);
        declares.push(declare);
        drops.push(constraint::drop_constraint(&default.name.quoted(), &name));
    }
    complete(draft, world, parent, table)?;
    switch(draft, clause, parent.name.quoted(), table.name.quoted());
    draft.transaction(
        Stage::Contract,
        format!("take the checks away that proved the bounds of {}", table.name.name),
        drops,
        Undo::By(declares),
    );
    Ok(())
}

fn switch(draft: &mut Draft, clause: &Clause<'_>, parent: String, partition: String) {
    let undo = template!("detach_at_once").with(&[("table", &parent), ("partition", &partition)]);
    let title = format!("make {partition} a partition of {parent}");
    draft.transaction(Stage::Switch, title, vec![clause.statement()], Undo::By(vec![undo]));
}

/// The default partition beside a new one, where it may hold rows.
fn filled_default<'a>(world: &World<'a>, parent: &'a Relation) -> Option<&'a Relation> {
    let mut children = world.catalog.children(&parent.name);
    let default = children.find(|child| child.partition.as_ref().is_some_and(|of| of.is_default))?;
    (!world.is_empty(default)).then_some(default)
}

/// What the bounds of the partitions above say of every row.
fn above(world: &World<'_>, parent: &Relation) -> Result<Vec<String>, NoRoute> {
    let mut all = Vec::new();
    let mut part = parent;
    while let Some(of) = &part.partition {
        let Some(next) = world.catalog.relation(Some(&of.parent.schema), &of.parent.name) else { break };
        let attach = template!("attach_partition").with(&[
            ("table", &next.name.quoted()),
            ("partition", &part.name.quoted()),
            ("bound", &of.bound),
        ]);
        let script = crate::parse(&attach);
        let bound = script.statements.first().and_then(|located| match &located.statement {
            Statement::Alter(alter) => alter.clauses.first(),
            _ => None,
        });
        let Some(Action::AttachPartition { bound, .. }) = bound.map(|clause| &clause.action) else {
            return Err(NoRoute::new(format!("the bounds of {} are not understood", part.name.name)));
        };
        all.push(proof(next, bound)?.all);
        part = next;
    }
    Ok(all)
}

/// What ATTACH would build or check under its locks, because the parent has it and the partition has not.
fn complete(
    draft: &mut Draft,
    world: &World<'_>,
    parent: &Relation,
    table: &Relation,
) -> Result<(), NoRoute> {
    let is_partitioned = table.kind == RelationKind::PartitionedTable;
    for wanted in &parent.indexes {
        let is_like = |index: &&Index| {
            index.is_valid
                && index.keys == wanted.keys
                && index.is_unique == wanted.is_unique
                && index.include == wanted.include
                && index.predicate == wanted.predicate
                && index.is_primary == wanted.is_primary
        };
        match (table.indexes.iter().find(is_like), is_partitioned) {
            (Some(_), _) => {}
            (None, false) => constraint::index_like(draft, table, wanted),
            (None, true) if wanted.constraint.is_none() => {
                index::on_parts_like(draft, world, table, wanted, &index_definition(wanted))?;
            }
            (None, true) => {
                return Err(NoRoute::new(format!(
                    "{} is partitioned and lacks the key {}; give each of its partitions the key, over an index that \
                     was built concurrently, and then to {} itself, in a migration before this one",
                    table.name.name, wanted.name.name, table.name.name
                )));
            }
        }
    }
    for wanted in parent.constraints.iter().filter(|wanted| wanted.kind == ConstraintKind::ForeignKey) {
        if table.constraints.iter().any(|known| known.definition == wanted.definition) {
            continue;
        }
        if is_partitioned && world.version < 18 {
            return Err(NoRoute::new(format!(
                "{} is partitioned, and its foreign key {} cannot be NOT VALID before PostgreSQL 18",
                table.name.name, wanted.name
            )));
        }
        constraint::declare_and_validate(draft, table, &wanted.name, &wanted.definition);
    }
    Ok(())
}

/// The default partition must be known to hold none of the rows that now belong elsewhere.
fn prove_none(draft: &mut Draft, default: &Relation, none: &str) -> (String, String) {
    let name = &default.name.name;
    draft.note(format!(
        "From the check on {name} until the new partition is there, a row that belongs to the new one is refused: no \
         partition takes it. Where {name} holds such rows already, VALIDATE fails and nothing is changed; PostgreSQL has \
         no way to move them while all goes on. Move them in one transaction that locks {name}, takes them out and puts \
         them in after ATTACH, at a time when nobody needs them."
    ));
    prove(draft, default, "not_in_new", none)
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
    let no = |why: &str| Err(NoRoute::new(why));
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
