//! A lock that is taken early and held while later statements of the transaction work.

use posthaste_base::catalog::Name;
use posthaste_report::{LockMode, Severity};

use super::{Check, Findings, Rule, page, waiters};
use crate::context::{FileContext, evidence, remedy, shown, table_object};
use crate::severity::{Hold, duration};
use crate::transaction::Transaction;

pub(super) const RULE: Rule = Rule {
    code: "locks-held",
    title: "A strong lock is held through the later statements of its transaction",
    page: page!("locks-held"),
    check: Check::File(check),
};

fn check(ctx: &FileContext<'_>, found: &mut Findings) {
    for transaction in ctx.transactions.all() {
        for (table, mode, taken) in locks_of(ctx, transaction) {
            report(ctx, transaction, &table, mode, taken, found);
        }
    }
}

/// Each table with the strongest blocking lock of the transaction, and the step that takes it first.
fn locks_of(ctx: &FileContext<'_>, transaction: &Transaction) -> Vec<(Name, LockMode, usize)> {
    let mut locks: Vec<(Name, LockMode, usize)> = Vec::new();
    for (at, step) in ctx.steps.iter().enumerate() {
        if !transaction.statements.contains(&step.index) {
            continue;
        }
        for (table, mode) in step.facts.whole.tables() {
            if !mode.blocks_writes() || step.is_new(&table) {
                continue;
            }
            match locks.iter_mut().find(|(known, ..)| *known == table) {
                Some((_, held, taken)) if *held < mode => (*held, *taken) = (mode, at),
                Some(_) => {}
                None => locks.push((table, mode, at)),
            }
        }
    }
    locks
}

fn report(
    ctx: &FileContext<'_>,
    transaction: &Transaction,
    table: &Name,
    mode: LockMode,
    taken: usize,
    found: &mut Findings,
) {
    let step = &ctx.steps[taken];
    let later = ctx.steps[taken + 1..].iter().filter(|later| transaction.statements.contains(&later.index));
    let mut seconds = 0.0;
    let mut unknown = Vec::new();
    let mut longest: Option<(f64, u32, String)> = None;
    for later in later {
        let line = later.located.line;
        match later.facts.seconds {
            Some(s) => {
                seconds += s;
                if s > 0.0 && longest.as_ref().is_none_or(|(most, ..)| s > *most) {
                    longest = Some((s, line, later.located.statement.keyword()));
                }
            }
            None => {
                unknown.push(format!("how long {} in line {line} takes", later.located.statement.keyword()))
            }
        }
    }
    let hold = Hold {
        relation: ctx.end.relation(table).filter(|_| ctx.end.has_catalog),
        server: ctx.server(),
        table: shown(table),
        mode,
        seconds: unknown.is_empty().then_some(seconds),
    };
    let Some((severity, reasons, depends_on)) = hold.severity(&ctx.options.thresholds) else { return };
    let through = match &longest {
        Some((s, line, keyword)) => format!("mostly {keyword} in line {line}, about {}", duration(*s)),
        None => "for as long as they take".to_owned(),
    };
    let time = if unknown.is_empty() { format!(" for about {}", duration(seconds)) } else { String::new() };
    let message = format!(
        "{mode} on {} is held until the commit, through the statements after it{time} ({through}): {} wait",
        shown(table),
        waiters(mode)
    );
    let mut finding = ctx.finding(RULE.code, step, severity, message);
    finding.object = table_object(table);
    finding.evidence = reasons;
    if unknown.is_empty() {
        finding.counts.insert("milliseconds".to_owned(), crate::context::whole(seconds * 1000.0));
    } else {
        finding.severity = finding.severity.max(Severity::High);
        finding.confidence = posthaste_report::Confidence::Possible;
        finding.evidence.push(evidence(format!(
            "{} statements follow in the transaction",
            transaction.statements.end - step.index - 1
        )));
    }
    finding.depends_on.extend(depends_on);
    finding.depends_on.extend(unknown);
    finding.remedy = remedy(
        "commit after the statement that takes the lock, and do the long work in transactions of its own",
    );
    found.push(finding);
}
