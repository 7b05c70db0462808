//! Receiving: what a node's consumers of one queue ask for at the same moment is claimed at once, under one lease,
//! and shared out among them in the order in which they asked.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use posthaste_base::{Code, Error, QueueId, Result};
use posthaste_engine::failure::{Unsettled, classify_unsettled};
use posthaste_store::queue as store;
use posthaste_store::segment::Segment;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ahead::{Ahead, Demand, KEPT_FOR};
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
const EXPIRED_ROUNDS: u32 = 10;

struct Want {
    max: usize,
    visibility_seconds: u32,
    deadline: Instant,
    /// Ends the wait before the deadline.
    stop: CancellationToken,
    even_if_paused: bool,
    /// The number of the first claim that begins after it was asked: it is not sent away before that one has ended.
    from_claim: u64,
    answer: oneshot::Sender<Result<Vec<Message>>>,
}

enum Order {
    Want(Want),
    /// Give back what was claimed ahead; answered when that is done.
    GiveBack(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(crate) struct Claimer {
    orders: mpsc::Sender<Order>,
    bell: Arc<Notify>,
}

impl Claimer {
    pub(crate) fn start(inner: Weak<Inner>, queue: QueueId, bell: Arc<Notify>) -> Self {
        let (orders, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(Counter::new(inner, queue, bell.clone()).serve(receiver));
        Self { orders, bell }
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

    /// Gives back what was claimed and is asked for by nobody.
    pub(crate) async fn give_back(&self) {
        let (answer, receiver) = oneshot::channel();
        if self.orders.send(Order::GiveBack(answer)).await.is_ok() {
            let _ = receiver.await;
        }
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
        let stop_want = stop.clone();
        let want = Want {
            max,
            visibility_seconds,
            deadline,
            stop: stop_want,
            even_if_paused,
            from_claim: 0,
            answer,
        };
        self.orders.send(Order::Want(want)).await.map_err(|_| stopped())?;
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

/// A claim that is under way.
type Claiming = Pin<Box<dyn Future<Output = Result<Claimed>> + Send>>;

/// What to claim.
#[derive(Clone, Copy)]
struct Claim {
    count: usize,
    visibility_seconds: u32,
    /// By so much the lease is longer, for messages that nobody has asked for yet.
    kept_for: Duration,
    looks_behind: bool,
}

/// What a claim came to.
struct Claimed {
    /// Without those that their queue had kept for too long.
    messages: Vec<Message>,
    /// With those.
    count: usize,
    is_from_behind: bool,
    took: Duration,
}

/// The one place in a node where a queue's messages are claimed.
struct Counter {
    inner: Weak<Inner>,
    queue: QueueId,
    bell: Arc<Notify>,
    waiting: VecDeque<Want>,
    ahead: Ahead,
    demand: Demand,
    /// What is being claimed, or was last.
    claim: Claim,
    look_behind_at: Instant,
    look_again_at: Instant,
    giving_back: JoinSet<()>,
    /// Who waits until nothing is claimed ahead any more.
    leaving: Vec<oneshot::Sender<()>>,
    /// The last claim found less than it asked for.
    was_short: bool,
    /// And no bell has rung since it began, so that there is no reason to look.
    is_exhausted: bool,
    has_rung: bool,
    n_begun: u64,
    n_ended: u64,
    expired_rounds: u32,
}

impl Counter {
    fn new(inner: Weak<Inner>, queue: QueueId, bell: Arc<Notify>) -> Self {
        let now = Instant::now();
        Self {
            inner,
            queue,
            bell,
            waiting: VecDeque::new(),
            ahead: Ahead::default(),
            demand: Demand::default(),
            claim: Claim { count: 0, visibility_seconds: 0, kept_for: Duration::ZERO, looks_behind: false },
            giving_back: JoinSet::new(),
            leaving: Vec::new(),
            look_behind_at: now,
            look_again_at: now,
            was_short: false,
            is_exhausted: false,
            has_rung: false,
            n_begun: 0,
            n_ended: 0,
            expired_rounds: 0,
        }
    }

    async fn serve(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut claiming: Option<Claiming> = None;
        loop {
            if self.is_idle() && claiming.is_none() {
                match orders.recv().await {
                    Some(order) => self.take_order(order),
                    None => return,
                }
            }
            // Those who were answered together ask again together: let them all speak.
            tokio::task::yield_now().await;
            while let Ok(order) = orders.try_recv() {
                self.take_order(order);
            }
            // Registered before looking, so that a bell rung while we look is not missed.
            let bell = self.bell.clone();
            let rung = bell.notified();
            let Some(inner) = self.inner.upgrade() else { return };
            let broker = Broker { inner };
            self.tend(&broker);
            if claiming.is_none() {
                self.let_leave(&broker).await;
                claiming = self.begin_claim(&broker);
            }
            drop(broker);
            let until = self.wake_at(claiming.is_some());
            tokio::select! {
                claimed = under_way(&mut claiming) => {
                    claiming = None;
                    self.end_claim(claimed);
                }
                () = rung => {
                    self.has_rung = true;
                    self.is_exhausted = false;
                }
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    if self.look_again_at <= Instant::now() {
                        self.is_exhausted = false;
                    }
                }
                order = orders.recv() => match order {
                    Some(order) => self.take_order(order),
                    None => break,
                },
            }
        }
        // The broker is going; a claim is not torn off in the middle. What it brings comes again after its lease.
        if let Some(claiming) = claiming {
            drop(claiming.await);
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.ahead.is_empty() && self.leaving.is_empty()
    }

    fn take_order(&mut self, order: Order) {
        let mut want = match order {
            Order::Want(want) => want,
            Order::GiveBack(done) => return self.leaving.push(done),
        };
        want.from_claim = self.n_begun + 1;
        if want.even_if_paused {
            // Those before it may be waiting for the end of the pause.
            self.waiting.push_front(want);
        } else {
            self.demand.asked(want.max, Instant::now());
            self.waiting.push_back(want);
        }
    }

    /// Hands out what is there, and sends away whose time is up.
    fn tend(&mut self, broker: &Broker) {
        self.waiting.retain(|want| !want.answer.is_closed());
        let now = Instant::now();
        let is_paused = broker.catalog().queues.get(&self.queue).is_none_or(|queue| queue.paused);
        let may_have =
            |counter: &Self, want: &Want| counter.is_alike(want) && (want.even_if_paused || !is_paused);
        let mut unwanted = Vec::new();
        while let Some(want) = self.waiting.front() {
            let is_enough = self.ahead.is_enough(want.max) || self.is_all(want);
            if self.ahead.is_empty() || !is_enough || !may_have(self, want) {
                break;
            }
            let share = self.ahead.take(want.max);
            self.demand.answered(&share, now);
            let Some(want) = self.waiting.pop_front() else { break };
            if let Err(Ok(share)) = want.answer.send(Ok(share)) {
                unwanted.extend(share);
            }
        }
        self.dismiss(now);
        if !self.waiting.front().is_some_and(|want| may_have(self, want)) {
            // Nobody is waiting for the rest of an answer, so what is left was claimed ahead.
            let is_kept = self.waiting.is_empty() && !is_paused;
            let old = if is_kept { self.ahead.take_old(now) } else { self.ahead.take_all() };
            if !old.is_empty() {
                self.demand.missed();
                unwanted.extend(old);
            }
        }
        if !unwanted.is_empty() {
            let broker = broker.clone();
            self.giving_back.spawn(async move { give_back(&broker, unwanted).await });
        }
    }

    /// Whether it was looked for since it was asked, until there was no more.
    fn is_all(&self, want: &Want) -> bool {
        self.was_short && want.from_claim <= self.n_ended
    }

    /// Whether what is claimed ahead is of the kind that is wanted.
    fn is_alike(&self, want: &Want) -> bool {
        want.even_if_paused || want.visibility_seconds == self.claim.visibility_seconds
    }

    /// Answers those whose time is up, or who are to stop, with nothing.
    fn dismiss(&mut self, now: Instant) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let is_over = |want: &Want| want.stop.is_cancelled() || (want.deadline <= now && self.is_all(want));
        let (over, waiting): (VecDeque<Want>, VecDeque<Want>) = waiting.partition(is_over);
        self.waiting = waiting;
        over.into_iter().for_each(|want| drop(want.answer.send(Ok(Vec::new()))));
    }

    async fn let_leave(&mut self, broker: &Broker) {
        while self.giving_back.try_join_next().is_some() {}
        if self.leaving.is_empty() {
            return;
        }
        while self.giving_back.join_next().await.is_some() {}
        self.demand.missed();
        give_back(broker, self.ahead.take_all()).await;
        for done in self.leaving.drain(..) {
            let _ = done.send(());
        }
    }

    /// Begins to claim what is wanted, and what will be, if there is a reason to look.
    fn begin_claim(&mut self, broker: &Broker) -> Option<Claiming> {
        let catalog = broker.catalog();
        let Some(queue) = catalog.queues.get(&self.queue) else {
            let error = Error::new(Code::UnknownQueue, "the queue was removed").field("queue");
            self.waiting.drain(..).for_each(|want| drop(want.answer.send(Err(error.clone()))));
            return None;
        };
        let front = self.waiting.front();
        if queue.paused && !front.is_some_and(|want| want.even_if_paused) {
            // There is nothing to look for.
            self.waiting.iter_mut().for_each(|want| want.from_claim = 0);
            self.look_again_at = Instant::now() + LOOK_AGAIN;
            (self.was_short, self.is_exhausted) = (true, true);
            return None;
        }
        let now = Instant::now();
        let visibility_seconds = front.map_or(self.claim.visibility_seconds, |want| want.visibility_seconds);
        let alike = |want: &&Want| want.visibility_seconds == visibility_seconds;
        let wanted: usize = self.waiting.iter().take_while(alike).map(|want| want.max).sum();
        let (target, stock) = (self.demand.ahead(), self.ahead.len().saturating_sub(wanted));
        let is_asked = front.is_some_and(|want| want.from_claim > self.n_ended || !self.is_exhausted);
        let is_low = target > 0 && stock <= target / 2 && !self.is_exhausted;
        if !is_asked && !is_low {
            return None;
        }
        let extra = target.saturating_sub(stock);
        let lack = wanted.saturating_sub(self.ahead.len());
        self.claim = Claim {
            count: (lack + extra).clamp(1, self.demand.claim_max()),
            visibility_seconds,
            kept_for: if extra > 0 { KEPT_FOR } else { Duration::ZERO },
            looks_behind: now >= self.look_behind_at,
        };
        self.n_begun += 1;
        self.has_rung = false;
        self.look_again_at = now + LOOK_AGAIN;
        self.demand.claim_began(now);
        Some(Box::pin(claim(broker.clone(), queue.clone(), self.claim)))
    }

    fn end_claim(&mut self, claimed: Result<Claimed>) {
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                let visibility = self.claim.visibility_seconds;
                let n = self.waiting.iter().take_while(|want| want.visibility_seconds == visibility).count();
                self.waiting.drain(..n).for_each(|want| drop(want.answer.send(Err(error.clone()))));
                self.n_ended = self.n_begun;
                (self.was_short, self.is_exhausted) = (true, true);
                return;
            }
        };
        if self.claim.looks_behind && !claimed.is_from_behind {
            self.look_behind_at = Instant::now() + LOOK_BEHIND;
        }
        // A claim of nothing but what was kept for too long says nothing of what lies behind.
        let is_in_vain = claimed.messages.is_empty() && claimed.count > 0;
        self.expired_rounds = if is_in_vain { self.expired_rounds + 1 } else { 0 };
        let is_given_up = self.expired_rounds >= EXPIRED_ROUNDS;
        if !is_in_vain || is_given_up {
            self.n_ended = self.n_begun;
        }
        self.was_short = claimed.count < self.claim.count || is_given_up;
        self.is_exhausted = self.was_short && !claimed.is_from_behind && !self.has_rung;
        self.demand.claim_ended(&claimed.messages, claimed.took);
        self.ahead.put(claimed.messages, Instant::now() + self.claim.kept_for);
    }

    /// When to look up, if nothing happens before.
    fn wake_at(&self, is_claiming: bool) -> Option<Instant> {
        let deadline = self.waiting.iter().filter(|want| self.is_all(want)).map(|want| want.deadline).min();
        let look_again = (!self.waiting.is_empty() && !is_claiming).then_some(self.look_again_at);
        let too_old = if self.waiting.is_empty() { self.ahead.until() } else { None };
        [deadline, look_again, too_old].into_iter().flatten().min()
    }
}

async fn under_way(claiming: &mut Option<Claiming>) -> Result<Claimed> {
    match claiming {
        Some(claiming) => claiming.await,
        None => std::future::pending().await,
    }
}

/// Claims first what is left in the segment behind, then of the one that takes new messages.
async fn claim(broker: Broker, queue: Arc<Queue>, claim: Claim) -> Result<Claimed> {
    let current = Segment::new(queue.id, queue.segment);
    let visibility_seconds = f64::from(claim.visibility_seconds) + claim.kept_for.as_secs_f64();
    let started = std::time::Instant::now();
    let session = broker.pool().get().await.map_err(Error::from)?;
    let mut segment = current;
    let mut claimed = Vec::new();
    if claim.looks_behind {
        segment = current.other();
        claimed = store::claim(&session, segment, claim.count as i64, visibility_seconds).await?;
    }
    if claimed.is_empty() {
        segment = current;
        claimed = store::claim(&session, segment, claim.count as i64, visibility_seconds).await?;
    }
    drop(session);
    let took = started.elapsed();
    broker.queue_metrics(&queue).claimed(claimed.len(), took);
    let (count, is_from_behind) = (claimed.len(), segment != current);
    if count == 0 {
        return Ok(Claimed { messages: Vec::new(), count, is_from_behind, took });
    }
    let n_from_sql = claimed.iter().filter(|one| one.is_new_from_sql).count();
    if n_from_sql > 0 {
        broker.count_sent(queue.id, n_from_sql);
    }
    let mut now = broker.clock().now();
    if claimed.iter().any(|one| one.sent_at < oldest_kept(&queue, now)) {
        // This node's clock may be wrong, so the database has the last word.
        let session = broker.pool().get().await.map_err(Error::from)?;
        now = posthaste_store::lead::database_now(&session).await?;
    }
    let (messages, expired) = split_expired(segment, claimed, &queue, now);
    if !expired.is_empty() {
        let failure = classify_unsettled(Unsettled::RetentionExpired);
        let settlements = expired.into_iter().map(|message| Settlement::dead(message.receipt, &failure));
        broker.conclude(settlements.collect()).await?;
    }
    Ok(Claimed { messages, count, is_from_behind, took })
}

/// Gives back what nobody wants; the receive does not count. Should it fail, they come again after their lease.
async fn give_back(broker: &Broker, messages: Vec<Message>) {
    let settlements = messages.into_iter().map(|message| Settlement::deferred(message.receipt, 0));
    drop(broker.conclude(settlements.collect()).await);
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
