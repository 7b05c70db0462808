//! Domains and types: ALTER and DROP of them reach every table that uses them.
//!
//! Not for: columns that get or lose a domain (`type_change`, `column`).

use posthaste_base::catalog::{Name, Relation, RelationKind, TypeInfo, TypeKind};

use super::builder::{Builder, Found};
use super::form::Whom;
use super::forms::{alter_table, objects as forms};
use super::{WorkKind, relations};
use crate::statement::{Action, Alter, Drop, TableConstraintKind};

pub(super) fn alter(builder: &mut Builder<'_>, alter: &Alter) {
    let name = &alter.name;
    // A composite type is also a relation, which is what is locked.
    if let Found::Relation(relation) = builder.find(name)
        && relation.kind == RelationKind::Composite
    {
        return composite(builder, alter, relation);
    }
    let info = relations::type_info(builder.catalog, name.schema.as_deref(), &name.name);
    let Some(info) = info else {
        if builder.is_known() {
            builder.refuse(format!("type `{name}` does not exist"));
        } else {
            builder.depends(format!("which tables use `{name}`, which no catalog tells"));
        }
        return;
    };
    for clause in &alter.clauses {
        match &clause.action {
            Action::AddConstraint(added) => {
                let is_checked = !added.timing.is_not_valid;
                if is_checked
                    && matches!(
                        added.kind,
                        TableConstraintKind::Check { .. } | TableConstraintKind::NotNull { .. }
                    )
                {
                    check_users(builder, info);
                }
            }
            Action::ValidateConstraint { constraint } => {
                let found = info.checks.iter().find(|check| check.name == constraint.name);
                if found.is_none() {
                    builder.refuse(format!("constraint `{constraint}` does not exist"));
                }
                check_users(builder, info);
            }
            Action::SetDomainNotNull if !info.is_not_null => check_users(builder, info),
            _ => {}
        }
    }
}

/// The values that are there are checked: in every table with a column of the domain, or of one over it.
fn check_users(builder: &mut Builder<'_>, domain: &TypeInfo) {
    let form = &forms::DOMAIN_CHECK;
    let domains = relations::domains_over(builder.catalog, domain);
    let catalog = builder.catalog;
    for over in domains {
        if let Some(holder) = holder(builder, &over.name) {
            builder.refuse(format!("`{}` holds the domain in a type of its own", holder.name));
        }
        for relation in users(builder, &over.name) {
            if relations::has_rows(relation) {
                builder.take(form, Whom::Users, &relation.name);
                builder.work_on_table(&relation.name, WorkKind::Scan);
            }
        }
    }
    let _ = catalog;
}

/// Relations with a column of just that type.
fn users<'a>(builder: &Builder<'a>, name: &Name) -> Vec<&'a Relation> {
    let has_it = |relation: &&Relation| {
        relation.columns.iter().any(|column| column.type_ref == *name && !column.type_name.ends_with("[]"))
    };
    builder.catalog.relations.iter().filter(has_it).collect()
}

/// A table that has the domain inside of an array or a composite type: PostgreSQL cannot check those.
fn holder<'a>(builder: &Builder<'a>, name: &Name) -> Option<&'a Name> {
    let array = Name::new(&name.schema, format!("_{}", name.name));
    let composites: Vec<&Name> = builder
        .catalog
        .relations
        .iter()
        .filter(|relation| relation.kind == RelationKind::Composite)
        .filter(|relation| {
            relation.columns.iter().any(|column| column.type_ref == *name || column.type_ref == array)
        })
        .map(|relation| &relation.name)
        .collect();
    let tables = builder.catalog.relations.iter().filter(|relation| {
        matches!(
            relation.kind,
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView
        )
    });
    tables
        .into_iter()
        .find(|relation| {
            let mut columns = relation.columns.iter();
            columns.any(|column| column.type_ref == array || composites.contains(&&column.type_ref))
        })
        .map(|relation| &relation.name)
}

fn composite(builder: &mut Builder<'_>, alter: &Alter, relation: &Relation) {
    let form = &forms::ALTER_COMPOSITE;
    for clause in &alter.clauses {
        let is_cascade = match &clause.action {
            Action::AddAttribute { is_cascade, .. }
            | Action::DropAttribute { is_cascade, .. }
            | Action::RenameAttribute { is_cascade, .. } => *is_cascade,
            Action::AlterAttribute { is_cascade, .. } => {
                let user = users(builder, &relation.name).first().map(|user| user.name.name.clone());
                if let Some(user) = user {
                    builder.refuse(format!("a column of `{user}` uses it"));
                }
                *is_cascade
            }
            _ => continue,
        };
        builder.take(form, Whom::Named, &relation.name);
        if is_cascade {
            builder.depends("which tables are of that type, which the catalog does not tell");
            typed_tables(builder, relation, &clause.action);
        }
    }
}

/// Tables OF the type may be those with the same columns: the worst is taken.
fn typed_tables(builder: &mut Builder<'_>, composite: &Relation, action: &Action) {
    let columns = |relation: &Relation| -> Vec<String> {
        relation.columns.iter().map(|column| format!("{} {}", column.name, column.type_name)).collect()
    };
    let wanted = columns(composite);
    let catalog = builder.catalog;
    for table in catalog.relations.iter().filter(|r| r.kind == RelationKind::Table && columns(r) == wanted) {
        builder.take(&alter_table::SET_TYPE, Whom::Named, &table.name);
        if matches!(action, Action::AlterAttribute { .. }) {
            builder.work_on_table(&table.name, WorkKind::Rewrite);
            builder.take_indexes(&alter_table::SET_TYPE, Whom::Indexes, table);
        }
    }
}

pub(super) fn drop(builder: &mut Builder<'_>, drop: &Drop) {
    for target in &drop.targets {
        let name = &target.name;
        let info = relations::type_info(builder.catalog, name.schema.as_deref(), &name.name);
        match info {
            Some(info) => drop_users(builder, info, drop.is_cascade),
            None if drop.if_exists => {}
            None if builder.is_known() => builder.refuse(format!("type `{name}` does not exist")),
            None => builder.depends(format!("which tables use `{name}`, which no catalog tells")),
        }
    }
}

/// Columns of a type go with it.
pub(super) fn drop_users(builder: &mut Builder<'_>, info: &TypeInfo, is_cascade: bool) {
    let form = &forms::DROP_TYPE;
    let all = match info.kind {
        TypeKind::Domain => relations::domains_over(builder.catalog, info),
        _ => vec![info],
    };
    for one in all {
        let array = Name::new(&one.name.schema, format!("_{}", one.name.name));
        let catalog = builder.catalog;
        for relation in catalog.relations.iter().filter(|relation| relation.name != one.name) {
            let columns: Vec<&str> = relation
                .columns
                .iter()
                .filter(|column| column.type_ref == one.name || column.type_ref == array)
                .map(|column| column.name.as_str())
                .collect();
            if columns.is_empty() {
                continue;
            }
            if !is_cascade {
                builder.refuse(format!("a column of `{}` uses it", relation.name.name));
                continue;
            }
            builder.take(form, Whom::Users, &relation.name);
            for index in &relation.indexes {
                if columns.iter().any(|column| relations::index_uses(index, column)) {
                    builder.take_index(form, Whom::Index, &index.name);
                }
            }
            for column in columns {
                for view in relations::views(catalog, relation, Some(column)) {
                    builder.take(form, Whom::Dependents, &view.name);
                }
            }
        }
    }
    if let Some(relation) = relations::by_name(builder.catalog, &info.name)
        && relation.kind == RelationKind::Composite
    {
        builder.take(form, Whom::Users, &relation.name);
    }
}
