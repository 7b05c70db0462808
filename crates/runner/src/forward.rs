//! The way forward: phase by phase and step by step, from wherever the journal says, until all is done.
//!
//! Not for: how single steps are done, and the way back (see `back`).

use posthaste_base::{Code, Error};
use posthaste_report::{Action, Run, RunState, Step, StepState};

use crate::control;
use crate::event::Event;
use crate::halt::{Asked, Halt};
use crate::journal::read_steps;
use crate::sql;
use crate::thresholds::Thresholds;
use crate::work::Work;

impl Work<'_> {
    pub(crate) async fn carry_out(&mut self) -> Result<Run, Error> {
        loop {
            match self.forward().await {
                Ok(()) => return self.end(RunState::Done).await,
                Err(Halt::Asked(Asked::Abort)) => return self.carry_back().await,
                Err(halt) if halt.is_lost() => self.reconnect(&halt).await?,
                Err(halt) => return Err(self.stopped(halt).await),
            }
        }
    }

    async fn forward(&mut self) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let mut place = 0;
        for (number, phase) in plan.phases.iter().enumerate() {
            let rows = read_steps(&self.hand, self.run).await?;
            let first = place;
            place += i32::try_from(phase.steps.len()).unwrap_or(i32::MAX);
            let is_done =
                |at: i32| rows.iter().any(|(row, _)| row.place == at && row.state == StepState::Done);
            if (first + 1..=place).all(is_done) {
                continue;
            }
            let gates = plan.gates.iter().chain(&phase.gates).cloned();
            self.thresholds = Thresholds::new(&phase.watch, gates);
            if self.passed.insert(number) {
                self.listen().await?;
                let before = if number == 0 && !is_done(1) { plan.gates.as_slice() } else { &[] };
                let gates: Vec<_> = before.iter().chain(&phase.gates).cloned().collect();
                if let Err(halt) = self.pass_gates(&gates).await {
                    self.passed.remove(&number);
                    return Err(halt);
                }
                self.emit(Event::Phase { name: phase.name.clone() });
            }
            for (step, at) in phase.steps.iter().zip(first + 1..) {
                if !is_done(at) {
                    self.step(step, at).await?;
                }
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step, place: i32) -> Result<(), Halt> {
        self.listen().await?;
        self.look_around(None).await?;
        self.emit(Event::Step { step: step.id.clone(), title: step.title.clone() });
        let done = self.do_step(step, place).await;
        match done {
            Ok(()) => {}
            Err(halt) if halt.is_lost() || matches!(halt, Halt::Killed) => return Err(halt),
            // It is still in doubt, and has to stay so until somebody has looked.
            Err(Halt::Error(error)) if error.code() == Code::RunStopped => return Err(error.into()),
            Err(halt) => {
                self.fail_step(place, &halt).await?;
                return Err(halt);
            }
        }
        self.fault("step-done")?;
        let row = self.read_step(place).await?;
        self.emit(Event::StepDone { step: step.id.clone(), rows: row.rows, worked_ms: row.worked_ms });
        Ok(())
    }

    async fn do_step(&mut self, step: &Step, place: i32) -> Result<(), Halt> {
        match &step.action {
            Action::Transaction { statements } => {
                self.transaction(step, place, statements, crate::transaction::Mark::Done).await
            }
            Action::Alone { statement, index } => self.alone(step, place, statement, index.as_deref()).await,
            Action::Batches(batches) => self.batches(step, place, batches).await,
            Action::Check { sql } => {
                let answer = self.ask_patiently(step, sql).await?;
                if answer.as_deref() != Some("t") {
                    let answer = answer.unwrap_or_else(|| "nothing".to_owned());
                    let message = format!("the check of step `{}` answered {answer}", step.id);
                    return Err(Error::new(Code::StepFailed, message).into());
                }
                self.tick(place).await
            }
            Action::Manual { about } => {
                if !self.options.approvals.contains(&step.id) {
                    let message = format!("step `{}` is for a person: {about}", step.id);
                    let hint = format!("do it, then `posthaste runs resume --approve {}`", step.id);
                    return Err(Error::new(Code::GateClosed, message).hint(hint).into());
                }
                self.note("approved", Some(&step.id), about, &[]).await?;
                self.tick(place).await
            }
        }
    }

    /// A step that leaves nothing in the database is done.
    async fn tick(&mut self, place: i32) -> Result<(), Halt> {
        let (run, nothing) = (self.run, 0_i64);
        self.write(sql::journal::FINISH_STEP, &[&run, &place, &nothing, &nothing]).await
    }

    /// What failed is known to have failed: it is not in doubt as after a crash.
    async fn fail_step(&mut self, place: i32, halt: &Halt) -> Result<(), Halt> {
        let text = match halt {
            Halt::Database(error) => error.to_string(),
            Halt::Error(error) => error.message().to_owned(),
            Halt::Asked(_) | Halt::Killed => "stopped".to_owned(),
        };
        let (run, state) = (self.run, StepState::Failed.as_str());
        self.write(sql::journal::FAIL_STEP, &[&run, &place, &state, &text]).await
    }

    /// The run ends here for now. Says so in the journal, as far as that is possible.
    pub(crate) async fn stopped(&mut self, halt: Halt) -> Error {
        if matches!(halt, Halt::Killed) {
            return halt.into_error(self.run);
        }
        let is_stop = matches!(halt, Halt::Asked(_));
        let error = halt.into_error(self.run);
        let state = match error.code() {
            Code::RunnerBusy => return error,
            _ if self.is_going_back => RunState::Aborting,
            Code::GateClosed | Code::RunStopped => RunState::Stopped,
            _ => RunState::Failed,
        };
        let text = (!is_stop).then(|| error.message().to_owned());
        let written = self.set_state(state, text.as_deref()).await;
        if written.is_ok() {
            let _ = self.let_go().await;
            self.emit(Event::Ended { run: self.run, state });
        }
        // With the run's id, the next step can be copied and run.
        let mut next = error.next_step().to_owned();
        for verb in ["resume", "abort", "show"] {
            next = next.replace(&format!("runs {verb}"), &format!("runs {verb} {}", self.run));
        }
        let message = format!("run {}: {}", self.run, error.message());
        let worded = Error::new(error.code(), message).hint(next);
        match error.cause() {
            Some(cause) => worded.caused_by(cause),
            None => worded,
        }
    }

    pub(crate) async fn end(&mut self, state: RunState) -> Result<Run, Error> {
        let run = self.run;
        let ended: Result<Run, Halt> = async {
            self.set_state(state, None).await?;
            self.let_go().await?;
            Ok(control::read(&self.keeper, run).await?)
        }
        .await;
        let run = ended.map_err(|halt| halt.into_error(run))?;
        self.emit(Event::Ended { run: run.id, state });
        Ok(run)
    }
}
