//! Sending, and accepting events: what comes in at the same moment shares a transaction.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Instant;

use bytes::Bytes;
use posthaste_base::{Code, Error, MessageId, QueueId, Result, limits};
use posthaste_observe::Source;
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

async fn accept_batch(broker: &Broker, batch: Vec<Request<NewEvent, Accepted>>) {
    let events: Vec<NewEvent> = batch.iter().map(|request| request.input.clone()).collect();
    match accept_now(broker, &events).await {
        Ok(accepted) => {
            for (request, accepted) in batch.into_iter().zip(accepted) {
                request.answer(Ok(accepted));
            }
        }
        // One that is refused must not take its company with it: each gets a transaction of its own.
        Err(abort) if batch.len() > 1 && abort.is_of_one() => {
            for request in batch {
                let accepted = accept_now(broker, std::slice::from_ref(&request.input)).await;
                request.answer(accepted.map(|mut accepted| accepted.remove(0)).map_err(Error::from));
            }
        }
        Err(abort) => {
            let error = Error::from(abort);
            broker.inner.room.note(&Err(error.clone()), Instant::now());
            for request in batch {
                request.answer(Err(error.clone()));
            }
        }
    }
}

/// Accepts in a transaction of its own. When the answer to COMMIT is lost, asks again: the events are known by
/// their ids, so what was committed is found and not repeated. So it does when a key has just been given up.
async fn accept_now(broker: &Broker, events: &[NewEvent]) -> Result<Vec<Accepted>, Abort> {
    let run = || {
        posthaste_store::transaction(broker.pool(), async |tx| {
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
                self.count_known(accepted);
