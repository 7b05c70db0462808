//! Messages of a queue: send, receive, settle, give back, extend, peek.
//!
//! The busiest routes. Payloads are neither parsed into a tree nor copied: what is JSON stays the text that was
//! sent. Not for: queues themselves (see `queues`).

use std::borrow::Cow;
use std::time::Duration;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use posthaste_base::limits::{BATCH_MESSAGES_MAX, LONG_POLL_SECONDS_MAX, PAGE_MAX, VISIBILITY_SECONDS_MAX};
use posthaste_base::{Code, Error, EventId, MessageId, Priority, QueueId, Result};
use posthaste_broker::intake::unknown_field;
use posthaste_broker::{Message, Peeked, Receipt, SendIn};
use posthaste_web::Scope;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::call::{Call, item_problem, json_response};
use crate::shape::{Kind, Shape, may, must, outside};
use crate::table::{Row, Takes, param, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        Method::POST,
        "/queues/{queue}/messages",
        "sendMessages",
        "Sends one message, or up to 1,000 as `{\"messages\": [...]}`. All are accepted, or none.",
        run!(send),
    )
    .needs(Scope::Publish)
    .takes(Takes::Messages(&MESSAGE_IN))
    .gives(202, &SENT),
    Row::new(
        Method::POST,
        "/queues/{queue}/receive",
        "receiveMessages",
        "Leases messages. Each comes again unless it is settled before its visibility timeout.",
        run!(receive),
    )
    .needs(Scope::Consume)
    .takes(Takes::OptionalJson(&RECEIVE))
    .gives(200, &RECEIVED),
    Row::new(
        Method::POST,
        "/queues/{queue}/settle",
        "settleMessages",
        "Ends messages: each by itself. 200 when all were settled, 207 when some were not.",
        run!(settle),
    )
    .needs(Scope::Consume)
    .takes(Takes::Json(&SETTLE))
    .gives(200, &SETTLED),
    Row::new(
        Method::POST,
        "/queues/{queue}/give-back",
        "giveBackMessages",
        "Gives messages back, to be received again after a delay. It counts as a receive.",
        run!(give_back),
    )
    .needs(Scope::Consume)
    .takes(Takes::Json(&GIVE_BACK))
    .gives(200, &SETTLED),
    Row::new(
        Method::POST,
        "/queues/{queue}/extend",
        "extendLease",
        "Gives one message more time, counted from now.",
        run!(extend),
    )
    .needs(Scope::Consume)
    .takes(Takes::Json(&EXTEND))
    .gives(200, &EXTENDED),
    Row::new(
        Method::GET,
        "/queues/{queue}/peek",
        "peekMessages",
        "The next messages, without a lease: looking changes nothing.",
        run!(peek),
    )
    .query(&[param("max", Kind::Int(1, PAGE_MAX as i64), "How many at most; 10 when it is left out.")])
    .gives(200, &PEEKED),
];

pub(crate) static MESSAGE_IN: Shape = Shape {
    name: "MessageIn",
    about: "A message to send.",
    fields: &[
        may("payload", Kind::Any, "Any JSON; kept as the text that was sent."),
        may("payloadBase64", Kind::Text, "Instead of `payload`, for what is not JSON."),
        may("attributes", Kind::Object, "What comes with it."),
        may("delaySeconds", Kind::Int(0, u32::MAX as i64), "How long it waits first; the queue's own when left out."),
    ],
};

pub(crate) static MESSAGES_IN: Shape = Shape {
    name: "MessagesIn",
    about: "Messages to send.",
    fields: &[must("messages", Kind::List(&Kind::Of(&MESSAGE_IN)), "Up to 1,000.")],
};

static SENT: Shape = Shape {
    name: "Sent",
    about: "Messages that are accepted.",
    fields: &[must("ids", Kind::List(&Kind::Int(1, i64::MAX)), "Their ids, in the order of the request.")],
};

static RECEIVE: Shape = Shape {
    name: "Receive",
    about: "What to receive.",
    fields: &[
        may("maxMessages", Kind::Int(1, BATCH_MESSAGES_MAX as i64), "How many at most; 10 when left out."),
        may("visibilitySeconds", Kind::Int(1, VISIBILITY_SECONDS_MAX as i64), "The queue's own when left out."),
        may("waitSeconds", Kind::Int(0, LONG_POLL_SECONDS_MAX as i64), "How long to wait for the first; 0 when left out."),
    ],
};

static RECEIVED: Shape = Shape {
    name: "Received",
    about: "Messages under a lease.",
    fields: &[must("messages", Kind::List(&Kind::Of(&MESSAGE)), "None when there is nothing to receive.")],
};

static MESSAGE: Shape = Shape {
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

static MESSAGE_EVENT: Shape = Shape {
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

static SETTLE: Shape = Shape {
    name: "Settle",
    about: "Messages that are done.",
    fields: &[must("receipts", Kind::List(&Kind::Text), "Up to 1,000 receipts.")],
};

static GIVE_BACK: Shape = Shape {
    name: "GiveBack",
    about: "Messages that are to come again.",
    fields: &[
        must("receipts", Kind::List(&Kind::Text), "Up to 1,000 receipts."),
        may("delaySeconds", Kind::Int(0, VISIBILITY_SECONDS_MAX as i64), "How long they wait; 0 when left out."),
    ],
};

static SETTLED: Shape = Shape {
    name: "Settled",
    about: "What became of each receipt, in the order of the request.",
    fields: &[must("results", Kind::List(&Kind::Of(&SETTLED_ONE)), "One for each receipt.")],
};

static SETTLED_ONE: Shape = Shape {
    name: "SettledOne",
    about: "One receipt.",
    fields: &[
        must("receipt", Kind::Text, "The receipt."),
        may("problem", Kind::Object, "There when it failed: see `Problem`. Mostly `lease-lost`."),
    ],
};

static EXTEND: Shape = Shape {
    name: "Extend",
    about: "A message that needs more time.",
    fields: &[
        must("receipt", Kind::Text, "Its receipt."),
        must("seconds", Kind::Int(1, VISIBILITY_SECONDS_MAX as i64), "How long from now."),
    ],
};

static EXTENDED: Shape = Shape {
    name: "Extended",
    about: "Until when the lease holds.",
    fields: &[must("leasedUntil", Kind::Time, "By the database's clock.")],
};

static PEEKED: Shape = Shape {
    name: "PeekedMessages",
    about: "The next messages of a queue.",
    fields: &[must("messages", Kind::List(&Kind::Of(&PEEKED_ONE)), "The next ones first.")],
};

static PEEKED_ONE: Shape = Shape {
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

/// One message, or many: whichever fields are there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SendBody<'a> {
    #[serde(borrow)]
    messages: Option<Vec<MessageBody<'a>>>,
    #[serde(borrow, default, deserialize_with = "raw")]
    payload: Option<&'a RawValue>,
    payload_base64: Option<String>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    delay_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MessageBody<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    payload: Option<&'a RawValue>,
    payload_base64: Option<String>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    delay_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReceiveBody {
    #[serde(default = "max_messages_default")]
    max_messages: usize,
    visibility_seconds: Option<u32>,
    #[serde(default)]
    wait_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReceiptsBody<'a> {
    #[serde(borrow)]
    receipts: Vec<Cow<'a, str>>,
    #[serde(default)]
    delay_seconds: u32,
}

#[derive(Serialize)]
struct Messages<T> {
    messages: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageOut<'a> {
    id: MessageId,
    receipt: String,
    receives: u32,
    sent_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventOut<'a> {
    id: EventId,
    key: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    priority: Priority,
    due_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeekedOut<'a> {
    id: MessageId,
    receives: u32,
    sent_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

async fn send(mut call: Call) -> Result<Response> {
    let body = call.json().await?;
    let sent: SendBody<'_> = lean(&body, &["messages", "payload", "payloadBase64", "attributes", "delaySeconds"])?;
    let SendBody { messages, payload, payload_base64, attributes, delay_seconds } = sent;
    let one = MessageBody { payload, payload_base64, attributes, delay_seconds };
    let is_one = one.payload.is_some() || one.payload_base64.is_some();
    let messages = match messages {
        Some(_) if is_one || one.attributes.is_some() || one.delay_seconds.is_some() => {
            return Err(Error::new(Code::InvalidParameter, "the body is one message and many at once")
                .field("messages")
                .expected("`messages`, or the fields of one message"));
        }
        Some(messages) => messages,
        None => vec![one],
    };
    check_count("messages", messages.len())?;
    let n_messages = messages.len();
    let messages = messages.into_iter().enumerate().map(|(at, message)| {
        let place = || if n_messages == 1 { String::new() } else { format!("messages.{at}.") };
        message.read(&body).map_err(|error| {
            let field = format!("{}{}", place(), error.field_name().unwrap_or("payload"));
            error.field(field)
        })
    });
    let messages = messages.collect::<Result<Vec<_>>>()?;
    let ids = call.broker().send(call.param("queue"), messages).await?;
    Ok(json_response(202, &json!({"ids": ids})))
}

async fn receive(mut call: Call) -> Result<Response> {
    let body = call.optional_json().await?.unwrap_or(Bytes::from_static(b"{}"));
    let ReceiveBody { max_messages, visibility_seconds, wait_seconds } =
        lean(&body, &["maxMessages", "visibilitySeconds", "waitSeconds"])?;
    if wait_seconds > LONG_POLL_SECONDS_MAX {
        return Err(Error::new(Code::InvalidParameter, format!("{wait_seconds} s is too long to wait"))
            .field("waitSeconds")
            .expected(format!("0 to {LONG_POLL_SECONDS_MAX}")));
    }
    let wait = Duration::from_secs(wait_seconds.into());
    let queue = call.param("queue");
    let messages = call.broker().receive(queue, max_messages, visibility_seconds, wait).await?;
    Ok(json_response(200, &Messages { messages: messages.iter().map(message_out).collect() }))
}

async fn settle(mut call: Call) -> Result<Response> {
    let body = call.json().await?;
    let texts: ReceiptsBody<'_> = lean(&body, &["receipts"])?;
    if texts.delay_seconds != 0 {
        return Err(unknown_field("", "delaySeconds", ["receipts"]).hint("`give-back` takes a delay"));
    }
    let (receipts, wrong) = read_receipts(&call, &texts.receipts)?;
    let results = call.broker().settle(receipts).await?;
    Ok(answer_results(&texts.receipts, wrong, results))
}

async fn give_back(mut call: Call) -> Result<Response> {
    let body = call.json().await?;
    let texts: ReceiptsBody<'_> = lean(&body, &["receipts", "delaySeconds"])?;
    let (receipts, wrong) = read_receipts(&call, &texts.receipts)?;
    let results = call.broker().give_back(receipts, texts.delay_seconds).await?;
    Ok(answer_results(&texts.receipts, wrong, results))
}

async fn extend(mut call: Call) -> Result<Response> {
    let body = call.body_value().await?;
    let queue = call.broker().catalog().queue(call.param("queue"))?.id;
    let receipt = read_receipt(queue, body["receipt"].as_str().unwrap_or_default())?;
    let seconds = body["seconds"].as_u64().and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
    let until = call.broker().extend(receipt, seconds).await?;
    Ok(json_response(200, &json!({"leasedUntil": until})))
}

async fn peek(call: Call) -> Result<Response> {
    let max = call.query()?.number("max", 1..=PAGE_MAX as i64)?.unwrap_or(10);
    let peeked = call.broker().peek(call.param("queue"), max as usize).await?;
    Ok(json_response(200, &Messages { messages: peeked.iter().map(peeked_out).collect() }))
}

impl MessageBody<'_> {
    fn read(self, body: &Bytes) -> Result<SendIn> {
        let wrong = |field: &str, expected: &str| {
            Error::new(Code::InvalidParameter, "the value is not allowed").field(field).expected(expected)
        };
        let payload = match (self.payload, self.payload_base64) {
            (Some(payload), None) => body.slice_ref(payload.get().as_bytes()),
            (None, Some(encoded)) => match STANDARD.decode(encoded) {
                Ok(bytes) => bytes.into(),
                Err(_) => return Err(wrong("payloadBase64", "base64")),
            },
            _ => return Err(wrong("payload", "`payload`, or `payloadBase64` for what is not JSON")),
        };
        let attributes = match self.attributes.map(RawValue::get) {
            None | Some("null") => None,
            Some(text) if text.starts_with('{') => Some(text.to_owned()),
            Some(_) => return Err(wrong("attributes", "an object")),
        };
        Ok(SendIn { payload, attributes, delay_seconds: self.delay_seconds })
    }
}

/// Reads a small body of a busy route straight into its type; errors name the field as `Shape::read` would.
fn lean<'a, T: Deserialize<'a>>(body: &'a [u8], known: &[&str]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        if !error.is_data() {
            return Error::new(Code::MalformedBody, text).expected("well-formed JSON");
        }
        let between = |start: &str| message.strip_prefix(start)?.split('`').next().map(str::to_owned);
        if let Some(name) = between("unknown field `") {
            return unknown_field("", &name, known.iter().copied());
        }
        if let Some(name) = between("missing field `") {
            return Error::new(Code::InvalidParameter, format!("`{name}` is not there")).field(name);
        }
        if let Some(name) = between("duplicate field `") {
            return Error::new(Code::MalformedBody, "the key comes twice in one object").field(name);
        }
        Error::new(Code::InvalidParameter, format!("{message}{place}"))
    })
}

/// A payload may be `null`, which is something.
fn raw<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn max_messages_default() -> usize {
    10
}

fn check_count(field: &str, count: usize) -> Result<()> {
    match (1..=BATCH_MESSAGES_MAX).contains(&count) {
        true => Ok(()),
        false => Err(Error::new(Code::InvalidParameter, format!("{count} at once are not allowed"))
            .field(field)
            .expected(format!("1 to {BATCH_MESSAGES_MAX}"))),
    }
}

/// The receipts that can be read, and for each of all either nothing or what is wrong with it.
fn read_receipts(call: &Call, texts: &[Cow<'_, str>]) -> Result<(Vec<Receipt>, Vec<Option<Error>>)> {
    check_count("receipts", texts.len())?;
    let queue = call.broker().catalog().queue(call.param("queue"))?.id;
    let mut receipts = Vec::with_capacity(texts.len());
    let wrong = texts.iter().map(|text| read_receipt(queue, text).map(|receipt| receipts.push(receipt)).err());
    let wrong = wrong.collect();
    Ok((receipts, wrong))
}

fn read_receipt(queue: QueueId, text: &str) -> Result<Receipt> {
    let receipt: Receipt = text.parse()?;
    match receipt.queue() == queue {
        true => Ok(receipt),
        false => Err(Error::new(Code::InvalidParameter, "the receipt is of a message of another queue")
            .field("receipt")
            .hint("send it to the queue that the message was received from")),
    }
}

fn answer_results(texts: &[Cow<'_, str>], wrong: Vec<Option<Error>>, results: Vec<Result<()>>) -> Response {
    let mut results = results.into_iter();
    let mut is_whole = true;
    let written = texts.iter().zip(wrong).map(|(text, wrong)| {
        let error = wrong.or_else(|| results.next().and_then(Result::err));
        let mut written = match error {
            Some(error) => {
                is_whole = false;
                item_problem(outside(error))
            }
            None => json!({}),
        };
        written["receipt"] = Value::from(text.as_ref());
        written
    });
    let written: Vec<Value> = written.collect();
    json_response(if is_whole { 200 } else { 207 }, &json!({"results": written}))
}

fn message_out(message: &Message) -> MessageOut<'_> {
    let (payload, payload_base64) = payload_out(&message.payload);
    MessageOut {
        id: message.id,
        receipt: message.receipt.to_string(),
        receives: message.receives,
        sent_at: message.sent_at,
        event: message.event.as_ref().map(|event| EventOut {
            id: event.id,
            key: &event.key,
            event_type: &event.event_type,
            subject: event.subject.as_deref(),
            priority: event.priority,
            due_at: event.due_at,
            correlation_id: event.correlation_id.as_deref(),
            attributes: raw_text(event.attributes.as_deref()),
        }),
        attributes: raw_text(message.attributes.as_deref()),
        payload,
        payload_base64,
    }
}

fn peeked_out(peeked: &Peeked) -> PeekedOut<'_> {
    let (payload, payload_base64) = payload_out(&peeked.payload);
    PeekedOut {
        id: peeked.id,
        receives: peeked.receives,
        sent_at: peeked.sent_at,
        event_id: peeked.event_id,
        event_type: peeked.event_type.as_deref(),
        attributes: raw_text(peeked.attributes.as_deref()),
        payload,
        payload_base64,
    }
}

/// JSON as it is, anything else in base64.
fn payload_out(bytes: &[u8]) -> (Option<&RawValue>, Option<String>) {
    match serde_json::from_slice(bytes) {
        Ok(payload) => (Some(payload), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

fn raw_text(text: Option<&str>) -> Option<&RawValue> {
    serde_json::from_str(text?).ok()
}
