//! Receiving: what a node's consumers of one queue ask for at the same moment is claimed at once, under one lease,
//! and shared out among them in the order in which they asked.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use posthaste_base::{Code, Error, QueueId, Result, limits};
use posthaste_engine::failure::{Unsettled, classify_unsettled};
use posthaste_store::queue as store;
use posthaste_store::segment::Segment;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Message, Settlement};
use crate::Broker;
use crate::broker::Inner;
use crate::catalog::Queue;

/// How long a waiting consumer goes without looking, should every bell have failed to ring.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How often the segment that takes no new messages is looked into, when it seems empty.
const LOOK_BEHIND: Duration = Duration::from_millis(500);
const WAITING_MAX: usize = 4_096;
/// Claims in a row that may come to nothing because their messages were kept for too long.
const EXPIRED_ROUNDS: usize = 10;

struct Want {
    max: usize,
    visibility_seconds: u32,
    deadline: Instant,
    /// Ends the wait before the deadline.
    stop: CancellationToken,
    even_if_paused: bool,
    answer: oneshot::Sender<Result<Vec<Message>>>,
}

#[derive(Clone)]
pub(crate) struct Claimer {
    wants: mpsc::Sender<Want>,
    bell: Arc<Notify>,
}

impl Claimer {
    pub(crate) fn start(inner: Weak<Inner>, queue: QueueId, bell: Arc<Notify>) -> Self {
        let (wants, receiver) = mpsc::channel(WAITING_MAX);
        let counter = Counter {
            inner,
            queue,
            bell: bell.clone(),
            waiting: VecDeque::new(),
            look_behind_at: Instant::now(),
        };
        tokio::spawn(counter.serve(receiver));
        Self { wants, bell }
    }

    pub(crate) async fn claim(
        &self,
        max: usize,
        visibility_seconds: u32,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<Vec<Message>> {
        self.ask(max, visibility_seconds, wait, stop, false).await
    }

    pub(crate) async fn claim_even_if_paused(
        &self,
        max: usize,
        visibility_seconds: u32,
    ) -> Result<Vec<Message>> {
        self.ask(max, visibility_seconds, Duration::ZERO, &CancellationToken::new(), true).await
    }

    async fn ask(
        &self,
        max: usize,
        visibility_seconds: u32,
        wait: Duration,
        stop: &CancellationToken,
        even_if_paused: bool,
    ) -> Result<Vec<Message>> {
        let stopped = || Error::new(Code::Unavailable, "the node is stopping");
        let (answer, mut receiver) = oneshot::channel();
        let deadline = Instant::now() + wait;
        let want = Want { max, visibility_seconds, deadline, stop: stop.clone(), even_if_paused, answer };
        self.wants.send(want).await.map_err(|_| stopped())?;
        let received = tokio::select! {
            biased;
            received = &mut receiver => received,
            () = stop.cancelled() => {
                // Answered soon, with what was claimed meanwhile if anything was.
                self.bell.notify_one();
                receiver.await
            }
        };
        received.unwrap_or_else(|_| Err(stopped()))
    }
}

/// The one place in a node where a queue's messages are claimed.
struct Counter {
    inner: Weak<Inner>,
    queue: QueueId,
    bell: Arc<Notify>,
    waiting: VecDeque<Want>,
    look_behind_at: Instant,
}

impl Counter {
    async fn serve(mut self, mut wants: mpsc::Receiver<Want>) {
        loop {
            if self.waiting.is_empty() {
                match wants.recv().await {
                    Some(want) => self.waiting.push_back(want),
                    None => return,
                }
            }
            // Those who were answered together ask again together: let them all speak.
            tokio::task::yield_now().await;
            while let Ok(want) = wants.try_recv() {
                self.waiting.push_back(want);
            }
            // Registered before looking, so that a bell rung while we look is not missed.
            let bell = self.bell.clone();
            let rung = bell.notified();
            let Some(inner) = self.inner.upgrade() else { return };
            let is_exhausted = self.look(&Broker { inner }).await;
            self.dismiss();
            if self.waiting.is_empty() || !is_exhausted {
                continue;
            }
            let next_deadline = self.waiting.iter().map(|want| want.deadline).min();
            let until = next_deadline.map_or_else(Instant::now, |at| at.min(Instant::now() + LOOK_AGAIN));
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep_until(until) => {}
                want = wants.recv() => match want {
                    Some(want) => self.waiting.push_back(want),
                    None => return,
                },
            }
        }
    }

    /// Claims for those who wait, as much as one lease may hold; true when there was less than they wanted.
    async fn look(&mut self, broker: &Broker) -> bool {
        self.waiting.retain(|want| !want.answer.is_closed());
        self.dismiss_stopped();
        let Some(first) = self.waiting.front() else { return true };
        let catalog = broker.catalog();
        let Some(queue) = catalog.queues.get(&self.queue) else {
            let error = Error::new(Code::UnknownQueue, "the queue was removed").field("queue");
            self.waiting.drain(..).for_each(|want| drop(want.answer.send(Err(error.clone()))));
            return true;
        };
        if queue.paused && !first.even_if_paused {
            return true;
        }
        let visibility = first.visibility_seconds;
        let alike = |want: &&Want| want.visibility_seconds == visibility && !want.answer.is_closed();
        let wanted: usize = self.waiting.iter().take_while(alike).map(|want| want.max).sum();
        let wanted = wanted.min(limits::BATCH_MESSAGES_MAX);
        let mut claimed = self.claim(broker, queue, wanted, visibility).await;
        for _ in 1..EXPIRED_ROUNDS {
            // A claim of nothing but what was kept for too long says nothing of what lies behind.
            let Ok((messages, n_claimed)) = &claimed else { break };
            if !messages.is_empty() || *n_claimed == 0 {
                break;
            }
            claimed = self.claim(broker, queue, wanted, visibility).await;
        }
        match claimed {
            Ok((messages, n_claimed)) => {
                self.share_out(broker, messages);
                n_claimed < wanted
            }
            Err(error) => {
                let n = self.waiting.iter().take_while(alike).count();
                self.waiting.drain(..n).for_each(|want| drop(want.answer.send(Err(error.clone()))));
                true
            }
        }
    }

    /// First what is left in the segment behind, then the one that takes new messages. Answers also with how many
    /// were claimed: some may have been kept for too long, and are dead now.
    async fn claim(
        &mut self,
        broker: &Broker,
        queue: &Queue,
        wanted: usize,
        visibility_seconds: u32,
    ) -> Result<(Vec<Message>, usize)> {
        let current = Segment::new(queue.id, queue.segment);
        let started = std::time::Instant::now();
        let session = broker.pool().get().await.map_err(Error::from)?;
        let mut segment = current;
        let mut claimed = Vec::new();
        if Instant::now() >= self.look_behind_at {
            segment = current.other();
            claimed = store::claim(&session, segment, wanted as i64, visibility_seconds.into()).await?;
            if claimed.is_empty() {
                self.look_behind_at = Instant::now() + LOOK_BEHIND;
            }
        }
        if claimed.is_empty() {
            segment = current;
            claimed = store::claim(&session, segment, wanted as i64, visibility_seconds.into()).await?;
        }
        drop(session);
        broker.queue_metrics(queue).claimed(claimed.len(), started.elapsed());
        let n_claimed = claimed.len();
        if n_claimed == 0 {
            return Ok((Vec::new(), 0));
        }
        let n_from_sql = claimed.iter().filter(|one| one.is_new_from_sql).count();
        if n_from_sql > 0 {
            broker.count_sent(queue.id, n_from_sql);
        }
        let mut now = broker.clock().now();
        if claimed.iter().any(|one| one.sent_at < oldest_kept(queue, now)) {
            // This node's clock may be wrong, so the database has the last word.
            let session = broker.pool().get().await.map_err(Error::from)?;
            now = posthaste_store::lead::database_now(&session).await?;
        }
        let (fresh, expired) = split_expired(segment, claimed, queue, now);
        if !expired.is_empty() {
            let failure = classify_unsettled(Unsettled::RetentionExpired);
            let settlements = expired.into_iter().map(|message| Settlement::dead(message.receipt, &failure));
            broker.conclude(settlements.collect()).await?;
        }
        Ok((fresh, n_claimed))
    }

    fn share_out(&mut self, broker: &Broker, messages: Vec<Message>) {
        let mut unwanted = Vec::new();
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let Some(want) = self.waiting.pop_front() else {
                // Cannot be: no more is claimed than was wanted. Their lease runs out, and they come again.
                tracing::error!("claimed more messages than were wanted");
                return;
            };
            let share: Vec<Message> = messages.by_ref().take(want.max).collect();
            if let Err(Ok(share)) = want.answer.send(Ok(share)) {
                unwanted.extend(share.into_iter().map(|message| Settlement::deferred(message.receipt, 0)));
            }
        }
        if !unwanted.is_empty() {
            // Their consumer has gone meanwhile. Should this fail, they come again when their lease runs out.
            let broker = broker.clone();
            tokio::spawn(async move { drop(broker.conclude(unwanted).await) });
        }
    }

    fn dismiss_stopped(&mut self) {
        let (stopped, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(|want| want.stop.is_cancelled());
        self.waiting = waiting;
        stopped.into_iter().for_each(|want| drop(want.answer.send(Ok(Vec::new()))));
    }

    /// Answers those whose time is up with nothing.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let mut still = VecDeque::with_capacity(self.waiting.len());
        for want in self.waiting.drain(..) {
            if want.deadline <= now {
                drop(want.answer.send(Ok(Vec::new())));
            } else {
                still.push_back(want);
            }
        }
        self.waiting = still;
    }
}

/// What was sent before this is not kept any more.
fn oldest_kept(queue: &Queue, now: Timestamp) -> Timestamp {
    let retention = SignedDuration::from_secs(queue.settings.retention_seconds.into());
    now.saturating_sub(retention).unwrap_or(Timestamp::MIN)
}

/// Parts the messages that their queue has kept for too long from the others.
fn split_expired(
    segment: Segment,
    claimed: Vec<store::Claimed>,
    queue: &Queue,
    now: Timestamp,
) -> (Vec<Message>, Vec<Message>) {
    let oldest = oldest_kept(queue, now);
    claimed
        .into_iter()
        .map(|claimed| Message::new(segment, claimed))
        .partition(|message| message.sent_at >= oldest)
}
