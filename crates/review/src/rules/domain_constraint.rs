//! A constraint of a domain is added or proven: every table that uses the domain is read.

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::Context;
use crate::statement::{Action, ObjectKind};

pub(super) const RULE: Rule = Rule {
    code: "domain-constraint",
    title: "A domain's constraint is proven, so that every table with a column of it is read while writers wait",
    page: page!("domain-constraint"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    if ctx.alter().is_none_or(|alter| alter.kind != ObjectKind::Domain) {
        return;
    }
    for clause in ctx.clauses() {
        let what = match clause.action() {
            Action::AddConstraint(_) => "adding a constraint to",
            Action::ValidateConstraint { .. } => "validating a constraint of",
            Action::SetDomainNotNull => "SET NOT NULL on",
            _ => continue,
        };
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("{what} the domain {}", clause.alter.name),
            remedy: "add it with NOT VALID, which reads nothing; prove it table by table with a CHECK on each column \
                     (NOT VALID, then VALIDATE), and validate the domain in a window or not at all"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
