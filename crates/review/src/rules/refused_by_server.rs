//! What the server refuses whatever the data is.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, named_object, remedy, shown};
use crate::statement::{ColumnConstraintKind, CreateTable, Expression, Span, Statement, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "refused-by-server",
    title: "The server refuses the statement, whatever the data is",
    page: page!("refused-by-server"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    match ctx.statement() {
        Statement::CreateIndex(create) => {
            let expressions = create.keys.iter().filter_map(|key| key.expression.as_ref());
            for expression in expressions.chain(&create.predicate) {
                let Some(function) = ctx.not_immutable(expression) else { continue };
                let message = format!("{function} is not immutable: the server refuses it in an index");
                say(ctx, expression.span, message, "compare with a constant, or filter in the query", found);
            }
        }
        Statement::CreateTable(create) => keys_of_partitioned(ctx, create, found),
        _ => {}
    }
    // A rule that knows the reason has said it already: rules run in the order of their names.
    let is_said = found.0.iter().any(|found| found.finding.severity.is_at_least(Severity::High));
    if let Some(reason) = ctx.facts.whole.refused.as_ref().filter(|_| !is_said) {
        say(
            ctx,
            ctx.located.span,
            format!("the server refuses it: {reason}"),
            "correct the statement",
            found,
        );
    }
}

/// A unique key of a partitioned table must hold the columns that it is partitioned by.
fn keys_of_partitioned(ctx: &Context<'_>, create: &CreateTable, found: &mut Findings) {
    let Some(by) = &create.partition_by else { return };
    let wanted: Vec<&str> = by.keys.iter().filter_map(|key| Some(key.column.as_ref()?.as_str())).collect();
    let mut keys: Vec<(Span, Vec<&str>)> = Vec::new();
    for column in &create.columns {
        for constraint in &column.constraints {
            if matches!(
                constraint.kind,
                ColumnConstraintKind::PrimaryKey { .. } | ColumnConstraintKind::Unique { .. }
            ) {
                keys.push((constraint.span, vec![column.name.as_str()]));
            }
        }
    }
    for constraint in &create.constraints {
        if let TableConstraintKind::PrimaryKey { columns, .. } | TableConstraintKind::Unique { columns, .. } =
            &constraint.kind
        {
            keys.push((constraint.span, columns.iter().map(|column| column.as_str()).collect()));
        }
    }
    for (span, columns) in keys {
        let missing: Vec<&str> = wanted.iter().filter(|column| !columns.contains(column)).copied().collect();
        if missing.is_empty() && wanted.len() == by.keys.len() {
            continue;
        }
        let message = format!(
            "the key ({}) of the partitioned table {} lacks {}: the server refuses it",
            columns.join(", "),
            shown(&ctx.made_name(&create.name)),
            if missing.is_empty() {
                "the expression that it is partitioned by".to_owned()
            } else {
                missing.join(", ")
            }
        );
        say(
            ctx,
            span,
            message,
            "add the columns of the partition key to it; uniqueness over all partitions needs a table of its own",
            found,
        );
    }
}

fn say(ctx: &Context<'_>, span: Span, message: String, instead: &str, found: &mut Findings) {
    let mut finding = ctx.finding_at(RULE.code, span, Severity::High, message);
    if let Statement::CreateTable(create) = ctx.statement() {
        finding.object = named_object("table", &ctx.made_name(&create.name));
    }
    finding.remedy = remedy(instead);
    found.push(finding);
}

/// The first function of an expression that is known to depend on more than its arguments.
pub(crate) fn known_not_immutable(expression: &Expression) -> Option<String> {
    const KNOWN: &[&str] = &[
        "now",
        "current_timestamp",
        "current_date",
        "current_time",
        "localtime",
        "localtimestamp",
        "clock_timestamp",
        "statement_timestamp",
        "transaction_timestamp",
        "random",
        "timeofday",
        "current_user",
        "session_user",
        "age",
    ];
    let call = expression.functions.iter().find(|call| {
        let is_system = call.name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
        // Of two times it is immutable; of one it looks at the clock.
        let is_age_of_two = call.name.name == "age" && call.argument_count > 1;
        is_system && KNOWN.contains(&call.name.name.as_str()) && !is_age_of_two
    });
    call.map(|call| call.name.name.clone())
}
