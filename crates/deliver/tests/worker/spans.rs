//! Spans on their way to a collector: the way of an event in its caller's trace, and what a collector that fails costs.

use std::collections::BTreeMap;

use posthaste_base::Secret;
use posthaste_deliver::{ExportOptions, export_spans};
use posthaste_observe::span::QUEUE_MAX;
use posthaste_observe::{Span, SpanKind, TraceParent};
use posthaste_testkit::receiver::{Behaviour, Receiver};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::post_office::{LONG, ORDERS, PostOffice, until};

const TRACES: &str = "/v1/traces";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn options(collector: &Receiver) -> ExportOptions {
    let headers = BTreeMap::from([("x-api-key".to_owned(), Secret::new("k-1"))]);
    ExportOptions { url: collector.url(TRACES), headers, percent: 100 }
}

/// The spans that the collector has been sent, of this name.
fn spans(collector: &Receiver, name: &str) -> Vec<Value> {
    let mut spans = Vec::new();
    for request in collector.requests() {
        assert_eq!((request.path.as_str(), request.header("x-api-key")), (TRACES, Some("k-1")));
        assert_eq!(request.header("content-type"), Some("application/json"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let sent = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        spans.extend(sent.iter().filter(|span| span["name"] == name).cloned());
    }
    spans
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|one| one["key"] == key).map_or(&Value::Null, |one| &one["value"])
}

#[tokio::test]
async fn each_receive_and_attempt_is_a_span_in_the_trace_of_whoever_published() {
    let collector = Receiver::start().await.unwrap();
    let stop = CancellationToken::new();
    let exporter = export_spans(options(&collector), stop.clone()).unwrap();
    let office = PostOffice::open(ORDERS).await;
    office.receiver.behave("/shop", Behaviour::answer(200).fail_first(1, 503));
    let id = office.publish_as("order", |event| event.correlation_id = Some(CALLER.into())).await.id;
    office.receiver.wait_for(1, LONG).await.unwrap();
    // One that its caller does not record, and one that came without a trace.
    let unsampled = CALLER.replace("-01", "-00");
    let silent = office.publish_as("order", |event| event.correlation_id = Some(unsampled)).await.id;
    let own = office.publish("order").await.id;
    office.all_delivered(&[id, silent, own]).await;
    stop.cancel();
    exporter.await.unwrap();

    let all = spans(&collector, "deliver shop");
    let of = |id: &str| -> Vec<&Value> {
        all.iter().filter(|span| attribute(span, "posthaste.event.id")["stringValue"] == id).collect()
    };
    assert!(of(&silent.to_string()).is_empty(), "{all:?}");
    let mine = of(&id.to_string());
    for span in &mine {
        assert_eq!(
            (&span["traceId"], &span["parentSpanId"]),
            (&CALLER[3..35].into(), &CALLER[36..52].into())
        );
    }
    let calls = office.calls("/shop");
    let sent: Vec<&str> = calls.iter().filter_map(|call| call.header("traceparent")).collect();
    assert_eq!(sent.len(), calls.len());
    for span in &all {
        let traceparent =
            format!("00-{}-{}-01", span["traceId"].as_str().unwrap(), span["spanId"].as_str().unwrap());
        assert!(
            sent.contains(&traceparent.as_str()),
            "what a receiver does is below the attempt: {traceparent}"
        );
    }
    let failed: Vec<_> = all.iter().filter(|span| span["status"]["code"] == 2).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(attribute(failed[0], "http.response.status_code")["intValue"], "503");
    assert_eq!(attribute(failed[0], "error.type")["stringValue"], "http-503");
    assert_eq!(of(&own.to_string())[0]["traceId"], own.0.simple().to_string());
    assert!(spans(&collector, "receive normal").len() >= 2 && !spans(&collector, "claim normal").is_empty());
}

#[tokio::test]
async fn collector_that_takes_nothing_delays_no_delivery_and_what_it_loses_is_counted() {
    let metrics = posthaste_observe::install().unwrap();
    let collector = Receiver::start().await.unwrap();
    collector.behave(TRACES, Behaviour::hang());
    let stop = CancellationToken::new();
    let exporter = export_spans(options(&collector), stop.clone()).unwrap();
    let office = PostOffice::open(ORDERS).await;
    let ids = office.publish_many("order", 20).await;
    office.all_delivered(&ids).await;
    collector.wait_for(1, LONG).await.expect("a request that hangs");
    for _ in 0..QUEUE_MAX + 5 {
        let context = TraceParent::generate();
        Span::of(context, None, || "filler".into(), SpanKind::Internal).unwrap().record();
    }
    let lost = |reason: &str| {
        let text = metrics.render();
        let line = format!("posthaste_spans_dropped_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok()).unwrap_or(0)
    };
    assert!(lost("full") >= 5, "{}", metrics.render());
    // It answers again, and does not want them.
    collector.behave(TRACES, Behaviour::answer(400));
    stop.cancel();
    exporter.await.unwrap();
    until("what was refused", async || (lost("refused") + lost("unreachable") > 0).then_some(())).await;
}
