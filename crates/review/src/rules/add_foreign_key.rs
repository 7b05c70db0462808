//! A foreign key that is proven in the statement that adds it.

use posthaste_base::catalog::Name;
use posthaste_report::{Effect, Finding, LockMode};

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::{Context, listed, shown};
use crate::statement::{Action, ColumnConstraintKind, TableConstraintKind};

pub(super) const RULE: Rule = Rule {
    code: "add-foreign-key",
    title: "A foreign key is added and proven in one step, so that writers of both tables wait",
    page: page!("add-foreign-key"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let (name, parent) = match clause.action() {
            Action::AddConstraint(constraint) => match &constraint.kind {
                TableConstraintKind::ForeignKey { key, .. } => (constraint.name.as_ref(), &key.table),
                _ => continue,
            },
            Action::AddColumn { column, .. } => {
                let key = column.constraints.iter().find_map(|constraint| match &constraint.kind {
                    ColumnConstraintKind::References(key) => Some((constraint.name.as_ref(), &key.table)),
                    _ => None,
                });
                let Some(key) = key else { continue };
                key
            }
            _ => continue,
        };
        if clause.part.effect() != Effect::Scan {
            continue;
        }
        let parent = ctx.name(parent);
        let name = name.map_or_else(String::new, |name| format!(" {name}"));
        // The lock on the parent lasts as long as the scan of the child.
        let mut part = clause.part.clone();
        part.works.retain(|(table, _)| *table == clause.table || is_part_of(ctx, table, &clause.table));
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: &part,
            what: format!("proving the foreign key{name} to {}{}", shown(&parent), and_parent(ctx, &clause.table, &parent)),
            remedy: "add it with NOT VALID (brief), then VALIDATE CONSTRAINT in a transaction of its own: that lets clients \
                     write both tables"
                .to_owned(),
        };
        let before = found.0.len();
        blocking(ctx, &about, found);
        for known in &mut found.0[before..] {
            count_parent(ctx, &parent, &mut known.finding);
        }
    }
}

/// The parent is locked for as long as the child is read, and may be in more use.
fn count_parent(ctx: &Context<'_>, parent: &Name, finding: &mut Finding) {
    let seconds = finding.counts.get("milliseconds").map(|ms| *ms as f64 / 1000.0);
    let Some((severity, evidence, depends_on)) = ctx.hold(parent, LockMode::ShareRowExclusive, seconds)
    else {
        return;
    };
    if severity < finding.severity {
        finding.severity = severity;
        finding.depends_on.extend(depends_on);
        finding.evidence.extend(evidence);
    }
}

fn is_part_of(ctx: &Context<'_>, child: &Name, parent: &Name) -> bool {
    ctx.relation(child).is_some_and(|relation| relation.parents.contains(parent))
}

fn and_parent(ctx: &Context<'_>, child: &Name, parent: &Name) -> String {
    if parent == child || ctx.is_new(parent) {
        return String::new();
    }
    format!(" (writers of {} wait as well)", listed(&[shown(parent)]))
}
