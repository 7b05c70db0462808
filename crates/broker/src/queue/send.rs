//! Sending, and accepting events: what comes in at the same moment shares a transaction.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use bytes::Bytes;
use posthaste_base::{Code, Error, MessageId, QueueId, Result, limits};
use posthaste_observe::Source;
use posthaste_store::TransactionOptions;
use posthaste_store::queue as store;
use posthaste_store::segment::Segment;

use crate::broker::Inner;
use crate::catalog::Queue;
use crate::gather::{Gather, Request};
use crate::transact::Abort;
use crate::{Accepted, Broker, NewEvent, accept, domain};

/// Events or messages of one transaction.
const BATCH_MAX: usize = 1_000;
/// Transactions at a time: one writes while another waits for its flush.
const PARALLEL: usize = 2;
/// So long a transaction waits for another one that has one of its keys: a sender commits within that, and one that was
/// left open must not hold up a node. Those that it shared a transaction with have waited already.
const HELD_KEY_PATIENCE: Duration = Duration::from_millis(250);
const HELD_KEY_PATIENCE_AGAIN: Duration = Duration::from_millis(2);

/// A message to send.
#[derive(Clone, Debug, Default)]
pub struct SendIn {
    pub payload: Bytes,
    /// A JSON object as text.
    pub attributes: Option<String>,
    /// None is the queue's own delay.
    pub delay_seconds: Option<u32>,
}

pub(crate) struct Send {
    queue: QueueId,
    delay_ms: i64,
    attributes: Option<String>,
    payload: Bytes,
}

impl SendIn {
    pub(crate) fn checked(self, queue: &Queue) -> Result<Send> {
        let delay_seconds = self.delay_seconds.unwrap_or(queue.settings.delay_seconds);
        if delay_seconds >= queue.settings.retention_seconds {
            let retention = queue.settings.retention_seconds;
            return Err(Error::new(
                Code::InvalidParameter,
                format!("a delay of {delay_seconds} s outlasts the queue's retention"),
            )
            .field("delaySeconds")
            .expected(format!("less than {retention} s")));
        }
        let bytes = self.payload.len() + self.attributes.as_ref().map_or(0, String::len);
        if bytes > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::new(Code::PayloadTooLarge, format!("the message has {bytes} bytes"))
                .field("payload")
                .expected(format!("at most {} bytes", limits::PAYLOAD_BYTES_MAX)));
        }
        if self.attributes.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(Error::new(Code::InvalidParameter, "attributes cannot hold the character NUL")
                .field("attributes"));
        }
        let delay_ms = i64::from(delay_seconds) * 1000;
        Ok(Send { queue: queue.id, delay_ms, attributes: self.attributes, payload: self.payload })
    }
}

pub(crate) fn start_sends(inner: Weak<Inner>) -> Gather<Send, MessageId> {
    let bytes_of = |send: &Send| send.payload.len();
    Gather::start(BATCH_MAX, PARALLEL, bytes_of, move |batch: Vec<Request<Send, MessageId>>| {
        let inner = inner.clone();
        async move {
            let Some(inner) = inner.upgrade() else { return };
            send_batch(&Broker { inner }, batch).await;
        }
    })
}

async fn send_batch(broker: &Broker, batch: Vec<Request<Send, MessageId>>) {
    let catalog = broker.catalog();
    // By queue and by now or later: one statement each, in a transaction of its own when it is the only one.
    let mut groups: BTreeMap<(QueueId, bool), Vec<Request<Send, MessageId>>> = BTreeMap::new();
    for request in batch {
        groups.entry((request.input.queue, request.input.delay_ms > 0)).or_default().push(request);
    }
    for ((queue, is_later), group) in groups {
        let half = catalog.queues.get(&queue).map_or(0, |queue| queue.segment);
        match send_group(broker, Segment::new(queue, half), is_later, &group).await {
            Ok(ids) => {
                broker.count_sent(queue, ids.len());
                if is_later {
                    broker.ring_keeper();
                } else {
                    broker.ring(queue);
                }
                for (request, id) in group.into_iter().zip(ids) {
                    request.answer(Ok(MessageId(id)));
                }
            }
            Err(error) => {
                let error = Error::from(error);
                for request in group {
                    request.answer(Err(error.clone()));
                }
            }
        }
    }
}

async fn send_group(
    broker: &Broker,
    segment: Segment,
    is_later: bool,
    group: &[Request<Send, MessageId>],
) -> Result<Vec<i64>, posthaste_store::Error> {
    let session = broker.pool().get().await?;
    let attributes: Vec<Option<&str>> = group.iter().map(|one| one.input.attributes.as_deref()).collect();
    let payloads: Vec<&[u8]> = group.iter().map(|one| one.input.payload.as_ref()).collect();
    if is_later {
        let delays: Vec<i64> = group.iter().map(|one| one.input.delay_ms).collect();
        store::send_later(&session, segment.queue, &delays, &attributes, &payloads).await
    } else {
        store::send(&session, segment, &attributes, &payloads).await
    }
}

pub(crate) fn start_accepts(inner: Weak<Inner>) -> Gather<NewEvent, Accepted> {
    let bytes_of = |event: &NewEvent| event.payload.len();
    Gather::start(BATCH_MAX, PARALLEL, bytes_of, move |batch: Vec<Request<NewEvent, Accepted>>| {
        let inner = inner.clone();
        async move {
            let Some(inner) = inner.upgrade() else { return };
            accept_batch(&Broker { inner }, batch).await;
        }
    })
}

/// One that is refused must not take its company with it: a batch of which one may be the cause goes in parts, and in
/// the end one by one.
async fn accept_batch(broker: &Broker, batch: Vec<Request<NewEvent, Accepted>>) {
    let mut parts = vec![batch];
    let mut patience = HELD_KEY_PATIENCE;
    while let Some(part) = parts.pop() {
        let events: Vec<NewEvent> = part.iter().map(|request| request.input.clone()).collect();
        match accept_now(broker, &events, patience).await {
            Ok(accepted) => {
                for (request, accepted) in part.into_iter().zip(accepted) {
                    request.answer(Ok(accepted));
                }
            }
            Err(abort) if part.len() > 1 && abort.is_of_one() => {
                if matches!(abort, Abort::Held(_)) {
                    patience = HELD_KEY_PATIENCE_AGAIN;
                }
                parts.extend(apart(part));
            }
            Err(abort) => {
                let error = Error::from(abort);
                broker.inner.room.note(&Err(error.clone()), Instant::now());
                for request in part {
                    request.answer(Err(error.clone()));
                }
            }
        }
    }
}

/// Smaller parts of what did not go together, the last one first: of two with one key, the first is to be the event.
fn apart<T>(mut part: Vec<T>) -> Vec<Vec<T>> {
    let size = if part.len() > 16 { part.len().isqrt() } else { 1 };
    let mut parts = Vec::with_capacity(part.len().div_ceil(size));
    while !part.is_empty() {
        parts.push(part.split_off((part.len() - 1) / size * size));
    }
    parts
}

/// Accepts in a transaction of its own. When the answer to COMMIT is lost, asks again: the events are known by
/// their ids, so what was committed is found and not repeated. So it does when a key has just been given up.
async fn accept_now(
    broker: &Broker,
    events: &[NewEvent],
    patience: Duration,
) -> Result<Vec<Accepted>, Abort> {
    let options = TransactionOptions { lock_timeout: Some(patience), ..TransactionOptions::default() };
    let run = || {
        posthaste_store::transaction_with(broker.pool(), options, async |tx| {
            let accepted = accept::accept_in(&tx, broker, events).await?;
            announce_in(&tx, broker, events, &accepted).await?;
            Ok(accepted)
        })
    };
    let accepted = match run().await {
        Err(Abort::Database(posthaste_store::Error::CommitUnknown { .. }) | Abort::Outdated) => run().await,
        other => other,
    };
    let accepted = accepted?;
    broker.inner.room.note(&Ok(()), Instant::now());
    broker.accepted(events, &accepted);
    Ok(accepted)
}

/// Publishes `EventScheduled` for what is new and due later, where somebody subscribes to it.
async fn announce_in(
    session: &posthaste_store::Session,
    broker: &Broker,
    events: &[NewEvent],
    accepted: &[Accepted],
) -> Result<(), Abort> {
    let catalog = broker.catalog();
    if !catalog.has_subscriber("EventScheduled") {
        return Ok(());
    }
    let now = broker.clock().now();
    let later = events.iter().zip(accepted).filter_map(|(event, accepted)| match accepted {
        Accepted::New { id, due_at } if event.due_at.is_some() && *due_at > now => {
            let announced = domain::scheduled(&catalog, event, *due_at)?;
            // Known by the event, so that asking again after a lost answer announces nothing twice.
            Some(NewEvent { key: format!("EventScheduled:{id}"), ..announced })
        }
        _ => None,
    });
    let announced: Vec<NewEvent> = later.collect();
    if !announced.is_empty() {
        accept::accept_in(session, broker, &announced).await?;
        broker.count_accepted(Source::Domain, announced.len());
    }
    Ok(())
}

impl Broker {
    /// Rings for those whom newly accepted events concern, and counts the others; after the commit.
    pub(crate) fn accepted(&self, events: &[NewEvent], accepted: &[Accepted]) {
        let catalog = self.catalog();
        let mut rung: Vec<QueueId> = Vec::new();
        for (event, accepted) in events.iter().zip(accepted) {
            if !matches!(accepted, Accepted::New { .. }) {
                self.count_known(accepted);
                continue;
            }
            if event.due_at.is_some() {
                self.ring_keeper();
            }
            for queue in catalog.queues_of(&event.event_type, event.priority) {
                if !rung.contains(&queue) {
                    rung.push(queue);
                }
            }
        }
        for queue in rung {
            self.ring(queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn what_goes_apart_keeps_its_order() {
        for (n, parts) in [(2, 2), (16, 16), (17, 5), (1_000, 33)] {
            let all: Vec<usize> = (0..n).collect();
            let mut apart = apart(all.clone());
            assert_eq!(apart.len(), parts, "{n}");
            apart.reverse();
            assert_eq!(apart.concat(), all);
        }
    }
}
