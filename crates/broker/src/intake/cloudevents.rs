//! CloudEvents 1.0 in its three forms: one event as JSON, a batch as JSON, and headers with the data as body.
//!
//! `source` and `id` name an event, so they are its idempotency key. `time` says when it happened, not when it
//! is due; the extensions `posthastedueat` and `posthastepriority` say that. All other attributes are kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use posthaste_base::limits::KEY_BYTES_MAX;
use posthaste_base::{Code, Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Fields, check_batch_size, part_of, unreadable, wrong_type};
use crate::event::{EventIn, Payload};

const PRIORITY: &str = "posthastepriority";
const DUE_AT: &str = "posthastedueat";

/// Where the data stands in an event's text.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Reads `application/cloudevents+json`.
pub fn cloud_event(body: &Bytes) -> Result<EventIn> {
    let value = super::parse_json(body)?;
    if !value.is_object() {
        return Err(Error::new(Code::InvalidEvent, "a CloudEvent is an object").expected("a JSON object"));
    }
    let raw: Raw<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    let text = raw.data.map(|data| part_of(body, data.get()));
    of_value(value, text)
}

/// Reads `application/cloudevents-batch+json`: events, of which each is good or bad by itself.
pub fn cloud_event_batch(body: &Bytes) -> Result<Vec<Result<EventIn>>> {
    let Value::Array(events) = super::parse_json(body)? else {
        return Err(
            Error::new(Code::InvalidEvent, "a batch of CloudEvents is a list").expected("a JSON array")
        );
    };
    check_batch_size(events.len())?;
    if let Some(place) = events.iter().position(|event| !event.is_object()) {
        return Err(wrong_type(&format!("/{place}"), "a CloudEvent, which is an object"));
    }
    let raw: Vec<Raw<'_>> = serde_json::from_slice(body).map_err(unreadable)?;
    let texts = raw.iter().map(|raw| raw.data.map(|data| part_of(body, data.get())));
    Ok(events.into_iter().zip(texts).map(|(event, text)| of_value(event, text)).collect())
}

/// Reads binary mode: `headers` are the names without `ce-`, in lower case, with their values as they came.
pub fn cloud_event_of_headers<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    content_type: Option<&str>,
    body: Bytes,
) -> Result<EventIn> {
    let mut attributes = Map::new();
    for (name, value) in headers {
        let text = percent_decoded(value).ok_or_else(|| {
            Error::new(Code::InvalidEvent, "the header is not UTF-8 in %-encoding")
                .field(format!("ce-{name}"))
        })?;
        if attributes.insert(name.to_owned(), Value::String(text)).is_some() {
            return Err(Error::new(Code::InvalidEvent, "the header comes twice").field(format!("ce-{name}")));
        }
    }
    let payload = match body.is_empty() {
        true => nothing(content_type),
        false if is_json(content_type) => Payload::json(body)?,
        false => Payload::Binary(body),
    };
    if let Some(content_type) = content_type {
        attributes.insert("datacontenttype".into(), content_type.into());
    }
    of_attributes(attributes, payload)
}

fn of_value(value: Value, text: Option<Bytes>) -> Result<EventIn> {
    let mut fields = Fields::of(value, "a CloudEvent")?;
    let content_type = match fields.members.get("datacontenttype") {
        Some(Value::String(content_type)) => Some(content_type.clone()),
        _ => None,
    };
    let encoded = fields.text("data_base64")?;
    let payload = match (fields.members.remove("data"), encoded) {
        (Some(_), Some(_)) => return Err(wrong_type("data_base64", "`data` or `data_base64`, not both")),
        (None, Some(encoded)) => {
            let bytes = STANDARD.decode(encoded).map_err(|_| wrong_type("data_base64", "base64"))?;
            Payload::Binary(bytes.into())
        }
        // The data is a text of another kind, which JSON only carries.
        (Some(Value::String(data)), None) if !is_json(content_type.as_deref()) => {
            Payload::Binary(data.into())
        }
        (None | Some(Value::Null), None) => nothing(content_type.as_deref()),
        (Some(value), None) => Payload::Json { text: text.unwrap_or(Bytes::from_static(b"null")), value },
    };
    of_attributes(fields.members, payload)
}

fn of_attributes(attributes: Map<String, Value>, payload: Payload) -> Result<EventIn> {
    let mut fields = Fields { members: attributes };
    match fields.members.get("specversion").and_then(Value::as_str) {
        Some("1.0") => {}
        found => {
            let found = found.map_or("none".to_owned(), |found| format!("`{found}`"));
            return Err(Error::new(Code::InvalidEvent, format!("the version of CloudEvents is {found}"))
                .field("specversion")
                .expected("`1.0`"));
        }
    }
    let event_type = required(&fields.members, "type")?.to_owned();
    let source = required(&fields.members, "source")?;
    if source.contains(char::is_whitespace) {
        return Err(Error::new(Code::InvalidEvent, "`source` has white space in it")
            .field("source")
            .expected("a URI or a relative reference"));
    }
    let key = key_of(source, required(&fields.members, "id")?);
    fields.members.remove("type");
    let event = EventIn {
        event_type: Some(event_type),
        key: Some(key),
        subject: fields.text("subject")?,
        priority: fields.priority(PRIORITY)?,
        due: fields.due(DUE_AT)?,
        ..EventIn::of(payload)
    };
    let mut attributes = fields.members;
    attributes.retain(|_, value| !value.is_null());
    for (name, value) in &attributes {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Err(Error::new(Code::InvalidEvent, format!("`{name}` is not the name of an attribute"))
                .field(name.clone())
                .expected("lower-case letters and digits"));
        }
        if value.is_object() || value.is_array() {
            return Err(wrong_type(name, "a text, a number or a boolean"));
        }
    }
    Ok(EventIn { attributes, ..event })
}

fn required<'a>(attributes: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    match attributes.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(Error::new(Code::InvalidEvent, format!("a CloudEvent needs `{name}`"))
            .field(name)
            .expected("a text that is not empty")),
    }
}

/// A source has no space in it, so that the first one parts it from the id, whatever that is.
fn key_of(source: &str, id: &str) -> String {
    let key = format!("{source} {id}");
    if key.len() <= KEY_BYTES_MAX {
        return key;
    }
    Sha256::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// No data, which only JSON has a word for.
fn nothing(content_type: Option<&str>) -> Payload {
    match is_json(content_type) {
        true => Payload::Json { text: Bytes::from_static(b"null"), value: Value::Null },
        false => Payload::Binary(Bytes::new()),
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// A header's value as the text that it stands for; none if it is not UTF-8 in percent-encoding.
pub fn percent_decoded(value: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.iter().copied();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
