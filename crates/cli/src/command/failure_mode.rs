//! `posthaste failure-mode`: what goes wrong on purpose, in tests and exercises, where the configuration allows it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_broker::{FailureMode, FailureModeKind};

use crate::ask::Consent;
use crate::config::Place;
use crate::database::with_broker;
use crate::output::Output;

/// Let things go wrong on purpose: show, set.
#[derive(Subcommand, Debug)]
pub(crate) enum Mode {
    Show(Show),
    Set(Set),
}

/// Show the failure mode that is on.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste failure-mode show")]
pub(crate) struct Show {
    #[command(flatten)]
    output: Output,
}

/// Switch a failure mode on for all nodes, or off with none.
///
/// Modes reach calls to endpoints (duplicate_submit: events as they come in), never what consumers pull.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste failure-mode set random_fail_p30 --seed 42 --yes\n  \
    posthaste failure-mode set slow_downstream --delay-ms 500 --endpoint shop \\\n    \
    --yes\n  \
    posthaste failure-mode set none --yes")]
pub(crate) struct Set {
    /// poison_payload: messages fail at every receive; slow_downstream: attempts wait first; random_fail_p30: some
    /// attempts fail; duplicate_submit: events are handed in twice; none.
    mode: String,
    /// The same seed does the same to the same messages.
    #[arg(long, default_value_t = 0)]
    seed: i64,
    /// The share of messages that is hit.
    #[arg(long)]
    percent: Option<u8>,
    /// How slow slow_downstream is.
    #[arg(long)]
    delay_ms: Option<u32>,
    /// Hit only what goes to this endpoint.
    #[arg(long)]
    endpoint: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Mode {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Mode::Show(show) => show.output.one("failureMode", &broker.get_failure_mode().await?),
            Mode::Set(set) => {
                let Set { seed, percent, delay_ms, endpoint, consent, output, mode } = set;
                let mode: FailureModeKind = mode.parse()?;
                broker.get_failure_mode().await?;
                if consent.get(&format!("switch the failure mode to `{}` on all nodes", mode.as_str()))? {
                    let set = FailureMode { mode, seed, percent, delay_ms, endpoint };
                    output.one("failureMode", &broker.set_failure_mode(set).await?)?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
