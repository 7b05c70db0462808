//! `posthaste health-view`: views for dashboards that read the database themselves.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_care::health_view;
use posthaste_runner::RunOptions;

use crate::ask::{Consent, talk};
use crate::command::operator;
use crate::output;
use crate::visit::Address;

/// Make views of sizes, dead rows and vacuums in a database: install.
#[derive(Subcommand, Debug)]
pub(crate) enum HealthView {
    Install(Install),
}

/// Make the views, or make them anew. Dashboards read `db_health_summary`, with one number a row, or `tables`.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    # the plan, as a file\n  \
    posthaste health-view install --database postgresql://admin@db/shop --dry-run\n  \
    posthaste health-view install --database postgresql://admin@db/shop --yes")]
pub(crate) struct Install {
    #[command(flatten)]
    address: Address,
    /// The schema in which they are made.
    #[arg(long, default_value = "posthaste_health")]
    schema: String,
    #[command(flatten)]
    consent: Consent,
}

impl HealthView {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let HealthView::Install(install) = self;
        let plan = health_view::plan(&install.schema);
        if install.consent.dry_run {
            output::text(&plan.to_toml()?)?;
        }
        if install.consent.get(&format!("make views in schema `{}`", install.schema))? {
            let options = RunOptions { started_by: operator(), ..RunOptions::default() };
            let run = posthaste_runner::run(&install.address.target()?, &plan, options, |_| ()).await?;
            talk(&format!("run {} is {}", run.id, run.state));
        }
        Ok(ExitCode::SUCCESS)
    }
}
