//! Events as they are handed in: checked, given a key, accepted.
//!
//! Not for: how an event is written (see `accept`), or the forms in which it arrives (see `intake`).

mod show;

use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use posthaste_base::limits::{DUE_AHEAD_DAYS_MAX, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX};
use posthaste_base::{Code, Error, EventId, Priority, Result, Violation};
use posthaste_engine::due::Due;
use posthaste_engine::{canonical, json, zone};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub(crate) use self::show::attempt_out;
pub use self::show::{AttemptOut, EventOut, EventStatus, MessageCounts, PayloadOut};
use crate::declare::check;
use crate::mode::{Effect, effect_at_ingest};
use crate::{Accepted, Broker, Catalog, NewEvent, route};

/// What an event carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// The text as it was sent, and what it says.
    Json {
        text: Bytes,
        value: Value,
    },
    Binary(Bytes),
}

impl Payload {
    /// Reads a JSON text strictly; the white space around it is not part of the payload.
    pub fn json(text: Bytes) -> Result<Self> {
        let value = json::parse(&text)?;
        Ok(Self::Json { text: trimmed(text), value })
    }

    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Json { text, .. } | Self::Binary(text) => text,
        }
    }
}

fn trimmed(text: Bytes) -> Bytes {
    let inner = text.trim_ascii();
    if inner.len() == text.len() { text } else { text.slice_ref(inner) }
}

/// An event as a caller describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventIn {
    /// None is the configured default type.
    pub event_type: Option<String>,
    /// None is the hash of type and payload: the same content is then the same event.
    pub key: Option<String>,
    pub subject: Option<String>,
    /// None is the type's own.
    pub priority: Option<Priority>,
    /// None is now, and so is the past.
    pub due: Option<Due>,
    pub attributes: Map<String, Value>,
    pub payload: Payload,
    pub correlation_id: Option<String>,
}

impl EventIn {
    /// An event of the default type that is due now.
    pub fn of(payload: Payload) -> Self {
        Self {
            event_type: None,
            key: None,
            subject: None,
            priority: None,
            due: None,
            attributes: Map::new(),
            payload,
            correlation_id: None,
        }
    }
}

/// What became of an event that was handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishOut {
    pub id: EventId,
    /// The idempotency key.
    pub key: String,
    pub due_at: Timestamp,
    /// Whether the same event was accepted before.
    pub duplicate: bool,
}

impl Broker {
    /// Accepts one event, or says why not. When this returns, the event is durable.
    pub async fn publish(&self, event: EventIn) -> Result<PublishOut> {
        let new = self.prepare(event).await?;
        let again =
            self.is_submitted_twice(new.id).then(|| NewEvent { id: EventId::generate(), ..new.clone() });
        let key = new.key.clone();
        let out = answer(self.accept(new).await?, key);
        if let Some(again) = again {
            tracing::debug!(event.id = %again.id, "submitted an event a second time, as the failure mode says");
            self.accept(again).await?;
        }
        out
    }

    /// Accepts many events, each by itself: one that is refused does not hold up the others. The outer error is
    /// about none of them: then none is accepted.
    pub async fn publish_batch(&self, events: Vec<EventIn>) -> Result<Vec<Result<PublishOut>>> {
        let mut answers: Vec<Option<Result<PublishOut>>> = Vec::with_capacity(events.len());
        let mut places = Vec::with_capacity(events.len());
        let mut news = Vec::with_capacity(events.len());
        let mut again = Vec::new();
        for event in events {
            match self.prepare(event).await {
                Ok(new) => {
                    if self.is_submitted_twice(new.id) {
                        again.push(NewEvent { id: EventId::generate(), ..new.clone() });
                    }
                    places.push((answers.len(), new.key.clone()));
                    news.push(new);
                    answers.push(None);
                }
                // The service is unwell, not the event.
                Err(error) if error.code().http_status() >= 500 => return Err(error),
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        if !news.is_empty() {
            let accepted = self.accept_all(news).await;
            for ((place, key), accepted) in places.into_iter().zip(accepted) {
                answers[place] = Some(match accepted {
                    Ok(accepted) => answer(accepted, key),
                    // This one is not accepted now, and the others are.
                    Err(error) if error.code() == Code::KeyInUse => Err(error),
                    Err(error) => return Err(error),
                });
            }
        }
        if !again.is_empty() {
            self.accept_all(again).await.into_iter().collect::<Result<Vec<_>>>()?;
        }
        let unanswered = || Err(Error::new(Code::Internal, "an event of the batch was not answered"));
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect())
    }

    /// Checks an event and decides its key, priority and time.
    async fn prepare(&self, event: EventIn) -> Result<NewEvent> {
        let catalog = self.catalog();
        let event_type = event.event_type.unwrap_or_else(|| self.options().default_type.clone());
        route::check_own_type(&event_type)?;
        check_size(&event.payload, &event.attributes)?;
        if let Some(key) = &event.key {
            check_text("key", key)?;
        }
        if let Some(subject) = &event.subject {
            check_text("subject", subject)?;
        }
        self.check_content(&catalog, &event_type, &event.payload).await?;
        let due_at = match &event.due {
            Some(due) => Some(self.due_at(due, event.subject.as_deref()).await?),
            None => None,
        };
        let (payload_hash, key) = hash_and_key(&event_type, &event.payload, event.key);
        let attributes = (!event.attributes.is_empty()).then(|| Value::Object(event.attributes).to_string());
        Ok(NewEvent {
            id: EventId::generate(),
            key,
            payload_hash,
            priority: route::priority_of(&catalog, &event_type, event.priority),
            event_type,
            subject: event.subject,
            due_at,
            schedule_id: None,
            correlation_id: event.correlation_id,
            attributes,
            payload: match event.payload {
                Payload::Json { text, .. } | Payload::Binary(text) => text,
            },
        })
    }

    /// Checks a type and a payload; a type that is new becomes a topic, if it may.
    pub(crate) async fn check_content(
        &self,
        catalog: &Catalog,
        event_type: &str,
        payload: &Payload,
    ) -> Result<()> {
        match catalog.topics.get(event_type) {
            Some(_) if self.options().strict_types && !catalog.is_known_type(event_type) => {
                Err(unknown_type(event_type))
            }
            Some(topic) => check_payload(event_type, topic.schema.as_ref(), payload),
            None => self.make_topic(catalog, event_type).await,
        }
    }

    /// A type that is not declared is a topic from now on, unless only declared types are taken.
    async fn make_topic(&self, catalog: &Catalog, event_type: &str) -> Result<()> {
        check::name(event_type, "an event type").map_err(|error| {
            let invalid = Error::new(Code::InvalidEvent, error.message()).field("type");
            invalid.expected(error.expectation().unwrap_or_default())
        })?;
        if self.options().strict_types {
            return Err(unknown_type(event_type));
        }
        if catalog.topics.len() >= TOPICS_BY_NEED_MAX {
            let message =
                format!("`{event_type}` is new, and there are {TOPICS_BY_NEED_MAX} event types already");
            return Err(Error::new(Code::UnknownType, message).field("type"));
        }
        self.ensure_topic(event_type).await
    }

    async fn due_at(&self, due: &Due, subject: Option<&str>) -> Result<Timestamp> {
        let zone = match (due, subject) {
            (Due::Local { zone: None, .. }, Some(subject)) => Some(self.zone_of(subject).await?),
            _ => None,
        };
        let due_at = due.resolve(zone.as_ref()).map_err(|error| error.field("dueAt"))?;
        let latest = self.clock().now().saturating_add(SignedDuration::from_hours(24 * DUE_AHEAD_DAYS_MAX));
        if latest.is_ok_and(|latest| due_at > latest) {
            let years = DUE_AHEAD_DAYS_MAX / 365;
            return Err(Error::new(Code::InvalidTime, format!("`{due_at}` is too far ahead"))
                .field("dueAt")
                .expected(format!("a time in the next {years} years")));
        }
        Ok(due_at)
    }

    /// The zone that a subject has now. An event by itself keeps the instant that this gives; what moves with its
    /// subject is a schedule.
    async fn zone_of(&self, subject: &str) -> Result<TimeZone> {
        let connection = self.pool().get().await?;
        let known = posthaste_store::subject::get(&connection, subject).await?;
        let known = known.ok_or_else(|| {
            let message = format!("the time names no zone, and there is no subject `{subject}` to have one");
            Error::new(Code::InvalidTime, message)
                .field("dueAt")
                .expected("a time with a zone, or a subject that was made before")
        })?;
        zone::parse(&known.zone)
    }

    fn is_submitted_twice(&self, id: EventId) -> bool {
        let catalog = self.catalog();
        let mode = catalog.failure_mode.as_ref();
        mode.is_some_and(|mode| effect_at_ingest(mode, id) == Effect::Duplicate)
    }
}

/// Topics that come by need: more are a caller's mistake, such as a type with an id in it.
const TOPICS_BY_NEED_MAX: usize = 10_000;

pub(crate) fn unknown_type(event_type: &str) -> Error {
    Error::new(Code::UnknownType, format!("there is no event type `{event_type}`")).field("type")
}

fn check_size(payload: &Payload, attributes: &Map<String, Value>) -> Result<()> {
    let attributes_bytes: usize = match attributes.is_empty() {
        true => 0,
        false => serde_json::to_vec(attributes).map_or(0, |text| text.len()),
    };
    let n_bytes = payload.bytes().len() + attributes_bytes;
    if n_bytes > PAYLOAD_BYTES_MAX {
        let message = format!("payload and attributes have {n_bytes} bytes");
        return Err(Error::new(Code::PayloadTooLarge, message)
            .field("payload")
            .expected(format!("at most {PAYLOAD_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// A key or a subject: they are written to logs and headers.
fn check_text(field: &str, text: &str) -> Result<()> {
    let refuse = |message: String| {
        Error::new(Code::InvalidEvent, message)
            .field(field)
            .expected(format!("1 to {KEY_BYTES_MAX} bytes without control characters"))
    };
    if text.is_empty() || text.len() > KEY_BYTES_MAX {
        return Err(refuse(format!("the {field} has {} bytes", text.len())));
    }
    match text.chars().any(char::is_control) {
        true => Err(refuse(format!("the {field} has a control character in it"))),
        false => Ok(()),
    }
}

fn check_payload(
    event_type: &str,
    schema: Option<&posthaste_engine::schema::Schema>,
    payload: &Payload,
) -> Result<()> {
    match (schema, payload) {
        (None, _) => Ok(()),
        (Some(schema), Payload::Json { value, .. }) => schema.check(event_type, value),
        (Some(_), Payload::Binary(_)) => {
            let message = format!("the event type `{event_type}` has a schema, and the payload is not JSON");
            let violation = Violation { pointer: String::new(), message: "is not JSON".into() };
            Err(Error::new(Code::InvalidPayload, message).violations(vec![violation]))
        }
    }
}

fn hash_and_key(event_type: &str, payload: &Payload, key: Option<String>) -> ([u8; 32], String) {
    match (payload, key) {
        (Payload::Json { value, .. }, Some(key)) => (canonical::payload_hash(value), key),
        (Payload::Json { value, .. }, None) => canonical::hash_and_key(event_type, value),
        (Payload::Binary(bytes), Some(key)) => (Sha256::digest(bytes).into(), key),
        (Payload::Binary(bytes), None) => {
            // A second zero byte sets it apart from a JSON text of the same bytes.
            let key =
                Sha256::new().chain_update(event_type).chain_update([0, 0]).chain_update(bytes).finalize();
            let key = key.iter().map(|byte| format!("{byte:02x}")).collect();
            (Sha256::digest(bytes).into(), key)
        }
    }
}

fn answer(accepted: Accepted, key: String) -> Result<PublishOut> {
    match accepted {
        Accepted::New { id, due_at } => Ok(PublishOut { id, key, due_at, duplicate: false }),
        Accepted::Duplicate { id, due_at } => Ok(PublishOut { id, key, due_at, duplicate: true }),
        Accepted::Conflict { id } => {
            let message =
                format!("the key `{key}` belongs to event `{id}`, which has another type or payload");
            Err(Error::new(Code::KeyConflict, message).field("key"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_subjects_have_a_length_and_no_control_characters() {
        for wrong in ["", "a\0b", "a\nb", &"x".repeat(256)] {
            let error = check_text("key", wrong).unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::InvalidEvent, Some("key")), "{wrong:?}");
        }
        assert!(check_text("key", &"x".repeat(255)).is_ok() && check_text("key", "Bestellung ä").is_ok());
    }

    #[test]
    fn the_payload_is_the_text_as_sent_without_the_space_around_it() {
        let payload = Payload::json(Bytes::from_static(b" {\"amount\": 42.50}\n")).unwrap();
        assert_eq!(payload.bytes().as_ref(), b"{\"amount\": 42.50}");
    }

    #[test]
    fn binary_content_has_a_key_of_its_own() {
        let bytes = Bytes::from_static(b"1");
        let (_, binary) = hash_and_key("t", &Payload::Binary(bytes.clone()), None);
        let (_, json) = hash_and_key("t", &Payload::json(bytes).unwrap(), None);
        assert_ne!(binary, json);
        assert_eq!(binary.len(), 64);
    }
}
