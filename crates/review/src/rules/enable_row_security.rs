//! ENABLE ROW LEVEL SECURITY: rows vanish for everybody but the owner.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, remedy, shown, table_object};
use crate::statement::{Action, RowSecurity, Statement};

pub(super) const RULE: Rule = Rule {
    code: "enable-row-security",
    title: "Row level security is switched on, so that clients see other rows than before, without an error",
    page: page!("enable-row-security"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::RowSecurity(mode @ (RowSecurity::Enable | RowSecurity::Force)) = clause.action() else {
            continue;
        };
        if ctx.is_new(&clause.table) {
            continue;
        }
        let relation = ctx.relation(&clause.table);
        let earlier = ctx.earlier().any(|(_, earlier)| match &earlier.statement {
            Statement::CreatePolicy(policy) => ctx.name(&policy.table) == clause.table,
            _ => false,
        });
        let has_policy = earlier || relation.is_some_and(|relation| !relation.policies.is_empty());
        let table = shown(&clause.table);
        let message = match (mode, has_policy) {
            (RowSecurity::Force, _) => format!(
                "policies of {table} hold for its owner as well: a client that connects as the owner sees other rows"
            ),
            (_, false) => {
                format!("{table} has no policy: for every role but its owner it looks empty, and writes fail")
            }
            (_, true) => format!(
                "from now on every role but the owner of {table} sees only what its policies let through"
            ),
        };
        let severity =
            if has_policy || *mode == RowSecurity::Force { Severity::Medium } else { Severity::High };
        let mut finding = ctx.finding_at(RULE.code, clause.span(), severity, message);
        finding.object = table_object(&clause.table);
        finding.remedy = remedy(
            "create the policies first (they do nothing until it is enabled), try them with SET ROLE, then enable it; it is \
             instant to switch off again",
        );
        found.push(finding);
    }
}
