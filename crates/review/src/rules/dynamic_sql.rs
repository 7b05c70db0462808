//! Statements whose text is made when they run.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy};
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "dynamic-sql",
    title: "A statement is put together when it runs, so that nobody can say beforehand what it does",
    page: page!("dynamic-sql"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let message = match ctx.statement() {
        Statement::Unknown { reason } => format!("what it does is not known: {reason}"),
        Statement::Do(block) if !block.body.is_read => {
            format!("the body is in {}, which is not looked into", block.body.language)
        }
        _ => return,
    };
    let mut finding = ctx.finding(RULE.code, Severity::Low, message);
    finding.confidence = Confidence::Possible;
    finding.depends_on.push("the text that is made when it runs".to_owned());
    finding.remedy = remedy("write the statements out, where their number is known");
    found.push(finding);
}
