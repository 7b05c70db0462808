//! What a statement would do at worst to a table of which nothing is known, because there is no catalog.
//!
//! Not for: tables that are known, also those that earlier files of the review made.

use posthaste_base::catalog::Name;

use super::Part;
use crate::context::State;
use crate::severity::Work;
use crate::statement::{
    Action, AlterClause, ColumnConstraintKind, ColumnDefinition, GeneratedKind, ObjectName, Statement,
    TableConstraint, TableConstraintKind,
};

/// Adds the work that a statement would have with any rows there.
pub(super) fn add(part: &mut Part, statement: &Statement, state: &State) {
    if state.has_catalog || part.refused.is_some() {
        return;
    }
    let unknown = |name: &ObjectName| Some(state.name(name)).filter(|name| state.relation(name).is_none());
    match statement {
        Statement::CreateIndex(create) if !create.is_only => {
            part.works.extend(unknown(&create.table).map(|table| (table, Work::Build)));
        }
        Statement::Alter(alter) => {
            for clause in &alter.clauses {
                let table = match &clause.action {
                    Action::AttachPartition { partition, .. } => unknown(partition),
                    _ => unknown(&alter.name),
                };
                let Some(table) = table else { continue };
                if let Some(work) = of_clause(clause, &table, state) {
                    part.works.push((table, work));
                }
            }
        }
        Statement::Reindex(reindex) if !reindex.is_concurrent => {
            let table = reindex.name.as_ref().and_then(unknown);
            part.works.extend(table.map(|table| (table, Work::Build)));
        }
        Statement::Cluster(cluster) => {
            let table = cluster.table.as_ref().and_then(unknown);
            part.works.extend(table.map(|table| (table, Work::Rewrite)));
        }
        Statement::Vacuum(vacuum) if vacuum.is_full => {
            let tables = vacuum.tables.iter().filter_map(|table| unknown(&table.name));
            part.works.extend(tables.map(|table| (table, Work::Rewrite)));
        }
        _ => {}
    }
    part.works.sort();
    part.works.dedup();
}

fn of_clause(clause: &AlterClause, table: &Name, state: &State) -> Option<Work> {
    match &clause.action {
        Action::AddColumn { column, .. } => of_column(column),
        Action::AddConstraint(constraint) => of_constraint(constraint),
        Action::SetNotNull { column } => {
            let is_proven = state.proven.contains(&(table.clone(), column.name.clone()));
            (!is_proven).then_some(Work::Scan)
        }
        Action::ValidateConstraint { .. } | Action::AttachPartition { .. } => Some(Work::Scan),
        Action::AlterConstraint { change, .. } if change.is_enforced == Some(true) => Some(Work::Scan),
        Action::SetType { .. }
        | Action::SetExpression { .. }
        | Action::SetLogged
        | Action::SetUnlogged
        | Action::SetTablespace { .. }
        | Action::SetAccessMethod { .. } => Some(Work::Rewrite),
        _ => None,
    }
}

fn of_constraint(constraint: &TableConstraint) -> Option<Work> {
    if constraint.timing.is_not_valid || constraint.timing.is_not_enforced {
        return None;
    }
    match &constraint.kind {
        TableConstraintKind::Check { .. }
        | TableConstraintKind::NotNull { .. }
        | TableConstraintKind::ForeignKey { .. }
        | TableConstraintKind::PrimaryKey { using_index: Some(_), .. } => Some(Work::Scan),
        TableConstraintKind::Unique { using_index: Some(_), .. } => None,
        TableConstraintKind::Unique { .. }
        | TableConstraintKind::PrimaryKey { .. }
        | TableConstraintKind::Exclude { .. } => Some(Work::Build),
    }
}

fn of_column(column: &ColumnDefinition) -> Option<Work> {
    let is_numbered =
        column.is_identity() || column.type_name.as_ref().is_some_and(|name| name.serial_base().is_some());
    let is_stored = column.generated().is_some_and(|(kind, _)| kind == GeneratedKind::Stored);
    let is_volatile = column.default().is_some_and(|default| {
        default.functions.iter().any(|call| {
            let is_system = call.name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
            !(call.is_keyword || (is_system && STEADY.contains(&call.name.name.as_str())))
        })
    });
    if is_numbered || is_stored || is_volatile {
        return Some(Work::Rewrite);
    }
    let has = |wanted: fn(&ColumnConstraintKind) -> bool| column.constraints.iter().any(|c| wanted(&c.kind));
    if has(|kind| {
        matches!(kind, ColumnConstraintKind::Unique { .. } | ColumnConstraintKind::PrimaryKey { .. })
    }) {
        Some(Work::Build)
    } else if has(|kind| matches!(kind, ColumnConstraintKind::Check { .. })) {
        Some(Work::Scan)
    } else {
        None
    }
}

/// Functions of the server that stand in defaults and are not volatile.
const STEADY: &[&str] = &[
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "lower",
    "upper",
    "to_tsvector",
    "timezone",
    "date_trunc",
    "current_setting",
    "jsonb_build_object",
    "json_build_object",
    "jsonb_build_array",
    "make_interval",
    "concat",
    "md5",
    "to_timestamp",
    "array_fill",
    "left",
    "right",
    "length",
    "coalesce",
    "date_part",
    "extract",
];
