//! Runs seen and steered from outside: listed, shown, paused, resumed, aborted, slowed down.
//!
//! What is wished is a row that the runner reads between batches, so that any process with the database's address
//! can steer. Not for: carrying out.

use posthaste_base::{Code, Error, Result};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_report::{Plan, Run, RunState};

use crate::halt::Halt;
use crate::{journal, sql, work};

/// What somebody wants of a run that is carried out elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Between two batches, or before the next step.
    Pause,
    Resume,
    Abort,
    /// Of the time, and how long a batch should take; none leaves it as it is.
    Speed {
        percent: Option<i32>,
        batch_ms: Option<i32>,
    },
}

/// Runs without their steps, the newest first.
pub async fn list(target: &Target, limit: usize) -> Result<Vec<Run>> {
    let visit = connect(target).await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let listed: Result<Vec<Run>, Halt> = async {
        if !journal::exists(&visit).await? {
            return Ok(Vec::new());
        }
        let mut runs = Vec::new();
        for row in visit.query(sql::journal::LIST_RUNS, &[&limit]).await? {
            let mut run = journal::run_row(&row)?.run;
            with_runner(&visit, &mut run).await?;
            runs.push(run);
        }
        Ok(runs)
    }
    .await;
    listed.map_err(|halt| halt.into_error(0))
}

/// One run, with its steps and notes.
pub async fn show(target: &Target, id: i64) -> Result<Run> {
    let visit = connect(target).await?;
    read(&visit, id).await
}

/// The newest run of this very plan that is not over: to go on with, where a process is started again.
pub async fn find(target: &Target, plan: &Plan) -> Result<Option<Run>> {
    let visit = connect(target).await?;
    if !journal::exists(&visit).await? {
        return Ok(None);
    }
    match visit.query_opt(sql::journal::FIND, &[&plan.to_toml()?]).await? {
        Some(row) => Ok(Some(read(&visit, row.try_get(0).map_err(posthaste_pg::Error::from)?).await?)),
        None => Ok(None),
    }
}

/// Wishes something of a run. Its runner hears it between two batches, or ends a statement that takes long.
pub async fn control(target: &Target, id: i64, wish: Wish) -> Result<Run> {
    let visit = connect(target).await?;
    let run = read(&visit, id).await?;
    if run.state.is_over() {
        return Err(Error::new(Code::Conflict, format!("run {id} is {}", run.state)));
    }
    if run.runner.is_none() && !matches!(wish, Wish::Speed { .. }) {
        let message = format!("nobody carries out run {id} at the moment");
        let hint =
            format!("go on with `posthaste runs resume {id}`, or back with `posthaste runs abort {id}`");
        return Err(Error::new(Code::Conflict, message).hint(hint));
    }
    let written = match wish {
        Wish::Pause => visit.execute(sql::journal::SET_WISH, &[&id, &"pause"]).await,
        Wish::Resume => visit.execute(sql::journal::SET_WISH, &[&id, &"run"]).await,
        Wish::Abort => visit.execute(sql::journal::SET_WISH, &[&id, &"abort"]).await,
        Wish::Speed { percent, batch_ms } => {
            check_speed(percent, batch_ms)?;
            visit.execute(sql::journal::SET_SPEED, &[&id, &percent, &batch_ms]).await
        }
    };
    written?;
    read(&visit, id).await
}

fn check_speed(percent: Option<i32>, batch_ms: Option<i32>) -> Result<()> {
    if percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
        let error = Error::new(Code::InvalidParameter, "the speed is out of range");
        return Err(error.field("percent").expected("1 to 100"));
    }
    if batch_ms.is_some_and(|ms| !(1..=60_000).contains(&ms)) {
        let error = Error::new(Code::InvalidParameter, "the time of a batch is out of range");
        return Err(error.field("batch_ms").expected("1 to 60000"));
    }
    Ok(())
}

/// Whether a runner is there that carries out this very run.
pub(crate) async fn is_live(target: &Target, id: i64) -> Result<bool> {
    let visit = connect(target).await?;
    Ok(read(&visit, id).await?.runner.is_some())
}

pub(crate) async fn read(visit: &Visit, id: i64) -> Result<Run> {
    let read: Result<Run, Halt> = async {
        let mut run = journal::read_run(visit, id).await?.run;
        run.steps = journal::read_steps(visit, id).await?.into_iter().map(|(_, step)| step).collect();
        run.notes = journal::read_notes(visit, id).await?;
        with_runner(visit, &mut run).await?;
        Ok(run)
    }
    .await;
    read.map_err(|halt| halt.into_error(id))
}

/// Who carries it out; and a run of which that is nobody does not run, whatever its row says.
async fn with_runner(visit: &Visit, run: &mut Run) -> Result<(), Halt> {
    if run.state.is_over() {
        return Ok(());
    }
    let is_locked: bool = visit.query_one(sql::session::IS_LOCKED_OUT, &[]).await?.try_get(0)?;
    if is_locked && let Some((id, _, runner)) = work::holder(visit).await? {
        run.runner = (id == run.id).then_some(runner);
    }
    if run.runner.is_none() && matches!(run.state, RunState::Running | RunState::Paused) {
        run.state = RunState::Interrupted;
    }
    Ok(())
}

async fn connect(target: &Target) -> Result<Visit> {
    Ok(Visit::connect(
        target,
        VisitOptions { lock_timeout_ms: 5_000, ..VisitOptions::named("posthaste runs") },
    )
    .await?)
}
