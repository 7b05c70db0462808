//! `posthaste bench delivery`: the whole way, HTTP in to signed POST out, against a bare load generator at the same
//! receiver in the same run.
//!
//! Node, receiver and load are processes of their own on one machine, with PostgreSQL. Not for: time from due to
//! delivered (see `latency`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use posthaste_base::limits::BATCH_EVENTS_MAX;
use posthaste_base::{Code, Error};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::cast::{self, Node, Receiver};
use super::ground::Ground;
use super::measure::{self, Process, ratio, round};
use super::random::Random;
use super::wire::Wire;

/// Endpoints that take turns.
const ENDPOINTS: usize = 10;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A run that delivers nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The whole way: HTTP in, PostgreSQL, signed POST out to ten endpoints.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste bench delivery\n  \
    posthaste bench delivery --events 1000000       # whether memory stays flat\n  \
    # what a stalled endpoint costs the other nine\n  \
    posthaste bench delivery --stalled 1")]
pub(crate) struct Delivery {
    /// Events that are sent in batches.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Events that are sent one by one.
    #[arg(long, default_value_t = 30_000)]
    single_events: u64,
    /// Events of one request.
    #[arg(long, default_value_t = 100)]
    batch: u64,
    /// The size of each payload.
    #[arg(long, default_value_t = 250)]
    payload_bytes: usize,
    /// Connections that send.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Senders pause while so many events are undelivered.
    #[arg(long, default_value_t = 10_000)]
    backlog_max: u64,
    /// Calls that each endpoint takes at a time.
    #[arg(long, default_value_t = 50)]
    in_flight_max: u32,
    /// Endpoints of the ten that never answer, in a run with them and one without.
    #[arg(long, default_value_t = 0)]
    stalled: usize,
    /// How long the bare load generator runs.
    #[arg(long, default_value_t = 5)]
    bare_seconds: u64,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Measured {
    #[serde(skip_serializing_if = "Option::is_none")]
    batches: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_by_one: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stalled: Option<Stalled>,
    /// Requests a second of a bare load generator at the same receiver.
    bare_per_second: f64,
    load_before: f64,
}

#[derive(Serialize)]
struct Way {
    events: u64,
    events_per_second: f64,
    /// Of what the bare load generator got.
    share_of_bare: f64,
    cpu_micros_per_event: BTreeMap<&'static str, f64>,
    node_memory_mb_at_a_tenth: f64,
    node_memory_mb_at_the_end: f64,
}

#[derive(Serialize)]
struct Stalled {
    endpoints: usize,
    /// Of the other endpoints.
    without: Way,
    with: Way,
    ratio: f64,
}

impl Delivery {
    pub(super) async fn measure(&self, ground: &Ground) -> anyhow::Result<ExitCode> {
        self.check()?;
        let load_before = measure::load();
        let receiver = Receiver::start().await?;
        let healthy = ENDPOINTS - self.stalled;
        let paths: Vec<_> =
            (0..ENDPOINTS).map(|number| if number < healthy { "take" } else { "stall" }).collect();
        let sections = cast::deliveries(receiver.address, &paths, self.in_flight_max);
        let node = Node::start(ground, "node", &ground.configuration(&sections)).await?;
        let run = Run { ground, node: &node, receiver: &receiver, delivery: self };
        let mut measured =
            Measured { batches: None, one_by_one: None, stalled: None, bare_per_second: 0.0, load_before };
        // Connections, statements and caches are made.
        run.flood(self.batch, 2_000, ENDPOINTS).await?;
        if self.stalled > 0 {
            let without = run.flood(self.batch, self.events, healthy).await?;
            Wire::connect(receiver.address).await?.post("/stalling", b"").await?;
            let with = run.flood(self.batch, self.events, healthy).await?;
            measured.stalled = Some(Stalled {
                endpoints: self.stalled,
                ratio: ratio(with.events_per_second, without.events_per_second),
                without,
                with,
            });
        } else {
            measured.batches = Some(run.flood(self.batch, self.events, ENDPOINTS).await?);
            measured.one_by_one = Some(run.flood(1, self.single_events, ENDPOINTS).await?);
        }
        measured.bare_per_second = self.bare(receiver.address).await?;
        let stalled =
            measured.stalled.iter_mut().flat_map(|stalled| [&mut stalled.without, &mut stalled.with]);
        for way in [&mut measured.batches, &mut measured.one_by_one].into_iter().flatten().chain(stalled) {
            way.share_of_bare = ratio(way.events_per_second, measured.bare_per_second);
        }
        // What a stalled endpoint holds would only be waited for.
        if self.stalled > 0 {
            node.kill().await?
        } else {
            node.stop().await?
        };
        measure::print(self.json, &measured)?;
        Ok(ExitCode::SUCCESS)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |field: &str, expected: String| {
            Error::new(Code::InvalidParameter, "a number is out of range").field(field).expected(expected)
        };
        if self.stalled >= ENDPOINTS {
            return Err(refuse("--stalled", format!("0 to {}", ENDPOINTS - 1)));
        }
        if !(1..=BATCH_EVENTS_MAX as u64).contains(&self.batch) {
            return Err(refuse("--batch", format!("1 to {BATCH_EVENTS_MAX}")));
        }
        if self.connections == 0 || self.events == 0 || self.single_events == 0 || self.bare_seconds == 0 {
            return Err(refuse("--events", "a connection, an event and a second at least".into()));
        }
        Ok(())
    }

    /// The same bodies to the same receiver over the same number of connections, with nothing in between.
    async fn bare(&self, receiver: SocketAddr) -> anyhow::Result<f64> {
        let count = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        for seed in 0..self.connections {
            let body = Random(seed as u64).payload(self.payload_bytes);
            senders.spawn(send_bare(receiver, body, count.clone()));
        }
        sleep(Duration::from_millis(500)).await;
        let (before, started) = (count.load(Ordering::Relaxed), Instant::now());
        tokio::select! {
            () = sleep(Duration::from_secs(self.bare_seconds)) => {}
            // They go on for ever, unless something goes wrong.
            Some(ended) = senders.join_next() => match ended? {
                Err(error) => return Err(error.into()),
            },
        }
        let sent = count.load(Ordering::Relaxed) - before;
        Ok(round(sent as f64 / started.elapsed().as_secs_f64(), 0))
    }
}

async fn send_bare(to: SocketAddr, body: Bytes, count: Arc<AtomicU64>) -> io::Result<Infallible> {
    let mut wire = Wire::connect(to).await?;
    loop {
        wire.post("/take/0", &body).await?;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

struct Run<'a> {
    ground: &'a Ground,
    node: &'a Node,
    receiver: &'a Receiver,
    delivery: &'a Delivery,
}

/// What senders and the one who watches the receiver tell each other.
#[derive(Default)]
struct Progress {
    tickets: AtomicU64,
    /// Events for the endpoints that are waited for.
    sent: AtomicU64,
    delivered: AtomicU64,
    moved: Notify,
}

impl Run<'_> {
    /// Sends `events` to all endpoints in turn, and waits until those of the first `healthy` ones are delivered, which
    /// alone are counted.
    async fn flood(&self, batch: u64, events: u64, healthy: usize) -> anyhow::Result<Way> {
        let awaited = (0..events).filter(|ticket| is_awaited(*ticket, healthy)).count() as u64;
        let mut watch = Wire::connect(self.receiver.address).await?;
        let base = delivered(&mut watch, healthy).await?;
        let progress = Arc::new(Progress::default());
        let mut senders = JoinSet::new();
        let (started, cpu_before) = (Instant::now(), self.cpu());
        for _ in 0..self.delivery.connections {
            let sender = Sender {
                wire: Wire::connect(self.node.address).await?,
                progress: progress.clone(),
                random: Random::fresh(),
                events,
                batch,
                healthy,
                payload_bytes: self.delivery.payload_bytes,
                backlog_max: self.delivery.backlog_max,
            };
            senders.spawn(sender.run());
        }
        let mut memory_at_a_tenth = None;
        let mut last_progress = (0, Instant::now());
        let elapsed = loop {
            let delivered = delivered(&mut watch, healthy).await? - base;
            progress.delivered.store(delivered, Ordering::Relaxed);
            progress.moved.notify_waiters();
            if delivered >= awaited {
                break started.elapsed();
            }
            if delivered >= events / 10 {
                memory_at_a_tenth.get_or_insert_with(|| self.node.process.memory_mb());
            }
            if delivered > last_progress.0 {
                last_progress = (delivered, Instant::now());
            } else if last_progress.1.elapsed() > PATIENCE {
                let message = format!("{delivered} of {awaited} events were delivered, and then none");
                return Err(Error::new(Code::Timeout, message).into());
            }
            while let Some(ended) = senders.try_join_next() {
                ended??;
            }
            sleep(LOOK_EVERY).await;
        };
        let cpu_after = self.cpu();
        senders.shutdown().await;
        Ok(Way {
            events: awaited,
            events_per_second: round(awaited as f64 / elapsed.as_secs_f64(), 0),
            share_of_bare: 0.0,
            cpu_micros_per_event: measure::cpu_micros_each(&cpu_before, &cpu_after, awaited),
            node_memory_mb_at_a_tenth: memory_at_a_tenth.unwrap_or_default(),
            node_memory_mb_at_the_end: self.node.process.memory_mb(),
        })
    }

    fn cpu(&self) -> BTreeMap<&'static str, f64> {
        let own = Process { pid: std::process::id() };
        let mut cpu = BTreeMap::from([
            ("node", self.node.process.cpu_seconds()),
            ("receiver", self.receiver.process.cpu_seconds()),
            ("load", own.cpu_seconds()),
        ]);
        cpu.extend(self.ground.server.map(|server| ("postgres", server.cpu_seconds())));
        cpu
    }
}

struct Sender {
    wire: Wire,
    progress: Arc<Progress>,
    random: Random,
    events: u64,
    batch: u64,
    healthy: usize,
    payload_bytes: usize,
    backlog_max: u64,
}

impl Sender {
    async fn run(mut self) -> anyhow::Result<()> {
        loop {
            let first = self.progress.tickets.fetch_add(self.batch, Ordering::Relaxed);
            let tickets = first..self.events.min(first + self.batch);
            if tickets.is_empty() {
                return Ok(());
            }
            self.wait().await;
            let envelopes: Vec<String> = tickets.clone().map(|ticket| self.envelope(ticket)).collect();
            let (path, body) = match self.batch {
                1 => ("/events", envelopes.concat()),
                _ => ("/events/batch", format!("{{\"events\":[{}]}}", envelopes.join(","))),
            };
            let awaited = tickets.filter(|ticket| is_awaited(*ticket, self.healthy)).count() as u64;
            self.progress.sent.fetch_add(awaited, Ordering::Relaxed);
            let status = self.wire.post(path, body.as_bytes()).await?;
            if status != 202 {
                let message = format!("POST {path} was answered with {status}");
                return Err(Error::new(Code::Unavailable, message).into());
            }
        }
    }

    /// Until few enough are undelivered.
    async fn wait(&self) {
        let backlog = || {
            let delivered = self.progress.delivered.load(Ordering::Relaxed);
            self.progress.sent.load(Ordering::Relaxed).saturating_sub(delivered)
        };
        while backlog() >= self.backlog_max {
            // A word that is missed comes again.
            let _ = timeout(LOOK_EVERY, self.progress.moved.notified()).await;
        }
    }

    fn envelope(&mut self, ticket: u64) -> String {
        let payload = self.random.payload(self.payload_bytes);
        let payload = String::from_utf8_lossy(&payload);
        format!("{{\"type\":\"bench-{}\",\"payload\":{payload}}}", ticket % ENDPOINTS as u64)
    }
}

fn is_awaited(ticket: u64, healthy: usize) -> bool {
    ticket % (ENDPOINTS as u64) < healthy as u64
}

/// How many the receiver took for its first endpoints.
async fn delivered(watch: &mut Wire, healthy: usize) -> anyhow::Result<u64> {
    let counts: Vec<u64> = serde_json::from_slice(watch.get("/count").await?)?;
    Ok(counts.iter().take(healthy).sum())
}
