//! A guarded visit to a database that is not ours: one connection that waits for nothing longer than it may.
//!
//! The server ends a statement that waits for a lock or runs for too long, and ends the session when it idles in
//! a transaction. What the server does not answer at all is given up here, so that nothing hangs on a silent peer.
//! Not for: our own database, which has a `Pool`, and for what is looked at there.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use posthaste_base::Code;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Row, SimpleQueryMessage, Statement, ToStatement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Error, Result, Target, tls};

const VERSIONS: std::ops::RangeInclusive<u32> = 12..=18;

/// How long the end of a session, or the asking for the end of a statement, may take.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct VisitOptions {
    pub application_name: String,
    /// How long a statement may wait for a lock, and so how long others may have to wait behind it.
    pub lock_timeout_ms: u32,
    /// How long a statement may run; 0 for as long as it takes.
    pub statement_timeout_ms: u32,
    /// The server ends a session that leaves a transaction open for so long.
    pub idle_in_transaction_timeout_ms: u32,
    /// Whether the session may only read.
    pub is_read_only: bool,
    /// For reaching the server, TLS, the login and the settings together.
    pub connect_timeout_ms: u32,
    /// How long after its timeout a statement's answer is waited for before it is cancelled from here, and then how
    /// long for the answer to that, before the session counts as lost.
    pub grace_ms: u32,
}

/// One session. Its statements come one after the other; a transaction is begun and ended by `batch_execute`.
pub struct Visit {
    client: tokio_postgres::Client,
    driver: JoinHandle<()>,
    tls: MakeRustlsConnect,
    facts: Facts,
    target: Target,
    grace: Duration,
    /// How long a statement may run, in milliseconds; 0 for no end.
    statement_timeout_ms: AtomicU64,
    /// The server did not even say that it cancelled: what the session is in is not known any more.
    is_lost: AtomicBool,
}

struct Facts {
    version_num: u32,
    backend_pid: i32,
    is_replica: bool,
}

/// Ends the statement that runs on a visit, from elsewhere.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    tls: MakeRustlsConnect,
}

impl Default for VisitOptions {
    fn default() -> Self {
        Self {
            application_name: "posthaste".into(),
            lock_timeout_ms: 100,
            statement_timeout_ms: 15_000,
            idle_in_transaction_timeout_ms: 30_000,
            is_read_only: false,
            connect_timeout_ms: 10_000,
            grace_ms: 5_000,
        }
    }
}

impl VisitOptions {
    pub fn named(application_name: impl Into<String>) -> Self {
        Self { application_name: application_name.into(), ..Self::default() }
    }

    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }
}

impl Visit {
    /// Connects to the target, or to its direct address where it has one: settings of a session mean nothing
    /// behind a pooler that gives each transaction another one.
    pub async fn connect(target: &Target, options: VisitOptions) -> Result<Self> {
        let limit = Duration::from_millis(options.connect_timeout_ms.into());
        match tokio::time::timeout(limit, Self::connect_unlimited(target.direct(), options)).await {
            Ok(result) => result,
            Err(_) => {
                let reason = format!("no answer within {} s", limit.as_secs_f32());
                Err(Error::Unreachable { target: target.direct().redacted(), reason, source: None })
            }
        }
    }

    async fn connect_unlimited(target: &Target, options: VisitOptions) -> Result<Self> {
        let tls = tls::connector(target)?;
        let mut config = target.driver_config().clone();
        config.application_name(&options.application_name);
        let connected = config.connect(tls.clone()).await;
        let (client, connection) = connected.map_err(|error| Error::connecting(&target.redacted(), error))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Whoever uses the session gets the error and says so.
                tracing::debug!(%error, "visit ended");
            }
        });
        let facts = Facts::read(&client).await?;
        guard(&client, &options, &facts).await?;
        Ok(Self {
            client,
            driver,
            tls,
            facts,
            target: target.clone(),
            grace: Duration::from_millis(options.grace_ms.into()),
            statement_timeout_ms: AtomicU64::new(options.statement_timeout_ms.into()),
            is_lost: AtomicBool::new(false),
        })
    }

    /// As `server_version_num`: 150018 for 15.18.
    pub fn version_num(&self) -> u32 {
        self.facts.version_num
    }

    /// 15 for 15.18.
    pub fn major(&self) -> u32 {
        self.facts.version_num / 10_000
    }

    /// Of our own session at the server.
    pub fn backend_pid(&self) -> i32 {
        self.facts.backend_pid
    }

    pub fn is_replica(&self) -> bool {
        self.facts.is_replica
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the session is of no use any more.
    pub fn is_closed(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed) || self.client.is_closed()
    }

    pub async fn query<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>>
    where
        T: ?Sized + ToStatement,
    {
        self.within_limits(self.client.query(statement, params)).await
    }

    pub async fn query_one<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Row>
    where
        T: ?Sized + ToStatement,
    {
        self.within_limits(self.client.query_one(statement, params)).await
    }

    pub async fn query_opt<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>>
    where
        T: ?Sized + ToStatement,
    {
        self.within_limits(self.client.query_opt(statement, params)).await
    }

    /// How many rows it changed.
    pub async fn execute<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<u64>
    where
        T: ?Sized + ToStatement,
    {
        self.within_limits(self.client.execute(statement, params)).await
    }

    pub async fn prepare(&self, statement: &str) -> Result<Statement> {
        self.within_limits(self.client.prepare(statement)).await
    }

    /// One or more statements without parameters, as they are written.
    pub async fn batch_execute(&self, statements: &str) -> Result<()> {
        self.within_limits(self.client.batch_execute(statements)).await
    }

    /// The same, with their answers as texts.
    pub async fn simple_query(&self, statements: &str) -> Result<Vec<SimpleQueryMessage>> {
        self.within_limits(self.client.simple_query(statements)).await
    }

    /// Other timeouts for the statements that follow, at the server and here. A `statement_ms` of 0 lets them run
    /// for as long as it takes, and then nothing but a dead connection ends the wait for their answer.
    pub async fn set_timeouts(&self, lock_ms: u32, statement_ms: u32) -> Result<()> {
        let sql = include_str!("../sql/visit/set_timeouts.sql");
        self.query_one(sql, &[&lock_ms.to_string(), &statement_ms.to_string()]).await?;
        self.statement_timeout_ms.store(statement_ms.into(), Ordering::Relaxed);
        Ok(())
    }

    pub fn canceller(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), tls: self.tls.clone() }
    }

    /// Ends the session in good order. One that is dropped ends too, but the program may be gone before.
    pub async fn close(self) {
        let Self { client, driver, .. } = self;
        drop(client);
        let _ = tokio::time::timeout(CLOSE_WAIT, driver).await;
    }

    /// Waits for an answer no longer than the statement may run, and a little: then cancels it, and where even that
    /// is not answered gives the session up.
    async fn within_limits<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(self.silent());
        }
        let limit_ms = self.statement_timeout_ms.load(Ordering::Relaxed);
        if limit_ms == 0 {
            return work.await.map_err(Error::from);
        }
        tokio::pin!(work);
        let limit = Duration::from_millis(limit_ms) + self.grace;
        if let Ok(answer) = tokio::time::timeout(limit, &mut work).await {
            return answer.map_err(Error::from);
        }
        let _ = tokio::time::timeout(self.grace, self.canceller().cancel()).await;
        match tokio::time::timeout(self.grace, &mut work).await {
            Ok(answer) => answer.map_err(Error::from),
            Err(_) => {
                self.is_lost.store(true, Ordering::Relaxed);
                self.driver.abort();
                Err(self.silent())
            }
        }
    }

    fn silent(&self) -> Error {
        let limit = Duration::from_millis(self.statement_timeout_ms.load(Ordering::Relaxed)) + self.grace;
        let reason = format!("the server did not answer within {} s", limit.as_secs_f32());
        Error::ConnectionLost { reason, source: None }
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Visit({}, pid {})", self.target.redacted(), self.facts.backend_pid)
    }
}

impl Canceller {
    /// Asks the server to end what runs now. There is no answer to it: the statement's own error is the answer.
    pub async fn cancel(&self) {
        let asked = tokio::time::timeout(CLOSE_WAIT, self.token.cancel_query(self.tls.clone())).await;
        if let Ok(Err(error)) = asked {
            tracing::debug!(%error, "cancelling a statement failed");
        }
    }
}

impl Facts {
    async fn read(client: &tokio_postgres::Client) -> Result<Self> {
        let row = client.query_one(include_str!("../sql/visit/facts.sql"), &[]).await?;
        let version_num = u32::try_from(row.try_get::<_, i32>("version_num")?).unwrap_or_default();
        if !VERSIONS.contains(&(version_num / 10_000)) {
            return Err(unsupported(version_num));
        }
        let (backend_pid, is_replica) = (row.try_get("backend_pid")?, row.try_get("is_replica")?);
        Ok(Self { version_num, backend_pid, is_replica })
    }
}

/// The settings come by statements and not with the connection, because a pooler refuses them there.
async fn guard(client: &tokio_postgres::Client, options: &VisitOptions, facts: &Facts) -> Result<()> {
    client
        .query_one(
            include_str!("../sql/visit/guard.sql"),
            &[
                &options.lock_timeout_ms.to_string(),
                &options.statement_timeout_ms.to_string(),
                &options.idle_in_transaction_timeout_ms.to_string(),
            ],
        )
        .await?;
    if options.is_read_only {
        client.query_one(include_str!("../sql/visit/read_only.sql"), &[]).await?;
    }
    if facts.version_num >= 140_000 {
        // Not every system can; a statement timeout ends the work of a client that has gone, if later.
        let _ = client.query_one(include_str!("../sql/visit/watch_client.sql"), &[]).await;
    }
    Ok(())
}

fn unsupported(version_num: u32) -> Error {
    let version = format!("{}.{}", version_num / 10_000, version_num % 10_000);
    let message = format!("the server's version is {version}");
    let error =
        posthaste_base::Error::new(Code::DatabaseUnsupported, message).expected("PostgreSQL 12 to 18");
    Error::Local(error.hint("visit a server of one of these versions"))
}
