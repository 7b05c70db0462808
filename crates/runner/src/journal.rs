//! What the journal knows, as rows: a run, its steps, its notes. And how a new run is written into it.
//!
//! Not for: marks that belong into a step's own transaction; those are made where it is.

use posthaste_base::{Code, Error};
use posthaste_pg::{self as pg, Visit, driver::Json, driver::Row};
use posthaste_report::{Action, Blocker, Plan, Run, RunNote, RunState, RunStep, StepState};

use crate::halt::Halt;
use crate::sql;
use crate::work::Work;

/// A step as the journal has it, with what only the runner needs.
#[derive(Clone, Debug)]
pub(crate) struct StepRow {
    pub place: i32,
    pub id: String,
    pub state: StepState,
    pub attempts: i32,
    pub pass: i32,
    pub position: Option<Vec<String>>,
    pub until: Option<Vec<String>>,
    pub batch_rows: Option<i64>,
    pub batches: i64,
    pub visited: i64,
    pub rows: i64,
    pub rows_left: Option<i64>,
    pub worked_ms: i64,
    pub undone: i32,
}

/// A run as the journal has it.
pub(crate) struct RunRow {
    pub run: Run,
    pub plan: String,
    pub epoch: i64,
}

pub(crate) fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Transaction { .. } => "transaction",
        Action::Alone { .. } => "alone",
        Action::Batches(_) => "batches",
        Action::Check { .. } => "check",
        Action::Manual { .. } => "manual",
    }
}

/// Makes the journal where it is not there. Only who has the runner's lock does.
pub(crate) async fn make(visit: &Visit) -> pg::Result<()> {
    if exists(visit).await? {
        return Ok(());
    }
    for statement in [
        sql::ground::CREATE_SCHEMA,
        sql::ground::CREATE_RUN,
        sql::ground::CREATE_STEP,
        sql::ground::CREATE_PUT_OFF,
        sql::ground::CREATE_NOTE,
        sql::ground::CREATE_CONTROL,
        sql::ground::CREATE_HOLDER,
    ] {
        visit.batch_execute(statement).await?;
    }
    Ok(())
}

pub(crate) async fn exists(visit: &Visit) -> pg::Result<bool> {
    Ok(visit.query_one(sql::ground::EXISTS, &[]).await?.try_get(0)?)
}

pub(crate) async fn read_run(visit: &Visit, id: i64) -> Result<RunRow, Halt> {
    let none = || Error::new(Code::NotFound, format!("there is no run {id}"));
    if !exists(visit).await? {
        return Err(none().hint("nothing was run on this database yet").into());
    }
    let row = visit.query_opt(sql::journal::READ_RUN, &[&id]).await?.ok_or_else(none)?;
    run_row(&row)
}

pub(crate) fn run_row(row: &Row) -> Result<RunRow, Halt> {
    let state: String = row.try_get("state")?;
    let run = Run {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        kind: row.try_get("kind")?,
        plan_hash: row.try_get("plan_hash")?,
        state: RunState::of_str(&state).unwrap_or(RunState::Failed),
        started_by: row.try_get("started_by")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        error: row.try_get("error")?,
        runner: None,
        speed_percent: row.try_get("speed_percent")?,
        batch_ms: row.try_get("batch_ms")?,
        steps: Vec::new(),
        notes: Vec::new(),
    };
    Ok(RunRow { run, plan: row.try_get("plan")?, epoch: row.try_get("epoch")? })
}

pub(crate) async fn read_steps(visit: &Visit, run: i64) -> Result<Vec<(StepRow, RunStep)>, Halt> {
    let rows = visit.query(sql::journal::READ_STEPS, &[&run]).await?;
    rows.iter().map(step_rows).collect()
}

fn step_rows(row: &Row) -> Result<(StepRow, RunStep), Halt> {
    let state: String = row.try_get("state")?;
    let state = StepState::of_str(&state).unwrap_or(StepState::Failed);
    let step = RunStep {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        phase: row.try_get("phase")?,
        action: row.try_get("action")?,
        state,
        attempts: row.try_get("attempts")?,
        batches: row.try_get("batches")?,
        visited: row.try_get("visited")?,
        rows: row.try_get("rows")?,
        total: row.try_get("total")?,
        pass: row.try_get("pass")?,
        left: row.try_get("rows_left")?,
        worked_ms: row.try_get("worked_ms")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        error: row.try_get("error")?,
    };
    let inner = StepRow {
        place: row.try_get("place")?,
        id: step.id.clone(),
        state,
        attempts: step.attempts,
        pass: step.pass,
        position: row.try_get("position")?,
        until: row.try_get("until")?,
        batch_rows: row.try_get("batch_rows")?,
        batches: step.batches,
        visited: step.visited,
        rows: step.rows,
        rows_left: step.left,
        worked_ms: step.worked_ms,
        undone: row.try_get("undone")?,
    };
    Ok((inner, step))
}

pub(crate) async fn read_notes(visit: &Visit, run: i64) -> Result<Vec<RunNote>, Halt> {
    let rows = visit.query(sql::journal::READ_NOTES, &[&run]).await?;
    let note = |row: &Row| -> Result<RunNote, Halt> {
        let Json(sessions): Json<Vec<Blocker>> = row.try_get("sessions")?;
        Ok(RunNote {
            at: row.try_get("at")?,
            kind: row.try_get("kind")?,
            step: row.try_get("step_id")?,
            text: row.try_get("text")?,
            sessions,
        })
    };
    rows.iter().map(note).collect()
}

impl Work<'_> {
    pub(crate) async fn read_step(&mut self, place: i32) -> Result<StepRow, Halt> {
        self.for_journal().await?;
        let steps = read_steps(&self.hand, self.run).await?;
        let found = steps.into_iter().map(|(row, _)| row).find(|row| row.place == place);
        found
            .ok_or_else(|| Error::new(Code::NotFound, format!("run {} has no step {place}", self.run)).into())
    }

    /// A new run with its steps, or nothing.
    pub(crate) async fn write_run(&mut self, plan: &Plan) -> Result<(), Halt> {
        self.for_journal().await?;
        let text = plan.to_toml()?;
        let (mut ids, mut phases, mut titles, mut actions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for phase in &plan.phases {
            for step in &phase.steps {
                ids.push(step.id.as_str());
                phases.push(phase.name.as_str());
                titles.push(step.title.as_str());
                actions.push(action_name(&step.action));
            }
        }
        self.hand.batch_execute("begin").await?;
        let params: [&(dyn pg::driver::ToSql + Sync); 4] =
            [&plan.title, &plan.kind, &text, &self.options.started_by];
        let row = self.hand.query_one(sql::journal::INSERT_RUN, &params).await?;
        (self.run, self.epoch) = (row.try_get("id")?, row.try_get("epoch")?);
        let run = self.run;
        self.hand.execute(sql::journal::INSERT_STEPS, &[&run, &ids, &phases, &titles, &actions]).await?;
        self.hand.execute(sql::journal::INSERT_CONTROL, &[&run]).await?;
        self.hand.batch_execute("commit").await?;
        self.hold().await
    }
}
