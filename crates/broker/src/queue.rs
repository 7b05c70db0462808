//! Queues as their users see them: send, receive, settle, give back, extend, look.
//!
//! What is asked for together is done together (see `gather`), so callers need not make batches themselves. Not
//! for: how a log and its cursor work (see the store), or delivery to endpoints (see the deliver crate).

mod ahead;
mod claim;
mod depth;
mod message;
mod send;
mod settle;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use jiff::Timestamp;
use posthaste_base::{Code, Error, MessageId, QueueId, Result, limits};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::depth::Depth;
pub(crate) use self::depth::depth as depth_of;
pub use self::message::{Message, MessageEvent, Peeked, Receipt};
pub use self::send::SendIn;
pub use self::settle::{Attempted, Death, Settlement};
use crate::broker::Inner;
use crate::declare::check;
use crate::gather::Gather;
use crate::{Accepted, Broker, NewEvent};

/// The tasks that gather requests, and the bells that wake who waits for messages.
pub(crate) struct Desk {
    pub(crate) accepts: Gather<NewEvent, Accepted>,
    sends: Gather<send::Send, MessageId>,
    settles: Gather<Settlement, ()>,
    claims: Mutex<HashMap<QueueId, claim::Claimer>>,
    /// Rung when a queue may have messages that it had not.
    bells: Mutex<HashMap<QueueId, Arc<Notify>>>,
    broker: Weak<Inner>,
}

impl Desk {
    pub(crate) fn new(broker: Weak<Inner>) -> Self {
        Self {
            accepts: send::start_accepts(broker.clone()),
            sends: send::start_sends(broker.clone()),
            settles: settle::start_settles(broker.clone()),
            claims: Mutex::default(),
            bells: Mutex::default(),
            broker,
        }
    }

    pub(crate) fn bell(&self, queue: QueueId) -> Arc<Notify> {
        lock(&self.bells).entry(queue).or_default().clone()
    }

    /// Rings every bell, after notifications may have been missed.
    pub(crate) fn ring_all(&self) {
        lock(&self.bells).values().for_each(|bell| bell.notify_one());
    }

    fn claimer(&self, queue: QueueId) -> claim::Claimer {
        let mut claims = lock(&self.claims);
        claims
            .entry(queue)
            .or_insert_with(|| claim::Claimer::start(self.broker.clone(), queue, self.bell(queue)))
            .clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Broker {
    /// Accepts one event, together with others that come at the same moment.
    pub async fn accept(&self, event: NewEvent) -> Result<Accepted> {
        self.inner.desk.accepts.ask(event).await
    }

    /// Accepts several events; each by itself.
    pub async fn accept_all(&self, events: Vec<NewEvent>) -> Vec<Result<Accepted>> {
        self.inner.desk.accepts.ask_all(events).await
    }

    /// Sends messages to a queue; durable when it returns. Answers with their ids, in order.
    pub async fn send(&self, queue: &str, messages: Vec<SendIn>) -> Result<Vec<MessageId>> {
        let queue = self.catalog().queue(queue)?.clone();
        check::pull_queue(&queue.name)?;
        if messages.len() > limits::BATCH_MESSAGES_MAX {
            return Err(too_many("messages", messages.len()));
        }
        // All are looked at before the first is sent: all go, or none.
        let messages = messages.into_iter().map(|message| message.checked(&queue)).collect::<Result<_>>()?;
        self.inner.desk.sends.ask_all(messages).await.into_iter().collect()
    }

    /// Receives up to `max` messages under a lease; waits up to `wait` for the first.
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        visibility_seconds: Option<u32>,
        wait: Duration,
    ) -> Result<Vec<Message>> {
        let queue = self.catalog().queue(queue)?.clone();
        if !(1..=limits::BATCH_MESSAGES_MAX).contains(&max) {
            return Err(Error::new(
                Code::InvalidParameter,
                format!("{max} messages cannot be received at once"),
            )
            .field("maxMessages")
            .expected(format!("1 to {}", limits::BATCH_MESSAGES_MAX)));
        }
        let visibility = visibility_seconds.unwrap_or(queue.settings.visibility_seconds);
        if !(1..=limits::VISIBILITY_SECONDS_MAX).contains(&visibility) {
            return Err(Error::new(
                Code::InvalidParameter,
                format!("{visibility} s is not a visibility timeout"),
            )
            .field("visibilitySeconds")
            .expected(format!("1 to {}", limits::VISIBILITY_SECONDS_MAX)));
        }
        let wait = wait.min(Duration::from_secs(u64::from(limits::LONG_POLL_SECONDS_MAX)));
        self.receive_from(queue.id, max, visibility, wait, &CancellationToken::new()).await
    }

    /// The same by the queue's id, for workers: a paused queue gives nothing. The wait ends early with `stop`; what
    /// was claimed by then still comes.
    pub async fn receive_from(
        &self,
        queue: QueueId,
        max: usize,
        visibility_seconds: u32,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<Vec<Message>> {
        self.inner.desk.claimer(queue).claim(max, visibility_seconds, wait, stop).await
    }

    /// Settles messages: they are done. An error for one means that its lease was lost.
    pub async fn settle(&self, receipts: Vec<Receipt>) -> Result<Vec<Result<()>>> {
        self.conclude(receipts.into_iter().map(Settlement::done).collect()).await
    }

    /// Gives messages back, to be received again after a delay; the receive counts. One that has used up its
    /// receives goes to the dead letter queue instead.
    pub async fn give_back(&self, receipts: Vec<Receipt>, delay_seconds: u32) -> Result<Vec<Result<()>>> {
        if delay_seconds > limits::VISIBILITY_SECONDS_MAX {
            return Err(Error::new(Code::InvalidParameter, format!("{delay_seconds} s is too long a delay"))
                .field("delaySeconds")
                .expected(format!("0 to {}", limits::VISIBILITY_SECONDS_MAX)));
        }
        let catalog = self.catalog();
        let settlements = receipts.into_iter().map(|receipt| {
            let receives_max = catalog
                .queues
                .get(&receipt.segment.queue)
                .map_or(u32::MAX, |queue| queue.settings.max_receives.into());
            Settlement::given_back(receipt, i64::from(delay_seconds) * 1000, receives_max)
        });
        self.conclude(settlements.collect()).await
    }

    /// Gives one message `seconds` more from now; answers with when its lease runs out then.
    pub async fn extend(&self, receipt: Receipt, seconds: u32) -> Result<Timestamp> {
        if !(1..=limits::VISIBILITY_SECONDS_MAX).contains(&seconds) {
            return Err(Error::new(
                Code::InvalidParameter,
                format!("a lease cannot be extended by {seconds} s"),
            )
            .field("seconds")
            .expected(format!("1 to {}", limits::VISIBILITY_SECONDS_MAX)));
        }
        let session = self.pool().get().await.map_err(Error::from)?;
        let held = receipt.held;
        let until =
            posthaste_store::queue::extend(&session, receipt.segment, held.lease, held.seq, seconds.into())
                .await?;
        until.ok_or_else(|| lease_lost(&receipt))
    }

    /// Concludes messages: done, later or dead, with the attempt that led to it. Each answer is for itself.
    pub async fn conclude(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<()>>> {
        Ok(self.inner.desk.settles.ask_all(settlements).await)
    }

    /// The next messages of a queue, without receiving them.
    pub async fn peek(&self, queue: &str, max: usize) -> Result<Vec<Peeked>> {
        let queue = self.catalog().queue(queue)?.clone();
        depth::peek(self, queue.id, max.clamp(1, limits::PAGE_MAX)).await
    }

    /// How much is in a queue: visible, in flight and delayed are disjoint.
    pub async fn depth(&self, queue: &str) -> Result<Depth> {
        let queue = self.catalog().queue(queue)?.clone();
        depth::depth(self, queue.id).await
    }

    /// Settles everything that is visible in a queue; answers with how many. What is in flight or delayed stays.
    pub async fn purge(&self, queue: &str) -> Result<u64> {
        let queue = self.catalog().queue(queue)?.clone();
        let mut purged = 0;
        loop {
            let batch = self
                .inner
                .desk
                .claimer(queue.id)
                .claim_even_if_paused(limits::BATCH_MESSAGES_MAX, queue.settings.visibility_seconds)
                .await?;
            if batch.is_empty() {
                return Ok(purged);
            }
            purged += batch.len() as u64;
            self.settle(batch.into_iter().map(|message| message.receipt).collect()).await?;
        }
    }

    /// Gives back what was claimed ahead of demand, so that it need not wait until its lease runs out; for a node
    /// whose consumers have stopped.
    pub async fn give_back_ahead(&self) {
        let claimers: Vec<_> = lock(&self.inner.desk.claims).values().cloned().collect();
        for claimer in claimers {
            claimer.give_back().await;
        }
    }

    /// Whether events can be accepted: the database answers, takes writes, and had room for the last events.
    pub async fn health(&self) -> Result<()> {
        self.inner.room.check(std::time::Instant::now())?;
        let session = self.pool().get().await.map_err(Error::from)?;
        posthaste_store::lead::check_writable(&session).await?;
        Ok(())
    }

    /// Rings for a queue's consumers in this node, and soon in all others.
    pub(crate) fn ring(&self, queue: QueueId) {
        self.inner.desk.bell(queue).notify_one();
        self.inner.notifier.queue(queue);
    }
}

fn too_many(field: &str, count: usize) -> Error {
    Error::new(Code::InvalidParameter, format!("{count} at once are too many"))
        .field(field)
        .expected(format!("at most {}", limits::BATCH_MESSAGES_MAX))
}

pub(crate) fn lease_lost(receipt: &Receipt) -> Error {
    Error::new(Code::LeaseLost, format!("the lease of receipt `{receipt}` has run out or was settled"))
        .field("receipt")
}
