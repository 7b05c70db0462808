//! DROP of a view, a function, a type, a sequence: what clients call is gone.

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, named_object, remedy, shown};
use crate::statement::{ObjectKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "drop-object",
    title: "A view, a function, a type or a sequence is dropped that clients may use",
    page: page!("drop-object"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Drop(drop) = ctx.statement() else { return };
    if !is_for_clients(drop.kind) {
        return;
    }
    for target in &drop.targets {
        let name = ctx.name(&target.name);
        if ctx.is_new(&name) || ctx.state.made_others.contains(&name) || is_made_again(ctx, &name) {
            continue;
        }
        if drop.if_exists && ctx.state.has_catalog && !is_there(ctx, drop.kind, &name) {
            continue;
        }
        let kind = drop.kind.words().to_lowercase();
        let message = format!("the {kind} {} is dropped: clients that use it fail", shown(&name));
        let mut finding = ctx.finding(RULE.code, Severity::Medium, message);
        finding.confidence = finding.confidence.max(Confidence::Likely);
        finding.depends_on.push(format!("whether {} is still used", shown(&name)));
        finding.object = named_object(&kind.replace(' ', "-"), &name);
        finding.remedy =
            remedy("deploy code that does without it first, and drop it when no old version runs any more");
        found.push(finding);
    }
}

fn is_for_clients(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Type
            | ObjectKind::Domain
            | ObjectKind::Function
            | ObjectKind::Procedure
            | ObjectKind::Routine
            | ObjectKind::Aggregate
            | ObjectKind::ForeignTable
            | ObjectKind::Extension
    )
}

/// A later statement of the same transaction makes it anew, so that nobody sees it gone.
fn is_made_again(ctx: &Context<'_>, name: &Name) -> bool {
    let Some(transaction) = ctx.transaction else { return false };
    ctx.later().take_while(|(at, _)| *at < transaction.statements.end).any(|(_, later)| {
        let made = match &later.statement {
            Statement::CreateView(create) => &create.name,
            Statement::CreateFunction(create) => &create.name,
            Statement::CreateType(create) => &create.name,
            Statement::CreateDomain(create) => &create.name,
            Statement::CreateSequence(create) => &create.name,
            _ => return false,
        };
        ctx.name(made) == *name
    })
}

fn is_there(ctx: &Context<'_>, kind: ObjectKind, name: &Name) -> bool {
    let catalog = &ctx.state.catalog;
    match kind {
        ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::ForeignTable => {
            ctx.relation(name).is_some()
        }
        ObjectKind::Sequence => catalog.sequences.iter().any(|sequence| sequence.name == *name),
        ObjectKind::Type | ObjectKind::Domain => catalog.types.iter().any(|known| known.name == *name),
        ObjectKind::Extension => catalog.extensions.iter().any(|known| known.name == name.name),
        _ => catalog.functions.iter().any(|function| function.name == *name),
    }
}
