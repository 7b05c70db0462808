//! Dead letters: listed, shown, counted, sorted out, exported, discarded.
//!
//! Not for: giving them back (see `redrives`).

mod triage;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::Method;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use posthaste_base::limits::REDRIVE_MESSAGES_MAX;
use posthaste_base::{Code, DeadLetterId, Error, Result};
use posthaste_broker::{Broker, DeadLetterFilter, DiscardIn};
use posthaste_web::{Cursor, PageRequest, Query, Scope};
use serde_json::json;

use crate::call::{Call, json_response};
use crate::events::ATTEMPT;
use crate::shape::{Field, Kind, Shape, may, must, or_null, page_fields};
use crate::table::{CURSOR, LIMIT, Param, Row, Takes, param, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        Method::GET,
        "/dead-letters",
        "listDeadLetters",
        "Dead letters, without their payloads. A page may hold fewer than asked for and still have a next one.",
        run!(list),
    )
    .query(&LIST_QUERY)
    .gives(200, &DEAD_LETTERS),
    Row::new(
        Method::GET,
        "/dead-letters/counts",
        "countDeadLetters",
        "How many there are by queue, category and code.",
        run!(count),
    )
    .query(&[QUEUE])
    .gives(200, &COUNTS),
    Row::new(
        Method::GET,
        "/dead-letters/triage",
        "triageDeadLetters",
        "Sorts out the newest 1,000 by cause: what to redrive, to fix first, to transform, to discard, and why.",
        run!(triage_dead),
    )
    .query(&[QUEUE])
    .gives(200, &triage::TRIAGE),
    Row::new(
        Method::GET,
        "/dead-letters/export",
        "exportDeadLetters",
        "Dead letters whole, as JSON lines (`application/x-ndjson`), the oldest first.",
        run!(export),
    )
    .query(&FILTER_QUERY),
    Row::new(
        Method::POST,
        "/dead-letters/discard",
        "discardDeadLetters",
        "Moves the oldest dead letters that the filter selects to the archive.",
        run!(discard),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&DISCARD))
    .gives(200, &DISCARDED),
    Row::new(
        Method::GET,
        "/dead-letters/{id}",
        "getDeadLetter",
        "One dead letter whole, with the attempts to deliver it.",
        run!(get),
    )
    .gives(200, &DEAD_LETTER),
];

const AGE_MAX: i64 = 3_653 * 24 * 3_600;
const QUEUE: Param = param("queue", Kind::Text, "Only of this queue.");
const ERROR_TYPE: &str = "Only of this category or error code, without regard to case.";

/// The filters, which the redrive takes as well.
pub(crate) const FILTER_QUERY: [Param; 9] = [
    QUEUE,
    param("errorType", Kind::Text, ERROR_TYPE),
    param("minAgeSeconds", Kind::Int(0, AGE_MAX), "Died at least so long ago."),
    param("maxAgeSeconds", Kind::Int(0, AGE_MAX), "Died at most so long ago."),
    param("from", Kind::Time, "Died at this time or later."),
    param("to", Kind::Time, "Died before this time."),
    param("type", Kind::Text, "Only of this event type."),
    param("endpoint", Kind::Text, "Only for this endpoint."),
    param("id", Kind::Int(1, i64::MAX), "Only this dead letter; may be given up to 1,000 times."),
];

const LIST_QUERY: [Param; 12] = {
    let f = FILTER_QUERY;
    [
        f[0],
        f[1],
        f[2],
        f[3],
        f[4],
        f[5],
        f[6],
        f[7],
        f[8],
        param("order", Kind::OneOf(&["newest", "oldest"]), "What comes first; `newest` when left out."),
        LIMIT,
        CURSOR,
    ]
};

/// The same filters in a body.
pub(crate) const FILTER_FIELDS: [Field; 9] = [
    may("queue", Kind::Text, "Only of this queue."),
    may("errorType", Kind::Text, ERROR_TYPE),
    may("minAgeSeconds", Kind::Int(0, AGE_MAX), "Died at least so long ago."),
    may("maxAgeSeconds", Kind::Int(0, AGE_MAX), "Died at most so long ago."),
    may("from", Kind::Time, "Died at this time or later."),
    may("to", Kind::Time, "Died before this time."),
    may("type", Kind::Text, "Only of this event type."),
    may("endpoint", Kind::Text, "Only for this endpoint."),
    may("ids", Kind::List(&Kind::Int(1, i64::MAX)), "Only these dead letters; up to 1,000."),
];

pub(crate) static FILTER: Shape = Shape {
    name: "DeadLetterFilter",
    about: "Which dead letters; all when it is empty.",
    fields: &FILTER_FIELDS,
};

pub(crate) static DEAD_LETTER: Shape = Shape {
    name: "DeadLetter",
    about: "A message that will not be tried again by itself, with its cause.",
    fields: &[
        must("id", Kind::Int(1, i64::MAX), "Its id as a dead letter."),
        must("queue", Kind::Text, "The queue that it died in."),
        must("messageId", Kind::Int(1, i64::MAX), "Its id as a message, which a redrive keeps."),
        or_null("eventId", Kind::Text, "The event that it comes from, or null."),
        or_null("type", Kind::Text, "The type of that event, or null."),
        or_null("subscription", Kind::Text, "The subscription that it was made for, or null."),
        or_null("endpoint", Kind::Text, "The endpoint that it was for, or null."),
        must("receives", Kind::Int(0, 1_000), "How often it was received."),
        must("category", Kind::Text, "VALIDATION, TRANSIENT, PERMANENT, TIMEOUT or PROCESSING."),
        must("code", Kind::Text, "The cause more exactly."),
        must("error", Kind::Text, "The last error."),
        must("sentAt", Kind::Time, "When it was sent."),
        must("diedAt", Kind::Time, "When it died."),
        may("redriveId", Kind::Int(1, i64::MAX), "The redrive that has taken it."),
        may("redriveAt", Kind::Time, "When it goes back."),
        may("attributes", Kind::Object, "What came with it."),
        may("payload", Kind::Any, "As it was sent, where one letter is shown."),
        may("payloadBase64", Kind::Text, "Instead of `payload`, when it is not JSON."),
        may("attempts", Kind::List(&Kind::Of(&ATTEMPT)), "Where one letter is shown."),
    ],
};

static DEAD_LETTERS: Shape =
    Shape { name: "DeadLetterPage", about: "Dead letters.", fields: &page_fields(&Kind::Of(&DEAD_LETTER)) };

pub(crate) static COUNT: Shape = Shape {
    name: "DeadLetterCount",
    about: "How many died of one cause in one queue.",
    fields: &[
        must("queue", Kind::Text, "The queue."),
        must("category", Kind::Text, "The category."),
        must("code", Kind::Text, "The code."),
        must("count", Kind::Int(0, i64::MAX), "How many."),
        must("atLeast", Kind::Bool, "There are more than were counted."),
    ],
};

static COUNTS: Shape = Shape {
    name: "DeadLetterCounts",
    about: "Dead letters by queue, category and code.",
    fields: &[must("counts", Kind::List(&Kind::Of(&COUNT)), "The counts.")],
};

static DISCARD: Shape = Shape {
    name: "Discard",
    about: "What to discard, and why.",
    fields: &[
        may("filter", Kind::Of(&FILTER), "Which dead letters; all when it is left out."),
        must("reason", Kind::Text, "Kept in the archive: 1 to 500 characters."),
        may(
            "maxMessages",
            Kind::Int(1, REDRIVE_MESSAGES_MAX as i64),
            "How many at most; 1000 when left out.",
        ),
    ],
};

static DISCARDED: Shape = Shape {
    name: "Discarded",
    about: "What is in the archive now.",
    fields: &[must("discarded", Kind::Int(0, 1_000), "How many.")],
};

/// The filter that a query says.
pub(crate) fn filter_of(query: &Query<'_>) -> Result<DeadLetterFilter> {
    let ids = query
        .all("id")
        .map(|text| text.parse().map(|id: DeadLetterId| id.0).map_err(|error| error.field("id")));
    let ids: Vec<i64> = ids.collect::<Result<_>>()?;
    Ok(DeadLetterFilter {
        queue: text(query, "queue")?,
        error_type: text(query, "errorType")?,
        min_age_seconds: query.number("minAgeSeconds", 0..=AGE_MAX)?,
        max_age_seconds: query.number("maxAgeSeconds", 0..=AGE_MAX)?,
        from: time(query, "from")?,
        to: time(query, "to")?,
        event_type: text(query, "type")?,
        endpoint: text(query, "endpoint")?,
        ids: (!ids.is_empty()).then_some(ids),
    })
}

fn text(query: &Query<'_>, name: &str) -> Result<Option<String>> {
    Ok(query.text(name)?.map(str::to_owned))
}

fn time(query: &Query<'_>, name: &str) -> Result<Option<Timestamp>> {
    let Some(text) = query.text(name)? else { return Ok(None) };
    let time = text.parse().map_err(|_| {
        Error::new(Code::InvalidParameter, format!("`{text}` is not a time"))
            .field(name)
            .expected("a time such as `2026-03-01T09:00:00Z`")
    })?;
    Ok(Some(time))
}

async fn list(call: Call) -> Result<Response> {
    let query = call.query()?;
    let newest_first = match query.text("order")? {
        None | Some("newest") => true,
        Some("oldest") => false,
        Some(other) => {
            return Err(Error::new(Code::InvalidParameter, format!("`{other}` is not allowed"))
                .field("order")
                .expected("`newest` or `oldest`"));
        }
    };
    // A place in one order means nothing in the other.
    let listing = if newest_first { "/dead-letters newest" } else { "/dead-letters oldest" };
    let page = PageRequest::<DeadLetterId>::of(listing, &query)?;
    let filter = filter_of(&query)?;
    let found = call.broker().list_dead(&filter, newest_first, page.after, page.limit).await?;
    let mut out = json!({"items": found.letters});
    if let Some(next) = found.next {
        out["nextCursor"] = json!(Cursor::new(listing, &next));
    }
    call.answer(&out)
}

async fn get(call: Call) -> Result<Response> {
    let letter = call.broker().dead_letter(call.id("id")?).await?;
    // Not through the shape: the payload stays the text that was sent.
    Ok(json_response(200, &letter))
}

async fn count(call: Call) -> Result<Response> {
    let query = call.query()?;
    let counts = call.broker().count_dead_letters(query.text("queue")?).await?;
    call.answer(&json!({"counts": counts}))
}

async fn triage_dead(call: Call) -> Result<Response> {
    let query = call.query()?;
    let triage = call.broker().triage_dead(query.text("queue")?).await?;
    call.answer(&triage)
}

async fn discard(mut call: Call) -> Result<Response> {
    let discarded_by = call.caller_name();
    let discard = DiscardIn { discarded_by, ..call.checked().await? };
    let discarded = call.broker().discard_dead(&discard).await?;
    call.answer(&discarded)
}

/// How many letters are held in memory at once.
const EXPORT_PAGE: usize = 100;

async fn export(call: Call) -> Result<Response> {
    let filter = filter_of(&call.query()?)?;
    let broker = call.broker().clone();
    // The first page is read before the head of the answer goes out, so that what is wrong is a problem.
    let first = broker.export_dead(&filter, None, EXPORT_PAGE).await?;
    let start = (broker, filter, Some((first.lines, first.next)));
    let lines = stream::try_unfold(start, |(broker, filter, page)| async move {
        let Some((lines, next)) = page else { return Ok(None) };
        let page = next_page(&broker, &filter, next).await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(Some((Bytes::from(lines), (broker, filter, page))))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

async fn next_page(
    broker: &Broker,
    filter: &DeadLetterFilter,
    after: Option<i64>,
) -> Result<Option<(String, Option<i64>)>> {
    let Some(after) = after else { return Ok(None) };
    let page = broker.export_dead(filter, Some(DeadLetterId(after)), EXPORT_PAGE).await?;
    Ok(Some((page.lines, page.next)))
}
