//! Queues: settings, depth, pause, purge.
//!
//! Not for: what is in them (see `messages`).

use axum::response::Response;
use http::Method;
use posthaste_base::{Code, Result};
use posthaste_broker::{QueueIn, QueueOut, QueuePatch, QueueSettings, QueueSettingsPatch};
use posthaste_web::Scope;
use serde::Deserialize;
use serde_json::json;

use crate::call::{Call, json_response, no_content, of_value, to_value};
use crate::shape::{Field, Kind, Shape, may, must, or_null, page_fields};
use crate::table::{PAGE, Row, Takes, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(Method::GET, "/queues", "listQueues", "Queues by name.", run!(list)).query(&PAGE).gives(200, &QUEUES),
    Row::new(Method::GET, "/queues/{queue}", "getQueue", "A queue, with what is in it.", run!(get))
        .gives(200, &QUEUE_WITH_DEPTH),
    Row::new(
        Method::PUT,
        "/queues/{queue}",
        "putQueue",
        "Makes a queue (201), or gives an existing one exactly these settings (200). What is left out is the default.",
        run!(put),
    )
    .needs(Scope::Operate)
    .takes(Takes::OptionalJson(&QUEUE_IN))
    .gives(200, &QUEUE),
    Row::new(Method::PATCH, "/queues/{queue}", "patchQueue", "Changes some settings of a queue.", run!(patch))
        .needs(Scope::Operate)
        .takes(Takes::Json(&QUEUE_PATCH))
        .gives(200, &QUEUE),
    Row::new(
        Method::DELETE,
        "/queues/{queue}",
        "deleteQueue",
        "Removes a queue that is empty and that no subscription leads to.",
        run!(delete),
    )
    .needs(Scope::Operate)
    .status(204),
    Row::new(Method::POST, "/queues/{queue}/pause", "pauseQueue", "Nothing is received until it resumes.", run!(pause))
        .needs(Scope::Operate)
        .gives(200, &QUEUE),
    Row::new(Method::POST, "/queues/{queue}/resume", "resumeQueue", "Ends a pause.", run!(resume))
        .needs(Scope::Operate)
        .gives(200, &QUEUE),
    Row::new(
        Method::POST,
        "/queues/{queue}/purge",
        "purgeQueue",
        "Throws away every message that is visible now. Nothing brings them back.",
        run!(purge),
    )
    .needs(Scope::Operate)
    .gives(200, &PURGED),
];

const SECONDS: Kind = Kind::Int(0, u32::MAX as i64);
const COUNT: Kind = Kind::Int(0, u32::MAX as i64);

static SETTINGS: Shape = Shape {
    name: "QueueSettings",
    about: "How a queue treats its messages.",
    fields: &[
        may(
            "visibilitySeconds",
            SECONDS,
            "How long a received message stays away; 30 s above the worker's timeout.",
        ),
        may("retentionSeconds", SECONDS, "How long a message waits before it is dead."),
        may("deadRetentionSeconds", SECONDS, "How long a dead letter is kept."),
        may("maxReceives", Kind::Int(0, u16::MAX as i64), "Receives before a message is dead."),
        may("delaySeconds", SECONDS, "How long a message waits first, when its sender says nothing."),
        may("batch", COUNT, "Messages that a worker takes at a time."),
        may("reserved", COUNT, "Workers' places that no other queue may use."),
        may("maxConcurrency", COUNT, "Messages that are worked on at once."),
        may("workerTimeoutSeconds", SECONDS, "How long a worker may take for a message."),
        may("backoffBaseMs", COUNT, "The first wait before a retry."),
        may("backoffCapMs", COUNT, "The longest one."),
    ],
};

static QUEUE_IN: Shape = Shape {
    name: "QueueIn",
    about: "A queue to make.",
    fields: &[may("settings", Kind::Of(&SETTINGS), "What differs from the defaults.")],
};

static QUEUE_PATCH: Shape = Shape {
    name: "QueuePatch",
    about: "What changes of a queue.",
    fields: &[
        may("settings", Kind::Of(&SETTINGS), "Only what changes."),
        may("paused", Kind::Bool, "Whether nothing is received."),
    ],
};

const QUEUE_FIELDS: [Field; 5] = [
    must("name", Kind::Text, "Its name."),
    must("settings", Kind::Of(&SETTINGS), "All of them."),
    must("paused", Kind::Bool, "Whether nothing is received."),
    must("declared", Kind::Bool, "Whether it comes from a configuration file."),
    must("createdAt", Kind::Time, "When it was made."),
];

pub(crate) static QUEUE: Shape = Shape { name: "Queue", about: "A queue.", fields: &QUEUE_FIELDS };

static QUEUE_WITH_DEPTH: Shape = Shape {
    name: "QueueWithDepth",
    about: "A queue, with what is in it.",
    fields: &[
        QUEUE_FIELDS[0],
        QUEUE_FIELDS[1],
        QUEUE_FIELDS[2],
        QUEUE_FIELDS[3],
        QUEUE_FIELDS[4],
        must("depth", Kind::Of(&DEPTH), "What is in it."),
    ],
};

static DEPTH: Shape = Shape {
    name: "Depth",
    about: "Messages by state; no message is in two of them.",
    fields: &[
        must("visible", Kind::Int(0, i64::MAX), "Can be received now."),
        must("inFlight", Kind::Int(0, i64::MAX), "Are under a lease."),
        must("delayed", Kind::Int(0, i64::MAX), "Can be received later."),
        must("isExact", Kind::Bool, "False where counting stopped: there is at least that much."),
        or_null("oldestAgeSeconds", Kind::Number, "How old the oldest visible one is, or null."),
    ],
};

static QUEUES: Shape = Shape { name: "QueuePage", about: "Queues.", fields: &page_fields(&Kind::Of(&QUEUE)) };

static PURGED: Shape = Shape {
    name: "Purged",
    about: "What is gone.",
    fields: &[must("purged", Kind::Int(0, i64::MAX), "How many messages.")],
};

async fn list(call: Call) -> Result<Response> {
    let page = call.page::<String>()?;
    let queues = call.broker().list_queues(page.after.as_deref(), page.limit + 1).await?;
    call.answer_page(queues, page.limit, |queue| queue.name.clone())
}

async fn get(call: Call) -> Result<Response> {
    let name = call.param("queue");
    let mut queue = to_value(&call.broker().get_queue(name).await?)?;
    queue["depth"] = to_value(&call.broker().depth(name).await?)?;
    call.answer(&queue)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    #[serde(default)]
    settings: QueueSettingsPatch,
}

async fn put(mut call: Call) -> Result<Response> {
    let PutBody { settings } = call.body().await?;
    let name = call.param("queue").to_owned();
    let made = call.broker().create_queue(QueueIn { name: name.clone(), settings }).await;
    let (status, queue): (u16, QueueOut) = match made {
        Ok(queue) => (201, queue),
        Err(error) if error.code() == Code::Conflict => {
            let whole = settings.over(QueueSettings::of_name(&name));
            let settings = of_value(to_value(&whole)?)?;
            let patch = QueuePatch { settings, paused: None };
            (200, call.broker().update_queue(&name, patch).await?)
        }
        Err(error) => return Err(error),
    };
    Ok(json_response(status, &QUEUE.write(to_value(&queue)?)))
}

async fn patch(mut call: Call) -> Result<Response> {
    let patch: QueuePatch = call.body().await?;
    let queue = call.broker().update_queue(call.param("queue"), patch).await?;
    call.answer(&queue)
}

async fn delete(call: Call) -> Result<Response> {
    call.broker().delete_queue(call.param("queue")).await?;
    Ok(no_content())
}

async fn pause(call: Call) -> Result<Response> {
    let queue = call.broker().pause_queue(call.param("queue")).await?;
    call.answer(&queue)
}

async fn resume(call: Call) -> Result<Response> {
    let queue = call.broker().resume_queue(call.param("queue")).await?;
    call.answer(&queue)
}

async fn purge(call: Call) -> Result<Response> {
    let purged = call.broker().purge(call.param("queue")).await?;
    call.answer(&json!({"purged": purged}))
}
