//! A type change that would rewrite: a successor column takes the old one's place.
//!
//! A trigger keeps the successor in step for rows that are written, batches fill it for those that are there, its
//! indexes and constraints are built meanwhile, and one short transaction swaps the names. Not for: type changes
//! that PostgreSQL makes without a rewrite.

use posthaste_base::catalog::{Column, Constraint, ConstraintKind, Index, Name, Relation, RelationKind};
use posthaste_base::quote::identifier;
use posthaste_report::Batches;

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::{World, index_definition};
use super::{NoRoute, constraint, index, rows};
use crate::statement::{Expression, Identifier, ObjectName, TypeName};

pub(super) struct Change<'a> {
    pub column: &'a Identifier,
    pub type_name: &'a TypeName,
    pub collation: Option<&'a ObjectName>,
    pub using: Option<&'a Expression>,
}

/// Names that the swap needs, quoted where they go into statements.
struct Names {
    table: String,
    successor: String,
    former: String,
    function: String,
    trigger: String,
}

pub(super) fn change(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    change: &Change<'_>,
) -> Result<(), NoRoute> {
    let column = table.columns.iter().find(|known| *change.column == known.name.as_str());
    let Some(column) = column else {
        return Err(NoRoute::new("a column that the file itself adds; give it its type there", table));
    };
    refuse_what_hangs_on_it(table, column)?;
    let names = names(world, table, column);
    let expression = match change.using {
        Some(using) => using.text.clone(),
        None => format!("{}::{}", identifier(&column.name), change.type_name.text),
    };
    let indexes: Vec<&Index> = table.indexes.iter().filter(|index| uses(index, &column.name)).collect();
    let checks: Vec<&Constraint> = own_checks(table, column);

    add_successor(draft, table, &names, change, world, &expression);
    let mut batches = rows::by_key(table);
    fill(&mut batches, &names, &expression);
    draft.batches(
        format!("fill the successor of {}.{}", table.name.name, column.name),
        batches,
        Undo::WithAnother,
    );
    let successor = successor_name(column);
    if column.is_not_null {
        not_null_check(draft, table, &successor);
    }
    let rebuilt = build_indexes(draft, world, table, column, &successor, &indexes);
    let redeclared = declare_checks(draft, world, table, column, &successor, &checks);
    swap(draft, table, column, &names, &rebuilt, &redeclared);
    draft.manual(
        Stage::Contract,
        format!("make sure that nothing needs {}.{}", table.name.name, names.former),
        "The former column is kept until here, so that the swap can be undone. Rows written since the swap have no \
         value in it.",
    );
    draft.transaction(
        Stage::Contract,
        format!("take the former column {} away", names.former),
        vec![
            template!("drop_column").with(&[("table", &names.table), ("column", &identifier(&names.former))]),
        ],
        Undo::Impossible,
    );
    Ok(())
}

/// What a swap of names would break, or leave on the former column.
fn refuse_what_hangs_on_it(table: &Relation, column: &Column) -> Result<(), NoRoute> {
    let name = &column.name;
    let is_keyed = |kind: ConstraintKind| {
        table
            .constraints
            .iter()
            .any(|constraint| constraint.kind == kind && constraint.columns.contains(name))
    };
    let reason = if table.kind == RelationKind::PartitionedTable || !table.parents.is_empty() {
        "its table is partitioned or inherits, and every member would have to change in the same moment"
            .to_owned()
    } else if column.identity.is_some() || column.generated.is_some() {
        "it is an identity or a generated column".to_owned()
    } else if is_keyed(ConstraintKind::PrimaryKey) || is_keyed(ConstraintKind::Unique) {
        "it is part of a primary key or a unique constraint, which foreign keys may reference".to_owned()
    } else if is_keyed(ConstraintKind::ForeignKey) || is_keyed(ConstraintKind::Exclusion) {
        "it is part of a foreign key or an exclusion constraint".to_owned()
    } else if let Some(dependent) = depends_on_column(table, name) {
        format!("{dependent} reads it")
    } else if table.constraints.iter().any(|c| c.kind == ConstraintKind::Check && is_shared(c, name)) {
        "a check of several columns reads it".to_owned()
    } else if table.indexes.iter().any(|index| is_complicated(index, name)) {
        "an index has it in an expression or a condition".to_owned()
    } else {
        return Ok(());
    };
    Err(NoRoute::new(format!("no successor can take the place of {name}: {reason}"), table))
}

fn depends_on_column(table: &Relation, column: &String) -> Option<String> {
    let reads = |columns: &Vec<String>| columns.is_empty() || columns.contains(column);
    let found = table.dependents.iter().find(|dependent| reads(&dependent.columns))?;
    Some(format!("{} {}", found.kind, found.name.name))
}

fn is_shared(check: &Constraint, column: &String) -> bool {
    check.columns.contains(column) && check.columns.len() > 1
}

fn mentions(text: Option<&String>, column: &str) -> bool {
    text.is_some_and(|text| text.contains(column))
}

fn is_complicated(index: &Index, column: &str) -> bool {
    mentions(index.predicate.as_ref(), column)
        || index.keys.iter().any(|key| mentions(key.expression.as_ref(), column))
}

fn uses(index: &Index, column: &String) -> bool {
    index.include.contains(column) || index.keys.iter().any(|key| key.column.as_ref() == Some(column))
}

fn own_checks<'a>(table: &'a Relation, column: &Column) -> Vec<&'a Constraint> {
    let is_own = |constraint: &&Constraint| {
        constraint.kind == ConstraintKind::Check && constraint.columns == [column.name.clone()]
    };
    table.constraints.iter().filter(is_own).collect()
}

fn successor_name(column: &Column) -> String {
    format!("{}_new", column.name)
}

fn names(world: &World<'_>, table: &Relation, column: &Column) -> Names {
    let sync = world.free_name(&format!("{}_{}_sync", table.name.name, column.name));
    Names {
        table: table.name.quoted(),
        successor: identifier(&successor_name(column)),
        former: format!("{}_old", column.name),
        function: Name::new(&table.name.schema, &sync).quoted(),
        // Triggers fire by name; this one must see what all others made of the row.
        trigger: identifier(&format!("zzz_{sync}")),
    }
}

fn add_successor(
    draft: &mut Draft,
    table: &Relation,
    names: &Names,
    change: &Change<'_>,
    world: &World<'_>,
    expression: &str,
) {
    let collation =
        change.collation.map(|name| format!(" collate {}", world.cut(name.span))).unwrap_or_default();
    let values = [
        ("table", names.table.as_str()),
        ("column", names.successor.as_str()),
        ("successor", names.successor.as_str()),
        ("function", names.function.as_str()),
        ("trigger", names.trigger.as_str()),
        ("expression", expression),
    ];
    let mut with = values.to_vec();
    let type_text = format!("{}{collation}", change.type_name.text);
    let alias = identifier(&table.name.name);
    with.extend([("type", type_text.as_str()), ("alias", alias.as_str())]);
    let statements = vec![
        template!("add_column").with(&with),
        template!("sync_function").with(&with),
        template!("sync_trigger").with(&with),
    ];
    let undo = vec![
        template!("drop_trigger").with(&with),
        template!("drop_function").with(&with),
        template!("drop_column").with(&with),
    ];
    draft.transaction(
        Stage::Expand,
        format!("add a successor of {}.{}, kept in step by a trigger", table.name.name, change.column),
        statements,
        Undo::By(undo),
    );
}

fn fill(batches: &mut Batches, names: &Names, expression: &str) {
    let values =
        [("table", names.table.as_str()), ("column", names.successor.as_str()), ("expression", expression)];
    batches.statements = vec![template!("backfill").with(&values)];
    batches.left = Some(template!("count_behind").with(&values));
}

/// The proof that the successor holds no NULL, for the moment of the swap.
fn not_null_check(draft: &mut Draft, table: &Relation, successor: &str) {
    let quoted = table.name.quoted();
    let check = check_name(table, successor);
    let values =
        [("table", quoted.as_str()), ("constraint", &identifier(&check)), ("column", &identifier(successor))];
    draft.transaction(
        Stage::Validate,
        format!("forbid NULL in {}.{successor}, for new rows", table.name.name),
        vec![template!("add_not_null_check").with(&values)],
        Undo::By(vec![constraint::drop_constraint(&quoted, &check)]),
    );
    constraint::validate(draft, &table.name, &check);
}

fn check_name(table: &Relation, successor: &str) -> String {
    super::world::default_name(&table.name.name, successor, "is_not_null")
}

/// Pairs of names: what is built for the successor, and what it will be called.
fn build_indexes(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    column: &Column,
    successor: &str,
    indexes: &[&Index],
) -> Vec<(String, String)> {
    let mut built = Vec::new();
    for old in indexes {
        let mut new: Index = (*old).clone();
        for key in &mut new.keys {
            if key.column.as_ref() == Some(&column.name) {
                key.column = Some(successor.to_owned());
                // The operator class and the collation belong to the former type.
                key.opclass.clear();
                key.collation = None;
            }
        }
        for included in &mut new.include {
            if *included == column.name {
                *included = successor.to_owned();
            }
        }
        let name = world.free_name(&format!("{}_new", old.name.name));
        let unique = if old.is_unique { "unique " } else { "" };
        let index = Name::new(&old.name.schema, &name);
        index::build(draft, Stage::Validate, unique, &index, &table.name, &index_definition(&new));
        built.push((name, old.name.name.clone()));
    }
    built
}

fn declare_checks(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    column: &Column,
    successor: &str,
    checks: &[&Constraint],
) -> Vec<(String, String)> {
    let quoted = table.name.quoted();
    let mut declared = Vec::new();
    for check in checks {
        let name = world.free_name(&format!("{}_new", check.name));
        let body = super::text::renamed(&check.definition, &column.name, successor);
        let action = template!("add_constraint_action").with(&[
            ("constraint", &identifier(&name)),
            ("body", body.trim_end_matches(" NOT VALID")),
            ("not_valid", " not valid"),
        ]);
        draft.transaction(
            Stage::Validate,
            format!("declare {name} on {}, for new rows", table.name.name),
            vec![template!("alter_table").with(&[("table", &quoted), ("action", &action)])],
            Undo::By(vec![constraint::drop_constraint(&quoted, &name)]),
        );
        if check.is_validated {
            constraint::validate(draft, &table.name, &name);
        }
        declared.push((name, check.name.clone()));
    }
    declared
}

/// One transaction: the trigger goes, the names change places, and the default moves over.
fn swap(
    draft: &mut Draft,
    table: &Relation,
    column: &Column,
    names: &Names,
    indexes: &[(String, String)],
    checks: &[(String, String)],
) {
    let successor = successor_name(column);
    let base = [("table", names.table.as_str()), ("function", &names.function), ("trigger", &names.trigger)];
    let rename_column = |from: &str, to: &str| {
        let values =
            [("table", names.table.as_str()), ("column", &identifier(from)), ("to", &identifier(to))];
        template!("rename_column").with(&values)
    };
    let rename_index = |from: &str, to: &str| {
        let from = Name::new(&table.name.schema, from).quoted();
        template!("rename_index").with(&[("index", &from), ("to", &identifier(to))])
    };
    let of_column = |column: &str, template: super::template::Template| {
        template.with(&[("table", &names.table), ("column", &identifier(column))])
    };
    let mut statements = vec![template!("drop_trigger").with(&base), template!("drop_function").with(&base)];
    if column.is_not_null {
        statements.push(of_column(&successor, template!("set_not_null")));
        statements.push(constraint::drop_constraint(&names.table, &check_name(table, &successor)));
        // Rows that are written from now on have no value in the former column.
        statements.push(of_column(&column.name, template!("drop_not_null")));
    }
    for (_, wanted) in checks {
        statements.push(constraint::drop_constraint(&names.table, wanted));
    }
    if let Some(default) = &column.default {
        let values = [
            ("table", names.table.as_str()),
            ("column", &identifier(&successor)),
            ("expression", default.as_str()),
        ];
        statements.push(template!("set_default").with(&values));
        statements.push(of_column(&column.name, template!("drop_default")));
    }
    statements.push(rename_column(&column.name, &names.former));
    statements.push(rename_column(&successor, &column.name));
    for (new, wanted) in checks {
        statements.push(template!("rename_constraint").with(&[
            ("table", &names.table),
            ("constraint", &identifier(new)),
            ("to", &identifier(wanted)),
        ]));
    }
    for (new, wanted) in indexes {
        statements.push(rename_index(wanted, &format!("{wanted}_old")));
        statements.push(rename_index(new, wanted));
    }
    draft.transaction(
        Stage::Switch,
        format!("put the successor in the place of {}.{}", table.name.name, column.name),
        statements,
        Undo::Impossible,
    );
}
