//! Starting a redrive from dead letters that a filter selects.

use std::process::ExitCode;

use clap::Args;
use posthaste_base::Category;
use posthaste_broker::{Broker, RedriveIn};

use super::Which;
use crate::ask::{Consent, talk};
use crate::command::operator;
use crate::output::{Output, counted};

/// Give dead letters back to their queues, paced; the run is recorded and can be cancelled.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste dlq redrive --error-type TRANSIENT --min-age-seconds 300 --dry-run\n  \
    posthaste dlq redrive --endpoint shop --max-messages 500 \\\n    \
    --rate-per-second 10 --yes\n  \
    posthaste dlq redrive --id 17,18 --yes --watch")]
pub(crate) struct Redrive {
    #[command(flatten)]
    which: Which,
    /// How many at most, the oldest first: 1 to 1000; 100 when it is not given.
    #[arg(long)]
    max_messages: Option<i64>,
    /// Each goes back after a random time up to so many seconds; 5 when it is not given.
    #[arg(long, value_name = "SECONDS")]
    jitter_seconds: Option<i64>,
    /// So many go back in a second.
    #[arg(long)]
    rate_per_second: Option<i64>,
    /// Follow the run until it ends.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Redrive {
    pub(super) async fn run(self, broker: &Broker) -> anyhow::Result<ExitCode> {
        let redrive = RedriveIn {
            filter: self.which.filter()?,
            max_messages: self.max_messages,
            per_message_delay_jitter: self.jitter_seconds,
            rate_per_second: self.rate_per_second,
            started_by: operator(),
        };
        let looked = RedriveIn { max_messages: Some(self.max_messages.unwrap_or(100)), ..redrive.clone() };
        let preview = broker.preview_redrive(&looked).await?;
        if self.consent.dry_run {
            let columns = [
                ("ID", "id"),
                ("DIED", "diedAt"),
                ("QUEUE", "queue"),
                ("TYPE", "type"),
                ("ENDPOINT", "endpoint"),
                ("CODE", "code"),
            ];
            self.output.list("letters", &preview.messages, &columns)?;
        }
        if preview.count == 0 {
            talk("there are no such dead letters that are free");
            if let Some(error_type) = redrive.filter.error_type.as_deref().filter(|name| is_no_category(name))
            {
                let known = Category::ALL.map(|category| category.to_string()).join(", ");
                talk(&format!("`{error_type}` is read as a code, for it is none of the categories {known}"));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let more = if preview.has_more { "; there are more" } else { "" };
        let letters = counted(preview.count as u64, "dead letter");
        if !self.consent.get(&format!("give {letters} back{more}"))? {
            return Ok(ExitCode::SUCCESS);
        }
        let run = broker.start_redrive(&redrive).await?;
        if self.watch {
            return crate::command::redrive::watch(broker, run.id, self.output).await;
        }
        talk(&format!("it goes on while a node runs; follow it with `posthaste redrive watch {}`", run.id));
        self.output.one("redrive", &run)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn is_no_category(name: &str) -> bool {
    !Category::ALL.iter().any(|category| category.to_string().eq_ignore_ascii_case(name.trim()))
}
