//! Constraints: added to a table and to what inherits from it, under the names that the server chooses.

use posthaste_base::catalog::{Catalog, Constraint, ConstraintKind, Name, Reference, Relation};

use super::{family, index, look_for, made, name, place_of};
use crate::lower::quoted;
use crate::statement::{
    ColumnConstraint, ColumnConstraintKind, ConstraintTiming, Expression, ForeignKey, Identifier,
    TableConstraint, TableConstraintKind,
};

/// An inline constraint in the form of a table's; `None` for a default and its like.
pub(super) fn of_column(column: &Identifier, constraint: &ColumnConstraint) -> Option<TableConstraint> {
    let columns = vec![column.clone()];
    let kind = match constraint.kind.clone() {
        ColumnConstraintKind::NotNull { no_inherit } => {
            // Without a name it is made with the column.
            constraint.name.as_ref()?;
            TableConstraintKind::NotNull { column: column.clone(), no_inherit }
        }
        ColumnConstraintKind::Check { expression, no_inherit } => {
            TableConstraintKind::Check { expression, no_inherit }
        }
        ColumnConstraintKind::Unique { nulls_not_distinct, include, options, tablespace } => {
            TableConstraintKind::Unique {
                columns,
                nulls_not_distinct,
                without_overlaps: false,
                include,
                using_index: None,
                options,
                tablespace,
            }
        }
        ColumnConstraintKind::PrimaryKey { include, options, tablespace } => {
            TableConstraintKind::PrimaryKey {
                columns,
                without_overlaps: false,
                include,
                using_index: None,
                options,
                tablespace,
            }
        }
        ColumnConstraintKind::References(key) => TableConstraintKind::ForeignKey { columns, key },
        _ => return None,
    };
    Some(TableConstraint {
        span: constraint.span,
        name: constraint.name.clone(),
        kind,
        timing: constraint.timing,
    })
}

/// The order in which CREATE TABLE makes them.
pub(super) fn order(constraint: &TableConstraint) -> u8 {
    match constraint.kind {
        TableConstraintKind::NotNull { .. } => 0,
        TableConstraintKind::Check { .. } => 1,
        TableConstraintKind::PrimaryKey { .. } => 2,
        TableConstraintKind::Unique { .. } | TableConstraintKind::Exclude { .. } => 3,
        TableConstraintKind::ForeignKey { .. } => 4,
    }
}

/// Adds one to a table, and to its children where it is passed on.
pub(super) fn add(catalog: &mut Catalog, place: usize, constraint: &TableConstraint) -> Result<(), String> {
    if let Some(name) = &constraint.name {
        let relation = &catalog.relations[place];
        if relation.constraints.iter().any(|known| known.name == name.name) {
            return Err(format!(
                "constraint \"{name}\" for relation \"{}\" already exists",
                relation.name.name
            ));
        }
    }
    match &constraint.kind {
        TableConstraintKind::Check { expression, no_inherit } => {
            check(catalog, place, constraint, expression, *no_inherit)
        }
        TableConstraintKind::NotNull { column, no_inherit } => {
            not_null(catalog, place, constraint, column, *no_inherit)
        }
        TableConstraintKind::Unique { .. } | TableConstraintKind::PrimaryKey { .. } => {
            index::add_key(catalog, place, constraint)
        }
        TableConstraintKind::Exclude { .. } => index::add_exclusion(catalog, place, constraint),
        TableConstraintKind::ForeignKey { columns, key } => {
            foreign_key(catalog, place, constraint, columns, key)
        }
    }
}

/// One with all that its timing says.
pub(super) fn timed(timing: ConstraintTiming, constraint: Constraint) -> Constraint {
    Constraint {
        is_validated: !timing.is_not_valid && !timing.is_not_enforced,
        is_enforced: !timing.is_not_enforced,
        is_deferrable: timing.is_deferrable,
        ..constraint
    }
}

pub(super) fn expect_columns(relation: &Relation, columns: &[Identifier]) -> Result<(), String> {
    if relation.columns.is_empty() {
        // They come from a query, which is not evaluated.
        return Ok(());
    }
    let missing = columns.iter().find(|column| relation.columns.iter().all(|one| one.name != column.name));
    match missing {
        Some(column) => {
            Err(format!("column \"{column}\" of relation \"{}\" does not exist", relation.name.name))
        }
        None => Ok(()),
    }
}

fn check(
    catalog: &mut Catalog,
    place: usize,
    constraint: &TableConstraint,
    expression: &Expression,
    no_inherit: bool,
) -> Result<(), String> {
    let table = catalog.relations[place].name.clone();
    let columns = columns_of(&catalog.relations[place], expression);
    let name = constraint.name.as_ref().map(|name| name.name.clone()).unwrap_or_else(|| {
        let column = if let [column] = columns.as_slice() { column.as_str() } else { "" };
        name::constraint(catalog, &table.schema, &table.name, column, "check")
    });
    let definition =
        format!("CHECK (({})){}", as_proof(expression), if no_inherit { " NO INHERIT" } else { "" });
    let made = Constraint {
        name,
        kind: ConstraintKind::Check,
        no_inherit,
        columns,
        definition,
        ..Constraint::default()
    };
    let made = timed(constraint.timing, made);
    if no_inherit {
        catalog.relations[place].constraints.push(made);
    } else {
        spread(catalog, place, &made);
    }
    Ok(())
}

/// What only says that columns are not NULL is written as the server does, so that it can be read as a proof.
fn as_proof(expression: &Expression) -> String {
    let proven: Vec<String> =
        expression.not_null_columns().map(|column| format!("{} IS NOT NULL", quoted(column))).collect();
    if !proven.is_empty() && proven.len() == expression.conjuncts.len() {
        proven.join(" AND ")
    } else {
        expression.text.clone()
    }
}

/// Columns of the table that an expression names, each once.
pub(super) fn columns_of(relation: &Relation, expression: &Expression) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for used in &expression.columns {
        let name = &used.column.name;
        let is_column = relation.columns.iter().any(|column| column.name == *name);
        if is_column && !found.contains(name) {
            found.push(name.clone());
        }
    }
    found
}

/// To a table and all that inherits from it; a child that has one of that name keeps it, and it is inherited then.
fn spread(catalog: &mut Catalog, place: usize, constraint: &Constraint) {
    for member in family(catalog, place) {
        let is_inherited = member != place;
        let constraints = &mut catalog.relations[member].constraints;
        match constraints.iter_mut().find(|known| known.name == constraint.name) {
            Some(known) => known.is_inherited |= is_inherited,
            None => constraints.push(Constraint { is_inherited, ..constraint.clone() }),
        }
    }
}

/// What a new child has to have of its parent's CHECKs.
pub(super) fn inherit_checks(catalog: &mut Catalog, parent: usize, place: usize) {
    let checks = catalog.relations[parent].constraints.clone();
    let checks = checks.into_iter().filter(|known| known.kind == ConstraintKind::Check && !known.no_inherit);
    for check in checks {
        for member in family(catalog, place) {
            let constraints = &mut catalog.relations[member].constraints;
            match constraints.iter_mut().find(|known| known.name == check.name) {
                Some(known) => known.is_inherited = true,
                None => constraints.push(Constraint { oid: 0, is_inherited: true, ..check.clone() }),
            }
        }
    }
}

/// A foreign key of a partitioned table, in a partition.
pub(super) fn inherit_key(catalog: &mut Catalog, place: usize, key: &Constraint) {
    for member in family(catalog, place) {
        let constraints = &mut catalog.relations[member].constraints;
        let is_same = |known: &&mut Constraint| {
            known.kind == ConstraintKind::ForeignKey
                && known.columns == key.columns
                && known.references.as_ref().map(|it| (&it.table, &it.columns))
                    == key.references.as_ref().map(|it| (&it.table, &it.columns))
        };
        match constraints.iter_mut().find(is_same) {
            Some(known) => known.is_inherited = true,
            None => constraints.push(Constraint { oid: 0, is_inherited: true, ..key.clone() }),
        }
    }
}

fn not_null(
    catalog: &mut Catalog,
    place: usize,
    constraint: &TableConstraint,
    column: &Identifier,
    no_inherit: bool,
) -> Result<(), String> {
    expect_columns(&catalog.relations[place], std::slice::from_ref(column))?;
    let members = if no_inherit { vec![place] } else { family(catalog, place) };
    for member in members {
        set_not_null(catalog, member, &column.name);
        let name = constraint.name.as_ref().map(|name| name.name.as_str());
        add_not_null(catalog, member, &column.name, name, constraint.timing, member != place);
    }
    Ok(())
}

pub(super) fn set_not_null(catalog: &mut Catalog, place: usize, column: &str) {
    let columns = &mut catalog.relations[place].columns;
    if let Some(known) = columns.iter_mut().find(|known| known.name == column) {
        known.is_not_null = true;
    }
}

/// From 18 on a NOT NULL is a constraint with a name.
pub(super) fn add_not_null(
    catalog: &mut Catalog,
    place: usize,
    column: &str,
    given: Option<&str>,
    timing: ConstraintTiming,
    is_inherited: bool,
) {
    let relation = &catalog.relations[place];
    let is_there = relation.constraints.iter().any(|known| {
        known.kind == ConstraintKind::NotNull && known.columns.first().is_some_and(|one| one == column)
    });
    if catalog.server.major() < 18 || is_there {
        return;
    }
    let table = relation.name.clone();
    let name = given
        .map(str::to_owned)
        .unwrap_or_else(|| name::constraint(catalog, &table.schema, &table.name, column, "not_null"));
    let made = Constraint {
        name,
        kind: ConstraintKind::NotNull,
        columns: vec![column.to_owned()],
        definition: format!("NOT NULL {}", quoted(column)),
        is_inherited,
        ..Constraint::default()
    };
    catalog.relations[place].constraints.push(timed(timing, made));
}

/// The name of a column's NOT NULL constraint that is passed on.
pub(super) fn not_null_name(relation: &Relation, column: &str) -> Option<String> {
    let mut constraints = relation.constraints.iter();
    let is_it = |one: &&Constraint| {
        one.kind == ConstraintKind::NotNull
            && !one.no_inherit
            && one.columns.first().is_some_and(|it| it == column)
    };
    constraints.find(is_it).map(|one| one.name.clone())
}

/// Gives every column that is NOT NULL its constraint.
pub(super) fn add_not_nulls(catalog: &mut Catalog, place: usize) {
    let relation = &catalog.relations[place];
    let columns = relation.columns.iter().filter(|column| column.is_not_null);
    let columns: Vec<String> = columns.map(|column| column.name.clone()).collect();
    let parents = catalog.relations[place].parents.clone();
    for column in columns {
        // A child has its parent's, under that name.
        let mut above = parents.iter().filter_map(|parent| place_of(catalog, parent));
        let of_parent = above.find_map(|parent| not_null_name(&catalog.relations[parent], &column));
        let is_inherited = of_parent.is_some();
        add_not_null(
            catalog,
            place,
            &column,
            of_parent.as_deref(),
            ConstraintTiming::default(),
            is_inherited,
        );
    }
}

fn foreign_key(
    catalog: &mut Catalog,
    place: usize,
    constraint: &TableConstraint,
    columns: &[Identifier],
    key: &ForeignKey,
) -> Result<(), String> {
    expect_columns(&catalog.relations[place], columns)?;
    let table = catalog.relations[place].name.clone();
    let referenced = match look_for(catalog, &key.table)? {
        Some(referenced) => catalog.relations[referenced].name.clone(),
        None => made(catalog, &key.table)?,
    };
    let referenced_columns = referenced_columns(catalog, key)?;
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let references = Reference {
        table: referenced,
        columns: referenced_columns,
        on_delete: key.on_delete.code().to_owned(),
        on_update: key.on_update.code().to_owned(),
    };
    let definition = key_definition(&names, &references, key);
    let name = constraint.name.as_ref().map(|name| name.name.clone()).unwrap_or_else(|| {
        name::constraint(catalog, &table.schema, &table.name, &name::joined(&names), "fkey")
    });
    let made = Constraint {
        name,
        kind: ConstraintKind::ForeignKey,
        columns: names,
        definition,
        references: Some(references),
        ..Constraint::default()
    };
    let made = timed(constraint.timing, made);
    if catalog.relations[place].partition_key.is_some() {
        spread(catalog, place, &made);
    } else {
        catalog.relations[place].constraints.push(made);
    }
    Ok(())
}

/// Those that are written, or the primary key of the other table.
fn referenced_columns(catalog: &Catalog, key: &ForeignKey) -> Result<Vec<String>, String> {
    let target = look_for(catalog, &key.table)?.map(|place| &catalog.relations[place]);
    if let Some(target) = target {
        expect_columns(target, &key.columns)?;
    }
    if !key.columns.is_empty() {
        return Ok(key.columns.iter().map(|column| column.name.clone()).collect());
    }
    let mut constraints = target.into_iter().flat_map(|target| &target.constraints);
    match constraints.find(|known| known.kind == ConstraintKind::PrimaryKey) {
        Some(primary) => Ok(primary.columns.clone()),
        None if super::is_partial(catalog) => Ok(Vec::new()),
        None => Err(format!("there is no primary key for referenced table \"{}\"", key.table)),
    }
}

fn key_definition(columns: &[String], references: &Reference, key: &ForeignKey) -> String {
    let list = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let table = if references.table.schema == "public" {
        quoted(&references.table.name)
    } else {
        references.table.quoted()
    };
    let mut text =
        format!("FOREIGN KEY ({}) REFERENCES {table}({})", list(columns), list(&references.columns));
    for (code, event) in [(&references.on_update, "UPDATE"), (&references.on_delete, "DELETE")] {
        let action = match code.as_str() {
            "r" => "RESTRICT",
            "c" => "CASCADE",
            "n" => "SET NULL",
            "d" => "SET DEFAULT",
            _ => continue,
        };
        text.push_str(&format!(" ON {event} {action}"));
    }
    if let Some(matching) = key.matching.as_ref().filter(|matching| *matching != "SIMPLE") {
        text.push_str(&format!(" MATCH {matching}"));
    }
    text
}

/// Drops one by its name, with its index, and from the children.
pub(super) fn drop(catalog: &mut Catalog, place: usize, name: &str, is_cascade: bool) -> Result<(), String> {
    let table = catalog.relations[place].name.clone();
    let Some(known) = catalog.relations[place].constraints.iter().find(|known| known.name == name).cloned()
    else {
        return Err(format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name));
    };
    if known.is_inherited {
        return Err(format!("cannot drop inherited constraint \"{name}\" of relation \"{}\"", table.name));
    }
    if matches!(known.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique) {
        free_key(catalog, &table, &known, is_cascade)?;
    }
    for member in family(catalog, place) {
        let relation = &mut catalog.relations[member];
        let is_of_family = |one: &Constraint| {
            one.name == name || (member != place && one.is_inherited && same_key(one, &known))
        };
        let gone: Vec<Constraint> =
            relation.constraints.iter().filter(|one| is_of_family(one)).cloned().collect();
        relation.constraints.retain(|one| !is_of_family(one));
        for gone in gone {
            if let Some(index) = &gone.index {
                relation.indexes.retain(|one| one.name != *index);
            }
            if gone.kind == ConstraintKind::NotNull {
                for column in relation.columns.iter_mut().filter(|column| gone.columns.contains(&column.name))
                {
                    column.is_not_null = false;
                }
            }
        }
    }
    Ok(())
}

/// Whether a partition's constraint came from its parent's, under another name.
fn same_key(one: &Constraint, other: &Constraint) -> bool {
    one.kind == other.kind && one.columns == other.columns && one.kind != ConstraintKind::Check
}

/// Foreign keys that rely on a key go with it, or keep it.
pub(super) fn free_key(
    catalog: &mut Catalog,
    table: &Name,
    key: &Constraint,
    is_cascade: bool,
) -> Result<(), String> {
    let relies = |one: &Constraint| {
        let references = one.references.as_ref();
        references.is_some_and(|references| {
            references.table == *table && same_set(&references.columns, &key.columns)
        })
    };
    for relation in &mut catalog.relations {
        if let Some(one) = relation.constraints.iter().find(|one| relies(one)).filter(|_| !is_cascade) {
            return Err(format!(
                "constraint \"{}\" of table \"{}\" depends on index \"{}\"",
                one.name, relation.name.name, key.name
            ));
        }
        relation.constraints.retain(|one| !relies(one));
    }
    Ok(())
}

fn same_set(first: &[String], second: &[String]) -> bool {
    first.len() == second.len() && first.iter().all(|one| second.contains(one))
}
