//! Dead letters one by one: listed, shown, discarded, exported.

use std::process::ExitCode;

use clap::Args;
use posthaste_base::DeadLetterId;
use posthaste_base::limits::PAGE_MAX;
use posthaste_broker::{Broker, DiscardIn};

use super::Which;
use crate::ask::{Consent, talk};
use crate::command::operator;
use crate::output::{self, Output, counted};

/// Letters of one page of an export.
const EXPORT_PAGE: usize = 100;

/// List dead letters.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste dlq list\n  \
    posthaste dlq list --error-type TRANSIENT --endpoint shop --limit 20 \\\n    \
    --newest-first")]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=PAGE_MAX as u64))]
    limit: u64,
    /// The id after which to go on.
    #[arg(long)]
    after: Option<i64>,
    /// The newest first, rather than the oldest.
    #[arg(long)]
    newest_first: bool,
    #[command(flatten)]
    output: Output,
}

impl List {
    pub(super) async fn run(self, broker: &Broker) -> anyhow::Result<ExitCode> {
        let after = self.after.map(DeadLetterId);
        let limit = usize::try_from(self.limit).unwrap_or(PAGE_MAX);
        let page = broker.list_dead(&self.which.filter()?, self.newest_first, after, limit).await?;
        let columns = [
            ("ID", "id"),
            ("DIED", "diedAt"),
            ("QUEUE", "queue"),
            ("TYPE", "type"),
            ("ENDPOINT", "endpoint"),
            ("CATEGORY", "category"),
            ("CODE", "code"),
            ("RECEIVES", "receives"),
            ("ERROR", "error"),
        ];
        self.output.list("letters", &page.letters, &columns)?;
        if let Some(next) = page.next {
            talk(&format!("there are more: --after {next}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Show one dead letter whole, with the attempts to deliver it.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste dlq show 17 --format json")]
pub(crate) struct Show {
    /// The dead letter's id.
    id: i64,
    #[command(flatten)]
    output: Output,
}

impl Show {
    pub(super) async fn run(self, broker: &Broker) -> anyhow::Result<ExitCode> {
        self.output.one("letter", &broker.dead_letter(DeadLetterId(self.id)).await?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Move dead letters to the archive: they are not sent again, but kept.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste dlq discard --error-type VALIDATION --reason 'sent by mistake' \\\n    \
    --dry-run\n  \
    posthaste dlq discard --id 17,18 --reason 'customer has left' --yes")]
pub(crate) struct Discard {
    #[command(flatten)]
    which: Which,
    /// Why, for the archive.
    #[arg(long)]
    reason: String,
    /// How many at most, the oldest first.
    #[arg(long)]
    max_messages: Option<i64>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Discard {
    pub(super) async fn run(self, broker: &Broker) -> anyhow::Result<ExitCode> {
        let filter = self.which.filter()?;
        let look = usize::try_from(self.max_messages.unwrap_or(1_000)).unwrap_or(0).clamp(1, PAGE_MAX);
        let found = broker.list_dead(&filter, false, None, look).await?;
        let more = if found.next.is_some() { "at least " } else { "" };
        let what =
            format!("move {more}{} to the archive", counted(found.letters.len() as u64, "dead letter"));
        if found.letters.is_empty() {
            talk("there are no such dead letters");
        } else if self.consent.get(&what)? {
            let (reason, max_messages) = (self.reason, self.max_messages);
            let discard = DiscardIn { filter, reason, max_messages, discarded_by: operator() };
            let done = broker.discard_dead(&discard).await?;
            talk("they are in posthaste.dead_letter_archive");
            self.output.one("discard", &done)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Print dead letters whole, a line of JSON each, the oldest first.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste dlq export --queue critical > dead.jsonl")]
pub(crate) struct Export {
    #[command(flatten)]
    which: Which,
}

impl Export {
    pub(super) async fn run(self, broker: &Broker) -> anyhow::Result<ExitCode> {
        let filter = self.which.filter()?;
        let mut after = None;
        loop {
            let page = broker.export_dead(&filter, after, EXPORT_PAGE).await?;
            output::text(&page.lines)?;
            match page.next {
                Some(next) => after = Some(DeadLetterId(next)),
                None => return Ok(ExitCode::SUCCESS),
            }
        }
    }
}
