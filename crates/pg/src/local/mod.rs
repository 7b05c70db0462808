//! The local server: a private PostgreSQL in a data folder, started, watched, adopted and stopped by us.
//!
//! Not for: a server that somebody else runs. Nothing here touches one.

mod account;
mod cluster;
mod postmaster;
mod programs;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use posthaste_base::Code;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use account::Account;
pub use cluster::{Cluster, default_folder};
pub use postmaster::{Postmaster, Shutdown};
pub use programs::Programs;

use crate::{Error, Result, Target};
use cluster::SharedUse;

/// Hears what takes time, in words for people: "creating the database cluster", "recovering after a crash".
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Clone)]
pub struct LocalOptions {
    pub folder: PathBuf,
    /// Where `postgres` and `initdb` are; searched for when not given.
    pub bin: Option<PathBuf>,
    /// The major version that is wanted, also one that Posthaste itself does not support: for tests.
    pub version: Option<u32>,
    /// The account that runs the server when we are root: `postgres`, or else `nobody`, when not given.
    pub account: Option<String>,
    /// Also listen on the loopback address, with a generated password.
    pub loopback_port: Option<u16>,
    /// How long a start may take, crash recovery included.
    pub start_within: Duration,
    /// Settings of the server over our own.
    pub settings: Vec<(String, String)>,
    /// Off for throw-away clusters: nothing of the new cluster is forced to disk.
    pub is_durable: bool,
    pub progress: Option<Progress>,
    /// Whether a server that runs with other settings is started again, if nobody else uses it. Who only looks leaves it
    /// as it is.
    pub is_renewed: bool,
}

impl LocalOptions {
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            bin: None,
            version: None,
            account: None,
            loopback_port: None,
            start_within: Duration::from_secs(120),
            settings: Vec::new(),
            is_durable: true,
            progress: None,
            is_renewed: false,
        }
    }

    fn say(&self, what: &str) {
        tracing::info!("{what}");
        if let Some(progress) = &self.progress {
            progress(what);
        }
    }
}

/// What the supervisor saw last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    Running {
        pid: i32,
        /// How often the server was found dead and started again.
        restarts: u32,
    },
    /// It died and does not come up; tried again with growing pauses.
    Down {
        reason: String,
    },
    Stopped,
}

/// A running local server and the task that watches it.
///
/// Dropping it leaves the server running, as a kill would; the next start in the same folder adopts it.
pub struct LocalServer {
    target: Target,
    loopback: Option<Target>,
    adopted: bool,
    state: watch::Receiver<ServerState>,
    stop: mpsc::Sender<oneshot::Sender<Result<()>>>,
    task: JoinHandle<()>,
}

impl LocalServer {
    /// Makes the cluster if there is none, starts the server or adopts a running one, and watches it. One that runs with
    /// other settings is started again where the options say so, unless another process uses it.
    pub async fn start(options: LocalOptions) -> Result<Self> {
        let cluster = Cluster::open(options)?;
        let shared_use = cluster.shared_use().await?;
        let mut postmaster = cluster.start().await?;
        if cluster.options.is_renewed && postmaster.is_adopted() && !cluster.is_as_wanted(&postmaster) {
            if shared_use.is_last()? {
                cluster.options.say("the private PostgreSQL runs with other settings; starting it again");
                postmaster.stop(Shutdown::Fast).await?;
                postmaster = cluster.start().await?;
            } else {
                tracing::warn!(
                    "the private PostgreSQL runs with other settings, and another process uses it; what is \
                     configured here counts when all that use it have stopped"
                );
            }
            // Asking to be alone gave the shared lock away, whatever the answer.
            shared_use.share()?;
        }
        let target = postmaster.target().clone();
        let first = ServerState::Running { pid: postmaster.pid(), restarts: 0 };
        let (state_sender, state) = watch::channel(first);
        let (stop, stop_requests) = mpsc::channel(1);
        let is_reached = postmaster.loopback_port() == cluster.options.loopback_port;
        let loopback = if is_reached { cluster.loopback_target(target.database())? } else { None };
        let adopted = postmaster.is_adopted();
        let supervisor = Supervisor { cluster, postmaster, shared_use, state: state_sender };
        let task = tokio::spawn(supervisor.run(stop_requests));
        Ok(Self { target, loopback, adopted, state, stop, task })
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The loopback address with its password, where the options asked for one and the server listens there.
    pub fn loopback(&self) -> Option<&Target> {
        self.loopback.as_ref()
    }

    /// Whether the server ran already.
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// Changes as the server dies and is started again.
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.state.clone()
    }

    /// Stops the server (fast: sessions are ended, everything is on disk), unless another process uses it too.
    pub async fn stop(self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let gone = || failed("the supervisor has ended before it could stop the server");
        self.stop.send(reply).await.map_err(|_| gone())?;
        let stopped = answer.await.map_err(|_| gone())?;
        let _ = self.task.await;
        stopped
    }
}

struct Supervisor {
    cluster: Cluster,
    postmaster: Postmaster,
    shared_use: SharedUse,
    state: watch::Sender<ServerState>,
}

impl Supervisor {
    async fn run(mut self, mut stop_requests: mpsc::Receiver<oneshot::Sender<Result<()>>>) {
        let mut restarts = 0;
        loop {
            tokio::select! {
                request = stop_requests.recv() => {
                    let Some(reply) = request else { return };
                    let _ = reply.send(self.stop().await);
                    return;
                }
                () = tokio::time::sleep(WATCH_EVERY) => {}
            }
            if self.postmaster.is_alive() {
                continue;
            }
            tracing::error!(
                pid = self.postmaster.pid(),
                "the local PostgreSQL server died; starting it again"
            );
            let mut pause = Duration::from_millis(100);
            loop {
                match self.cluster.start().await {
                    Ok(postmaster) => {
                        self.postmaster = postmaster;
                        restarts += 1;
                        let pid = self.postmaster.pid();
                        tracing::warn!(pid, restarts, "the local PostgreSQL server runs again");
                        self.state.send_replace(ServerState::Running { pid, restarts });
                        break;
                    }
                    Err(error) => {
                        tracing::error!(%error, "the local PostgreSQL server does not start");
                        self.state.send_replace(ServerState::Down { reason: error.to_string() });
                    }
                }
                tokio::select! {
                    request = stop_requests.recv() => {
                        if let Some(reply) = request {
                            let _ = reply.send(Ok(()));
                        }
                        return;
                    }
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
    }

    async fn stop(mut self) -> Result<()> {
        if !self.shared_use.is_last()? {
            tracing::info!("another process uses the local PostgreSQL server; it keeps running");
            return Ok(());
        }
        self.postmaster.stop(Shutdown::Fast).await?;
        self.state.send_replace(ServerState::Stopped);
        Ok(())
    }
}

const WATCH_EVERY: Duration = Duration::from_millis(200);

fn failed(message: impl Into<String>) -> Error {
    Error::Local(posthaste_base::Error::new(Code::PostgresFailed, message))
}
