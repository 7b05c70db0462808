//! `posthaste bench`: how fast this build is on this machine, and against what can be compared in the same run.
//!
//! One file a benchmark, in the folder; what they share is `ground` (where they run) and `measure` (numbers). Not for:
//! other queues, which `bench/run` measures beside this one.

mod ground;
mod measure;
mod queue;

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
    DATABASE_URL=postgres://me@localhost/empty posthaste bench queue --json",
    after_long_help = "A benchmark runs in an empty database: the one that DATABASE_URL names, or a private PostgreSQL \
    in a temporary folder (--data-dir names another one; it must be on a disk for the numbers to mean anything). \
    Build with --release first, and let the machine do nothing else."
)]
pub(crate) enum Bench {
    Queue(queue::Queue),
}

impl Bench {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        let filter = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        logs::start(posthaste_observe::LogFormat::Readable, Some(filter.as_deref().unwrap_or("warn")))?;
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
        }
    }
}
