//! A CHECK that is on before a backfill whose values it may refuse.

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, part_object, remedy, shown};
use crate::probe::{self, Probe};
use crate::rows;
use crate::statement::{
    Action, Assignment, ColumnConstraintKind, Expression, Located, Query, Statement, TableConstraintKind,
};

pub(super) const RULE: Rule = Rule {
    code: "constraint-before-backfill",
    title: "A CHECK is on before the backfill of its column, so that one bad value aborts the whole backfill",
    page: page!("constraint-before-backfill"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Query(query) = ctx.statement() else { return };
    let Some(target) = &query.target else { return };
    let table = ctx.name(&target.name);
    if query.assignments.is_empty() || ctx.is_harmless(&table) || rows::of(query, ctx.state).is_single {
        return;
    }
    for assignment in &query.assignments {
        // A constant is right or wrong for every row, and shows at once.
        let Some(expression) = assignment.expression.as_ref().filter(|expression| !expression.is_constant())
        else {
            continue;
        };
        for (_, earlier) in ctx.earlier() {
            for (name, condition) in checks_of(ctx, earlier, &table, assignment) {
                report(ctx, query, &table, assignment, expression, earlier, &name, condition, found);
            }
        }
    }
}

/// The checks that an earlier statement of the file puts on the column.
fn checks_of<'a>(
    ctx: &Context<'_>,
    earlier: &'a Located,
    table: &Name,
    assignment: &Assignment,
) -> Vec<(String, &'a Expression)> {
    let Statement::Alter(alter) = &earlier.statement else { return Vec::new() };
    if ctx.name(&alter.name) != *table {
        return Vec::new();
    }
    let mut checks = Vec::new();
    for clause in &alter.clauses {
        match &clause.action {
            Action::AddConstraint(constraint) => {
                if let TableConstraintKind::Check { expression, .. } = &constraint.kind
                    && !constraint.timing.is_not_enforced
                {
                    let name = constraint.name.as_ref().map_or("the CHECK", |name| name.as_str());
                    checks.push((name.to_owned(), expression));
                }
            }
            Action::AddColumn { column, .. } => {
                for constraint in &column.constraints {
                    if let ColumnConstraintKind::Check { expression, .. } = &constraint.kind {
                        let name = constraint.name.as_ref().map_or("the CHECK", |name| name.as_str());
                        checks.push((name.to_owned(), expression));
                    }
                }
            }
            _ => {}
        }
    }
    checks.retain(|(_, check)| check.columns.iter().any(|used| used.column == assignment.column));
    checks
}

#[expect(clippy::too_many_arguments, reason = "they are what the message and the probe are made of")]
fn report(
    ctx: &Context<'_>,
    query: &Query,
    table: &Name,
    assignment: &Assignment,
    expression: &Expression,
    earlier: &Located,
    name: &str,
    condition: &Expression,
    found: &mut Findings,
) {
    let message = format!(
        "{name} is on since line {}: one value of {} that breaks `{}` aborts the UPDATE of all rows of {}",
        earlier.line,
        assignment.column,
        condition.text.trim(),
        shown(table)
    );
    let mut finding = ctx.finding_at(RULE.code, assignment.span, Severity::Medium, message);
    finding.confidence = Confidence::Possible;
    finding.depends_on.push(format!("the values that `{}` gives", one_line(&expression.text)));
    finding.object = part_object("constraint", table, name);
    finding.object.columns = vec![assignment.column.name.clone()];
    finding.remedy = remedy(
        "look for such values first and decide what becomes of them; backfill, then add the CHECK as NOT VALID, then \
         VALIDATE; batches keep what is done when one fails",
    );
    found.push_with(finding, probe_for(query, table, assignment, expression, condition));
}

/// The values can be computed beforehand when nothing but the row itself and subqueries is needed.
fn probe_for(
    query: &Query,
    table: &Name,
    assignment: &Assignment,
    expression: &Expression,
    condition: &Expression,
) -> Option<Probe> {
    let alone = condition.columns.iter().all(|used| used.column == assignment.column);
    if query.is_joined || !alone {
        return None;
    }
    let target = query.target.as_ref()?;
    let alias = target.alias.as_deref().unwrap_or(&target.name.name);
    Some(probe::computed(table, alias, assignment.column.as_str(), &expression.text, condition.text.trim()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
