//! The shapes of messages, and of what is done with them.
//!
//! Not for: reading and writing them, which goes past the shapes (see `wire`).

use posthaste_base::limits::{BATCH_MESSAGES_MAX, LONG_POLL_SECONDS_MAX, VISIBILITY_SECONDS_MAX};

use crate::shape::{Kind, Shape, may, must};

pub(super) static MESSAGE_IN: Shape = Shape {
    name: "MessageIn",
    about: "A message to send.",
    fields: &[
        may("payload", Kind::Any, "Any JSON; kept as the text that was sent."),
        may("payloadBase64", Kind::Text, "Instead of `payload`, for what is not JSON."),
        may("attributes", Kind::Object, "What comes with it."),
        may(
            "delaySeconds",
            Kind::Int(0, u32::MAX as i64),
            "How long it waits first; the queue's own when left out.",
        ),
    ],
};

pub(crate) static MESSAGES_IN: Shape = Shape {
    name: "MessagesIn",
    about: "Messages to send.",
    fields: &[must("messages", Kind::List(&Kind::Of(&MESSAGE_IN)), "Up to 1,000.")],
};

/// One message, or many; the document shows them apart.
pub(super) static SEND: Shape = Shape {
    name: "Send",
    about: "A message to send, or several.",
    fields: &[
        may("messages", Kind::List(&Kind::Of(&MESSAGE_IN)), "Up to 1,000."),
        MESSAGE_IN.fields[0],
        MESSAGE_IN.fields[1],
        MESSAGE_IN.fields[2],
        MESSAGE_IN.fields[3],
    ],
};

pub(super) static SENT: Shape = Shape {
    name: "Sent",
    about: "Messages that are accepted.",
    fields: &[must("ids", Kind::List(&Kind::Int(1, i64::MAX)), "Their ids, in the order of the request.")],
};

pub(super) static RECEIVE: Shape = Shape {
    name: "Receive",
    about: "What to receive.",
    fields: &[
        may("maxMessages", Kind::Int(1, BATCH_MESSAGES_MAX as i64), "How many at most; 10 when left out."),
        may(
            "visibilitySeconds",
            Kind::Int(1, VISIBILITY_SECONDS_MAX as i64),
            "The queue's own when left out.",
        ),
        may(
            "waitSeconds",
            Kind::Int(0, LONG_POLL_SECONDS_MAX as i64),
            "How long to wait for the first; 0 when left out.",
        ),
    ],
};

pub(super) static RECEIVED: Shape = Shape {
    name: "Received",
    about: "Messages under a lease.",
    fields: &[must("messages", Kind::List(&Kind::Of(&MESSAGE)), "None when there is nothing to receive.")],
};

pub(super) static MESSAGE: Shape = Shape {
    name: "Message",
    about: "A message under a lease.",
    fields: &[
        must("id", Kind::Int(1, i64::MAX), "The same through every retry and redrive."),
        must("receipt", Kind::Text, "Names this lease: for settling, giving back and extending."),
        must("receives", Kind::Int(1, 1_000), "How often it was received, this time among them."),
        must("sentAt", Kind::Time, "When it was sent."),
        may("event", Kind::Of(&MESSAGE_EVENT), "The event that it comes from, if it comes from one."),
        may("attributes", Kind::Object, "What came with it."),
        may("payload", Kind::Any, "As it was sent."),
        may("payloadBase64", Kind::Text, "Instead of `payload`, when it is not JSON."),
    ],
};

pub(super) static MESSAGE_EVENT: Shape = Shape {
    name: "MessageEvent",
    about: "The event that a message comes from.",
    fields: &[
        must("id", Kind::Text, "Its id."),
        must("key", Kind::Text, "Its idempotency key: the same on every delivery."),
        must("type", Kind::Text, "Its type."),
        may("subject", Kind::Text, "Whom it is about."),
        must("priority", Kind::Priority, "How urgent it is."),
        must("dueAt", Kind::Time, "When it was due."),
        may("correlationId", Kind::Text, "The id of the request that brought it."),
        may("attributes", Kind::Object, "Its attributes."),
    ],
};

pub(super) static SETTLE: Shape = Shape {
    name: "Settle",
    about: "Messages that are done.",
    fields: &[must("receipts", Kind::List(&Kind::Text), "Up to 1,000 receipts.")],
};

pub(super) static GIVE_BACK: Shape = Shape {
    name: "GiveBack",
    about: "Messages that are to come again.",
    fields: &[
        must("receipts", Kind::List(&Kind::Text), "Up to 1,000 receipts."),
        may(
            "delaySeconds",
            Kind::Int(0, VISIBILITY_SECONDS_MAX as i64),
            "How long they wait; 0 when left out.",
        ),
    ],
};

pub(super) static SETTLED: Shape = Shape {
    name: "Settled",
    about: "What became of each receipt, in the order of the request.",
    fields: &[must("results", Kind::List(&Kind::Of(&SETTLED_ONE)), "One for each receipt.")],
};

pub(super) static SETTLED_ONE: Shape = Shape {
    name: "SettledOne",
    about: "One receipt.",
    fields: &[
        must("receipt", Kind::Text, "The receipt."),
        may("problem", Kind::Object, "There when it failed: see `Problem`. Mostly `lease-lost`."),
    ],
};

pub(super) static EXTEND: Shape = Shape {
    name: "Extend",
    about: "A message that needs more time.",
    fields: &[
        must("receipt", Kind::Text, "Its receipt."),
        must("seconds", Kind::Int(1, VISIBILITY_SECONDS_MAX as i64), "How long from now."),
    ],
};

pub(super) static EXTENDED: Shape = Shape {
    name: "Extended",
    about: "Until when the lease holds.",
    fields: &[must("leasedUntil", Kind::Time, "By the database's clock.")],
};

pub(super) static PEEKED: Shape = Shape {
    name: "PeekedMessages",
    about: "The next messages of a queue.",
    fields: &[must("messages", Kind::List(&Kind::Of(&PEEKED_ONE)), "The next ones first.")],
};

pub(super) static PEEKED_ONE: Shape = Shape {
    name: "PeekedMessage",
    about: "A message without a lease.",
    fields: &[
        must("id", Kind::Int(1, i64::MAX), "Its id."),
        must("receives", Kind::Int(0, 1_000), "How often it was received."),
        must("sentAt", Kind::Time, "When it was sent."),
        may("eventId", Kind::Text, "The event that it comes from."),
        may("eventType", Kind::Text, "The type of that event."),
        may("attributes", Kind::Object, "What came with it."),
        may("payload", Kind::Any, "As it was sent."),
        may("payloadBase64", Kind::Text, "Instead of `payload`, when it is not JSON."),
    ],
};
