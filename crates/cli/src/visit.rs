//! The database that a command visits: one that is not ours, and that may never have seen us.
//!
//! Not for: our own database (see `database`).

use clap::Args;
use posthaste_base::Error;
use posthaste_pg::{Target, Visit, VisitOptions};

/// Which database to visit, and how long it may be waited for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Visited {
    /// The database to visit; what the address leaves out comes from PGHOST, PGUSER, PGPASSWORD and so on.
    #[arg(long, value_name = "URL")]
    pub database: String,
    /// How long a statement may wait for a lock, and so how long others may have to wait behind it.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub lock_timeout_ms: u32,
    /// How long a statement may run.
    #[arg(long, value_name = "MS", default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub statement_timeout_ms: u32,
}

impl Visited {
    pub(crate) fn target(&self) -> Result<Target, Error> {
        Ok(Target::parse(&self.database)?)
    }

    /// The guards for a session of a command of that name.
    pub(crate) fn options(&self, command: &str) -> VisitOptions {
        VisitOptions {
            lock_timeout_ms: self.lock_timeout_ms,
            statement_timeout_ms: self.statement_timeout_ms,
            ..VisitOptions::named(format!("posthaste {command}"))
        }
    }

    /// A session that may only read.
    pub(crate) async fn read_only(&self, command: &str) -> Result<Visit, Error> {
        Ok(Visit::connect(&self.target()?, self.options(command).read_only()).await?)
    }
}
