//! DROP TABLE, and DROP SCHEMA with what is in it.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, also_locked, page};
use crate::context::{Context, evidence, listed, named_object, remedy, shown, table_object};
use crate::severity::count;
use crate::statement::{ObjectKind, Statement};

pub(super) const RULE: Rule = Rule {
    code: "drop-table",
    title: "A table is dropped, with its rows",
    page: page!("drop-table"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Drop(drop) = ctx.statement() else { return };
    match drop.kind {
        ObjectKind::Table => {}
        ObjectKind::Schema if drop.is_cascade => return schemas(ctx, drop, found),
        _ => return,
    }
    for target in &drop.targets {
        let table = ctx.name(&target.name);
        let is_gone = ctx.state.has_catalog && ctx.relation(&table).is_none();
        if ctx.is_new(&table) || is_gone {
            continue;
        }
        let volume = ctx.volume(&table);
        let (severity, rows) = match volume.rows() {
            _ if volume.is_empty() => (Severity::Medium, "no rows".to_owned()),
            Some(rows) => (Severity::High, format!("about {} rows", count(rows))),
            None => (Severity::High, "its rows".to_owned()),
        };
        let message = format!("{} goes with {rows}; clients that still use it fail", shown(&table));
        let mut finding = ctx.finding(RULE.code, severity, message);
        if !ctx.state.has_catalog {
            finding.confidence = Confidence::Likely;
            finding.depends_on.push(format!("whether {} is still used", shown(&table)));
        }
        finding.object = table_object(&table);
        let others = also_locked(&ctx.facts.whole, &table);
        if !others.is_empty() {
            finding
                .evidence
                .push(evidence(format!("it locks {} as well: foreign keys lead there", listed(&others))));
        }
        if let Some(activity) = ctx.relation(&table).map(|relation| &relation.activity) {
            let scans = activity.sequential_scans + activity.index_scans;
            if ctx.state.has_catalog && scans > 0 {
                finding
                    .evidence
                    .push(evidence(format!("{} scans since the counters were reset", count(scans))));
            }
        }
        finding.remedy = remedy(
            "rename it first and wait for a while in which nobody asks for it; take a backup; then drop it",
        );
        found.push(finding);
    }
}

fn schemas(ctx: &Context<'_>, drop: &crate::statement::Drop, found: &mut Findings) {
    for target in &drop.targets {
        let schema = &target.name.name;
        let inside = ctx.state.catalog.relations.iter().filter(|relation| relation.name.schema == *schema);
        let tables: Vec<String> = inside.map(|relation| relation.name.name.clone()).collect();
        if ctx.state.has_catalog && tables.is_empty() {
            continue;
        }
        let holds = if tables.is_empty() {
            "all that is in it".to_owned()
        } else {
            format!("{} tables and views", tables.len())
        };
        let mut finding =
            ctx.finding(RULE.code, Severity::High, format!("the schema {schema} goes with {holds}"));
        finding.object = named_object("schema", &posthaste_base::catalog::Name::new("", schema.clone()));
        finding.remedy = remedy("drop its objects one by one, each when nobody uses it any more");
        found.push(finding);
    }
}
