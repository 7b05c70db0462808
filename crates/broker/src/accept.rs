//! Accepting events: the idempotency key, the event's row and its messages, in the caller's transaction.

use bytes::Bytes;
use jiff::Timestamp;
use posthaste_base::{EventId, Priority, ScheduleId};

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
    Duplicate { id: EventId },
    /// Its key was used for another payload.
    Conflict { id: EventId },
}
