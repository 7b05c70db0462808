//! Lines that only psql understands.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy};
use crate::statement::Statement;
use crate::transaction::Tool;

pub(super) const RULE: Rule = Rule {
    code: "psql-command",
    title: "A line is for psql, which another tool sends to the server, or which leads to other files",
    page: page!("psql-command"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Meta(meta) = ctx.statement() else { return };
    let includes = ["i", "ir", "include", "include_relative", "gexec", "copy", "connect", "c", "!"];
    let (severity, message) = if ctx.tool != Tool::Psql {
        (
            Severity::High,
            format!(
                "\\{} is for psql: {} sends it to the server, which refuses it",
                meta.name,
                ctx.tool.as_str()
            ),
        )
    } else if includes.contains(&meta.name.as_str()) {
        (Severity::Low, format!("\\{} does what this review cannot see", meta.name))
    } else {
        return;
    };
    let mut finding = ctx.finding(RULE.code, severity, message);
    finding.remedy =
        remedy("give the other file to the review as well, in its place; in other tools leave the line out");
    found.push(finding);
}
