//! `posthaste dlq`: dead letters, what to do about them, and doing it.
//!
//! Not for: verdicts (the engine's), or following a redrive once it runs (`redrive`).

mod letters;
mod redrive;
mod triage;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_broker::DeadLetterFilter;

use crate::config::Place;
use crate::database::with_broker;

pub(super) use triage::text as triage_text;

/// Dead letters: list, show, triage, redrive, discard, export.
#[derive(Subcommand, Debug)]
pub(crate) enum Dlq {
    List(letters::List),
    Show(letters::Show),
    Triage(triage::Triage),
    Redrive(redrive::Redrive),
    Discard(letters::Discard),
    Export(letters::Export),
}

/// Which dead letters. Nothing said selects all.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which letters")]
pub(crate) struct Which {
    /// Of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// With this category or code: TRANSIENT, http-503.
    #[arg(long)]
    error_type: Option<String>,
    /// Of this event type.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// That could not be delivered to this endpoint.
    #[arg(long)]
    endpoint: Option<String>,
    /// Dead for at least so long.
    #[arg(long, value_name = "SECONDS")]
    min_age_seconds: Option<i64>,
    /// Dead for at most so long.
    #[arg(long, value_name = "SECONDS")]
    max_age_seconds: Option<i64>,
    /// Died at this time or later.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Died before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// With these ids, separated by commas.
    #[arg(long = "id", value_delimiter = ',')]
    ids: Vec<i64>,
}

impl Which {
    fn filter(&self) -> Result<DeadLetterFilter, Error> {
        Ok(DeadLetterFilter {
            queue: self.queue.clone(),
            error_type: self.error_type.clone(),
            min_age_seconds: self.min_age_seconds,
            max_age_seconds: self.max_age_seconds,
            from: self.from.as_deref().map(|text| instant("--from", text)).transpose()?,
            to: self.to.as_deref().map(|text| instant("--to", text)).transpose()?,
            event_type: self.event_type.clone(),
            endpoint: self.endpoint.clone(),
            ids: (!self.ids.is_empty()).then(|| self.ids.clone()),
        })
    }
}

fn instant(flag: &str, text: &str) -> Result<Timestamp, Error> {
    text.parse().map_err(|_| {
        Error::new(Code::InvalidTime, format!("`{text}` is not a time"))
            .field(flag)
            .expected("an instant such as `2026-03-01T09:00:00Z`")
    })
}

impl Dlq {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        if let Dlq::Triage(triage) = &self
            && let Some(file) = &triage.file
        {
            // A file needs no database.
            return triage.of_file(file);
        }
        with_broker(place, async |broker, _| match self {
            Dlq::List(list) => list.run(broker).await,
            Dlq::Show(show) => show.run(broker).await,
            Dlq::Triage(triage) => triage.run(broker).await,
            Dlq::Redrive(redrive) => redrive.run(broker).await,
            Dlq::Discard(discard) => discard.run(broker).await,
            Dlq::Export(export) => export.run(broker).await,
        })
        .await
    }
}
