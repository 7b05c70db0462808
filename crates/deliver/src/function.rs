//! Several messages, one call: an HTTP endpoint that takes a batch and answers with the ids that failed.
//!
//! A call that is refused for good may have been for one of its messages, so each is then called for by itself: one bad
//! message costs the others a call, and not their lives (requirements, D12). Not for: what an answer names (see
//! `verdict`), or which messages go together (see `window`).

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use posthaste_base::{Category, EventId, MessageId, Priority};
use posthaste_broker::{Effect, Message, Queue, Settlement};
use posthaste_engine::failure::{Transport, classify_transport};
use posthaste_engine::guard::Admit;
use posthaste_observe::{Span, SpanKind, TraceParent};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::attempt::{
    Called, Guarded, RESPONSE_BYTES_MAX, Shared, add_own_headers, call_span, called, correlation, outcome,
    provoked, random, record, refused, timeout, trace, worker_timeout,
};
use crate::gate::{Destination, Gate};
use crate::verdict::{ANSWER_BYTES_MAX, cut_off, failed, message_id, named_as_failed, too_long};
use crate::window::Batch;
use crate::{Answer, Request, webhook};

#[derive(Serialize)]
struct Body<'a> {
    messages: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    id: String,
    receives: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    key: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
    payload: Cow<'a, RawValue>,
}

/// What came of a batch.
pub(crate) struct Ended<'a> {
    pub(crate) settlements: Vec<Settlement>,
    /// Those that were refused together, to be called for one by one.
    pub(crate) refused: Vec<&'a Message>,
    /// When all calls of the batch have ended: well before its leases do.
    pub(crate) until: Instant,
}

impl Shared {
    /// Delivers a batch to a function by one call.
    pub(crate) async fn deliver_batch<'a>(&self, queue: &Queue, batch: &'a Batch) -> Ended<'a> {
        let Batch { gate, messages, .. } = batch;
        let until = Instant::now() + worker_timeout(queue);
        let ended = |settlements| Ended { settlements, refused: Vec::new(), until };
        let destination = gate.destination();
        if destination.is_held() {
            batch.keep_alone();
            return ended(messages.iter().filter_map(|one| self.put_off(gate, &destination, one)).collect());
        }
        let trial = match gate.admit(self.now_ms(), random()) {
            Admit::Go { trial } => trial,
            Admit::Later { until_ms, .. } => return ended(batch.put_off(until_ms - self.now_ms())),
        };
        let mut guarded = Guarded { shared: self, gate, trial, ended: None };
        // What a failure mode does, it does to each message by itself.
        let mut settlements = Vec::with_capacity(messages.len());
        let (mut called_with, mut delay) = (Vec::with_capacity(messages.len()), Duration::ZERO);
        for message in messages {
            let category = match self.provocation(&destination, message) {
                Effect::FailValidation => Category::Validation,
                Effect::FailTransient => Category::Transient,
                Effect::Delay { delay_ms } => {
                    delay = delay.max(Duration::from_millis(delay_ms.into()));
                    called_with.push(message);
                    continue;
                }
                Effect::None | Effect::Duplicate => {
                    called_with.push(message);
                    continue;
                }
            };
            settlements.push(self.conclude(gate, queue, message, provoked(category)));
        }
        if called_with.is_empty() {
            return ended(settlements);
        }
        let delay = delay.min(worker_timeout(queue));
        tokio::time::sleep(delay).await;
        let timeout = timeout(&destination, queue).min(worker_timeout(queue).saturating_sub(delay));
        let called = self.call_function(&destination, &called_with, timeout).await;
        guarded.ended = Some((outcome(&called), called.latency_ms));
        drop(guarded);
        if called_with.len() > 1 && is_refused_as_a_whole(&called) {
            return Ended { settlements, refused: called_with, until };
        }
        settlements.extend(self.conclude_all(gate, queue, &called_with, called));
        ended(settlements)
    }

    /// Delivers one message of a call that was refused, in what is left of the time that its batch had. If it cannot
    /// be called for now, it comes back to go alone; that counts as no receive.
    pub(crate) async fn deliver_alone(
        &self,
        gate: &Gate,
        queue: &Queue,
        message: &Message,
        until: Instant,
    ) -> Settlement {
        let put_off = |delay_ms| put_off_alone(gate, message, delay_ms);
        let destination = gate.destination();
        if let Some(put_off) = self.put_off(gate, &destination, message) {
            gate.send_alone(message.id);
            return put_off;
        }
        let timeout = timeout(&destination, queue);
        // Without time for a whole call, a slow answer would be taken for none.
        if until.saturating_duration_since(Instant::now()) < timeout {
            return put_off(0);
        }
        let trial = match gate.admit(self.now_ms(), random()) {
            Admit::Go { trial } => trial,
            Admit::Later { until_ms, .. } => return put_off(until_ms - self.now_ms()),
        };
        let mut guarded = Guarded { shared: self, gate, trial, ended: None };
        let called = self.call_function(&destination, &[message], timeout).await;
        guarded.ended = Some((outcome(&called), called.latency_ms));
        drop(guarded);
        let concluded = self.conclude_all(gate, queue, &[message], called);
        concluded.into_iter().next().unwrap_or_else(|| put_off(0))
    }

    /// What the answer to a call makes of each of its messages.
    fn conclude_all(
        &self,
        gate: &Gate,
        queue: &Queue,
        messages: &[&Message],
        mut called: Called,
    ) -> Vec<Settlement> {
        let sent: Vec<_> = messages.iter().map(|message| message.id).collect();
        let failed = verdict(&mut called, &sent);
        called.response.truncate(RESPONSE_BYTES_MAX);
        let conclude = |message: &&Message| {
            let mut own = called.clone();
            if failed.contains(&message.id) {
                own.failure = Some(named_as_failed());
            }
            self.conclude(gate, queue, message, own)
        };
        messages.iter().map(conclude).collect()
    }

    async fn call_function(
        &self,
        destination: &Destination,
        messages: &[&Message],
        timeout: Duration,
    ) -> Called {
        let endpoint = match &destination.address {
            Ok(endpoint) => endpoint,
            Err(error) => return refused(classify_transport(Transport::AddressRefused, &error.to_string())),
        };
        let span = batch_span(destination, messages);
        let traceparent = span.as_ref().map(Span::context);
        let (body, headers) =
            match composed_batch(destination, messages, traceparent, self.broker.clock().now()) {
                Ok(composed) => composed,
                Err(error) => return refused(classify_transport(Transport::Protocol, &error.to_string())),
            };
        let request = Request { endpoint, body, headers, timeout };
        let mut called = answered(self.function_client.post(request).await, self.now_ms());
        called.is_made &= !timeout.is_zero();
        record(span, &called);
        called
    }
}

/// A message comes back to go alone; this receive does not count.
pub(crate) fn put_off_alone(gate: &Gate, message: &Message, delay_ms: i64) -> Settlement {
    gate.send_alone(message.id);
    Settlement::deferred(message.receipt, delay_ms)
}

/// The body and the headers of a call for several messages.
pub(crate) fn composed_batch(
    destination: &Destination,
    messages: &[&Message],
    traceparent: Option<TraceParent>,
    now: Timestamp,
) -> serde_json::Result<(Bytes, HeaderMap)> {
    let body = Body { messages: messages.iter().map(|message| item(message)).collect() };
    let body = Bytes::from(serde_json::to_vec(&body)?);
    // The batch is new each time it is tried. A redrive counts receives anew, so they do not tell its calls apart.
    let (first, receives) = messages.first().map_or((MessageId(0), 1), |first| (first.id, first.receives));
    let now_ms = now.as_millisecond();
    let webhook_id = match messages.len() {
        1 => format!("{}_{receives}_{now_ms}", message_id(first)),
        _ => format!("batch_{first}_{receives}_{now_ms}"),
    };
    let traceparent = traceparent.map(|own| own.to_string());
    let mut headers = webhook::headers(&webhook::Attempt {
        webhook_id: &webhook_id,
        timestamp_seconds: now.as_second(),
        body: &body,
        content_type: None,
        keys: &destination.keys(now),
        idempotency_key: &webhook_id,
        event_type: "batch",
        traceparent: traceparent.as_deref(),
        correlation_id: None,
        receive_count: receives,
        event: None,
    });
    add_own_headers(&mut headers, destination);
    Ok((body, headers))
}

/// What came back from a function: an answer that was not read to its end says nothing of the messages.
pub(crate) fn answered(answer: Answer, now_ms: i64) -> Called {
    let is_whole = answer.is_whole;
    let mut called = called(answer, now_ms);
    if called.failure.is_none() && !is_whole {
        let is_long = called.response.len() >= ANSWER_BYTES_MAX;
        called.failure = Some(if is_long { too_long() } else { cut_off() });
    }
    called
}

/// The messages that an answer names as failed; an answer that cannot be understood is a failure of all.
pub(crate) fn verdict(called: &mut Called, sent: &[MessageId]) -> HashSet<MessageId> {
    if called.failure.is_some() {
        return HashSet::new();
    }
    failed(&called.response, sent).unwrap_or_else(|failure| {
        called.failure = Some(failure);
        HashSet::new()
    })
}

/// Whether an answer refuses for good what may be one message's fault. Nobody answered a call that was not made.
fn is_refused_as_a_whole(called: &Called) -> bool {
    let is_permanent = called.failure.as_ref().is_some_and(|failure| failure.category == Category::Permanent);
    is_permanent && called.status.is_some()
}

/// A call for many traces is one of its own, which names them.
fn batch_span(destination: &Destination, messages: &[&Message]) -> Option<Span> {
    let name = || format!("deliver {}", destination.declared.name);
    let span = Span::of(TraceParent::generate(), None, name, SpanKind::Client)?;
    let span = call_span(span, destination).attribute("messaging.batch.message_count", messages.len());
    Some(messages.iter().filter_map(|message| trace(message)).fold(span, Span::link))
}

fn item(message: &Message) -> Item<'_> {
    let event = message.event.as_ref();
    let id = message_id(message.id);
    let attributes = event.map_or(&message.attributes, |event| &event.attributes);
    Item {
        key: event.map_or_else(|| id.clone().into(), |event| event.key.as_str().into()),
        id,
        receives: message.receives,
        event_id: event.map(|event| event.id),
        r#type: event.map(|event| event.event_type.as_str()),
        subject: event.and_then(|event| event.subject.as_deref()),
        priority: event.map(|event| event.priority),
        due_at: event.map(|event| event.due_at),
        correlation_id: correlation(message).map(|id| id.as_str().to_owned()),
        attributes: attributes.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        payload: raw(&message.payload),
    }
}

/// A payload as it is when it is JSON, and as a JSON text otherwise.
fn raw(payload: &[u8]) -> Cow<'_, RawValue> {
    if let Ok(json) = serde_json::from_slice::<&RawValue>(payload) {
        return Cow::Borrowed(json);
    }
    let text = serde_json::value::to_raw_value(&String::from_utf8_lossy(payload));
    text.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_that_are_not_json_become_texts() {
        assert_eq!(raw(br#"{"a": 1}"#).get(), r#"{"a": 1}"#);
        assert_eq!(raw(b"hello").get(), r#""hello""#);
        assert_eq!(raw(b"\xff").get(), "\"\u{fffd}\"");
    }
}
