//! The way back: what was done is undone, the last step first, as far as a plan can.
//!
//! It stops before the first step that cannot be undone: to take back what came before it could destroy what it
//! did. Not for: restoring data that no plan has kept.

use posthaste_base::Error;
use posthaste_report::{Action, BATCH, Batches, Run, RunState, Step, StepState};

use crate::event::Event;
use crate::halt::{Asked, Halt};
use crate::journal::{StepRow, read_steps};
use crate::key::parse_name;
use crate::transaction::Mark;
use crate::work::Work;
use crate::{sql, statement};

impl Work<'_> {
    pub(crate) async fn carry_back(&mut self) -> Result<Run, Error> {
        self.is_going_back = true;
        loop {
            let went = match self.set_state(RunState::Aborting, None).await {
                Ok(()) => self.back().await,
                Err(halt) => Err(halt),
            };
            match went {
                Ok(()) => return self.end(RunState::Aborted).await,
                Err(halt) if halt.is_lost() => self.reconnect(&halt).await?,
                Err(halt) => return Err(self.stopped(halt).await),
            }
        }
    }

    async fn back(&mut self) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let steps: Vec<&Step> = plan.steps().collect();
        let rows = read_steps(&self.hand, self.run).await?;
        let mut kept_because: Option<String> = None;
        for (row, _) in rows.iter().rev() {
            if matches!(row.state, StepState::Waiting | StepState::Undone | StepState::Kept) {
                continue;
            }
            let Some(step) = usize::try_from(row.place - 1).ok().and_then(|at| steps.get(at)) else {
                continue;
            };
            if kept_because.is_none() {
                kept_because = self.undo_step(step, row).await?;
                if kept_because.is_none() {
                    self.emit(Event::StepUndone { step: step.id.clone() });
                    continue;
                }
            }
            if let Some(why) = kept_because.clone() {
                let (run, place, state) = (self.run, row.place, StepState::Kept.as_str());
                self.write(sql::journal::FAIL_STEP, &[&run, &place, &state, &why]).await?;
                self.note("kept", Some(&step.id), &why, &[]).await?;
                self.emit(Event::StepKept { step: step.id.clone(), why });
            }
        }
        Ok(())
    }

    /// None when nothing of the step is left; else why it stays.
    async fn undo_step(&mut self, step: &Step, row: &StepRow) -> Result<Option<String>, Halt> {
        match self.listen().await {
            Ok(()) | Err(Halt::Asked(Asked::Abort)) => {}
            Err(halt) => return Err(halt),
        }
        let run = self.run;
        let has_effect = self.has_effect(step, row).await?;
        if !has_effect || !leaves_something(step) {
            self.write(sql::journal::FINISH_UNDO, &[&run, &row.place]).await?;
            return Ok(None);
        }
        if step.undo.is_empty() {
            return Ok(Some(format!("the plan says no undo for `{}`", step.id)));
        }
        self.write(sql::journal::FORGET_PUT_OFF, &[&run, &row.place]).await?;
        self.write(sql::journal::BEGIN_UNDO, &[&run, &row.place]).await?;
        self.undo_statements(step, row.place).await?;
        self.write(sql::journal::FINISH_UNDO, &[&run, &row.place]).await?;
        Ok(None)
    }

    async fn undo_statements(&mut self, step: &Step, place: i32) -> Result<(), Halt> {
        loop {
            let undone = self.read_step(place).await?.undone;
            let rest = usize::try_from(undone).ok().and_then(|at| step.undo.get(at..)).unwrap_or_default();
            let Some(first) = rest.first() else { return Ok(()) };
            self.fault("undo")?;
            if let Some(batches) = batches_of(step, first) {
                self.undo_batches(step, place, batches, first, undone + 1).await?;
            } else if statement::stands_alone(first) {
                self.attempt_alone(step, None, first, None).await?;
                let (run, count) = (self.run, undone + 1);
                self.write(sql::journal::COUNT_UNDONE, &[&run, &place, &count]).await?;
            } else {
                let is_plain =
                    |text: &&String| !statement::stands_alone(text) && batches_of(step, text).is_none();
                let together: Vec<String> = rest.iter().take_while(is_plain).cloned().collect();
                let count = undone + i32::try_from(together.len()).unwrap_or(i32::MAX);
                self.transaction(step, place, &together, Mark::Undone(count)).await?;
            }
        }
    }

    /// Whether the step has changed anything that is there now.
    async fn has_effect(&mut self, step: &Step, row: &StepRow) -> Result<bool, Halt> {
        if matches!(row.state, StepState::Done | StepState::Undoing) {
            return Ok(true);
        }
        match &step.action {
            Action::Transaction { .. } | Action::Check { .. } | Action::Manual { .. } => Ok(false),
            Action::Batches(_) => Ok(row.batches > 0),
            Action::Alone { statement, index } => {
                self.sweep(step, statement, index.as_deref()).await?;
                if let Some(name) = index.as_deref().and_then(parse_name) {
                    self.drop_invalid(step, &name).await?;
                }
                if row.state == StepState::Failed {
                    return Ok(false);
                }
                match self.was_done(step, row, statement, index.as_deref()).await {
                    // Its undo is the best answer to whether it was done.
                    Err(Halt::Error(_)) if !step.undo.is_empty() => Ok(true),
                    other => other,
                }
            }
        }
    }
}

/// Checks and what a person did leave nothing that a plan could take back, unless it says so: the undo of a check may
/// make ready for that of the step before it. Upkeep leaves nothing to see.
fn leaves_something(step: &Step) -> bool {
    if step.needs_no_undo {
        return false;
    }
    match &step.action {
        Action::Check { .. } | Action::Manual { .. } => !step.undo.is_empty(),
        Action::Alone { statement, .. } => !step.undo.is_empty() || !statement::may_repeat(statement),
        Action::Transaction { .. } | Action::Batches(_) => true,
    }
}

fn batches_of<'s>(step: &'s Step, statement: &str) -> Option<&'s Batches> {
    match &step.action {
        Action::Batches(batches) if statement.contains(BATCH) => Some(batches),
        _ => None,
    }
}
