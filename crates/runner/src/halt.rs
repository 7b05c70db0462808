//! Why a run does not go straight on.
//!
//! Not for: what users see; that is `posthaste_base::Error`, which is made here from what happened.

use posthaste_base::{Code, Error};
use posthaste_pg::{self as pg, driver};
use posthaste_report::Step;

use crate::statement;

#[derive(Debug)]
pub(crate) enum Halt {
    /// The server said no, or is gone.
    Database(pg::Error),
    /// Already worded.
    Error(Error),
    /// Somebody wishes it.
    Asked(Asked),
    /// A test lets the process die here: nothing more is done, nothing is written.
    Killed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Abort,
    Stop,
}

impl From<pg::Error> for Halt {
    fn from(error: pg::Error) -> Self {
        Halt::Database(error)
    }
}

impl From<driver::Error> for Halt {
    fn from(error: driver::Error) -> Self {
        Halt::Database(error.into())
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Error(error)
    }
}

impl Halt {
    /// Whether the database has to be reached again first.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Halt::Database(error) if error.is_connection())
    }

    /// Whether others were in the way, so that the same may succeed later.
    pub(crate) fn is_contention(&self) -> bool {
        matches!(self, Halt::Database(error) if error.is_retryable())
    }

    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Halt::Database(pg::Error::Cancelled { message, .. }) if message.contains("timeout"))
    }

    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match self {
            Halt::Database(error) => error.sqlstate(),
            _ => None,
        }
    }

    /// The same as a failure of that step. Losses, wishes and what is worded already stay what they are.
    pub(crate) fn of_step(self, step: &Step) -> Self {
        self.of_place(&format!("step `{}` failed", step.id))
    }

    /// The same as a failure of one statement of several.
    pub(crate) fn of_statement(self, step: &Step, text: &str) -> Self {
        self.of_place(&format!("step `{}` failed at `{}`", step.id, statement::shortened(text)))
    }

    fn of_place(self, place: &str) -> Self {
        match self {
            Halt::Database(error) if !error.is_connection() => Halt::Error(failed(place, error)),
            other => other,
        }
    }

    pub(crate) fn into_error(self, run: i64) -> Error {
        match self {
            Halt::Database(error) => error.into(),
            Halt::Error(error) => error,
            Halt::Asked(_) => Error::new(Code::RunStopped, format!("run {run} was stopped")),
            Halt::Killed => Error::new(Code::Internal, "a test let the runner die"),
        }
    }
}

/// What the server said to a step's statement. Its detail may quote a row, so that it is left out.
fn failed(place: &str, error: pg::Error) -> Error {
    let said = error.db_error().map(|db| format!("{} (SQLSTATE {})", db.message(), db.code().code()));
    let said = said.unwrap_or_else(|| error.to_string());
    let code = match &error {
        pg::Error::Full { .. } => Code::DatabaseFull,
        pg::Error::ReadOnly { .. } => Code::DatabaseReadOnly,
        pg::Error::Cancelled { message, .. } if message.contains("timeout") => Code::Timeout,
        _ => Code::StepFailed,
    };
    let hint = match code {
        Code::DatabaseFull => {
            "free space or grow the disk, then `posthaste runs resume`: what is done stays done"
        }
        Code::DatabaseReadOnly => "connect to the primary, then `posthaste runs resume`",
        Code::Timeout => "allow it longer, then `posthaste runs resume`",
        _ => code.next_step(),
    };
    Error::new(code, format!("{place}: {said}")).hint(hint)
}
