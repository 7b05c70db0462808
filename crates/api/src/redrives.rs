//! Redrives: looked at first, then started, watched, cancelled.
//!
//! Not for: dead letters themselves (see `dead`).

use axum::response::Response;
use http::Method;
use posthaste_base::limits::{REDRIVE_DELAY_SECONDS_MAX, REDRIVE_MESSAGES_MAX};
use posthaste_base::{RedriveId, Result};
use posthaste_broker::RedriveIn;
use posthaste_web::Scope;

use crate::call::Call;
use crate::dead::{DEAD_LETTER, FILTER_FIELDS, FILTER_QUERY, filter_of};
use crate::shape::{Kind, Shape, may, must, or_null, page_fields};
use crate::table::{PAGE, Param, Row, Takes, param, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        Method::GET,
        "/redrive/preview",
        "previewRedrive",
        "What a redrive with the same parameters would take now, in this order. It changes nothing.",
        run!(preview),
    )
    .query(&PREVIEW_QUERY)
    .gives(200, &PREVIEW),
    Row::new(
        Method::POST,
        "/redrive/start",
        "startRedrive",
        "Starts a redrive of the oldest dead letters that the filter selects.",
        run!(start),
    )
    .needs(Scope::Operate)
    .takes(Takes::OptionalJson(&REDRIVE_IN))
    .gives(202, &REDRIVE),
    Row::new(Method::GET, "/redrives", "listRedrives", "Redrives, the newest first.", run!(list))
        .query(&PAGE)
        .gives(200, &REDRIVES),
    Row::new(Method::GET, "/redrives/{id}", "getRedrive", "How far a redrive has come.", run!(get))
        .gives(200, &REDRIVE),
    Row::new(
        Method::POST,
        "/redrives/{id}/cancel",
        "cancelRedrive",
        "Ends a redrive: what has not gone back yet stays dead.",
        run!(cancel),
    )
    .needs(Scope::Operate)
    .gives(200, &REDRIVE),
];

const MESSAGES: Kind = Kind::Int(1, REDRIVE_MESSAGES_MAX as i64);

const PREVIEW_QUERY: [Param; 10] = {
    let f = FILTER_QUERY;
    let max = param("maxMessages", MESSAGES, "How many at most; 20 when left out.");
    [max, f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]]
};

static REDRIVE_IN: Shape = Shape {
    name: "RedriveIn",
    about: "What to redrive, and how fast.",
    fields: &{
        let f = FILTER_FIELDS;
        [
            may("maxMessages", MESSAGES, "How many at most; 100 when left out."),
            may(
                "perMessageDelayJitter",
                Kind::Int(0, REDRIVE_DELAY_SECONDS_MAX as i64),
                "Each message goes back after a random time up to so many seconds; 5 when left out.",
            ),
            may(
                "ratePerSecond",
                Kind::Int(1, 1_000),
                "So many messages go back in a second; the jitter comes on top.",
            ),
            f[0],
            f[1],
            f[2],
            f[3],
            f[4],
            f[5],
            f[6],
            f[7],
            f[8],
        ]
    },
};

static PREVIEW: Shape = Shape {
    name: "RedrivePreview",
    about: "What a redrive would take.",
    fields: &[
        must("count", Kind::Int(0, 1_000), "How many."),
        must("maxMessages", MESSAGES, "How many it would take at most."),
        must("hasMore", Kind::Bool, "The filter selects more than that."),
        must("messages", Kind::List(&Kind::Of(&DEAD_LETTER)), "In the order in which they would go."),
    ],
};

static REDRIVE: Shape = Shape {
    name: "Redrive",
    about: "A recorded, paced run that gives dead letters back.",
    fields: &[
        must("id", Kind::Int(1, i64::MAX), "Its id."),
        or_null("queue", Kind::Text, "The queue that it is about; null for all."),
        must("filter", Kind::Object, "What it was started with: see `DeadLetterFilter`."),
        must("status", Kind::OneOf(&["running", "done", "cancelled"]), "How it is."),
        must("total", Kind::Int(0, 1_000), "Dead letters that it took."),
        must("moved", Kind::Int(0, 1_000), "Of these, gone back to their queues."),
        must("waiting", Kind::Int(0, 1_000), "Of these, still to go."),
        must("released", Kind::Int(0, 1_000), "Of these, let go because it was cancelled."),
        must("perMessageDelayJitter", Kind::Int(0, REDRIVE_DELAY_SECONDS_MAX as i64), "In seconds."),
        or_null("ratePerSecond", Kind::Int(1, 1_000), "Messages a second; null for no limit."),
        must("startedBy", Kind::Text, "The API key that started it, or `local`."),
        must("startedAt", Kind::Time, "When it started."),
        or_null("finishedAt", Kind::Time, "When it ended, or null."),
    ],
};

static REDRIVES: Shape =
    Shape { name: "RedrivePage", about: "Redrives.", fields: &page_fields(&Kind::Of(&REDRIVE)) };

async fn preview(call: Call) -> Result<Response> {
    let query = call.query()?;
    let max_messages = query.number("maxMessages", 1..=REDRIVE_MESSAGES_MAX as i64)?;
    let redrive = RedriveIn { filter: filter_of(&query)?, max_messages, ..RedriveIn::default() };
    let preview = call.broker().preview_redrive(&redrive).await?;
    call.answer(&preview)
}

async fn start(mut call: Call) -> Result<Response> {
    let started_by = call.caller_name();
    let redrive = RedriveIn { started_by, ..call.checked().await? };
    let redrive = call.broker().start_redrive(&redrive).await?;
    call.answer(&redrive)
}

async fn list(call: Call) -> Result<Response> {
    let page = call.page::<RedriveId>()?;
    // The broker gives 100 at most; one more than the page shows that there is another.
    let limit = page.limit.min(99);
    let redrives = call.broker().list_redrives(page.after, limit + 1).await?;
    call.answer_page(redrives, limit, |redrive| redrive.id)
}

async fn get(call: Call) -> Result<Response> {
    let redrive = call.broker().redrive(call.id("id")?).await?;
    call.answer(&redrive)
}

async fn cancel(call: Call) -> Result<Response> {
    let redrive = call.broker().cancel_redrive(call.id("id")?).await?;
    call.answer(&redrive)
}
