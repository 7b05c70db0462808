//! One event as it is shown: its status, its messages, its attempts.
//!
//! Not for: lists of events; nothing here reads more than one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use posthaste_base::{Code, EndpointId, Error, EventId, MessageId, Priority, Result};
use posthaste_observe::CorrelationId;
use posthaste_store::attempt::Attempt;
use posthaste_store::event::EventState;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Broker, Catalog};

/// Attempts that one answer lists.
const ATTEMPTS_MAX: i64 = 100;

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventStatus {
    /// It waits for its time.
    Pending,
    /// It has messages that are neither delivered nor dead, or that a pull consumer may have settled.
    Processing,
    Completed,
    /// It has ended, and at least one of its messages is dead.
    Failed,
    Cancelled,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventOut {
    pub id: EventId,
    pub key: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub subject: Option<String>,
    pub priority: Option<Priority>,
    pub status: EventStatus,
    pub due_at: Timestamp,
    pub accepted_at: Timestamp,
    pub published_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub schedule_id: Option<i64>,
    pub correlation_id: Option<String>,
    pub messages: MessageCounts,
    pub attempts: Vec<AttemptOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Box<RawValue>>,
    #[serde(flatten)]
    pub payload: PayloadOut,
}

/// How the messages of an event are getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MessageCounts {
    /// One for each subscription that the event passed to.
    pub total: i64,
    /// Delivered to an endpoint; what a pull consumer settles is not counted.
    pub delivered: i64,
    pub dead: i64,
    /// Put off to be tried again.
    pub deferred: i64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptOut {
    pub at: Timestamp,
    pub message_id: MessageId,
    pub endpoint: Option<String>,
    /// Which receive of the message it was, from 1.
    pub receive: i16,
    pub status: Option<i16>,
    pub latency_ms: i32,
    pub category: Option<String>,
    pub code: Option<String>,
    pub error: Option<String>,
    /// The first bytes of what came back, as text.
    pub response: Option<String>,
}

/// A payload in an answer: as the JSON that it is, or else in base64.
#[derive(Debug, Serialize)]
pub enum PayloadOut {
    #[serde(rename = "payload")]
    Json(Box<RawValue>),
    #[serde(rename = "payloadBase64")]
    Binary(String),
}

impl PayloadOut {
    pub fn of(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(text) => Self::Json(text),
            Err(_) => Self::Binary(STANDARD.encode(bytes)),
        }
    }
}

impl Broker {
    /// The event that an idempotency key belongs to.
    pub async fn event_of_key(&self, key: &str) -> Result<EventOut> {
        let holder = {
            let connection = self.pool().get().await?;
            posthaste_store::event::by_key(&connection, &[key]).await?.pop()
        };
        let not_found = || Error::new(Code::NotFound, format!("no event has the key `{key}`")).field("key");
        self.show_event(EventId(holder.ok_or_else(not_found)?.id)).await
    }

    pub async fn show_event(&self, id: EventId) -> Result<EventOut> {
        let connection = self.pool().get().await?;
        let state = posthaste_store::event::show(&connection, id.0)
            .await?
            .ok_or_else(|| Error::new(Code::NotFound, format!("there is no event `{id}`")).field("id"))?;
        let attempts = posthaste_store::attempt::by_event(&connection, id.0, ATTEMPTS_MAX).await?;
        let catalog = self.catalog();
        let attempts = attempts.into_iter().map(|attempt| attempt_out(&catalog, attempt)).collect();
        Ok(event_out(state, attempts))
    }
}

fn event_out(state: EventState, attempts: Vec<AttemptOut>) -> EventOut {
    let status = status_of(&state);
    let total = if state.published_at.is_some() { i64::from(state.fanout) } else { 0 };
    let has_ended = matches!(status, EventStatus::Completed | EventStatus::Failed);
    // Of an event whose end nobody asked for none is written down: then it is that of its last attempt.
    let ended_at = || attempts.iter().map(|attempt| attempt.at).max().or(state.published_at);
    let finished_at = state.finished_at.or_else(|| has_ended.then(ended_at).flatten());
    let EventState { delivered, dead, deferred, .. } = state;
    EventOut {
        id: EventId(state.id),
        key: state.key,
        event_type: state.event_type,
        subject: state.subject,
        priority: Priority::from_rank(state.priority),
        status,
        due_at: state.due_at,
        accepted_at: state.accepted_at,
        published_at: state.published_at,
        cancelled_at: state.cancelled_at,
        finished_at,
        schedule_id: state.schedule_id,
        correlation_id: state.correlation_id.map(|id| CorrelationId::of_stored(&id).to_owned()),
        messages: MessageCounts { total, delivered, dead, deferred },
        attempts,
        attributes: state.attributes.and_then(|text| RawValue::from_string(text).ok()),
        payload: PayloadOut::of(&state.payload),
    }
}

fn status_of(state: &EventState) -> EventStatus {
    let ended = |failed: bool| if failed { EventStatus::Failed } else { EventStatus::Completed };
    if state.cancelled_at.is_some() {
        EventStatus::Cancelled
    } else if state.published_at.is_none() {
        EventStatus::Pending
    } else if state.finished_at.is_some() {
        ended(state.failed)
    } else if state.delivered + state.dead >= i64::from(state.fanout) {
        ended(state.dead > 0)
    } else {
        EventStatus::Processing
    }
}

pub(crate) fn attempt_out(catalog: &Catalog, attempt: Attempt) -> AttemptOut {
    let endpoint = catalog.endpoints.get(&EndpointId(attempt.endpoint_id));
    AttemptOut {
        at: attempt.at,
        message_id: MessageId(attempt.message_id),
        endpoint: endpoint.map(|endpoint| endpoint.name.clone()),
        receive: attempt.receive,
        status: attempt.status,
        latency_ms: attempt.latency_ms,
        category: attempt.category,
        code: attempt.code,
        error: attempt.error,
        response: attempt.response.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(published: bool, fanout: i16, delivered: i64, dead: i64) -> EventState {
        EventState {
            id: EventId::generate().0,
            key: "k".into(),
            event_type: "order".into(),
            subject: None,
            priority: 3,
            due_at: Timestamp::UNIX_EPOCH,
            accepted_at: Timestamp::UNIX_EPOCH,
            published_at: published.then_some(Timestamp::UNIX_EPOCH),
            cancelled_at: None,
            finished_at: None,
            failed: false,
            fanout,
            schedule_id: None,
            correlation_id: None,
            attributes: None,
            payload: Vec::new(),
            is_waiting: !published,
            delivered,
            dead,
            deferred: 0,
        }
    }

    #[test]
    fn the_status_follows_from_the_messages() {
        for (published, fanout, delivered, dead, expected) in [
            (false, 2, 0, 0, EventStatus::Pending),
            (true, 2, 1, 0, EventStatus::Processing),
            (true, 2, 2, 0, EventStatus::Completed),
            (true, 2, 1, 1, EventStatus::Failed),
            (true, 2, 0, 1, EventStatus::Processing),
            (true, 0, 0, 0, EventStatus::Completed),
        ] {
            assert_eq!(status_of(&state(published, fanout, delivered, dead)), expected);
        }
        let cancelled = EventState { cancelled_at: Some(Timestamp::UNIX_EPOCH), ..state(false, 1, 0, 0) };
        assert_eq!(status_of(&cancelled), EventStatus::Cancelled);
    }
}
