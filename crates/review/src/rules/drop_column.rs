//! DROP COLUMN.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, evidence, listed, remedy, shown};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "drop-column",
    title: "A column is dropped, with its values, its indexes and its constraints",
    page: page!("drop-column"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::DropColumn { column, if_exists, .. } = clause.action() else { continue };
        let known = ctx.column(&clause.table, column.as_str());
        if ctx.is_new(&clause.table) || ctx.was_added(&clause.table, column.as_str()) {
            continue;
        }
        if ctx.state.has_catalog && known.is_none() && *if_exists {
            continue;
        }
        let message = format!(
            "{}.{column} goes with its values; clients that name it fail, and those that cached `select *` once",
            shown(&clause.table)
        );
        let severity = if ctx.volume(&clause.table).is_empty() { Severity::Medium } else { Severity::High };
        let mut finding = ctx.finding_at(RULE.code, clause.span(), severity, message);
        if !ctx.state.has_catalog {
            finding.confidence = Confidence::Likely;
            finding.depends_on.push(format!("whether {}.{column} is still used", shown(&clause.table)));
        }
        finding.object = column_object(&clause.table, [column.as_str()]);
        if let Some(relation) = ctx.relation(&clause.table) {
            let uses = |index: &&posthaste_base::catalog::Index| {
                index.keys.iter().any(|key| key.column.as_deref() == Some(column.as_str()))
            };
            let indexes: Vec<String> =
                relation.indexes.iter().filter(uses).map(|index| index.name.name.clone()).collect();
            if !indexes.is_empty() {
                finding.evidence.push(evidence(format!("with it go the indexes {}", listed(&indexes))));
            }
        }
        finding.remedy = remedy(
            "deploy code that does not name it, wait until no old version runs, make it nullable if old inserts leave it out, \
             then drop it: the last step, which cannot be undone",
        );
        found.push(finding);
    }
}
