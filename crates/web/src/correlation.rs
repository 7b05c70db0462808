//! The correlation of a request: its id and its place in a distributed trace, from the caller's headers or new.
//!
//! Not for: keeping it at hand for logs (see `posthaste_observe::correlation`, which `RequestLayer` feeds).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use posthaste_observe::{CorrelationId, TraceParent};

pub static X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// An extractor, and an extension of every request.
#[derive(Clone, Debug)]
pub struct Correlation {
    pub id: CorrelationId,
    /// Our own span in the caller's trace, or in a new one: what follows from the request continues it.
    pub traceparent: TraceParent,
    /// The caller's span, if the trace is the caller's.
    pub parent: Option<TraceParent>,
}

impl Correlation {
    /// The id is that of the caller's trace, or else its `x-correlation-id` or `x-request-id`, or else new.
    /// What is not valid is treated as absent: a broken header is no reason to refuse an event.
    pub fn of(headers: &HeaderMap) -> Self {
        let parent = headers.get(&TRACEPARENT).and_then(|value| TraceParent::parse(value.as_bytes()));
        if let Some(parent) = parent {
            let id = CorrelationId::of_trace(parent);
            return Self { id, traceparent: parent.child(), parent: Some(parent) };
        }
        let traceparent = TraceParent::generate();
        let given = [&X_CORRELATION_ID, &X_REQUEST_ID]
            .into_iter()
            .find_map(|name| CorrelationId::parse(headers.get(name)?.as_bytes()));
        let id = given.unwrap_or_else(|| CorrelationId::of_trace(traceparent));
        Self { id, traceparent, parent: None }
    }

    /// What an event keeps, so that what is done for it later has its place in the trace: our span in the caller's
    /// trace, or the id, from which a trace that began here is known as a whole.
    pub fn to_stored(&self) -> String {
        match self.parent {
            Some(_) => self.traceparent.to_string(),
            None => self.id.to_string(),
        }
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_maybe_shared(self.id.as_bytes().clone()) {
            headers.insert(&X_CORRELATION_ID, id);
        }
        let traceparent = Bytes::copy_from_slice(&self.traceparent.to_text());
        if let Ok(traceparent) = HeaderValue::from_maybe_shared(traceparent) {
            headers.insert(&TRACEPARENT, traceparent);
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Correlation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Correlation>().cloned().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(pairs: &[(&'static str, &str)]) -> Correlation {
        Correlation::of(
            &pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        )
    }

    #[test]
    fn the_trace_comes_first_then_the_ids() {
        let pairs = [("x-request-id", "r-1"), ("x-correlation-id", "c-1"), ("traceparent", TRACE)];
        assert_eq!(of(&pairs).id.as_str(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(of(&pairs[..2]).id.as_str(), "c-1");
        assert_eq!(of(&pairs[..1]).id.as_str(), "r-1");
    }

    #[test]
    fn the_trace_is_continued_with_a_span_of_our_own() {
        let traceparent = of(&[("traceparent", TRACE)]).traceparent;
        assert_eq!(traceparent.trace_id(), 0x0af7651916cd43dd8448eb211c80319c);
        assert_ne!(traceparent.to_string(), TRACE);
    }

    #[test]
    fn invalid_ids_are_replaced() {
        for pair in [("x-correlation-id", "a b"), ("x-request-id", ""), ("traceparent", "00-1-2-3")] {
            assert_eq!(of(&[pair]).id.as_str().len(), 32, "{pair:?}");
        }
        assert_ne!(of(&[]).id, of(&[]).id);
    }
}
