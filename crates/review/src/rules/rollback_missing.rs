//! The way back exists, and leaves out a statement; or there is none for what cannot be made anew.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{FileContext, remedy};

pub(super) const RULE: Rule = Rule {
    code: "rollback-missing",
    title: "Nothing says how to go back",
    page: page!("rollback-missing"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    if ctx.rollback.is_some() || !ctx.keeps_rollbacks {
        return;
    }
    let Some(step) = ctx.steps.iter().find(|step| step.changes_schema) else { return };
    let mut finding = ctx.finding(
        RULE.code,
        step,
        Severity::Low,
        "the other migrations have a way back, and this one has none",
    );
    finding.remedy = remedy("write the script that goes back and try it on a copy: up, down, up");
    found.push(finding);
}
