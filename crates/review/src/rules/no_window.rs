//! A file with grave findings that does not say when it may run.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::comment;
use crate::context::{FileContext, remedy};
use crate::severity::duration;

pub(super) const RULE: Rule = Rule {
    code: "no-window",
    title: "Nothing says when the migration may run, and it is not one for business hours",
    page: page!("no-window"),
    check: Check::File(check),
};

/// Words by which a file says when it may run.
const WINDOWS: &[&str] = &[
    "window",
    "off-peak",
    "off peak",
    "low traffic",
    "low-traffic",
    "business hours",
    "maintenance",
    "night",
    "weekend",
];

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    if ctx.worst.is_none_or(|worst| !worst.is_at_least(Severity::High)) {
        return;
    }
    let says_when = comment::comments(ctx.text).iter().any(|(_, text)| {
        let text = text.to_lowercase();
        WINDOWS.iter().any(|word| text.contains(word))
    });
    if says_when {
        return;
    }
    let Some(step) = ctx.steps.iter().max_by(|a, b| {
        let seconds = |step: &crate::context::Step<'_>| step.facts.seconds.unwrap_or(0.0);
        seconds(a).total_cmp(&seconds(b))
    }) else {
        return;
    };
    let known: f64 = ctx.steps.iter().filter_map(|step| step.facts.seconds).sum();
    let time = if known >= 1.0 { format!(", and takes about {}", duration(known)) } else { String::new() };
    let message =
        format!("it blocks or loads what clients use{time}, and nothing in it says when it may run");
    let mut finding = ctx.finding(RULE.code, step, Severity::Low, message);
    finding.remedy = remedy(
        "run it as a plan in small steps; or name a window outside of business hours, which `posthaste run` holds to",
    );
    found.push(finding);
}
