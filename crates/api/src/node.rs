//! The node itself: is it alive, can it accept events, what does it measure, and what can it do.
//!
//! Not for: what is in the queues.

use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::CONTENT_TYPE;
use posthaste_base::{Code, Error, Result};
use posthaste_broker::Broker;
use tokio::sync::Mutex;

use crate::call::{Call, json_text};
use crate::shape::{Kind, Shape, must};
use crate::table::{Row, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        Method::GET,
        "/health",
        "health",
        "Whether events can be accepted: the database takes a write. 503 says why not.",
        run!(health),
    )
    .open()
    .gives(200, &HEALTH),
    Row::new(Method::GET, "/health/live", "live", "Whether the process answers at all.", run!(live))
        .open()
        .gives(200, &HEALTH),
    Row::new(
        Method::GET,
        "/metrics",
        "metrics",
        "All metrics in the text form of Prometheus.",
        run!(metrics),
    ),
    Row::new(Method::GET, "/openapi.json", "openapi", "This document.", run!(openapi)).open(),
];

static HEALTH: Shape = Shape {
    name: "Health",
    about: "A node that is well.",
    fields: &[must("status", Kind::OneOf(&["ready", "live"]), "What it is.")],
};

/// How long an answer holds, so that many probes cost one look.
const FRESH: Duration = Duration::from_secs(1);
/// How long the database may take to show that it is well.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What was found last, and when.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<(Instant, Result<()>)>>);

impl Health {
    /// Those who ask at the same time wait for one look.
    async fn look(&self, broker: &Broker) -> Result<()> {
        let mut last = self.0.lock().await;
        if let Some((_, found)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return found.clone();
        }
        let found = match tokio::time::timeout(TIMEOUT, broker.health()).await {
            Ok(found) => found.map_err(shown),
            Err(_) => {
                let message = format!("it did not answer within {} s", TIMEOUT.as_secs());
                Err(shown(Error::new(Code::DatabaseUnreachable, message)))
            }
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

/// Whatever is wrong, a probe has to see that the node is not ready; but anybody may probe, so where the database
/// is stays in the log.
fn shown(error: Error) -> Error {
    let code = if error.code().http_status() == 503 { error.code() } else { Code::Unavailable };
    Error::new(code, format!("events cannot be accepted: {}", code.title())).caused_by(error)
}

async fn health(call: Call) -> Result<Response> {
    call.api.health.look(call.broker()).await?;
    Ok(json_text(200, r#"{"status":"ready"}"#))
}

async fn live(_: Call) -> Result<Response> {
    Ok(json_text(200, r#"{"status":"live"}"#))
}

async fn metrics(call: Call) -> Result<Response> {
    let text = (call.api.metrics)();
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

async fn openapi(_: Call) -> Result<Response> {
    Ok(json_text(200, crate::openapi::text()))
}
