//! DROP ... CASCADE that takes more with it than it names.

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, listed, named_object, remedy, shown};
use crate::statement::{Action, ObjectKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "drop-cascade",
    title: "CASCADE drops what depends on it, whatever that is by then",
    page: page!("drop-cascade"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    match ctx.statement() {
        // A schema's CASCADE is `drop-table`'s.
        Statement::Drop(drop) if drop.is_cascade && drop.kind != ObjectKind::Schema => {
            for target in &drop.targets {
                report(ctx, ctx.located.span, &ctx.name(&target.name), None, found);
            }
        }
        Statement::Alter(_) => {
            for clause in ctx.clauses() {
                if let Action::DropColumn { column, is_cascade: true, .. } = clause.action() {
                    report(ctx, clause.span(), &clause.table, Some(column.as_str()), found);
                }
            }
        }
        _ => {}
    }
}

fn report(
    ctx: &Context<'_>,
    span: crate::statement::Span,
    name: &Name,
    column: Option<&str>,
    found: &mut Findings,
) {
    if ctx.is_new(name) {
        return;
    }
    let dependents = dependents(ctx, name, column);
    if ctx.state.has_catalog && dependents.is_empty() {
        return;
    }
    let what = column.map_or_else(|| shown(name), |column| format!("{}.{column}", shown(name)));
    let message = if dependents.is_empty() {
        format!("CASCADE drops whatever depends on {what}, unseen")
    } else {
        format!("CASCADE drops {} with {what}", listed(&dependents))
    };
    let severity = if dependents.is_empty() { Severity::Medium } else { Severity::High };
    let mut finding = ctx.finding_at(RULE.code, span, severity, message);
    if !ctx.state.has_catalog {
        finding.confidence = Confidence::Possible;
        finding.depends_on.push(format!("what depends on {what}"));
    }
    finding.object = named_object("table", name);
    finding.remedy = remedy(
        "leave CASCADE out, and drop what depends on it by name, so that the list is read before it is gone",
    );
    found.push(finding);
}

/// Views and the like that read it, and foreign keys that lead to it.
fn dependents(ctx: &Context<'_>, name: &Name, column: Option<&str>) -> Vec<String> {
    let Some(relation) = ctx.relation(name) else { return Vec::new() };
    let reads = |columns: &[String]| {
        column.is_none_or(|column| columns.is_empty() || columns.iter().any(|c| c == column))
    };
    let mut all: Vec<String> = relation
        .dependents
        .iter()
        .filter(|dependent| reads(&dependent.columns))
        .map(|dependent| format!("the {} {}", dependent.kind.replace('-', " "), shown(&dependent.name)))
        .collect();
    for other in ctx.state.catalog.relations.iter().filter(|other| other.name != *name) {
        for constraint in &other.constraints {
            let leads_here = constraint
                .references
                .as_ref()
                .is_some_and(|reference| reference.table == *name && reads(&reference.columns));
            if leads_here {
                all.push(format!("the foreign key {} of {}", constraint.name, shown(&other.name)));
            }
        }
    }
    all
}
