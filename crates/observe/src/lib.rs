//! What makes Posthaste visible from outside: metric names and handles, logs, correlation and trace ids, spans.
//!
//! Not for: deciding anything, or serving anything over HTTP (`GET /metrics` is a front's).

pub mod correlation;
mod handles;
mod http;
mod label;
pub mod logs;
mod mask;
pub mod names;
mod process;
mod registry;
pub mod span;
mod trace;

pub use correlation::CorrelationId;
pub use handles::{
    DatabaseMetrics, Deferral, EndpointMetrics, IngestMetrics, QueueMetrics, ScheduleMetrics, Source,
    SpanMetrics,
};
pub use http::HttpMetrics;
pub use logs::LogFormat;
pub use metrics::Counter;
pub use registry::{Handle, install};
pub use span::{Span, SpanKind};
pub use trace::TraceParent;
