//! Events in: one or many, in whatever form they come. And one event with how it is getting on.
//!
//! Not for: the forms themselves (the broker's `intake`), or what an event has to satisfy.

use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use posthaste_base::{Code, Error, EventId, Result};
use posthaste_broker::{EventIn, Payload, PublishOut, intake};
use posthaste_observe::Source;
use posthaste_web::{Correlation, MediaType, Scope};
use serde_json::{Value, json};

use crate::Api;
use crate::beside::{self, BESIDE};
use crate::call::{Call, item_problem, json_response, to_value};
use crate::shape::{Field, Kind, Shape, may, must, or_null};
use crate::table::{Row, Takes, param, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        Method::POST,
        "/events",
        "publishEvent",
        "Accepts one event: a plain JSON payload, our envelope, or a CloudEvent. When this answers 202, the event is \
         durable.",
        run!(publish),
    )
    .needs(Scope::Publish)
    .query(&BESIDE)
    .takes(Takes::Events)
    .gives(202, &PUBLISHED),
    Row::new(
        Method::POST,
        "/events/batch",
        "publishEvents",
        "Accepts up to 1,000 events, each by itself: 202 when all were accepted, 207 when some were not.",
        run!(publish_batch),
    )
    .needs(Scope::Publish)
    .takes(Takes::EventBatch)
    .gives(202, &BATCH),
    Row::new(Method::GET, "/events", "findEvent", "The event that an idempotency key belongs to.", run!(find))
        .query(&[param("key", Kind::Text, "The idempotency key. It must be there.")])
        .gives(200, &EVENT),
    Row::new(Method::GET, "/events/{id}", "getEvent", "One event, with how its messages are getting on.", run!(get))
        .gives(200, &EVENT),
    Row::new(
        Method::DELETE,
        "/events/{id}",
        "cancelEvent",
        "Cancels an event that is not due yet. One that is on its way cannot be called back.",
        run!(cancel),
    )
    .needs(Scope::Operate)
    .gives(200, &EVENT),
];

static PUBLISHED: Shape =
    Shape { name: "Published", about: "An event that is accepted.", fields: &PUBLISHED_FIELDS };

const PUBLISHED_FIELDS: [Field; 4] = [
    must("id", Kind::Text, "The event's id."),
    must("key", Kind::Text, "Its idempotency key: yours, or the SHA-256 of type and payload."),
    must("dueAt", Kind::Time, "When it is due."),
    must("duplicate", Kind::Bool, "Whether the same event was accepted before, under this id."),
];

pub(crate) static BATCH: Shape = Shape {
    name: "PublishedBatch",
    about: "What became of each event, in the order in which they came.",
    fields: &[
        must("accepted", Kind::Int(0, 1_000), "How many were accepted, duplicates among them."),
        must("results", Kind::List(&Kind::Of(&BATCH_RESULT)), "One for each event."),
    ],
};

static BATCH_RESULT: Shape = Shape {
    name: "PublishedBatchResult",
    about: "An event that is accepted, or the problem with it.",
    fields: &[
        may("id", Kind::Text, "As in `Published`."),
        may("key", Kind::Text, "As in `Published`."),
        may("dueAt", Kind::Time, "As in `Published`."),
        may("duplicate", Kind::Bool, "As in `Published`."),
        may("problem", Kind::Object, "There when the event was refused: see `Problem`."),
    ],
};

/// The envelope, for the document: it is read by the broker.
pub(crate) static ENVELOPE: Shape = Shape {
    name: "Event",
    about: "An event in our own envelope.",
    fields: &[
        may("type", Kind::Text, "The event type; the configured default when left out."),
        may("payload", Kind::Any, "Any JSON; kept as the text that was sent."),
        may("payloadBase64", Kind::Text, "Instead of `payload`, for what is not JSON."),
        may("key", Kind::Text, "The idempotency key; the SHA-256 of type and payload when left out."),
        may("subject", Kind::Text, "Whom the event is about."),
        may("priority", Kind::Priority, "Instead of the type's own."),
        may(
            "dueAt",
            Kind::Text,
            "When: an instant, or a local time, which without a zone is in that of the subject as it is now. Now when \
             left out.",
        ),
        may("attributes", Kind::Object, "What filters may look at beside the payload."),
    ],
};

pub(crate) static ENVELOPES: Shape = Shape {
    name: "EventBatch",
    about: "Up to 1,000 events.",
    fields: &[must("events", Kind::List(&Kind::Of(&ENVELOPE)), "The events.")],
};

static EVENT: Shape = Shape {
    name: "EventState",
    about: "One event, with how its messages are getting on.",
    fields: &[
        must("id", Kind::Text, "Its id."),
        must("key", Kind::Text, "Its idempotency key."),
        must("type", Kind::Text, "Its type."),
        or_null("subject", Kind::Text, "Whom it is about, or null."),
        must("priority", Kind::Priority, "How urgent it is."),
        must(
            "status",
            Kind::OneOf(&["PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"]),
            "PENDING until it is due; PROCESSING while messages of it are under way, or may have been settled by a \
             pull consumer; then COMPLETED, or FAILED when one of them is dead.",
        ),
        must("dueAt", Kind::Time, "When it is due."),
        must("acceptedAt", Kind::Time, "When it was accepted."),
        or_null("publishedAt", Kind::Time, "When it became messages, or null."),
        or_null("cancelledAt", Kind::Time, "When it was cancelled, or null."),
        or_null("finishedAt", Kind::Time, "When its last message ended, where that is tracked, or null."),
        or_null("scheduleId", Kind::Int(1, i64::MAX), "The schedule that made it, or null."),
        or_null("correlationId", Kind::Text, "The id of the request that brought it, or null."),
        must("messages", Kind::Of(&MESSAGE_COUNTS), "How its messages are getting on."),
        must("attempts", Kind::List(&Kind::Of(&ATTEMPT)), "Calls to endpoints, oldest first; 100 at most."),
        may("attributes", Kind::Object, "Its attributes."),
        may("payload", Kind::Any, "Its payload as it was sent."),
        may("payloadBase64", Kind::Text, "Its payload, when that is not JSON."),
    ],
};

static MESSAGE_COUNTS: Shape = Shape {
    name: "MessageCounts",
    about: "How the messages of an event are getting on.",
    fields: &[
        must("total", Kind::Int(0, i64::MAX), "One for each subscription that it passed to."),
        must("delivered", Kind::Int(0, 1_000), "Delivered to an endpoint."),
        must("dead", Kind::Int(0, 1_000), "In a dead letter queue."),
        must("deferred", Kind::Int(0, 1_000), "Put off to be tried again."),
    ],
};

pub(crate) static ATTEMPT: Shape = Shape {
    name: "Attempt",
    about: "One call to an endpoint, with what came back.",
    fields: &[
        must("at", Kind::Time, "When it ended."),
        must("messageId", Kind::Int(1, i64::MAX), "The message that was sent."),
        or_null("endpoint", Kind::Text, "The endpoint, or null when it is gone."),
        must("receive", Kind::Int(1, 1_000), "Which receive of the message it was."),
        or_null("status", Kind::Int(100, 599), "The HTTP status, or null when there was no answer."),
        must("latencyMs", Kind::Int(0, i64::MAX), "How long it took."),
        or_null("category", Kind::Text, "Why it failed, or null when it did not."),
        or_null("code", Kind::Text, "The same more exactly, or null."),
        or_null("error", Kind::Text, "What went wrong, or null."),
        or_null("response", Kind::Text, "The first bytes of the response, or null."),
    ],
};

async fn publish(mut call: Call) -> Result<Response> {
    let published = match read(&mut call).await {
        Ok(Given::One(event)) => call.broker().publish(*event).await,
        Ok(Given::Many(events)) => {
            let correlation_id = correlation_id(&call);
            return answer_batch(&call.api, correlation_id, events).await;
        }
        Err(error) => Err(error),
    };
    count(&call.api, &published);
    Ok(json_response(202, &published?))
}

async fn publish_batch(mut call: Call) -> Result<Response> {
    beside::nothing_beside(&call)?;
    let media_type = MediaType::of(call.headers())?;
    let body = required(call.raw().await?)?;
    let events = match media_type {
        MediaType::Json => intake::envelope_batch(&body)?,
        MediaType::CloudEventBatch => intake::cloud_event_batch(&body)?,
        MediaType::CloudEvent | MediaType::Event => {
            let message = "one event is not a batch";
            return Err(Error::new(Code::UnsupportedMediaType, message)
                .field("content-type")
                .expected("`application/json` or `application/cloudevents-batch+json`"));
        }
    };
    let correlation_id = correlation_id(&call);
    answer_batch(&call.api, correlation_id, events).await
}

async fn find(call: Call) -> Result<Response> {
    let query = call.query()?;
    let key = query.text("key")?.ok_or_else(|| {
        Error::new(Code::InvalidParameter, "there is no key to look for").field("key").expected("`?key=...`")
    })?;
    Ok(json_response(200, &call.broker().event_of_key(key).await?))
}

async fn get(call: Call) -> Result<Response> {
    let event = call.broker().show_event(call.id::<EventId>("id")?).await?;
    // Not through the shape: the payload stays the text that was sent.
    Ok(json_response(200, &event))
}

async fn cancel(call: Call) -> Result<Response> {
    let id = call.id::<EventId>("id")?;
    call.broker().cancel_event(id).await?;
    let event = call.broker().show_event(id).await?;
    Ok(json_response(200, &event))
}

/// What a request to `/events` holds.
enum Given {
    One(Box<EventIn>),
    Many(Vec<Result<EventIn>>),
}

async fn read(call: &mut Call) -> Result<Given> {
    let (event, places) = if call.headers().contains_key("ce-specversion") {
        let body = call.raw().await?.unwrap_or_default();
        (binary_cloud_event(call.headers(), body)?, beside::CLOUD_EVENT)
    } else {
        let media_type = MediaType::of(call.headers())?;
        let body = required(call.raw().await?)?;
        match media_type {
            // A payload, or an envelope when nothing beside it names the type.
            MediaType::Json if beside::event_type(call)?.is_some() => {
                (EventIn::of(Payload::json(body)?), beside::ENVELOPE)
            }
            MediaType::Json => (intake::payload_or_envelope(body)?, beside::ENVELOPE),
            MediaType::Event => (intake::envelope(&body)?, beside::ENVELOPE),
            MediaType::CloudEvent => (intake::cloud_event(&body)?, beside::CLOUD_EVENT),
            MediaType::CloudEventBatch => {
                beside::nothing_beside(call)?;
                return Ok(Given::Many(intake::cloud_event_batch(&body)?));
            }
        }
    };
    let event =
        EventIn { correlation_id: correlation_id(call), ..beside::with_beside(call, event, &places)? };
    Ok(Given::One(Box::new(event)))
}

fn binary_cloud_event(headers: &HeaderMap, body: Bytes) -> Result<EventIn> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let shown = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
        return Err(Error::new(Code::UnsupportedMediaType, format!("`{shown}` is not read here"))
            .field("content-encoding")
            .expected("a body that is not compressed"));
    }
    let content_type = beside::header(headers, &CONTENT_TYPE)?;
    let attributes = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix("ce-")?, value.as_bytes())));
    intake::cloud_event_of_headers(attributes, content_type.as_deref(), body)
}

fn correlation_id(call: &Call) -> Option<String> {
    call.parts.extensions.get::<Correlation>().map(Correlation::to_stored)
}

fn required(body: Option<Bytes>) -> Result<Bytes> {
    body.ok_or_else(|| Error::new(Code::MissingBody, "the body is empty").expected("an event"))
}

/// Accepts what can be accepted. Everything is in the answer, in the order of the request.
async fn answer_batch(
    api: &Api,
    correlation_id: Option<String>,
    events: Vec<Result<EventIn>>,
) -> Result<Response> {
    let mut good = Vec::with_capacity(events.len());
    let mut results: Vec<Option<Result<PublishOut>>> = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Ok(event) => {
                good.push(EventIn { correlation_id: correlation_id.clone(), ..event });
                results.push(None);
            }
            Err(error) => results.push(Some(Err(error))),
        }
    }
    let mut published = api.broker.publish_batch(good).await?.into_iter();
    let mut n_accepted = 0;
    let mut written = Vec::with_capacity(results.len());
    for result in results {
        let Some(result) = result.or_else(|| published.next()) else { continue };
        count(api, &result);
        written.push(match result {
            Ok(out) => {
                n_accepted += 1;
                to_value(&out)?
            }
            Err(error) => item_problem(error),
        });
    }
    let status = if n_accepted == written.len() { 202 } else { 207 };
    let body: Value = json!({"accepted": n_accepted, "results": written});
    Ok(json_response(status, &body))
}

fn count(api: &Api, published: &Result<PublishOut>) {
    let metrics = &api.ingest;
    match published {
        // Counted by the broker, as it is for those who do not come by HTTP.
        Ok(out) if out.duplicate => {}
        Ok(_) => metrics.accepted(Source::Http, 1),
        Err(error) => metrics.refused(error.code()),
    }
}
