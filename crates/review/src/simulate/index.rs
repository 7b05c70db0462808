//! Indexes, and the constraints that have one.

use posthaste_base::catalog::{Catalog, Constraint, ConstraintKind, Index, IndexKey, Name, Relation};

use super::{constraint, expect, family, is_taken, name};
use crate::lower::quoted;
use crate::statement::{
    self, CreateIndex, Expression, Identifier, NullsOrder, Shape, TableConstraint, TableConstraintKind,
};

pub(super) fn create(catalog: &mut Catalog, create: &CreateIndex) -> Result<(), String> {
    let place = expect(catalog, &create.table)?;
    let table = catalog.relations[place].name.clone();
    let taken = create.name.as_ref().filter(|name| is_taken(catalog, &Name::new(&table.schema, &name.name)));
    if let Some(name) = taken {
        return if create.if_not_exists {
            Ok(())
        } else {
            Err(format!("relation \"{name}\" already exists"))
        };
    }
    let columns: Vec<Identifier> = create.keys.iter().filter_map(|key| key.column.clone()).collect();
    constraint::expect_columns(&catalog.relations[place], &columns)?;
    constraint::expect_columns(&catalog.relations[place], &create.include)?;
    let names =
        create.keys.iter().map(key_name).chain(create.include.iter().map(|column| column.name.clone()));
    let joined = name::joined(&numbered(names));
    let name = match &create.name {
        Some(name) => Name::new(&table.schema, &name.name),
        None => name::relation(catalog, &table.schema, &table.name, &joined, "idx", false),
    };
    let is_partitioned = catalog.relations[place].partition_key.is_some();
    let index = Index {
        name,
        method: create.method.as_ref().map_or("btree", |method| method.as_str()).to_owned(),
        is_unique: create.is_unique,
        is_valid: !(create.is_only && is_partitioned),
        is_ready: true,
        is_immediate: true,
        is_partitioned,
        nulls_not_distinct: create.nulls_not_distinct,
        keys: create.keys.iter().map(key).collect(),
        include: create.include.iter().map(|column| column.name.clone()).collect(),
        has_predicate: create.predicate.is_some(),
        predicate: create.predicate.as_ref().map(|predicate| predicate.text.clone()),
        ..Index::default()
    };
    catalog.relations[place].indexes.push(index.clone());
    if is_partitioned && !create.is_only {
        for child in children(catalog, place) {
            attach_or_copy(catalog, child, &index);
        }
    }
    Ok(())
}

fn children(catalog: &Catalog, place: usize) -> Vec<usize> {
    let parent = &catalog.relations[place].name;
    let is_child = |relation: &Relation| relation.parents.contains(parent);
    (0..catalog.relations.len()).filter(|at| is_child(&catalog.relations[*at])).collect()
}

pub(super) fn key(key: &statement::IndexKey) -> IndexKey {
    IndexKey {
        column: key.column.as_ref().map(|column| column.name.clone()),
        expression: key.expression.as_ref().map(|expression| expression.text.clone()),
        opclass: key.opclass.as_ref().map(|class| class.name.clone()).unwrap_or_default(),
        collation: key.collation.as_ref().map(|collation| collation.name.clone()),
        is_descending: key.is_descending,
        // NULLs come first where the order is turned around.
        is_nulls_first: key.nulls.map_or(key.is_descending, |nulls| nulls == NullsOrder::First),
    }
}

/// What a key adds to the name that is chosen: the column, or what a SELECT would call the expression.
fn key_name(key: &statement::IndexKey) -> String {
    match (&key.column, &key.expression) {
        (Some(column), _) => column.name.clone(),
        (None, Some(Expression { shape: Shape::Call(name), .. })) => name.name.clone(),
        (None, Some(Expression { shape: Shape::Column(column), .. })) => column.column.name.clone(),
        _ => "expr".to_owned(),
    }
}

/// Names that come again get numbers, as in `expr` and `expr1`.
fn numbered(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let mut unique = name.clone();
        let mut number = 0;
        while found.contains(&unique) {
            number += 1;
            unique = format!("{name}{number}");
        }
        found.push(unique);
    }
    found
}

/// The parts of a UNIQUE or PRIMARY KEY.
struct Key<'a> {
    columns: &'a [Identifier],
    include: &'a [Identifier],
    using_index: Option<&'a Identifier>,
    is_primary: bool,
    nulls_not_distinct: bool,
}

/// UNIQUE and PRIMARY KEY.
pub(super) fn add_key(catalog: &mut Catalog, place: usize, made: &TableConstraint) -> Result<(), String> {
    let key = match &made.kind {
        TableConstraintKind::PrimaryKey { columns, include, using_index, .. } => {
            let using_index = using_index.as_ref();
            Key { columns, include, using_index, is_primary: true, nulls_not_distinct: false }
        }
        TableConstraintKind::Unique { columns, include, using_index, nulls_not_distinct, .. } => Key {
            columns,
            include,
            using_index: using_index.as_ref(),
            is_primary: false,
            nulls_not_distinct: *nulls_not_distinct,
        },
        _ => return Ok(()),
    };
    let relation = &catalog.relations[place];
    if key.is_primary && relation.indexes.iter().any(|index| index.is_primary) {
        return Err(format!("multiple primary keys for table \"{}\" are not allowed", relation.name.name));
    }
    let index = match key.using_index {
        Some(index) => take_index(catalog, place, index, made.name.as_ref())?,
        None => new_key(catalog, place, made, &key)?,
    };
    let known = catalog.relations[place].indexes.iter_mut().find(|one| one.name == index);
    let Some(known) = known else { return Err(format!("index \"{}\" does not exist", index.name)) };
    known.is_primary = key.is_primary;
    known.is_unique = true;
    known.is_immediate = !made.timing.is_deferrable;
    known.constraint = Some(index.name.clone());
    let columns: Vec<String> = known.keys.iter().filter_map(|key| key.column.clone()).collect();
    let known = known.clone();
    let constraint = key_constraint(&known, columns.clone(), made);
    catalog.relations[place].constraints.push(constraint);
    if key.is_primary {
        for member in family(catalog, place) {
            for column in &columns {
                constraint::set_not_null(catalog, member, column);
            }
            constraint::add_not_nulls(catalog, member);
        }
    }
    if known.is_partitioned {
        for child in children(catalog, place) {
            attach_or_copy(catalog, child, &known);
        }
    }
    Ok(())
}

fn key_constraint(index: &Index, columns: Vec<String>, made: &TableConstraint) -> Constraint {
    let list = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let words = if index.is_primary { "PRIMARY KEY" } else { "UNIQUE" };
    let distinct = if index.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
    let constraint = Constraint {
        name: index.name.name.clone(),
        kind: if index.is_primary { ConstraintKind::PrimaryKey } else { ConstraintKind::Unique },
        columns,
        definition: format!("{words}{distinct} ({list})"),
        index: Some(index.name.clone()),
        no_inherit: true,
        ..Constraint::default()
    };
    constraint::timed(made.timing, constraint)
}

/// An index that is there becomes the constraint's, under its name.
fn take_index(
    catalog: &mut Catalog,
    place: usize,
    index: &Identifier,
    name: Option<&Identifier>,
) -> Result<Name, String> {
    let schema = catalog.relations[place].name.schema.clone();
    let indexes = &mut catalog.relations[place].indexes;
    let Some(known) = indexes.iter_mut().find(|one| one.name.name == index.name) else {
        return Err(format!("index \"{index}\" does not exist"));
    };
    if !known.is_unique || known.predicate.is_some() || known.keys.iter().any(|key| key.column.is_none()) {
        return Err(format!("\"{index}\" is not a plain unique index"));
    }
    known.name = Name::new(schema, name.map_or(&index.name, |name| &name.name));
    Ok(known.name.clone())
}

fn new_key(catalog: &mut Catalog, place: usize, made: &TableConstraint, key: &Key) -> Result<Name, String> {
    constraint::expect_columns(&catalog.relations[place], key.columns)?;
    constraint::expect_columns(&catalog.relations[place], key.include)?;
    let table = catalog.relations[place].name.clone();
    let columns: Vec<String> = key.columns.iter().map(|column| column.name.clone()).collect();
    let include: Vec<String> = key.include.iter().map(|column| column.name.clone()).collect();
    let name = match &made.name {
        Some(name) => Name::new(&table.schema, &name.name),
        None if key.is_primary => name::relation(catalog, &table.schema, &table.name, "", "pkey", true),
        None => {
            let all: Vec<String> = columns.iter().chain(&include).cloned().collect();
            name::relation(
                catalog,
                &table.schema,
                &table.name,
                &name::joined(&numbered(all.into_iter())),
                "key",
                true,
            )
        }
    };
    if is_taken(catalog, &name) {
        return Err(format!("relation \"{}\" already exists", name.name));
    }
    let key_of = |column: &String| IndexKey { column: Some(column.clone()), ..IndexKey::default() };
    let relation = &mut catalog.relations[place];
    relation.indexes.push(Index {
        name: name.clone(),
        method: "btree".to_owned(),
        is_valid: true,
        is_ready: true,
        is_partitioned: relation.partition_key.is_some(),
        nulls_not_distinct: key.nulls_not_distinct,
        keys: columns.iter().map(key_of).collect(),
        include,
        ..Index::default()
    });
    Ok(name)
}

pub(super) fn add_exclusion(
    catalog: &mut Catalog,
    place: usize,
    made: &TableConstraint,
) -> Result<(), String> {
    let TableConstraintKind::Exclude { method, elements, include, predicate, .. } = &made.kind else {
        return Ok(());
    };
    let table = catalog.relations[place].name.clone();
    let names = numbered(elements.iter().map(|element| key_name(&element.key)));
    let name = match &made.name {
        Some(name) => Name::new(&table.schema, &name.name),
        None => name::relation(catalog, &table.schema, &table.name, &name::joined(&names), "excl", true),
    };
    let parts = elements.iter().map(|element| {
        let column = element.key.column.as_ref().map(|column| column.name.clone());
        let text = column.or_else(|| element.key.expression.as_ref().map(|it| it.text.clone()));
        format!("{} WITH {}", text.unwrap_or_default(), element.operator)
    });
    let method = method.as_ref().map_or("btree", |method| method.as_str()).to_owned();
    let mut definition = format!("EXCLUDE USING {method} ({})", parts.collect::<Vec<_>>().join(", "));
    if let Some(predicate) = predicate {
        definition.push_str(&format!(" WHERE ({})", predicate.text));
    }
    let columns = elements.iter().filter_map(|element| element.key.column.as_ref().map(|it| it.name.clone()));
    let constraint = Constraint {
        name: name.name.clone(),
        kind: ConstraintKind::Exclusion,
        columns: columns.collect(),
        definition,
        index: Some(name.clone()),
        no_inherit: true,
        ..Constraint::default()
    };
    let relation = &mut catalog.relations[place];
    relation.constraints.push(constraint::timed(made.timing, constraint));
    relation.indexes.push(Index {
        constraint: Some(name.name.clone()),
        name,
        method,
        is_exclusion: true,
        is_valid: true,
        is_ready: true,
        is_immediate: !made.timing.is_deferrable,
        keys: elements.iter().map(|element| key(&element.key)).collect(),
        include: include.iter().map(|column| column.name.clone()).collect(),
        has_predicate: predicate.is_some(),
        predicate: predicate.as_ref().map(|predicate| predicate.text.clone()),
        ..Index::default()
    });
    Ok(())
}

/// A partition's index for one of its parent's: one that is there and is alike, or a new one.
pub(super) fn attach_or_copy(catalog: &mut Catalog, place: usize, parent: &Index) {
    let is_alike = |one: &Index| {
        one.parent.is_none()
            && one.is_valid
            && one.is_unique == parent.is_unique
            && one.method == parent.method
            && same_keys(&one.keys, &parent.keys)
            && one.include == parent.include
            && one.predicate == parent.predicate
            // A constraint needs one.
            && (parent.constraint.is_none() || one.constraint.is_some())
    };
    let relation = &mut catalog.relations[place];
    match relation.indexes.iter_mut().find(|one| is_alike(one)) {
        Some(known) => {
            known.parent = Some(parent.name.clone());
            let name = known.constraint.clone();
            for constraint in relation.constraints.iter_mut().filter(|one| Some(&one.name) == name.as_ref()) {
                constraint.is_inherited = true;
            }
        }
        None => copy(catalog, place, parent, Some(&parent.name)),
    }
}

/// The operator class is not known where none was written.
fn same_keys(first: &[IndexKey], second: &[IndexKey]) -> bool {
    let plain = |key: &IndexKey| IndexKey { opclass: String::new(), ..key.clone() };
    let is_alike = |(a, b): (&IndexKey, &IndexKey)| {
        plain(a) == plain(b) && (a.opclass.is_empty() || b.opclass.is_empty() || a.opclass == b.opclass)
    };
    first.len() == second.len() && first.iter().zip(second).all(is_alike)
}

/// A like index on another table, under the name that the server chooses.
pub(super) fn copy(catalog: &mut Catalog, place: usize, from: &Index, parent: Option<&Name>) {
    let table = catalog.relations[place].name.clone();
    let names = from.keys.iter().map(|key| match (&key.column, &key.expression) {
        (Some(column), _) => column.clone(),
        (None, Some(text)) if text.ends_with(')') && !text.starts_with('(') => {
            text.split('(').next().unwrap_or_default().to_owned()
        }
        _ => "expr".to_owned(),
    });
    let joined = name::joined(&numbered(names.chain(from.include.iter().cloned())));
    let (second, label) = match (from.is_primary, &from.constraint) {
        (true, _) => ("", "pkey"),
        (false, Some(_)) if from.is_exclusion => (joined.as_str(), "excl"),
        (false, Some(_)) => (joined.as_str(), "key"),
        (false, None) => (joined.as_str(), "idx"),
    };
    let name = name::relation(catalog, &table.schema, &table.name, second, label, from.constraint.is_some());
    let is_partitioned = catalog.relations[place].partition_key.is_some();
    let index = Index {
        oid: 0,
        name: name.clone(),
        is_partitioned,
        is_valid: true,
        is_clustered: false,
        is_replica_identity: false,
        parent: parent.cloned(),
        constraint: from.constraint.as_ref().map(|_| name.name.clone()),
        ..from.clone()
    };
    if from.constraint.is_some() {
        let columns: Vec<String> = from.keys.iter().filter_map(|key| key.column.clone()).collect();
        let made = TableConstraint {
            span: statement::Span::default(),
            name: None,
            kind: TableConstraintKind::NotNull { column: Identifier::default(), no_inherit: false },
            timing: statement::ConstraintTiming { is_deferrable: !from.is_immediate, ..Default::default() },
        };
        let constraint = key_constraint(&index, columns, &made);
        let constraint =
            Constraint { is_inherited: parent.is_some(), no_inherit: parent.is_none(), ..constraint };
        catalog.relations[place].constraints.push(constraint);
    }
    catalog.relations[place].indexes.push(index.clone());
    if is_partitioned {
        for child in children(catalog, place) {
            attach_or_copy(catalog, child, &index);
        }
    }
}
