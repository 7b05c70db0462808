//! A type becomes narrower than some values may be.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, remedy, shown};
use crate::probe;
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "fails-on-overflow",
    title: "A column becomes narrower while some values may not fit, which makes the statement fail",
    page: page!("fails-on-overflow"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::SetType { column, type_name, using: None, .. } = clause.action() else { continue };
        let Some(known) = ctx.column(&clause.table, column.as_str()).filter(|_| ctx.state.has_catalog) else {
            continue;
        };
        if ctx.is_harmless(&clause.table) || !is_narrower(&known.type_name, &type_name.canonical) {
            continue;
        }
        let Some(probe) = probe::overflow(&clause.table, column.as_str(), type_name) else { continue };
        let message = format!(
            "if a value of {}.{column} ({}) does not fit {}, the statement fails",
            shown(&clause.table),
            known.type_name,
            type_name.canonical
        );
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::Medium, message);
        finding.confidence = Confidence::Possible;
        finding
            .depends_on
            .push(format!("whether {}.{column} holds values that do not fit", shown(&clause.table)));
        finding.object = column_object(&clause.table, [column.as_str()]);
        finding.remedy = remedy(
            "look for such values first, or add a CHECK with the new limit as NOT VALID and VALIDATE it",
        );
        found.push_with(finding, Some(probe));
    }
}

/// Whether the second type of a family holds less than the first.
fn is_narrower(from: &str, to: &str) -> bool {
    let (from_family, from_limits) = limits(from);
    let (to_family, to_limits) = limits(to);
    let integers = ["smallint", "integer", "bigint"];
    let rank = |family: &str| integers.iter().position(|known| *known == family);
    match (rank(&from_family), rank(&to_family)) {
        (Some(from), Some(to)) => return to < from,
        (None, Some(_)) => return from_family == "numeric",
        (Some(_), None) => return to_family == "numeric" && !to_limits.is_empty(),
        (None, None) => {}
    }
    let is_text = |family: &str| ["text", "character varying", "character"].contains(&family);
    if is_text(&from_family) && is_text(&to_family) {
        return match (from_limits.first(), to_limits.first()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(from), Some(to)) => to < from,
        };
    }
    if from_family == "numeric" && to_family == "numeric" {
        let whole = |limits: &[i64]| limits.first().map(|precision| precision - limits.get(1).unwrap_or(&0));
        return match (whole(&from_limits), whole(&to_limits)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(from), Some(to)) => to < from,
        };
    }
    false
}

/// `numeric(5,2)` is its name and its numbers.
fn limits(type_name: &str) -> (String, Vec<i64>) {
    match type_name.split_once('(') {
        Some((family, rest)) => {
            let numbers = rest.trim_end_matches(')').split(',').filter_map(|part| part.trim().parse().ok());
            (family.trim().to_owned(), numbers.collect())
        }
        None => (type_name.to_owned(), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrower_types_are_told_from_wider_ones() {
        let check =
            |from: &str, to: &str, expected| assert_eq!(is_narrower(from, to), expected, "{from} to {to}");
        check("bigint", "integer", true);
        check("integer", "bigint", false);
        check("character varying(40)", "character varying(20)", true);
        check("character varying(20)", "character varying(40)", false);
        check("text", "character varying(20)", true);
        check("character varying(20)", "text", false);
        check("numeric(10,2)", "numeric(5,2)", true);
        check("numeric(5,2)", "numeric(5,4)", true);
        check("numeric(5,2)", "numeric(7,4)", false);
        check("numeric", "numeric(5,2)", true);
        check("numeric(5,2)", "numeric", false);
        check("numeric(5,0)", "integer", true);
        check("timestamp without time zone", "date", false);
    }
}
