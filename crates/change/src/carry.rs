//! Carries plans of migrations out, and leaves no run behind that would stand in the way of the next one.
//!
//! Each migration is applied and written down in one transaction where it can be. So a run that ended between two of
//! them has nothing to go on with: it is closed, and the folder is compared anew. One that ended within a migration
//! is left for a person to resume or abort. Not for: plans of other kinds.

use std::collections::BTreeMap;

use posthaste_base::{Code, Error, Result};
use posthaste_pg::Target;
use posthaste_report::{Plan, Run, RunState, RunStep, StepState};
use posthaste_runner::{Event, RunOptions};

use crate::migrate::KIND;

/// How far back an unfinished run is looked for.
const LATEST: usize = 20;

/// Applies or takes back what the plan says.
pub async fn carry_out(
    target: &Target,
    plan: &Plan,
    options: RunOptions,
    observer: impl FnMut(Event) + Send,
) -> Result<Run> {
    if let Some(half) = settle(target, &options).await? {
        let message = format!("run {} ({}) ended within a migration", half.id, half.title);
        let hint = format!(
            "go on with `posthaste runs resume {0}`, or back with `posthaste runs abort {0}`",
            half.id
        );
        return Err(Error::new(Code::GateClosed, message).hint(hint));
    }
    let error = match posthaste_runner::run(target, plan, options.clone(), observer).await {
        Ok(run) => return Ok(run),
        Err(error) => error,
    };
    // What hindered the run may also hinder this; the error that matters is the first one.
    match settle(target, &options).await {
        Ok(None) => {
            let next = "what was applied before stays; correct the cause, then run it again";
            Err(Error::new(error.code(), error.message())
                .hint(next)
                .caused_by(error.cause().unwrap_or_default()))
        }
        _ => Err(error),
    }
}

/// Closes runs of migrations that ended between two of them; answers one that did not.
async fn settle(target: &Target, options: &RunOptions) -> Result<Option<Run>> {
    let runs = posthaste_runner::list(target, LATEST).await?;
    let is_dead = |run: &&Run| {
        matches!(run.state, RunState::Interrupted | RunState::Stopped | RunState::Failed | RunState::Aborting)
    };
    for run in runs.iter().filter(is_dead).filter(|run| run.kind == KIND) {
        let run = posthaste_runner::show(target, run.id).await?;
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
