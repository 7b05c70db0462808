//! A foreign key over rows that may lead nowhere.

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, names, remedy, shown};
use crate::probe;
use crate::statement::{Action, Span, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "fails-on-orphans",
    title: "A foreign key is proven while some rows may lead nowhere, which makes the statement fail",
    page: page!("fails-on-orphans"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        match clause.action() {
            Action::AddConstraint(constraint)
                if !constraint.timing.is_not_valid && !constraint.timing.is_not_enforced =>
            {
                let TableConstraintKind::ForeignKey { columns, key } = &constraint.kind else { continue };
                let parent = ctx.name(&key.table);
                report(
                    ctx,
                    clause.span(),
                    &clause.table,
                    &names(columns),
                    &parent,
                    &names(&key.columns),
                    found,
                );
            }
            Action::ValidateConstraint { constraint } => {
                let Some(relation) = ctx.relation(&clause.table) else { continue };
                let known = relation
                    .constraints
                    .iter()
                    .find(|known| known.name == constraint.as_str() && !known.is_validated);
                let Some((known, reference)) =
                    known.and_then(|known| Some((known, known.references.as_ref()?)))
                else {
                    continue;
                };
                report(
                    ctx,
                    clause.span(),
                    &clause.table,
                    &known.columns,
                    &reference.table,
                    &reference.columns,
                    found,
                );
            }
            _ => {}
        }
    }
}

fn report(
    ctx: &Context<'_>,
    span: Span,
    table: &Name,
    columns: &[String],
    parent: &Name,
    keys: &[String],
    found: &mut Findings,
) {
    if !ctx.state.has_catalog || ctx.is_harmless(table) || ctx.relation(parent).is_none() {
        return;
    }
    let columns_added = columns.iter().all(|column| ctx.was_added(table, column));
    if columns_added || is_proven(ctx, table, columns, parent) {
        return;
    }
    let primary;
    let keys = if keys.is_empty() {
        primary = primary_key(ctx, parent);
        &primary
    } else {
        keys
    };
    if keys.len() != columns.len() {
        return;
    }
    let list = columns.join(", ");
    let message = format!(
        "if a row of {} has a {list} that is not in {}, the statement fails",
        shown(table),
        shown(parent)
    );
    let mut finding = ctx.finding_at(RULE.code, span, Severity::Low, message);
    finding.confidence = Confidence::Possible;
    finding.depends_on.push(format!(
        "whether {} has rows whose {list} is not in {}",
        shown(table),
        shown(parent)
    ));
    finding.object = column_object(table, columns);
    finding.remedy =
        remedy("look for such rows first: `posthaste integrity` lists them, and plans what becomes of them");
    found.push_with(finding, Some(probe::orphans(table, columns, parent, keys)));
}

/// Another foreign key of the same columns to the same table is a proof, also one that this file drops.
fn is_proven(ctx: &Context<'_>, table: &Name, columns: &[String], parent: &Name) -> bool {
    let is_it = |constraint: &posthaste_base::catalog::Constraint| {
        constraint.is_validated
            && constraint.is_enforced
            && constraint.columns == columns
            && constraint.references.as_ref().is_some_and(|reference| reference.table == *parent)
    };
    ctx.relation(table).is_some_and(|relation| relation.constraints.iter().any(is_it))
        || ctx.state.dropped_keys.iter().any(|(child, dropped)| child == table && is_it(dropped))
}

fn primary_key(ctx: &Context<'_>, table: &Name) -> Vec<String> {
    let index =
        ctx.relation(table).and_then(|relation| relation.indexes.iter().find(|index| index.is_primary));
    index.map_or_else(Vec::new, |index| index.keys.iter().filter_map(|key| key.column.clone()).collect())
}
