//! A CHECK is proven over rows that may break it.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, part_object, remedy, shown};
use crate::probe;
use crate::statement::{Action, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "fails-on-check",
    title: "A CHECK is proven while some rows may break it, which makes the statement fail",
    page: page!("fails-on-check"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let (name, condition) = match clause.action() {
            Action::AddConstraint(constraint)
                if !constraint.timing.is_not_valid && !constraint.timing.is_not_enforced =>
            {
                let TableConstraintKind::Check { expression, .. } = &constraint.kind else { continue };
                // What the file itself adds has one value everywhere, which the server checks at once.
                let is_added = |column: &str| ctx.was_added(&clause.table, column);
                if expression.columns.iter().all(|used| is_added(used.column.as_str())) {
                    continue;
                }
                let name = constraint.name.as_ref().map_or("the CHECK", |name| name.as_str());
                (name.to_owned(), expression.text.trim().to_owned())
            }
            Action::ValidateConstraint { constraint } => {
                let Some(relation) = ctx.relation(&clause.table) else { continue };
                let known = relation
                    .constraints
                    .iter()
                    .find(|known| known.name == constraint.as_str() && !known.is_validated);
                let Some(text) = known.and_then(|known| condition_of(&known.definition)) else { continue };
                (constraint.name.clone(), text)
            }
            _ => continue,
        };
        if !ctx.state.has_catalog || ctx.relation(&clause.table).is_none() || ctx.is_harmless(&clause.table) {
            continue;
        }
        let message = format!(
            "if a row of {} breaks {name} (`{condition}`), the statement fails",
            shown(&clause.table)
        );
        let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::Low, message);
        finding.confidence = Confidence::Possible;
        finding
            .depends_on
            .push(format!("whether {} has rows for which `{condition}` is false", shown(&clause.table)));
        finding.object = part_object("constraint", &clause.table, &name);
        finding.remedy =
            remedy("add it as NOT VALID, which keeps new rows right, repair the old ones, then VALIDATE");
        found.push_with(finding, Some(probe::violations(&clause.table, &condition)));
    }
}

/// What stands in the parentheses of `CHECK (...)`.
fn condition_of(definition: &str) -> Option<String> {
    let inner = definition.trim().strip_prefix("CHECK (")?;
    let end = inner.rfind(')')?;
    Some(inner[..end].to_owned())
}
