//! ALTER: each clause carried out on the catalog, and on what inherits from the table.

use posthaste_base::catalog::{Catalog, Column, Constraint, ConstraintKind, Index, Name, Relation, Sequence};

use super::{
    column, constraint, drop, expect, family, find, kind, object, part, rename, schema, sequence, table,
};
use crate::statement::{
    Action, Alter, ConstraintChange, Identifier, ObjectKind, ObjectName, ReplicaIdentity, RowSecurity,
    ToggleMode, TriggerChoice, TypeName,
};

pub(super) fn apply(catalog: &mut Catalog, alter: &Alter) -> Result<(), String> {
    match alter.kind {
        ObjectKind::Type | ObjectKind::Domain => kind::alter(catalog, alter),
        ObjectKind::Table
        | ObjectKind::ForeignTable
        | ObjectKind::Index
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Sequence => alter_relation(catalog, alter),
        ObjectKind::Schema => schema::rename(catalog, alter),
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => {
            object::alter_function(catalog, alter)
        }
        ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy => part::alter(catalog, alter),
        ObjectKind::Publication => object::alter_publication(catalog, alter),
        _ => Ok(()),
    }
}

/// ALTER TABLE may also name an index or a sequence.
fn alter_relation(catalog: &mut Catalog, alter: &Alter) -> Result<(), String> {
    if let Some(place) = find(catalog, &alter.name) {
        // The others are carried out all the same, for those who go on after a refusal.
        let mut refused = Ok(());
        for clause in &alter.clauses {
            let members = if alter.is_only { vec![place] } else { family(catalog, place) };
            refused = refused.and(relation_clause(catalog, place, &members, &clause.action));
        }
        return refused;
    }
    if sequence::place(catalog, &alter.name).is_some() {
        return sequence::alter(catalog, alter);
    }
    if let Some((table, index)) = drop::index_place(catalog, &alter.name) {
        return alter
            .clauses
            .iter()
            .try_for_each(|clause| index_clause(catalog, table, index, &clause.action));
    }
    if alter.if_exists || super::is_partial(catalog) {
        return Ok(());
    }
    Err(format!("relation \"{}\" does not exist", alter.name))
}

fn index_clause(catalog: &mut Catalog, table: usize, index: usize, action: &Action) -> Result<(), String> {
    let schema = catalog.relations[table].name.schema.clone();
    match action {
        Action::RenameTo { to } => rename::index(catalog, table, index, &Name::new(schema, &to.name)),
        Action::AttachIndex { index: child } => {
            let parent = catalog.relations[table].indexes[index].name.clone();
            let place = drop::index_place(catalog, child);
            let Some((child_table, child)) = place else {
                return Err(format!("index \"{child}\" does not exist"));
            };
            let known = &mut catalog.relations[child_table].indexes[child];
            known.parent = Some(parent.clone());
            let constraint = known.constraint.clone();
            for one in &mut catalog.relations[child_table].constraints {
                one.is_inherited |= Some(&one.name) == constraint.as_ref();
            }
            // The parent is valid as soon as every partition has its part.
            let parts = catalog.relations.iter().flat_map(|one| &one.indexes);
            let attached = parts.filter(|one| one.parent.as_ref() == Some(&parent)).count();
            let name = catalog.relations[table].name.clone();
            let children = catalog.relations.iter().filter(|one| one.parents.contains(&name)).count();
            catalog.relations[table].indexes[index].is_valid |= attached == children;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn relation_clause(
    catalog: &mut Catalog,
    place: usize,
    members: &[usize],
    action: &Action,
) -> Result<(), String> {
    match action {
        Action::AddColumn { if_not_exists, column } => {
            let name = &column.name.name;
            if catalog.relations[place].columns.iter().any(|one| one.name == *name) {
                let table = &catalog.relations[place].name.name;
                let message = format!("column \"{name}\" of relation \"{table}\" already exists");
                return if *if_not_exists { Ok(()) } else { Err(message) };
            }
            add_column(catalog, place, members, column)
        }
        Action::DropColumn { column, if_exists, is_cascade } => {
            if *if_exists && column_of(catalog, place, column).is_err() {
                return Ok(());
            }
            column_of(catalog, place, column)?;
            drop::column(catalog, members, &column.name, *is_cascade)
        }
        Action::AddConstraint(made) => constraint::add(catalog, place, made),
        Action::DropConstraint { constraint, if_exists, is_cascade } => {
            let is_there = catalog.relations[place].constraints.iter().any(|one| one.name == constraint.name);
            if !is_there && *if_exists {
                return Ok(());
            }
            constraint::drop(catalog, place, &constraint.name, *is_cascade)
        }
        Action::RenameTo { to } => rename::relation(catalog, place, to),
        Action::RenameColumn { from, to } => {
            column_of(catalog, place, from)?;
            members.iter().for_each(|member| rename::column(catalog, *member, &from.name, &to.name));
            Ok(())
        }
        Action::SetSchema { schema } => rename::set_schema(catalog, place, schema),
        Action::AttachPartition { partition, bound } => {
            let child = expect(catalog, partition)?;
            table::attach(catalog, place, child, bound);
            Ok(())
        }
        Action::DetachPartition { partition, .. } => table::detach(catalog, place, partition),
        _ => column_clause(catalog, place, members, action),
    }
}

pub(super) fn add_column(
    catalog: &mut Catalog,
    place: usize,
    members: &[usize],
    definition: &crate::statement::ColumnDefinition,
) -> Result<(), String> {
    let table = catalog.relations[place].name.clone();
    let number = table::next_number(&catalog.relations[place]);
    let column = column::make(catalog, &table, number, definition);
    for member in members {
        let relation = &mut catalog.relations[*member];
        if relation.columns.iter().all(|one| one.name != column.name) {
            let number = table::next_number(relation);
            relation.columns.push(Column { number, ..column.clone() });
        }
    }
    let inline = definition.constraints.iter().filter_map(|one| constraint::of_column(&definition.name, one));
    let mut inline: Vec<_> = inline.collect();
    inline.sort_by_key(constraint::order);
    for one in &inline {
        constraint::add(catalog, place, one)?;
    }
    members.iter().for_each(|member| constraint::add_not_nulls(catalog, *member));
    Ok(())
}

pub(super) fn column_of<'a>(
    catalog: &'a mut Catalog,
    place: usize,
    name: &Identifier,
) -> Result<&'a mut Column, String> {
    let relation = &mut catalog.relations[place];
    let table = relation.name.name.clone();
    let column = relation.columns.iter_mut().find(|column| column.name == name.name);
    column.ok_or_else(|| format!("column \"{name}\" of relation \"{table}\" does not exist"))
}

fn column_clause(
    catalog: &mut Catalog,
    place: usize,
    members: &[usize],
    action: &Action,
) -> Result<(), String> {
    match action {
        Action::SetType { column, type_name, collation, .. } => {
            column_of(catalog, place, column)?;
            let dependents = &catalog.relations[place].dependents;
            let mut views = dependents.iter().filter(|one| one.kind.ends_with("view"));
            if let Some(view) = views.find(|one| one.columns.contains(&column.name)) {
                return Err(format!("view \"{}\" depends on column \"{column}\"", view.name.name));
            }
            for member in members {
                let mut known = column_of(catalog, *member, column)?.clone();
                column::set_type(catalog, &mut known, type_name);
                known.collation = collation.as_ref().map(|collation| collation.name.clone());
                *column_of(catalog, *member, column)? = known;
            }
            retype_sequence(catalog, place, column, type_name);
        }
        Action::SetDefault { column, expression } => {
            column_of(catalog, place, column)?;
            for member in members {
                let known = column_of(catalog, *member, column)?;
                // NULL is none, unless the type's modifier makes a cast of it.
                let is_none = expression.is_null() && known.type_modifier == -1;
                known.default = (!is_none).then(|| expression.text.clone());
            }
        }
        Action::DropDefault { column } => {
            column_of(catalog, place, column)?;
            for member in members {
                column_of(catalog, *member, column)?.default = None;
            }
        }
        Action::SetNotNull { column } => {
            column_of(catalog, place, column)?;
            for member in members {
                constraint::set_not_null(catalog, *member, &column.name);
                constraint::add_not_nulls(catalog, *member);
            }
        }
        Action::DropNotNull { column } => drop_not_null(catalog, place, members, column)?,
        Action::SetExpression { column, expression } => {
            for member in members {
                column_of(catalog, *member, column)?.default = Some(expression.text.clone());
            }
        }
        Action::DropExpression { column, if_exists } => {
            for member in members {
                let known = column_of(catalog, *member, column)?;
                if known.generated.take().is_some() {
                    known.default = None;
                } else if !if_exists {
                    return Err(format!("column \"{column}\" is not a generated column"));
                }
            }
        }
        Action::AddIdentity { column, is_always, options } => {
            let known = column_of(catalog, place, column)?;
            if known.default.is_some() || known.identity.is_some() || !known.is_not_null {
                return Err(format!("column \"{column}\" has a default value, or takes NULL"));
            }
            known.identity = Some(if *is_always { "a" } else { "d" }.to_owned());
            let known = known.clone();
            let table = catalog.relations[place].name.clone();
            column::make_sequence(catalog, &table, &known, options);
        }
        Action::SetIdentity { column, change } => {
            let known = column_of(catalog, place, column)?;
            if known.identity.is_none() {
                return Err(format!("column \"{column}\" is not an identity column"));
            }
            if let Some(is_always) = change.is_always {
                known.identity = Some(if is_always { "a" } else { "d" }.to_owned());
            }
            let table = catalog.relations[place].name.clone();
            for sequence in owned(catalog, &table, &column.name) {
                column::set_sequence(sequence, &change.options, false);
            }
        }
        Action::DropIdentity { column, if_exists } => {
            let known = column_of(catalog, place, column)?;
            if known.identity.take().is_none() && !if_exists {
                return Err(format!("column \"{column}\" is not an identity column"));
            }
            let table = catalog.relations[place].name.clone();
            catalog.sequences.retain(|one| {
                one.table.as_ref() != Some(&table) || one.column.as_ref() != Some(&column.name)
            });
        }
        _ => return state_clause(catalog, place, members, action),
    }
    Ok(())
}

fn owned<'a>(
    catalog: &'a mut Catalog,
    table: &'a Name,
    column: &'a str,
) -> impl Iterator<Item = &'a mut Sequence> {
    catalog
        .sequences
        .iter_mut()
        .filter(move |one| one.table.as_ref() == Some(table) && one.column.as_deref() == Some(column))
}

/// The sequence of an identity has its column's type; that of a serial keeps its own.
fn retype_sequence(catalog: &mut Catalog, place: usize, column: &Identifier, type_name: &TypeName) {
    let table = catalog.relations[place].name.clone();
    let is_identity = column_of(catalog, place, column).is_ok_and(|known| known.identity.is_some());
    if is_identity {
        let options =
            crate::statement::SequenceOptions { type_name: Some(type_name.clone()), ..Default::default() };
        for sequence in owned(catalog, &table, &column.name) {
            column::set_sequence(sequence, &options, false);
        }
    }
}

fn drop_not_null(
    catalog: &mut Catalog,
    place: usize,
    members: &[usize],
    column: &Identifier,
) -> Result<(), String> {
    column_of(catalog, place, column)?;
    let relation = &catalog.relations[place];
    let is_of_key =
        |one: &Index| one.is_primary && one.keys.iter().any(|key| key.column.as_ref() == Some(&column.name));
    if relation.indexes.iter().any(is_of_key) {
        return Err(format!("column \"{column}\" is in a primary key"));
    }
    for member in members {
        column_of(catalog, *member, column)?.is_not_null = false;
        catalog.relations[*member]
            .constraints
            .retain(|one| one.kind != ConstraintKind::NotNull || one.columns.first() != Some(&column.name));
    }
    Ok(())
}

/// What is true of the whole relation.
fn state_clause(
    catalog: &mut Catalog,
    place: usize,
    members: &[usize],
    action: &Action,
) -> Result<(), String> {
    match action {
        Action::ValidateConstraint { constraint } => {
            for member in members {
                for known in &mut catalog.relations[*member].constraints {
                    known.is_validated |= known.name == constraint.name;
                }
            }
            return Ok(());
        }
        Action::AlterConstraint { constraint, change } => {
            let table = catalog.relations[place].name.name.clone();
            let known =
                catalog.relations[place].constraints.iter_mut().find(|one| one.name == constraint.name);
            let Some(known) = known else {
                return Err(format!("constraint \"{constraint}\" of relation \"{table}\" does not exist"));
            };
            change_constraint(known, *change);
            return Ok(());
        }
        Action::RenameConstraint { from, to } => return rename::constraint(catalog, place, from, to),
        Action::Inherit { parent } => {
            let parent = expect(catalog, parent)?;
            let name = catalog.relations[parent].name.clone();
            catalog.relations[place].parents.push(name);
            constraint::inherit_checks(catalog, parent, place);
            return Ok(());
        }
        Action::NoInherit { parent } => {
            let parent = expect(catalog, parent)?;
            let name = catalog.relations[parent].name.clone();
            table::leave(&mut catalog.relations[place], &name);
            return Ok(());
        }
        _ => {}
    }
    let relation = &mut catalog.relations[place];
    match action {
        Action::SetLogged => relation.is_unlogged = false,
        Action::SetUnlogged => relation.is_unlogged = true,
        Action::SetTablespace { tablespace, .. } => relation.tablespace.clone_from(&tablespace.name),
        Action::SetAccessMethod { method } => {
            relation.access_method = method.as_ref().map_or("heap", |method| method.as_str()).to_owned();
        }
        Action::SetOptions { options } => relation.options.extend(table::options(options)),
        Action::ResetOptions { options } => relation.options.retain(|name, _| !options.contains(name)),
        Action::RowSecurity(RowSecurity::Enable) => relation.has_row_security = true,
        Action::RowSecurity(RowSecurity::Disable) => relation.has_row_security = false,
        Action::RowSecurity(RowSecurity::Force) => relation.forces_row_security = true,
        Action::RowSecurity(RowSecurity::NoForce) => relation.forces_row_security = false,
        Action::ReplicaIdentity(identity) => set_replica_identity(relation, identity)?,
        Action::ClusterOn { index } => {
            relation.indexes.iter_mut().for_each(|one| one.is_clustered = one.name.name == index.name);
        }
        Action::SetWithoutCluster => relation.indexes.iter_mut().for_each(|one| one.is_clustered = false),
        Action::OwnerTo { owner } => relation.owner.clone_from(&owner.name),
        Action::Trigger { which, mode } => toggle(relation, which, *mode)?,
        _ => {}
    }
    Ok(())
}

fn change_constraint(known: &mut Constraint, change: ConstraintChange) {
    known.is_deferrable = match (change.is_deferrable, change.is_initially_deferred) {
        (Some(is_deferrable), _) => is_deferrable,
        (None, Some(true)) => true,
        _ => known.is_deferrable,
    };
    if let Some(is_enforced) = change.is_enforced {
        known.is_enforced = is_enforced;
        known.is_validated = is_enforced;
    }
    if let Some(inherits) = change.inherits {
        known.no_inherit = !inherits;
    }
}

fn set_replica_identity(relation: &mut Relation, identity: &ReplicaIdentity) -> Result<(), String> {
    let letter = match identity {
        ReplicaIdentity::Default => "d",
        ReplicaIdentity::Full => "f",
        ReplicaIdentity::Nothing => "n",
        ReplicaIdentity::Index(_) => "i",
    };
    relation.replica_identity = letter.to_owned();
    let name = if let ReplicaIdentity::Index(index) = identity { index.as_str() } else { "" };
    relation.indexes.iter_mut().for_each(|one| one.is_replica_identity = one.name.name == name);
    let is_there = name.is_empty() || relation.indexes.iter().any(|one| one.is_replica_identity);
    if is_there { Ok(()) } else { Err(format!("index \"{name}\" does not exist")) }
}

fn toggle(relation: &mut Relation, which: &TriggerChoice, mode: ToggleMode) -> Result<(), String> {
    let letter = match mode {
        ToggleMode::Enable => "O",
        ToggleMode::Disable => "D",
        ToggleMode::EnableReplica => "R",
        ToggleMode::EnableAlways => "A",
    };
    let mut is_found = !matches!(which, TriggerChoice::Named(_));
    for trigger in &mut relation.triggers {
        let is_meant = match which {
            TriggerChoice::Named(name) => trigger.name == name.name,
            TriggerChoice::User => !trigger.is_internal,
            TriggerChoice::All => true,
        };
        if is_meant {
            trigger.enabled = letter.to_owned();
            is_found = true;
        }
    }
    if is_found { Ok(()) } else { Err(format!("a trigger of \"{}\" does not exist", relation.name.name)) }
}

/// The server's words for what is not there.
pub(super) fn missing(what: &str, name: &ObjectName) -> String {
    format!("{what} \"{name}\" does not exist")
}
