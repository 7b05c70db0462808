//! Looks from a second connection while a statement runs: who is in the way, how far a build is, what is wished.
//!
//! Not for: deciding what follows; it only ends a statement that somebody wishes to end.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use posthaste_pg::{self as pg, Canceller, Visit};
use posthaste_report::Blocker;
use tokio::sync::watch::Receiver;

use crate::event::Event;
use crate::halt::Asked;
use crate::locks;
use crate::sql;

pub(crate) struct Watch<'w> {
    pub keeper: &'w Visit,
    pub observer: &'w mut (dyn FnMut(Event) + Send),
    pub run: i64,
    pub step: &'w str,
    pub hand_pid: i32,
    pub canceller: Canceller,
    /// When it looks first, and how often then.
    pub first: Duration,
    pub every: Duration,
    /// Whether a wish to abort or to stop ends the statement; a batch ends soon by itself.
    pub may_end: bool,
    pub is_index: bool,
    pub stop: Option<Receiver<bool>>,
    pub seen: Seen,
}

/// What was seen while a statement ran.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Who was in the way at the last look that found somebody.
    pub blockers: Vec<Blocker>,
    /// How many waited for us at most.
    pub waited_for_us: i64,
    pub asked: Option<Asked>,
    said: Vec<i32>,
    progress: Option<(String, i64, i64)>,
}

impl Watch<'_> {
    pub(crate) async fn over<T>(&mut self, work: impl Future<Output = pg::Result<T>>) -> pg::Result<T> {
        let mut work = pin!(work);
        let mut wait = self.first;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(wait) => {}
            }
            tokio::select! {
                biased;
                done = &mut work => return done,
                // A keeper that lost its connection sees nothing; the run finds that out after this statement.
                _ = self.look() => {}
            }
            wait = self.every;
        }
    }

    async fn look(&mut self) -> pg::Result<()> {
        let blockers = locks::blocking(self.keeper, self.hand_pid).await?;
        let pids: Vec<i32> = blockers.iter().map(|blocker| blocker.pid).collect();
        if !pids.is_empty() {
            self.seen.blockers = blockers.clone();
            if pids != self.seen.said {
                let step = self.step.to_owned();
                (self.observer)(Event::InTheWay { step, is_queued: true, sessions: blockers });
            }
        }
        self.seen.said = pids;
        let waiting = self.keeper.query_one(sql::watch::WAITING_FOR_US, &[&self.hand_pid]).await?;
        self.seen.waited_for_us = self.seen.waited_for_us.max(waiting.try_get(0)?);
        if self.is_index {
            self.look_at_build().await?;
        }
        self.look_at_wishes().await
    }

    async fn look_at_build(&mut self) -> pg::Result<()> {
        let Some(row) = self.keeper.query_opt(sql::watch::INDEX_PROGRESS, &[&self.hand_pid]).await? else {
            return Ok(());
        };
        let phase: Option<String> = row.try_get("phase")?;
        let (done, total): (Option<i64>, Option<i64>) = (row.try_get("done")?, row.try_get("total")?);
        let now = (phase.unwrap_or_default(), done.unwrap_or_default(), total.unwrap_or_default());
        if self.seen.progress.as_ref() != Some(&now) {
            let (phase, done, total) = now.clone();
            (self.observer)(Event::IndexBuild { step: self.step.to_owned(), phase, done, total });
            self.seen.progress = Some(now);
        }
        Ok(())
    }

    async fn look_at_wishes(&mut self) -> pg::Result<()> {
        let pid = self.keeper.backend_pid();
        let row = self.keeper.query_opt(sql::session::BEAT, &[&self.run, &pid]).await?;
        if !self.may_end {
            return Ok(());
        }
        let wish = row.map(|row| row.try_get::<_, String>("wish")).transpose()?;
        let asked = if self.stop.as_ref().is_some_and(|stop| *stop.borrow()) {
            Some(Asked::Stop)
        } else {
            (wish.as_deref() == Some("abort")).then_some(Asked::Abort)
        };
        if asked.is_some() {
            self.seen.asked = asked;
            self.canceller.cancel().await;
        }
        Ok(())
    }
}
