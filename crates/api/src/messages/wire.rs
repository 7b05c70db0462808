//! Messages as bytes: small bodies straight into types, payloads as the text that they are.
//!
//! Not for: what is done with them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use posthaste_base::{Code, Error, EventId, MessageId, Priority, Result};
use posthaste_broker::intake::parse_json;
use posthaste_broker::{Message, Peeked, SendIn};
use posthaste_observe::CorrelationId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::shape::Shape;

/// One message, or many: whichever fields are there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SendBody<'a> {
    #[serde(borrow)]
    pub(super) messages: Option<Vec<MessageBody<'a>>>,
    #[serde(borrow, default, deserialize_with = "raw")]
    pub(super) payload: Option<&'a RawValue>,
    pub(super) payload_base64: Option<String>,
    #[serde(borrow)]
    pub(super) attributes: Option<&'a RawValue>,
    pub(super) delay_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MessageBody<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    pub(super) payload: Option<&'a RawValue>,
    pub(super) payload_base64: Option<String>,
    #[serde(borrow)]
    pub(super) attributes: Option<&'a RawValue>,
    pub(super) delay_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReceiveBody {
    #[serde(default = "max_messages_default")]
    pub(super) max_messages: usize,
    pub(super) visibility_seconds: Option<u32>,
    #[serde(default)]
    pub(super) wait_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReceiptsBody<'a> {
    #[serde(borrow)]
    pub(super) receipts: Vec<Cow<'a, str>>,
    #[serde(default)]
    pub(super) delay_seconds: u32,
}

#[derive(Serialize)]
pub(super) struct Messages<T> {
    pub(super) messages: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageOut<'a> {
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
pub(super) struct EventOut<'a> {
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
pub(super) struct PeekedOut<'a> {
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

impl MessageBody<'_> {
    pub(super) fn read(self, body: &Bytes) -> Result<SendIn> {
        let wrong = |field: &str, expected: &str| {
            Error::new(Code::InvalidParameter, "the value is not allowed").field(field).expected(expected)
        };
        let payload = match (self.payload, self.payload_base64) {
            (Some(payload), None) => {
                strict("payload", payload)?;
                body.slice_ref(payload.get().as_bytes())
            }
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
        self.attributes.map_or(Ok(()), |attributes| strict("attributes", attributes))?;
        Ok(SendIn { payload, attributes, delay_seconds: self.delay_seconds })
    }
}

/// Reads a small body of a busy route straight into its type. What is wrong with one is found by its shape, which
/// names the field and what was expected.
pub(super) fn lean<'a, T: Deserialize<'a>>(body: &'a [u8], shape: &'static Shape) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let checked = parse_json(body).and_then(|value| shape.check(value));
        // A shape may let through what a type does not hold.
        checked.err().unwrap_or_else(|| Error::new(Code::InvalidParameter, error.to_string()))
    })
}

/// Refuses what an event's payload may not be either: a key that comes twice, nesting without end, a number that would
/// lose its digits. What is kept is the text.
fn strict(field: &str, text: &RawValue) -> Result<()> {
    parse_json(text.get().as_bytes()).map(drop).map_err(|error| error.field(field))
}

/// A payload may be `null`, which is something.
fn raw<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn max_messages_default() -> usize {
    10
}

pub(super) fn message_out(message: &Message) -> MessageOut<'_> {
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
            correlation_id: event.correlation_id.as_deref().map(CorrelationId::of_stored),
            attributes: raw_text(event.attributes.as_deref()),
        }),
        attributes: raw_text(message.attributes.as_deref()),
        payload,
        payload_base64,
    }
}

pub(super) fn peeked_out(peeked: &Peeked) -> PeekedOut<'_> {
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
