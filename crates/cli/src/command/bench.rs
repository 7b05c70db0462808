//! `posthaste bench`: how fast this build is on this machine, and against what can be compared in the same run.
//!
//! One file a benchmark, in the folder; what they share is `ground` (where they run), `cast` (other processes), `wire`
//! (bare HTTP), `random` and `measure` (numbers). Not for: other queues, which `bench/run` measures beside this one.

mod cast;
mod delivery;
mod ground;
mod ingest;
mod latency;
mod measure;
mod queue;
mod random;
mod receiver;
mod soak;
mod wire;
mod witness;

use std::process::ExitCode;

use clap::Subcommand;
use posthaste_base::{Code, Error};
use posthaste_observe::logs;
use tokio_util::sync::CancellationToken;

use self::ground::Ground;
use crate::config::Place;

/// Measure this build on this machine.
#[derive(Subcommand, Debug)]
#[command(
    before_long_help = "Examples:\n  \
    posthaste bench queue --batch 100 --payload-bytes 250\n  \
    posthaste bench delivery --stalled 1\n  \
    DATABASE_URL=postgres://me@localhost/empty posthaste bench queue --json",
    after_long_help = "A benchmark runs in an empty database: the one that DATABASE_URL names, or a private PostgreSQL \
    in a temporary folder (--data-dir names another one; it must be on a disk for the numbers to mean anything). \
    Build with --release first, and let the machine do nothing else."
)]
pub(crate) enum Bench {
    Queue(queue::Queue),
    Delivery(delivery::Delivery),
    Latency(latency::Latency),
    Ingest(ingest::Ingest),
    Soak(soak::Soak),
    #[command(hide = true)]
    Receiver(receiver::Serve),
}

impl Bench {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        let filter = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        logs::start(posthaste_observe::LogFormat::Readable, Some(filter.as_deref().unwrap_or("warn")))?;
        if let Self::Receiver(receiver) = self {
            receiver.run().await?;
            return Ok(ExitCode::SUCCESS);
        }
        let stop = CancellationToken::new();
        tokio::spawn(super::serve::hear_signals(stop.clone())?);
        let ground = Ground::open(place).await?;
        let measured = stop.run_until_cancelled(self.measure(&ground)).await;
        ground.close().await?;
        measured.unwrap_or_else(|| Err(Error::new(Code::Timeout, "the benchmark was interrupted").into()))
    }

    async fn measure(&self, ground: &Ground) -> anyhow::Result<ExitCode> {
        match self {
            Self::Queue(queue) => queue.measure(ground).await,
            Self::Delivery(delivery) => delivery.measure(ground).await,
            Self::Latency(latency) => latency.measure(ground).await,
            Self::Ingest(ingest) => ingest.measure(ground).await,
            Self::Soak(soak) => soak.measure(ground).await,
            Self::Receiver(_) => Ok(ExitCode::SUCCESS),
        }
    }
}
