//! The database of a command: the configured one, or the private server, started for it or found running.
//!
//! Not for: the schema's content, nor for how a private server is started and watched (see `posthaste_pg::local`).

use std::time::Duration;

use posthaste_base::{Clock, Code, Error};
use posthaste_broker::{Broker, BrokerOptions, SealKey};
use posthaste_deliver::AddressPolicy;
use posthaste_observe::logs;
use posthaste_pg::local::{LocalOptions, LocalServer};
use posthaste_pg::{Pool, PoolOptions, Target};
use posthaste_store::{SESSION_SETTINGS, schema};
use tokio::time::Instant;

use crate::ask::talk;
use crate::config::{self, Config, Place};
use crate::seal;

/// Connections of a command that does one thing at a time.
const COMMAND_POOL_SIZE: usize = 4;
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How much later than the server we give a statement up: only a server that does not do it itself is left alone.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// A database that was reached, and the private server that it is in, if it is.
pub(crate) struct Database {
    pub pool: Pool,
    local: Option<LocalServer>,
}

/// Who opens the database. A command leaves a private server that runs as it is; a node has it run as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Node,
    Command,
}

impl Database {
    /// Reaches the configured database once, or starts or adopts the private server.
    pub(crate) async fn open(
        settings: &config::Database,
        pool_size: usize,
        use_as: Use,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let (target, local) = match settings.target()? {
            Some(target) => (target, None),
            None => {
                let mut options = LocalOptions::in_folder(settings.folder());
                options.bin = settings.pg_bin.clone();
                options.loopback_port = settings.listen_port;
                options.progress = Some(std::sync::Arc::new(say));
                options.is_renewed = use_as == Use::Node;
                let server = LocalServer::start(options).await?;
                (server.target().clone(), Some(server))
            }
        };
        let limit = Duration::from_secs(u64::from(settings.statement_seconds));
        let timeout = format!("{}s", settings.statement_seconds);
        let target =
            target.with_settings(&[SESSION_SETTINGS, &[("statement_timeout", timeout.as_str())]].concat());
        let options = PoolOptions { answer: Some(limit + ANSWER_GRACE), ..PoolOptions::of_size(pool_size) };
        match Pool::connect_with(target, options).await {
            Ok(pool) => Ok(Self { pool, local }),
            Err(error) => {
                if let Some(server) = local.filter(|server| !server.is_adopted()) {
                    let _ = server.stop().await;
                }
                Err(error.into())
            }
        }
    }

    pub(crate) fn target(&self) -> &Target {
        self.pool.target()
    }

    /// Whether this is a private server, and if so whether it ran before.
    pub(crate) fn is_adopted(&self) -> Option<bool> {
        self.local.as_ref().map(LocalServer::is_adopted)
    }

    /// The address on which others may reach the private server, with its password left out.
    pub(crate) fn loopback(&self) -> Option<String> {
        self.local.as_ref().and_then(LocalServer::loopback).map(Target::redacted)
    }

    /// Ends the connections, and stops a private server unless somebody else uses it.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.pool.close();
        match self.local {
            Some(server) => Ok(server.stop().await?),
            None => Ok(()),
        }
    }

    /// Ends the connections, and leaves everything as it was found: a private server that ran goes on.
    pub(crate) async fn leave(self) -> Result<(), Error> {
        match self.is_adopted() {
            Some(false) => self.stop().await,
            _ => {
                self.pool.close();
                Ok(())
            }
        }
    }
}

/// Does what a start needs of the database, again and again for `within`, where what hinders it may pass by itself: a
/// server that is not there (yet, or any more) and may come. A refusal ends it at once.
pub(crate) async fn patiently<T>(
    within: Duration,
    act: impl AsyncFn() -> Result<T, Error>,
) -> Result<T, Error> {
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_millis(250);
    loop {
        let error = match act().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let may_pass = match error.code() {
            Code::DatabaseUnreachable | Code::Unavailable | Code::Timeout => true,
            // A collision, or a COMMIT whose answer was lost.
            Code::DatabaseFailed => error.retry_after_seconds().is_some(),
            _ => false,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if !may_pass || left.is_zero() {
            return Err(error);
        }
        tracing::warn!(
            cause = error.cause(),
            "{}; tried again for {} s more",
            error.message(),
            left.as_secs().max(1)
        );
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}

/// Reads the configuration and opens a database that is there for one command, with `act` in between.
pub(crate) async fn with_database<T>(
    place: &Place,
    act: impl AsyncFnOnce(&Database, &Config) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let config = Config::load(place, Vec::new())?;
    // Or a command in the wrong folder would make an empty database and find nothing in it.
    let folder = config.database.folder();
    if config.database.url.is_none() && matches!(folder.join("data/PG_VERSION").try_exists(), Ok(false)) {
        let message = format!("there is no database in `{}` yet", folder.display());
        return Err(Error::new(Code::SchemaMissing, message)
            .hint("start a node with `posthaste serve`, or name a database: `--database-url`, `--data-dir` or `--config`")
            .into());
    }
    with_new_database(config, act).await
}

/// The same with a private server that is made when it is not there.
pub(crate) async fn with_new_database<T>(
    config: Config,
    act: impl AsyncFnOnce(&Database, &Config) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    quiet_logs(&config)?;
    let database = Database::open(&config.database, COMMAND_POOL_SIZE, Use::Command, talk).await?;
    let outcome = act(&database, &config).await;
    let left = database.leave().await;
    let value = outcome?;
    left?;
    Ok(value)
}

/// The same with a broker, over a schema that is up to date.
pub(crate) async fn with_broker<T>(
    place: &Place,
    act: impl AsyncFnOnce(&Broker, &Config) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    with_database(place, async |database, config| {
        schema::check(&database.pool).await?;
        let broker = open_broker(&database.pool, config, seal::find(config)?).await?;
        act(&broker, config).await
    })
    .await
}

/// A broker that takes only endpoints which the configuration allows to be called.
///
/// `seal_key` is what it seals their secrets with; without one it can do all else.
pub(crate) async fn open_broker(
    pool: &Pool,
    config: &Config,
    seal_key: Option<SealKey>,
) -> Result<Broker, Error> {
    let options = BrokerOptions { seal_key, ..config.broker_options() };
    let broker = Broker::open(pool.clone(), options, Clock::system()).await?;
    let policy = address_policy(config)?;
    broker.check_endpoints_with(std::sync::Arc::new(move |url| {
        policy.check_endpoint(&posthaste_deliver::Endpoint::parse(url)?)
    }));
    Ok(broker)
}

pub(crate) fn address_policy(config: &Config) -> Result<AddressPolicy, Error> {
    let delivery = &config.declaration.delivery;
    if delivery.allow_private_addresses {
        return AddressPolicy::parse(&["all"]);
    }
    AddressPolicy::parse(&delivery.allow_networks)
}

/// Commands say what they do themselves; logs are for what goes wrong on the way.
fn quiet_logs(config: &Config) -> Result<(), Error> {
    let is_asked = config.is_said("server.log_filter");
    let filter = if is_asked { config.server.log_filter.as_str() } else { "warn" };
    logs::start(config.server.log_format.into(), Some(filter))
}
