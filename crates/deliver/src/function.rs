//! Several messages, one call: an HTTP endpoint that takes a batch and answers with the ids that failed.
//!
//! The request is `{"messages": [{"id", "receives", "type", "key", "subject", "dueAt", "correlationId", "payload"}]}`. Any 2xx is a
//! success of all but the ids in `failed` (also `batchItemFailures`, as functions of a cloud answer); a body that
//! cannot be read names none.

use std::collections::HashSet;
use std::time::Duration;

use posthaste_base::Category;
use posthaste_broker::{Effect, Message, Queue, Settlement};
use posthaste_engine::failure::{Failure, Transport, classify_transport};
use posthaste_engine::guard::Admit;
use posthaste_observe::{Span, SpanKind, TraceParent};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::attempt::{
    Called, Guarded, Shared, add_own_headers, call_span, called, correlation, outcome, provoked, random,
    record, refused, timeout, trace, worker_timeout,
};
use crate::gate::{Destination, Gate};
use crate::{Request, webhook};

/// How much of an answer is read for the ids that failed.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;

#[derive(Serialize)]
struct Batch<'a> {
    messages: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    id: String,
    receives: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    payload: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Verdict {
    failed: Vec<String>,
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl Shared {
    /// Delivers a batch to a function; answers with how each message ends.
    pub(crate) async fn deliver_batch(
        &self,
        gate: &Gate,
        queue: &Queue,
        messages: &[Message],
    ) -> Vec<Settlement> {
        let destination = gate.destination();
        if destination.declared.paused {
            return messages.iter().filter_map(|one| self.put_off(gate, &destination, one)).collect();
        }
        let trial = match gate.admit(self.now_ms(), random()) {
            Admit::Go { trial } => trial,
            Admit::Later { until_ms, .. } => {
                let delay_ms = until_ms - self.now_ms();
                return messages.iter().map(|one| Settlement::deferred(one.receipt, delay_ms)).collect();
            }
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
            return settlements;
        }
        let delay = delay.min(worker_timeout(queue));
        tokio::time::sleep(delay).await;
        let timeout = timeout(&destination, queue).min(worker_timeout(queue).saturating_sub(delay));
        let called = self.call_function(&destination, &called_with, timeout).await;
        guarded.ended = Some((outcome(&called), called.latency_ms));
        drop(guarded);
        let failed = if called.failure.is_none() { failed_ids(&called.response) } else { HashSet::new() };
        settlements.extend(called_with.into_iter().map(|message| {
            let is_failed = failed.contains(&message_id(message));
            let failure = if is_failed { Some(named_as_failed()) } else { called.failure.clone() };
            let (status, latency_ms) = (called.status, called.latency_ms);
            let own = Called { status, latency_ms, failure, response: called.response.clone() };
            self.conclude(gate, queue, message, own)
        }));
        settlements
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
        let batch = Batch { messages: messages.iter().map(|message| item(message)).collect() };
        let body = match serde_json::to_vec(&batch) {
            Ok(body) => bytes::Bytes::from(body),
            Err(error) => return refused(classify_transport(Transport::Protocol, &error.to_string())),
        };
        // The batch is new each time it is tried, so its id is that of its first message at this receive.
        let first = messages[0];
        let webhook_id = format!("batch_{}_{}", first.id, first.receives);
        let span = batch_span(destination, messages);
        let traceparent = span.as_ref().map(|span| span.context().to_string());
        let now = self.broker.clock().now();
        let keys = destination.keys(now);
        let attempt = webhook::Attempt {
            webhook_id: &webhook_id,
            timestamp_seconds: now.as_second(),
            body: &body,
            content_type: None,
            keys: &keys,
            idempotency_key: &webhook_id,
            event_type: "batch",
            traceparent: traceparent.as_deref(),
            correlation_id: None,
            receive_count: first.receives,
        };
        let mut headers = webhook::headers(&attempt);
        add_own_headers(&mut headers, destination);
        let request = Request { endpoint, body, headers, timeout };
        let mut called = called(self.function_client.post(request).await, self.now_ms());
        if called.failure.is_none() && called.response.len() >= ANSWER_BYTES_MAX {
            called.failure = Some(too_long());
        }
        record(span, &called);
        called
    }
}

/// A call for many traces is one of its own, which names them.
fn batch_span(destination: &Destination, messages: &[&Message]) -> Option<Span> {
    let name = || format!("deliver {}", destination.declared.name);
    let span = Span::of(TraceParent::generate(), None, name, SpanKind::Client)?;
    let span = call_span(span, destination).attribute("messaging.batch.message_count", messages.len());
    Some(messages.iter().filter_map(|message| trace(message)).fold(span, Span::link))
}

fn message_id(message: &Message) -> String {
    format!("msg_{}", message.id)
}

fn item(message: &Message) -> Item<'_> {
    let event = message.event.as_ref();
    Item {
        id: message_id(message),
        receives: message.receives,
        r#type: event.map(|event| event.event_type.as_str()),
        key: event.map_or_else(|| message_id(message), |event| event.key.clone()),
        subject: event.and_then(|event| event.subject.as_deref()),
        due_at: event.map(|event| event.due_at.to_string()),
        correlation_id: correlation(message).map(|id| id.to_string()),
        payload: raw(&message.payload),
    }
}

/// A payload as it is when it is JSON, and as a JSON text otherwise.
fn raw(payload: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(payload);
    RawValue::from_string(text.to_string())
        .or_else(|_| serde_json::value::to_raw_value(&text))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn failed_ids(response: &[u8]) -> HashSet<String> {
    let verdict: Verdict = serde_json::from_slice(response).unwrap_or_default();
    let items = verdict.batch_item_failures.into_iter().map(|one| one.item_identifier);
    verdict.failed.into_iter().chain(items).collect()
}

/// The ids that failed may be in what was not read, so none of the messages can be taken for done.
fn too_long() -> Failure {
    Failure {
        category: Category::Processing,
        code: "answer-too-long".into(),
        message: format!("the function's answer has more than {ANSWER_BYTES_MAX} bytes"),
        retry_after_ms: None,
    }
}

fn named_as_failed() -> Failure {
    Failure {
        category: Category::Processing,
        code: "named-as-failed".into(),
        message: "the function named this message as failed".into(),
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_ids_are_read_in_both_forms_and_nothing_else_is() {
        let check = |body: &str, expected: &[&str]| {
            let mut ids: Vec<String> = failed_ids(body.as_bytes()).into_iter().collect();
            ids.sort();
            assert_eq!(ids, expected, "{body}");
        };
        check(r#"{"failed":["msg_1","msg_2"]}"#, &["msg_1", "msg_2"]);
        check(r#"{"batchItemFailures":[{"itemIdentifier":"msg_3"}]}"#, &["msg_3"]);
        check(r#"{"ok":true}"#, &[]);
        check("fine", &[]);
        check("", &[]);
    }

    #[test]
    fn payloads_that_are_not_json_become_texts() {
        assert_eq!(raw(br#"{"a": 1}"#).get(), r#"{"a": 1}"#);
        assert_eq!(raw(b"hello").get(), r#""hello""#);
    }
}
