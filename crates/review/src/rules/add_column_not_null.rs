//! ADD COLUMN ... NOT NULL without a default.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, remedy, shown};
use crate::probe;
use crate::severity::{Volume, count};
use crate::statement::{Action, ColumnConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "add-column-not-null",
    title: "A column is added as NOT NULL without a default, which fails on a table that has rows",
    page: page!("add-column-not-null"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AddColumn { column, .. } = clause.action() else { continue };
        let is_marked = column.constraints.iter().any(|constraint| {
            matches!(
                constraint.kind,
                ColumnConstraintKind::NotNull { .. } | ColumnConstraintKind::PrimaryKey { .. }
            )
        });
        let has_value = column.default().is_some_and(|default| !default.is_null())
            || column.is_identity()
            || column.generated().is_some()
            || column.type_name.as_ref().is_some_and(|name| name.serial_base().is_some());
        if !is_marked || has_value || ctx.is_harmless(&clause.table) {
            continue;
        }
        let table = shown(&clause.table);
        let rows = ctx.volume(&clause.table);
        let (severity, confidence, message) = match rows {
            Volume::Known { rows: Some(rows), .. } => (
                Severity::High,
                Confidence::Certain,
                format!(
                    "{}: {} rows of {table} would have no value, and the statement fails",
                    column.name,
                    count(rows)
                ),
            ),
            _ => (
                Severity::High,
                Confidence::Possible,
                format!(
                    "{} has no value for the rows of {table}: with any row there the statement fails",
                    column.name
                ),
            ),
        };
        let mut finding = ctx.finding_at(RULE.code, clause.span(), severity, message);
        finding.confidence = finding.confidence.max(confidence);
        if confidence == Confidence::Possible {
            finding.depends_on.push(format!("whether {table} has rows"));
        }
        finding.object = column_object(&clause.table, [&column.name.name]);
        finding.remedy = remedy(
            "give it a constant default (which writes nothing), or add it as nullable, fill it in batches, and make it NOT NULL \
             by a validated CHECK; running clients do not name the column, so that without a default their inserts fail",
        );
        found.push_with(finding, Some(probe::any_row(&clause.table)));
    }
}
