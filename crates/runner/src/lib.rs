//! Carries out plans on a database that is not ours. It knows steps, and nothing of what a plan is for.
//!
//! What is done is written down in the target database (schema `posthaste_runner`), in the same transaction as the
//! effect wherever the server allows that. So a run goes on after a kill at any point: nothing is done twice, and
//! nothing is missed. Locks are asked for with short timeouts and growing patience; batches follow what the server
//! shows. Not for: making plans, and for our own schema.
//!
//! ```no_run
//! # async fn example(target: posthaste_pg::Target, plan: posthaste_report::Plan) -> posthaste_base::Result<()> {
//! use posthaste_runner::RunOptions;
//! let run = posthaste_runner::run(&target, &plan, RunOptions::default(), |event| eprintln!("{event}")).await?;
//! println!("run {} is {}", run.id, run.state);
//! # Ok(())
//! # }
//! ```

mod alone;
mod back;
mod batches;
mod control;
mod event;
mod forward;
mod gates;
mod halt;
mod journal;
mod key;
mod locks;
mod options;
mod pace;
mod preflight;
mod sql;
mod statement;
mod thresholds;
mod throttle;
mod transaction;
mod walk;
mod watch;
mod work;

pub use control::{Wish, control, find, list, show};
pub use event::{Event, Progress};
pub use options::{Fault, LockBudget, PaceLimits, RunOptions, ThrottleLimits};

use posthaste_base::{Code, Error, Result};
use posthaste_pg::Target;
use posthaste_report::{Plan, Run, RunState};

use halt::Halt;
use work::Work;

/// Carries out a plan from its start, and answers when all of it is done, or when others wished an abort and it went
/// back. Whatever else ends it is an error, and is in the journal: the run can be resumed.
pub async fn run(
    target: &Target,
    plan: &Plan,
    options: RunOptions,
    mut observer: impl FnMut(Event) + Send,
) -> Result<Run> {
    let mut work = Work::open(target, options, &mut observer).await?;
    if let Err(halt) = begin(&mut work, plan).await {
        return Err(halt.into_error(work.run));
    }
    work.carry_out().await
}

async fn begin(work: &mut Work<'_>, plan: &Plan) -> Result<(), Halt> {
    work.preflight(plan).await?;
    journal::make(&work.hand).await?;
    let unfinished = unfinished(work).await?;
    if let Some(unfinished) = &unfinished
        && !work.options.overrides.contains_key(UNFINISHED)
    {
        let hint = "finish it with `posthaste runs resume` or `posthaste runs abort`, or say \
                    `--override unfinished-run=reason`";
        return Err(Error::new(Code::GateClosed, unfinished.clone()).hint(hint).into());
    }
    work.write_run(plan).await?;
    work.fault("run-written")?;
    work.plan = plan.clone();
    for (gate, why) in [(UNFINISHED, unfinished.as_deref()), ("drift", None), ("database", None)] {
        if why.is_some() || gate != UNFINISHED {
            work.overridden(gate, why.unwrap_or("not as the plan was made for")).await?;
        }
    }
    let (run, title, steps) = (work.run, plan.title.clone(), plan.steps().count());
    work.emit(Event::Started { run, title, steps, is_resumed: false });
    Ok(())
}

const UNFINISHED: &str = "unfinished-run";

/// Runs that are not over leave the database in a state that no plan was made for.
async fn unfinished(work: &mut Work<'_>) -> Result<Option<String>, Halt> {
    let rows = work.hand.query(sql::journal::UNFINISHED, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (id, title, state): (i64, String, String) =
        (row.try_get("id")?, row.try_get("title")?, row.try_get("state")?);
    let more = if rows.len() > 1 { format!(", and {} more", rows.len() - 1) } else { String::new() };
    Ok(Some(format!("run {id} ({title}) is not finished: it is {state}{more}")))
}

/// Goes on with a run that was killed, stopped or failed. One that is paused by a live runner is told to go on.
pub async fn resume(
    target: &Target,
    id: i64,
    options: RunOptions,
    mut observer: impl FnMut(Event) + Send,
) -> Result<Run> {
    if control::is_live(target, id).await? {
        return control(target, id, Wish::Resume).await;
    }
    let mut work = Work::open(target, options, &mut observer).await?;
    match take_up(&mut work, id, Why::Resume).await {
        Ok(RunState::Aborting) => work.carry_back().await,
        Ok(_) => work.carry_out().await,
        Err(halt) => Err(halt.into_error(id)),
    }
}

/// Takes back what a run has done, as far as its plan can. A live runner is told to; else it is done here.
pub async fn abort(
    target: &Target,
    id: i64,
    options: RunOptions,
    mut observer: impl FnMut(Event) + Send,
) -> Result<Run> {
    if control::is_live(target, id).await? {
        return control(target, id, Wish::Abort).await;
    }
    go_back(target, id, options, Why::Abort, &mut observer).await
}

/// Takes back what a run has done that is done: the last step first, as far as its plan can. One that was killed on
/// the way back goes on with `abort`.
pub async fn undo(
    target: &Target,
    id: i64,
    options: RunOptions,
    mut observer: impl FnMut(Event) + Send,
) -> Result<Run> {
    go_back(target, id, options, Why::Undo, &mut observer).await
}

async fn go_back(
    target: &Target,
    id: i64,
    options: RunOptions,
    why: Why,
    observer: &mut (dyn FnMut(Event) + Send),
) -> Result<Run> {
    let mut work = Work::open(target, options, observer).await?;
    match take_up(&mut work, id, why).await {
        Ok(_) => work.carry_back().await,
        Err(halt) => Err(halt.into_error(id)),
    }
}

/// Why a run is taken up again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Resume,
    Abort,
    /// Also one that is done.
    Undo,
}

async fn take_up(work: &mut Work<'_>, id: i64, why: Why) -> Result<RunState, Halt> {
    let found = journal::read_run(&work.hand, id).await?;
    let state = found.run.state;
    let is_abort = why != Why::Resume;
    if state.is_over() && !(why == Why::Undo && state == RunState::Done) {
        return Err(Error::new(Code::Conflict, format!("run {id} is {state}")).into());
    }
    (work.run, work.epoch) = (id, found.epoch);
    work.plan = Plan::from_toml(&found.plan)?;
    let next = if is_abort || state == RunState::Aborting { RunState::Aborting } else { RunState::Running };
    work.is_going_back = next == RunState::Aborting;
    work.take(next).await?;
    let wish = if work.is_going_back { "abort" } else { "run" };
    work.keeper.execute(sql::journal::SET_WISH, &[&id, &wish]).await?;
    work.note(if is_abort { "aborted" } else { "resumed" }, None, &format!("it was {state}"), &[]).await?;
    let (title, steps) = (found.run.title, work.plan.steps().count());
    work.emit(Event::Started { run: id, title, steps, is_resumed: true });
    Ok(next)
}
