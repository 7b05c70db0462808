//! A pool of connections to one target, which outlives restarts of the server.
//!
//! Not for: transactions (`transaction`) and LISTEN (`Listener`), which needs a session of its own.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{self, Hook, HookError, PoolError, TimeoutType, Timeouts};
use posthaste_observe::DatabaseMetrics;

use crate::session::Sessions;
use crate::{Error, Result, Session, Target, tls};

#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// What its metrics are labelled with.
    pub name: &'static str,
    pub size: usize,
    /// How long `get` waits for a connection to be given back.
    pub wait: Duration,
    /// How long one connection may take to be made, with TLS and authentication.
    pub connect: Duration,
    /// A connection that was not used for so long is asked for a sign of life before it is lent again.
    pub idle_check: Duration,
    /// How long the answer to one statement may take before the connection is closed; none waits without end. It
    /// belongs behind the session's `statement_timeout`.
    pub answer: Option<Duration>,
}

impl PoolOptions {
    pub fn of_size(size: usize) -> Self {
        Self {
            name: "main",
            size: size.max(1),
            wait: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            idle_check: Duration::from_secs(30),
            answer: None,
        }
    }
}

/// Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Pool {
    inner: managed::Pool<Sessions>,
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    options: PoolOptions,
    metrics: DatabaseMetrics,
    /// Of the prepared statements.
    generation: Arc<AtomicU64>,
    server_version_num: std::sync::OnceLock<u32>,
}

/// A borrowed connection, given back when it is dropped.
pub struct Connection {
    object: managed::Object<Sessions>,
}

impl Pool {
    /// Connects once, to learn that the server is there, lets us in and is of a version that we support.
    pub async fn connect(target: Target, size: usize) -> Result<Self> {
        Self::connect_with(target, PoolOptions::of_size(size)).await
    }

    pub async fn connect_with(target: Target, options: PoolOptions) -> Result<Self> {
        let pool = Self::lazy(target, options)?;
        pool.check_version().await?;
        Ok(pool)
    }

    /// A pool that has not connected yet: for a program that starts before its database.
    pub fn lazy(target: Target, options: PoolOptions) -> Result<Self> {
        let tls = tls::connector(&target)?;
        let metrics = DatabaseMetrics::new(options.name);
        metrics.connections_max.set(options.size as f64);
        let generation = Arc::new(AtomicU64::new(0));
        let sessions = Sessions {
            config: target.driver_config().clone(),
            tls,
            answer: options.answer,
            lost: metrics.connection_errors.clone(),
            generation: generation.clone(),
        };
        let idle_check = options.idle_check;
        let inner = managed::Pool::builder(sessions)
            .max_size(options.size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(options.wait),
                create: Some(options.connect),
                recycle: Some(Duration::from_secs(5)),
            })
            .pre_recycle(Hook::async_fn(move |session: &mut Session, metrics| {
                Box::pin(async move {
                    if metrics.last_used() < idle_check {
                        return Ok(());
                    }
                    // A firewall may have forgotten the connection; a sign of life costs one round trip.
                    let sign = session.check_connection();
                    match tokio::time::timeout(Duration::from_secs(3), sign).await {
                        Ok(answer) => answer.map_err(HookError::Backend),
                        Err(_) => Err(HookError::message("no sign of life")),
                    }
                })
            }))
            .build()
            .map_err(|error| Error::InvalidTarget { message: error.to_string() })?;
        let shared =
            Shared { target, options, metrics, generation, server_version_num: std::sync::OnceLock::new() };
        Ok(Self { inner, shared: Arc::new(shared) })
    }

    /// Lends a connection, which is made anew where the old one broke.
    pub async fn get(&self) -> Result<Connection> {
        let metrics = &self.shared.metrics;
        let started = Instant::now();
        let got = self.inner.get().await;
        metrics.wait_seconds.record(started.elapsed());
        let status = self.inner.status();
        metrics.in_use.set(status.size.saturating_sub(status.available) as f64);
        metrics.idle.set(status.available as f64);
        match got {
            Ok(object) => Ok(Connection { object }),
            Err(error) => {
                if !matches!(error, PoolError::Timeout(TimeoutType::Wait) | PoolError::Closed) {
                    metrics.connection_errors.increment(1);
                }
                Err(self.explain(error))
            }
        }
    }

    /// A transaction on one of its connections runs again.
    pub(crate) fn count_retry(&self) {
        self.shared.metrics.retries.increment(1);
    }

    /// The version as the server counts it, such as 150018; asked once.
    pub async fn server_version(&self) -> Result<u32> {
        match self.shared.server_version_num.get() {
            Some(version) => Ok(*version),
            None => self.check_version().await,
        }
    }

    /// Lets every connection forget its prepared statements before it is lent again, after the schema was changed.
    pub fn forget_statements(&self) {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
    }

    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// Connections that exist, and of these the ones that are free.
    pub fn usage(&self) -> (usize, usize) {
        let status = self.inner.status();
        (status.size, status.available)
    }

    pub fn size(&self) -> usize {
        self.shared.options.size
    }

    /// Lends nothing any more; connections end as they are given back.
    pub fn close(&self) {
        self.inner.close();
    }

    async fn check_version(&self) -> Result<u32> {
        let connection = self.get().await?;
        let row = connection.query_one(include_str!("../sql/server_version_num.sql"), &[]).await?;
        let number = row.try_get::<_, i32>(0)?;
        let version = u32::try_from(number).unwrap_or_default();
        if !(14..=18).contains(&(version / 10_000)) {
            return Err(Error::Unsupported { version: format!("{}.{}", version / 10_000, version % 10_000) });
        }
        Ok(*self.shared.server_version_num.get_or_init(|| version))
    }

    fn explain(&self, error: PoolError<tokio_postgres::Error>) -> Error {
        let target = self.shared.target.redacted();
        let options = &self.shared.options;
        match error {
            PoolError::Backend(error) => Error::connecting(&target, error),
            PoolError::Timeout(TimeoutType::Wait) => {
                let waited_ms = u64::try_from(options.wait.as_millis()).unwrap_or(u64::MAX);
                Error::Busy { waited_ms, size: options.size }
            }
            PoolError::Timeout(_) => {
                let reason = format!("no answer within {} s", options.connect.as_secs_f32());
                Error::Unreachable { target, reason, source: None }
            }
            PoolError::Closed => Error::ConnectionLost { reason: "the pool is closed".into(), source: None },
            error => Error::Unreachable { target, reason: error.to_string(), source: Some(Box::new(error)) },
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({}, {} connections)", self.shared.target.redacted(), self.shared.options.size)
    }
}

impl Connection {
    /// Takes the connection out of the pool and closes it: its state is not known any more.
    pub fn discard(self) {
        drop(managed::Object::take(self.object));
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Deref for Connection {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.object
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.object
    }
}
