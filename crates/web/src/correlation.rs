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
    /// The id is the caller's `x-correlation-id`, or else that of its trace, or else its `x-request-id` (which proxies
    /// make up), or else new. What is not valid is treated as absent: a broken header is no reason to refuse an event.
    pub fn of(headers: &HeaderMap) -> Self {
        let given = |name: &HeaderName| CorrelationId::parse(headers.get(name)?.as_bytes());
        let parent = headers.get(&TRACEPARENT).and_then(|value| TraceParent::parse(value.as_bytes()));
        let own = given(&X_CORRELATION_ID).or_else(|| match parent {
            Some(_) => None,
            None => given(&X_REQUEST_ID),
        });
        // An id that is a trace's own says which trace, though not which span of it.
        let known = || TraceParent::of_correlation(own.as_ref()?.as_str());
        let traceparent = match parent.or_else(known) {
            Some(trace) => trace.child(),
            None => TraceParent::generate(),
        };
        let id = own.unwrap_or_else(|| CorrelationId::of_trace(traceparent));
        Self { id, traceparent, parent }
    }

    /// What an event keeps, so that what is done for it later has its place in the trace and the caller's own id: our
    /// span and behind it that id, or our span alone, or the id of a trace that began here, which is known by it as a
    /// whole.
    pub fn to_stored(&self) -> String {
        let is_own = self.id != CorrelationId::of_trace(self.traceparent);
        match self.parent {
            _ if is_own => format!("{} {}", self.traceparent, self.id),
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
    fn the_callers_own_id_comes_first_then_its_trace_then_the_id_of_a_proxy() {
        let pairs = [("x-request-id", "r-1"), ("traceparent", TRACE), ("x-correlation-id", "c-1")];
        assert_eq!(of(&pairs).id.as_str(), "c-1");
        assert_eq!(of(&pairs[..2]).id.as_str(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(of(&pairs[..1]).id.as_str(), "r-1");
    }

    #[test]
    fn what_an_event_keeps_leads_to_the_span_of_its_request_and_to_the_callers_id() {
        let check = |pairs: &[(&'static str, &str)], id: &str| {
            let correlation = of(pairs);
            let stored = correlation.to_stored();
            assert_eq!(CorrelationId::of_stored(&stored), id, "{stored}");
            assert_eq!(TraceParent::of_correlation(&stored), Some(correlation.traceparent), "{stored}");
            correlation.traceparent
        };
        check(&[("x-correlation-id", "order-7")], "order-7");
        check(&[("x-request-id", "order-7")], "order-7");
        check(&[("traceparent", TRACE)], &TRACE[3..35]);
        let in_trace = check(&[("traceparent", TRACE), ("x-correlation-id", "order-7")], "order-7");
        assert_eq!(in_trace.trace_id(), 0x0af7651916cd43dd8448eb211c80319c);
        let began = of(&[]);
        assert_eq!(TraceParent::of_correlation(&began.to_stored()), Some(began.traceparent));
    }

    #[test]
    fn an_id_that_is_a_trace_is_that_trace() {
        let correlation = of(&[("x-correlation-id", &TRACE[3..35])]);
        assert_eq!(correlation.traceparent.trace_id(), 0x0af7651916cd43dd8448eb211c80319c);
        assert_eq!(correlation.id.as_str(), &TRACE[3..35]);
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
