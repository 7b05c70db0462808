//! A node: the roles of one process over one database, started together and stopped together.
//!
//! Not for: where the database comes from (`database`), or what the roles do (the broker, the worker, the fronts).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use posthaste_api::{Api, BrokerKeys, RenderMetrics};
use posthaste_base::limits::PAGE_MAX;
use posthaste_base::{Code, Error};
use posthaste_broker::{Action, Broker};
use posthaste_deliver::{ClientOptions, Worker, WorkerOptions, export_spans};
use posthaste_observe::{Handle, HttpMetrics};
use posthaste_web::{Access, Cors, Gate, Router, ServerSettings, serve};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::config::{ApiKeys, Config, Role};
use crate::database::address_policy;

/// Samples of metrics are folded together this often, also when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// What roles may take beyond their own limits before they are given up.
const GRACE: Duration = Duration::from_secs(3);

pub(crate) struct Node {
    /// Where HTTP is answered, if it is.
    pub address: Option<SocketAddr>,
    roles: JoinSet<Role>,
    /// Ends the roles.
    stop: CancellationToken,
    /// Ends what the roles lean on: notifications, upkeep.
    stop_ground: CancellationToken,
    ground: JoinSet<()>,
    within: Duration,
    broker: Broker,
    /// Sends spans; ends by itself after the ground's stop.
    spans: Option<JoinHandle<()>>,
}

impl Node {
    /// Starts the roles that the configuration names. The schema and what is declared must be there.
    ///
    /// The registry of metrics comes first in a process, so it is handed in; none measures nothing.
    pub(crate) async fn start(
        config: &Config,
        broker: &Broker,
        metrics: Option<Handle>,
    ) -> Result<Self, Error> {
        let server = &config.server;
        let (stop, stop_ground) = (CancellationToken::new(), CancellationToken::new());
        let within = Duration::from_secs(u64::from(server.shutdown_seconds));
        let (mut roles, mut ground) = (JoinSet::new(), JoinSet::new());
        // Before anything else starts: what is refused here leaves nothing behind.
        let front = match server.has(Role::Api) {
            true => Some(Front::bind(config, broker, metrics.clone()).await?),
            false => None,
        };
        let address = front.as_ref().map(|front| front.address);
        ground.spawn({
            let (broker, stop) = (broker.clone(), stop_ground.clone());
            async move { broker.run_listener(stop).await }
        });
        let spans = server.spans().map(|spans| export_spans(spans, stop_ground.clone())).transpose()?;
        if let Some(handle) = metrics {
            ground.spawn(upkeep(handle, stop_ground.clone()));
        }
        if let Some(front) = front {
            let (settings, stop) = (front.settings(config), stop.clone());
            roles.spawn(async move {
                serve(front.listener, front.router, front.metrics, settings, stop).await;
                Role::Api
            });
        }
        if server.has(Role::Scheduler) {
            let (broker, stop) = (broker.clone(), stop.clone());
            roles.spawn(async move {
                broker.run_keeper(stop).await;
                Role::Scheduler
            });
        }
        if server.has(Role::Worker) {
            let client = ClientOptions { policy: address_policy(config)?, ..ClientOptions::default() };
            let options = WorkerOptions { client, attempts_max: server.attempts_max, drain: within };
            let worker = Worker::start(broker.clone(), options, stop.clone())?;
            roles.spawn(async move {
                if let Err(error) = worker.await {
                    tracing::error!(%error, "the worker ended with an error");
                }
                Role::Worker
            });
        }
        Ok(Self { address, roles, stop, stop_ground, ground, within, broker: broker.clone(), spans })
    }

    /// Waits until a role ends by itself, which none should.
    pub(crate) async fn failed(&mut self) -> Error {
        let role = match self.roles.join_next().await {
            Some(Ok(role)) => format!("{role:?}").to_lowercase(),
            Some(Err(error)) => format!("a role ({error})"),
            None => std::future::pending().await,
        };
        Error::new(Code::Internal, format!("{role} has ended by itself"))
    }

    /// Takes no more, finishes or gives back what is under way, and ends.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        let drained = async {
            while let Some(ended) = self.roles.join_next().await {
                if let Ok(role) = ended {
                    tracing::debug!("{role:?} has stopped");
                }
            }
        };
        let drained = async {
            drained.await;
            self.broker.give_back_ahead().await;
        };
        let is_drained = tokio::time::timeout(self.within + GRACE, drained).await.is_ok();
        self.stop_ground.cancel();
        self.ground.shutdown().await;
        if let Some(spans) = self.spans {
            drop(tokio::time::timeout(GRACE, spans).await);
        }
        if is_drained {
            return Ok(());
        }
        let message = format!("not everything ended within {} s", self.within.as_secs());
        Err(Error::new(Code::Timeout, message)
            .hint("nothing is lost: what was under way comes back when its leases run out"))
    }
}

/// What answers HTTP, bound and not yet serving.
struct Front {
    address: SocketAddr,
    listener: TcpListener,
    router: Router,
    metrics: HttpMetrics,
}

impl Front {
    async fn bind(config: &Config, broker: &Broker, metrics: Option<Handle>) -> Result<Self, Error> {
        let wanted = config.server.listen()?;
        check_keys(broker, wanted).await?;
        let cannot = |error: std::io::Error| {
            Error::new(Code::InvalidConfig, format!("cannot listen on {wanted}: {error}"))
                .field("server.listen")
                .expected("an address of this host that is free; port 0 is any free one")
        };
        let listener = TcpListener::bind(wanted).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let cors = Cors::parse(&config.server.cors_origins)?;
        let keys_required = config.server.api_keys == ApiKeys::Required;
        let keys = Arc::new(BrokerKeys(broker.clone()));
        let access = Access::new(address, keys_required, keys, cors.clone());
        let gate = Gate::new(access, config.server.rate(), config.server.requests_max as usize);
        let render: RenderMetrics = match metrics {
            Some(handle) => Arc::new(move || handle.render()),
            None => Arc::new(|| "# metrics are switched off in [server]\n".to_owned()),
        };
        let metrics = HttpMetrics::new();
        let api = Api::new(broker.clone(), render);
        let router = posthaste_api::router(&api, gate, &cors, metrics.clone());
        Ok(Self { address, listener, router, metrics })
    }

    fn settings(&self, config: &Config) -> ServerSettings {
        ServerSettings {
            connections_max: config.server.connections_max as usize,
            head_timeout: Duration::from_secs(u64::from(config.server.idle_seconds)),
            drain_timeout: Duration::from_secs(u64::from(config.server.shutdown_seconds)),
            ..ServerSettings::default()
        }
    }
}

/// An address that others can reach needs a key, or nobody could do anything there but guess.
async fn check_keys(broker: &Broker, address: SocketAddr) -> Result<(), Error> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let now = jiff::Timestamp::now();
    let keys = broker.list_keys(None, PAGE_MAX).await?;
    let is_good = |key: &posthaste_broker::KeyOut| {
        key.revoked_at.is_none() && key.expires_at.is_none_or(|expires_at| expires_at > now)
    };
    if keys.iter().any(is_good) || keys.len() == PAGE_MAX {
        return Ok(());
    }
    Err(Error::new(Code::OpenListener, format!("{address} can be reached by others, and there is no API key"))
        .field("server.listen")
        .hint("make one first, with `posthaste keys create me --scope publish,consume,operate,read`, or listen on 127.0.0.1"))
}

async fn upkeep(handle: Handle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
        handle.upkeep();
    }
}

/// Makes what is declared so, and says what that changed.
///
/// A node without a file declares nothing, so it takes nothing away either: it only makes what is not there.
pub(crate) async fn apply(config: &Config, broker: &Broker) -> Result<(), Error> {
    if config.file.is_none() {
        let planned = broker.plan_apply(&config.declaration).await?;
        if planned.changes.iter().any(|change| !matches!(change.action, Action::Create | Action::Keep { .. }))
        {
            tracing::info!("there is no configuration file; what was declared before stays as it is");
            return Ok(());
        }
    }
    let done = broker.apply(&config.declaration).await?;
    for change in &done.changes {
        let action = match &change.action {
            Action::Create => "created",
            Action::Change { .. } => "changed",
            Action::Remove => "removed",
            Action::Keep { reason } => {
                tracing::warn!("{} `{}` is declared no more and stays: {reason}", change.kind, change.name);
                continue;
            }
        };
        tracing::info!("{action} {} `{}`", change.kind, change.name);
    }
    Ok(())
}
