//! Transactions that run again when the database asks for it.
//!
//! Not for: side effects outside the database. The body may run several times, so it must not send, print
//! or count anything that cannot be repeated.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::{Connection, Error, Pool, Result, Session};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    #[default]
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[derive(Clone, Copy, Debug)]
pub struct TransactionOptions {
    pub isolation: Isolation,
    pub read_only: bool,
    /// How often the body runs at most.
    pub attempts_max: u32,
    /// The delay before the second run; it doubles up to half a second, with jitter.
    pub delay: Duration,
    /// How long each of its statements waits for a lock, where the session's own setting is not to hold. It is said
    /// together with BEGIN, so that it costs no round trip.
    pub lock_timeout: Option<Duration>,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::ReadCommitted,
            read_only: false,
            attempts_max: 20,
            delay: Duration::from_millis(4),
            lock_timeout: None,
        }
    }
}

/// An error of a transaction's body, which may carry one of ours. Ours decides whether the body runs again.
pub trait TransactionError: From<Error> {
    fn database_error(&self) -> Option<&Error>;
}

impl TransactionError for Error {
    fn database_error(&self) -> Option<&Error> {
        Some(self)
    }
}

/// What the body of [`transaction`] gets. It must be gone when the body returns.
pub struct Tx(Arc<Transaction>);

/// An open transaction; lends itself as [`Session`].
pub struct Transaction {
    /// Empty only once the transaction is over.
    connection: Option<Connection>,
}

/// Runs `body` in a transaction: commits when it returns `Ok`, rolls back when it returns `Err`.
///
/// A serialisation failure, a deadlock or a lock timeout rolls back and runs the body again, after a short
/// random delay. So does a connection that is lost before COMMIT, because nothing has happened then. A
/// connection that is lost during COMMIT is not retried: whether it happened is unknown. It comes back as
/// [`Error::CommitUnknown`], and the caller may only try again where that is idempotent.
///
/// When the future is dropped half-way, the connection is closed, and the server rolls back.
///
/// ```no_run
/// # use posthaste_pg::{Error, Pool, Session, transaction};
/// # async fn insert_events(session: &Session, events: &[String]) -> Result<u64, Error> { Ok(0) }
/// # async fn example(pool: &Pool, events: &[String]) -> Result<(), Error> {
/// let count = transaction(pool, |tx| async move { insert_events(&tx, events).await }).await?;
/// # Ok(())
/// # }
/// ```
///
/// `events` is a reference there: what the body takes it has to be able to take again. (An `AsyncFnMut` would
/// lend more, but its futures cannot be shown to be `Send`, so that no task could run them.)
pub async fn transaction<T, E, F, Fut>(pool: &Pool, body: F) -> Result<T, E>
where
    E: TransactionError,
    F: FnMut(Tx) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    transaction_with(pool, TransactionOptions::default(), body).await
}

pub async fn transaction_with<T, E, F, Fut>(
    pool: &Pool,
    options: TransactionOptions,
    mut body: F,
) -> Result<T, E>
where
    E: TransactionError,
    F: FnMut(Tx) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    let mut lost = 0;
    loop {
        let error = match run_once(pool, options, &mut body).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(cause) = error.database_error() else { return Err(error) };
        // After a restart each lent connection may prove broken once; more than a few tries mean that the
        // server is not there, which the next `get` says.
        let is_lost = matches!(cause, Error::ConnectionLost { .. });
        lost += u32::from(is_lost);
        let may_retry = cause.is_retryable() || (is_lost && lost <= 3);
        if !may_retry || attempt >= options.attempts_max {
            return Err(error);
        }
        if matches!(cause, Error::StaleStatement { .. }) {
            pool.forget_statements();
        }
        tracing::debug!(attempt, %cause, "transaction runs again");
        pool.count_retry();
        tokio::time::sleep(jittered(options.delay, attempt)).await;
        attempt += 1;
    }
}

async fn run_once<T, E, F, Fut>(pool: &Pool, options: TransactionOptions, body: &mut F) -> Result<T, E>
where
    E: TransactionError,
    F: FnMut(Tx) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let shared = Arc::new(Transaction::begin(pool, options).await?);
    let result = body(Tx(shared.clone())).await;
    let transaction = Arc::into_inner(shared).expect("the body of a transaction keeps nothing of it");
    match result {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(error) => {
            transaction.roll_back().await;
            Err(error)
        }
    }
}

impl Deref for Tx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.0
    }
}

impl Transaction {
    /// Opens a transaction outside of [`transaction`]: for one that must not run twice.
    pub async fn begin(pool: &Pool, options: TransactionOptions) -> Result<Self> {
        let isolation = match options.isolation {
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        };
        let access = if options.read_only { "read only" } else { "read write" };
        // From here on a drop closes the connection, also one in the middle of BEGIN.
        let transaction = Self { connection: Some(pool.get().await?) };
        let lock_timeout = match options.lock_timeout {
            Some(timeout) => format!("; set local lock_timeout = {}", timeout.as_millis().max(1)),
            None => String::new(),
        };
        transaction
            .batch_execute(&format!("begin isolation level {isolation}, {access}{lock_timeout}"))
            .await?;
        Ok(transaction)
    }

    /// Commits, and says so only when it has happened.
    pub async fn commit(mut self) -> Result<()> {
        // COMMIT of a transaction in which a statement failed is a silent rollback. The empty `select`, in the
        // same round trip, fails there and stops the COMMIT.
        match self.batch_execute("select; commit").await.map_err(Error::from) {
            Ok(()) => {
                self.connection = None;
                Ok(())
            }
            Err(Error::ConnectionLost { reason, source }) => {
                let lost = Error::ConnectionLost { reason: reason.clone(), source };
                Err(Error::CommitUnknown { reason, source: Some(Box::new(lost)) })
            }
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Rolls back; a connection that cannot even do that is closed.
    pub async fn roll_back(mut self) {
        // A failed COMMIT has ended the transaction already; a second ROLLBACK is then only a warning.
        if self.batch_execute("rollback").await.is_ok() {
            self.connection = None;
        }
    }
}

impl Deref for Transaction {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.connection.as_deref().expect("a transaction has its connection until it is over")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.discard();
        }
    }
}

/// Half to all of the delay for this attempt, so that transactions that collided do not meet again.
fn jittered(delay: Duration, attempt: u32) -> Duration {
    let full = delay.saturating_mul(1 << (attempt - 1).min(10)).min(Duration::from_millis(500));
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    full.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    #[derive(Debug, thiserror::Error)]
    enum Other {
        #[error(transparent)]
        Database(#[from] Error),
    }

    impl TransactionError for Other {
        fn database_error(&self) -> Option<&Error> {
            let Self::Database(error) = self;
            Some(error)
        }
    }

    async fn with_borrows(pool: &Pool, names: &[String]) -> Result<u64, Other> {
        transaction(pool, |tx| async move { Ok(one(&tx, names).await?) }).await
    }

    async fn one(session: &Session, names: &[String]) -> Result<u64> {
        Ok(session.execute("select $1::text[]", &[&names]).await?)
    }

    /// A future that is handed to a task has to be `Send`, with whatever the body borrows.
    #[tokio::test]
    async fn a_transaction_can_run_in_a_task() {
        let target = Target::parse("host=/nowhere user=u").expect("an address");
        let pool = Pool::lazy(target, crate::PoolOptions::of_size(1)).expect("a pool");
        let names = Arc::new(vec![String::from("a")]);
        let task = tokio::spawn(async move { with_borrows(&pool, &names).await });
        let error = task.await.expect("no panic").expect_err("nowhere");
        assert!(matches!(error, Other::Database(Error::Unreachable { .. })), "{error:?}");
    }
}
