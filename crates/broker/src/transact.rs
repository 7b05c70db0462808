//! Transactions of use cases: an error of the database may run one again, an error that a user sees ends it.
//!
//! Not for: deciding what is retried (see `posthaste_pg::transaction`).

use std::future::Future;

use posthaste_base::Error;
use posthaste_store::{TransactionError, TransactionOptions, Tx};

use crate::Broker;

/// How the body of a transaction ends when it does not commit.
#[derive(Debug)]
pub(crate) enum Abort {
    Database(posthaste_store::Error),
    Refused(Error),
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
        }
    }
}

impl TransactionError for Abort {
    fn database_error(&self) -> Option<&posthaste_store::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Refused(_) => None,
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
