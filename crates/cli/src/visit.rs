//! The database that a command visits: one that is not ours, and that may never have seen us.
//!
//! Not for: our own database (see `database`).

use clap::Args;
use posthaste_base::{Code, Error};
use posthaste_pg::{Target, Visit, VisitOptions};

/// Which database a command visits. The same flag, with the same words, in every command that visits one.
///
/// The environment is read here and not by the parser of the command line, to which a variable is as good as a flag:
/// `--catalog` would then be refused wherever DATABASE_URL is set.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Address {
    /// The database to visit; without it, the one of DATABASE_URL, or else of PGHOST, PGDATABASE and so on.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Address {
    /// Whether the command line itself names one.
    pub(crate) fn is_named(&self) -> bool {
        self.database.is_some()
    }

    /// The one that is named, or else that of the environment.
    pub(crate) fn find(&self) -> Result<Option<Target>, Error> {
        match &self.database {
            Some(url) => Ok(Some(Target::parse(url)?)),
            None => Ok(Target::from_env()?),
        }
    }

    pub(crate) fn target(&self) -> Result<Target, Error> {
        self.find()?.ok_or_else(|| {
            Error::new(Code::InvalidParameter, "no database was named")
                .field("database")
                .expected("--database postgresql://user@host/database, or DATABASE_URL")
        })
    }
}

/// Which database to visit, and how long it may be waited for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Visited {
    #[command(flatten)]
    pub address: Address,
    /// How long a statement may wait for a lock, and so how long others may have to wait behind it.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub lock_timeout_ms: u32,
    /// How long a statement may run.
    #[arg(long, value_name = "MS", default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub statement_timeout_ms: u32,
}

impl Visited {
    /// A session that may only read.
    pub(crate) async fn read_only(&self, command: &str) -> Result<Visit, Error> {
        self.open(&self.address.target()?, command).await
    }

    async fn open(&self, target: &Target, command: &str) -> Result<Visit, Error> {
        let options = VisitOptions {
            lock_timeout_ms: self.lock_timeout_ms,
            statement_timeout_ms: self.statement_timeout_ms,
            ..VisitOptions::named(format!("posthaste {command}"))
        };
        Ok(Visit::connect(target, options.read_only()).await?)
    }
}

/// A session that reads a catalog and asks short questions, for commands that have no flags for how long.
pub(crate) async fn glance(target: &Target, command: &str) -> Result<Visit, Error> {
    let visited = Visited { address: Address::default(), lock_timeout_ms: 100, statement_timeout_ms: 15_000 };
    visited.open(target, command).await
}
