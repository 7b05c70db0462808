//! `posthaste serve`: runs a node until it is told to stop.
//!
//! Not for: how the roles are put together (see `crate::node`).

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use posthaste_base::{Code, Error};
use posthaste_observe::logs;
use posthaste_store::schema;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Override, Place, Role};
use crate::database::{Database, Use, open_broker, patiently};
use crate::node::{self, Node};
use crate::seal;

/// Run a node: HTTP, the scheduler, the worker.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  \
    posthaste serve                 # with a private PostgreSQL of its own\n  \
    DATABASE_URL=postgres://posthaste@db/posthaste posthaste serve\n  \
    posthaste serve --roles worker  # one of many nodes\n  \
    posthaste serve --listen 127.0.0.1:0 --port-file /run/posthaste.port",
    after_long_help = "SIGTERM or SIGINT ends it: it takes no more, finishes or gives back what is under way, and \
    stops its private PostgreSQL. A second one ends it at once; nothing is lost by that either."
)]
pub(crate) struct Serve {
    /// The address to listen on; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// What this node does, separated by commas: api, scheduler, worker.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLES")]
    roles: Vec<Role>,
    /// A file to write the address to, once it listens there.
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Leave the private PostgreSQL running at the end.
    #[arg(long)]
    keep_database: bool,
}

impl Serve {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        let config = Config::load(place, self.overrides())?;
        logs::start(config.server.log_format.into(), Some(&config.server.log_filter))?;
        let metrics = config.server.metrics.then(posthaste_observe::install).transpose()?;
        let stop = CancellationToken::new();
        tokio::spawn(hear_signals(stop.clone())?);
        let within = Duration::from_secs(u64::from(config.database.connect_seconds));
        let size = config.database.pool_size as usize;
        // What a private server does on its way is logged where it happens.
        let opening =
            patiently(within, async || Database::open(&config.database, size, Use::Node, |_| ()).await);
        let Some(opened) = stop.run_until_cancelled(opening).await else {
            return Ok(ExitCode::SUCCESS);
        };
        let database = opened?;
        say_where(&database);
        let served = self.serve(&config, &database, metrics, &stop).await;
        let ended = match self.keep_database {
            true => {
                database.pool.close();
                Ok(())
            }
            false => database.stop().await,
        };
        if let Some(path) = &self.port_file {
            let _ = std::fs::remove_file(path);
        }
        served?;
        ended?;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(
        &self,
        config: &Config,
        database: &Database,
        metrics: Option<posthaste_observe::Handle>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let within = Duration::from_secs(u64::from(config.database.connect_seconds));
        // Each step is done already where it was done before, so that the server may go and come between any two.
        let starting = patiently(within, async || {
            schema::upgrade(&database.pool).await?;
            let broker = open_broker(&database.pool, config, Some(seal::find_or_make(config)?)).await?;
            broker.check_seal_key().await?;
            node::apply(config, &broker).await?;
            Node::start(config, &broker, metrics.clone()).await
        });
        let Some(started) = stop.run_until_cancelled(starting).await else {
            return Ok(());
        };
        let mut node = started?;
        if let Some(address) = node.address {
            if let Some(path) = &self.port_file {
                write_address(path, &address.to_string())?;
            }
            tracing::info!(%address, "listening on http://{address}");
        }
        let roles: Vec<_> =
            config.server.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        tracing::info!("this node is {}", roles.join(", "));
        let failed = tokio::select! {
            () = stop.cancelled() => None,
            error = node.failed() => Some(error),
        };
        tracing::info!("stopping: finishing what is under way");
        let stopped = node.stop().await;
        failed.map_or(stopped, Err)
    }

    fn overrides(&self) -> Vec<Override> {
        let mut over = Vec::new();
        if let Some(listen) = &self.listen {
            over.push(Override::flag("--listen", ["server", "listen"], listen.as_str()));
        }
        if !self.roles.is_empty() {
            let roles: Vec<_> = self.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
            over.push(Override::flag("--roles", ["server", "roles"], roles));
        }
        over
    }
}

fn say_where(database: &Database) {
    let target = database.target().redacted();
    match database.is_adopted() {
        None => tracing::info!("using the database {target}"),
        Some(false) => tracing::info!("started a private PostgreSQL: {target}"),
        Some(true) => tracing::info!("using the private PostgreSQL that runs already: {target}"),
    }
    if let Some(loopback) = database.loopback() {
        tracing::info!("others reach it at {loopback}; its password is in the data folder");
    }
}

/// Whole or not at all: who waits for the file must not read half of an address.
fn write_address(path: &Path, address: &str) -> Result<(), Error> {
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, format!("{address}\n"))
        .and_then(|()| std::fs::rename(&unfinished, path))
        .map_err(|error| {
            Error::new(Code::InvalidFile, format!("failed to write `{}`: {error}", path.display()))
                .field("--port-file")
                .expected("a file in a folder that can be written to")
        })
}

/// The first signal asks to stop, the second one ends the process.
pub(super) fn hear_signals(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                tracing::warn!("told to stop a second time; ending at once");
                std::process::exit(130);
            }
            stop.cancel();
        }
    })
}
