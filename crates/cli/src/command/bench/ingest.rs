//! `posthaste bench ingest`: sends over HTTP, one by one, against as many connections that insert one row a
//! transaction into a bare table of the same server.
//!
//! They take turns in rounds, so that they share the machine's noise. Not for: sends in batches (see `queue`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use posthaste_base::{Code, Error};
use posthaste_pg::{Pool, PoolOptions};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::cast::Node;
use super::ground::Ground;
use super::measure::{self, Process, ratio, round};
use super::random::Random;
use super::wire::Wire;

const CONFIGURATION: &str = "\
    [server]\nlisten = \"127.0.0.1:0\"\nlog_filter = \"warn\"\n\n\
    [types.bench]\n\n[queues.bench]\n\n[queues.direct]\n\n\
    [subscriptions.bench]\ntopic = \"bench\"\nqueue = \"bench\"\n";

/// Sends one by one over HTTP, against bare INSERTs from as many connections.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste bench ingest\n  \
    posthaste bench ingest --connections 8 --payload-bytes 4096 --rounds 5")]
pub(crate) struct Ingest {
    /// Connections to the node, and to the database.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// The size of each payload.
    #[arg(long, default_value_t = 250)]
    payload_bytes: usize,
    /// How often each takes its turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a turn is measured.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Measured {
    /// `POST /events`, each event with one message in a queue.
    events: Rate,
    /// `POST /queues/direct/messages`.
    messages: Rate,
    /// One row a transaction.
    bare: Rate,
    events_ratio: f64,
    messages_ratio: f64,
    load_before: f64,
}

#[derive(Default, Serialize)]
struct Rate {
    per_second: f64,
    cpu_micros_each: BTreeMap<&'static str, f64>,
    rounds: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Events,
    Messages,
    Bare,
}

impl Ingest {
    pub(super) async fn measure(&self, ground: &Ground) -> anyhow::Result<ExitCode> {
        if self.connections == 0 || self.rounds == 0 || self.seconds == 0 || self.payload_bytes < 16 {
            return Err(Error::new(Code::InvalidParameter, "a number is out of range")
                .field("--connections")
                .expected("a connection, a round, a second and 16 bytes at least")
                .into());
        }
        let load_before = measure::load();
        let node = Node::start(ground, "node", &ground.configuration(CONFIGURATION)).await?;
        let target = ground.database.target().clone();
        let pool = Pool::connect_with(target, PoolOptions::of_size(self.connections)).await?;
        pool.get().await?.batch_execute(include_str!("../../../sql/bench/create_bare.sql")).await?;
        let turns = [What::Events, What::Messages, What::Bare];
        let mut rates = turns.map(|_| Rate::default());
        for _ in 0..self.rounds {
            for (what, rate) in turns.into_iter().zip(&mut rates) {
                self.turn(what, ground, &node, &pool, rate).await?;
            }
        }
        pool.close();
        node.stop().await?;
        let [events, messages, bare] = rates.map(|rate| {
            let mean = rate.rounds.iter().sum::<f64>() / rate.rounds.len() as f64;
            Rate { per_second: round(mean, 0), ..rate }
        });
        let measured = Measured {
            events_ratio: ratio(events.per_second, bare.per_second),
            messages_ratio: ratio(messages.per_second, bare.per_second),
            events,
            messages,
            bare,
            load_before,
        };
        measure::print(self.json, &measured)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn turn(
        &self,
        what: What,
        ground: &Ground,
        node: &Node,
        pool: &Pool,
        rate: &mut Rate,
    ) -> anyhow::Result<()> {
        let count = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..self.connections {
            let sender = Sender { count: count.clone(), payload_bytes: self.payload_bytes };
            match what {
                What::Bare => senders.spawn(sender.insert(pool.clone())),
                What::Events => senders.spawn(sender.post(node.address, "/events?type=bench", "", "")),
                What::Messages => {
                    senders.spawn(sender.post(node.address, "/queues/direct/messages", "{\"payload\":", "}"))
                }
            };
        }
        let cpu = || {
            let own = Process { pid: std::process::id() };
            let mut cpu =
                BTreeMap::from([("client", own.cpu_seconds()), ("node", node.process.cpu_seconds())]);
            cpu.extend(ground.server.map(|server| ("postgres", server.cpu_seconds())));
            cpu
        };
        sleep(Duration::from_secs(1)).await;
        let (before, cpu_before, started) = (count.load(Ordering::Relaxed), cpu(), Instant::now());
        tokio::select! {
            () = sleep(Duration::from_secs(self.seconds)) => {}
            // They go on for ever, unless something goes wrong.
            Some(ended) = senders.join_next() => match ended? {
                Err(error) => return Err(error),
            },
        }
        let done = count.load(Ordering::Relaxed) - before;
        rate.rounds.push(round(done as f64 / started.elapsed().as_secs_f64(), 0));
        rate.cpu_micros_each = measure::cpu_micros_each(&cpu_before, &cpu(), done);
        senders.shutdown().await;
        Ok(())
    }
}

struct Sender {
    count: Arc<AtomicU64>,
    payload_bytes: usize,
}

impl Sender {
    async fn post(
        self,
        to: SocketAddr,
        path: &'static str,
        before: &'static str,
        after: &'static str,
    ) -> anyhow::Result<Infallible> {
        let mut wire = Wire::connect(to).await?;
        let mut random = Random::fresh();
        loop {
            let payload = random.payload(self.payload_bytes);
            let body = [before.as_bytes(), &payload, after.as_bytes()].concat();
            let status = wire.post(path, &body).await?;
            if status != 202 {
                let message = format!("POST {path} was answered with {status}");
                return Err(Error::new(Code::Unavailable, message).into());
            }
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn insert(self, pool: Pool) -> anyhow::Result<Infallible> {
        let session = pool.get().await?;
        let insert = session.prepare_cached(include_str!("../../../sql/bench/insert_bare.sql")).await?;
        let mut random = Random::fresh();
        loop {
            let payload = random.payload(self.payload_bytes);
            session.execute(&insert, &[&String::from_utf8_lossy(&payload).as_ref()]).await?;
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
