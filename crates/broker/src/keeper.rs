//! The keeper: what only one node does at a time, and what must happen on time.
//!
//! One node leads; the others stand by and take over when its lead runs out. The leader publishes events that are
//! due, lets delayed messages become visible, ends leases that ran out, moves redrives on, and tidies up. All of it
//! is safe to do twice: rows are locked, and every step is a transaction of its own.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use posthaste_base::{Category, Error, EventId, MessageId, Priority, QueueId, Result};
use posthaste_store::segment::Segment;
use posthaste_store::{Session, attempt, event, lead};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::transact::Abort;
use crate::{Broker, accept, finish, metrics};

/// How long a lead lasts when nobody renews it: a dead leader is replaced after this.
const LEAD_SECONDS: f64 = 5.0;
const LEAD_RENEWED_EVERY: Duration = Duration::from_millis(1_500);
/// The longest sleep, should every bell have failed to ring.
const TICK_MAX: Duration = Duration::from_secs(1);
/// How long the scheduler stays awake while a sender's transaction, which counts on that, is open.
const AWAKE_TICK: Duration = Duration::from_millis(20);
const EVENTS_BATCH: i64 = 500;
const DEFERRED_BATCH: i64 = 1_000;
/// Delayed messages become visible this much later at most, so that those of the same moment do so together.
const DELAYED_TOGETHER: Duration = Duration::from_millis(10);
const LEASES_BATCH: i64 = 50;
const SWEEP_LEASES_EVERY: Duration = Duration::from_millis(500);
const TIDY_EVERY: Duration = Duration::from_secs(10);
const TIDY_BATCH: i64 = 5_000;
/// A log is changed for the empty one when it is larger than this, or older than a day and not empty.
const SEGMENT_BYTES: i64 = 128 * 1024 * 1024;
/// How far behind its own clock a sweep looks again, for leases whose transaction committed late.
const SWEEP_OVERLAP: SignedDuration = SignedDuration::from_secs(60);

struct Keeper {
    broker: Broker,
    node: Uuid,
    is_leader: bool,
    lead_until: Instant,
    sweep_at: Instant,
    tidy_at: Instant,
    /// Leases that ran out before this have been swept; none at first, and then everything is looked at once.
    swept_until: Option<Timestamp>,
    partitions_at: Option<Instant>,
}

impl Broker {
    /// Keeps queues and schedules going until `shutdown`. Any number of nodes may run it.
    pub async fn run_keeper(&self, shutdown: CancellationToken) {
        let now = Instant::now();
        let mut keeper = Keeper {
            broker: self.clone(),
            node: Uuid::now_v7(),
            is_leader: false,
            lead_until: now,
            sweep_at: now,
            tidy_at: now,
            swept_until: None,
            partitions_at: None,
        };
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
                    self.inner.metrics.schedule.tick(None, started.elapsed());
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

    /// Publishes events that are due until none is; answers with how many. What the keeper does, for tests and for
    /// programs without a scheduler of their own.
    pub async fn publish_due(&self) -> Result<usize> {
        let mut published = 0;
        let started = std::time::Instant::now();
        let mut longest = Duration::ZERO;
        for priority in Priority::ALL {
            loop {
                let batch = posthaste_store::transaction(self.pool(), |tx| async move {
                    publish_batch(&tx, self, priority).await
                });
                let batch: Published = batch.await.map_err(Error::from)?;
                longest = longest.max(metrics::lag(batch.oldest_due, batch.now));
                for queue in &batch.queues {
                    self.ring(*queue);
                }
                published += batch.count;
                if batch.count < EVENTS_BATCH as usize {
                    break;
                }
            }
        }
        self.count_tick(published, started.elapsed(), longest);
        Ok(published)
    }

    /// Ends the leases of a queue that have run out since `since` (or at any time); answers with the messages that came back or died.
    pub async fn sweep_leases(&self, queue: QueueId, since: Option<Timestamp>) -> Result<usize> {
        let mut swept = 0;
        for half in [0, 1] {
            loop {
                let batch = posthaste_store::transaction(self.pool(), |tx| async move {
                    sweep_batch(&tx, self, Segment::new(queue, half), since).await
                });
                let (leases, messages) = batch.await.map_err(Error::from)?;
                swept += messages;
                if messages > 0 {
                    self.ring(queue);
                }
                if leases < LEASES_BATCH as usize {
                    break;
                }
            }
        }
        Ok(swept)
    }

    /// Lets delayed messages of a queue become visible whose time has come; answers with how many did.
    pub async fn promote(&self, queue: QueueId) -> Result<usize> {
        let mut moved = 0;
        loop {
            let session = self.pool().get().await.map_err(Error::from)?;
            let half = lead::current_half(&session, queue).await?;
            let count = lead::sweep_deferred(&session, Segment::new(queue, half), DEFERRED_BATCH).await?;
            moved += count.unsigned_abs() as usize;
            if count > 0 {
                self.ring(queue);
            }
            if count < DEFERRED_BATCH {
                return Ok(moved);
            }
        }
    }
}

/// Space: logs that take turns, and events that nothing needs any more.
impl Broker {
    /// Gives each queue the space back that its messages do not need any more.
    pub async fn rotate_queues(&self) -> Result<()> {
        for queue in self.catalog().queues.values() {
            self.rotate(Segment::new(queue.id, queue.segment)).await?;
        }
        Ok(())
    }

    /// Changes a full or old log for the empty one, and empties the one behind when nothing of it is needed.
    async fn rotate(&self, current: Segment) -> Result<()> {
        let pool = self.pool();
        let session = pool.get().await.map_err(Error::from)?;
        let Some(size) = lead::size(&session, current).await? else { return Ok(()) };
        if size.other_bytes > 0 {
            // Looked at without locks first: most of the time it is not used up yet.
            let is_used_up = lead::is_used_up(&session, current.other()).await?;
            drop(session);
            if is_used_up && lead::empty(pool, current.other()).await.map_err(Error::from)? {
                tracing::debug!(
                    queue.id = current.queue.0,
                    bytes = size.other_bytes,
                    "space of a log given back"
                );
            }
            return Ok(());
        }
        let is_due = size.bytes > SEGMENT_BYTES || (size.bytes > 0 && size.is_old);
        if is_due && lead::rotate(&session, current).await? {
            lead::notify(&session, "catalog").await?;
            drop(session);
            self.refresh_catalog().await?;
        }
        Ok(())
    }

    /// Removes events whose key has outlived its time, unless a message of theirs may be anywhere; answers with how
    /// many. A queue that nobody consumes keeps the events of its messages for as long as that lasts.
    pub async fn sweep_events(&self) -> Result<u64> {
        let session = self.pool().get().await.map_err(Error::from)?;
        // Asked first: what comes into a log from here on is newer.
        let mut oldest = lead::database_now(&session).await?;
        for queue in self.catalog().queues.keys() {
            for half in [0, 1] {
                let first = lead::oldest(&session, Segment::new(*queue, half)).await?;
                oldest = oldest.min(first.unwrap_or(oldest));
            }
        }
        Ok(event::sweep_expired(&session, TIDY_BATCH, oldest).await?)
    }
}

/// What one batch of due events came to.
struct Published {
    count: usize,
    queues: Vec<QueueId>,
    oldest_due: Option<Timestamp>,
    now: Timestamp,
}

async fn publish_batch(session: &Session, broker: &Broker, priority: Priority) -> Result<Published, Abort> {
    let due = event::claim_waiting(session, priority.rank(), EVENTS_BATCH).await?;
    let now = broker.clock().now();
    let mut published = Published {
        count: due.len(),
        queues: Vec::new(),
        oldest_due: due.iter().filter_map(|row| row.due_at).min(),
        now,
    };
    if due.is_empty() {
        return Ok(published);
    }
    accept::publish_in(session, broker, &due).await?;
    let catalog = broker.catalog();
    for row in &due {
        for queue in catalog.queues_of(&row.event_type, priority) {
            if !published.queues.contains(&queue) {
                published.queues.push(queue);
            }
        }
    }
    Ok(published)
}

/// Ends some leases; answers with how many, and how many messages they still held.
async fn sweep_batch(
    session: &Session,
    broker: &Broker,
    segment: Segment,
    since: Option<Timestamp>,
) -> Result<(usize, usize), Abort> {
    let expired = lead::sweep_expired(session, segment, since, LEASES_BATCH).await?;
    if expired.is_empty() {
        return Ok((0, 0));
    }
    let receives_max =
        broker.catalog().queues.get(&segment.queue).map_or(3, |queue| i32::from(queue.settings.max_receives));
    let half = lead::current_half(session, segment.queue).await?;
    let mut messages: usize = 0;
    let mut outcomes = Vec::new();
    for lease in &expired {
        let returned = lead::return_lease(session, segment, half, lease.lease, receives_max).await?;
        messages += returned.len();
        for one in returned.into_iter().filter(|one| one.died) {
            broker.count_dead(segment.queue, Category::Timeout);
            if let (true, Some(event_id)) = (one.tracked, one.event_id) {
                let message_id = MessageId(one.message_id);
                outcomes.push(finish::Outcome { event_id: EventId(event_id), message_id, failed: true });
            }
        }
    }
    broker.count_expired(segment.queue, messages);
    if !outcomes.is_empty() {
        finish::finish_in(session, broker, &outcomes).await?;
    }
    Ok((expired.len(), messages))
}

impl Keeper {
    /// One look at everything, then a sleep until there is something to do.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<()> {
        if !self.lead().await? {
            tokio::select! {
                () = sleep(TICK_MAX) => {}
                () = shutdown.cancelled() => {}
            }
            return Ok(());
        }
        if self.work().await? {
            return Ok(());
        }
        self.tidy().await?;
        self.rest(shutdown).await
    }

    /// Takes or renews the lead.
    async fn lead(&mut self) -> Result<bool> {
        if self.is_leader && Instant::now() < self.lead_until {
            return Ok(true);
        }
        let session = self.broker.pool().get().await.map_err(Error::from)?;
        let was_leader = self.is_leader;
        self.is_leader = lead::take_lead(&session, "keeper", self.node, LEAD_SECONDS).await?;
        self.lead_until = Instant::now() + LEAD_RENEWED_EVERY;
        self.broker.inner.metrics.schedule.leader.set(if self.is_leader { 1.0 } else { 0.0 });
        if was_leader && !self.is_leader {
            self.broker.forget_depths();
        }
        if self.is_leader && !was_leader {
            tracing::info!("this node keeps the schedule now");
            self.swept_until = None;
        }
        Ok(self.is_leader)
    }

    /// Does what is due; answers with whether there was anything. One look says where: most turns have little to do.
    async fn work(&mut self) -> Result<bool> {
        let started = std::time::Instant::now();
        let session = self.broker.pool().get().await.map_err(Error::from)?;
        let agenda = lead::agenda(&session).await?;
        drop(session);
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= agenda.now);
        let mut worked = false;
        if is_due(agenda.event_at) {
            worked |= self.broker.publish_due().await? > 0;
        } else {
            self.broker.count_tick(0, started.elapsed(), Duration::ZERO);
        }
        for (queue, _) in agenda.delayed.iter().filter(|(_, at)| is_due(Some(*at))) {
            worked |= self.broker.promote(*queue).await? > 0;
        }
        if is_due(agenda.redrive_at) {
            worked |= self.broker.move_due(DEFERRED_BATCH as usize).await? > 0;
        }
        if Instant::now() >= self.sweep_at {
            self.sweep_at = Instant::now() + SWEEP_LEASES_EVERY;
            let since = self.swept_until;
            for queue in self.broker.catalog().queues.keys() {
                worked |= self.broker.sweep_leases(*queue, since).await? > 0;
            }
            self.swept_until = agenda.now.checked_sub(SWEEP_OVERLAP).ok();
        }
        Ok(worked)
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
        let agenda = lead::agenda(&asleep).await?;
        let longest = if may_sleep { TICK_MAX } else { AWAKE_TICK };
        let pause = pause(&agenda)
            .min(longest)
            .min(self.sweep_at.saturating_duration_since(Instant::now()).max(AWAKE_TICK));
        tokio::select! {
            _ = timeout(pause, rung) => {}
            () = shutdown.cancelled() => {}
        }
        asleep.roll_back().await;
        Ok(())
    }

    /// What need not happen on time: space, old rows, the read model of depths.
    async fn tidy(&mut self) -> Result<()> {
        if Instant::now() < self.tidy_at {
            return Ok(());
        }
        self.tidy_at = Instant::now() + TIDY_EVERY;
        let broker = &self.broker;
        broker.rotate_queues().await?;
        broker.measure_queues().await?;
        broker.sweep_events().await?;
        broker.sweep_expired_dead(TIDY_BATCH as usize).await?;
        let is_time = self.partitions_at.is_none_or(|at| Instant::now() >= at);
        if is_time {
            let session = broker.pool().get().await.map_err(Error::from)?;
            let days = i32::try_from(broker.options().attempt_retention_days).unwrap_or(i32::MAX);
            attempt::keep_partitions(&session, days).await?;
            self.partitions_at = Some(Instant::now() + Duration::from_secs(3600));
        }
        Ok(())
    }

    async fn resign(&self) {
        if !self.is_leader {
            return;
        }
        self.broker.inner.metrics.schedule.leader.set(0.0);
        self.broker.forget_depths();
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
    let on_time = [agenda.event_at, agenda.redrive_at].into_iter().flatten().map(until).min();
    // What is late already is held by somebody else, or came while we looked: at once would be a busy loop.
    let on_time = on_time.map(|pause| if pause.is_zero() { DELAYED_TOGETHER } else { pause });
    let together = agenda.delayed.iter().map(|(_, at)| until(*at).max(DELAYED_TOGETHER)).min();
    [on_time, together].into_iter().flatten().min().unwrap_or(TICK_MAX)
}
