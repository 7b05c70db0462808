//! Settling: how a message ends its lease (done, later or dead), together with the attempt that led to it.
//!
//! What is settled at the same moment shares a transaction: leases, attempts, dead letters and the ends of tracked
//! events are written together or not at all.

use std::collections::{BTreeMap, HashSet};
use std::sync::Weak;

use posthaste_base::{Category, EndpointId, Error, EventId, LeaseId, MessageId, Result};
use posthaste_engine::failure::{Failure, Unsettled, classify_unsettled};
use posthaste_store::attempt::AttemptRow;
use posthaste_store::queue::{self as store, GiveBack, Kill};
use posthaste_store::segment::Segment;
use posthaste_store::{Session, attempt};

use super::{Receipt, lease_lost};
use crate::broker::Inner;
use crate::gather::{Gather, Request};
use crate::metrics::Ends;
use crate::transact::Abort;
use crate::{Broker, finish};

const BATCH_MAX: usize = 1_000;

/// Why a message died.
#[derive(Clone, Debug)]
pub struct Death {
    pub category: Category,
    pub code: String,
    pub error: String,
}

/// An attempt to deliver, as it is recorded.
#[derive(Clone, Debug)]
pub struct Attempted {
    pub message: MessageId,
    pub event: Option<EventId>,
    pub endpoint: EndpointId,
    pub receive: u32,
    pub status: Option<u16>,
    pub latency_ms: u32,
    /// None when it succeeded.
    pub failure: Option<(Category, String, String)>,
    /// The first bytes of the response.
    pub response: Vec<u8>,
}

#[derive(Clone, Debug)]
enum End {
    Done,
    Later { delay_ms: i64, counts: bool },
    Dead(Death),
}

/// How one message's lease ends.
#[derive(Clone, Debug)]
pub struct Settlement {
    receipt: Receipt,
    end: End,
    attempt: Option<Attempted>,
    is_again: bool,
}

impl Settlement {
    /// It is done.
    pub fn done(receipt: Receipt) -> Self {
        Self { receipt, end: End::Done, attempt: None, is_again: false }
    }

    /// It is tried again after a delay, and this receive counts.
    pub fn retry(receipt: Receipt, delay_ms: i64) -> Self {
        Self {
            receipt,
            end: End::Later { delay_ms: delay_ms.max(0), counts: true },
            attempt: None,
            is_again: false,
        }
    }

    /// It was not tried at all, and comes again after a delay; this receive does not count.
    pub fn deferred(receipt: Receipt, delay_ms: i64) -> Self {
        Self {
            receipt,
            end: End::Later { delay_ms: delay_ms.max(0), counts: false },
            attempt: None,
            is_again: false,
        }
    }

    /// Its consumer gives it back; it dies when its receives are used up.
    pub fn given_back(receipt: Receipt, delay_ms: i64, receives_max: u32) -> Self {
        if receipt.receives >= receives_max {
            return Self::dead(receipt, &classify_unsettled(Unsettled::ReceivesExhausted));
        }
        Self::retry(receipt, delay_ms)
    }

    /// It will not be tried again by itself.
    pub fn dead(receipt: Receipt, failure: &Failure) -> Self {
        let death = Death {
            category: failure.category,
            code: failure.code.to_string(),
            error: failure.message.clone(),
        };
        Self { receipt, end: End::Dead(death), attempt: None, is_again: false }
    }

    /// Records the attempt that led to this end, in the same transaction.
    pub fn after(mut self, attempt: Attempted) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// For asking again when the answer to the first time was lost: should it have been done then, the attempt is
    /// not recorded a second time.
    pub fn again(mut self) -> Self {
        self.is_again = true;
        self
    }
}

/// Settlements of one lease write the same row, so one transaction at a time settles for all.
pub(crate) fn start_settles(inner: Weak<Inner>) -> Gather<Settlement, ()> {
    Gather::start(
        BATCH_MAX,
        1,
        |_| 0,
        move |batch: Vec<Request<Settlement, ()>>| {
            let inner = inner.clone();
            async move {
                let Some(inner) = inner.upgrade() else { return };
                settle_batch(&Broker { inner }, batch).await;
            }
        },
    )
}

/// What of a batch belongs to one segment, in columns.
#[derive(Default)]
struct Group {
    done: Vec<(LeaseId, i64)>,
    later: Vec<GiveBack>,
    dead: Vec<Kill>,
    tracked: Vec<Receipt>,
}

async fn settle_batch(broker: &Broker, batch: Vec<Request<Settlement, ()>>) {
    let mut groups: BTreeMap<Segment, Group> = BTreeMap::new();
    let (mut attempts, mut again) = (Vec::new(), Vec::new());
    let (mut has_later, mut has_dead) = (false, false);
    for request in &batch {
        let Settlement { receipt, end, attempt, is_again } = &request.input;
        let group = groups.entry(receipt.segment).or_default();
        match end {
            End::Done => {
                group.done.push((receipt.held.lease, receipt.held.seq));
                if receipt.tracked {
                    group.tracked.push(*receipt);
                }
            }
            End::Later { delay_ms, counts } => {
                has_later = true;
                group.later.push(GiveBack { held: receipt.held, delay_ms: *delay_ms, counts: *counts });
            }
            End::Dead(death) => {
                has_dead = true;
                group.dead.push(Kill {
                    held: receipt.held,
                    category: death.category.as_str(),
                    code: death.code.clone(),
                    error: death.error.clone(),
                });
            }
        }
        let recorded = if *is_again { &mut again } else { &mut attempts };
        recorded.extend(attempt.as_ref().map(attempt_row));
    }
    let lost = match settle_groups(broker, &groups, &attempts, &again).await {
        Ok(lost) => lost,
        // One that is refused must not take its company with it: each gets a transaction of its own.
        Err(abort) if batch.len() > 1 && abort.is_of_one() => {
            for request in batch {
                Box::pin(settle_batch(broker, vec![request])).await;
            }
            return;
        }
        Err(abort) => {
            let error = Error::from(abort);
            for request in batch {
                request.answer(Err(error.clone()));
            }
            return;
        }
    };
    if has_later || has_dead {
        broker.ring_keeper();
    }
    let mut ends = Ends::default();
    for request in batch {
        let receipt = request.input.receipt;
        if lost.contains(&(receipt.segment, receipt.held.lease, receipt.held.seq)) {
            request.answer(Err(lease_lost(&receipt)));
            continue;
        }
        match &request.input.end {
            End::Done => ends.acknowledged(receipt.segment.queue),
            End::Later { .. } => ends.returned(receipt.segment.queue),
            End::Dead(death) => broker.count_dead(receipt.segment.queue, death.category),
        }
        request.answer(Ok(()));
    }
    broker.count_ends(&ends);
}

type Lost = HashSet<(Segment, LeaseId, i64)>;

/// Settles groups in one transaction; answers with the messages whose lease was lost before.
async fn settle_groups(
    broker: &Broker,
    groups: &BTreeMap<Segment, Group>,
    attempts: &[AttemptRow],
    again: &[AttemptRow],
) -> Result<Lost, Abort> {
    let is_plain =
        |group: &Group| group.later.is_empty() && group.dead.is_empty() && group.tracked.is_empty();
    if let [(segment, group)] = groups.iter().collect::<Vec<_>>()[..]
        && attempts.is_empty()
        && again.is_empty()
        && is_plain(group)
    {
        // The common way: one statement is a transaction by itself.
        let session = broker.pool().get().await?;
        let lost = store::settle(&session, *segment, &group.done).await?;
        return Ok(lost.into_iter().map(|(lease, seq)| (*segment, lease, seq)).collect());
    }
    posthaste_store::transaction(broker.pool(), async |tx| {
        let mut lost = Lost::new();
        for (segment, group) in groups {
            settle_group(&tx, broker, *segment, group, &mut lost).await?;
        }
        if !attempts.is_empty() {
            attempt::insert(&tx, attempts).await?;
        }
        for one in again {
            if !is_recorded(&tx, one).await? {
                attempt::insert(&tx, std::slice::from_ref(one)).await?;
            }
        }
        Ok(lost)
    })
    .await
}

async fn settle_group(
    session: &Session,
    broker: &Broker,
    segment: Segment,
    group: &Group,
    lost: &mut Lost,
) -> Result<(), Abort> {
    let mut outcomes = Vec::new();
    if !group.done.is_empty() {
        let gone = store::settle(session, segment, &group.done).await?;
        lost.extend(gone.into_iter().map(|(lease, seq)| (segment, lease, seq)));
    }
    for receipt in &group.tracked {
        if lost.contains(&(segment, receipt.held.lease, receipt.held.seq)) {
            continue;
        }
        let found = store::find(session, segment, receipt.held.xid, receipt.held.seq).await?;
        if let Some((event_id, id)) = found.and_then(|found| Some((found.event_id?, found.id))) {
            outcomes.push(finish::Outcome {
                event_id: EventId(event_id),
                message_id: MessageId(id),
                failed: false,
            });
        }
    }
    if !group.later.is_empty() {
        let kept: HashSet<_> = store::give_back(session, segment, &group.later).await?.into_iter().collect();
        let gone =
            group.later.iter().map(|one| (one.held.lease, one.held.seq)).filter(|one| !kept.contains(one));
        lost.extend(gone.map(|(lease, seq)| (segment, lease, seq)));
    }
    if !group.dead.is_empty() {
        let dead = store::kill(session, segment, &group.dead).await?;
        let kept: HashSet<_> = dead.iter().map(|one| (one.lease, one.seq)).collect();
        let gone =
            group.dead.iter().map(|one| (one.held.lease, one.held.seq)).filter(|one| !kept.contains(one));
        lost.extend(gone.map(|(lease, seq)| (segment, lease, seq)));
        outcomes.extend(dead.iter().filter(|one| one.tracked).filter_map(|one| {
            let event_id = EventId(one.event_id?);
            Some(finish::Outcome { event_id, message_id: MessageId(one.message_id), failed: true })
        }));
    }
    if !outcomes.is_empty() {
        finish::finish_in(session, broker, &outcomes).await?;
    }
    Ok(())
}

/// Whether the transaction whose answer was lost did record an attempt after all.
async fn is_recorded(session: &Session, attempt: &AttemptRow) -> Result<bool, Abort> {
    let Some(event) = attempt.event_id else { return Ok(false) };
    let recorded = attempt::by_event(session, event, i64::from(i16::MAX)).await?;
    Ok(recorded.iter().any(|one| (one.message_id, one.receive) == (attempt.message_id, attempt.receive)))
}

fn attempt_row(attempt: &Attempted) -> AttemptRow {
    let (category, code, error) = match &attempt.failure {
        None => (None, None, None),
        Some((category, code, error)) => (Some(category.as_str()), Some(code.clone()), Some(error.clone())),
    };
    AttemptRow {
        message_id: attempt.message.0,
        event_id: attempt.event.map(|event| event.0),
        endpoint_id: attempt.endpoint.0,
        receive: i16::try_from(attempt.receive).unwrap_or(i16::MAX),
        status: attempt.status.and_then(|status| i16::try_from(status).ok()),
        latency_ms: i32::try_from(attempt.latency_ms).unwrap_or(i32::MAX),
        category,
        code,
        error,
        response: attempt.response.clone(),
    }
}
