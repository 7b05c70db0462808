//! What must happen on time: events that are due, delayed messages whose time has come, leases that ran out.
//!
//! Each goes in batches, every batch a transaction of its own. No kind of work, no priority and no queue may keep the
//! keeper to itself: what is more urgent is looked for before each batch, and each kind has a time after which the
//! others have their turn. Not for: when each is looked at (see `keeper`).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use posthaste_base::{Category, Error, EventId, MessageId, Priority, QueueId, Result};
use posthaste_store::segment::Segment;
use posthaste_store::{Session, event, lead};
use tokio::time::Instant;

use crate::transact::Abort;
use crate::{Broker, accept, finish, metrics};

pub(super) const EVENTS_BATCH: i64 = 500;
const DEFERRED_BATCH: i64 = 1_000;
const LEASES_BATCH: i64 = 50;

/// What a round of batches came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) count: usize,
    /// Whether its time was up before everything was done.
    pub(super) is_cut: bool,
}

impl Broker {
    /// Publishes events that are due until none is; answers with how many. What the keeper does, for tests and for
    /// programs without a scheduler of their own.
    pub async fn publish_due(&self) -> Result<usize> {
        Ok(self.publish_round(None, Duration::ZERO).await?.count)
    }

    /// Publishes events that are due, the most urgent first, until none is or until that time. `waited` is how long
    /// the oldest of them has waited, as far as that is known.
    pub(super) async fn publish_round(&self, until: Option<Instant>, waited: Duration) -> Result<Round> {
        let started = std::time::Instant::now();
        let mut longest = waited;
        let mut round = Round::default();
        loop {
            let batch = self.publish_urgent().await?;
            if batch.count == 0 {
                break;
            }
            round.count += batch.count;
            longest = longest.max(metrics::lag(batch.oldest_due, batch.now));
            if until.is_some_and(|until| until <= Instant::now()) {
                round.is_cut = true;
                break;
            }
        }
        self.count_tick(round.count, started.elapsed(), longest);
        Ok(round)
    }

    /// Publishes the next due events: some of the most urgent priority that has any. Whatever has become due since
    /// the last batch and is more urgent than that comes first.
    pub(super) async fn publish_urgent(&self) -> Result<Published> {
        let batch =
            posthaste_store::transaction(self.pool(), |tx| async move { publish_in(&tx, self).await });
        let batch: Published = batch.await.map_err(Error::from)?;
        for queue in &batch.queues {
            self.ring(*queue);
        }
        Ok(batch)
    }

    /// Ends the leases of a queue that have run out since `since` (or at any time); answers with the messages that came back or died.
    pub async fn sweep_leases(&self, queue: QueueId, since: Option<Timestamp>) -> Result<usize> {
        Ok(self.sweep_round(vec![queue], since, None).await?.count)
    }

    /// The same for several queues, a batch of each in turn, until nothing is left or until that time.
    pub(super) async fn sweep_round(
        &self,
        queues: Vec<QueueId>,
        since: Option<Timestamp>,
        until: Option<Instant>,
    ) -> Result<Round> {
        let mut round = Round::default();
        let mut left: Vec<_> =
            queues.into_iter().flat_map(|queue| [0, 1].map(|half| Segment::new(queue, half))).collect();
        while !left.is_empty() && !round.is_cut {
            let mut full = Vec::new();
            for segment in left {
                let batch = posthaste_store::transaction(self.pool(), |tx| async move {
                    sweep_batch(&tx, self, segment, since).await
                });
                let (leases, messages) = batch.await.map_err(Error::from)?;
                round.count += messages;
                if messages > 0 {
                    self.ring(segment.queue);
                }
                if leases == LEASES_BATCH as usize {
                    full.push(segment);
                }
            }
            left = full;
            round.is_cut = !left.is_empty() && until.is_some_and(|until| until <= Instant::now());
        }
        Ok(round)
    }

    /// Lets delayed messages of a queue become visible whose time has come; answers with how many did.
    pub async fn promote(&self, queue: QueueId) -> Result<usize> {
        Ok(self.promote_round(vec![queue], None).await?.count)
    }

    /// The same for several queues, a batch of each in turn, until nothing is left or until that time.
    pub(super) async fn promote_round(&self, queues: Vec<QueueId>, until: Option<Instant>) -> Result<Round> {
        let mut round = Round::default();
        let mut left = queues;
        while !left.is_empty() && !round.is_cut {
            let mut full = Vec::new();
            for queue in left {
                let session = self.pool().get().await.map_err(Error::from)?;
                let half = lead::current_half(&session, queue).await?;
                let count = lead::sweep_deferred(&session, Segment::new(queue, half), DEFERRED_BATCH).await?;
                round.count += count.unsigned_abs() as usize;
                if count > 0 {
                    self.ring(queue);
                }
                if count == DEFERRED_BATCH {
                    full.push(queue);
                }
            }
            left = full;
            round.is_cut = !left.is_empty() && until.is_some_and(|until| until <= Instant::now());
        }
        Ok(round)
    }
}

/// What one batch of due events came to.
pub(super) struct Published {
    pub(super) count: usize,
    /// None when there was no event.
    pub(super) priority: Option<Priority>,
    queues: Vec<QueueId>,
    oldest_due: Option<Timestamp>,
    now: Timestamp,
}

async fn publish_in(session: &Session, broker: &Broker) -> Result<Published, Abort> {
    let mut published = Published {
        count: 0,
        priority: None,
        queues: Vec::new(),
        oldest_due: None,
        now: broker.clock().now(),
    };
    for priority in Priority::ALL {
        let due = event::claim_waiting(session, priority.rank(), EVENTS_BATCH).await?;
        if due.is_empty() {
            continue;
        }
        published.count = due.len();
        published.priority = Some(priority);
        published.now = broker.clock().now();
        published.oldest_due = due.iter().filter_map(|row| row.due_at).min();
        accept::publish_in(session, broker, &due).await?;
        let catalog = broker.catalog();
        let queues = due.iter().flat_map(|row| catalog.queues_of(&row.event_type, priority));
        published.queues = queues.collect::<BTreeSet<_>>().into_iter().collect();
        break;
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
