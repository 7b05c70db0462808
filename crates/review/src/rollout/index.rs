//! Indexes: built, and taken away, while reads and writes go on.

use posthaste_base::catalog::{Index, Name, Relation, RelationKind};
use posthaste_base::quote::identifier;

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::{World, default_name, index_definition};
use super::{NoRoute, located_text};
use crate::statement::{CreateIndex, Drop, Located, ObjectKind, Reindex, ReindexKind, Statement};

pub(super) fn create(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    create: &CreateIndex,
) -> Result<(), NoRoute> {
    let table = world.name(&create.table);
    let name = match &create.name {
        Some(name) => name.name.clone(),
        None => default_name(&table.name, &key_names(create), "idx"),
    };
    let index = Name::new(&table.schema, &name);
    let there = world.catalog.index(Some(&table.schema), &name);
    let is_dropped = there.is_some() && is_dropped_before(world, located.number, &index);
    if create.if_not_exists && there.is_some() && !is_dropped {
        draft.note(format!("The index {name} is there already, so that IF NOT EXISTS leaves it as it is."));
        return Ok(());
    }
    let replaced = there.filter(|(_, old)| is_dropped && is_plain(old));
    let relation = world.filled(&create.table);
    if is_dropped
        && (replaced.is_none() || relation.is_none_or(|one| one.kind == RelationKind::PartitionedTable))
    {
        return Err(NoRoute::at_all(format!(
            "the index {name} is dropped last, and is there until then; drop it in a migration before this one, or give \
             the new one another name"
        )));
    }
    let Some(relation) = relation else {
        draft.transaction(
            super::stage_of(draft, world, &located.text),
            format!("index {name} of a new table"),
            vec![located_text(located)],
            Undo::By(vec![drop_index(&index)]),
        );
        return Ok(());
    };
    let unique = if create.is_unique { "unique " } else { "" };
    let definition = after_table(world, located, create);
    if relation.kind == RelationKind::PartitionedTable && !create.is_only {
        let keys = key_names(create);
        let mut names = |child: &Relation, _: &Name| usual_name(world, child, &keys);
        let like = Like { unique, definition };
        return on_partitions(draft, world, relation, [&index, &index], like, &mut names);
    }
    if relation.kind == RelationKind::PartitionedTable {
        // ONLY the parent: it reads no row.
        let title = format!("declare index {name} on {} alone", table.name);
        let undo = template!("drop_partitioned_index").with(&[("index", &index.quoted())]);
        draft.transaction(Stage::Validate, title, vec![located_text(located)], Undo::By(vec![undo]));
        return Ok(());
    }
    match replaced {
        Some((on, old)) => replace(draft, world, on, old, &|draft, new| {
            build(draft, Stage::Validate, unique, new, &table, definition);
        }),
        None => build(draft, Stage::Validate, unique, &index, &table, definition),
    }
    Ok(())
}

/// Whether the file drops that index before the statement.
fn is_dropped_before(world: &World<'_>, number: u32, index: &Name) -> bool {
    let drops = |located: &Located| match &located.statement {
        Statement::Drop(drop) if drop.kind == ObjectKind::Index => {
            drop.targets.iter().any(|target| world.name(&target.name) == *index)
        }
        _ => false,
    };
    world.statements.iter().any(|located| located.number < number && drops(located))
}

/// Whether it can be dropped by itself, while all goes on.
fn is_plain(index: &Index) -> bool {
    !index.is_partitioned && index.constraint.is_none()
}

/// Whether a later statement builds another index of that name, which takes its place.
fn comes_back(world: &World<'_>, number: u32, table: &Relation, index: &Index) -> bool {
    world.statements.iter().filter(|located| located.number > number).any(|located| {
        matches!(&located.statement, Statement::CreateIndex(create)
            if create.name.as_ref().is_some_and(|name| *name == index.name.name.as_str())
                && world.name(&create.table).schema == table.name.schema)
    })
}

/// The new one is built beside the old one; then they change names, and the old one goes.
fn replace(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    old: &Index,
    build: &dyn Fn(&mut Draft, &Name),
) {
    let (schema, wanted) = (&old.name.schema, &old.name.name);
    let new = Name::new(schema, world.free_name(&format!("{wanted}_new")));
    let former = Name::new(schema, world.free_name(&format!("{wanted}_old")));
    build(draft, &new);
    let rename = |from: &Name, to: &Name| {
        template!("rename_index").with(&[("index", &from.quoted()), ("to", &identifier(&to.name))])
    };
    draft.transaction(
        Stage::Switch,
        format!("put the new index in the place of {wanted}"),
        vec![rename(&old.name, &former), rename(&new, &old.name)],
        Undo::By(vec![rename(&old.name, &new), rename(&former, &old.name)]),
    );
    let renamed = Index { name: former.clone(), ..old.clone() };
    draft.alone(
        Stage::Contract,
        format!("take index {} away", former.name),
        template!("drop_index").with(&[("index", &former.quoted())]),
        None,
        Undo::By(vec![rebuild(table, &renamed)]),
    );
}

/// One index, concurrently.
pub(super) fn build(
    draft: &mut Draft,
    stage: Stage,
    unique: &str,
    index: &Name,
    table: &Name,
    definition: &str,
) {
    let statement = template!("create_index").with(&[
        ("unique", unique),
        ("index", &identifier(&index.name)),
        ("table", &table.quoted()),
        ("definition", definition),
    ]);
    draft.alone(
        stage,
        format!("build index {} on {}", index.name, table.name),
        statement,
        Some(format!("{}.{}", index.schema, index.name)),
        Undo::By(vec![drop_index(index)]),
    );
}

/// An index of a partitioned table like that one of another.
pub(super) fn on_parts_like(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    wanted: &Index,
    definition: &str,
) -> Result<(), NoRoute> {
    let keys: Vec<&str> = wanted.keys.iter().map(|key| key.column.as_deref().unwrap_or("expr")).collect();
    let keys = keys.join("_");
    let unique = if wanted.is_unique { "unique " } else { "" };
    let name = usual_name(world, table, &keys);
    let mut names = |child: &Relation, _: &Name| usual_name(world, child, &keys);
    on_partitions(draft, world, table, [&name, &name], Like { unique, definition }, &mut names)
}

/// The name that PostgreSQL would choose, or one like it that is free.
fn usual_name(world: &World<'_>, table: &Relation, keys: &str) -> Name {
    Name::new(&table.name.schema, world.free_name(&default_name(&table.name.name, keys, "idx")))
}

/// What the indexes of partitions have in common.
#[derive(Clone, Copy)]
pub(super) struct Like<'a> {
    /// The word, or empty.
    pub unique: &'a str,
    pub definition: &'a str,
}

/// The parent's index is declared first and has nothing in it; each partition's is built concurrently and attached,
/// and the last one makes the parent's valid. `top` is the index of the topmost table: with it, all go. `names` says
/// what the index of a partition is called that goes to one above.
pub(super) fn on_partitions(
    draft: &mut Draft,
    world: &World<'_>,
    relation: &Relation,
    [top, index]: [&Name; 2],
    like: Like<'_>,
    names: &mut dyn FnMut(&Relation, &Name) -> Name,
) -> Result<(), NoRoute> {
    let on_parent = template!("create_index_on_parent").with(&[
        ("unique", like.unique),
        ("index", &identifier(&index.name)),
        ("table", &relation.name.quoted()),
        ("definition", like.definition),
    ]);
    // A partitioned index cannot be dropped concurrently; with it go those that are attached, and no other way.
    let undo = || Undo::By(vec![template!("drop_partitioned_index").with(&[("index", &top.quoted())])]);
    draft.transaction(
        Stage::Validate,
        format!("declare index {} on the partitioned table {}", index.name, relation.name.name),
        vec![on_parent],
        undo(),
    );
    for child in world.catalog.children(&relation.name) {
        let part = names(child, index);
        if child.kind == RelationKind::PartitionedTable {
            on_partitions(draft, world, child, [top, &part], like, names)?;
        } else if child.kind == RelationKind::ForeignTable {
            return Err(NoRoute::new(format!(
                "the partition {} is a foreign table, which has no indexes",
                child.name.name
            )));
        } else {
            build(draft, Stage::Validate, like.unique, &part, &child.name, like.definition);
        }
        let attach = template!("attach_index").with(&[("index", &index.quoted()), ("part", &part.quoted())]);
        draft.transaction(
            Stage::Validate,
            format!("attach index {} to {}", part.name, index.name),
            vec![attach],
            undo(),
        );
    }
    Ok(())
}

pub(super) fn drop_index(index: &Name) -> String {
    template!("drop_index_if_exists").with(&[("index", &index.quoted())])
}

/// DROP INDEX, an index at a time, for CONCURRENTLY takes only one.
pub(super) fn drop(draft: &mut Draft, world: &World<'_>, located: &Located, drop: &Drop) {
    for target in &drop.targets {
        let found = world.catalog.index(target.name.schema.as_deref(), &target.name.name);
        match found {
            // It goes when the other one has taken its place.
            Some((table, index)) if is_plain(index) && comes_back(world, located.number, table, index) => {}
            Some((table, index)) if is_plain(index) => {
                draft.alone(
                    Stage::Contract,
                    format!("take index {} away", index.name.name),
                    template!("drop_index").with(&[("index", &index.name.quoted())]),
                    None,
                    Undo::By(vec![rebuild(table, index)]),
                );
            }
            None if drop.if_exists => {
                draft.note(format!(
                    "The index {} is not there, so that IF EXISTS drops nothing.",
                    target.name
                ));
            }
            _ => {
                let title = format!("take index {} away", target.name);
                draft.transaction(Stage::Contract, title, vec![located_text(located)], Undo::Impossible);
                return;
            }
        }
    }
}

/// The statement that builds an index that is there, for when it is dropped.
fn rebuild(table: &Relation, index: &Index) -> String {
    template!("create_index").with(&[
        ("unique", if index.is_unique { "unique " } else { "" }),
        ("index", &identifier(&index.name.name)),
        ("table", &table.name.quoted()),
        ("definition", &index_definition(index)),
    ])
}

pub(super) fn reindex(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    reindex: &Reindex,
) -> Result<(), NoRoute> {
    let text = located_text(located);
    if reindex.is_concurrent {
        draft.alone(Stage::Validate, "reindex", text, None, Undo::WithAnother);
        return Ok(());
    }
    let (ReindexKind::Index | ReindexKind::Table, Some(name)) = (reindex.kind, &reindex.name) else {
        return Err(NoRoute::new(
            "REINDEX of a schema or a database locks one table after the other; name the tables and indexes",
        ));
    };
    let kind = if reindex.kind == ReindexKind::Index { "index" } else { "table" };
    let name = world.name(name);
    let statement = template!("reindex").with(&[("kind", kind), ("name", &name.quoted())]);
    draft.alone(Stage::Validate, format!("reindex {}", name.name), statement, None, Undo::WithAnother);
    Ok(())
}

/// What follows the table's name: method, keys, condition.
fn after_table<'a>(world: &World<'a>, located: &Located, create: &CreateIndex) -> &'a str {
    world.text.get(create.table.span.end..located.span.end).unwrap_or_default().trim()
}

/// The middle of the name that PostgreSQL chooses: its columns, `expr` for an expression.
fn key_names(create: &CreateIndex) -> String {
    let mut names: Vec<String> = Vec::new();
    for key in &create.keys {
        let base = match &key.column {
            Some(column) => column.name.clone(),
            None => match key.expression.as_ref().map(|expression| &expression.shape) {
                Some(crate::statement::Shape::Call(function)) => function.name.clone(),
                _ => "expr".to_owned(),
            },
        };
        let mut name = base.clone();
        let mut number = 1;
        while names.contains(&name) {
            name = format!("{base}{number}");
            number += 1;
        }
        names.push(name);
    }
    names.join("_")
}
