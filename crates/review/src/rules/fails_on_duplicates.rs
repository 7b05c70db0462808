//! A unique index or constraint over values that may be there twice.

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, names, remedy, shown};
use crate::probe;
use crate::statement::{Action, Span, Statement, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "fails-on-duplicates",
    title: "Values become unique while some may be there twice, which makes the statement fail",
    page: page!("fails-on-duplicates"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    if let Statement::CreateIndex(create) = ctx.statement()
        && create.is_unique
    {
        let columns: Option<Vec<String>> =
            create.keys.iter().map(|key| key.column.as_ref().map(|column| column.name.clone())).collect();
        if let Some(columns) = columns {
            let predicate = create.predicate.as_ref().map(|predicate| predicate.text.as_str());
            report(ctx, ctx.located.span, &ctx.name(&create.table), &columns, predicate, found);
        }
    }
    for clause in ctx.clauses() {
        let Action::AddConstraint(constraint) = clause.action() else { continue };
        let (TableConstraintKind::Unique { columns, using_index: None, .. }
        | TableConstraintKind::PrimaryKey { columns, using_index: None, .. }) = &constraint.kind
        else {
            continue;
        };
        report(ctx, clause.span(), &clause.table, &names(columns), None, found);
    }
}

fn report(
    ctx: &Context<'_>,
    span: Span,
    table: &Name,
    columns: &[String],
    predicate: Option<&str>,
    found: &mut Findings,
) {
    let known = columns.iter().all(|column| ctx.column(table, column).is_some());
    if !ctx.state.has_catalog || !known || ctx.is_harmless(table) || is_unique(ctx, table, columns) {
        return;
    }
    // One column of which the planner saw fewer values than rows.
    let rows = ctx.volume(table).rows();
    let distinct = match columns {
        [only] if predicate.is_none() => ctx.column(table, only).and_then(|column| column.distinct),
        _ => None,
    };
    let seen_twice = match (distinct, rows) {
        // Below zero it is a fraction of the rows; the planner takes 1 for unique as far as it saw.
        (Some(distinct), _) if distinct < 0.0 => distinct > -0.9,
        (Some(distinct), Some(rows)) => f64::from(distinct) < crate::severity::to_f64(rows) * 0.9,
        _ => false,
    };
    let list = columns.join(", ");
    let (severity, confidence, message) = if seen_twice {
        let message = format!(
            "({list}) of {} is not unique by the planner's statistics: the statement fails",
            shown(table)
        );
        (Severity::High, Confidence::Likely, message)
    } else {
        let message = format!("if {} holds the same ({list}) twice, the statement fails", shown(table));
        (Severity::Low, Confidence::Possible, message)
    };
    let mut finding = ctx.finding_at(RULE.code, span, severity, message);
    finding.confidence = finding.confidence.max(confidence);
    finding.depends_on.push(format!("whether ({list}) is there twice"));
    finding.object = column_object(table, columns);
    finding.remedy = remedy(
        "look for duplicates first and decide which row stays; a failed CONCURRENTLY leaves an invalid index to drop",
    );
    found.push_with(finding, Some(probe::duplicates(table, columns, predicate)));
}

/// A unique index over the same columns, or fewer of them, is a proof.
fn is_unique(ctx: &Context<'_>, table: &Name, columns: &[String]) -> bool {
    ctx.relation(table).is_some_and(|relation| {
        relation.indexes.iter().any(|index| {
            index.is_unique
                && index.is_valid
                && index.predicate.is_none()
                && !index.keys.is_empty()
                && index
                    .keys
                    .iter()
                    .all(|key| key.column.as_ref().is_some_and(|column| columns.contains(column)))
        })
    })
}
