//! The keeper: what only one node does at a time, and what must happen on time.
//!
//! One node leads; the others stand by and take over when its lead runs out. The leader publishes events that are
//! due, lets delayed messages become visible, ends leases that ran out, moves redrives on, and tidies up. All of it
//! is safe to do twice: rows are locked, and every step is a transaction of its own.

mod due;
mod space;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use posthaste_base::{Error, QueueId, Result};
use posthaste_store::{attempt, lead};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::schedule::look_at;
use crate::{Broker, metrics};

/// How long a lead lasts when nobody renews it: a dead leader is replaced after this.
const LEAD_SECONDS: f64 = 5.0;
const LEAD_RENEWED_EVERY: Duration = Duration::from_millis(1_500);
/// The longest sleep, should every bell have failed to ring.
const TICK_MAX: Duration = Duration::from_secs(1);
/// How long the scheduler stays awake while a sender's transaction, which counts on that, is open.
const AWAKE_TICK: Duration = Duration::from_millis(20);
/// After so long of one kind of work the others have their turn, and the lead is renewed. Events come first.
const PUBLISH_MAX: Duration = Duration::from_secs(1);
const PROMOTE_MAX: Duration = Duration::from_millis(500);
const SWEEP_MAX: Duration = Duration::from_millis(500);
const LETTERS_BATCH: usize = 1_000;
/// After a failure; what else there is to do is done meanwhile.
const GO_ON_AGAIN: Duration = Duration::from_secs(1);
/// Delayed messages become visible this much later at most, so that those of the same moment do so together.
const DELAYED_TOGETHER: Duration = Duration::from_millis(10);
const SWEEP_LEASES_EVERY: Duration = Duration::from_millis(500);
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// So many old rows are removed at a time, and as long as that took nothing is removed after it.
const FORGET_BATCH: i64 = 1_000;
/// How far behind its own clock a sweep looks again, for leases whose transaction committed late.
const SWEEP_OVERLAP: SignedDuration = SignedDuration::from_secs(60);

struct Keeper {
    broker: Broker,
    node: Uuid,
    is_leader: bool,
    /// When it is to be renewed.
    lead_until: Instant,
    /// When another node may have it, unless it is renewed.
    lead_ends: Instant,
    sweep_at: Instant,
    tidy_at: Instant,
    forget_at: Instant,
    /// Not before this, after a failure.
    go_on_at: Instant,
    /// Leases that ran out before this have been swept; none at first, and then everything is looked at once.
    swept_until: Option<Timestamp>,
    partitions_at: Option<Instant>,
}

impl Broker {
    /// Keeps queues and schedules going until `shutdown`. Any number of nodes may run it.
    pub async fn run_keeper(&self, shutdown: CancellationToken) {
        let mut keeper = Keeper::new(self.clone());
        let mut failures: u32 = 0;
        while !shutdown.is_cancelled() {
            let started = std::time::Instant::now();
            let pause = match keeper.turn(&shutdown).await {
                Ok(()) => {
                    failures = 0;
                    continue;
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, cause = error.cause(), "the keeper could not do its work and tries again");
                    }
                    failures += 1;
                    keeper.failed(started.elapsed());
                    Duration::from_millis(100 * u64::from(failures.min(20)))
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
        keeper.resign().await;
    }
}

impl Keeper {
    fn new(broker: Broker) -> Self {
        let now = Instant::now();
        Self {
            broker,
            node: Uuid::now_v7(),
            is_leader: false,
            lead_until: now,
            lead_ends: now,
            sweep_at: now,
            tidy_at: now,
            forget_at: now,
            go_on_at: now,
            swept_until: None,
            partitions_at: None,
        }
    }

    /// One look at everything, then a sleep until there is something to do.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<()> {
        if !self.lead().await? {
            tokio::select! {
                () = sleep(TICK_MAX) => {}
                () = shutdown.cancelled() => {}
            }
            return Ok(());
        }
        let has_worked = self.work().await?;
        self.broker.inner.metrics.schedule.leader.set(1.0);
        // Whether there was something to do or not: there may be for days.
        self.tidy().await?;
        if let Err(error) = self.forget().await {
            tracing::warn!(%error, cause = error.cause(), "old rows are removed later");
        }
        if has_worked {
            return Ok(());
        }
        self.rest(shutdown).await
    }

    /// Takes or renews the lead.
    async fn lead(&mut self) -> Result<bool> {
        if self.is_leader && Instant::now() < self.lead_until {
            return Ok(true);
        }
        let session = self.broker.pool().get().await.map_err(Error::from)?;
        let now = Instant::now();
        let was_leader = self.is_leader;
        self.is_leader = lead::take_lead(&session, "keeper", self.node, LEAD_SECONDS).await?;
        self.lead_until = now + LEAD_RENEWED_EVERY;
        self.lead_ends = now + Duration::from_secs_f64(LEAD_SECONDS);
        if was_leader && !self.is_leader {
            self.show_nothing();
        }
        if self.is_leader && !was_leader {
            tracing::info!("this node keeps the schedule now");
            self.swept_until = None;
            // So that what only the leader shows is there at once.
            self.tidy_at = now;
        }
        Ok(self.is_leader)
    }

    /// A round failed. Once another node may have the lead, nothing is shown any more of what only the leader knows.
    fn failed(&mut self, took: Duration) {
        let metrics = &self.broker.inner.metrics.schedule;
        metrics.tick(None, took);
        metrics.leader.set(0.0);
        if Instant::now() >= self.lead_ends {
            self.is_leader = false;
            self.show_nothing();
        }
    }

    fn show_nothing(&self) {
        let metrics = &self.broker.inner.metrics.schedule;
        metrics.leader.set(0.0);
        metrics.lag_seconds.set(0.0);
        self.broker.forget_depths();
    }

    /// Does what is due; answers with whether there was anything. One look says where: most turns have little to do.
    async fn work(&mut self) -> Result<bool> {
        let started = Instant::now();
        let session = self.broker.pool().get().await.map_err(Error::from)?;
        let agenda = lead::agenda(&session).await?;
        drop(session);
        let broker = &self.broker;
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= agenda.now);
        let lag = metrics::lag(agenda.event_at, agenda.now);
        let mut count = 0;
        if is_due(agenda.following_at.map(look_at)) && started >= self.go_on_at {
            match broker.go_on_by_the_clock().await {
                Ok(schedules) => count += schedules,
                // One that cannot go on must not keep anything else from going on.
                Err(error) => {
                    tracing::error!(%error, cause = error.cause(), "schedules could not go on by their clock");
                    self.go_on_at = started + GO_ON_AGAIN;
                }
            }
        }
        if is_due(agenda.event_at) {
            // Before, because it may take long, or fail.
            broker.inner.metrics.schedule.lag_seconds.set(lag.as_secs_f64());
            count += broker.publish_round(Some(started + PUBLISH_MAX), lag).await?.count;
        } else {
            broker.count_tick(0, started.elapsed(), lag);
        }
        let delayed = agenda.delayed.iter().filter(|(_, at)| is_due(Some(*at))).map(|(queue, _)| *queue);
        count += broker.promote_round(delayed.collect(), Some(Instant::now() + PROMOTE_MAX)).await?.count;
        if is_due(agenda.redrive_at) {
            count += broker.move_due(LETTERS_BATCH).await? as usize;
        }
        if Instant::now() >= self.sweep_at {
            count += self.sweep(agenda.now).await?;
        }
        Ok(count > 0)
    }

    /// Ends leases that ran out.
    async fn sweep(&mut self, now: Timestamp) -> Result<usize> {
        let queues: Vec<QueueId> = self.broker.catalog().queues.keys().copied().collect();
        let until = Instant::now() + SWEEP_MAX;
        let round = self.broker.sweep_round(queues, self.swept_until, Some(until)).await?;
        if !round.is_cut {
            self.sweep_at = Instant::now() + SWEEP_LEASES_EVERY;
            self.swept_until = now.checked_sub(SWEEP_OVERLAP).ok();
        }
        Ok(round.count)
    }

    /// Sleeps until the next due time, a bell, or a tick.
    ///
    /// While it sleeps it holds the sleeper's lock, so that a sender in SQL knows to notify; see `posthaste.wake`.
    async fn rest(&mut self, shutdown: &CancellationToken) -> Result<()> {
        // Registered before the last look, so that a bell rung meanwhile is not missed.
        let bell = self.broker.keeper_bell();
        let rung = bell.notified();
        let asleep = posthaste_store::Transaction::begin(self.broker.pool(), Default::default())
            .await
            .map_err(Error::from)?;
        let may_sleep = lead::try_sleep(&asleep).await?;
        let mut agenda = lead::agenda(&asleep).await?;
        if Instant::now() < self.go_on_at {
            agenda.following_at = None;
        }
        let longest = if may_sleep { TICK_MAX } else { AWAKE_TICK };
        let pause = pause(&agenda)
            .min(longest)
            .min(self.sweep_at.min(self.forget_at).saturating_duration_since(Instant::now()).max(AWAKE_TICK));
        tokio::select! {
            _ = timeout(pause, rung) => {}
            () = shutdown.cancelled() => {}
        }
        asleep.roll_back().await;
        Ok(())
    }

    /// What need not happen on time: space, partitions, the read model of depths.
    async fn tidy(&mut self) -> Result<()> {
        if Instant::now() < self.tidy_at {
            return Ok(());
        }
        self.tidy_at = Instant::now() + TIDY_EVERY;
        let broker = &self.broker;
        broker.rotate_queues().await?;
        broker.measure_queues().await?;
        let is_time = self.partitions_at.is_none_or(|at| Instant::now() >= at);
        if is_time {
            let session = broker.pool().get().await.map_err(Error::from)?;
            let days = i32::try_from(broker.options().attempt_retention_days).unwrap_or(i32::MAX);
            attempt::keep_partitions(&session, days).await?;
            self.partitions_at = Some(Instant::now() + Duration::from_secs(3600));
        }
        Ok(())
    }

    /// Removes old rows. Where there are many it goes on after other work has had its turn: they have to go as fast as
    /// new ones come.
    async fn forget(&mut self) -> Result<()> {
        let began_at = Instant::now();
        if began_at < self.forget_at {
            return Ok(());
        }
        self.forget_at = began_at + TIDY_EVERY;
        let events = self.broker.sweep_events(FORGET_BATCH).await?;
        let letters = self.broker.sweep_expired_dead(FORGET_BATCH).await?;
        if events.max(letters) >= FORGET_BATCH.unsigned_abs() {
            self.forget_at = Instant::now() + began_at.elapsed();
        }
        Ok(())
    }

    async fn resign(&self) {
        if !self.is_leader {
            return;
        }
        self.show_nothing();
        if let Ok(session) = self.broker.pool().get().await {
            // Should this fail, the lead runs out by itself.
            let _ = lead::give_up_lead(&session, "keeper", self.node).await;
        }
    }
}

/// How long there is nothing to do. Delayed messages that become visible one after the other do so together: what
/// waits for an endpoint that does not answer comes back every few milliseconds.
fn pause(agenda: &lead::Agenda) -> Duration {
    let until = |at: Timestamp| Duration::try_from(at.duration_since(agenda.now)).unwrap_or_default();
    let on_time = [agenda.event_at, agenda.following_at.map(look_at), agenda.redrive_at]
        .into_iter()
        .flatten()
        .map(until)
        .min();
    // What is late already is held by somebody else, or came while we looked: at once would be a busy loop.
    let on_time = on_time.map(|pause| if pause.is_zero() { DELAYED_TOGETHER } else { pause });
    let together = agenda.delayed.iter().map(|(_, at)| until(*at).max(DELAYED_TOGETHER)).min();
    [on_time, together].into_iter().flatten().min().unwrap_or(TICK_MAX)
}

#[cfg(test)]
mod tests;
