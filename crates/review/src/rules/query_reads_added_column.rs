//! Queries that run already and read a column that this migration would only add.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{FileContext, column_object, evidence, remedy, shown};
use crate::statement::{Action, Statement};

pub(super) const RULE: Rule = Rule {
    code: "query-reads-added-column",
    title: "A query that runs already reads a column that the migration would only add",
    page: page!("query-reads-added-column"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    for step in ctx.steps {
        let Statement::Alter(alter) = &step.located.statement else { continue };
        let table = ctx.end.name(&alter.name);
        for clause in &alter.clauses {
            let Action::AddColumn { column, .. } = &clause.action else { continue };
            for query in ctx.queries.iter().filter(|query| query.reads(&table, column.name.as_str())) {
                let rate =
                    query.calls_per_s.map_or_else(String::new, |calls| format!(", {calls} times a second"));
                let message = format!(
                    "a query that runs now{rate} reads {}.{}, which is only added here: it fails until then, or the column is \
                     there already and this statement fails",
                    shown(&table),
                    column.name
                );
                let mut finding = ctx.finding(RULE.code, step, Severity::High, message);
                finding.confidence = Confidence::Likely;
                finding.depends_on.push(format!("whether {} has the column already", shown(&table)));
                finding.object = column_object(&table, [column.name.as_str()]);
                finding.evidence.push(evidence(format!("{}: {}", query.source, query.shortened())));
                finding.remedy = remedy(
                    "find out which version of the application sends it: the migration must be there before that version is, and \
                     a rollback of the migration breaks it again",
                );
                found.push(finding);
            }
        }
    }
}
