//! One message, one call: admitted or put off, sent, and what its answer makes of the message.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use posthaste_base::{Category, Priority};
use posthaste_broker::{
    Attempted, BodyType, Broker, Effect, EndpointSettings, Message, Queue, Settlement, effect,
};
use posthaste_engine::backoff::Backoff;
use posthaste_engine::body;
use posthaste_engine::failure::{Failure, Next, Transport, after_failure, classify_http, classify_transport};
use posthaste_engine::guard::{Admit, Outcome, held_ms};
use posthaste_observe::{CorrelationId, Span, SpanKind, TraceParent};
use serde_json::{Value, json};

use crate::gate::{Destination, Gate};
use crate::verdict::message_id;
use crate::{Answer, Client, Request, TransportError, TransportKind, webhook};

/// How much of an answer is kept with the attempt.
pub(crate) const RESPONSE_BYTES_MAX: usize = 512;

/// What a node's attempts share.
pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) client: Client,
    /// The same client, for answers that are read to their end.
    pub(crate) function_client: Client,
    pub(crate) time: Time,
}

/// The time of guards: the database's when it was asked last, and what has passed since. Nodes compare it, and a clock
/// that jumps would leave their messages in a far future.
pub(crate) struct Time {
    started: Instant,
    /// The database's time when this clock started.
    started_ms: AtomicI64,
}

impl Time {
    pub(crate) fn new(now_ms: i64) -> Self {
        Self { started: Instant::now(), started_ms: AtomicI64::new(now_ms) }
    }

    pub(crate) fn set(&self, now_ms: i64) {
        self.started_ms.store(now_ms.saturating_sub(self.passed_ms()), Ordering::Relaxed);
    }

    fn now_ms(&self) -> i64 {
        self.started_ms.load(Ordering::Relaxed).saturating_add(self.passed_ms())
    }

    fn passed_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX / 2)
    }
}

/// How a call ended, for the guard and for every message that it carried.
#[derive(Clone)]
pub(crate) struct Called {
    /// Whether it was made at all: what was refused here, or failed on purpose, says nothing of the endpoint.
    pub(crate) is_made: bool,
    pub(crate) status: Option<u16>,
    pub(crate) latency_ms: u32,
    pub(crate) failure: Option<Failure>,
    pub(crate) response: Vec<u8>,
}

impl Shared {
    pub(crate) fn now_ms(&self) -> i64 {
        self.time.now_ms()
    }

    /// Delivers one message to a webhook; answers with how it ends.
    pub(crate) async fn deliver(&self, gate: &Gate, queue: &Queue, message: &Message) -> Settlement {
        let destination = gate.destination();
        if let Some(put_off) = self.put_off(gate, &destination, message) {
            return put_off;
        }
        let trial = match gate.admit(self.now_ms(), random()) {
            Admit::Go { trial } => trial,
            Admit::Later { until_ms, .. } => {
                return Settlement::deferred(message.receipt, until_ms - self.now_ms());
            }
        };
        let mut guarded = Guarded { shared: self, gate, trial, ended: None };
        let called = self.call(&destination, queue, message).await;
        guarded.ended = Some((outcome(&called), called.latency_ms));
        drop(guarded);
        self.conclude(gate, queue, message, called)
    }

    /// Why a message is not even tried: its endpoint is paused, or calls to it cannot be signed.
    pub(crate) fn put_off(
        &self,
        gate: &Gate,
        destination: &Destination,
        message: &Message,
    ) -> Option<Settlement> {
        if !destination.is_held() {
            return None;
        }
        gate.metrics.deferred(posthaste_observe::Deferral::Pause);
        Some(Settlement::deferred(message.receipt, held_ms(destination.held_for_ms(), random())))
    }

    /// What a failure mode does to an attempt.
    pub(crate) fn provocation(&self, destination: &Destination, message: &Message) -> Effect {
        let mode = self.broker.failure_mode();
        let mode = mode.filter(|mode| mode.applies_to(&destination.declared.name));
        mode.map_or(Effect::None, |mode| effect(&mode, message.id, message.receives))
    }

    /// One call, which ends within the queue's worker timeout: well before the lease does.
    async fn call(&self, destination: &Destination, queue: &Queue, message: &Message) -> Called {
        let mut timeout = timeout(destination, queue);
        match self.provocation(destination, message) {
            Effect::Delay { delay_ms } => {
                let delay = Duration::from_millis(delay_ms.into()).min(worker_timeout(queue));
                tokio::time::sleep(delay).await;
                timeout = timeout.min(worker_timeout(queue).saturating_sub(delay));
            }
            Effect::FailValidation => return provoked(Category::Validation),
            Effect::FailTransient => return provoked(Category::Transient),
            Effect::None | Effect::Duplicate => {}
        }
        let endpoint = match &destination.address {
            Ok(endpoint) => endpoint,
            Err(error) => return refused(classify_transport(Transport::AddressRefused, &error.to_string())),
        };
        let span = attempt_span(destination, queue, message);
        let context = span.as_ref().map(Span::context);
        let traceparent = context.or_else(|| trace(message).map(TraceParent::child));
        let (body, headers) = composed(destination, message, traceparent, self.broker.clock().now());
        let request = Request { endpoint, body, headers, timeout };
        let mut called = called(self.client.post(request).await, self.now_ms());
        // A delay has used up all the time.
        called.is_made &= !timeout.is_zero();
        record(span, &called);
        called
    }

    /// What the answer to a call makes of one of its messages.
    pub(crate) fn conclude(
        &self,
        gate: &Gate,
        queue: &Queue,
        message: &Message,
        called: Called,
    ) -> Settlement {
        let Called { status, latency_ms, failure, response, .. } = called;
        let destination = gate.destination();
        let endpoint = &destination.declared.name;
        // One step of the event's way, which its correlation id ties to the others.
        tracing::debug!(
            event.id = message.event.as_ref().map(|event| event.id.to_string()),
            message.id = %message.id,
            endpoint.name = endpoint,
            receive = message.receives,
            status,
            latency_ms,
            code = failure.as_ref().map(|one| one.code.as_ref()),
            "{} by `{endpoint}`",
            if failure.is_none() { "taken" } else { "not taken" },
        );
        gate.metrics
            .attempt(failure.as_ref().map(|one| one.category), Duration::from_millis(latency_ms.into()));
        let attempted = Attempted {
            message: message.id,
            event: message.event.as_ref().map(|event| event.id),
            endpoint: gate.id,
            receive: message.receives,
            status,
            latency_ms,
            failure: failure.as_ref().map(|one| (one.category, one.code.to_string(), one.message.clone())),
            response: response.into_iter().take(RESPONSE_BYTES_MAX).collect(),
        };
        let settlement = match failure {
            None => {
                self.record_latency(queue, message);
                Settlement::done(message.receipt)
            }
            Some(failure) => {
                let settings = &queue.settings;
                let backoff = Backoff {
                    base_ms: settings.backoff_base_ms.into(),
                    cap_ms: settings.backoff_cap_ms.into(),
                };
                let next = after_failure(
                    failure.category,
                    message.receives,
                    settings.max_receives.into(),
                    &backoff,
                    failure.retry_after_ms,
                    random(),
                );
                match next {
                    Next::Retry { delay_ms } => {
                        Settlement::retry(message.receipt, i64::try_from(delay_ms).unwrap_or(i64::MAX))
                    }
                    Next::Dead => Settlement::dead(message.receipt, &failure),
                }
            }
        };
        settlement.after(attempted)
    }

    /// From when the message was due to now.
    fn record_latency(&self, queue: &Queue, message: &Message) {
        let due_at = message.event.as_ref().map_or(message.sent_at, |event| event.due_at);
        let latency = self.broker.clock().now().duration_since(due_at);
        self.broker.queue_metrics(queue).latency_seconds.record(latency.as_secs_f64().max(0.0));
    }
}

/// Tells the guard how an admitted call ended, also when the call is dropped in the middle.
pub(crate) struct Guarded<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) gate: &'a Gate,
    pub(crate) trial: bool,
    pub(crate) ended: Option<(Outcome, u32)>,
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        let (outcome, latency_ms) = self.ended.unwrap_or((Outcome::Abandoned, 0));
        self.gate.done(&self.shared.broker, self.shared.now_ms(), self.trial, outcome, latency_ms);
    }
}

pub(crate) fn outcome(called: &Called) -> Outcome {
    if !called.is_made {
        return Outcome::Abandoned;
    }
    called.failure.as_ref().map_or(Outcome::Succeeded, |failure| Outcome::Failed(failure.category))
}

/// What an answer means.
pub(crate) fn called(answer: Answer, now_ms: i64) -> Called {
    let failure = match (answer.status, &answer.transport_error) {
        (_, Some(error)) => Some(classify_transport(transport(error.kind), &error.message)),
        (Some(status), None) => classify_http(status, answer.retry_after.as_deref(), now_ms),
        (None, None) => Some(classify_transport(Transport::Protocol, "")),
    };
    let is_refused = |error: &TransportError| error.kind == TransportKind::AddressRefused;
    Called {
        is_made: !answer.transport_error.as_ref().is_some_and(is_refused),
        status: answer.status,
        latency_ms: answer.latency_ms,
        failure,
        response: answer.head.to_vec(),
    }
}

/// What one call may take: the endpoint's own limit, within the queue's.
pub(crate) fn timeout(destination: &Destination, queue: &Queue) -> Duration {
    Duration::from_millis(destination.declared.settings.timeout_ms.into()).min(worker_timeout(queue))
}

pub(crate) fn worker_timeout(queue: &Queue) -> Duration {
    Duration::from_secs(queue.settings.worker_timeout_seconds.into())
}

fn transport(kind: TransportKind) -> Transport {
    match kind {
        TransportKind::AddressRefused => Transport::AddressRefused,
        TransportKind::Dns => Transport::Dns,
        TransportKind::ConnectRefused => Transport::ConnectRefused,
        TransportKind::ConnectTimeout | TransportKind::Timeout => Transport::Timeout,
        TransportKind::Tls => Transport::Tls,
        TransportKind::Reset => Transport::ConnectionReset,
        TransportKind::MalformedAnswer => Transport::Protocol,
    }
}

/// Of a call that is not made.
pub(crate) fn refused(failure: Failure) -> Called {
    Called { is_made: false, status: None, latency_ms: 0, failure: Some(failure), response: Vec::new() }
}

/// A failure that a failure mode asked for.
pub(crate) fn provoked(category: Category) -> Called {
    refused(Failure {
        category,
        code: "failure-mode".into(),
        message: "a failure mode made this attempt fail".into(),
        retry_after_ms: None,
    })
}

pub(crate) fn add_own_headers(headers: &mut HeaderMap, destination: &Destination) {
    for (name, value) in &destination.declared.settings.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
        {
            // What identifies and signs the message is not for settings to change.
            headers.entry(name).or_insert(value);
        }
    }
}

/// The body and the headers of a call for one message.
pub(crate) fn composed(
    destination: &Destination,
    message: &Message,
    traceparent: Option<TraceParent>,
    now: Timestamp,
) -> (Bytes, HeaderMap) {
    let webhook_id = message_id(message.id);
    let settings = &destination.declared.settings;
    let (body, content_type) = written(settings, message);
    let event = message.event.as_ref();
    let traceparent = traceparent.map(|own| own.to_string());
    let correlation = correlation(message);
    let mut headers = webhook::headers(&webhook::Attempt {
        webhook_id: &webhook_id,
        timestamp_seconds: now.as_second(),
        body: &body,
        content_type,
        keys: &destination.keys(now),
        idempotency_key: event.map_or(&webhook_id, |event| &event.key),
        event_type: event.map_or("message", |event| &event.event_type),
        traceparent: traceparent.as_deref(),
        correlation_id: correlation.as_ref().map(CorrelationId::as_str),
        receive_count: message.receives,
        event: event.filter(|_| settings.body.is_none()),
    });
    add_own_headers(&mut headers, destination);
    (body, headers)
}

/// What an endpoint is sent: the payload, or a body of the endpoint's own form; with its content type, where that is
/// not the usual one.
fn written(settings: &EndpointSettings, message: &Message) -> (Bytes, Option<&'static str>) {
    let Some(template) = &settings.body else { return (message.payload.clone(), None) };
    let filled_in = filled_in(template, message);
    match settings.body_type {
        BodyType::Json => (filled_in.to_string().into(), None),
        BodyType::Form => (body::form(&filled_in).into(), Some("application/x-www-form-urlencoded")),
    }
}

fn filled_in(template: &Value, message: &Message) -> Value {
    let object = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let payload = serde_json::from_slice(&message.payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&message.payload).into_owned()));
    let mut event = json!({
        "id": message.id,
        "type": "message",
        "attributes": object(message.attributes.as_deref()),
        "payload": payload,
    });
    if let Some(of) = &message.event {
        event["id"] = json!(of.id);
        event["type"] = json!(of.event_type);
        event["key"] = json!(of.key);
        event["subject"] = json!(of.subject);
        event["priority"] = json!(of.priority);
        event["dueAt"] = json!(of.due_at);
        event["attributes"] = json!(object(of.attributes.as_deref()));
    }
    body::render(template, &event)
}

/// The trace that a message's event came in, or the event's own: what is done for it belongs together.
pub(crate) fn trace(message: &Message) -> Option<TraceParent> {
    let event = message.event.as_ref()?;
    let given = event.correlation_id.as_deref().and_then(TraceParent::of_correlation);
    Some(given.unwrap_or_else(|| TraceParent::of_event(event.id.0.as_u128())))
}

/// What the log lines of an attempt, its call and its receiver are found by: the id that the event came with, or that of
/// its trace.
pub(crate) fn correlation(message: &Message) -> Option<CorrelationId> {
    let given = message.event.as_ref()?.correlation_id.as_deref();
    let given = given.and_then(|stored| CorrelationId::parse(CorrelationId::of_stored(stored).as_bytes()));
    given.or_else(|| trace(message).map(CorrelationId::of_trace))
}

/// How long a message was in its queue, as a span of its event's trace.
pub(crate) fn record_receive(broker: &Broker, queue: &Queue, message: &Message) {
    let Some(parent) = trace(message) else { return };
    let name = || format!("receive {}", queue.name);
    let Some(span) = Span::below(parent, name, SpanKind::Consumer) else { return };
    let waited = Duration::try_from(broker.clock().now().duration_since(message.sent_at)).unwrap_or_default();
    about(span.since(waited), queue, message).record();
}

fn attempt_span(destination: &Destination, queue: &Queue, message: &Message) -> Option<Span> {
    let name = || format!("deliver {}", destination.declared.name);
    let span = Span::below(trace(message)?, name, SpanKind::Client)?;
    Some(about(call_span(span, destination), queue, message))
}

pub(crate) fn call_span(span: Span, destination: &Destination) -> Span {
    span.attribute("http.request.method", "POST").attribute("posthaste.endpoint", &*destination.declared.name)
}

fn about(span: Span, queue: &Queue, message: &Message) -> Span {
    let event = message.event.as_ref();
    span.attribute("messaging.destination.name", &*queue.name)
        .attribute("messaging.message.id", message.id.to_string())
        .attribute("posthaste.receive", message.receives)
        .attribute("posthaste.event.id", event.map(|event| event.id.to_string()))
        .attribute("posthaste.correlation_id", correlation(message).map(|id| id.as_str().to_owned()))
        .attribute("posthaste.event.type", event.map(|event| event.event_type.clone()))
}

/// Ends the span of a call by what came back.
pub(crate) fn record(span: Option<Span>, called: &Called) {
    let Some(span) = span else { return };
    let span = span.attribute("http.response.status_code", called.status);
    match &called.failure {
        None => span,
        Some(failure) => span.attribute("error.type", &*failure.code).failed(&failure.message),
    }
    .record();
}

/// A number from 0 to 1, for spreading waits.
pub(crate) fn random() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

/// How the priority queues are named, in the order of their urgency.
pub(crate) fn priority_queues() -> impl Iterator<Item = &'static str> {
    Priority::ALL.into_iter().map(Priority::queue_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_where_it_was_set_to() {
        let time = Time::new(0);
        for at_ms in [1_000_000_000_000, 0] {
            time.set(at_ms);
            assert!((at_ms..at_ms + 60_000).contains(&time.now_ms()));
        }
    }
}
