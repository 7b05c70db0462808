//! Plans that mend what was found: one plan, whose every change of data can be taken back to the byte.
//!
//! A plan cleans data before constraints, adds constraints before indexes, and gives space back at the end. What is
//! done with each kind of fault is the user's choice; the choice that nobody made is to show it.
//! Not for: finding faults (see `integrity` and `doctor`), and for carrying plans out (see `runner`).

mod change;
mod duplicates;
mod measure;
mod mend;
mod order;
mod policy;
mod session;
mod tighten;
mod undo;

use posthaste_base::catalog::Name;
use posthaste_report::{Finding, Phase, Plan};

use crate::integrity::check::Check;
use crate::integrity::tables::Tables;
use crate::integrity::{Fault, Outcome};

pub use measure::{Measured, measured};
pub use order::arranged;
pub use policy::{Duplicates, Negatives, Orphans, Policies, Totals};
pub use session::{SessionEnd, SessionNow, meant, note_session_ends, session_ends};
pub use undo::{Kept, TakenBack, kept, take_back};

/// What the plan is called, in the undo table too.
#[derive(Clone, Debug)]
pub struct Order<'o> {
    /// Unique among the plans of a database.
    pub name: &'o str,
    pub policies: &'o Policies,
    /// Findings of other tools, whose remedies are steps.
    pub others: &'o [Finding],
}

/// One plan from what was found. What it does not mend is said in its notes.
pub fn plan(outcome: &Outcome, order: &Order<'_>) -> Plan {
    let tables = Tables::of(&outcome.catalog);
    let mut notes = Vec::new();
    let mut mended = Vec::new();
    let mut clean = Vec::new();
    for fault in in_order(&outcome.faults) {
        match mend::steps(&tables, &outcome.links, fault, order, mended.len() + 1) {
            Ok(mending) => {
                notes.push(format!("{}: {}", mending.does, fault.finding.message));
                clean.extend(mending.steps.clone());
                mended.push(mending);
            }
            Err(why) => notes.push(format!("Left as it is, {why}: {}", fault.finding.message)),
        }
    }
    let constraints = tighten::constraints(&tables, outcome, &mended, order);
    let touched: Vec<Name> = distinct(mended.iter().flat_map(|mending| mending.tables.iter().cloned()));
    let mut phases = Vec::new();
    if !mended.is_empty() {
        let kept = format!(
            "What this plan changes is kept in `posthaste_undo.kept_row` under `{}`; `posthaste fix undo {}` takes it back.",
            order.name, order.name
        );
        notes.insert(0, kept);
        let mut prepare = change::prepare(&mended);
        prepare.push(measure::step(order.name, measure::Moment::Before, &touched, &mended));
        phases.push(phase("prepare", "A place for rows as they were.", prepare));
    }
    phases.push(phase("clean", "Data is put right; each row is kept as it was.", clean));
    phases.push(phase("constraints", "What was put right stays right.", constraints));
    phases.push(phase(
        "indexes",
        "Indexes are built, beside readers and writers.",
        tighten::indexes(&mended, order),
    ));
    phases.push(phase(
        "space",
        "Space is given back, and tables are counted anew.",
        tighten::vacuum(&touched),
    ));
    let found: Vec<change::Found> = mended.iter().flat_map(|mending| mending.found.clone()).collect();
    if !mended.is_empty() {
        let mut verify = vec![measure::step(order.name, measure::Moment::After, &touched, &mended)];
        verify.extend(mended.iter().map(mend::Mending::check));
        verify.extend(change::Found::forget(&found));
        phases.push(phase("verify", "What was mended is looked at again.", verify));
    }
    let plan = Plan {
        version: Plan::VERSION,
        // A run is found by it.
        title: order.name.to_owned(),
        kind: "fix".into(),
        database: outcome.report.target.name.clone(),
        fingerprint: None,
        notes,
        gates: Vec::new(),
        phases,
    };
    arranged(plan, order.others)
}

/// Which row is meant comes before what points to it, and totals come when their items are right.
fn in_order(faults: &[Fault]) -> Vec<&Fault> {
    let mut faults: Vec<&Fault> = faults.iter().collect();
    faults.sort_by_key(|fault| match &fault.check {
        Check::Group(_) => 0,
        Check::Orphan(_) => 1,
        Check::Row(_) | Check::Query(_) => 2,
        Check::Total(_) => 3,
    });
    faults
}

fn phase(name: &str, about: &str, steps: Vec<posthaste_report::Step>) -> Phase {
    Phase {
        name: name.into(),
        about: about.into(),
        compatible_with: String::new(),
        gates: Vec::new(),
        watch: Vec::new(),
        steps,
    }
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut seen, one| {
        if !seen.contains(&one) {
            seen.push(one);
        }
        seen
    })
}
