//! CREATE or ADD of something that is there.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, named_object, part_object, remedy, shown};
use crate::statement::{Action, Statement};

pub(super) const RULE: Rule = Rule {
    code: "object-exists",
    title: "Something is created that is there already, so that the statement fails, or with IF NOT EXISTS does nothing",
    page: page!("object-exists"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    match ctx.statement() {
        Statement::CreateTable(create) => {
            let name = ctx.made_name(&create.name);
            if ctx.relation(&name).is_some() && create.persistence != crate::statement::Persistence::Temporary
            {
                let mut finding = finding(ctx, ctx.located.span, &shown(&name), create.if_not_exists);
                finding.object = named_object("table", &name);
                found.push(finding);
            }
        }
        Statement::CreateIndex(create) => {
            let Some(name) = &create.name else { return };
            let table = ctx.name(&create.table);
            let Some((on, index)) = ctx.state.catalog.index(Some(&table.schema), name.as_str()) else {
                return;
            };
            // One that is invalid has a rule of its own.
            if create.if_not_exists && !index.is_valid {
                return;
            }
            let mut finding = finding(ctx, ctx.located.span, name.as_str(), create.if_not_exists);
            finding.object = part_object("index", &on.name, name.as_str());
            found.push(finding);
        }
        Statement::Alter(_) => {
            for clause in ctx.clauses() {
                clause_names(ctx, &clause, found);
            }
        }
        _ => {}
    }
}

fn clause_names(ctx: &Context<'_>, clause: &crate::context::Clause<'_>, found: &mut Findings) {
    match clause.action() {
        Action::AddColumn { column, if_not_exists } => {
            if ctx.column(&clause.table, column.name.as_str()).is_none() {
                return;
            }
            let called = format!("{}.{}", shown(&clause.table), column.name);
            let mut finding = finding(ctx, clause.span(), &called, *if_not_exists);
            finding.object = column_object(&clause.table, [column.name.as_str()]);
            found.push(finding);
        }
        Action::AddConstraint(constraint) => {
            let Some(name) = &constraint.name else { return };
            let is_there = ctx
                .relation(&clause.table)
                .is_some_and(|relation| relation.constraints.iter().any(|known| known.name == name.as_str()));
            let dropped_here = clause.alter.clauses.iter().any(|other| {
                matches!(&other.action, Action::DropConstraint { constraint, .. } if constraint == name)
            });
            if !is_there || dropped_here {
                return;
            }
            let mut finding = finding(ctx, clause.span(), name.as_str(), false);
            finding.object = part_object("constraint", &clause.table, name.as_str());
            found.push(finding);
        }
        _ => {}
    }
}

fn finding(
    ctx: &Context<'_>,
    span: crate::statement::Span,
    called: &str,
    if_not_exists: bool,
) -> posthaste_report::Finding {
    let (severity, message) = if if_not_exists {
        (
            Severity::Info,
            format!("{called} is there already: the statement does nothing, also when it is not the same"),
        )
    } else {
        (Severity::High, format!("{called} is there already: the statement fails"))
    };
    let mut finding = ctx.finding_at(RULE.code, span, severity, message);
    finding.remedy =
        remedy("choose another name; or, when the migration has been applied, leave it out of the review");
    finding
}
