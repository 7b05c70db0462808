//! Constraints over rows that are there: declared for new rows first, checked for the old ones while all goes on.

use posthaste_base::catalog::{Constraint, ConstraintKind, Index, Name, Relation, RelationKind};
use posthaste_base::quote::{identifier, identifiers, literal};
use posthaste_report::Action;

use super::draft::{Draft, Stage, Undo};
use super::index;
use super::template::template;
use super::world::{World, default_name, index_definition};
use super::{Clause, NoRoute};
use crate::statement::{ConstraintTiming, Identifier, TableConstraint, TableConstraintKind as Kind};

/// ADD CONSTRAINT on a table that holds rows.
pub(super) fn add(
    draft: &mut Draft,
    world: &World<'_>,
    clause: &Clause<'_>,
    table: &Relation,
    constraint: &TableConstraint,
) -> Result<(), NoRoute> {
    match &constraint.kind {
        Kind::Check { .. } | Kind::ForeignKey { .. } | Kind::NotNull { .. } => {
            in_two_steps(draft, world, clause, table, constraint)
        }
        Kind::Unique {
            using_index: None,
            columns,
            nulls_not_distinct,
            include,
            without_overlaps: false,
            ..
        } => {
            let key = Key { columns, include, nulls_not_distinct: *nulls_not_distinct, is_primary: false };
            over_index(draft, table, constraint.name.as_ref(), key, constraint.timing)
        }
        Kind::PrimaryKey { using_index: None, columns, include, without_overlaps: false, .. } => {
            let key = Key { columns, include, nulls_not_distinct: false, is_primary: true };
            over_index(draft, table, constraint.name.as_ref(), key, constraint.timing)
        }
        Kind::PrimaryKey { using_index: Some(index), .. } => {
            let found = table.indexes.iter().find(|known| known.name.name == index.name);
            for key in found.into_iter().flat_map(|index| &index.keys) {
                not_null(draft, table, key.column.as_deref().unwrap_or_default());
            }
            switch_whole(draft, clause, table, constraint)
        }
        Kind::Unique { using_index: Some(_), .. } => switch_whole(draft, clause, table, constraint),
        Kind::Exclude { .. } => {
            Err(NoRoute::new("an exclusion constraint cannot be added over an index that is there"))
        }
        Kind::Unique { .. } | Kind::PrimaryKey { .. } => {
            Err(NoRoute::new("a constraint WITHOUT OVERLAPS cannot be added over an index that is there"))
        }
    }
}

/// CHECK, NOT NULL and foreign keys: NOT VALID, then VALIDATE.
fn in_two_steps(
    draft: &mut Draft,
    world: &World<'_>,
    clause: &Clause<'_>,
    table: &Relation,
    constraint: &TableConstraint,
) -> Result<(), NoRoute> {
    let is_key = matches!(constraint.kind, Kind::ForeignKey { .. });
    if is_key && table.kind == RelationKind::PartitionedTable && world.version < 18 {
        return Err(NoRoute::new(
            "a foreign key of a partitioned table cannot be NOT VALID before PostgreSQL 18",
        ));
    }
    let wanted = match &constraint.name {
        Some(name) => name.name.clone(),
        None => unnamed(&table.name.name, constraint),
    };
    let quoted = table.name.quoted();
    let takes_place = world.dropped_constraint_before(clause.number, &table.name, &wanted)
        && table.constraints.iter().any(|known| known.name == wanted);
    // One that takes another's place has a name of its own until then.
    let name = if takes_place { world.free_name(&format!("{wanted}_new")) } else { wanted.clone() };
    let body = body(world, constraint);
    let is_waiting = constraint.timing.is_not_valid || constraint.timing.is_not_enforced;
    let not_valid = if is_waiting { "" } else { " not valid" };
    let action = template!("add_constraint_action").with(&[
        ("constraint", &identifier(&name)),
        ("body", body),
        ("not_valid", not_valid),
    ]);
    let add = template!("alter_table").with(&[("table", &quoted), ("action", &action)]);
    let drop = drop_constraint(&quoted, &name);
    draft.transaction(
        Stage::Validate,
        format!("declare {name} on {}, for new rows", table.name.name),
        vec![add],
        Undo::By(vec![drop]),
    );
    if !is_waiting {
        validate(draft, &table.name, &name);
    }
    if takes_place {
        put_in_place(draft, table, &wanted, &name);
    }
    note_missing_index(draft, table, constraint);
    Ok(())
}

pub(super) fn validate(draft: &mut Draft, table: &Name, constraint: &str) {
    let quoted = [("table", table.quoted()), ("constraint", identifier(constraint))];
    let quoted: Vec<(&str, &str)> = quoted.iter().map(|(name, value)| (*name, value.as_str())).collect();
    draft.transaction(
        Stage::Validate,
        format!("check the rows of {} against {constraint}", table.name),
        vec![template!("validate_constraint").with(&quoted)],
        Undo::WithAnother,
    );
}

/// A foreign key or a check for new rows, and then for those that are there.
pub(super) fn declare_and_validate(draft: &mut Draft, table: &Relation, name: &str, definition: &str) {
    let quoted = table.name.quoted();
    draft.transaction(
        Stage::Validate,
        format!("declare {name} on {}, for new rows", table.name.name),
        vec![declare_again(&quoted, name, definition)],
        Undo::By(vec![drop_constraint(&quoted, name)]),
    );
    validate(draft, &table.name, name);
}

/// An index like that one of another table, with the constraint that it serves, if it serves one.
pub(super) fn index_like(draft: &mut Draft, table: &Relation, wanted: &Index) {
    let columns: Vec<&str> = wanted.keys.iter().map(|key| key.column.as_deref().unwrap_or("expr")).collect();
    let is_constraint = wanted.constraint.is_some();
    let name = match (wanted.is_primary, is_constraint) {
        (true, _) => default_name(&table.name.name, "", "pkey"),
        (false, true) => default_name(&table.name.name, &columns.join("_"), "key"),
        (false, false) => default_name(&table.name.name, &columns.join("_"), "idx"),
    };
    if wanted.is_primary {
        columns.iter().for_each(|column| not_null(draft, table, column));
    }
    let unique = if wanted.is_unique { "unique " } else { "" };
    let index = Name::new(&table.name.schema, &name);
    index::build(draft, Stage::Validate, unique, &index, &table.name, &index_definition(wanted));
    if is_constraint {
        let kind = if wanted.is_primary { "primary key" } else { "unique" };
        let deferrable = if wanted.is_immediate { "" } else { " deferrable" };
        take_over(draft, table, &name, kind, deferrable);
    }
}

/// A constraint takes over the index of its name.
fn take_over(draft: &mut Draft, table: &Relation, constraint: &str, kind: &str, deferrable: &str) {
    let quoted = table.name.quoted();
    let statement = template!("add_constraint_using_index").with(&[
        ("table", &quoted),
        ("constraint", &identifier(constraint)),
        ("kind", kind),
        ("index", &identifier(constraint)),
        ("deferrable", deferrable),
    ]);
    draft.transaction(
        Stage::Switch,
        format!("let {constraint} take over its index"),
        vec![statement],
        Undo::By(vec![drop_constraint(&quoted, constraint)]),
    );
}

/// The old constraint goes and the new one takes its name, in one transaction.
fn put_in_place(draft: &mut Draft, table: &Relation, wanted: &str, name: &str) {
    let quoted = table.name.quoted();
    let rename = |from: &str, to: &str| {
        template!("rename_constraint").with(&[
            ("table", &quoted),
            ("constraint", &identifier(from)),
            ("to", &identifier(to)),
        ])
    };
    let old = table.constraints.iter().find(|known| known.name == wanted);
    if let Some(old) = old {
        keep_validity(draft, Stage::Switch, table, name, old);
    }
    let undo = old.map(|old| vec![rename(wanted, name), declare_again(&quoted, &old.name, &old.definition)]);
    draft.transaction(
        Stage::Switch,
        format!("put the new {wanted} in the place of the old"),
        vec![drop_constraint(&quoted, wanted), rename(name, wanted)],
        undo.map_or(Undo::Impossible, Undo::By),
    );
}

/// Going back, `old` is declared again NOT VALID; the undo of this step, which runs after, checks the rows against it
/// in a transaction of its own, so that nobody waits meanwhile.
fn keep_validity(draft: &mut Draft, stage: Stage, table: &Relation, standing: &str, old: &Constraint) {
    if !old.is_validated || !can_wait(&old.definition) {
        return;
    }
    let quoted = table.name.quoted();
    let sql =
        template!("is_validated").with(&[("table", &literal(&quoted)), ("constraint", &literal(standing))]);
    let undo =
        template!("validate_constraint").with(&[("table", &quoted), ("constraint", &identifier(&old.name))]);
    let title = format!("{standing} holds for every row of {}", table.name.name);
    draft.add(stage, title, Action::Check { sql }, Undo::By(vec![undo]));
}

/// Whether a constraint can be declared without a look at the rows.
fn can_wait(definition: &str) -> bool {
    ["CHECK", "FOREIGN KEY"]
        .iter()
        .any(|word| definition.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)))
}

/// A constraint as it was; not checked again over all rows, which were under it until a moment ago.
fn declare_again(table: &str, name: &str, definition: &str) -> String {
    let not_valid =
        if can_wait(definition) && !definition.ends_with("NOT VALID") { " not valid" } else { "" };
    let action = template!("add_constraint_action").with(&[
        ("constraint", &identifier(name)),
        ("body", definition),
        ("not_valid", not_valid),
    ]);
    template!("alter_table").with(&[("table", table), ("action", &action)])
}

struct Key<'a> {
    columns: &'a [Identifier],
    include: &'a [Identifier],
    nulls_not_distinct: bool,
    is_primary: bool,
}

/// UNIQUE and PRIMARY KEY: the index is built concurrently, and the constraint takes it over.
fn over_index(
    draft: &mut Draft,
    table: &Relation,
    name: Option<&Identifier>,
    key: Key<'_>,
    timing: ConstraintTiming,
) -> Result<(), NoRoute> {
    if table.kind == RelationKind::PartitionedTable {
        return Err(NoRoute::new(
            "a unique constraint of a partitioned table cannot take over an index that is there",
        ));
    }
    let columns: Vec<&str> = key.columns.iter().map(Identifier::as_str).collect();
    let constraint = match name {
        Some(name) => name.name.clone(),
        None if key.is_primary => default_name(&table.name.name, "", "pkey"),
        None => default_name(&table.name.name, &columns.join("_"), "key"),
    };
    if key.is_primary {
        columns.iter().for_each(|column| not_null(draft, table, column));
    }
    let include = if key.include.is_empty() {
        String::new()
    } else {
        format!(" include ({})", identifiers(key.include.iter().map(Identifier::as_str)))
    };
    let nulls = if key.nulls_not_distinct { " nulls not distinct" } else { "" };
    let definition = format!("({}){include}{nulls}", identifiers(&columns));
    let index = Name::new(&table.name.schema, &constraint);
    index::build(draft, Stage::Validate, "unique ", &index, &table.name, &definition);
    let kind = if key.is_primary { "primary key" } else { "unique" };
    let deferrable = match (timing.is_deferrable, timing.is_initially_deferred) {
        (_, true) => " deferrable initially deferred",
        (true, false) => " deferrable",
        _ => "",
    };
    take_over(draft, table, &constraint, kind, deferrable);
    Ok(())
}

/// An inline PRIMARY KEY of a column.
pub(super) fn primary_key_column(
    draft: &mut Draft,
    table: &Relation,
    name: Option<&Identifier>,
    column: &Identifier,
) -> Result<(), NoRoute> {
    let columns = std::slice::from_ref(column);
    let key = Key { columns, include: &[], nulls_not_distinct: false, is_primary: true };
    over_index(draft, table, name, key, ConstraintTiming::default())
}

/// An inline UNIQUE of a column.
pub(super) fn unique_column(
    draft: &mut Draft,
    table: &Relation,
    name: Option<&Identifier>,
    column: &Identifier,
    nulls_not_distinct: bool,
    timing: ConstraintTiming,
) -> Result<(), NoRoute> {
    let columns = std::slice::from_ref(column);
    let key = Key { columns, include: &[], nulls_not_distinct, is_primary: false };
    over_index(draft, table, name, key, timing)
}

/// SET NOT NULL without a scan: a check is declared, the rows are checked against it, and it proves the rest.
pub(super) fn not_null(draft: &mut Draft, table: &Relation, column: &str) {
    let quoted = table.name.quoted();
    let known = table.columns.iter().find(|known| known.name == column);
    if known.is_some_and(|known| known.is_not_null) {
        return;
    }
    let set = template!("set_not_null").with(&[("table", &quoted), ("column", &identifier(column))]);
    let undo = template!("drop_not_null").with(&[("table", &quoted), ("column", &identifier(column))]);
    let title = format!("forbid NULL in {}.{column}", table.name.name);
    if proves_not_null(table, column) {
        return draft.transaction(Stage::Switch, title, vec![set], Undo::By(vec![undo]));
    }
    let check = default_name(&table.name.name, column, "is_not_null");
    let add = template!("add_not_null_check").with(&[
        ("table", &quoted),
        ("constraint", &identifier(&check)),
        ("column", &identifier(column)),
    ]);
    draft.transaction(
        Stage::Validate,
        format!("forbid NULL in {}.{column}, for new rows", table.name.name),
        vec![add.clone()],
        Undo::By(vec![drop_constraint(&quoted, &check)]),
    );
    validate(draft, &table.name, &check);
    // Going back, the check stands again before the column allows NULL, as it did.
    let back = vec![add, undo];
    draft.transaction(Stage::Switch, title, vec![set, drop_constraint(&quoted, &check)], Undo::By(back));
}

/// Whether a validated CHECK of the table is exactly that the column is not NULL.
fn proves_not_null(table: &Relation, column: &str) -> bool {
    let column = identifier(column);
    let proof = format!("CHECK (({column} IS NOT NULL))");
    table.constraints.iter().any(|constraint| {
        constraint.kind == ConstraintKind::Check && constraint.is_validated && constraint.definition == proof
    })
}

/// DROP CONSTRAINT: last of all, unless another of its name takes its place.
pub(super) fn drop(
    draft: &mut Draft,
    world: &World<'_>,
    clause: &Clause<'_>,
    table: &Relation,
    constraint: &Identifier,
) {
    let known = table.constraints.iter().find(|known| *constraint == known.name.as_str());
    if known.is_some() && world.adds_constraint_later(clause.number, &table.name, &constraint.name) {
        return;
    }
    let quoted = table.name.quoted();
    if let Some(known) = known {
        keep_validity(draft, Stage::Contract, table, &known.name, known);
    }
    let undo = known.map(|known| vec![declare_again(&quoted, &known.name, &known.definition)]);
    draft.transaction(
        Stage::Contract,
        format!("drop constraint {constraint} of {}", table.name.name),
        vec![clause.statement()],
        undo.map_or(Undo::Impossible, Undo::By),
    );
}

fn switch_whole(
    draft: &mut Draft,
    clause: &Clause<'_>,
    table: &Relation,
    constraint: &TableConstraint,
) -> Result<(), NoRoute> {
    let undo = match &constraint.name {
        Some(name) => Undo::By(vec![drop_constraint(&table.name.quoted(), &name.name)]),
        None => Undo::Impossible,
    };
    let title = format!("add a constraint of {} over its index", table.name.name);
    draft.transaction(Stage::Switch, title, vec![clause.statement()], undo);
    Ok(())
}

pub(super) fn drop_constraint(table: &str, constraint: &str) -> String {
    template!("drop_constraint").with(&[("table", table), ("constraint", &identifier(constraint))])
}

/// The constraint as it was written, without its name.
fn body<'a>(world: &World<'a>, constraint: &TableConstraint) -> &'a str {
    let whole = world.cut(constraint.span);
    match &constraint.name {
        Some(name) => world.text.get(name.span.end..constraint.span.end).unwrap_or(whole).trim(),
        None => whole,
    }
}

/// The name that PostgreSQL would choose.
fn unnamed(table: &str, constraint: &TableConstraint) -> String {
    match &constraint.kind {
        Kind::Check { expression, .. } => {
            let mut columns: Vec<&str> = expression.columns.iter().map(|used| used.column.as_str()).collect();
            columns.sort_unstable();
            columns.dedup();
            let column = if columns.len() == 1 { columns[0] } else { "" };
            default_name(table, column, "check")
        }
        Kind::ForeignKey { columns, .. } => {
            let columns: Vec<&str> = columns.iter().map(Identifier::as_str).collect();
            default_name(table, &columns.join("_"), "fkey")
        }
        Kind::NotNull { column, .. } => default_name(table, &column.name, "not_null"),
        _ => default_name(table, "", "constraint"),
    }
}

/// A foreign key without an index on its columns makes each DELETE of the referenced table read this one.
fn note_missing_index(draft: &mut Draft, table: &Relation, constraint: &TableConstraint) {
    let Kind::ForeignKey { columns, .. } = &constraint.kind else { return };
    let serves = |index: &posthaste_base::catalog::Index| {
        let head: Vec<_> =
            index.keys.iter().take(columns.len()).filter_map(|key| key.column.as_deref()).collect();
        index.is_valid
            && head.len() == columns.len()
            && columns.iter().all(|column| head.contains(&column.as_str()))
    };
    if !table.indexes.iter().any(serves) {
        let columns = identifiers(columns.iter().map(Identifier::as_str));
        draft.note(format!(
            "No index of {} begins with {columns}: each DELETE in the referenced table will read all of it.",
            table.name.name
        ));
    }
}
