//! Statements whose text is made when they run.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy};
use crate::statement::{CreateFunction, Located, Statement};

pub(super) const RULE: Rule = Rule {
    code: "dynamic-sql",
    title: "A statement is put together when it runs, so that nobody can say beforehand what it does",
    page: page!("dynamic-sql"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let message = match ctx.statement() {
        Statement::Unknown { reason } => format!("what it does is not known: {reason}"),
        Statement::Execute(execute) if execute.runs.is_none() => {
            format!("it runs what was prepared as {}, which the file does not say", execute.name)
        }
        Statement::Do(block) if !block.body.is_read => {
            format!("the body is in {}, which is not looked into", block.body.language)
        }
        Statement::CreateFunction(create) => return of_function(ctx, create, found),
        _ => return,
    };
    let mut finding = ctx.finding(RULE.code, Severity::Low, message);
    finding.confidence = Confidence::Possible;
    finding.depends_on.push("the text that is made when it runs".to_owned());
    finding.remedy = remedy("write the statements out, where their number is known");
    found.push(finding);
}

/// What a function does happens when it is called: it is no part of the migration's own locks.
fn of_function(ctx: &Context<'_>, create: &CreateFunction, found: &mut Findings) {
    let is_unknown = |located: &&Located| matches!(located.statement, Statement::Unknown { .. });
    let Some(first) = create.body.statements.iter().find(is_unknown) else { return };
    let message = format!(
        "{} runs a statement, in line {}, that is put together when it is called: what it locks then is not known here, and \
         is not locked by the migration",
        create.name, first.line
    );
    let mut finding = ctx.finding(RULE.code, Severity::Info, message);
    finding.confidence = Confidence::Possible;
    finding.depends_on.push("the text that is made when it is called".to_owned());
    found.push(finding);
}
