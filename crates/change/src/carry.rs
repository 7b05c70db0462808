//! Carries plans of migrations out, and leaves no run behind that would stand in the way of the next one.
//!
//! Each migration is applied and written down in one transaction where it can be. So a run that ended between two of
//! them has nothing to go on with: it is closed, and the folder is compared anew. One that ended within a migration
//! is left for a person to resume or abort. Not for: plans of other kinds.

use std::collections::BTreeMap;

use posthaste_base::{Code, Error, Result};
use posthaste_pg::Target;
use posthaste_report::{Phase, Plan, Run, RunState, RunStep, StepState};
use posthaste_runner::{Event, RunOptions};

use crate::migrate::KIND;

/// How far back an unfinished run is looked for.
const LATEST: usize = 20;

/// Applies or takes back what the plan says.
pub async fn carry_out(
    target: &Target,
    plan: &Plan,
    options: RunOptions,
    mut observer: impl FnMut(Event) + Send,
) -> Result<Run> {
    if let Some(half) = settle(target, &options).await? {
        let message = format!("run {} ({}) ended within a migration", half.id, half.title);
        return Err(Error::new(Code::GateClosed, message).hint(next_step(&half)));
    }
    let mut at = None;
    let watched = |event: Event| {
        if let Event::Step { step, .. } = &event {
            at = Some(step.clone());
        }
        observer(event);
    };
    let error = match posthaste_runner::run(target, plan, options.clone(), watched).await {
        Ok(run) => return Ok(run),
        Err(error) => of_file(error, plan, at.as_deref()),
    };
    // What hindered the run may also hinder this; the error that matters is the first one.
    match settle(target, &options).await {
        // There is no run to go on with, so that a hint to resume it would mislead.
        Ok(None) if !matches!(error.code(), Code::MissingRight | Code::InvalidFile) => {
            Err(error.hint("what was applied before stays; correct the cause, then run it again"))
        }
        _ => Err(error),
    }
}

/// A failed step names the file that it is of.
fn of_file(error: Error, plan: &Plan, step: Option<&str>) -> Error {
    let is_of = |phase: &&Phase| phase.steps.iter().any(|other| Some(other.id.as_str()) == step);
    match plan.phases.iter().find(is_of).map(|phase| phase.about.clone()) {
        Some(file) if error.code() == Code::StepFailed && !file.is_empty() => error.field(file),
        _ => error,
    }
}

fn next_step(half: &Run) -> String {
    format!(
        "correct what `posthaste runs show {0}` says, then go on with `posthaste runs resume {0}`, or back with \
         `posthaste runs abort {0}`",
        half.id
    )
}

/// What to do about a migration that a run of ours left half done; none when there is no such run. Changes nothing.
pub async fn way_on(target: &Target) -> Result<Option<String>> {
    for run in dead(target).await? {
        if is_half_done(&run.steps) {
            let title = &run.title;
            return Ok(Some(format!("run {} ({title}) ended within it: {}", run.id, next_step(&run))));
        }
    }
    Ok(None)
}

/// Runs of migrations that came to no end.
async fn dead(target: &Target) -> Result<Vec<Run>> {
    let is_dead = |run: &&Run| {
        matches!(run.state, RunState::Interrupted | RunState::Stopped | RunState::Failed | RunState::Aborting)
    };
    let mut dead = Vec::new();
    for run in posthaste_runner::list(target, LATEST).await?.iter().filter(is_dead) {
        if run.kind == KIND {
            dead.push(posthaste_runner::show(target, run.id).await?);
        }
    }
    Ok(dead)
}

/// Closes runs of migrations that ended between two of them; answers one that did not.
async fn settle(target: &Target, options: &RunOptions) -> Result<Option<Run>> {
    for run in dead(target).await? {
        if is_half_done(&run.steps) {
            return Ok(Some(run));
        }
        posthaste_runner::abort(target, run.id, options.clone(), |_| {}).await?;
    }
    Ok(None)
}

/// Whether some migration has steps that were done, or may have been, and others that were not.
fn is_half_done(steps: &[RunStep]) -> bool {
    let mut phases: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for step in steps {
        let (begun, left) = phases.entry(&step.phase).or_default();
        let is_in_doubt = step.state == StepState::Running && step.action == "alone" && step.attempts > 0;
        *begun |= step.state == StepState::Done || is_in_doubt;
        *left |= step.state != StepState::Done;
    }
    phases.values().any(|(begun, left)| *begun && *left)
}
