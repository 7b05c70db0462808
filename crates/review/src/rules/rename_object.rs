//! RENAME of a view, a function, a type, a sequence, a schema.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, named_object, remedy, shown};
use crate::statement::{Action, ObjectKind};

pub(super) const RULE: Rule = Rule {
    code: "rename-object",
    title: "A view, a function, a type, a sequence or a schema is renamed that clients may use",
    page: page!("rename-object"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Some(alter) = ctx.alter() else { return };
    let is_for_clients = matches!(
        alter.kind,
        ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Type
            | ObjectKind::Domain
            | ObjectKind::Function
            | ObjectKind::Procedure
            | ObjectKind::Routine
            | ObjectKind::Schema
    );
    if !is_for_clients {
        return;
    }
    for clause in ctx.clauses() {
        let Action::RenameTo { to } = clause.action() else { continue };
        if ctx.is_new(&clause.table) || ctx.state.made_others.contains(&clause.table) {
            continue;
        }
        let kind = alter.kind.words().to_lowercase();
        let message =
            format!("the {kind} {} becomes {to}: clients that use the old name fail", shown(&clause.table));
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::Medium, message);
        finding.confidence = finding.confidence.max(Confidence::Likely);
        finding.depends_on.push(format!("whether clients name {}", shown(&clause.table)));
        finding.object = named_object(&kind.replace(' ', "-"), &clause.table);
        finding.remedy =
            remedy("make the new one beside the old one, and drop the old one when nobody uses it any more");
        found.push(finding);
    }
}
