//! A statement carried out on a catalog, as far as rules ask for it: tables, columns, constraints, indexes, types.
//!
//! Definitions are kept in the words of the file. Not for: whether the server would take it, and for rows.

use posthaste_base::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Dependent, Index, IndexKey, Name, Partition, PartitionKey,
    Reference, Relation, RelationKind, TypeInfo, TypeKind,
};

use super::alter;
use crate::statement::{
    ColumnConstraintKind, ColumnDefinition, CreateIndex, CreateTable, CreateView, Drop, Expression,
    ForeignKey, GeneratedKind, Identifier, ObjectKind, ObjectName, PartitionBound, Persistence, Statement,
    TableConstraint, TableConstraintKind, TypeDefinition,
};

pub(super) fn apply(catalog: &mut Catalog, statement: &Statement) {
    match statement {
        Statement::CreateTable(create) => create_table(catalog, create),
        Statement::CreateTableAs(create) => {
            let name = made_name(catalog, &create.name);
            let columns = create.columns.iter().map(|column| plain_column(column.as_str())).collect();
            put(catalog, Relation { name, columns, ..Relation::default() });
        }
        Statement::CreateView(create) => create_view(catalog, create),
        Statement::CreateIndex(create) => create_index(catalog, create),
        Statement::CreateSchema(create) => catalog.schemas.push(create.name.name.clone()),
        Statement::CreateType(create) => {
            let (kind, labels) = match &create.definition {
                TypeDefinition::Enum { labels } => (TypeKind::Enum, labels.clone()),
                TypeDefinition::Composite { .. } => (TypeKind::Composite, Vec::new()),
                TypeDefinition::Range { .. } => (TypeKind::Range, Vec::new()),
                TypeDefinition::Base { .. } | TypeDefinition::Shell => (TypeKind::Base, Vec::new()),
            };
            let name = made_name(catalog, &create.name);
            catalog.types.push(TypeInfo { name, kind, labels, ..TypeInfo::default() });
        }
        Statement::CreateDomain(create) => {
            let name = made_name(catalog, &create.name);
            let check = |constraint: &TableConstraint| Constraint {
                name: constraint.name.as_ref().map(|name| name.name.clone()).unwrap_or_default(),
                is_validated: !constraint.timing.is_not_valid,
                is_enforced: true,
                ..Constraint::default()
            };
            catalog.types.push(TypeInfo {
                name,
                kind: TypeKind::Domain,
                base: Some(create.base.canonical.clone()),
                is_not_null: create.is_not_null,
                checks: create.constraints.iter().map(check).collect(),
                ..TypeInfo::default()
            });
        }
        Statement::Drop(drop) => drop_objects(catalog, drop),
        Statement::Alter(alter) => alter::apply(catalog, alter),
        _ => {}
    }
}

pub(super) fn made_name(catalog: &Catalog, name: &ObjectName) -> Name {
    name.in_schema(catalog.search_path.first().map_or("public", String::as_str))
}

pub(super) fn known_name(catalog: &Catalog, name: &ObjectName) -> Name {
    let known = catalog.relation(name.schema.as_deref(), &name.name);
    known.map_or_else(|| made_name(catalog, name), |relation| relation.name.clone())
}

pub(super) fn relation_mut<'a>(catalog: &'a mut Catalog, name: &Name) -> Option<&'a mut Relation> {
    catalog.relations.iter_mut().find(|relation| relation.name == *name)
}

/// What is there stays: the server refuses another one of the name, or leaves it with IF NOT EXISTS.
fn put(catalog: &mut Catalog, relation: Relation) {
    if catalog.relation(Some(&relation.name.schema), &relation.name.name).is_none() {
        catalog.relations.push(relation);
    }
}

fn plain_column(name: &str) -> Column {
    Column { name: name.to_owned(), ..Column::default() }
}

fn create_table(catalog: &mut Catalog, create: &CreateTable) {
    let mut relation = Relation {
        name: made_name(catalog, &create.name),
        is_temporary: create.persistence == Persistence::Temporary,
        is_unlogged: create.persistence == Persistence::Unlogged,
        ..Relation::default()
    };
    if let Some(by) = &create.partition_by {
        relation.kind = RelationKind::PartitionedTable;
        let column = |key: &crate::statement::PartitionKeyPart| key.column.as_ref().map(|c| c.name.clone());
        relation.partition_key = Some(PartitionKey {
            strategy: by.strategy.clone(),
            columns: by.keys.iter().map(|key| column(key).unwrap_or_default()).collect(),
            definition: String::new(),
        });
    }
    let of = create.likes.iter().map(|like| &like.table);
    for source in create.inherits.iter().chain(&create.partition_of).chain(of) {
        let source = known_name(catalog, source);
        if let Some(known) = catalog.relations.iter().find(|known| known.name == source) {
            relation.columns.extend(known.columns.iter().cloned());
        }
    }
    relation.parents =
        create.inherits.iter().chain(&create.partition_of).map(|p| known_name(catalog, p)).collect();
    if let Some(parent) = &create.partition_of {
        let is_default = matches!(create.bound, Some(PartitionBound::Default { .. }));
        let bound = if is_default { "DEFAULT".to_owned() } else { String::new() };
        relation.partition = Some(Partition { parent: known_name(catalog, parent), bound, is_default });
    }
    for column in create.columns.iter().filter(|column| column.type_name.is_some()) {
        add_column(catalog, &mut relation, column);
    }
    for constraint in &create.constraints {
        add_constraint(catalog, &mut relation, constraint);
    }
    put(catalog, relation);
}

fn create_view(catalog: &mut Catalog, create: &CreateView) {
    let name = made_name(catalog, &create.name);
    let kind = if create.is_materialized { "materialized-view" } else { "view" };
    for used in &create.query.reads {
        let source = known_name(catalog, &used.name);
        let Some(source) = relation_mut(catalog, &source) else { continue };
        let called = used.alias.as_deref().unwrap_or(&used.name.name);
        let mut columns: Vec<String> = Vec::new();
        for column in &create.query.columns_used {
            let is_its_own = column.table.as_deref().is_none_or(|table| table == called)
                && source.columns.iter().any(|known| known.name == column.column.name);
            if is_its_own && !columns.contains(&column.column.name) {
                columns.push(column.column.name.clone());
            }
        }
        source.dependents.retain(|known| known.name != name);
        source.dependents.push(Dependent { name: name.clone(), kind: kind.to_owned(), columns });
    }
    let kind = if create.is_materialized { RelationKind::MaterializedView } else { RelationKind::View };
    let columns = create.columns.iter().map(|column| plain_column(column.as_str())).collect();
    put(catalog, Relation { name, kind, columns, ..Relation::default() });
}

fn create_index(catalog: &mut Catalog, create: &CreateIndex) {
    let table = known_name(catalog, &create.table);
    let Some(relation) = relation_mut(catalog, &table) else { return };
    let keys: Vec<IndexKey> = create
        .keys
        .iter()
        .map(|key| IndexKey {
            column: key.column.as_ref().map(|column| column.name.clone()),
            expression: key.expression.as_ref().map(|expression| expression.text.clone()),
            is_descending: key.is_descending,
            ..IndexKey::default()
        })
        .collect();
    let name = match &create.name {
        Some(name) => name.name.clone(),
        None => {
            let columns: Vec<&str> = keys.iter().map(|key| key.column.as_deref().unwrap_or("expr")).collect();
            format!("{}_{}_idx", relation.name.name, columns.join("_"))
        }
    };
    if relation.indexes.iter().any(|index| index.name.name == name) {
        return;
    }
    relation.indexes.push(Index {
        name: Name::new(&relation.name.schema, name),
        method: create.method.as_ref().map_or_else(|| "btree".to_owned(), |method| method.name.clone()),
        is_unique: create.is_unique,
        is_partitioned: relation.kind == RelationKind::PartitionedTable,
        keys,
        include: create.include.iter().map(|column| column.name.clone()).collect(),
        predicate: create.predicate.as_ref().map(|predicate| predicate.text.clone()),
        ..valid_index()
    });
}

fn valid_index() -> Index {
    Index { is_valid: true, is_ready: true, is_immediate: true, ..Index::default() }
}

fn drop_objects(catalog: &mut Catalog, drop: &Drop) {
    for target in &drop.targets {
        match drop.kind {
            ObjectKind::Index => {
                let Some((table, index)) = catalog.index(target.name.schema.as_deref(), &target.name.name)
                else {
                    continue;
                };
                let (table, index) = (table.name.clone(), index.name.clone());
                if let Some(relation) = relation_mut(catalog, &table) {
                    relation.indexes.retain(|known| known.name != index);
                }
            }
            ObjectKind::Table
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::ForeignTable => {
                let name = known_name(catalog, &target.name);
                catalog.relations.retain(|relation| relation.name != name);
                for relation in &mut catalog.relations {
                    relation.dependents.retain(|dependent| dependent.name != name);
                    if drop.is_cascade {
                        let leads_there = |c: &Constraint| {
                            c.references.as_ref().is_some_and(|reference| reference.table == name)
                        };
                        relation.constraints.retain(|constraint| !leads_there(constraint));
                    }
                }
            }
            ObjectKind::Type | ObjectKind::Domain => {
                let name = made_name(catalog, &target.name);
                catalog.types.retain(|known| known.name != name);
            }
            ObjectKind::Schema => {
                let schema = &target.name.name;
                catalog.schemas.retain(|known| known != schema);
                catalog.relations.retain(|relation| relation.name.schema != *schema);
            }
            _ => {}
        }
    }
}

/// A column with the constraints that stand in it.
pub(super) fn add_column(catalog: &Catalog, relation: &mut Relation, column: &ColumnDefinition) {
    if relation.columns.iter().any(|known| known.name == column.name.name) {
        return;
    }
    let type_name = column.type_name.clone().unwrap_or_default();
    let made = catalog.types.iter().find(|known| {
        known.name.name == type_name.name.name
            && type_name.name.schema.as_ref().is_none_or(|schema| *schema == known.name.schema)
    });
    let number = relation.columns.iter().map(|known| known.number).max().unwrap_or(0) + 1;
    relation.columns.push(Column {
        name: column.name.name.clone(),
        number,
        type_name: type_name.serial_base().map_or_else(|| type_name.canonical.clone(), str::to_owned),
        type_ref: made.map_or_else(|| type_name.name.in_schema("pg_catalog"), |known| known.name.clone()),
        is_not_null: column.is_not_null(),
        default: column.default().filter(|default| !default.is_null()).map(|default| default.text.clone()),
        generated: column
            .generated()
            .map(|(kind, _)| if kind == GeneratedKind::Stored { "s".to_owned() } else { "v".to_owned() }),
        identity: column.is_identity().then(|| "d".to_owned()),
        ..Column::default()
    });
    let only = std::slice::from_ref(&column.name);
    for constraint in &column.constraints {
        let named = constraint.name.as_ref();
        match &constraint.kind {
            ColumnConstraintKind::PrimaryKey { .. } => {
                add_key(relation, named, only, ConstraintKind::PrimaryKey, None)
            }
            ColumnConstraintKind::Unique { .. } => {
                add_key(relation, named, only, ConstraintKind::Unique, None)
            }
            ColumnConstraintKind::Check { expression, .. } => {
                let is_valid = !constraint.timing.is_not_valid;
                add_check(relation, named, expression, is_valid, !constraint.timing.is_not_enforced);
            }
            ColumnConstraintKind::References(key) => {
                add_reference(catalog, relation, named, only, key, [true, true])
            }
            _ => {}
        }
    }
}

pub(super) fn add_constraint(catalog: &Catalog, relation: &mut Relation, constraint: &TableConstraint) {
    let is_enforced = !constraint.timing.is_not_enforced;
    let is_valid = !constraint.timing.is_not_valid && is_enforced;
    let named = constraint.name.as_ref();
    match &constraint.kind {
        TableConstraintKind::Check { expression, .. } => {
            add_check(relation, named, expression, is_valid, is_enforced)
        }
        TableConstraintKind::NotNull { column, .. } => {
            let name = chosen(relation, named, std::slice::from_ref(column), "not_null");
            let columns = vec![column.name.clone()];
            let kind = ConstraintKind::NotNull;
            relation.constraints.push(Constraint {
                name,
                kind,
                is_validated: is_valid,
                is_enforced,
                columns,
                ..Constraint::default()
            });
            set_not_null(relation, std::slice::from_ref(column));
        }
        TableConstraintKind::Unique { columns, using_index, .. } => {
            add_key(relation, named, columns, ConstraintKind::Unique, using_index.as_ref());
        }
        TableConstraintKind::PrimaryKey { columns, using_index, .. } => {
            add_key(relation, named, columns, ConstraintKind::PrimaryKey, using_index.as_ref());
        }
        TableConstraintKind::ForeignKey { columns, key } => {
            add_reference(catalog, relation, named, columns, key, [is_valid, is_enforced]);
        }
        TableConstraintKind::Exclude { .. } => {
            let name = chosen(relation, named, &[], "excl");
            let kind = ConstraintKind::Exclusion;
            relation.constraints.push(Constraint {
                name,
                kind,
                is_validated: true,
                is_enforced,
                ..Constraint::default()
            });
        }
    }
}

/// The name that is written, or the one that PostgreSQL would choose.
fn chosen(relation: &Relation, named: Option<&Identifier>, columns: &[Identifier], suffix: &str) -> String {
    named.map_or_else(
        || {
            let mut parts = vec![relation.name.name.as_str()];
            parts.extend(columns.iter().map(Identifier::as_str));
            parts.push(suffix);
            parts.join("_")
        },
        |name| name.name.clone(),
    )
}

fn add_check(
    relation: &mut Relation,
    named: Option<&Identifier>,
    expression: &Expression,
    is_validated: bool,
    is_enforced: bool,
) {
    let mut columns: Vec<String> = Vec::new();
    for used in &expression.columns {
        if !columns.contains(&used.column.name) {
            columns.push(used.column.name.clone());
        }
    }
    let used: Vec<Identifier> = expression.columns.iter().take(1).map(|used| used.column.clone()).collect();
    let name = chosen(relation, named, &used, "check");
    // As the server writes it, so that it can be read as a proof.
    let proven: Vec<String> =
        expression.not_null_columns().map(|column| format!("{column} IS NOT NULL")).collect();
    let text = if !proven.is_empty() && proven.len() == expression.conjuncts.len() {
        proven.join(" AND ")
    } else {
        expression.text.clone()
    };
    relation.constraints.push(Constraint {
        name,
        kind: ConstraintKind::Check,
        is_validated,
        is_enforced,
        columns,
        definition: format!("CHECK (({text}))"),
        ..Constraint::default()
    });
}

fn add_key(
    relation: &mut Relation,
    named: Option<&Identifier>,
    columns: &[Identifier],
    kind: ConstraintKind,
    using: Option<&Identifier>,
) {
    let is_primary = kind == ConstraintKind::PrimaryKey;
    let name = match (named, using) {
        (None, Some(index)) => index.name.clone(),
        _ => chosen(
            relation,
            named,
            if is_primary { &[] } else { columns },
            if is_primary { "pkey" } else { "key" },
        ),
    };
    let mut names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let index = Name::new(&relation.name.schema, &name);
    if let Some(using) = using {
        // The index takes the constraint's name.
        if let Some(known) = relation.indexes.iter_mut().find(|known| known.name.name == using.name) {
            known.name = index.clone();
            known.constraint = Some(name.clone());
            known.is_primary = is_primary;
            names = known.keys.iter().filter_map(|key| key.column.clone()).collect();
        }
    } else {
        let key = |column: &String| IndexKey { column: Some(column.clone()), ..IndexKey::default() };
        relation.indexes.push(Index {
            name: index.clone(),
            method: "btree".to_owned(),
            is_unique: true,
            is_primary,
            keys: names.iter().map(key).collect(),
            constraint: Some(name.clone()),
            ..valid_index()
        });
    }
    for column in relation.columns.iter_mut().filter(|column| is_primary && names.contains(&column.name)) {
        column.is_not_null = true;
    }
    relation.constraints.push(Constraint {
        name,
        kind,
        is_validated: true,
        is_enforced: true,
        columns: names,
        index: Some(index),
        ..Constraint::default()
    });
}

fn add_reference(
    catalog: &Catalog,
    relation: &mut Relation,
    named: Option<&Identifier>,
    columns: &[Identifier],
    key: &ForeignKey,
    [is_validated, is_enforced]: [bool; 2],
) {
    let name = chosen(relation, named, columns, "fkey");
    let names = |identifiers: &[Identifier]| identifiers.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
    relation.constraints.push(Constraint {
        name,
        kind: ConstraintKind::ForeignKey,
        is_validated,
        is_enforced,
        columns: names(columns),
        references: Some(Reference {
            table: known_name(catalog, &key.table),
            columns: names(&key.columns),
            on_delete: key.on_delete.code().to_owned(),
            on_update: key.on_update.code().to_owned(),
        }),
        ..Constraint::default()
    });
}

pub(super) fn set_not_null(relation: &mut Relation, columns: &[Identifier]) {
    for column in relation.columns.iter_mut().filter(|known| columns.iter().any(|c| c.name == known.name)) {
        column.is_not_null = true;
    }
}
