//! A session: one connection with its prepared statements, and how long it waits for an answer.
//!
//! Not for: lending and keeping connections (`pool`), or what a transaction needs (`transaction`).
//!
//! The kernel gives up on a peer that does not acknowledge what it was sent. One that acknowledges and never
//! answers (a frozen server, a proxy that lost its other side) would be waited for without end, so the statements
//! here have a deadline. It lies behind the server's own `statement_timeout`, so that it only speaks when the
//! server does not.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use posthaste_observe::Counter;
use tokio::task::AbortHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, SimpleQueryMessage, Statement, ToStatement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A database session with its cache of prepared statements: `prepare_cached`, `query`, `execute`.
///
/// Both a [`crate::Connection`] and a [`crate::Transaction`] lend themselves as `&Session`, so that one function
/// serves inside and outside of a transaction. What is not a method here (copies, streams) is the driver's own,
/// and has no deadline.
pub struct Session {
    client: ClientWrapper,
    /// Ends the task that drives the connection.
    driver: AbortHandle,
    /// How long an answer may take.
    answer: Option<Duration>,
    /// Which `Sessions::generation` its prepared statements are of.
    generation: u64,
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session {
    pub async fn prepare_cached(&self, query: &str) -> Result<Statement, Error> {
        self.answered(self.client.prepare_cached(query)).await
    }

    pub async fn prepare_typed_cached(&self, query: &str, types: &[Type]) -> Result<Statement, Error> {
        self.answered(self.client.prepare_typed_cached(query, types)).await
    }

    pub async fn query<T>(&self, statement: &T, parameters: Parameters<'_>) -> Result<Vec<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.answered(self.client.query(statement, parameters)).await
    }

    pub async fn query_one<T>(&self, statement: &T, parameters: Parameters<'_>) -> Result<Row, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.answered(self.client.query_one(statement, parameters)).await
    }

    pub async fn query_opt<T>(&self, statement: &T, parameters: Parameters<'_>) -> Result<Option<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.answered(self.client.query_opt(statement, parameters)).await
    }

    pub async fn execute<T>(&self, statement: &T, parameters: Parameters<'_>) -> Result<u64, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.answered(self.client.execute(statement, parameters)).await
    }

    pub async fn batch_execute(&self, statements: &str) -> Result<(), Error> {
        self.answered(self.client.batch_execute(statements)).await
    }

    pub async fn simple_query(&self, statements: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        self.answered(self.client.simple_query(statements)).await
    }

    /// The driver's client, whose statements may take as long as they need: for an upgrade of a schema, say.
    pub fn without_deadline(&self) -> &ClientWrapper {
        &self.client
    }

    /// The answer; or the end of the connection, when there is none in time.
    ///
    /// The connection is cut, and not the statement given up: what would come late must not be taken for the answer
    /// to the next one, and the pool does not lend a closed connection again.
    async fn answered<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(limit) = self.answer else { return answer.await };
        let mut answer = pin!(answer);
        if let Ok(answer) = tokio::time::timeout(limit, &mut answer).await {
            return answer;
        }
        tracing::warn!(
            "the database has not answered for {} s; closing this connection",
            limit.as_secs_f32()
        );
        self.driver.abort();
        answer.await
    }
}

impl Deref for Session {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.client
    }
}

/// Makes the sessions of a pool. The ready-made one would warn once for every connection that a restart cuts.
pub(crate) struct Sessions {
    pub config: tokio_postgres::Config,
    pub tls: MakeRustlsConnect,
    pub answer: Option<Duration>,
    /// Counts connections that ended by an error.
    pub lost: Counter,
    /// Grows when prepared statements are to be forgotten.
    pub generation: Arc<AtomicU64>,
}

impl managed::Manager for Sessions {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session, Error> {
        let generation = self.generation.load(Ordering::SeqCst);
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let lost = self.lost.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                lost.increment(1);
                // Whoever uses the connection gets the error and says so.
                tracing::debug!(%error, "database connection ended");
            }
        });
        let driver = task.abort_handle();
        Ok(Session { client: ClientWrapper::new(client, task), driver, answer: self.answer, generation })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Error> {
        if session.client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        let generation = self.generation.load(Ordering::SeqCst);
        if session.generation != generation {
            session.client.statement_cache.clear();
            session.generation = generation;
        }
        Ok(())
    }
}
