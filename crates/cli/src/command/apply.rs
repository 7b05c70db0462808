//! `posthaste apply`: makes what the configuration file declares so, after showing what that changes.
//!
//! Not for: the rules of a declaration, nor its differences (see the broker).

use std::process::ExitCode;

use clap::Args;

use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::database::with_broker;
use crate::output::{self, Format, Output, counted};

/// Make what the configuration declares so: types, queues, endpoints, subscriptions.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste apply --dry-run  # show what would change\n  \
    posthaste apply            # show it, ask, and do it\n  \
    posthaste apply --yes      # for scripts")]
pub(crate) struct Apply {
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Apply {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, config| {
            let declaration = &config.declaration;
            let planned = broker.plan_apply(declaration).await?;
            match self.output.format {
                Format::Json => self.output.one("diff", &planned)?,
                Format::Human => output::line(planned.to_string().trim_end())?,
            }
            if planned.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            if self.consent.get(&format!("make {}", counted(planned.changes.len() as u64, "change")))? {
                let done = broker.apply(declaration).await?;
                talk(&format!("applied {}", counted(done.changes.len() as u64, "change")));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}
