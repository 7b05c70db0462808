//! Every metric that Posthaste exports, in one table: `GET /metrics` takes its help texts from here, and so
//! does the reference page. Renaming a metric or a label is a breaking change.
//!
//! Not for: recording (see `handles`), nor for alarm thresholds.

use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever rises.
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Seconds,
    Bytes,
    /// A number that stands for a state, named in the help text.
    State,
}

impl Unit {
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::State => "state",
        }
    }
}

/// One metric family.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// From 1 ms, the least that a network call takes, to 60 s, twice the longest attempt. 20 ms, 250 ms, 1 s and
/// 30 s are bounds because promises are made about them.
const SECONDS_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Up to the largest batch.
const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

impl Metric {
    /// The upper bounds of a histogram's buckets; none for other kinds.
    pub fn buckets(&self) -> &'static [f64] {
        match (self.kind, self.unit) {
            (Kind::Histogram, Unit::Seconds) => SECONDS_BUCKETS,
            (Kind::Histogram, _) => COUNT_BUCKETS,
            _ => &[],
        }
    }
}

macro_rules! table {
    ($($id:ident = $name:literal, $kind:ident, $unit:ident, [$($label:literal),*], $help:literal;)+) => {
        $(#[doc = $help] pub static $id: Metric = Metric {
            name: $name, kind: Kind::$kind, unit: Unit::$unit, labels: &[$($label),*], help: $help,
        };)+

        pub static ALL: &[&Metric] = &[$(&$id),+];
    };
}

table! {
    EVENTS_ACCEPTED = "posthaste_events_accepted_total", Counter, Count, ["source"],
        "Events accepted, by where they came from: http, sql (counted when they are due), schedule or domain.";
    EVENTS_REFUSED = "posthaste_events_refused_total", Counter, Count, ["code"],
        "Events refused, by error code.";
    IDEMPOTENCY_HITS = "posthaste_idempotency_hits_total", Counter, Count, ["outcome"],
        "Events that a node was handed under a known idempotency key: duplicate (same content, one effect) or conflict (other content). What `posthaste.publish` itself recognises in SQL is not counted.";

    QUEUE_MESSAGES = "posthaste_queue_messages", Gauge, Count, ["queue", "state"],
        "Messages in a queue, by state: visible, in_flight or delayed. The states are disjoint. Only the leader counts, in each half of a queue up to 10,000 of visible and of delayed ones: what is higher is at least that.";
    QUEUE_OLDEST_AGE = "posthaste_queue_oldest_age_seconds", Gauge, Seconds, ["queue"],
        "Age of the oldest visible message of a queue; 0 when there is none.";
    QUEUE_BUSY = "posthaste_queue_busy", Gauge, Count, ["queue"],
        "Messages of a queue that this node's workers are working on.";
    MESSAGES_SENT = "posthaste_messages_sent_total", Counter, Count, ["queue"],
        "Messages put into a queue. What SQL sends by itself is counted by the node that first receives it, when it does.";
    MESSAGES_RECEIVED = "posthaste_messages_received_total", Counter, Count, ["queue"],
        "Messages leased to a consumer; a message that comes back counts again.";
    EMPTY_RECEIVES = "posthaste_empty_receives_total", Counter, Count, ["queue"],
        "Receives that found no message.";
    MESSAGES_SETTLED = "posthaste_messages_settled_total", Counter, Count, ["queue", "outcome"],
        "Leases that ended: acknowledged, returned (given back) or expired.";
    CLAIM_DURATION = "posthaste_claim_duration_seconds", Histogram, Seconds, ["queue"],
        "Time that the database takes for one claim of a batch.";
    CLAIM_SIZE = "posthaste_claim_messages", Histogram, Count, ["queue"],
        "Messages that one claim returned.";
    DELIVERY_LATENCY = "posthaste_delivery_latency_seconds", Histogram, Seconds, ["queue"],
        "Time from when an event was due until it was delivered.";

    ATTEMPTS = "posthaste_attempts_total", Counter, Count, ["endpoint", "class"],
        "Delivery attempts, by class: delivered, validation, transient, permanent, timeout or processing.";
    ATTEMPT_DURATION = "posthaste_attempt_duration_seconds", Histogram, Seconds, ["endpoint"],
        "Time that one delivery attempt takes, whatever its end.";
    ATTEMPTS_IN_FLIGHT = "posthaste_attempts_in_flight", Gauge, Count, ["endpoint"],
        "Attempts that this node is waiting for.";
    DEFERRALS = "posthaste_deferrals_total", Counter, Count, ["endpoint", "reason"],
        "Messages put off without an attempt: breaker, bulkhead, rate or pause. They do not count as receives.";
    BREAKER_STATE = "posthaste_breaker_state", Gauge, State, ["endpoint"],
        "State of an endpoint's breaker: 0 closed, 1 half open, 2 open.";
    BREAKER_TRIPS = "posthaste_breaker_trips_total", Counter, Count, ["endpoint"],
        "How often an endpoint's breaker opened.";

    DEAD_LETTERS = "posthaste_dead_letters_total", Counter, Count, ["queue", "category"],
        "Messages that became dead letters, by category of their last failure.";
    DEAD_LETTER_DEPTH = "posthaste_dead_letter_messages", Gauge, Count, ["queue"],
        "Dead letters that wait for a redrive or a discard.";
    REDRIVEN = "posthaste_redriven_messages_total", Counter, Count, ["queue"],
        "Dead letters given back to their queue.";

    SCHEDULER_LAG = "posthaste_scheduler_lag_seconds", Gauge, Seconds, [],
        "How long the oldest due event has been waiting for the scheduler; 0 when nothing is due. Only the leader knows.";
    SCHEDULER_TICKS = "posthaste_scheduler_ticks_total", Counter, Count, ["outcome"],
        "Rounds of the scheduler: done or failed.";
    SCHEDULER_TICK_DURATION = "posthaste_scheduler_tick_duration_seconds", Histogram, Seconds, [],
        "Time that one round of the scheduler takes.";
    SCHEDULER_CLAIMED = "posthaste_scheduler_claimed_events", Histogram, Count, [],
        "Due events that one round of the scheduler published.";
    OCCURRENCES = "posthaste_schedule_occurrences_total", Counter, Count, ["outcome"],
        "Occurrences of schedules: made, moved, ended, failed, or overtaken (not ended when the next one's time came).";

    HTTP_REQUESTS = "posthaste_http_requests_total", Counter, Count, ["route", "method", "status"],
        "HTTP requests answered; status 499 is a caller that left before the answer.";
    HTTP_DURATION = "posthaste_http_request_duration_seconds", Histogram, Seconds, ["route"],
        "Time from a request's head to its answer's head; long polls count their waiting.";
    HTTP_IN_FLIGHT = "posthaste_http_requests_in_flight", Gauge, Count, [],
        "HTTP requests being worked on.";
    HTTP_CONNECTIONS = "posthaste_http_connections", Gauge, Count, [],
        "Open HTTP connections.";
    HTTP_CONNECTIONS_REFUSED = "posthaste_http_connections_refused_total", Counter, Count, [],
        "HTTP connections turned away because the connection limit was reached.";

    DATABASE_CONNECTIONS = "posthaste_database_connections", Gauge, Count, ["pool", "state"],
        "Database connections of a pool: in_use or idle.";
    DATABASE_CONNECTIONS_MAX = "posthaste_database_connections_max", Gauge, Count, ["pool"],
        "The largest number of connections that a pool opens.";
    DATABASE_WAIT = "posthaste_database_wait_seconds", Histogram, Seconds, ["pool"],
        "Time that a task waits for a database connection.";
    DATABASE_ERRORS = "posthaste_database_connection_errors_total", Counter, Count, ["pool"],
        "Database connections that failed to open or were lost.";
    DATABASE_RETRIES = "posthaste_database_retries_total", Counter, Count, ["pool"],
        "Transactions tried again after a serialisation failure or a deadlock.";

    SPANS_EXPORTED = "posthaste_spans_exported_total", Counter, Count, [],
        "Spans that the collector has taken.";
    SPANS_DROPPED = "posthaste_spans_dropped_total", Counter, Count, ["reason"],
        "Spans that were lost: full (more were recorded than could be sent), unreachable (the collector did not answer in time) or refused (it did not want them).";

    LEADER = "posthaste_leader", Gauge, State, ["role"],
        "Whether this node leads a role that only one node may have: 1 yes, 0 no, or its last round failed.";
    BUILD_INFO = "posthaste_build_info", Gauge, State, ["version"],
        "Always 1; the version is in the label.";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, Seconds, [],
        "CPU time of this process, user and system.";
    PROCESS_MEMORY = "process_resident_memory_bytes", Gauge, Bytes, [],
        "Resident memory of this process.";
    PROCESS_THREADS = "process_threads", Gauge, Count, [],
        "Threads of this process.";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, Count, [],
        "Open file descriptors of this process.";
    PROCESS_START = "process_start_time_seconds", Gauge, Seconds, [],
        "When this process started, in seconds since 1970.";
}

/// The reference page of the metrics, in Markdown.
pub fn reference() -> String {
    let mut page =
        String::from("| metric | kind | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n");
    for metric in ALL {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, unit) = (metric.kind.as_str(), metric.unit.as_str());
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {unit} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_the_prometheus_conventions() {
        let mut seen = HashSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(name.starts_with("posthaste_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            let stem = name.trim_end_matches("_total");
            assert_eq!(stem.ends_with("_seconds"), metric.unit == Unit::Seconds, "{name}");
            assert_eq!(stem.ends_with("_bytes"), metric.unit == Unit::Bytes, "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '|']), "{name}");
            assert_eq!(metric.buckets().is_empty(), metric.kind != Kind::Histogram, "{name}");
        }
    }

    #[test]
    fn the_reference_has_a_row_for_each_metric() {
        assert_eq!(reference().lines().count(), ALL.len() + 2);
    }
}
