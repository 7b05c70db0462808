//! Our own envelope: `{"type", "payload", "key", "subject", "priority", "dueAt", "attributes"}`.
//!
//! The payload stays the text that was sent. Not for: payloads without an envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use posthaste_base::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Fields, check_batch_size, part_of, unknown_field, unreadable, wrong_type};
use crate::event::{EventIn, Payload};

pub const ENVELOPE_FIELDS: [&str; 8] =
    ["type", "payload", "payloadBase64", "key", "subject", "priority", "dueAt", "attributes"];

/// Where the payload stands in an envelope's text.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawBatch<'a> {
    #[serde(borrow)]
    events: Vec<Raw<'a>>,
}

/// Reads an envelope.
pub fn envelope(body: &Bytes) -> Result<EventIn> {
    let value = super::parse_json(body)?;
    let text = raw_payload(body)?;
    of_value(value, text)
}

/// Reads `application/json`: an object with both `type` and `payload` is an envelope, all else is a payload.
/// A caller that names the type beside the body wants no guess and uses [`Payload::json`].
pub fn payload_or_envelope(body: Bytes) -> Result<EventIn> {
    let payload = Payload::json(body)?;
    match payload {
        Payload::Json { text, value } if value.get("type").is_some() && value.get("payload").is_some() => {
            let raw = raw_payload(&text)?;
            of_value(value, raw)
        }
        payload => Ok(EventIn::of(payload)),
    }
}

/// Reads `{"events": [...]}`: envelopes, of which each is good or bad by itself.
pub fn envelope_batch(body: &Bytes) -> Result<Vec<Result<EventIn>>> {
    let mut fields = Fields::of(super::parse_json(body)?, "the body")?;
    let events = match fields.members.remove("events") {
        Some(Value::Array(events)) => events,
        _ => return Err(wrong_type("events", "`{\"events\": [...]}`, a list of envelopes")),
    };
    if let Some(name) = fields.members.keys().next() {
        return Err(unknown_field("", name, ["events"]));
    }
    check_batch_size(events.len())?;
    if let Some(place) = events.iter().position(|event| !event.is_object()) {
        return Err(wrong_type(&format!("events/{place}"), "an envelope, which is an object"));
    }
    let raw: RawBatch<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    let texts = raw.events.iter().map(|raw| raw.payload.map(|payload| part_of(body, payload.get())));
    Ok(events.into_iter().zip(texts).map(|(event, text)| of_value(event, text)).collect())
}

fn raw_payload(body: &Bytes) -> Result<Option<Bytes>> {
    let raw: Raw<'_> = match serde_json::from_slice(body) {
        Ok(raw) => raw,
        // Not an object, which the reader of its fields says better.
        Err(error) if error.is_data() => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    Ok(raw.payload.map(|payload| part_of(body, payload.get())))
}

/// `text` is the payload's text, which `value` has read already. None where it is not there, or `null`.
fn of_value(value: Value, text: Option<Bytes>) -> Result<EventIn> {
    let mut fields = Fields::of(value, "an envelope")?;
    if let Some(name) = fields.members.keys().find(|name| !ENVELOPE_FIELDS.contains(&name.as_str())) {
        return Err(unknown_field("", name, ENVELOPE_FIELDS));
    }
    let json = fields.members.remove("payload");
    let payload = match (json, fields.text("payloadBase64")?) {
        (Some(value), None) => Payload::Json { text: text.unwrap_or(Bytes::from_static(b"null")), value },
        (None, Some(encoded)) => Payload::Binary(decode(&encoded)?),
        _ => return Err(wrong_type("payload", "`payload`, or `payloadBase64` for what is not JSON")),
    };
    Ok(EventIn {
        event_type: fields.text("type")?,
        key: fields.text("key")?,
        subject: fields.text("subject")?,
        priority: fields.priority("priority")?,
        due: fields.due("dueAt")?,
        attributes: fields.object("attributes")?,
        ..EventIn::of(payload)
    })
}

fn decode(encoded: &str) -> Result<Bytes, Error> {
    STANDARD.decode(encoded).map(Bytes::from).map_err(|_| wrong_type("payloadBase64", "base64"))
}
