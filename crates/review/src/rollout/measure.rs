//! What each step locks, reads and writes: the lock model's answers, written into the plan.
//!
//! The catalog that is asked is the one that the steps before leave behind. Not for: whether a step is dangerous (see
//! `judge`).

use std::collections::{BTreeMap, BTreeSet};

use posthaste_base::catalog::{Catalog, Name, Relation};
use posthaste_report::{Action, BATCH, Effect, Estimate, Lock, LockMode, Locked, Plan, Step};

use crate::model::{self, Effects, Work, WorkKind};
use crate::statement::Statement;
use crate::{parse, simulate};

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

/// Each step is measured on the catalog as the steps before it leave it.
pub(super) fn measure(plan: &mut Plan, catalog: &Catalog, version: u32) {
    let mut world = After { catalog: catalog.clone(), made: BTreeSet::new() };
    for step in plan.phases.iter_mut().flat_map(|phase| &mut phase.steps) {
        measure_step(step, &mut world, version);
    }
}

/// The statements of a step, as they would stand in a file.
pub(super) fn statements(step: &Step) -> Vec<String> {
    match &step.action {
        Action::Transaction { statements } => statements.clone(),
        Action::Alone { statement, .. } => vec![statement.clone()],
        Action::Batches(batches) => {
            batches.statements.iter().map(|text| text.replace(BATCH, "true")).collect()
        }
        Action::Check { sql } => vec![sql.clone()],
        Action::Manual { .. } => Vec::new(),
    }
}

/// The database between two steps.
struct After {
    catalog: Catalog,
    /// Tables that the plan itself has made: nobody waits for them.
    made: BTreeSet<Name>,
}

impl After {
    fn is_made(&self, work: &Work) -> bool {
        let table = match &work.on {
            Locked::Table(name) => Name::new(&work.schema, name),
            Locked::Index(name) => match self.catalog.index(Some(&work.schema), name) {
                Some((table, _)) => table.name.clone(),
                None => return false,
            },
        };
        self.made.contains(&table)
    }

    /// What a server would refuse here is left undone; the proof on a scratch copy says so.
    fn apply(&mut self, statement: &Statement) {
        let before = self.catalog.relations.len();
        drop(simulate::apply(&mut self.catalog, statement));
        if matches!(statement, Statement::CreateTable(_) | Statement::CreateSchema(_)) {
            let fresh = self.catalog.relations.get(before..).unwrap_or_default();
            self.made.extend(fresh.iter().map(|relation| relation.name.clone()));
        }
    }
}

fn measure_step(step: &mut Step, world: &mut After, version: u32) {
    let mut locks: BTreeMap<(String, Locked), LockMode> = BTreeMap::new();
    let mut total = Some(0_u64);
    for text in statements(step) {
        for located in parse(&text).statements {
            let mut effects = model::effects(&located.statement, &world.catalog, version);
            effects.work.retain(|work| !world.is_made(work));
            for lock in &effects.locks {
                let mode = locks.entry((lock.schema.clone(), lock.on.clone())).or_insert(lock.mode);
                *mode = (*mode).max(lock.mode);
            }
            step.effect = step.effect.max(effects.effect());
            total = total.zip(bytes(&effects, &world.catalog)).map(|(sum, more)| sum + more);
            world.apply(&located.statement);
        }
    }
    step.locks = locks.into_iter().map(|((schema, on), mode)| Lock { schema, on, mode }).collect();
    step.estimate = estimate(step, total, &world.catalog);
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
