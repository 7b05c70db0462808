//! SET SCHEMA: what clients name is somewhere else.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, named_object, remedy, shown};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "move-object",
    title: "A table or another object moves to another schema, so that running clients do not find it",
    page: page!("move-object"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::SetSchema { schema } = clause.action() else { continue };
        if ctx.is_new(&clause.table) || ctx.state.made_others.contains(&clause.table) {
            continue;
        }
        let kind = clause.alter.kind.words().to_lowercase();
        let is_searched = ctx.state.catalog.search_path.iter().any(|searched| searched == schema.as_str());
        let message = format!(
            "the {kind} {} moves to {schema}: clients that write its schema, or do not search {schema}, do not find it",
            shown(&clause.table)
        );
        let severity = if is_searched { Severity::Medium } else { Severity::High };
        let mut finding = ctx.finding_at(RULE.code, clause.span(), severity, message);
        finding.confidence = finding.confidence.max(Confidence::Likely);
        finding.depends_on.push("how clients name it, and their search_path".to_owned());
        finding.object = named_object(&kind.replace(' ', "-"), &clause.table);
        finding.remedy = remedy("leave a view of the old name behind, in the same transaction");
        found.push(finding);
    }
}
