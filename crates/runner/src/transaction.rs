//! Steps that are one transaction: tried whole, and tried again whole, until the locks are free or time is up.
//!
//! The mark in the journal is part of the transaction, so that it is done and marked, or neither. Not for:
//! statements that the server takes only alone (see `alone`).

use std::time::Instant;

use posthaste_pg::driver::{SimpleQueryMessage, ToSql};
use posthaste_report::{Blocker, Step};

use crate::halt::Halt;
use crate::locks::Tries;
use crate::sql;
use crate::work::{Work, millis};

/// What the journal says once the transaction is committed.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    Done,
    /// So many undo statements of the step are done.
    Undone(i32),
}

/// How far a try came, and who was in its way.
#[derive(Default)]
struct Tried {
    done: usize,
    blockers: Vec<Blocker>,
}

impl Work<'_> {
    pub(crate) async fn transaction(
        &mut self,
        step: &Step,
        place: i32,
        statements: &[String],
        mark: Mark,
    ) -> Result<(), Halt> {
        let mut tries = Tries::new(self.options.locks);
        loop {
            self.listen().await?;
            self.wait_for_room(step, &mut tries).await?;
            if matches!(mark, Mark::Done) {
                self.begin_step(place).await?;
            }
            self.fault("transaction-intended")?;
            let mut seen = Tried::default();
            let halt = match self.try_transaction(step, place, statements, mark, &tries, &mut seen).await {
                Ok(()) => return self.fault("transaction-committed"),
                Err(halt) => halt,
            };
            if !halt.is_lost() && !matches!(halt, Halt::Killed) {
                self.hand.batch_execute("rollback").await?;
            }
            if !halt.is_contention() {
                return Err(match statements.get(seen.done) {
                    Some(text) if statements.len() > 1 => halt.of_statement(step, text),
                    _ => halt.of_step(step),
                });
            }
            self.after_lock_timeout(step, &mut tries, &seen.blockers).await?;
        }
    }

    async fn try_transaction(
        &mut self,
        step: &Step,
        place: i32,
        statements: &[String],
        mark: Mark,
        tries: &Tries,
        tried: &mut Tried,
    ) -> Result<(), Halt> {
        let started = Instant::now();
        self.set_timeouts(millis(tries.timeout()), self.statement_ms(step)).await?;
        self.hand.batch_execute("begin").await?;
        self.fence().await?;
        for statement in statements {
            let (hand, mut watch) = self.watched(step, tries.timeout() / 2, false);
            let done = watch.over(hand.batch_execute(statement)).await;
            let seen = watch.seen;
            tried.blockers.extend(seen.blockers);
            match (done, seen.asked) {
                (Err(_), Some(asked)) => return Err(Halt::Asked(asked)),
                (done, _) => done?,
            }
            tried.done += 1;
        }
        self.mark(place, mark, started).await?;
        self.fault("transaction-before-commit")?;
        Ok(self.hand.batch_execute("commit").await?)
    }

    async fn mark(&mut self, place: i32, mark: Mark, started: Instant) -> Result<(), Halt> {
        match mark {
            Mark::Done => self.finish_step(place, started).await,
            Mark::Undone(count) => {
                self.hand.execute(sql::journal::COUNT_UNDONE, &[&self.run, &place, &count]).await?;
                Ok(())
            }
        }
    }

    /// One statement of the journal, if the run is still ours.
    pub(crate) async fn write(
        &mut self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Halt> {
        self.for_journal().await?;
        self.hand.batch_execute("begin").await?;
        let written = match self.fence().await {
            Ok(()) => self.hand.execute(statement, params).await.map(|_| ()).map_err(Halt::from),
            Err(halt) => Err(halt),
        };
        if let Err(halt) = written {
            if !halt.is_lost() {
                self.hand.batch_execute("rollback").await?;
            }
            return Err(halt);
        }
        Ok(self.hand.batch_execute("commit").await?)
    }

    pub(crate) async fn begin_step(&mut self, place: i32) -> Result<(), Halt> {
        let run = self.run;
        self.write(sql::journal::BEGIN_STEP, &[&run, &place]).await
    }

    /// For within a transaction that is fenced.
    async fn finish_step(&mut self, place: i32, started: Instant) -> Result<(), Halt> {
        let worked_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.hand.execute(sql::journal::FINISH_STEP, &[&self.run, &place, &worked_ms, &0_i64]).await?;
        Ok(())
    }

    /// What a plan's query answers, as a text, in a transaction that can only read.
    pub(crate) async fn ask(&mut self, step: Option<&Step>, query: &str) -> Result<Option<String>, Halt> {
        self.hand.batch_execute("begin read only").await?;
        let answered = match step {
            Some(step) => {
                let first = self.options.look_every;
                let (hand, mut watch) = self.watched(step, first, false);
                let answered = watch.over(hand.simple_query(query)).await;
                match (answered, watch.seen.asked) {
                    (Err(_), Some(asked)) => Err(Halt::Asked(asked)),
                    (answered, _) => answered.map_err(Halt::from),
                }
            }
            None => self.hand.simple_query(query).await.map_err(Halt::from),
        };
        if !answered.as_ref().is_err_and(Halt::is_lost) {
            self.hand.batch_execute("rollback").await?;
        }
        let first = answered?.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.try_get(0).ok().flatten().map(str::to_owned)),
            _ => None,
        });
        Ok(first.flatten())
    }

    /// The same with patience for locks.
    pub(crate) async fn ask_patiently(&mut self, step: &Step, query: &str) -> Result<Option<String>, Halt> {
        let mut tries = Tries::new(self.options.locks);
        loop {
            let statement_ms = millis(self.options.long);
            self.set_timeouts(millis(tries.timeout()), statement_ms).await?;
            match self.ask(Some(step), query).await {
                Err(halt) if halt.is_contention() => self.after_lock_timeout(step, &mut tries, &[]).await?,
                other => return other.map_err(|halt| halt.of_step(step)),
            }
        }
    }
}
