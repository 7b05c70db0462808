//! A strong lock on a table while a long transaction is open: all others queue behind it.

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, LockMode, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{FileContext, Step, evidence, remedy, shown, table_object};
use crate::severity::{blocked_per_s, duration, to_f64};

pub(super) const RULE: Rule = Rule {
    code: "lock-queue",
    title: "A strong lock would wait behind a transaction that is open now, and everybody else behind the lock",
    page: page!("lock-queue"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    let Some(open_ms) = ctx.server().and_then(|server| server.longest_transaction_ms) else { return };
    if open_ms < ctx.options.thresholds.long_transaction_ms {
        return;
    }
    let is_short = |ms: u64| ms <= open_ms;
    if ctx.server_lock_timeout_ms().is_some_and(is_short) {
        return;
    }
    // Once for each table, where its strongest lock is taken.
    let mut locks: Vec<(Name, LockMode, &Step<'_>)> = Vec::new();
    for step in ctx.steps.iter().filter(|step| !step.lock_timeout_ms.is_some_and(is_short)) {
        for (table, mode) in step.facts.whole.tables() {
            if !mode.blocks_writes() || step.is_new(&table) || !step.is_there(&table) {
                continue;
            }
            match locks.iter_mut().find(|(known, ..)| *known == table) {
                Some(known) if known.1 < mode => *known = (table, mode, step),
                Some(_) => {}
                None => locks.push((table, mode, step)),
            }
        }
    }
    for (table, mode, step) in locks {
        report(ctx, &table, mode, step, to_f64(open_ms) / 1000.0, found);
    }
}

fn report(
    ctx: &FileContext<'_>,
    table: &Name,
    mode: LockMode,
    step: &Step<'_>,
    open_s: f64,
    found: &mut Findings,
) {
    let per_s = ctx.end.relation(table).and_then(|relation| blocked_per_s(relation, ctx.server(), mode));
    let severity = match per_s.map(|per_s| per_s * open_s) {
        Some(waiting) if waiting < 1.0 => return,
        Some(waiting) if waiting >= 100.0 => Severity::High,
        _ => Severity::Medium,
    };
    let message = format!(
        "{mode} on {table}: a transaction is open for {open} and may go on; if it has touched {table} the lock waits for it, \
         and every later statement that needs {table} waits behind the lock",
        table = shown(table),
        open = duration(open_s)
    );
    let mut finding = ctx.finding(RULE.code, step, severity, message);
    finding.confidence = Confidence::Likely;
    finding.depends_on.push(format!("whether a transaction that is open then has touched {}", shown(table)));
    if let Some(per_s) = per_s {
        let text = format!("{} sees {per_s:.1} statements a second that would wait", shown(table));
        finding.evidence.push(evidence(text));
    }
    finding.object = table_object(table);
    finding.remedy = remedy(
        "set lock_timeout to a second or two before the statement, and try again when it runs out; `posthaste run` does both",
    );
    found.push(finding);
}
