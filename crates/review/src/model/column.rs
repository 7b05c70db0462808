//! ALTER TABLE ... ADD COLUMN: what the new column costs.
//!
//! Not for: columns of tables that are made (nobody waits for those).

use posthaste_base::catalog::{Relation, TypeKind};

use super::alter::{Reach, Step};
use super::builder::Builder;
use super::form::Whom;
use super::forms::alter_table as forms;
use super::volatility::{Volatility, of_expression};
use super::{WorkKind, constraint, relations};
use crate::statement::{ColumnConstraintKind, ColumnDefinition, Expression, GeneratedKind};

pub(super) fn add(
    builder: &mut Builder<'_>,
    relation: &Relation,
    column: &ColumnDefinition,
    if_not_exists: bool,
    is_only: bool,
) -> Step {
    if relation.columns.iter().any(|other| other.name == column.name.name) {
        if !if_not_exists {
            builder.refuse(format!("column `{}` exists already", column.name));
        }
        return Step::of(&forms::ADD_COLUMN, Reach::Named);
    }
    if relation.partition.is_some() {
        builder.refuse("a column cannot be added to a partition alone");
    }
    let has_children = builder.catalog.children(&relation.name).next().is_some();
    if is_only && has_children {
        builder.refuse("a column must be added to the children too");
    }
    if column.compression.is_some() {
        builder.needs(14, "COMPRESSION");
    }
    let mut step = Step::of(&forms::ADD_COLUMN, Reach::Family);
    step.work = work(builder, column);
    for inline in &column.constraints {
        if inline.timing.is_not_enforced {
            builder.needs(18, "NOT ENFORCED");
        }
        match &inline.kind {
            ColumnConstraintKind::Unique { nulls_not_distinct, .. } => {
                if *nulls_not_distinct {
                    builder.needs(15, "NULLS NOT DISTINCT");
                }
                step.raise(WorkKind::Scan);
            }
            ColumnConstraintKind::PrimaryKey { .. } => step.raise(WorkKind::Scan),
            ColumnConstraintKind::Check { .. } if !inline.timing.is_not_enforced => {
                step.raise(WorkKind::Scan)
            }
            ColumnConstraintKind::References(key) => {
                // Without a default every value is NULL, and PostgreSQL knows that it need not look.
                let has_values = column.default().is_some() && !inline.timing.is_not_enforced;
                let columns: Vec<String> = key.columns.iter().map(|c| c.name.clone()).collect();
                constraint::take_referenced(builder, &forms::ADD_FOREIGN_KEY, &key.table, &columns);
                constraint::take_partitions(builder, &forms::ADD_FOREIGN_KEY, relation);
                if has_values {
                    constraint::read_both(builder, &forms::ADD_FOREIGN_KEY, relation, &key.table);
                    step.raise(WorkKind::Scan);
                }
            }
            _ => {}
        }
    }
    step
}

/// What values the rows that are there need.
fn work(builder: &mut Builder<'_>, column: &ColumnDefinition) -> Option<WorkKind> {
    if let Some((kind, _)) = column.generated() {
        match kind {
            GeneratedKind::Stored => return Some(WorkKind::Rewrite),
            GeneratedKind::Virtual => builder.needs(18, "VIRTUAL"),
            GeneratedKind::Unmarked => builder.needs(18, "a generated column without STORED"),
        }
        return column.is_not_null().then_some(WorkKind::Scan);
    }
    let Some(type_name) = &column.type_name else { return None };
    if type_name.serial_base().is_some() || column.is_identity() {
        return Some(WorkKind::Rewrite);
    }
    let domain =
        relations::type_info(builder.catalog, type_name.name.schema.as_deref(), &type_name.name.name)
            .filter(|info| info.kind == TypeKind::Domain && type_name.array_dimensions == 0);
    if domain.is_some_and(|domain| relations::is_constrained(builder.catalog, domain)) {
        return Some(WorkKind::Rewrite);
    }
    if domain.is_none() && !type_name.is_built_in() && !builder.is_known() {
        builder.depends(format!("whether `{}` is a domain with constraints", type_name.text));
    }
    let Some(default) = column.default() else {
        if let Some(own) = domain.and_then(|domain| domain.default.as_deref()) {
            builder.depends(format!("whether `{own}`, the domain's default, is volatile"));
            return Some(WorkKind::Rewrite);
        }
        return column.is_not_null().then_some(WorkKind::Scan);
    };
    lock_sequences(builder, default);
    for call in &default.functions {
        if super::volatility::is_missing(builder.catalog, call) {
            builder.refuse(format!("function `{}` does not exist", call.name));
        }
    }
    match of_expression(builder.catalog, default) {
        Volatility::Fixed => None,
        Volatility::Volatile => Some(WorkKind::Rewrite),
        Volatility::Unknown(function) => {
            builder.depends(format!("whether `{function}` is volatile"));
            Some(WorkKind::Rewrite)
        }
    }
}

/// `nextval('s')` is evaluated for every row.
fn lock_sequences(builder: &mut Builder<'_>, default: &Expression) {
    super::query::lock_sequences(
        builder,
        &default.functions,
        &super::forms::objects::NEXT_VALUE,
        Whom::Named,
    );
}
