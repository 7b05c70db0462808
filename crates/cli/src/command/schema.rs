//! `posthaste schema`: Posthaste's own tables, their version and how they get there.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_store::schema as store;

use crate::ask::{Consent, talk};
use crate::config::{Config, Place};
use crate::database::{with_database, with_new_database};
use crate::output::{self, Output};

/// Look at Posthaste's own tables, or bring them up to date: status, upgrade, sql.
#[derive(Subcommand, Debug)]
pub(crate) enum Schema {
    Status(Status),
    Upgrade(Upgrade),
    Sql(Sql),
}

/// Print the version in the database, the one of this program, and what lies between.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste schema status\n  posthaste schema status --format json")]
pub(crate) struct Status {
    #[command(flatten)]
    output: Output,
}

/// Create or upgrade the tables. Safe beside running older nodes: migrations only add.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste schema upgrade --dry-run\n  \
    posthaste --database-url postgres://posthaste@db/posthaste schema upgrade \\\n    \
    --yes")]
pub(crate) struct Upgrade {
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// Print the migrations as SQL.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste schema sql | less")]
pub(crate) struct Sql {}

impl Schema {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        match self {
            Schema::Sql(_) => output::text(&store::script())?,
            Schema::Status(status) => {
                with_database(place, async |database, _| {
                    status.output.one("schema", &store::state(&database.pool).await?)
                })
                .await?;
            }
            Schema::Upgrade(upgrade) => {
                let config = Config::load(place, Vec::new())?;
                with_new_database(config, async |database, _| upgrade.run(&database.pool).await).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Upgrade {
    async fn run(self, pool: &posthaste_pg::Pool) -> anyhow::Result<()> {
        let state = store::state(pool).await?;
        if state.pending.is_empty() && state.version <= state.target {
            talk("the schema is up to date");
            return self.output.one("schema", &state);
        }
        // A schema that is newer is refused by the upgrade itself, with its own error.
        if state.version > state.target
            || self.consent.get(&format!("apply the migrations {}", state.pending.join(", ")))?
        {
            let after = store::upgrade(pool).await?;
            return self.output.one("schema", &after);
        }
        Ok(())
    }
}
