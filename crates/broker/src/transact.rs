//! Transactions of use cases: an error of the database may run one again, an error that a user sees ends it.
//!
//! Not for: deciding what is retried (see `posthaste_pg::transaction`).

use std::future::Future;

use posthaste_base::{Code, Error};
use posthaste_store::{TransactionError, TransactionOptions, Tx};

use crate::Broker;

/// How the body of a transaction ends when it does not commit.
#[derive(Debug)]
pub(crate) enum Abort {
    Database(posthaste_store::Error),
    Refused(Error),
    /// Another transaction that is still open has an idempotency key of this one, and was not waited for any longer.
    /// The key, where it is the only one.
    Held(Option<String>),
    /// What was read has changed since: once more, and it will fit.
    Outdated,
}

impl Abort {
    /// Whether one of those who share the transaction may be the cause, so that the others are better off without it.
    /// Nothing has happened then.
    pub(crate) fn is_of_one(&self) -> bool {
        use posthaste_store::Error;
        match self {
            Self::Database(error) => {
                let is_refused = matches!(
                    error,
                    Error::Statement { .. }
                        | Error::Mismatch { .. }
                        | Error::UniqueViolation { .. }
                        | Error::ForeignKeyViolation { .. }
                        | Error::CheckViolation { .. }
                );
                is_refused || error.is_retryable()
            }
            Self::Refused(_) | Self::Held(_) | Self::Outdated => true,
        }
    }
}

impl From<posthaste_store::Error> for Abort {
    fn from(error: posthaste_store::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Abort {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Abort> for Error {
    fn from(abort: Abort) -> Self {
        match abort {
            Abort::Database(error) => error.into(),
            Abort::Refused(error) => error,
            Abort::Held(key) => {
                let key = key
                    .map_or_else(|| String::from("a key of these events"), |key| format!("the key `{key}`"));
                Error::new(Code::KeyInUse, format!("another transaction that is still open holds {key}"))
                    .field("key")
                    .retry_after(1)
            }
            Abort::Outdated => Error::new(Code::Unavailable, "what was read changed at this moment"),
        }
    }
}

impl TransactionError for Abort {
    fn database_error(&self) -> Option<&posthaste_store::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Refused(_) | Self::Held(_) | Self::Outdated => None,
        }
    }
}

impl Broker {
    /// Runs `body` in a transaction, again where the database asks for it.
    pub(crate) async fn transact<T, F, Fut>(&self, body: F) -> Result<T, Error>
    where
        F: FnMut(Tx) -> Fut,
        Fut: Future<Output = Result<T, Abort>>,
    {
        Ok(posthaste_store::transaction(self.pool(), body).await?)
    }

    /// The same with options of its own: a consistent read, say.
    pub(crate) async fn transact_with<T, F, Fut>(
        &self,
        options: TransactionOptions,
        body: F,
    ) -> Result<T, Error>
    where
        F: FnMut(Tx) -> Fut,
        Fut: Future<Output = Result<T, Abort>>,
    {
        Ok(posthaste_store::transaction_with(self.pool(), options, body).await?)
    }
}
