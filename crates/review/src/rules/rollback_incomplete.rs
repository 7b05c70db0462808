//! The way back is compared with the start: what it does not restore, and what it cannot.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{FileContext, remedy};

pub(super) const RULE: Rule = Rule {
    code: "rollback-incomplete",
    title: "The rollback does not restore what was there before",
    page: page!("rollback-incomplete"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    let Some(rollback) = ctx.rollback else { return };
    for left in &rollback.left {
        let mut finding = ctx.finding_for(RULE.code, left.statement, Severity::Medium, left.message.clone());
        finding.object = left.object.clone();
        finding.remedy = remedy(left.instead.clone());
        found.push(finding);
    }
    for error in &rollback.errors {
        let message = format!("the rollback cannot be read: {error}");
        let mut finding = ctx.finding_for(RULE.code, None, Severity::Medium, message);
        finding.location = Some(posthaste_report::Location {
            file: ctx.file.to_owned(),
            line: rollback.line,
            column: 1,
            statement: 0,
        });
        finding.remedy = remedy("correct it, and try it on a copy");
        found.push(finding);
    }
}
