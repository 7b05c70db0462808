//! `posthaste bench latency`: how long after its due time an event is at its receiver.
//!
//! The due time is in the payload, and the receiver, which is in this process, compares it with the machine's clock; a
//! database on another machine must have the same time. Not for: rates (see `delivery`).

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use posthaste_base::limits::BATCH_EVENTS_MAX;
use posthaste_base::{Code, Error};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::cast::{self, Node};
use super::ground::Ground;
use super::measure::{self, Percentiles};
use super::random::Random;
use super::receiver::{self, State};
use super::wire::Wire;

const ENDPOINTS: u64 = 10;
const PAYLOAD_BYTES: usize = 250;
const LOOK_EVERY: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(60);

/// From due to delivered: idle, at a steady rate, and many in the same moment.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste bench latency\n  \
    posthaste bench latency --minutes 60 --per-hour 25000\n  \
    posthaste bench latency --burst 5000")]
pub(crate) struct Latency {
    /// Single events with nothing else going on.
    #[arg(long, default_value_t = 50)]
    idle_events: usize,
    /// How long events come at a steady rate.
    #[arg(long, default_value_t = 2)]
    minutes: u64,
    /// The steady rate.
    #[arg(long, default_value_t = 25_000)]
    per_hour: u64,
    /// Events that are due in the same moment.
    #[arg(long, default_value_t = 685)]
    burst: usize,
    /// Seed of the pauses between events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Measured {
    /// Accepted ahead, due while nothing else is.
    idle: Percentiles,
    /// Due at once: from before the request to the receiver.
    idle_at_once: Percentiles,
    steady: Percentiles,
    burst: Percentiles,
    seed: u64,
    load_before: f64,
}

impl Latency {
    pub(super) async fn measure(&self, ground: &Ground) -> anyhow::Result<ExitCode> {
        if self.idle_events == 0 || self.burst == 0 || self.per_hour == 0 {
            return Err(Error::new(Code::InvalidParameter, "nothing cannot be measured")
                .field("--idle-events")
                .expected("one event at least, everywhere")
                .into());
        }
        let load_before = measure::load();
        let (listener, receiver) = receiver::listen().await?;
        let state = Arc::new(State::default());
        let serving = tokio::spawn(receiver::serve(listener, state.clone()));
        let sections = cast::deliveries(receiver, &["time"; ENDPOINTS as usize], 100);
        let node = Node::start(ground, "node", &ground.configuration(&sections)).await?;
        let wire = Wire::connect(node.address).await?;
        let mut run = Run { wire, state, random: Random(self.seed), sent: 0 };
        // Connections, statements and caches are made.
        run.idle(5, 100).await?;
        let measured = Measured {
            idle: run.idle(self.idle_events, 300).await?,
            idle_at_once: run.idle(self.idle_events, 0).await?,
            steady: run.steady(Duration::from_secs(60 * self.minutes), self.per_hour).await?,
            burst: run.burst(self.burst).await?,
            seed: self.seed,
            load_before,
        };
        drop(run);
        node.stop().await?;
        serving.abort();
        measure::print(self.json, &measured)?;
        Ok(ExitCode::SUCCESS)
    }
}

struct Run {
    wire: Wire,
    state: Arc<State>,
    random: Random,
    sent: u64,
}

impl Run {
    /// One event after the other, each when the last one has come.
    async fn idle(&mut self, events: usize, ahead_ms: u64) -> anyhow::Result<Percentiles> {
        let mut late_ms = Vec::with_capacity(events);
        for _ in 0..events {
            // Not in step with anybody's tick.
            sleep(Duration::from_millis(self.random.below(50))).await;
            let ahead = (ahead_ms > 0).then(|| Duration::from_millis(ahead_ms + self.random.below(100)));
            let event = self.envelope(Timestamp::now() + ahead.unwrap_or_default(), ahead.is_some());
            self.post("/events", &event).await?;
            late_ms.extend(self.wait_for(1).await?);
        }
        Ok(Percentiles::of(late_ms))
    }

    /// Events at random pauses, each due a few seconds after it was sent.
    async fn steady(&mut self, length: Duration, per_hour: u64) -> anyhow::Result<Percentiles> {
        let mean_seconds = 3_600.0 / per_hour as f64;
        let (started, mut at, mut events) = (Instant::now(), Duration::ZERO, 0);
        loop {
            let chance = (self.random.below(1 << 32) + 1) as f64 / 2_f64.powi(32);
            at += Duration::from_secs_f64(-chance.ln() * mean_seconds);
            if at >= length {
                break;
            }
            tokio::time::sleep_until(started + at).await;
            let due = Timestamp::now() + Duration::from_millis(1_000 + self.random.below(4_000));
            let event = self.envelope(due, true);
            self.post("/events", &event).await?;
            events += 1;
        }
        Ok(Percentiles::of(self.wait_for(events).await?))
    }

    /// Many events that are due in one moment.
    async fn burst(&mut self, events: usize) -> anyhow::Result<Percentiles> {
        let due = Timestamp::now() + Duration::from_secs(5);
        let envelopes: Vec<String> = (0..events).map(|_| self.envelope(due, true)).collect();
        for batch in envelopes.chunks(BATCH_EVENTS_MAX) {
            self.post("/events/batch", &format!("{{\"events\":[{}]}}", batch.join(","))).await?;
        }
        Ok(Percentiles::of(self.wait_for(events).await?))
    }

    fn envelope(&mut self, due: Timestamp, is_ahead: bool) -> String {
        self.sent += 1;
        let filling = self.random.payload(PAYLOAD_BYTES - 30);
        let payload =
            format!("{{\"due\":{},\"filling\":{}}}", due.as_microsecond(), String::from_utf8_lossy(&filling));
        let due_at = if is_ahead { format!(",\"dueAt\":\"{due}\"") } else { String::new() };
        format!("{{\"type\":\"bench-{}\"{due_at},\"payload\":{payload}}}", self.sent % ENDPOINTS)
    }

    async fn post(&mut self, path: &str, body: &str) -> anyhow::Result<()> {
        match self.wire.post(path, body.as_bytes()).await? {
            202 => Ok(()),
            status => {
                let message = format!("POST {path} was answered with {status}");
                Err(Error::new(Code::Unavailable, message).into())
            }
        }
    }

    async fn wait_for(&self, events: usize) -> Result<Vec<f64>, Error> {
        let mut last_progress = (0, Instant::now());
        loop {
            let timed = self.state.timed();
            if timed >= events {
                return Ok(self.state.take_late_ms());
            }
            if timed > last_progress.0 {
                last_progress = (timed, Instant::now());
            } else if last_progress.1.elapsed() > PATIENCE {
                let message = format!("{timed} of {events} events were delivered, and then none");
                return Err(Error::new(Code::Timeout, message));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
