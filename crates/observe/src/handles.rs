//! Metrics resolved once for a queue, an endpoint, a pool: recording is then an atomic addition, without a
//! look-up. Made after `install`; what is made before records nothing.
//!
//! Not for: names and help texts (see `names`).

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use posthaste_base::{Category, Code};

use crate::registry::{counter, gauge, histogram};
use crate::span::{self, Span, SpanKind};
use crate::{TraceParent, names};

/// Where an accepted event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Http,
    Sql,
    Schedule,
    Domain,
}

/// What becomes of events that are sent here.
#[derive(Clone)]
pub struct IngestMetrics {
    accepted: [Counter; 4],
    refused: Arc<[Counter]>,
    /// The key was known and the content was the same.
    pub duplicates: Counter,
    /// The key was known for other content.
    pub conflicts: Counter,
}

impl IngestMetrics {
    pub fn new() -> Self {
        Self {
            accepted: ["http", "sql", "schedule", "domain"]
                .map(|from| counter(&names::EVENTS_ACCEPTED, &[from])),
            refused: Code::ALL.iter().map(|code| counter(&names::EVENTS_REFUSED, &[code.as_str()])).collect(),
            duplicates: counter(&names::IDEMPOTENCY_HITS, &["duplicate"]),
            conflicts: counter(&names::IDEMPOTENCY_HITS, &["conflict"]),
        }
    }

    pub fn accepted(&self, source: Source, events: usize) {
        self.accepted[source as usize].increment(events as u64);
    }

    pub fn refused(&self, code: Code) {
        self.refused[code as usize].increment(1);
    }
}

impl Default for IngestMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// One queue: its depth, what goes through it, and how fast.
#[derive(Clone)]
pub struct QueueMetrics {
    name: Arc<str>,
    pub sent: Counter,
    pub received: Counter,
    pub empty_receives: Counter,
    pub acknowledged: Counter,
    pub returned: Counter,
    pub expired: Counter,
    pub redriven: Counter,
    pub visible: Gauge,
    pub in_flight: Gauge,
    pub delayed: Gauge,
    pub oldest_age_seconds: Gauge,
    pub dead_letters: Gauge,
    pub busy: Gauge,
    pub claim_seconds: Histogram,
    pub claim_messages: Histogram,
    /// From due to delivered.
    pub latency_seconds: Histogram,
    dead: [Counter; 5],
}

impl QueueMetrics {
    pub fn new(queue: &str) -> Self {
        let settled = |outcome| counter(&names::MESSAGES_SETTLED, &[queue, outcome]);
        let depth = |state| gauge(&names::QUEUE_MESSAGES, &[queue, state]);
        Self {
            name: queue.into(),
            sent: counter(&names::MESSAGES_SENT, &[queue]),
            received: counter(&names::MESSAGES_RECEIVED, &[queue]),
            empty_receives: counter(&names::EMPTY_RECEIVES, &[queue]),
            acknowledged: settled("acknowledged"),
            returned: settled("returned"),
            expired: settled("expired"),
            redriven: counter(&names::REDRIVEN, &[queue]),
            visible: depth("visible"),
            in_flight: depth("in_flight"),
            delayed: depth("delayed"),
            oldest_age_seconds: gauge(&names::QUEUE_OLDEST_AGE, &[queue]),
            dead_letters: gauge(&names::DEAD_LETTER_DEPTH, &[queue]),
            busy: gauge(&names::QUEUE_BUSY, &[queue]),
            claim_seconds: histogram(&names::CLAIM_DURATION, &[queue]),
            claim_messages: histogram(&names::CLAIM_SIZE, &[queue]),
            latency_seconds: histogram(&names::DELIVERY_LATENCY, &[queue]),
            dead: Category::ALL.map(|category| counter(&names::DEAD_LETTERS, &[queue, class(category)])),
        }
    }

    /// A message became a dead letter.
    pub fn dead(&self, category: Category) {
        self.dead[category as usize].increment(1);
    }

    /// One claim returned that many messages after that time.
    pub fn claimed(&self, messages: usize, took: Duration) {
        self.claim_seconds.record(took);
        self.claim_messages.record(messages as f64);
        match messages {
            0 => self.empty_receives.increment(1),
            _ => {
                self.received.increment(messages as u64);
                self.claim_span(messages, took);
            }
        }
    }

    /// A claim is for many traces, so it has one of its own.
    fn claim_span(&self, messages: usize, took: Duration) {
        if !span::is_on() {
            return;
        }
        let span =
            Span::of(TraceParent::generate(), None, || format!("claim {}", self.name), SpanKind::Internal);
        let Some(span) = span else { return };
        span.since(took)
            .attribute("messaging.destination.name", &*self.name)
            .attribute("messaging.batch.message_count", messages)
            .record();
    }
}

/// Why a message was put off without an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferral {
    Breaker,
    Bulkhead,
    Rate,
    Pause,
}

/// One endpoint: its attempts and its breaker.
#[derive(Clone)]
pub struct EndpointMetrics {
    pub in_flight: Gauge,
    /// 0 closed, 1 half open, 2 open.
    pub breaker_state: Gauge,
    pub breaker_trips: Counter,
    delivered: Counter,
    failed: [Counter; 5],
    deferred: [Counter; 4],
    attempt_seconds: Histogram,
}

impl EndpointMetrics {
    pub fn new(endpoint: &str) -> Self {
        Self {
            in_flight: gauge(&names::ATTEMPTS_IN_FLIGHT, &[endpoint]),
            breaker_state: gauge(&names::BREAKER_STATE, &[endpoint]),
            breaker_trips: counter(&names::BREAKER_TRIPS, &[endpoint]),
            delivered: counter(&names::ATTEMPTS, &[endpoint, "delivered"]),
            failed: Category::ALL.map(|category| counter(&names::ATTEMPTS, &[endpoint, class(category)])),
            deferred: ["breaker", "bulkhead", "rate", "pause"]
                .map(|reason| counter(&names::DEFERRALS, &[endpoint, reason])),
            attempt_seconds: histogram(&names::ATTEMPT_DURATION, &[endpoint]),
        }
    }

    /// An attempt ended: delivered, or failed with a category.
    pub fn attempt(&self, failure: Option<Category>, took: Duration) {
        match failure {
            None => self.delivered.increment(1),
            Some(category) => self.failed[category as usize].increment(1),
        }
        self.attempt_seconds.record(took);
    }

    pub fn deferred(&self, reason: Deferral) {
        self.deferred[reason as usize].increment(1);
    }
}

/// The scheduler, and the schedules that it keeps going.
#[derive(Clone)]
pub struct ScheduleMetrics {
    pub lag_seconds: Gauge,
    /// 1 while this node keeps the schedule.
    pub leader: Gauge,
    pub occurrences_made: Counter,
    pub occurrences_moved: Counter,
    pub occurrences_ended: Counter,
    pub occurrences_failed: Counter,
    /// The next one came by the clock, because it had not ended.
    pub occurrences_overtaken: Counter,
    ticks_done: Counter,
    ticks_failed: Counter,
    tick_seconds: Histogram,
    claimed_events: Histogram,
}

impl ScheduleMetrics {
    pub fn new() -> Self {
        let occurrences = |outcome| counter(&names::OCCURRENCES, &[outcome]);
        Self {
            lag_seconds: gauge(&names::SCHEDULER_LAG, &[]),
            leader: gauge(&names::LEADER, &["keeper"]),
            occurrences_made: occurrences("made"),
            occurrences_moved: occurrences("moved"),
            occurrences_ended: occurrences("ended"),
            occurrences_failed: occurrences("failed"),
            occurrences_overtaken: occurrences("overtaken"),
            ticks_done: counter(&names::SCHEDULER_TICKS, &["done"]),
            ticks_failed: counter(&names::SCHEDULER_TICKS, &["failed"]),
            tick_seconds: histogram(&names::SCHEDULER_TICK_DURATION, &[]),
            claimed_events: histogram(&names::SCHEDULER_CLAIMED, &[]),
        }
    }

    /// A round ended with so many events published, or (`None`) failed.
    pub fn tick(&self, events: Option<usize>, took: Duration) {
        match events {
            Some(events) => {
                self.ticks_done.increment(1);
                self.claimed_events.record(events as f64);
            }
            None => self.ticks_failed.increment(1),
        }
        self.tick_seconds.record(took);
    }
}

impl Default for ScheduleMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// One pool of database connections.
#[derive(Clone)]
pub struct DatabaseMetrics {
    pub in_use: Gauge,
    pub idle: Gauge,
    pub connections_max: Gauge,
    pub wait_seconds: Histogram,
    pub connection_errors: Counter,
    pub retries: Counter,
}

impl DatabaseMetrics {
    pub fn new(pool: &str) -> Self {
        Self {
            in_use: gauge(&names::DATABASE_CONNECTIONS, &[pool, "in_use"]),
            idle: gauge(&names::DATABASE_CONNECTIONS, &[pool, "idle"]),
            connections_max: gauge(&names::DATABASE_CONNECTIONS_MAX, &[pool]),
            wait_seconds: histogram(&names::DATABASE_WAIT, &[pool]),
            connection_errors: counter(&names::DATABASE_ERRORS, &[pool]),
            retries: counter(&names::DATABASE_RETRIES, &[pool]),
        }
    }
}

/// What becomes of spans on their way to a collector.
#[derive(Clone)]
pub struct SpanMetrics {
    pub exported: Counter,
    pub refused: Counter,
    pub unreachable: Counter,
}

impl SpanMetrics {
    pub fn new() -> Self {
        let dropped = |reason| counter(&names::SPANS_DROPPED, &[reason]);
        Self {
            exported: counter(&names::SPANS_EXPORTED, &[]),
            refused: dropped("refused"),
            unreachable: dropped("unreachable"),
        }
    }
}

impl Default for SpanMetrics {
    fn default() -> Self {
        Self::new()
    }
}

fn class(category: Category) -> &'static str {
    match category {
        Category::Validation => "validation",
        Category::Transient => "transient",
        Category::Permanent => "permanent",
        Category::Timeout => "timeout",
        Category::Processing => "processing",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{HttpMetrics, install};

    fn check(record: impl FnOnce(), lines: &[&str]) {
        let handle = install().unwrap();
        record();
        let text = handle.render();
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_queue_records_under_its_name() {
        check(
            || {
                let queue = QueueMetrics::new("critical");
                queue.claimed(30, Duration::from_millis(3));
                queue.claimed(0, Duration::from_millis(1));
                queue.visible.set(7.0);
                queue.dead(Category::Timeout);
                queue.latency_seconds.record(0.015);
            },
            &[
                "# HELP posthaste_queue_messages Messages in a queue, by state: visible, in_flight or delayed. The states are disjoint. Only the leader counts, in each half of a queue up to 10,000 of visible and of delayed ones: what is higher is at least that.",
                "# TYPE posthaste_messages_received_total counter",
                "posthaste_messages_received_total{queue=\"critical\"} 30",
                "posthaste_empty_receives_total{queue=\"critical\"} 1",
                "posthaste_queue_messages{queue=\"critical\",state=\"visible\"} 7",
                "posthaste_dead_letters_total{queue=\"critical\",category=\"timeout\"} 1",
                "posthaste_dead_letters_total{queue=\"critical\",category=\"permanent\"} 0",
                "posthaste_delivery_latency_seconds_bucket{queue=\"critical\",le=\"0.01\"} 0",
                "posthaste_delivery_latency_seconds_bucket{queue=\"critical\",le=\"0.02\"} 1",
            ],
        );
    }

    #[test]
    fn an_endpoint_records_under_its_name_escaped() {
        check(
            || {
                let endpoint = EndpointMetrics::new("a\"b\\c\nd");
                endpoint.attempt(None, Duration::from_millis(40));
                endpoint.attempt(Some(Category::Transient), Duration::from_secs(100));
                endpoint.deferred(Deferral::Bulkhead);
            },
            &[
                r#"posthaste_attempts_total{endpoint="a\"b\\c\nd",class="delivered"} 1"#,
                r#"posthaste_attempts_total{endpoint="a\"b\\c\nd",class="transient"} 1"#,
                r#"posthaste_deferrals_total{endpoint="a\"b\\c\nd",reason="bulkhead"} 1"#,
                r#"posthaste_attempt_duration_seconds_bucket{endpoint="a\"b\\c\nd",le="60"} 1"#,
                r#"posthaste_attempt_duration_seconds_bucket{endpoint="a\"b\\c\nd",le="+Inf"} 2"#,
            ],
        );
    }

    #[test]
    fn events_requests_rounds_and_pools_are_counted() {
        check(
            || {
                let events = IngestMetrics::new();
                events.accepted(Source::Sql, 3);
                events.refused(Code::InvalidPayload);
                let http = HttpMetrics::new();
                http.answered("/events", "POST", 202, Duration::from_micros(90));
                http.answered("/events", "POST", 202, Duration::from_micros(80));
                http.answered("/events", "POST", 422, Duration::from_micros(80));
                ScheduleMetrics::new().tick(Some(12), Duration::from_millis(2));
                DatabaseMetrics::new("main").connection_errors.increment(1);
            },
            &[
                "posthaste_events_accepted_total{source=\"sql\"} 3",
                "posthaste_events_refused_total{code=\"invalid-payload\"} 1",
                "posthaste_http_requests_total{route=\"/events\",method=\"POST\",status=\"202\"} 2",
                "posthaste_http_requests_total{route=\"/events\",method=\"POST\",status=\"422\"} 1",
                "posthaste_http_request_duration_seconds_count{route=\"/events\"} 3",
                "posthaste_scheduler_ticks_total{outcome=\"done\"} 1",
                "posthaste_database_connection_errors_total{pool=\"main\"} 1",
                "# TYPE process_resident_memory_bytes gauge",
            ],
        );
    }

    /// Generous by a factor of twenty, for an unoptimised build on a busy machine; it catches a look-up or an
    /// allocation on the way, not a slow day.
    #[test]
    fn an_increment_costs_next_to_nothing() {
        install().unwrap();
        let queue = QueueMetrics::new("cost");
        let start = Instant::now();
        for _ in 0..100_000 {
            queue.sent.increment(1);
        }
        let each = start.elapsed() / 100_000;
        assert!(each < Duration::from_micros(2), "{each:?} for each increment");
    }
}
