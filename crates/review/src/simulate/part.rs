//! Parts of tables that are known by their names: triggers, rules, policies.

use posthaste_base::catalog::{Catalog, Constraint, ConstraintKind, Relation, Trigger};

use super::{alter, expect, family, find, object};
use crate::statement::{
    Action, Alter, CreatePolicy, CreateRule, CreateTrigger, DropTarget, ObjectKind, ObjectName,
};

pub(super) fn create_trigger(catalog: &mut Catalog, create: &CreateTrigger) -> Result<(), String> {
    let place = expect(catalog, &create.table)?;
    let found = object::function_places(catalog, &create.function, None).first().copied();
    let function = match found {
        Some(function) => catalog.functions[function].name.clone(),
        None => create.function.in_schema("pg_catalog"),
    };
    let is_known = catalog.relations[place].triggers.iter().any(|one| one.name == create.name.name);
    if is_known && !create.or_replace {
        return Err(format!("trigger \"{}\" for relation \"{}\" already exists", create.name, create.table));
    }
    // Those for each row of a partitioned table are in its partitions as well.
    let is_spread = catalog.relations[place].partition_key.is_some() && create.for_each_row;
    let members = if is_spread { family(catalog, place) } else { vec![place] };
    for member in members {
        let triggers = &mut catalog.relations[member].triggers;
        triggers.retain(|one| one.name != create.name.name);
        triggers.push(Trigger {
            name: create.name.name.clone(),
            function: function.clone(),
            enabled: "O".to_owned(),
            is_internal: false,
        });
    }
    if create.is_constraint {
        catalog.relations[place].constraints.push(Constraint {
            name: create.name.name.clone(),
            kind: ConstraintKind::Trigger,
            is_validated: true,
            is_enforced: true,
            is_deferrable: create.is_deferrable,
            no_inherit: true,
            definition: "TRIGGER".to_owned(),
            ..Constraint::default()
        });
    }
    Ok(())
}

/// Names of rules or policies of a table.
fn names_of(relation: &mut Relation, kind: ObjectKind) -> &mut Vec<String> {
    if kind == ObjectKind::Rule { &mut relation.rules } else { &mut relation.policies }
}

pub(super) fn create_rule(catalog: &mut Catalog, create: &CreateRule) -> Result<(), String> {
    add_name(catalog, &create.table, &create.name.name, ObjectKind::Rule, create.or_replace)
}

pub(super) fn create_policy(catalog: &mut Catalog, create: &CreatePolicy) -> Result<(), String> {
    add_name(catalog, &create.table, &create.name.name, ObjectKind::Policy, false)
}

fn add_name(
    catalog: &mut Catalog,
    table: &ObjectName,
    name: &str,
    kind: ObjectKind,
    or_replace: bool,
) -> Result<(), String> {
    let place = expect(catalog, table)?;
    let names = names_of(&mut catalog.relations[place], kind);
    if names.iter().any(|known| known == name) {
        return if or_replace { Ok(()) } else { Err(format!("\"{name}\" for \"{table}\" already exists")) };
    }
    names.push(name.to_owned());
    names.sort();
    Ok(())
}

/// ALTER TRIGGER, RULE and POLICY: only their names are in the catalog.
pub(super) fn alter(catalog: &mut Catalog, statement: &Alter) -> Result<(), String> {
    let Some(on) = &statement.on else { return Ok(()) };
    let place = expect(catalog, on)?;
    for clause in &statement.clauses {
        let Action::RenameTo { to } = &clause.action else { continue };
        let relation = &mut catalog.relations[place];
        let known = match statement.kind {
            ObjectKind::Trigger => relation
                .triggers
                .iter_mut()
                .map(|one| &mut one.name)
                .find(|name| **name == statement.name.name),
            kind => names_of(relation, kind).iter_mut().find(|name| **name == statement.name.name),
        };
        known.ok_or_else(|| alter::missing(statement.kind.words(), &statement.name))?.clone_from(&to.name);
    }
    Ok(())
}

pub(super) fn drop(catalog: &mut Catalog, kind: ObjectKind, target: &DropTarget) -> Result<bool, String> {
    let place = target.table.as_ref().and_then(|table| find(catalog, table));
    let Some(place) = place else { return Ok(false) };
    let name = &target.name.name;
    let members = family(catalog, place);
    let relation = &mut catalog.relations[place];
    if kind != ObjectKind::Trigger {
        let names = names_of(relation, kind);
        let before = names.len();
        names.retain(|known| known != name);
        return Ok(names.len() < before);
    }
    let is_there = relation.triggers.iter().any(|one| one.name == *name);
    let is_spread = relation.partition_key.is_some();
    for member in members.into_iter().filter(|member| *member == place || is_spread) {
        let relation = &mut catalog.relations[member];
        relation.triggers.retain(|one| one.name != *name);
        relation.constraints.retain(|one| one.kind != ConstraintKind::Trigger || one.name != *name);
    }
    Ok(is_there)
}
