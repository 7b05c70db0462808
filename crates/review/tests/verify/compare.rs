//! Holds what the model says against what a server did.
//!
//! Not for: seeing what it did (`observe`, `concurrent`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use posthaste_report::{LockMode, Locked};
use posthaste_review::model::{Effects, WorkKind};

use crate::forms::Form;
use crate::observe::{Observed, Outcome, SCHEMA};

/// Why a form is not as the model says; nothing when it is.
pub(crate) fn difference(form: &Form, major: u32, effects: &Effects, outcome: &Outcome) -> Option<String> {
    let is_known = (form.from..=form.to).contains(&major);
    let expects_refusal = !is_known || form.refused.is_some();
    match outcome {
        Outcome::Failed { message } => {
            let expected = form.refused.as_ref().filter(|_| is_known).or(form.fails.as_ref());
            if let Some(expected) = expected.filter(|expected| !message.contains(expected.as_str())) {
                return Some(format!("the server says `{message}`, and `{expected}` was expected"));
            }
            if !expects_refusal && form.fails.is_none() {
                return Some(format!("the server says `{message}`"));
            }
            if expects_refusal && effects.refused.is_none() {
                return Some(format!("the model does not refuse it; the server says `{message}`"));
            }
            None
        }
        Outcome::Done(_) if expects_refusal || form.fails.is_some() => {
            Some("the server runs it, and a failure was expected".to_owned())
        }
        Outcome::Done(observed) => compare(form, major, effects, observed),
    }
}

fn compare(form: &Form, major: u32, effects: &Effects, observed: &Observed) -> Option<String> {
    let mut text = String::new();
    if let Some(reason) = &effects.refused {
        let _ = writeln!(text, "  the model refuses it: {reason}");
    }
    if effects.may_be_in_transaction != observed.may_be_in_transaction {
        let _ = writeln!(text, "  in a transaction block: model {}", effects.may_be_in_transaction);
    }
    let depends = !effects.depends_on.is_empty();
    if depends != form.depends {
        let _ = writeln!(text, "  the model depends on: {:?}", effects.depends_on);
    }
    let (mut locks, mut seen) = (model_locks(effects), observed.locks.clone());
    if !observed.may_be_in_transaction {
        // A sample may or may not meet an ACCESS SHARE that is held for a moment, and nobody waits for that.
        locks.retain(|_, mode| *mode > LockMode::AccessShare);
        seen.retain(|_, mode| *mode > LockMode::AccessShare);
    }
    if !fits(&locks, &seen, depends) {
        let _ = writeln!(text, "  locks\n    model  {}\n    server {}", show(&locks), show(&seen));
    }
    let queried = of_kind(effects, &[WorkKind::Query]);
    let scanned: BTreeSet<String> = of_kind(effects, &[WorkKind::Scan]);
    let rewritten = of_kind(effects, &[WorkKind::Rewrite, WorkKind::Build, WorkKind::Empty]);
    // How much a query reads is its plan's choice, and a rewrite reads what it writes.
    let aside = |name: &&String| !queried.contains(*name) && !rewritten.contains(*name);
    let seen: BTreeSet<String> = observed.scanned.iter().filter(aside).cloned().collect();
    let has_counters = observed.may_be_in_transaction || major >= 15;
    if has_counters && !same(&scanned, &seen, depends) {
        let _ = writeln!(text, "  scanned\n    model  {scanned:?}\n    server {seen:?}");
    }
    if !same(&rewritten, &observed.rewritten, depends) {
        let _ =
            writeln!(text, "  written anew\n    model  {rewritten:?}\n    server {:?}", observed.rewritten);
    }
    (!text.is_empty()).then_some(text)
}

/// Exactly the same; or no more than the model's worst, where it depends.
fn fits(model: &BTreeMap<String, LockMode>, server: &BTreeMap<String, LockMode>, depends: bool) -> bool {
    if depends {
        return server.iter().all(|(name, mode)| model.get(name).is_some_and(|worst| worst >= mode));
    }
    model == server
}

fn same(model: &BTreeSet<String>, server: &BTreeSet<String>, depends: bool) -> bool {
    if depends { server.is_subset(model) } else { model == server }
}

fn called(schema: &str, on: &Locked) -> String {
    let (Locked::Table(name) | Locked::Index(name)) = on;
    if schema == SCHEMA { name.clone() } else { format!("{schema}.{name}") }
}

fn model_locks(effects: &Effects) -> BTreeMap<String, LockMode> {
    effects.locks.iter().map(|lock| (called(&lock.schema, &lock.on), lock.mode)).collect()
}

fn of_kind(effects: &Effects, kinds: &[WorkKind]) -> BTreeSet<String> {
    let of_kind = effects.work.iter().filter(|work| kinds.contains(&work.kind));
    of_kind.map(|work| called(&work.schema, &work.on)).collect()
}

fn show(locks: &BTreeMap<String, LockMode>) -> String {
    locks.iter().map(|(name, mode)| format!("{name}: {mode}")).collect::<Vec<_>>().join(", ")
}
