//! What can go wrong between us and the database: one variant for each thing that a caller may do
//! differently.
//!
//! Not for: the wording that an HTTP caller sees. `From<Error> for posthaste_base::Error` chooses the code.

use std::error::Error as StdError;
use std::io;

use posthaste_base::Code;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// An error underneath, from the driver or the system.
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("read the database address: {message}")]
    InvalidTarget { message: String },
    #[error("reach the database at {target}: {reason}")]
    Unreachable {
        target: String,
        reason: String,
        #[source]
        source: Option<Source>,
    },
    #[error("connect to the database at {target}: {reason}")]
    Refused {
        target: String,
        reason: String,
        #[source]
        source: Option<Source>,
    },
    #[error("use a server of version {version}, which is not supported")]
    Unsupported { version: String },
    #[error("get a database connection within {waited_ms} ms: all {size} are in use")]
    Busy { waited_ms: u64, size: usize },
    #[error("write: the server's disk is full")]
    Full {
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("write: the server is read-only")]
    ReadOnly {
        #[source]
        source: tokio_postgres::Error,
    },
    /// Expected under concurrency: the transaction has to be run again.
    #[error("serialise with a transaction that ran at the same time")]
    Serialization {
        #[source]
        source: tokio_postgres::Error,
    },
    /// Expected under concurrency: the transaction has to be run again.
    #[error("lock without a deadlock")]
    Deadlock {
        #[source]
        source: tokio_postgres::Error,
    },
    /// Expected under a lock timeout or `nowait`.
    #[error("take a lock in the time allowed")]
    LockNotAvailable {
        #[source]
        source: tokio_postgres::Error,
    },
    /// A statement timeout, or somebody cancelled the statement.
    #[error("finish a statement: {message}")]
    Cancelled {
        message: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("keep the database connection: {reason}")]
    ConnectionLost {
        reason: String,
        #[source]
        source: Option<tokio_postgres::Error>,
    },
    /// The connection went away during COMMIT: the transaction may or may not have happened.
    #[error("learn whether the transaction was committed: {reason}")]
    CommitUnknown {
        reason: String,
        #[source]
        source: Option<Box<Error>>,
    },
    #[error("write a row: it would break the unique constraint `{constraint}`")]
    UniqueViolation {
        constraint: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("write a row: it would break the foreign key `{constraint}`")]
    ForeignKeyViolation {
        constraint: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("write a row: it would break the check `{constraint}`")]
    CheckViolation {
        constraint: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("find a table: {message}")]
    UndefinedTable {
        message: String,
        #[source]
        source: tokio_postgres::Error,
    },
    /// The statement was prepared before the schema changed, or on another server connection (PgBouncer).
    #[error("use a prepared statement: {message}")]
    StaleStatement {
        message: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("carry out a statement: {message} (SQLSTATE {sqlstate})")]
    Statement {
        sqlstate: String,
        message: String,
        /// May quote data, so that it is not part of the message.
        detail: Option<String>,
        #[source]
        source: tokio_postgres::Error,
    },
    /// The driver could not encode a parameter, decode a column, or got another number of rows.
    #[error("read the server's answer: {message}")]
    Mismatch {
        message: String,
        #[source]
        source: tokio_postgres::Error,
    },
    /// The local server: its folder, its programs, its start. Already worded for the user.
    #[error("{0}")]
    Local(posthaste_base::Error),
}

impl Error {
    /// Whether the same transaction, run again from its start, may well succeed. Nothing of it happened.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Error::Serialization { .. }
                | Error::Deadlock { .. }
                | Error::LockNotAvailable { .. }
                | Error::StaleStatement { .. }
        )
    }

    /// Whether the database could not be talked to; it may come back.
    pub fn is_connection(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::ConnectionLost { .. } | Error::CommitUnknown { .. })
    }

    /// The server's five-character error code, where the server has said something.
    pub fn sqlstate(&self) -> Option<&str> {
        self.db_error().map(|error| error.code().code())
    }

    /// The server's own message with its parts: detail, hint, constraint, position.
    pub fn db_error(&self) -> Option<&DbError> {
        if let Error::CommitUnknown { source: Some(source), .. } = self {
            return source.db_error();
        }
        let source = self.source()?;
        match source.downcast_ref::<tokio_postgres::Error>() {
            Some(error) => error.as_db_error(),
            None => source.downcast_ref::<DbError>(),
        }
    }

    /// What the driver said while it connected. `target` is the redacted address.
    pub(crate) fn connecting(target: &str, source: tokio_postgres::Error) -> Self {
        let target = target.to_owned();
        let reason = innermost(&source);
        let is_refused = match source.as_db_error() {
            // Too many connections, starting up and shutting down pass by themselves; the rest is a refusal.
            Some(error) => !matches!(
                *error.code(),
                SqlState::TOO_MANY_CONNECTIONS
                    | SqlState::CANNOT_CONNECT_NOW
                    | SqlState::ADMIN_SHUTDOWN
                    | SqlState::CRASH_SHUTDOWN
            ),
            None => !(source.is_closed() || is_plain_io(&source)),
        };
        let source: Option<Source> = Some(Box::new(source));
        match is_refused {
            true => Error::Refused { target, reason, source },
            false => Error::Unreachable { target, reason, source },
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(source: tokio_postgres::Error) -> Self {
        let Some(db) = source.as_db_error() else {
            if source.is_closed() || is_plain_io(&source) {
                return Error::ConnectionLost { reason: innermost(&source), source: Some(source) };
            }
            return Error::Mismatch { message: chain(&source), source };
        };
        let message = db.message().to_owned();
        let constraint = || db.constraint().unwrap_or_default().to_owned();
        match db.code().code() {
            "53100" => Error::Full { source },
            "25006" => Error::ReadOnly { source },
            "40001" => Error::Serialization { source },
            "40P01" => Error::Deadlock { source },
            "55P03" => Error::LockNotAvailable { source },
            "57014" => Error::Cancelled { message, source },
            "23505" => Error::UniqueViolation { constraint: constraint(), source },
            "23503" => Error::ForeignKeyViolation { constraint: constraint(), source },
            "23514" => Error::CheckViolation { constraint: constraint(), source },
            "42P01" => Error::UndefinedTable { message, source },
            "26000" => Error::StaleStatement { message, source },
            // The only other thing with this code is a feature that PostgreSQL does not have.
            "0A000" if message.starts_with("cached plan must not change") => {
                Error::StaleStatement { message, source }
            }
            code if code.starts_with("08") || ends_session(db) => {
                Error::ConnectionLost { reason: message, source: Some(source) }
            }
            code => Error::Statement {
                sqlstate: code.to_owned(),
                message,
                detail: db.detail().map(str::to_owned),
                source,
            },
        }
    }
}

/// A pooler that gives each transaction another session loses prepared statements, unless it knows them.
const THROUGH_POOLER: &str = "behind PgBouncer in transaction mode, use version 1.21 or newer and set its \
     `max_prepared_statements`, or use session mode; else try again";

impl From<Error> for posthaste_base::Error {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Local(error) => return error.clone(),
            Error::InvalidTarget { .. } => Code::InvalidConfig,
            Error::Unreachable { .. } | Error::ConnectionLost { .. } => Code::DatabaseUnreachable,
            Error::Refused { .. } => Code::DatabaseRefused,
            Error::Unsupported { .. } => Code::DatabaseUnsupported,
            Error::Busy { .. } => Code::Unavailable,
            Error::Full { .. } => Code::DatabaseFull,
            Error::ReadOnly { .. } => Code::DatabaseReadOnly,
            Error::Cancelled { .. } => Code::Timeout,
            Error::UndefinedTable { .. } => Code::SchemaMissing,
            Error::Serialization { .. }
            | Error::Deadlock { .. }
            | Error::LockNotAvailable { .. }
            | Error::CommitUnknown { .. }
            | Error::UniqueViolation { .. }
            | Error::ForeignKeyViolation { .. }
            | Error::CheckViolation { .. }
            | Error::StaleStatement { .. }
            | Error::Statement { .. }
            | Error::Mismatch { .. } => Code::DatabaseFailed,
        };
        let user = posthaste_base::Error::new(code, format!("failed to {error}"));
        let user = match &error {
            Error::Unreachable { .. } | Error::ConnectionLost { .. } | Error::Busy { .. } => {
                user.retry_after(5)
            }
            Error::InvalidTarget { .. } => user
                .expected("postgresql://user@host:5432/database")
                .hint("correct the address; what is not said there comes from PGHOST, PGUSER and so on"),
            Error::Unsupported { .. } => user.expected("PostgreSQL 14 to 18"),
            Error::Refused { reason, .. } if reason.contains("startup parameter") => {
                user.hint("behind PgBouncer, also give the address of the database itself: `direct_url` in `[database]`")
            }
            Error::StaleStatement { .. } => user.hint(THROUGH_POOLER),
            Error::Statement { sqlstate, .. } if sqlstate == "42P05" => user.hint(THROUGH_POOLER),
            Error::Statement { sqlstate, .. } if sqlstate == "42501" => {
                user.hint("grant the role what the message names, or connect as one that has it")
            }
            Error::Serialization { .. } | Error::Deadlock { .. } | Error::LockNotAvailable { .. } => {
                user.retry_after(1)
            }
            Error::CommitUnknown { .. } => {
                user.retry_after(5).hint("send it again with the same idempotency key: what has happened is not done twice")
            }
            _ => user,
        };
        match error.db_error() {
            // The server's detail may quote a row, and rows may hold secrets: it stays in the error here.
            Some(db) => user.caused_by(format!("{}: {} ({})", db.severity(), db.message(), db.code().code())),
            None => user,
        }
    }
}

/// FATAL and PANIC end the session whatever the code: shutdowns, killed sessions, session timeouts.
fn ends_session(error: &DbError) -> bool {
    matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        || matches!(
            *error.code(),
            SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW
        )
}

/// Whether the socket failed: neither TLS (whose errors also come as io errors, with another inside) nor a
/// value that could not be encoded.
fn is_plain_io(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    let is_timeout = text.starts_with("timeout");
    let is_socket = text.starts_with("error communicating") || text.starts_with("error connecting");
    let is_tls_cut = error.source().and_then(|e| e.downcast_ref::<io::Error>()).is_some_and(|e| {
        matches!(
            e.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        )
    });
    is_timeout || is_socket || is_tls_cut
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    match last.downcast_ref::<DbError>() {
        Some(db) => db.message().to_owned(),
        None => last.to_string(),
    }
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut last = error;
    while let Some(next) = last.source() {
        text.push_str(": ");
        text.push_str(&next.to_string());
        last = next;
    }
    text
}
