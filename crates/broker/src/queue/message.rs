//! A message as its consumer gets it, and the receipt that it is settled with.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use posthaste_base::{Code, Error, EventId, LeaseId, MessageId, Priority, QueueId, Result, SubscriptionId};
use posthaste_store::queue::{Claimed, Held, Xid};
use posthaste_store::segment::Segment;

/// Names one message under one lease. An old receipt never settles a newer lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    pub(crate) segment: Segment,
    pub(crate) held: Held,
    /// Receives including this one.
    pub(crate) receives: u32,
    /// Whether the end of its event must be recorded.
    pub(crate) tracked: bool,
}

impl Receipt {
    /// The queue that its message was received from.
    pub fn queue(&self) -> QueueId {
        self.segment.queue
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { lease, xid, seq } = self.held;
        let Segment { queue, half } = self.segment;
        let tracked = u8::from(self.tracked);
        write!(f, "{queue}-{half}-{lease}-{}-{seq}-{}-{tracked}", xid.0, self.receives)
    }
}

impl FromStr for Receipt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || {
            Error::new(Code::InvalidParameter, "this is not a receipt")
                .field("receipt")
                .expected("the `receipt` of a received message, unchanged")
        };
        let mut parts = text.split('-').map(|part| part.parse::<u64>().map_err(|_| refuse()));
        let mut next = || parts.next().unwrap_or_else(|| Err(refuse()));
        let (queue, half, lease, xid, seq, receives, tracked) =
            (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
        if parts.next().is_some() || half > 1 || tracked > 1 {
            return Err(refuse());
        }
        let queue = QueueId(i32::try_from(queue).map_err(|_| refuse())?);
        Ok(Self {
            segment: Segment::new(queue, half as i16),
            held: Held {
                lease: LeaseId(i64::try_from(lease).map_err(|_| refuse())?),
                xid: Xid(xid),
                seq: i64::try_from(seq).map_err(|_| refuse())?,
            },
            receives: u32::try_from(receives).map_err(|_| refuse())?,
            tracked: tracked == 1,
        })
    }
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same through every retry and redrive.
    pub id: MessageId,
    pub queue: QueueId,
    pub receipt: Receipt,
    /// Receives including this one: the one counter of tries.
    pub receives: u32,
    pub sent_at: Timestamp,
    pub subscription: Option<SubscriptionId>,
    /// A JSON object as text.
    pub attributes: Option<String>,
    pub payload: Bytes,
    /// The event that it is of; none for what was sent to the queue itself.
    pub event: Option<MessageEvent>,
}

/// What a message carries of its event.
#[derive(Clone, Debug)]
pub struct MessageEvent {
    pub id: EventId,
    /// The idempotency key that every attempt carries.
    pub key: String,
    pub event_type: String,
    pub subject: Option<String>,
    pub priority: Priority,
    pub due_at: Timestamp,
    pub correlation_id: Option<String>,
    /// A JSON object as text.
    pub attributes: Option<String>,
}

impl Message {
    /// A message of no queue, for a call that is only a test. Its id is another each time, as receivers take what has
    /// the same id for a repeat.
    pub fn of_test(payload: Bytes, now: Timestamp) -> Self {
        let id = EventId::generate();
        let queue = QueueId(0);
        let held = Held { lease: LeaseId(0), xid: Xid(0), seq: 0 };
        Self {
            id: MessageId(now.as_microsecond()),
            queue,
            receipt: Receipt { segment: Segment::new(queue, 0), held, receives: 1, tracked: false },
            receives: 1,
            sent_at: now,
            subscription: None,
            attributes: None,
            payload,
            event: Some(MessageEvent {
                id,
                key: format!("test-{id}"),
                event_type: "posthaste.test".into(),
                subject: None,
                priority: Priority::Low,
                due_at: now,
                correlation_id: None,
                attributes: None,
            }),
        }
    }

    pub(crate) fn new(segment: Segment, claimed: Claimed) -> Self {
        let receives = u32::from(claimed.receives.unsigned_abs()) + 1;
        Self {
            id: MessageId(claimed.id),
            queue: segment.queue,
            receipt: Receipt {
                segment,
                held: Held { lease: claimed.lease, xid: claimed.xid, seq: claimed.seq },
                receives,
                tracked: claimed.tracked,
            },
            receives,
            sent_at: claimed.sent_at,
            subscription: claimed.subscription_id.map(SubscriptionId),
            attributes: claimed.attributes,
            payload: claimed.payload,
            event: claimed.event.map(|event| MessageEvent {
                id: EventId(event.id),
                key: event.key,
                event_type: event.event_type,
                subject: event.subject,
                priority: Priority::from_rank(event.priority).unwrap_or(Priority::Low),
                due_at: event.due_at,
                correlation_id: event.correlation_id,
                attributes: event.attributes,
            }),
        }
    }
}

/// A message that was looked at without being received.
#[derive(Clone, Debug)]
pub struct Peeked {
    pub id: MessageId,
    pub receives: u32,
    pub sent_at: Timestamp,
    pub event_id: Option<EventId>,
    pub event_type: Option<String>,
    pub attributes: Option<String>,
    pub payload: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_survives_its_text() {
        let receipt = Receipt {
            segment: Segment::new(QueueId(3), 1),
            held: Held { lease: LeaseId(12), xid: Xid(u64::MAX), seq: 99 },
            receives: 2,
            tracked: true,
        };
        assert_eq!(receipt.to_string().parse::<Receipt>().expect("it was written here"), receipt);
    }

    #[test]
    fn what_is_not_a_receipt_is_refused() {
        for text in [
            "",
            "1",
            "a-0-1-2-3-4-0",
            "1-2-1-2-3-4-0",
            "1-0-1-2-3-4-0-9",
            "1-0-1-2-3-4-2",
            "99999999999-0-1-2-3-4-0",
        ] {
            assert!(text.parse::<Receipt>().is_err(), "{text}");
        }
    }
}
