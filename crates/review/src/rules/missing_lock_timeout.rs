//! Strong locks without a lock_timeout in the file.

use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{FileContext, listed, remedy, shown, table_object};

pub(super) const RULE: Rule = Rule {
    code: "missing-lock-timeout",
    title: "Nothing bounds how long a strong lock is waited for, and with it how long everybody else waits",
    page: page!("missing-lock-timeout"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    if ctx.server_lock_timeout_ms().is_some() {
        return;
    }
    let mut tables = Vec::new();
    let mut first = None;
    for step in ctx.steps.iter().filter(|step| step.lock_timeout_ms.is_none()) {
        for (table, mode) in step.facts.whole.tables() {
            let is_used = mode.blocks_reads() && !step.is_new(&table) && step.is_there(&table);
            if is_used && !tables.contains(&table) {
                tables.push(table);
                first = first.or(Some(step));
            }
        }
    }
    let Some(step) = first else { return };
    let shown_tables: Vec<String> = tables.iter().map(shown).collect();
    let message = format!(
        "ACCESS EXCLUSIVE on {} without a lock_timeout: behind one long query the statement waits, and everybody behind it",
        listed(&shown_tables)
    );
    let mut finding = ctx.finding(RULE.code, step, Severity::Medium, message);
    finding.object = table_object(&tables[0]);
    finding.remedy = remedy(
        "SET lock_timeout = '2s' at the top, and try again when it runs out; `posthaste run` does both",
    );
    found.push(finding);
}
