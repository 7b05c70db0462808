//! Spans: what Posthaste did for an event, and how long it took, in the trace of whoever published it.
//!
//! Recording puts a span into a queue of bounded length and goes on: it never waits, and what finds the queue full is
//! dropped and counted. Without an exporter it does nothing. Not for: sending spans (see `posthaste-deliver`).

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::Counter;
use serde_json::{Value, json};

use crate::registry::counter;
use crate::{TraceParent, names};

/// What fits: a few seconds of a busy node, in about 10 MB.
pub const QUEUE_MAX: usize = 16_384;
/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 256;

static EXPORT: OnceLock<Export> = OnceLock::new();

struct Export {
    queue: Mutex<Vec<Span>>,
    /// Of the traces that begin here, this share is recorded.
    percent: u32,
    dropped: Counter,
}

/// What a span is in its trace, with the number that OTLP gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Internal = 1,
    /// A request that was answered.
    Server = 2,
    /// A call that was made.
    Client = 3,
    /// A message that was taken from a queue.
    Consumer = 5,
}

/// One thing that was done. Begun where it begins, recorded when it has ended.
#[derive(Debug)]
pub struct Span {
    context: TraceParent,
    parent: Option<u64>,
    name: String,
    kind: SpanKind,
    since: SystemTime,
    started: Instant,
    took: Duration,
    attributes: Vec<(&'static str, Value)>,
    links: Vec<TraceParent>,
    error: Option<String>,
}

/// Begins to keep spans for an exporter. The first call in a process decides the share.
pub fn start(percent: u32) {
    let dropped = counter(&names::SPANS_DROPPED, &["full"]);
    EXPORT.get_or_init(|| Export { queue: Mutex::default(), percent, dropped });
}

/// Whether anything is recorded at all.
pub fn is_on() -> bool {
    EXPORT.get().is_some()
}

/// Takes everything that was recorded since the last time.
pub fn take() -> Vec<Span> {
    EXPORT.get().map(|export| std::mem::take(&mut *lock(&export.queue))).unwrap_or_default()
}

/// Whether a trace that begins here is recorded. Without an exporter every trace is, by those that come after us.
pub(crate) fn is_sampled(trace_id: u128) -> bool {
    EXPORT.get().is_none_or(|export| is_in_share(trace_id, export.percent))
}

/// The same on all nodes, and as other services decide it: by the lower 56 bits of the trace's id.
fn is_in_share(trace_id: u128, percent: u32) -> bool {
    const RANGE: u64 = 1 << 56;
    let random = (trace_id as u64) & (RANGE - 1);
    // 100 % is all of it, though a hundredth is rounded down.
    percent >= 100 || random >= RANGE - RANGE / 100 * u64::from(percent)
}

impl Span {
    /// A span below `parent`, with an id of its own; none if nothing is recorded of that trace.
    pub fn below(parent: TraceParent, name: impl FnOnce() -> String, kind: SpanKind) -> Option<Self> {
        Self::of(parent.child(), Some(parent.span_id()), name, kind)
    }

    /// A span whose place in its trace is known.
    pub fn of(
        context: TraceParent,
        parent: Option<u64>,
        name: impl FnOnce() -> String,
        kind: SpanKind,
    ) -> Option<Self> {
        if !is_on() || !context.is_sampled() {
            return None;
        }
        Some(Self {
            context,
            parent,
            name: name(),
            kind,
            since: SystemTime::now(),
            started: Instant::now(),
            took: Duration::ZERO,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        })
    }

    /// It began so long ago.
    pub fn since(mut self, ago: Duration) -> Self {
        self.since = self.since.checked_sub(ago).unwrap_or(self.since);
        self.took = ago;
        self
    }

    pub fn context(&self) -> TraceParent {
        self.context
    }

    pub fn attribute(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Names a span of another trace that this one is about as well.
    pub fn link(mut self, to: TraceParent) -> Self {
        self.links.push(to);
        self
    }

    pub fn failed(mut self, message: &str) -> Self {
        self.error = Some(message.chars().take(TEXT_CHARS_MAX).collect());
        self
    }

    /// It has ended now.
    pub fn record(mut self) {
        let Some(export) = EXPORT.get() else { return };
        self.took += self.started.elapsed();
        let mut queue = lock(&export.queue);
        if queue.len() < QUEUE_MAX {
            queue.push(self);
        } else {
            export.dropped.increment(1);
        }
    }

    fn to_json(&self) -> Value {
        let started = self.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let attributes = self.attributes.iter().filter(|(_, value)| !value.is_null());
        let mut span = json!({
            "traceId": trace_text(self.context),
            "spanId": span_text(self.context.span_id()),
            "name": self.name,
            "kind": self.kind as u8,
            "startTimeUnixNano": started.as_nanos().to_string(),
            "endTimeUnixNano": (started + self.took).as_nanos().to_string(),
            "attributes": attributes.map(|(name, value)| attribute(name, value)).collect::<Vec<_>>(),
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = json!(span_text(parent));
        }
        if !self.links.is_empty() {
            let link =
                |to: &TraceParent| json!({"traceId": trace_text(*to), "spanId": span_text(to.span_id())});
            span["links"] = self.links.iter().map(link).collect();
        }
        if let Some(message) = &self.error {
            span["status"] = json!({"code": 2, "message": message});
        }
        span
    }
}

/// Spans as one request of OTLP over HTTP, in its JSON encoding.
pub fn to_otlp(spans: &[Span], instance: &str) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        attribute("service.name", &json!("posthaste")),
        attribute("service.version", &json!(version)),
        attribute("service.instance.id", &json!(instance)),
    ];
    let scope = json!({"name": "posthaste", "version": version});
    let spans: Vec<_> = spans.iter().map(Span::to_json).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]})
}

fn attribute(name: &str, value: &Value) -> Value {
    let value = match value {
        // 64-bit numbers are texts in OTLP's JSON.
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            json!({"intValue": number.to_string()})
        }
        Value::Number(number) => json!({"doubleValue": number}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::String(text) => json!({"stringValue": text}),
        other => json!({"stringValue": other.to_string()}),
    };
    json!({"key": name, "value": value})
}

fn trace_text(context: TraceParent) -> String {
    format!("{:032x}", context.trace_id())
}

fn span_text(id: u64) -> String {
    format!("{id:016x}")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn below(parent: &str) -> Option<Span> {
        let parent = TraceParent::parse(parent.as_bytes()).unwrap();
        Span::below(parent, || "deliver shop".into(), SpanKind::Client)
    }

    #[test]
    fn a_span_has_its_place_in_the_trace_of_its_caller() {
        start(100);
        let link = TraceParent::parse(PARENT.as_bytes()).unwrap();
        let span = below(PARENT).unwrap().since(Duration::from_millis(7)).link(link);
        let (id, since) = (span.context().span_id(), span.since);
        span.attribute("n", 5)
            .attribute("text", "a")
            .attribute("none", Value::Null)
            .failed("too late")
            .record();
        let spans = take();
        let document = to_otlp(&spans, "node-1");
        let span = &document["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(
            (&span["spanId"], &span["parentSpanId"]),
            (&json!(span_text(id)), &json!("b7ad6b7169203331"))
        );
        let attributes = json!([
            {"key": "n", "value": {"intValue": "5"}}, {"key": "text", "value": {"stringValue": "a"}},
        ]);
        assert_eq!((&span["attributes"], &span["kind"]), (&attributes, &json!(3)));
        assert_eq!(span["status"], json!({"code": 2, "message": "too late"}));
        assert_eq!(span["links"][0]["spanId"], "b7ad6b7169203331");
        let nanos = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
        assert_eq!(nanos("startTimeUnixNano"), since.duration_since(UNIX_EPOCH).unwrap().as_nanos());
        assert!(nanos("endTimeUnixNano") >= nanos("startTimeUnixNano") + 7_000_000);
        assert!(take().is_empty(), "taken once");
    }

    #[test]
    fn nothing_is_recorded_of_a_trace_that_its_caller_does_not_record() {
        start(100);
        assert!(below(PARENT).is_some() && below(&PARENT.replace("-01", "-00")).is_none());
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_counted() {
        let metrics = crate::install().unwrap();
        start(100);
        for _ in 0..QUEUE_MAX + 3 {
            below(PARENT).unwrap().record();
        }
        assert_eq!(take().len(), QUEUE_MAX);
        let text = metrics.render();
        assert!(text.contains("posthaste_spans_dropped_total{reason=\"full\"} 3\n"), "{text}");
    }

    #[test]
    fn the_share_of_traces_is_as_asked_for() {
        let traces = || (0..4_000).map(|_| TraceParent::generate().trace_id());
        let n = traces().filter(|trace| is_in_share(*trace, 25)).count();
        assert!((800..1_200).contains(&n), "{n} of 4,000");
        assert!(traces().all(|trace| is_in_share(trace, 100) && !is_in_share(trace, 0)));
    }
}
