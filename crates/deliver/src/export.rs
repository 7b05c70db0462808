//! Sends recorded spans to a collector, by OTLP over HTTP in its JSON encoding.
//!
//! It is here because this crate owns the one HTTP client. The collector's address is the operator's, not a
//! stranger's, so it may be private. Nothing waits for it: what a collector does not take in time is dropped and
//! counted. Not for: recording (see `posthaste_observe::span`).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use posthaste_base::{Code, Error, Secret};
use posthaste_engine::backoff::Backoff;
use posthaste_observe::span::{self, Span};
use posthaste_observe::{SpanMetrics, TraceParent};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::attempt::random;
use crate::webhook::{CONTENT_TYPE_DEFAULT, USER_AGENT};
use crate::{AddressPolicy, Answer, Client, ClientOptions, Endpoint, Network, Request};

/// How often what was recorded is sent.
const EVERY: Duration = Duration::from_millis(500);
/// Spans of one request.
const REQUEST_SPANS_MAX: usize = 512;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests for the same spans, waits between them as for messages.
const TRIES_MAX: u32 = 4;
const BACKOFF: Backoff = Backoff { base_ms: 500, cap_ms: 5_000 };
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// What the last spans may take when the node stops.
const LAST: Duration = Duration::from_secs(2);

/// Where spans go.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The whole address, such as `http://collector:4318/v1/traces`.
    pub url: String,
    /// Sent with every request, such as the collector's key.
    pub headers: BTreeMap<String, Secret>,
    /// How much of the traces that begin here is recorded.
    pub percent: u32,
}

impl ExportOptions {
    /// Refuses what could not be sent, before the first span is lost by it.
    pub fn check(&self) -> Result<(), Error> {
        self.endpoint().and(self.headers()).map(drop)
    }

    fn endpoint(&self) -> Result<Endpoint, Error> {
        Endpoint::parse(&self.url)
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let refuse = || {
                Error::new(Code::InvalidConfig, format!("the header `{name}` cannot be sent"))
                    .field("headers")
                    .expected("the name of a header, and visible ASCII")
            };
            let mut value = HeaderValue::try_from(value.expose()).map_err(|_| refuse())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name.as_str()).map_err(|_| refuse())?, value);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_DEFAULT));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        Ok(headers)
    }
}

/// Records spans from now on, and sends them until it is told to stop; then it sends what is left, and ends.
pub fn export_spans(options: ExportOptions, stop: CancellationToken) -> Result<JoinHandle<()>, Error> {
    let client = ClientOptions {
        policy: AddressPolicy { allow: vec![Network::ALL] },
        idle_connections_per_host_max: 1,
        ..ClientOptions::default()
    };
    let exporter = Exporter {
        client: Client::new(client)?,
        endpoint: options.endpoint()?,
        headers: options.headers()?,
        instance: format!("{:016x}", TraceParent::generate().span_id()),
        metrics: SpanMetrics::new(),
        is_reachable: true,
    };
    span::start(options.percent);
    Ok(tokio::spawn(exporter.run(stop)))
}

struct Exporter {
    client: Client,
    endpoint: Endpoint,
    headers: HeaderMap,
    /// Tells this node from others.
    instance: String,
    metrics: SpanMetrics,
    is_reachable: bool,
}

impl Exporter {
    async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let spans = span::take();
            for part in spans.chunks(REQUEST_SPANS_MAX) {
                // What is being sent when the node stops is sent as the last.
                if stop.run_until_cancelled(self.send(part)).await.is_none() {
                    self.send_last(part).await;
                }
            }
        }
        let spans = span::take();
        for part in spans.chunks(REQUEST_SPANS_MAX) {
            self.send_last(part).await;
        }
    }

    async fn send(&mut self, spans: &[Span]) {
        for tries in 1..=TRIES_MAX {
            let answer = self.post(spans, REQUEST_TIMEOUT).await;
            let Some(after) = wait_for(&answer, tries) else { return self.end(spans, &answer) };
            tokio::time::sleep(after).await;
        }
    }

    async fn send_last(&mut self, spans: &[Span]) {
        // One that did not answer before would only hold the node up.
        if self.is_reachable {
            let answer = self.post(spans, LAST).await;
            self.end(spans, &answer);
        } else {
            self.metrics.unreachable.increment(spans.len() as u64);
        }
    }

    async fn post(&self, spans: &[Span], timeout: Duration) -> Answer {
        let body = Bytes::from(span::to_otlp(spans, &self.instance).to_string());
        let request = Request { endpoint: &self.endpoint, body, headers: self.headers.clone(), timeout };
        self.client.post(request).await
    }

    /// Counts how it ended; the log says once that it went wrong, and once that it is good again.
    fn end(&mut self, spans: &[Span], answer: &Answer) {
        let is_taken = answer.is_success();
        let counter = match (is_taken, answer.status) {
            (true, _) => &self.metrics.exported,
            (false, Some(status)) if !is_passing(status) => &self.metrics.refused,
            (false, _) => &self.metrics.unreachable,
        };
        counter.increment(spans.len() as u64);
        if is_taken == self.is_reachable {
            return;
        }
        self.is_reachable = is_taken;
        let error = answer.transport_error.as_ref().map(ToString::to_string);
        match is_taken {
            true => tracing::info!("the collector takes spans again"),
            false => tracing::warn!(
                status = answer.status,
                error,
                "the collector takes no spans; they are dropped"
            ),
        }
    }
}

/// What the specification of OTLP says to try again.
fn is_passing(status: u16) -> bool {
    [429, 502, 503, 504].contains(&status)
}

/// How long until the next try, if there is to be one.
fn wait_for(answer: &Answer, tries: u32) -> Option<Duration> {
    if tries >= TRIES_MAX || answer.status.is_some_and(|status| !is_passing(status)) {
        return None;
    }
    let asked =
        answer.retry_after.as_deref().and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let own = Duration::from_millis(BACKOFF.delay_ms(tries, random()));
    Some(asked.unwrap_or(own).min(RETRY_AFTER_MAX))
}
