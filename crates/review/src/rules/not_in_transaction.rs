//! A statement that PostgreSQL refuses in a transaction block, in one.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy};

pub(super) const RULE: Rule = Rule {
    code: "not-in-transaction",
    title: "A statement that must not be in a transaction block is in one, and fails",
    page: page!("not-in-transaction"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    if !ctx.facts.whole.stands_alone {
        return;
    }
    let (around, instead) = match ctx.transaction {
        _ if ctx.is_in_body => {
            ("it is in a body, which is one transaction".to_owned(), "make it a statement of its own")
        }
        Some(transaction) if transaction.is_explicit => {
            let line = ctx.all[transaction.statements.start].line;
            (
                format!("the transaction begins in line {line}"),
                "put COMMIT before it, or give it a file of its own",
            )
        }
        Some(transaction) => {
            let tool = ctx.tool.as_str();
            let many = transaction.statements.len();
            match ctx.wrapping {
                crate::transaction::Wrapping::OneQuery => (
                    format!(
                        "{tool} sends the {many} statements of this file as one query, which is one transaction"
                    ),
                    "give it a file of its own, as the only statement",
                ),
                _ => (
                    format!("{tool} wraps this file in a transaction"),
                    "give it a file of its own, with the tool's opt-out",
                ),
            }
        }
        None => return,
    };
    let message = format!(
        "{} cannot run in a transaction block, and {around}: the server refuses it",
        ctx.full_keyword()
    );
    let mut finding = ctx.finding(RULE.code, Severity::High, message);
    finding.remedy = remedy(instead);
    found.push(finding);
}
