//! A column becomes NOT NULL, and may hold NULLs.

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, evidence, remedy, shown};
use crate::probe;
use crate::severity::{count, to_f64};
use crate::statement::{Action, Span, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "fails-on-nulls",
    title: "A column becomes NOT NULL while it may hold NULLs, which makes the statement fail",
    page: page!("fails-on-nulls"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        match clause.action() {
            Action::SetNotNull { column } => {
                report(ctx, clause.span(), &clause.table, column.as_str(), found)
            }
            Action::AddConstraint(constraint) => match &constraint.kind {
                TableConstraintKind::PrimaryKey { columns, .. } => {
                    for column in columns {
                        report(ctx, clause.span(), &clause.table, column.as_str(), found);
                    }
                }
                TableConstraintKind::NotNull { column, .. } if !constraint.timing.is_not_valid => {
                    report(ctx, clause.span(), &clause.table, column.as_str(), found);
                }
                _ => {}
            },
            _ => {}
        }
    }
}

fn report(ctx: &Context<'_>, span: Span, table: &Name, name: &str, found: &mut Findings) {
    // Only a column that is known can be known to hold NULLs; a CHECK that is validated proves that it does not.
    let Some(column) = ctx.column(table, name).filter(|_| ctx.state.has_catalog) else { return };
    if column.is_not_null || ctx.is_harmless(table) || ctx.proves_not_null(table, name) {
        return;
    }
    let nulls = column.null_fraction.filter(|fraction| *fraction > 0.0);
    let rows = ctx.volume(table).rows();
    let (severity, confidence, message) = match nulls {
        Some(fraction) => {
            let amount = rows.map_or_else(String::new, |rows| {
                format!(", about {}", count(whole(to_f64(rows) * f64::from(fraction))))
            });
            let message = format!(
                "{}.{name} holds NULLs ({:.1} %{amount}): the statement fails",
                shown(table),
                fraction * 100.0
            );
            (Severity::High, Confidence::Likely, message)
        }
        None => {
            let message = format!("if any row of {} holds NULL in {name}, the statement fails", shown(table));
            (Severity::Low, Confidence::Possible, message)
        }
    };
    let mut finding = ctx.finding_at(RULE.code, span, severity, message);
    finding.confidence = finding.confidence.max(confidence);
    finding.depends_on.push(format!("whether {}.{name} holds NULL", shown(table)));
    finding.object = column_object(table, [name]);
    if nulls.is_some() {
        finding.evidence.push(evidence("the planner's statistics say so"));
    }
    finding.remedy = remedy("fill the column first, and count what is left, before it becomes NOT NULL");
    found.push_with(finding, Some(probe::nulls(table, name)));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate that is not below zero"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
