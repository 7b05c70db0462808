//! Accepting events: the idempotency key, the event's row and its messages, in one transaction.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::Timestamp;
use posthaste_base::{EventId, Priority, QueueId, Result, ScheduleId, SubscriptionId};
use posthaste_store::event::EventRow;
use posthaste_store::segment::Segment;
use posthaste_store::{Session, event};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::transact::Abort;
use crate::{Broker, Catalog, finish, route, uptake};

/// An event that is about to be accepted: validated, with its key and its priority decided.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub id: EventId,
    /// The idempotency key; the same key with the same payload is the same event.
    pub key: String,
    pub payload_hash: [u8; 32],
    pub event_type: String,
    pub subject: Option<String>,
    pub priority: Priority,
    /// None is now.
    pub due_at: Option<Timestamp>,
    pub schedule_id: Option<ScheduleId>,
    pub correlation_id: Option<String>,
    /// A JSON object as text: CloudEvents and other attributes that filters see and receivers get.
    pub attributes: Option<String>,
    pub payload: Bytes,
}

/// What became of one event that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and durable once the transaction commits.
    New { id: EventId, due_at: Timestamp },
    /// The same was accepted before, under this id.
    Duplicate { id: EventId, due_at: Timestamp },
    /// Its key was used for another payload.
    Conflict { id: EventId },
}

/// The messages that events become, by queue: columns for one insert.
#[derive(Default)]
struct Messages {
    events: Vec<Uuid>,
    subscriptions: Vec<Option<i32>>,
    tracked: Vec<bool>,
}

/// What an event will become.
struct Routed {
    targets: Vec<(QueueId, SubscriptionId)>,
    is_tracked: bool,
}

impl Broker {
    /// How long an event's row, and so its key, is kept after it is due: longer than a message of it can wait.
    fn keep_event_seconds(&self, catalog: &Catalog) -> f64 {
        f64::from(catalog.retention_seconds_max()) + self.options().key_ttl_seconds()
    }
}

/// Accepts events in the caller's transaction: those due now become messages, the others wait.
///
/// Two events with one key in one call are one: the second is a duplicate of the first, or in conflict with it.
/// Rings the bells only after the caller has committed: see [`Broker::accepted`].
pub(crate) async fn accept_in(
    session: &Session,
    broker: &Broker,
    events: &[NewEvent],
) -> Result<Vec<Accepted>, Abort> {
    let catalog = broker.catalog();
    let mut routed: HashMap<Uuid, Routed> = HashMap::with_capacity(events.len());
    let mut first_by_key: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rows = Vec::with_capacity(events.len());
    for (place, new) in events.iter().enumerate() {
        if first_by_key.contains_key(new.key.as_str()) {
            continue;
        }
        first_by_key.insert(&new.key, place);
        let targets = targets(
            &catalog,
            &new.event_type,
            new.subject.as_deref(),
            new.priority,
            new.attributes.as_deref(),
            &new.payload,
        )?;
        rows.push(event_row(new, targets.len()));
        let is_tracked = finish::tracked(&catalog, new.schedule_id, &new.event_type);
        routed.insert(new.id.0, Routed { targets, is_tracked });
    }
    // In the order of their keys, so that two transactions with the same keys wait for each other in one order.
    rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let keep_seconds = broker.keep_event_seconds(&catalog);
    let inserted = event::insert(session, &rows.iter().collect::<Vec<_>>(), keep_seconds)
        .await
        .map_err(|error| abort_of_insert(error, &rows))?;

    let mut messages: BTreeMap<Segment, Messages> = BTreeMap::new();
    let mut later = Vec::new();
    let mut unrouted = Vec::new();
    for new in &inserted {
        let Some(routed) = routed.get(&new.id) else { continue };
        if !new.is_published {
            later.push(new.id);
        } else if routed.targets.is_empty() && routed.is_tracked {
            unrouted.push(EventId(new.id));
        } else {
            add_messages(&catalog, &mut messages, new.id, routed);
        }
    }
    insert_messages(session, broker, &messages).await?;
    if !later.is_empty() {
        event::wait(session, &later).await?;
    }
    if !unrouted.is_empty() {
        // A finished event may accept another one (the next of its schedule), hence the box.
        Box::pin(finish::finish_unrouted_in(session, broker, &unrouted)).await?;
    }
    answer(session, events, &first_by_key, &inserted).await
}

/// A lock that was not granted is a key's, if the server says about which row it waited; else it is the table's, for
/// which the transaction may wait once more.
fn abort_of_insert(error: posthaste_store::Error, rows: &[EventRow]) -> Abort {
    let is_about_row = error.db_error().is_some_and(|error| error.where_().is_some());
    match (&error, rows) {
        (posthaste_store::Error::LockNotAvailable { .. }, [row]) if is_about_row => {
            Abort::Held(Some(row.key.clone()))
        }
        (posthaste_store::Error::LockNotAvailable { .. }, _) if is_about_row => Abort::Held(None),
        _ => Abort::Database(error),
    }
}

/// Publishes events that waited: the scheduler's half of accepting, in its transaction.
pub(crate) async fn publish_in(session: &Session, broker: &Broker, due: &[EventRow]) -> Result<(), Abort> {
    // First, because it may make topics.
    let refused = uptake::check(broker, due).await?;
    let catalog = broker.catalog();
    let mut messages: BTreeMap<Segment, Messages> = BTreeMap::new();
    let mut ids = Vec::with_capacity(due.len());
    let mut fanouts = Vec::with_capacity(due.len());
    let mut unrouted = Vec::new();
    for row in due.iter().filter(|row| !refused.contains_key(&row.id)) {
        let priority = Priority::from_rank(row.priority).unwrap_or(Priority::Low);
        let targets = targets(
            &catalog,
            &row.event_type,
            row.subject.as_deref(),
            priority,
            row.attributes.as_deref(),
            &row.payload,
        )?;
        let is_tracked = finish::tracked(&catalog, row.schedule_id.map(ScheduleId), &row.event_type);
        ids.push(row.id);
        fanouts.push(i16::try_from(targets.len()).unwrap_or(i16::MAX));
        if targets.is_empty() && is_tracked {
            unrouted.push(EventId(row.id));
        }
        add_messages(&catalog, &mut messages, row.id, &Routed { targets, is_tracked });
    }
    // A refused event counts as one message: its dead letter.
    ids.extend(refused.keys());
    fanouts.resize(ids.len(), 1);
    event::mark_published(session, &ids, &fanouts, broker.keep_event_seconds(&catalog)).await?;
    insert_messages(session, broker, &messages).await?;
    uptake::refuse_in(session, broker, due, &refused).await?;
    if !unrouted.is_empty() {
        Box::pin(finish::finish_unrouted_in(session, broker, &unrouted)).await?;
    }
    Ok(())
}

/// The messages that an event becomes. Attributes and payload are read only where a filter looks at them.
fn targets(
    catalog: &Catalog,
    event_type: &str,
    subject: Option<&str>,
    priority: Priority,
    attributes: Option<&str>,
    payload: &[u8],
) -> Result<Vec<(QueueId, SubscriptionId)>> {
    let has_filter = catalog.subscribers(event_type).iter().any(|one| one.filter.is_some());
    let attributes = attributes
        .filter(|_| has_filter)
        .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok())
        .unwrap_or_default();
    route::route(catalog, event_type, subject, priority, &attributes, || {
        serde_json::from_slice(payload).unwrap_or(Value::Null)
    })
}

fn event_row(new: &NewEvent, fanout: usize) -> EventRow {
    EventRow {
        id: new.id.0,
        key: new.key.clone(),
        payload_hash: new.payload_hash.to_vec(),
        event_type: new.event_type.clone(),
        subject: new.subject.clone(),
        priority: new.priority.rank(),
        due_at: new.due_at,
        schedule_id: new.schedule_id.map(|id| id.0),
        correlation_id: new.correlation_id.clone(),
        attributes: new.attributes.clone(),
        payload: new.payload.clone(),
        fanout: i16::try_from(fanout).unwrap_or(i16::MAX),
        is_unchecked: false,
    }
}

fn add_messages(catalog: &Catalog, messages: &mut BTreeMap<Segment, Messages>, event: Uuid, routed: &Routed) {
    for (queue, subscription) in &routed.targets {
        let half = catalog.queues.get(queue).map_or(0, |queue| queue.segment);
        let columns = messages.entry(Segment::new(*queue, half)).or_default();
        columns.events.push(event);
        columns.subscriptions.push(Some(subscription.0));
        columns.tracked.push(routed.is_tracked);
    }
}

async fn insert_messages(
    session: &Session,
    broker: &Broker,
    messages: &BTreeMap<Segment, Messages>,
) -> Result<(), Abort> {
    for (segment, Messages { events, subscriptions, tracked }) in messages {
        posthaste_store::queue::publish(session, *segment, events, subscriptions, tracked).await?;
        broker.count_sent(segment.queue, events.len());
    }
    Ok(())
}

/// Says for each event whether it is new, a duplicate or in conflict.
async fn answer(
    session: &Session,
    events: &[NewEvent],
    first_by_key: &BTreeMap<&str, usize>,
    inserted: &[event::Inserted],
) -> Result<Vec<Accepted>, Abort> {
    let new: HashMap<Uuid, Timestamp> = inserted.iter().map(|one| (one.id, one.due_at)).collect();
    let known: Vec<&str> = first_by_key
        .iter()
        .filter(|(_, place)| !new.contains_key(&events[**place].id.0))
        .map(|(key, _)| *key)
        .collect();
    let holders = if known.is_empty() { Vec::new() } else { event::by_key(session, &known).await? };
    let holders: HashMap<&str, &event::KeyHolder> =
        holders.iter().map(|holder| (holder.key.as_str(), holder)).collect();
    let answer_one = |one: &NewEvent| -> Result<Accepted, Abort> {
        if let Some(due_at) = new.get(&one.id.0) {
            return Ok(Accepted::New { id: one.id, due_at: *due_at });
        }
        if let Some(holder) = holders.get(one.key.as_str()) {
            return Ok(match EventId(holder.id) {
                // An answer that was lost on its way: our own event, committed before.
                id if id == one.id => Accepted::New { id, due_at: holder.due_at },
                id if is_same(holder, one) => Accepted::Duplicate { id, due_at: holder.due_at },
                id => Accepted::Conflict { id },
            });
        }
        // Its key is new, but another event of this very call has it.
        let first = &events[first_by_key[one.key.as_str()]];
        // Or it was removed at this moment, together with its key.
        let due_at = *new.get(&first.id.0).ok_or(Abort::Outdated)?;
        let is_same = first.payload_hash == one.payload_hash && first.event_type == one.event_type;
        Ok(match is_same {
            true => Accepted::Duplicate { id: first.id, due_at },
            false => Accepted::Conflict { id: first.id },
        })
    };
    events.iter().map(answer_one).collect()
}

/// Whether a key's holder has the same content.
fn is_same(holder: &event::KeyHolder, new: &NewEvent) -> bool {
    holder.event_type == new.event_type && holder.payload_hash == new.payload_hash
}
