//! TRUNCATE of a table that has rows.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, listed, remedy, shown, table_object};
use crate::severity::count;
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "truncate",
    title: "A table is emptied",
    page: page!("truncate"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Truncate(truncate) = ctx.statement() else { return };
    let named: Vec<_> = truncate.tables.iter().map(|table| ctx.name(&table.name)).collect();
    for table in &named {
        if ctx.is_harmless(table) {
            continue;
        }
        let rows = ctx.volume(table).rows();
        let amount = rows.map_or_else(|| "all rows".to_owned(), |rows| format!("about {} rows", count(rows)));
        let others: Vec<String> = ctx
            .facts
            .whole
            .tables()
            .into_iter()
            .filter(|(other, mode)| truncate.is_cascade && mode.blocks_reads() && !named.contains(other))
            .map(|(other, _)| shown(&other))
            .collect();
        let cascade = match (truncate.is_cascade, others.is_empty()) {
            (true, false) => format!(", and with it {}", listed(&others)),
            (true, true) if !ctx.state.has_catalog => ", and every table that refers to it".to_owned(),
            _ => String::new(),
        };
        let message = format!("{} loses {amount}{cascade}", shown(table));
        let mut finding = ctx.finding(RULE.code, Severity::High, message);
        if !ctx.state.has_catalog {
            finding.confidence = Confidence::Likely;
            finding.depends_on.push(format!("whether {} has rows that somebody needs", shown(table)));
        }
        finding.object = table_object(table);
        finding.remedy =
            remedy("rename the table and make an empty one in its place; drop the old one later");
        found.push(finding);
    }
}
