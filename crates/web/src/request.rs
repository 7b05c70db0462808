//! The outermost layer: correlates each request, measures it, and turns a panic of a handler's into a problem.
//!
//! Written as a plain future, not with `middleware::from_fn`, which would box it and copy the service for each
//! request. There is no `tracing` span: the correlation id reaches the logs without one, and what is exported is one
//! span (see `posthaste_observe::span`) for each request that changes something.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use http::Method;
use pin_project_lite::pin_project;
use posthaste_base::{Code, Error};
use posthaste_observe::{HttpMetrics, Span, SpanKind, TraceParent, correlation};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Correlation, Problem};

/// What is recorded for a caller that left before it was answered.
const CLIENT_LEFT: u16 = 499;
/// The route of requests that no route matches: their paths are the caller's and have no bound.
const UNMATCHED: &str = "unmatched";

#[derive(Clone)]
pub struct RequestLayer {
    metrics: HttpMetrics,
}

impl RequestLayer {
    pub fn new(metrics: HttpMetrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = Requests<S>;

    fn layer(&self, inner: S) -> Requests<S> {
        Requests { inner, metrics: self.metrics.clone() }
    }
}

#[derive(Clone)]
pub struct Requests<S> {
    inner: S,
    metrics: HttpMetrics,
}

impl<S> Service<Request> for Requests<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RequestFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let correlation = Correlation::of(request.headers());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let watch = Watch::start(self.metrics.clone(), route, method_name(request.method()), &correlation);
        request.extensions_mut().insert(correlation.clone());
        let _entered = correlation::enter(correlation.id.clone());
        RequestFuture { inner: self.inner.call(request), correlation, watch }
    }
}

pin_project! {
    pub struct RequestFuture<F> {
        #[pin]
        inner: F,
        correlation: Correlation,
        watch: Watch,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RequestFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _entered = correlation::enter(this.correlation.id.clone());
        let inner = this.inner;
        // A future that panicked is not polled again: this one ends with it.
        let polled = catch_unwind(AssertUnwindSafe(|| inner.poll(context)));
        let mut response = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => response,
            Err(panic) => Problem(panicked(panic.as_ref())).into_response(),
        };
        this.correlation.write(response.headers_mut());
        this.watch.end(response.status().as_u16());
        Poll::Ready(Ok(response))
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    Error::new(Code::Internal, "the request could not be carried out")
        .caused_by(format!("a handler panicked: {}", text.unwrap_or("no message")))
}

/// Measures from its making to its end, or to its drop when the caller left.
struct Watch {
    metrics: HttpMetrics,
    route: Option<MatchedPath>,
    method: &'static str,
    start: Instant,
    is_ended: bool,
    span: Option<Span>,
}

impl Watch {
    fn start(
        metrics: HttpMetrics,
        route: Option<MatchedPath>,
        method: &'static str,
        correlation: &Correlation,
    ) -> Self {
        metrics.in_flight.increment(1.0);
        // Reads say nothing of an event's way, and probes would bury all else.
        let is_told = !["GET", "HEAD", "OPTIONS"].contains(&method);
        let parent = correlation.parent.map(TraceParent::span_id);
        let name = || format!("{method} {}", route.as_ref().map_or(UNMATCHED, MatchedPath::as_str));
        let span =
            is_told.then(|| Span::of(correlation.traceparent, parent, name, SpanKind::Server)).flatten();
        let span = span.map(|span| span.attribute("posthaste.correlation_id", correlation.id.as_str()));
        Self { metrics, route, method, start: Instant::now(), is_ended: false, span }
    }

    fn end(&mut self, status: u16) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        self.metrics.in_flight.decrement(1.0);
        let route = self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        let took = self.start.elapsed();
        self.metrics.answered(route, self.method, status, took);
        if let Some(span) = self.span.take() {
            let span = span
                .attribute("http.request.method", self.method)
                .attribute("http.route", route)
                .attribute("http.response.status_code", status);
            if status < 500 { span } else { span.failed("answered with an error") }.record();
        }
        let duration_ms = took.as_secs_f64() * 1e3;
        tracing::debug!(
            http.route = route,
            http.method = self.method,
            http.status = status,
            duration_ms,
            "answered"
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(CLIENT_LEFT);
    }
}

/// The method as a label: what a caller made up is `OTHER`.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
