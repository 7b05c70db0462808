//! A plan under our own review: each step is a file, reviewed with the guards that the runner puts around it.
//!
//! What the review still says is kept with the step, with the reason why it stands; what stops others for long and
//! has no reason is a danger: its statement has no online way. What breaks clients has a person before it. Not for:
//! what a step locks and costs (see `measure`).

use std::collections::BTreeMap;

use posthaste_base::catalog::{Catalog, Name};
use posthaste_report::{Accepted, Action, Finding, Phase, Plan, Severity, Step};

use super::template::template;
use super::{NoRoute, measure, outage};
use crate::config::Options;
use crate::review::{File, review};

/// A step that stops others, or harms what is there, by our own review, and does not say so.
pub(super) struct Danger {
    pub step: String,
    pub no: NoRoute,
}

/// What says that the server refuses a statement, whatever rows there are: such a step is nobody's outage.
const FAILS: &[&str] = &["fails-on-dependents", "missing-object", "object-exists", "refused-by-server"];

/// What is wrong with what a migration wants, or with its file, and not with how a plan does it.
const OF_THE_MIGRATION: &[&str] = &[
    "foreign-key-without-index",
    "ignore-unknown-rule",
    "ignore-unused",
    "ignore-without-reason",
    "int4-key",
    "no-window",
    "not-approved",
    "query-reads-added-column",
    "redundant-index",
    "rollback-incomplete",
    "rollback-missing",
    "set-null-on-not-null",
];

/// What clients notice without any lock: they must be ready for it.
const BREAKS_CLIENTS: &[&str] = &[
    "create-rule",
    "drop-cascade",
    "drop-column",
    "drop-object",
    "drop-table",
    "enable-row-security",
    "move-object",
    "no-inherit",
    "rename-column",
    "rename-enum-value",
    "rename-object",
    "rename-table",
    "truncate",
];

/// Reviews the steps, and keeps what is said of them.
pub(super) fn judge(
    plan: &mut Plan,
    catalog: &Catalog,
    version: u32,
    owners: &BTreeMap<String, u32>,
) -> Vec<Danger> {
    let files: Vec<File> = plan.steps().filter_map(file).collect();
    let options =
        Options { pg_version: Some(version), assume_in_transaction: Some(false), ..Options::default() };
    let report = review(&files, Some(catalog), &options, &[]).report(None);
    let mut dangers = Vec::new();
    // What will fail later is nothing that a step does, but somebody has to read it.
    for finding in report.findings.iter().filter(|finding| finding.code == "set-null-on-not-null") {
        if !plan.notes.contains(&finding.message) {
            plan.notes.push(finding.message.clone());
        }
    }
    for phase in &mut plan.phases {
        for finding in report.findings.iter().filter(|found| is_grave(found) && !is_of_plan(found, catalog)) {
            let at = phase
                .steps
                .iter()
                .position(|step| finding.location.as_ref().is_some_and(|place| place.file == step.id));
            if let Some(at) = at {
                settle(phase, at, finding, owners, &mut dangers);
            }
        }
    }
    dangers
}

fn is_grave(finding: &Finding) -> bool {
    finding.severity.is_at_least(Severity::Medium) && !OF_THE_MIGRATION.contains(&finding.code.as_str())
}

/// Whether it is about something that only the plan makes, so that no client knows it.
fn is_of_plan(finding: &Finding, catalog: &Catalog) -> bool {
    let Some(name) = finding.object.name.as_ref().or(finding.object.table.as_ref()) else { return false };
    let is_it = |known: &Name| known.name == *name;
    let is_known = catalog.relations.iter().any(|one| is_it(&one.name))
        || catalog.sequences.iter().any(|one| is_it(&one.name))
        || catalog.types.iter().any(|one| is_it(&one.name))
        || catalog.functions.iter().any(|one| is_it(&one.name))
        || catalog.extensions.iter().any(|one| one.name == *name)
        || catalog.schemas.contains(name);
    BREAKS_CLIENTS.contains(&finding.code.as_str()) && !is_known
}

/// A step as a file that says what the runner does; what a person does is none.
fn file(step: &Step) -> Option<File> {
    let mut statements = measure::statements(step);
    match &step.action {
        Action::Transaction { .. } | Action::Batches(_) => {
            statements.insert(0, "begin".to_owned());
            statements.push("commit".to_owned());
        }
        Action::Alone { .. } => {}
        Action::Check { .. } | Action::Manual { .. } => return None,
    }
    statements.insert(0, template!("guarded").with(&[]));
    let text = format!("{};\n", statements.join(";\n"));
    Some(File { path: step.id.clone(), text, ..File::default() })
}

fn settle(
    phase: &mut Phase,
    mut at: usize,
    finding: &Finding,
    owners: &BTreeMap<String, u32>,
    dangers: &mut Vec<Danger>,
) {
    let step = &phase.steps[at];
    if FAILS.contains(&finding.code.as_str()) && finding.severity.is_at_least(Severity::High) {
        dangers.push(Danger { step: step.id.clone(), no: NoRoute::at_all(&finding.message) });
        return;
    }
    if matches!(step.action, Action::Batches(_)) && is_for_batches(&finding.code) {
        return;
    }
    let because = match because(phase, at, finding, owners) {
        Some(because) => because,
        None if BREAKS_CLIENTS.contains(&finding.code.as_str()) => {
            at += 1;
            ask_before(phase, at - 1, finding)
        }
        None if finding.severity.is_at_least(Severity::High) => {
            dangers.push(Danger { step: step.id.clone(), no: NoRoute::new(&finding.message) });
            return;
        }
        None => "it is not grave; it is said so that it is known".to_owned(),
    };
    let (code, message) = (finding.code.clone(), finding.message.clone());
    phase.steps[at].accepted.push(Accepted { code, message, because });
}

/// Each range of keys is a short transaction of its own.
fn is_for_batches(code: &str) -> bool {
    matches!(code, "bulk-update" | "bulk-delete" | "rewrite-under-replicas")
}

/// Why a step stands although the review says something of it.
fn because(phase: &Phase, at: usize, finding: &Finding, owners: &BTreeMap<String, u32>) -> Option<String> {
    let step = &phase.steps[at];
    let code = finding.code.as_str();
    if outage::is_outage(step) {
        return Some("the step is an outage, and says so".to_owned());
    }
    if code.starts_with("fails-on-") {
        return Some(
            "where rows break it the step fails, nothing is changed, and the run stops there".to_owned(),
        );
    }
    if code == "subquery-per-row" && matches!(step.action, Action::Batches(_)) {
        return Some(
            "each range is a short transaction of its own: it costs time, and holds nobody up".to_owned(),
        );
    }
    if code == "rename-column" && takes_its_place(step, finding) {
        return Some("another column takes its name in the same transaction".to_owned());
    }
    if !BREAKS_CLIENTS.contains(&code) {
        return None;
    }
    let asked = asked_before(phase, at, owners)?;
    Some(format!("a person says first, at {}, that nothing needs it any more", asked.id))
}

/// The question that was put to a person about this step: by the same statement, and not about an outage of its own.
fn asked_before<'a>(phase: &'a Phase, at: usize, owners: &BTreeMap<String, u32>) -> Option<&'a Step> {
    let step = &phase.steps[at];
    let of_it = |other: &Step| match owners.get(&other.id) {
        Some(owner) => owners.get(&step.id) == Some(owner),
        None => other.id == ready(step),
    };
    let asks = |(place, other): &(usize, &Step)| {
        matches!(other.action, Action::Manual { .. })
            && of_it(other)
            && !phase.steps.get(place + 1).is_some_and(outage::is_outage)
    };
    phase.steps[..at].iter().enumerate().rfind(asks).map(|(_, other)| other)
}

/// The id of the question whether clients are ready for a step.
fn ready(step: &Step) -> String {
    format!("{}-ready", step.id)
}

/// Whether the step gives the name of the renamed column to another.
fn takes_its_place(step: &Step, finding: &Finding) -> bool {
    let Some(column) = finding.object.columns.first() else { return false };
    let end = format!(" to {}", posthaste_base::quote::identifier(column));
    measure::statements(step).iter().any(|statement| statement.ends_with(&end))
}

/// What clients notice is confirmed by a person, in a step of its own before it.
fn ask_before(phase: &mut Phase, at: usize, finding: &Finding) -> String {
    let id = ready(&phase.steps[at]);
    let mut asked = Step::new(
        id.clone(),
        format!("make sure that clients are ready for {}", phase.steps[at].id),
        Action::Manual { about: finding.message.clone() },
    );
    asked.needs_no_undo = true;
    phase.steps.insert(at, asked);
    format!("there is no way around it; a person says first, at {id}, that clients are ready")
}
