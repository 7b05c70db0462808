//! The PostgreSQL driver, walled in: targets and TLS, pools, transactions with retry, LISTEN, guarded
//! visits to databases that are not ours and their catalogs, and the local server.
//!
//! Not for: anything that knows our tables. Statements live in `store`; this crate only carries them.

mod address;
pub mod catalog;
mod error;
mod listener;
pub mod local;
mod pool;
mod session;
mod target;
mod tls;
mod transaction;
mod visit;

pub use error::Error;
pub use listener::{Heard, Listener};
pub use pool::{Connection, Pool, PoolOptions};
pub use session::Session;
pub use target::{SslMode, Target};
pub use transaction::{
    Isolation, Transaction, TransactionError, TransactionOptions, Tx, transaction, transaction_with,
};
pub use visit::{Canceller, Visit, VisitOptions};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What crates above need of the driver. They name it through here, so that it has one owner.
pub mod driver {
    pub use tokio_postgres::binary_copy::BinaryCopyInWriter;
    pub use tokio_postgres::error::{DbError, ErrorPosition, SqlState};
    pub use tokio_postgres::types::{self, FromSql, Json, ToSql, Type};
    pub use tokio_postgres::{
        CopyInSink, CopyOutStream, Error, Row, RowStream, SimpleQueryMessage, Statement, ToStatement,
    };
}
