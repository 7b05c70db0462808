//! What is said of an event beside its body, in headers and in the query, and how that goes with what the body
//! says: one thing may be said in several places so long as they agree; no place wins over another silently.
//!
//! Not for: the forms of bodies (the broker's `intake`).

use http::header::{HeaderMap, HeaderName};
use posthaste_base::{Code, Error, Result};
use posthaste_broker::{EventIn, intake};

use crate::call::Call;
use crate::shape::Kind;
use crate::table::{Param, param};

/// What a plain payload cannot say of itself.
pub(crate) const BESIDE: [Param; 5] = [
    param(
        "type",
        Kind::Text,
        "The event type. A body of `application/json` is then a payload, whatever it looks like.",
    ),
    param("key", Kind::Text, "The idempotency key, as the header `Idempotency-Key`."),
    param("subject", Kind::Text, "Whom the event is about."),
    param("priority", Kind::Priority, "Instead of the type's own."),
    param(
        "dueAt",
        Kind::Text,
        "When: an instant, or a local time and a zone such as `2026-03-01T09:00 Europe/Berlin`.",
    ),
];

pub(crate) const EVENT_TYPE: HeaderName = HeaderName::from_static("posthaste-type");
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What calls of our own to endpoints say.
const DELIVERED_TYPE: HeaderName = HeaderName::from_static("posthaste-event-type");
const DELIVERED_ID: HeaderName = HeaderName::from_static("posthaste-event-id");

/// Where a body says the things that can also be said beside it.
pub(crate) struct Places {
    event_type: &'static str,
    key: &'static str,
    subject: &'static str,
    priority: &'static str,
    due: &'static str,
}

pub(crate) const ENVELOPE: Places = Places {
    event_type: "the envelope's `type`",
    key: "the envelope's `key`",
    subject: "the envelope's `subject`",
    priority: "the envelope's `priority`",
    due: "the envelope's `dueAt`",
};

pub(crate) const CLOUD_EVENT: Places = Places {
    event_type: "the CloudEvent's `type`",
    key: "the CloudEvent's `source` and `id`",
    subject: "the CloudEvent's `subject`",
    priority: "the CloudEvent's `posthastepriority`",
    due: "the CloudEvent's `posthastedueat`",
};

/// One thing, as one place says it.
struct Said<T> {
    /// The place in words.
    place: &'static str,
    /// The header, or the parameter.
    field: &'static str,
    value: Option<T>,
}

/// The type that the query or the header names.
pub(crate) fn event_type(call: &Call) -> Result<Option<String>> {
    agreed(type_beside(call)?)
}

/// The event of the body with what is said beside it.
pub(crate) fn with_beside(call: &Call, event: EventIn, body: &Places) -> Result<EventIn> {
    refuse_function_call(call.headers())?;
    let query = call.query()?;
    let text = |name: &'static str| query.text(name).map(|text| text.map(str::to_owned));
    let in_header = header(call.headers(), &IDEMPOTENCY_KEY)?.map(|key| {
        // A delivery encodes what a header cannot carry: the same event has the same key when it comes back.
        let is_delivered = call.headers().contains_key(DELIVERED_TYPE);
        is_delivered.then(|| intake::percent_decoded(key.as_bytes())).flatten().unwrap_or(key)
    });
    let due = query.text("dueAt")?.map(|text| intake::due("dueAt", text)).transpose()?;
    let [by_query, by_header] = type_beside(call)?;
    Ok(EventIn {
        event_type: agreed([by_query, by_header, said(body.event_type, "type", event.event_type)])?,
        key: agreed([
            said("the header `idempotency-key`", "idempotency-key", in_header),
            said("the parameter `key`", "key", text("key")?),
            said(body.key, "key", event.key),
        ])?,
        subject: agreed([
            said("the parameter `subject`", "subject", text("subject")?),
            said(body.subject, "subject", event.subject),
        ])?,
        priority: agreed([
            said("the parameter `priority`", "priority", query.parsed("priority")?),
            said(body.priority, "priority", event.priority),
        ])?,
        due: agreed([said("the parameter `dueAt`", "dueAt", due), said(body.due, "dueAt", event.due)])?,
        ..event
    })
}

/// A call to a function carries messages of several events, and each try is a new one: taken for an event it would go
/// round for ever.
fn refuse_function_call(headers: &HeaderMap) -> Result<()> {
    let is_batch = headers.get(DELIVERED_TYPE).is_some_and(|value| value == "batch");
    if is_batch && !headers.contains_key(DELIVERED_ID) {
        return Err(Error::new(Code::InvalidEvent, "this is a call to a function, not an event")
            .field(DELIVERED_TYPE.as_str())
            .hint("let a webhook lead here, or publish what the messages say one by one"));
    }
    Ok(())
}

/// Several events have each their own key and type, so that nothing can be said beside them.
pub(crate) fn nothing_beside(call: &Call) -> Result<()> {
    let query = call.query()?;
    let refused = |place: String, name: &str| {
        Error::new(Code::InvalidParameter, format!("{place} cannot be said of several events at once"))
            .field(name)
            .hint("leave it out, and say it in each event of the batch")
    };
    for name in [IDEMPOTENCY_KEY, EVENT_TYPE] {
        if call.headers().contains_key(&name) {
            return Err(refused(format!("the header `{name}`"), name.as_str()));
        }
    }
    for param in &BESIDE {
        if query.text(param.name)?.is_some() {
            return Err(refused(format!("the parameter `{}`", param.name), param.name));
        }
    }
    Ok(())
}

/// A header's value as text; given twice it is refused.
pub(crate) fn header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = |message: &str| Error::new(Code::InvalidParameter, message).field(name.as_str());
    if values.next().is_some() {
        return Err(wrong("the header is given more than once").expected("one value"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| wrong("the header is not UTF-8"))?;
    Ok(Some(text.to_owned()))
}

fn type_beside(call: &Call) -> Result<[Said<String>; 2]> {
    let by_query = call.query()?.text("type")?.map(str::to_owned);
    let by_header = header(call.headers(), &EVENT_TYPE)?;
    Ok([
        said("the parameter `type`", "type", by_query),
        said("the header `posthaste-type`", "posthaste-type", by_header),
    ])
}

const fn said<T>(place: &'static str, field: &'static str, value: Option<T>) -> Said<T> {
    Said { place, field, value }
}

/// What all places say that say anything.
fn agreed<T: PartialEq, const N: usize>(all: [Said<T>; N]) -> Result<Option<T>> {
    let mut all = all.into_iter().filter(|said| said.value.is_some());
    let Some(first) = all.next() else { return Ok(None) };
    match all.find(|said| said.value != first.value) {
        None => Ok(first.value),
        Some(other) => {
            let message = format!("{} and {} contradict each other", first.place, other.place);
            Err(Error::new(Code::InvalidParameter, message)
                .field(first.field)
                .expected("the same value in both places")
                .hint(format!("leave {} out, or say the same in both", first.place)))
        }
    }
}
