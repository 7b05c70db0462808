//! Types and domains: made, altered, dropped with the columns that have them.

use posthaste_base::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Name, Relation, RelationKind, TypeInfo, TypeKind,
};

use super::{alter, column, constraint, find, made, name, rename};
use crate::statement::{
    Action, Alter, CreateDomain, CreateType, ObjectName, TableConstraint, TableConstraintKind,
    TypeDefinition, ValuePlace,
};

pub(super) fn create(catalog: &mut Catalog, create: &CreateType) -> Result<(), String> {
    let name = made(catalog, &create.name)?;
    let is_shell = create.definition == TypeDefinition::Shell;
    if catalog.types.iter().any(|known| known.name == name && (known.kind != TypeKind::Base || is_shell)) {
        return Err(format!("type \"{}\" already exists", create.name));
    }
    let info = |kind: TypeKind, labels: Vec<String>| TypeInfo {
        name: name.clone(),
        kind,
        labels,
        ..TypeInfo::default()
    };
    match &create.definition {
        TypeDefinition::Enum { labels } => catalog.types.push(info(TypeKind::Enum, labels.clone())),
        TypeDefinition::Range { .. } => catalog.types.push(info(TypeKind::Range, Vec::new())),
        TypeDefinition::Base { .. } | TypeDefinition::Shell => {
            catalog.types.retain(|known| known.name != name);
            catalog.types.push(info(TypeKind::Base, Vec::new()));
        }
        TypeDefinition::Composite { columns } => {
            let mut made = Vec::new();
            for (index, definition) in columns.iter().enumerate() {
                made.push(column::make(catalog, &name, index as i16 + 1, definition));
            }
            catalog.types.push(info(TypeKind::Composite, Vec::new()));
            catalog.relations.push(Relation {
                name,
                kind: RelationKind::Composite,
                columns: made,
                replica_identity: "n".to_owned(),
                ..Relation::default()
            });
        }
    }
    Ok(())
}

pub(super) fn create_domain(catalog: &mut Catalog, create: &CreateDomain) -> Result<(), String> {
    let name = made(catalog, &create.name)?;
    if catalog.types.iter().any(|known| known.name == name) {
        return Err(format!("type \"{}\" already exists", create.name));
    }
    catalog.types.push(TypeInfo {
        name,
        kind: TypeKind::Domain,
        base: Some(create.base.canonical.clone()),
        is_not_null: create.is_not_null,
        default: create.default.as_ref().map(|default| default.text.clone()),
        ..TypeInfo::default()
    });
    let place = catalog.types.len() - 1;
    create.constraints.iter().try_for_each(|one| add_domain_check(catalog, place, one))
}

fn add_domain_check(catalog: &mut Catalog, place: usize, made: &TableConstraint) -> Result<(), String> {
    let domain = catalog.types[place].name.clone();
    let (kind, label, definition) = match &made.kind {
        TableConstraintKind::Check { expression, .. } => {
            (ConstraintKind::Check, "check", format!("CHECK (({}))", expression.text))
        }
        TableConstraintKind::NotNull { .. } => {
            catalog.types[place].is_not_null = true;
            if catalog.server.major() < 17 {
                return Ok(());
            }
            (ConstraintKind::NotNull, "not_null", "NOT NULL".to_owned())
        }
        _ => return Ok(()),
    };
    let given = made.name.as_ref().map(|name| name.name.clone());
    if given.as_ref().is_some_and(|given| catalog.types[place].checks.iter().any(|one| one.name == *given)) {
        return Err(format!(
            "constraint \"{}\" for domain \"{}\" already exists",
            given.unwrap_or_default(),
            domain.name
        ));
    }
    let name = given.unwrap_or_else(|| name::constraint(catalog, &domain.schema, &domain.name, "", label));
    let check = Constraint { name, kind, definition, ..Constraint::default() };
    catalog.types[place].checks.push(constraint::timed(made.timing, check));
    Ok(())
}

fn place_of_type(catalog: &Catalog, name: &ObjectName) -> Option<usize> {
    let in_schema = |schema: &str| {
        catalog.types.iter().position(|one| one.name.name == name.name && one.name.schema == schema)
    };
    match &name.schema {
        Some(schema) => in_schema(schema),
        None => catalog.search_path.iter().find_map(|schema| in_schema(schema)),
    }
}

/// Gives a type another name, also in the columns that have it.
fn move_type(catalog: &mut Catalog, place: usize, to: &Name) {
    let from = std::mem::replace(&mut catalog.types[place].name, to.clone());
    for column in catalog.relations.iter_mut().flat_map(|relation| &mut relation.columns) {
        for prefix in ["", "_"] {
            let is_it = column.type_ref.name.strip_prefix(prefix) == Some(&from.name);
            if is_it && column.type_ref.schema == from.schema {
                column.type_ref = Name::new(&to.schema, format!("{prefix}{}", to.name));
                column.type_name = column.type_name.replace(&from.name, &to.name);
                break;
            }
        }
    }
}

pub(super) fn drop(catalog: &mut Catalog, name: &ObjectName, is_cascade: bool) -> Result<bool, String> {
    let Some(place) = place_of_type(catalog, name) else { return Ok(false) };
    let known = catalog.types[place].name.clone();
    let array = Name::new(&known.schema, format!("_{}", known.name));
    let has_type = |column: &Column| column.type_ref == known || column.type_ref == array;
    let mut columns: Vec<(Name, String)> = Vec::new();
    for relation in catalog.relations.iter().filter(|relation| relation.name != known) {
        let used = relation.columns.iter().filter(|column| has_type(column));
        columns.extend(used.map(|column| (relation.name.clone(), column.name.clone())));
    }
    if let Some((table, column)) = columns.first().filter(|_| !is_cascade) {
        return Err(format!("column \"{column}\" of \"{}\" depends on type \"{name}\"", table.name));
    }
    for (table, column) in columns {
        if let Some(place) = super::place_of(catalog, &table) {
            super::drop::column(catalog, &[place], &column, true)?;
        }
    }
    catalog.relations.retain(|relation| relation.kind != RelationKind::Composite || relation.name != known);
    catalog.types.retain(|one| one.name != known);
    Ok(true)
}

pub(super) fn alter(catalog: &mut Catalog, statement: &Alter) -> Result<(), String> {
    let composite = find(catalog, &statement.name);
    let composite = composite.filter(|place| catalog.relations[*place].kind == RelationKind::Composite);
    if let Some(place) = composite {
        return statement
            .clauses
            .iter()
            .try_for_each(|clause| composite_clause(catalog, place, &clause.action));
    }
    let place = place_of_type(catalog, &statement.name)
        .ok_or_else(|| format!("type \"{}\" does not exist", statement.name))?;
    statement.clauses.iter().try_for_each(|clause| type_clause(catalog, place, &clause.action))
}

fn composite_clause(catalog: &mut Catalog, place: usize, action: &Action) -> Result<(), String> {
    match action {
        Action::AddAttribute { column, .. } => alter::add_column(catalog, place, &[place], column),
        Action::DropAttribute { attribute, if_exists, .. } => {
            let before = catalog.relations[place].columns.len();
            catalog.relations[place].columns.retain(|column| column.name != attribute.name);
            let is_gone = catalog.relations[place].columns.len() < before;
            if is_gone || *if_exists { Ok(()) } else { Err(format!("column \"{attribute}\" does not exist")) }
        }
        Action::AlterAttribute { attribute, type_name, collation, .. } => {
            let mut known = alter::column_of(catalog, place, attribute)?.clone();
            column::set_type(catalog, &mut known, type_name);
            known.collation = collation.as_ref().map(|collation| collation.name.clone());
            *alter::column_of(catalog, place, attribute)? = known;
            Ok(())
        }
        Action::RenameAttribute { from, to, .. } => {
            alter::column_of(catalog, place, from)?.name.clone_from(&to.name);
            Ok(())
        }
        Action::RenameTo { to } => rename::relation(catalog, place, to),
        Action::SetSchema { schema } => rename::set_schema(catalog, place, schema),
        _ => Ok(()),
    }
}

fn type_clause(catalog: &mut Catalog, place: usize, action: &Action) -> Result<(), String> {
    let name = catalog.types[place].name.clone();
    match action {
        Action::AddConstraint(made) => return add_domain_check(catalog, place, made),
        Action::RenameTo { to } => {
            move_type(catalog, place, &Name::new(&name.schema, &to.name));
            return Ok(());
        }
        Action::SetSchema { schema } => {
            move_type(catalog, place, &Name::new(&schema.name, &name.name));
            return Ok(());
        }
        _ => {}
    }
    let known = &mut catalog.types[place];
    match action {
        Action::AddValue { value, if_not_exists, place } => {
            return add_value(known, value, *if_not_exists, place.as_ref());
        }
        Action::RenameValue { from, to } => {
            let label = known.labels.iter_mut().find(|label| *label == from);
            label.ok_or_else(|| format!("\"{from}\" is not an existing enum label"))?.clone_from(to);
        }
        Action::SetDomainDefault { expression } => known.default = Some(expression.text.clone()),
        Action::DropDomainDefault => known.default = None,
        Action::SetDomainNotNull => known.is_not_null = true,
        Action::DropDomainNotNull => known.is_not_null = false,
        Action::ValidateConstraint { constraint } => {
            known.checks.iter_mut().for_each(|one| one.is_validated |= one.name == constraint.name);
        }
        Action::DropConstraint { constraint, if_exists, .. } => {
            let before = known.checks.len();
            known.checks.retain(|one| one.name != constraint.name);
            if known.checks.len() == before && !if_exists {
                return Err(format!("constraint \"{constraint}\" does not exist"));
            }
        }
        Action::RenameConstraint { from, to } => {
            known
                .checks
                .iter_mut()
                .filter(|one| one.name == from.name)
                .for_each(|one| one.name.clone_from(&to.name));
        }
        _ => {}
    }
    Ok(())
}

fn add_value(
    known: &mut TypeInfo,
    value: &str,
    if_not_exists: bool,
    place: Option<&ValuePlace>,
) -> Result<(), String> {
    if known.labels.iter().any(|label| label == value) {
        return if if_not_exists { Ok(()) } else { Err(format!("enum label \"{value}\" already exists")) };
    }
    let find = |label: &String| known.labels.iter().position(|one| one == label);
    let at = match place {
        None => Some(known.labels.len()),
        Some(ValuePlace::Before(label)) => find(label),
        Some(ValuePlace::After(label)) => find(label).map(|at| at + 1),
    };
    let at = at.ok_or_else(|| format!("the label beside \"{value}\" does not exist"))?;
    known.labels.insert(at, value.to_owned());
    Ok(())
}
