//! `posthaste bench soak`: nodes and PostgreSQL are killed again and again while events come in and receivers fail, and
//! at the end every accepted event is accounted for.
//!
//! Kills, pauses and answers follow the seed; their moments depend on the machine. Not for: measuring rates.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use posthaste_base::{Clock, Code, Error, Priority};
use posthaste_broker::{Broker, BrokerOptions};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::cast::{self, Node};
use super::ground::Ground;
use super::measure::{self, Process, Server};
use super::random::Random;
use super::receiver;
use super::wire::Wire;
use super::witness::{self, Witness};
use crate::ask::talk;
use crate::failure::FINDINGS;

/// The first node is never killed, so that its memory can be watched.
const NODES: usize = 3;
const SENDERS: u64 = 8;
const PAYLOAD_BYTES: usize = 250;
/// What retries, leases of killed nodes and breakers may take after the last event was accepted.
const DRAIN_WITHIN: Duration = Duration::from_secs(300);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Growth beyond both is a leak, not a cache that fills.
const GROWTH_MB: f64 = 64.0;
const GROWTH_FACTOR: f64 = 1.5;

/// Kill nodes and PostgreSQL while events come in, and account for every one of them.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  \
    posthaste bench soak --minutes 10\n  \
    posthaste bench soak --minutes 480 --seed 7 --per-second 50",
    after_long_help = "Ends with 1, and a report, when an accepted event is neither delivered nor a dead letter, when \
    anything is stuck, when an event was in two calls at once, or when the memory of a node grows. PostgreSQL is only \
    killed when it is a private one."
)]
pub(crate) struct Soak {
    /// How long events come in.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// Seed of kills, pauses and answers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events that are sent.
    #[arg(long, default_value_t = 100)]
    per_second: u64,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    is_accounted_for: bool,
    accepted: u64,
    delivered: u64,
    dead: u64,
    /// Neither delivered nor dead.
    missing: u64,
    missing_first: Vec<u64>,
    /// Messages and events that are still waiting for something.
    left: u64,
    overlaps: u64,
    /// Deliveries that the receiver had before: a node was killed between an answer and its record.
    repeats: u64,
    calls: u64,
    node_kills: u64,
    server_kills: u64,
    memory_mb_at_a_quarter: f64,
    memory_mb_at_the_end: f64,
    drained_in_seconds: u64,
    seed: u64,
}

/// Where the nodes can be reached now.
type Addresses = Arc<Mutex<[Option<SocketAddr>; NODES]>>;

#[derive(Default)]
struct Kills {
    nodes: AtomicU64,
    servers: AtomicU64,
}

impl Soak {
    pub(super) async fn measure(&self, ground: &Ground) -> anyhow::Result<ExitCode> {
        let witness = Witness::new(self.seed);
        let (listener, receiver) = receiver::listen().await?;
        let serving = tokio::spawn(witness.clone().serve(listener));
        let configuration = ground.configuration(&configuration(receiver));
        let addresses = Addresses::default();
        let steady = Node::start(ground, "node-0", &configuration).await?;
        put(&addresses, 0, Some(steady.address));
        // Once the node has declared the queues.
        let pool = ground.database.pool.clone();
        let broker = Broker::open(pool, BrokerOptions::default(), Clock::system()).await?;

        let until = Instant::now() + Duration::from_secs(60 * self.minutes);
        let (kills, numbers, stop) =
            (Kills::default(), Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let random = Random(self.seed.wrapping_mul(1_000).wrapping_add(sender));
            let pause = Duration::from_micros(1_000_000 * SENDERS / self.per_second.max(1));
            let sender =
                Sender { random, addresses: addresses.clone(), numbers: numbers.clone(), pause, until };
            senders.spawn(sender.run());
        }
        let killing = async {
            let ones = (1..NODES)
                .map(|place| self.kill_nodes(ground, place, &configuration, &addresses, &kills, &stop));
            let (nodes, servers) =
                tokio::join!(futures::future::join_all(ones), self.kill_servers(ground, &kills, until));
            nodes.into_iter().collect::<anyhow::Result<Vec<_>>>().and(servers)
        };
        let sending = async {
            sleep((until - Instant::now()) / 4).await;
            let memory = steady.process.memory_mb();
            while let Some(sent) = senders.join_next().await {
                sent??;
            }
            talk("all events are accepted; receivers are healed; waiting for what is under way");
            witness.heal();
            let drained = self.drain(&broker, ground, &witness, numbers.load(Ordering::Relaxed)).await;
            stop.cancel();
            Ok::<_, anyhow::Error>((memory, drained?))
        };
        let ((memory, (account, drained_in)), ()) = tokio::try_join!(sending, killing)?;
        let counts = witness.counts();
        let memory_at_the_end = steady.process.memory_mb();
        let is_flat = memory_at_the_end < (memory + GROWTH_MB).max(memory * GROWTH_FACTOR);
        let report = Report {
            is_accounted_for: account.missing.is_empty()
                && account.left == 0
                && counts.overlaps == 0
                && is_flat,
            accepted: numbers.load(Ordering::Relaxed),
            delivered: counts.taken,
            dead: account.dead,
            missing: account.missing.len() as u64,
            missing_first: account.missing.into_iter().take(10).collect(),
            left: account.left,
            overlaps: counts.overlaps,
            repeats: counts.repeats,
            calls: counts.calls,
            node_kills: kills.nodes.load(Ordering::Relaxed),
            server_kills: kills.servers.load(Ordering::Relaxed),
            memory_mb_at_a_quarter: memory,
            memory_mb_at_the_end: memory_at_the_end,
            drained_in_seconds: drained_in.as_secs(),
            seed: self.seed,
        };
        steady.stop().await?;
        serving.abort();
        measure::print(self.json, &report)?;
        Ok(if report.is_accounted_for { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
    }

    /// Keeps one node running, and kills it now and then, until the end of sending; then lets it run until `stop`.
    async fn kill_nodes(
        &self,
        ground: &Ground,
        place: usize,
        configuration: &str,
        addresses: &Addresses,
        kills: &Kills,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut random = Random(self.seed.wrapping_add(100 + place as u64));
        let until = Instant::now() + Duration::from_secs(60 * self.minutes);
        loop {
            let node = start_patiently(ground, &format!("node-{place}"), configuration).await?;
            put(addresses, place, Some(node.address));
            let at = Instant::now() + Duration::from_millis(2_000 + random.below(15_000));
            if at >= until {
                stop.cancelled().await;
                return node.stop().await;
            }
            tokio::time::sleep_until(at).await;
            put(addresses, place, None);
            node.kill().await?;
            kills.nodes.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(random.below(3_000))).await;
        }
    }

    /// Kills the private server, its first process or one of the others, now and then; it is started again by who
    /// watches it.
    async fn kill_servers(&self, ground: &Ground, kills: &Kills, until: Instant) -> anyhow::Result<()> {
        let mut random = Random(self.seed.wrapping_add(200));
        if ground.database.is_adopted().is_none() {
            talk("PostgreSQL is not ours, and is not killed");
            return Ok(());
        }
        loop {
            let at = Instant::now() + Duration::from_millis(10_000 + random.below(30_000));
            if at >= until {
                return Ok(());
            }
            tokio::time::sleep_until(at).await;
            let Some(server) = find_patiently(ground).await? else { continue };
            let children = server.children();
            let victim = match random.below(2) {
                0 => server.postmaster,
                _ => children
                    .get(random.below(children.len() as u64) as usize)
                    .copied()
                    .unwrap_or(server.postmaster),
            };
            kill(victim)?;
            kills.servers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until every event is accounted for and nothing is under way, or for as long as that may take.
    async fn drain(
        &self,
        broker: &Broker,
        ground: &Ground,
        witness: &Witness,
        accepted: u64,
    ) -> anyhow::Result<(Account, Duration)> {
        let started = Instant::now();
        loop {
            let account = Account::take(broker, ground, witness, accepted).await;
            let is_late = started.elapsed() > DRAIN_WITHIN;
            match account {
                Ok(account) if (account.missing.is_empty() && account.left == 0) || is_late => {
                    return Ok((account, started.elapsed()));
                }
                // The server may just be coming back.
                Err(error) if is_late => return Err(error),
                _ => sleep(Duration::from_secs(1)).await,
            }
        }
    }
}

/// What is neither delivered nor dead, and what is still under way.
struct Account {
    dead: u64,
    missing: Vec<u64>,
    left: u64,
}

impl Account {
    async fn take(
        broker: &Broker,
        ground: &Ground,
        witness: &Witness,
        accepted: u64,
    ) -> anyhow::Result<Self> {
        let session = ground.database.pool.get().await?;
        let statement = session.prepare_cached(include_str!("../../../sql/bench/dead_payloads.sql")).await?;
        let (mut is_dead, mut dead, mut after) = (vec![false; accepted as usize], 0, 0_i64);
        loop {
            let rows = session.query(&statement, &[&after]).await?;
            let Some(last) = rows.last() else { break };
            after = last.get(0);
            dead += rows.len() as u64;
            for number in rows.iter().filter_map(|row| witness::number_of(row.get(1))) {
                if let Some(is_dead) = is_dead.get_mut(number as usize) {
                    *is_dead = true;
                }
            }
        }
        let waiting: i64 =
            session.query_one(include_str!("../../../sql/bench/waiting.sql"), &[]).await?.get(0);
        drop(session);
        let mut left = waiting.unsigned_abs();
        for priority in Priority::ALL {
            let depth = broker.depth(priority.queue_name()).await?;
            left += depth.visible + depth.in_flight + depth.delayed;
        }
        let is_missing = |number: &u64| !is_dead[*number as usize] && !witness.was_taken(*number);
        Ok(Self { dead, missing: (0..accepted).filter(is_missing).collect(), left })
    }
}

struct Sender {
    random: Random,
    addresses: Addresses,
    numbers: Arc<AtomicU64>,
    pause: Duration,
    until: Instant,
}

impl Sender {
    /// Sends events one by one, each until it is accepted, by whichever node answers.
    async fn run(mut self) -> anyhow::Result<()> {
        let mut wire: Option<Wire> = None;
        while Instant::now() < self.until {
            let started = Instant::now();
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let event = self.event(number);
            let give_up_at = Instant::now() + DRAIN_WITHIN;
            loop {
                match self.post(&mut wire, &event).await {
                    Some(202) => break,
                    Some(status @ 400..429) => {
                        let message = format!("event {number} was answered with {status}");
                        return Err(Error::new(Code::Internal, message).into());
                    }
                    _ if Instant::now() > give_up_at => {
                        let message = format!("no node accepts event {number}");
                        return Err(Error::new(Code::Unavailable, message).into());
                    }
                    _ => sleep(Duration::from_millis(50 + self.random.below(200))).await,
                }
            }
            tokio::time::sleep_until(started + self.pause).await;
        }
        Ok(())
    }

    /// One try; on any trouble the next one goes by another connection, perhaps to another node.
    async fn post(&mut self, wire: &mut Option<Wire>, event: &str) -> Option<u16> {
        let mut open = match wire.take() {
            Some(open) => open,
            None => Wire::connect(self.any_address()?).await.ok()?,
        };
        let status = timeout(REQUEST_TIMEOUT, open.post("/events", event.as_bytes())).await.ok()?.ok()?;
        // Now and then another node, so that all of them have work.
        if status == 202 && self.random.below(20) > 0 {
            *wire = Some(open);
        }
        Some(status)
    }

    fn any_address(&mut self) -> Option<SocketAddr> {
        let known: Vec<_> = lock(&self.addresses).iter().flatten().copied().collect();
        known.get(self.random.below(known.len() as u64) as usize).copied()
    }

    fn event(&mut self, number: u64) -> String {
        let filling = self.random.payload(PAYLOAD_BYTES);
        let filling = String::from_utf8_lossy(&filling);
        let due_at = match self.random.below(3) {
            0 => {
                let ahead = Duration::from_millis(self.random.below(20_000));
                format!(",\"dueAt\":\"{}\"", jiff::Timestamp::now() + ahead)
            }
            _ => String::new(),
        };
        let event_type = number % witness::PATHS.len() as u64;
        format!(
            "{{\"type\":\"bench-{event_type}\",\"key\":\"soak-{number}\"{due_at},\
             \"payload\":{{\"n\":{number},\"filling\":{filling}}}}}"
        )
    }
}

/// Short leases and breakers, so that what a killed node held comes back while somebody watches.
fn configuration(receiver: SocketAddr) -> String {
    let settings = "timeout_ms = 2000\nbreaker = { open_ms = 1000, trials = 1 }\nin_flight_max";
    let deliveries = cast::deliveries(receiver, &witness::PATHS, 50).replace("in_flight_max", settings);
    format!(
        "{deliveries}\n[queues.normal]\nworker_timeout_seconds = 5\nvisibility_seconds = 35\nmax_receives = 5\n\
         backoff_base_ms = 200\nbackoff_cap_ms = 2000\n"
    )
}

fn put(addresses: &Addresses, place: usize, address: Option<SocketAddr>) {
    lock(addresses)[place] = address;
}

fn lock(addresses: &Addresses) -> std::sync::MutexGuard<'_, [Option<SocketAddr>; NODES]> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a node as an operator's supervisor does: one that ends because the server was killed meanwhile is started
/// again.
async fn start_patiently(ground: &Ground, name: &str, configuration: &str) -> anyhow::Result<Node> {
    let give_up_at = Instant::now() + Duration::from_secs(60);
    loop {
        match Node::start(ground, name, configuration).await {
            Err(_) if Instant::now() < give_up_at => sleep(Duration::from_millis(500)).await,
            started => return started,
        }
    }
}

/// The server's processes, once it answers again.
async fn find_patiently(ground: &Ground) -> anyhow::Result<Option<Server>> {
    let give_up_at = Instant::now() + Duration::from_secs(60);
    loop {
        match Server::find(&ground.database.pool).await {
            Ok(server) => return Ok(server),
            Err(error) if Instant::now() > give_up_at => return Err(error.into()),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

fn kill(process: Process) -> anyhow::Result<()> {
    if let Some(pid) = rustix::process::Pid::from_raw(process.pid.cast_signed()) {
        // One that has just ended by itself is as good as killed.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    Ok(())
}
