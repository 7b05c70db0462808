//! What all HTTP fronts share: problems, correlation, API keys, limits, bodies, parameters, paging, and the
//! server itself.
//!
//! Not for: routes, nor for anything that knows what an event or a queue is.
//!
//! A front puts it together like this. `GateLayer` goes around the routes that need a key and not around
//! those that do not (`/health`); `RequestLayer` goes around everything and comes last, so that it is outermost.
//!
//! ```text
//! let router = problem::with_fallbacks(guarded.layer(GateLayer::new(gate)).merge(open));
//! let router = cors.around(router).layer(RequestLayer::new(metrics.clone()));
//! serve(listener, router, metrics, ServerSettings::default(), stop).await;
//! ```

pub mod auth;
pub mod body;
pub mod correlation;
pub mod cors;
pub mod gate;
pub mod key;
mod key_cache;
pub mod limit;
pub mod page;
pub mod problem;
pub mod query;
pub mod request;
pub mod server;

/// The type of a front's routes, for those who put fronts together and do not know axum.
pub use axum::Router;

pub use auth::{Access, Allowed, Caller};
pub use body::{Body, MediaType};
pub use correlation::Correlation;
pub use cors::Cors;
pub use gate::{Gate, GateLayer};
pub use key::{ApiKey, KeyRecord, KeyStore, Scope, Scopes};
pub use limit::{Rate, RateLimiter};
pub use page::{Cursor, Page, PageRequest};
pub use problem::Problem;
pub use query::Query;
pub use request::RequestLayer;
pub use server::{ServerSettings, serve};
