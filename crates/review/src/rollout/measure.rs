//! What each step locks, reads and writes: the lock model's answers, written into the plan.
//!
//! A table that the plan itself makes is not in the catalog, and nobody waits for it.

use std::collections::BTreeMap;

use posthaste_base::catalog::{Catalog, Relation};
use posthaste_report::{Action, BATCH, Effect, Estimate, Lock, LockMode, Locked, Plan, Step};

use crate::model::{self, Effects, Work, WorkKind};
use crate::parse;

/// Whether it reads or writes something whole under a lock that stops writers.
pub(super) fn disturbs(effects: &Effects) -> bool {
    let is_heavy = |work: &Work| !matches!(work.kind, WorkKind::Query | WorkKind::Empty);
    effects.work.iter().any(is_heavy) && effects.strongest().is_some_and(LockMode::blocks_writes)
}

/// Bytes that it reads or writes, as far as the catalog says.
pub(super) fn bytes(effects: &Effects, catalog: &Catalog) -> Option<u64> {
    let sizes =
        effects.work.iter().filter(|work| work.kind != WorkKind::Empty).map(|work| size(catalog, work));
    sizes.sum()
}

fn size(catalog: &Catalog, work: &Work) -> Option<u64> {
    let of_table = |relation: &Relation| relation.size.bytes + relation.size.toast_bytes;
    match &work.on {
        Locked::Table(name) => catalog.relation(Some(&work.schema), name).map(of_table),
        Locked::Index(name) => catalog.index(Some(&work.schema), name).map(|(table, _)| table.size.bytes),
    }
}

pub(super) fn measure(plan: &mut Plan, catalog: &Catalog, version: u32) {
    for step in plan.phases.iter_mut().flat_map(|phase| &mut phase.steps) {
        measure_step(step, catalog, version);
    }
}

fn measure_step(step: &mut Step, catalog: &Catalog, version: u32) {
    let statements: Vec<String> = match &step.action {
        Action::Transaction { statements } => statements.clone(),
        Action::Alone { statement, .. } => vec![statement.clone()],
        Action::Batches(batches) => batches.statements.clone(),
        Action::Check { sql } => vec![sql.clone()],
        Action::Manual { .. } => return,
    };
    let mut locks: BTreeMap<(String, Locked), LockMode> = BTreeMap::new();
    let mut total = Some(0_u64);
    for text in &statements {
        for located in parse(&text.replace(BATCH, "true")).statements {
            let effects = model::effects(&located.statement, catalog, version);
            for lock in &effects.locks {
                let mode = locks.entry((lock.schema.clone(), lock.on.clone())).or_insert(lock.mode);
                *mode = (*mode).max(lock.mode);
            }
            step.effect = step.effect.max(effects.effect());
            total = total.zip(bytes(&effects, catalog)).map(|(sum, more)| sum + more);
        }
    }
    step.locks = locks.into_iter().map(|((schema, on), mode)| Lock { schema, on, mode }).collect();
    step.estimate = estimate(step, total, catalog);
}

fn estimate(step: &Step, bytes: Option<u64>, catalog: &Catalog) -> Option<Estimate> {
    if let Action::Batches(batches) = &step.action {
        let table = catalog.relation(Some(&batches.schema), &batches.table)?;
        return Some(Estimate { bytes: Some(table.size.bytes), rows: table.size.rows, seconds: None });
    }
    if step.effect == Effect::None {
        return None;
    }
    let bytes = bytes?;
    // A rate that nobody measured would be a guess.
    let rate = match step.effect {
        Effect::Rewrite => catalog.server.rewrite_bytes_per_s,
        _ => catalog.server.scan_bytes_per_s,
    };
    let seconds = rate.filter(|rate| *rate > 0).map(|rate| bytes.div_ceil(rate) as f64);
    Some(Estimate { bytes: Some(bytes), rows: None, seconds })
}
