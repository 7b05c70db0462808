//! Posthaste's native HTTP interface.
//!
//! A route is a row of a table (`table`), which names its scope, its query and the shapes of its bodies; the
//! router, the checks and the OpenAPI document all come from there. What a route does is in the file of its area,
//! which calls the broker and nothing else. Not for: SQL, nor the wire protocols of others.

mod beside;
mod call;
mod dead;
mod declared;
mod events;
mod keys;
mod messages;
mod modes;
mod node;
mod openapi;
mod queues;
mod redrives;
mod schedules;
mod shape;
mod subjects;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use posthaste_broker::Broker;
use posthaste_observe::{HttpMetrics, IngestMetrics};
use posthaste_web::{Cors, Gate, GateLayer, Problem, RequestLayer, problem};

pub use keys::BrokerKeys;
pub use openapi::document as openapi_document;

use crate::call::Call;
use crate::node::Health;
use crate::table::Row;

/// Writes the metrics as text, for `GET /metrics`.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What all requests share.
pub struct Api {
    pub(crate) broker: Broker,
    pub(crate) metrics: RenderMetrics,
    pub(crate) ingest: IngestMetrics,
    pub(crate) health: Health,
    pub(crate) sizes: messages::Sizes,
}

impl Api {
    pub fn new(broker: Broker, metrics: RenderMetrics) -> Arc<Self> {
        Arc::new(Self {
            broker,
            metrics,
            ingest: IngestMetrics::new(),
            health: Health::default(),
            sizes: messages::Sizes::default(),
        })
    }
}

/// The routes that need a key, for a listener that other fronts share.
pub fn guarded(api: &Arc<Api>) -> Router {
    routes(api, |row| row.scope.is_some())
}

/// The routes that everybody may call: health, and the OpenAPI document.
pub fn open(api: &Arc<Api>) -> Router {
    routes(api, |row| row.scope.is_none())
}

/// The whole front, with its layers.
pub fn router(api: &Arc<Api>, gate: Arc<Gate>, cors: &Cors, metrics: HttpMetrics) -> Router {
    let router = guarded(api).layer(GateLayer::new(gate)).merge(open(api));
    cors.around(problem::with_fallbacks(router)).layer(RequestLayer::new(metrics))
}

fn routes(api: &Arc<Api>, is_wanted: impl Fn(&Row) -> bool) -> Router {
    let mut router = Router::new();
    for row in table::rows().filter(|row| is_wanted(row)) {
        let filter = MethodFilter::try_from(row.method.clone()).unwrap_or(MethodFilter::GET);
        let handler = move |State(api): State<Arc<Api>>, request: Request| serve(row, api, request);
        router = router
            .route(row.path, on(filter, handler))
            .route(&format!("/v1{}", row.path), on(filter, handler));
    }
    router.with_state(api.clone())
}

async fn serve(row: &'static Row, api: Arc<Api>, request: Request) -> Response {
    let answered = match Call::admit(row, api, request).await {
        Ok(call) => (row.run)(call).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| Problem(shape::outside(error)).into_response())
}
