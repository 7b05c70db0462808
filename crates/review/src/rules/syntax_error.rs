//! What cannot be read as PostgreSQL's SQL.

use posthaste_report::{Finding, Location, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{FileContext, remedy};

pub(super) const RULE: Rule = Rule {
    code: "syntax-error",
    title: "A statement cannot be read, and was not reviewed",
    page: page!("syntax-error"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    let mut last = 0;
    for error in ctx.errors {
        // One error of a statement makes others that say nothing.
        if error.statement == last && error.statement != 0 {
            continue;
        }
        last = error.statement;
        let mut finding =
            Finding::new(RULE.code, Severity::High, format!("it cannot be read: {}", error.message));
        finding.location = Some(Location {
            file: ctx.file.to_owned(),
            line: error.line,
            column: error.column,
            statement: error.statement,
        });
        finding.remedy = error.hint.as_ref().and_then(remedy).or_else(|| remedy("correct the statement"));
        found.push(finding);
    }
}
