//! `posthaste bench queue`: producers send and consumers receive and settle, side by side, over the broker.
//!
//! Its options and its output are the contract in bench/README.md. The keeper and the listener run as in a node.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use posthaste_base::limits::BATCH_MESSAGES_MAX;
use posthaste_base::{Clock, Code, Error};
use posthaste_broker::{Broker, BrokerOptions, QueueIn, QueueSettingsPatch, SendIn};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ground::Ground;
use super::measure::{self, Process, Server, round};
use super::random::Random;

const QUEUE: &str = "bench";
const FILLERS: usize = 4;
const TOMORROW_SECONDS: u32 = 24 * 3600;
/// Different payloads of one producer, taken in turn.
const PAYLOADS: usize = 1_000;
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// Messages through one queue: sent, received and settled, as fast as it goes.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste bench queue\n  \
    posthaste bench queue --producers 32 --consumers 32 --batch 1 \\\n    \
    --payload-bytes 4096\n  \
    posthaste bench queue --workload later --later 1000000\n  \
    posthaste bench queue --workload backlog --ready 1000000\n  \
    posthaste bench queue --workload send --producers 32 --consumers 0 --batch 1")]
pub(crate) struct Queue {
    /// What is measured; the name alone changes nothing.
    #[arg(long, value_enum, default_value_t = Workload::Cycle)]
    workload: Workload,
    /// Tasks that send.
    #[arg(long, default_value_t = 4)]
    producers: usize,
    /// Tasks that receive and settle; none: only sending is measured.
    #[arg(long, default_value_t = 4)]
    consumers: usize,
    /// Messages that are sent, received and settled at a time.
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// The size of each message.
    #[arg(long, default_value_t = 250)]
    payload_bytes: usize,
    /// How long to measure.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// How long to run before measuring.
    #[arg(long, default_value_t = 2)]
    warmup_seconds: u64,
    /// Producers pause while so many of their messages are unsettled.
    #[arg(long, default_value_t = 1_600)]
    backlog_max: usize,
    /// Messages beside them that are due tomorrow.
    #[arg(long, default_value_t = 0)]
    later: usize,
    /// Messages that wait already.
    #[arg(long, default_value_t = 0)]
    ready: usize,
    /// Count only the last seconds of those measured.
    #[arg(long, value_name = "SECONDS")]
    count_last_seconds: Option<usize>,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Workload {
    Cycle,
    Later,
    Backlog,
    Snapshot,
    Notify,
    Send,
}

#[derive(Serialize)]
struct Measured {
    workload: Workload,
    messages_per_second: f64,
    sent_per_second: f64,
    /// Settled in each second, or sent where nobody receives.
    series: Vec<u64>,
    /// Messages whose lease was lost before they were settled.
    lost: u64,
    own_cpu_seconds: f64,
    server_cpu_seconds: Option<f64>,
    load_before: f64,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    settled: AtomicU64,
    lost: AtomicU64,
}

impl Queue {
    pub(super) async fn measure(&self, ground: &Ground) -> anyhow::Result<ExitCode> {
        self.check()?;
        let load_before = measure::load();
        let pool = ground.database.pool.clone();
        let broker = Broker::open(pool, BrokerOptions::default(), Clock::system()).await?;
        broker.create_queue(QueueIn { name: QUEUE.into(), settings: QueueSettingsPatch::default() }).await?;
        self.fill(&broker, self.later, Some(TOMORROW_SECONDS)).await?;
        self.fill(&broker, self.ready, None).await?;
        if self.later + self.ready > 0 {
            ground.settle_down().await?;
        }
        let stop = CancellationToken::new();
        let mut ground_tasks = JoinSet::new();
        ground_tasks.spawn({
            let (broker, stop) = (broker.clone(), stop.clone());
            async move { broker.run_keeper(stop).await }
        });
        ground_tasks.spawn({
            let (broker, stop) = (broker.clone(), stop.clone());
            async move { broker.run_listener(stop).await }
        });
        let measured = self.cycle(&broker, ground, load_before).await;
        stop.cancel();
        while ground_tasks.join_next().await.is_some() {}
        measure::print(self.json, &measured?)?;
        Ok(ExitCode::SUCCESS)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |field: &str, expected: String| {
            Error::new(Code::InvalidParameter, "a number is out of range").field(field).expected(expected)
        };
        if !(1..=BATCH_MESSAGES_MAX).contains(&self.batch) {
            return Err(refuse("--batch", format!("1 to {BATCH_MESSAGES_MAX}")));
        }
        if self.payload_bytes < 16 {
            return Err(refuse("--payload-bytes", "16 or more".into()));
        }
        if self.producers == 0 || self.seconds == 0 || self.backlog_max < self.batch {
            return Err(refuse(
                "--producers",
                "a producer, a second and a backlog of a batch at least".into(),
            ));
        }
        Ok(())
    }

    async fn fill(&self, broker: &Broker, count: usize, delay_seconds: Option<u32>) -> anyhow::Result<()> {
        let mut fillers = JoinSet::new();
        for filler in 0..FILLERS {
            let broker = broker.clone();
            let mut left = count / FILLERS + usize::from(filler < count % FILLERS);
            let mut payloads = Payloads::new(self.payload_bytes, 1_000 + filler as u64);
            fillers.spawn(async move {
                while left > 0 {
                    let batch = payloads.next_batch(left.min(BATCH_MESSAGES_MAX), delay_seconds);
                    left -= batch.len();
                    broker.send(QUEUE, batch).await?;
                }
                Ok::<_, Error>(())
            });
        }
        while let Some(filled) = fillers.join_next().await {
            filled??;
        }
        Ok(())
    }

    async fn cycle(&self, broker: &Broker, ground: &Ground, load_before: f64) -> anyhow::Result<Measured> {
        let counts = Arc::new(Counts::default());
        // A place for each message that may be unsettled.
        let places = Arc::new(Semaphore::new(self.backlog_max));
        let mut tasks = JoinSet::new();
        for producer in 0..self.producers {
            let payloads = Payloads::new(self.payload_bytes, producer as u64 + 1);
            let places = (self.consumers > 0).then(|| places.clone());
            tasks.spawn(produce(broker.clone(), counts.clone(), places, payloads, self.batch));
        }
        for _ in 0..self.consumers {
            tasks.spawn(consume(broker.clone(), counts.clone(), places.clone(), self.batch));
        }
        let own = Process { pid: std::process::id() };
        let server_cpu = || ground.server.map(Server::cpu_seconds);
        let measuring = async {
            let start = Instant::now() + Duration::from_secs(self.warmup_seconds);
            sleep_until(start).await;
            let cpu_before = (own.cpu_seconds(), server_cpu());
            let (mut settled, mut sent) = (Vec::new(), Vec::new());
            let mut last = (counts.settled.load(Ordering::Relaxed), counts.sent.load(Ordering::Relaxed));
            for second in 1..=self.seconds {
                sleep_until(start + Duration::from_secs(second)).await;
                let now = (counts.settled.load(Ordering::Relaxed), counts.sent.load(Ordering::Relaxed));
                settled.push(now.0 - last.0);
                sent.push(now.1 - last.1);
                last = now;
            }
            let cpu_after = (own.cpu_seconds(), server_cpu());
            let counted = self.count_last_seconds.unwrap_or(settled.len()).clamp(1, settled.len());
            let rate = |series: &[u64]| {
                round(series[series.len() - counted..].iter().sum::<u64>() as f64 / counted as f64, 1)
            };
            let series = if self.consumers > 0 { settled } else { sent.clone() };
            Measured {
                workload: self.workload,
                messages_per_second: rate(&series),
                sent_per_second: rate(&sent),
                series,
                lost: counts.lost.load(Ordering::Relaxed),
                own_cpu_seconds: round(cpu_after.0 - cpu_before.0, 2),
                server_cpu_seconds: cpu_after
                    .1
                    .zip(cpu_before.1)
                    .map(|(after, before)| round(after - before, 2)),
                load_before,
            }
        };
        let measured = tokio::select! {
            measured = measuring => measured,
            // They go on for ever, unless something goes wrong.
            Some(ended) = tasks.join_next() => match ended? {
                Err(error) => return Err(error.into()),
            },
        };
        tasks.shutdown().await;
        Ok(measured)
    }
}

async fn produce(
    broker: Broker,
    counts: Arc<Counts>,
    places: Option<Arc<Semaphore>>,
    mut payloads: Payloads,
    batch: usize,
) -> Result<std::convert::Infallible, Error> {
    loop {
        if let Some(places) = &places {
            // Given back by whoever settles.
            let taken = places.acquire_many(batch as u32).await;
            taken.map_err(|_| Error::new(Code::Internal, "the places are closed"))?.forget();
        }
        broker.send(QUEUE, payloads.next_batch(batch, None)).await?;
        counts.sent.fetch_add(batch as u64, Ordering::Relaxed);
    }
}

async fn consume(
    broker: Broker,
    counts: Arc<Counts>,
    places: Arc<Semaphore>,
    batch: usize,
) -> Result<std::convert::Infallible, Error> {
    loop {
        let messages = broker.receive(QUEUE, batch, None, RECEIVE_WAIT).await?;
        let received = messages.len();
        let settled = broker.settle(messages.into_iter().map(|message| message.receipt).collect()).await?;
        let lost = settled.iter().filter(|one| one.is_err()).count();
        counts.settled.fetch_add((received - lost) as u64, Ordering::Relaxed);
        counts.lost.fetch_add(lost as u64, Ordering::Relaxed);
        places.add_permits(received - lost);
    }
}

/// JSON with random text in it, so that compression wins nothing; the same for the same seed.
struct Payloads {
    all: Vec<Bytes>,
    next: usize,
}

impl Payloads {
    fn new(bytes: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let all = (0..PAYLOADS).map(|_| random.payload(bytes)).collect();
        Self { all, next: 0 }
    }

    fn next_batch(&mut self, count: usize, delay_seconds: Option<u32>) -> Vec<SendIn> {
        let take = |offset: usize| SendIn {
            payload: self.all[(self.next + offset) % self.all.len()].clone(),
            attributes: None,
            delay_seconds,
        };
        let batch = (0..count).map(take).collect();
        self.next = (self.next + count) % self.all.len();
        batch
    }
}
