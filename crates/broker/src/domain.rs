//! Posthaste's own events: what it publishes about the events, subjects and schedules of others.
//!
//! They are ordinary events of the types in `DOMAIN_EVENTS`, made only when somebody subscribes to them, in the
//! transaction that they tell of. Each has a key of its own, so none is ever a duplicate. Not for: deciding when
//! an event ends (see `finish`).

use jiff::Timestamp;
use posthaste_base::EventId;
use posthaste_engine::canonical;
use posthaste_store::schedule::FinishedEvent;
use serde_json::{Value, json};

use crate::{Catalog, NewEvent, route};

/// `EventScheduled`: an event was accepted that is due later, or the next occurrence of a schedule was made.
pub(crate) fn scheduled(catalog: &Catalog, event: &NewEvent, due_at: Timestamp) -> Option<NewEvent> {
    if route::is_domain_event(&event.event_type) {
        return None;
    }
    let payload = json!({
        "eventId": event.id,
        "type": event.event_type,
        "subject": event.subject,
        "priority": event.priority,
        "dueAt": due_at,
        "scheduleId": event.schedule_id,
    });
    own(catalog, "EventScheduled", event.subject.as_deref(), event.correlation_id.as_deref(), payload)
}

/// `EventCompleted` or `EventFailed`: all messages of an event have ended, and some or none of them failed.
pub(crate) fn finished(catalog: &Catalog, event: &FinishedEvent) -> Option<NewEvent> {
    if route::is_domain_event(&event.event_type) {
        return None;
    }
    let mut payload = json!({
        "eventId": event.id,
        "type": event.event_type,
        "subject": event.subject,
        "dueAt": event.due_at,
        "finishedAt": event.finished_at,
        "scheduleId": event.schedule_id,
    });
    if let Some(letter) = &event.dead_letter {
        payload["deadLetter"] = letter.clone();
    }
    let name = if event.failed { "EventFailed" } else { "EventCompleted" };
    own(catalog, name, event.subject.as_deref(), event.correlation_id.as_deref(), payload)
}

/// `UserTimezoneChanged` or `UserBirthdayChanged`: what a subject had before and has now, and how many pending
/// events moved because of it.
pub(crate) fn subject_changed(
    catalog: &Catalog,
    name: &str,
    subject: &str,
    (from, to): (Option<&str>, Option<&str>),
    (moved, not_moved): (usize, usize),
) -> Option<NewEvent> {
    let payload = json!({"subject": subject, "from": from, "to": to, "moved": moved, "notMoved": not_moved});
    own(catalog, name, Some(subject), None, payload)
}

fn own(
    catalog: &Catalog,
    name: &str,
    subject: Option<&str>,
    correlation_id: Option<&str>,
    payload: Value,
) -> Option<NewEvent> {
    if !catalog.has_subscriber(name) {
        return None;
    }
    let id = EventId::generate();
    Some(NewEvent {
        id,
        key: format!("{name}:{id}"),
        payload_hash: canonical::payload_hash(&payload),
        event_type: name.to_owned(),
        subject: subject.map(str::to_owned),
        priority: route::priority_of(catalog, name, None),
        due_at: None,
        schedule_id: None,
        correlation_id: correlation_id.map(str::to_owned),
        attributes: None,
        payload: payload.to_string().into(),
    })
}
