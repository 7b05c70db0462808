//! The forms in which events arrive: our envelope and CloudEvents 1.0, one by one and in batches.
//!
//! Pure: from bytes and header texts to [`EventIn`]. What is unknown, misspelt or of the wrong type is refused
//! with its name. Not for: HTTP itself, or what an event has to satisfy (see `event`).

mod cloudevents;
mod envelope;

use bytes::Bytes;
use posthaste_base::limits::BATCH_EVENTS_MAX;
use posthaste_base::{Code, Error, Priority, Result};
use posthaste_engine::due::{Due, parse_due};
use serde_json::{Map, Value};

pub use cloudevents::{cloud_event, cloud_event_batch, cloud_event_of_headers, percent_decoded};
pub use envelope::{ENVELOPE_FIELDS, envelope, envelope_batch, payload_or_envelope};

/// How alike two names must be for one to be suggested for the other.
const ALIKE: f64 = 0.6;

/// Reads one JSON text strictly: a key that comes twice, deep nesting or a number that would lose digits is
/// refused, with line and column.
pub fn parse_json(bytes: &[u8]) -> Result<Value> {
    posthaste_engine::json::parse(bytes)
}

/// The error about a field that is not known, with the known one that it resembles.
pub fn unknown_field<'a>(path: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    let shown: String = name.chars().take(60).collect();
    let error = Error::new(Code::UnknownParameter, format!("there is no field `{shown}`"));
    let error = error.field(format!("{path}{shown}"));
    let alike = known.iter().map(|known| (strsim::jaro_winkler(name, known), known));
    match alike.filter(|(likeness, _)| *likeness >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, nearest)) => error.expected(format!("perhaps `{nearest}`")),
        None if known.is_empty() => error.expected("no fields"),
        None => error.expected(format!("one of `{}`", known.join("`, `"))),
    }
}

/// The members of a JSON object, taken out one by one.
struct Fields {
    members: Map<String, Value>,
}

impl Fields {
    fn of(value: Value, what: &str) -> Result<Self> {
        match value {
            Value::Object(members) => Ok(Self { members }),
            _ => {
                Err(Error::new(Code::InvalidEvent, format!("{what} is not an object"))
                    .expected("a JSON object"))
            }
        }
    }

    /// A text; `null` is the same as none.
    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a text")),
        }
    }

    fn object(&mut self, name: &str) -> Result<Map<String, Value>> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    fn priority(&mut self, name: &str) -> Result<Option<Priority>> {
        self.text(name)?.map(|text| priority(name, &text)).transpose()
    }

    fn due(&mut self, name: &str) -> Result<Option<Due>> {
        self.text(name)?.map(|text| due(name, &text)).transpose()
    }
}

fn priority(name: &str, text: &str) -> Result<Priority> {
    text.parse().map_err(|error: Error| {
        let invalid = Error::new(Code::InvalidEvent, error.message()).field(name);
        invalid.expected(error.expectation().unwrap_or_default())
    })
}

/// Reads a due time; `name` is where it stands.
pub fn due(name: &str, text: &str) -> Result<Due> {
    parse_due(text).map_err(|error| error.field(name))
}

fn wrong_type(name: &str, expected: &str) -> Error {
    Error::new(Code::InvalidEvent, format!("`{name}` is of the wrong type")).field(name).expected(expected)
}

fn check_batch_size(n_events: usize) -> Result<()> {
    if (1..=BATCH_EVENTS_MAX).contains(&n_events) {
        return Ok(());
    }
    let (code, message) = match n_events {
        0 => (Code::InvalidEvent, "the batch is empty".to_owned()),
        _ => (Code::PayloadTooLarge, format!("the batch has {n_events} events")),
    };
    Err(Error::new(code, message).field("events").expected(format!("1 to {BATCH_EVENTS_MAX} events")))
}

/// The part of `body` that `text`, which was read from it without a copy, is.
fn part_of(body: &Bytes, text: &str) -> Bytes {
    body.slice_ref(text.as_bytes())
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::new(Code::MalformedBody, "the text could not be read a second time").caused_by(error)
}

#[cfg(test)]
mod tests;
