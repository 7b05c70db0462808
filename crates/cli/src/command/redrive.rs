//! `posthaste redrive`: runs that give dead letters back: listed, shown, watched, cancelled.
//!
//! Not for: starting one (`dlq redrive`).

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use posthaste_base::{Code, Error, RedriveId};
use posthaste_broker::{Broker, RedriveOut, RedriveStatus};

use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::database::with_broker;
use crate::failure::FINDINGS;
use crate::output::Output;

const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Follow redrives: list, show, cancel, watch. They are started by `dlq redrive`.
#[derive(Subcommand, Debug)]
pub(crate) enum Redrive {
    List(List),
    Show(Show),
    Cancel(Cancel),
    Watch(Watch),
}

/// List runs, the newest first.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste redrive list")]
pub(crate) struct List {
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Only runs before this one.
    #[arg(long)]
    before: Option<i64>,
    #[command(flatten)]
    output: Output,
}

/// Show one run.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste redrive show 3")]
pub(crate) struct Show {
    /// The run's id.
    id: i64,
    #[command(flatten)]
    output: Output,
}

/// Cancel a run. What has gone back stays; the rest is dead as before.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste redrive cancel 3 --yes")]
pub(crate) struct Cancel {
    /// The run's id.
    id: i64,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// Follow a run until it ends. It needs a node that runs: nothing moves without one.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  posthaste redrive watch 3\n  posthaste redrive watch 3 --within-seconds 600"
)]
pub(crate) struct Watch {
    /// The run's id.
    id: i64,
    /// Give up after so long; the run goes on.
    #[arg(long, value_name = "SECONDS")]
    within_seconds: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl Redrive {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| {
            match self {
                Redrive::List(list) => {
                    let runs = broker.list_redrives(list.before.map(RedriveId), list.limit).await?;
                    let columns = [
                        ("ID", "id"),
                        ("STATUS", "status"),
                        ("TOTAL", "total"),
                        ("MOVED", "moved"),
                        ("WAITING", "waiting"),
                        ("RELEASED", "released"),
                        ("STARTED", "startedAt"),
                        ("FINISHED", "finishedAt"),
                        ("BY", "startedBy"),
                    ];
                    list.output.list("redrives", &runs, &columns)?;
                }
                Redrive::Show(show) => {
                    show.output.one("redrive", &broker.redrive(RedriveId(show.id)).await?)?;
                }
                Redrive::Cancel(cancel) => {
                    let run = broker.redrive(RedriveId(cancel.id)).await?;
                    if cancel.consent.get(&format!("leave {} letters dead as they were", run.waiting))? {
                        cancel.output.one("redrive", &broker.cancel_redrive(run.id).await?)?;
                    }
                }
                Redrive::Watch(follow) => {
                    let watched = watch(broker, RedriveId(follow.id), follow.output);
                    let Some(within_seconds) = follow.within_seconds else { return watched.await };
                    let within = Duration::from_secs(within_seconds);
                    return tokio::time::timeout(within, watched).await.unwrap_or_else(|_| {
                        let message =
                            format!("redrive {} has not ended within {within_seconds} s", follow.id);
                        let error = Error::new(Code::Timeout, message);
                        Err(error.hint("see that a node runs, and watch it again: the run goes on").into())
                    });
                }
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

/// Says how far a run is as it changes, prints it at its end; a cancelled one is a finding.
pub(super) async fn watch(broker: &Broker, id: RedriveId, output: Output) -> anyhow::Result<ExitCode> {
    let mut said: Option<RedriveOut> = None;
    loop {
        let run = broker.redrive(id).await?;
        if said.as_ref().is_none_or(|said| said.moved != run.moved) {
            talk(&format!("{} of {} have gone back", run.moved, run.total));
        }
        if run.status != RedriveStatus::Running {
            output.one("redrive", &run)?;
            let is_done = run.status == RedriveStatus::Done;
            return Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) });
        }
        said = Some(run);
        tokio::time::sleep(WATCH_EVERY).await;
    }
}
