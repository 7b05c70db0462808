//! One connection to the database, which asks and hands out rows.
//!
//! Not for: opening connections of its own or waiting: the guards are those of `posthaste_pg::Visit`.

use posthaste_pg::driver::ToSql;
use posthaste_pg::{Error, Visit};

use super::Rows;

const AS_ROWS: &str = include_str!("../../sql/doctor/as_rows.sql");

pub(crate) struct Visitor {
    pub visit: Visit,
    /// Where this role looks for names without a schema, when nobody changes it.
    search_path: String,
}

/// Why something could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unseen {
    pub why: String,
    /// What it was about changed while it was looked at: asking again may help.
    pub is_fleeting: bool,
}

impl Unseen {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_fleeting: false }
    }

    pub(crate) fn shape(error: serde_json::Error) -> Self {
        Self::new(format!("the server's answer has another form than expected: {error}"))
    }
}

impl From<Error> for Unseen {
    fn from(error: Error) -> Self {
        let (why, is_fleeting) = match &error {
            Error::LockNotAvailable { .. } => ("it would have had to wait for a lock".to_owned(), false),
            Error::Cancelled { message, .. } => (format!("it was given up: {message}"), false),
            Error::ConnectionLost { reason, .. } => (format!("the connection was lost: {reason}"), false),
            // A table that was dropped between its row in the catalog and a look at it.
            Error::Statement { sqlstate, message, .. } => {
                (message.clone(), matches!(sqlstate.as_str(), "XX000" | "42P01" | "42704" | "42883"))
            }
            other => (other.to_string(), matches!(other, Error::UndefinedTable { .. })),
        };
        Self { why, is_fleeting }
    }
}

impl Visitor {
    /// Makes the session's settings the same everywhere.
    pub(crate) async fn new(visit: Visit) -> Result<Self, Error> {
        let row = visit.query_one(&statement(include_str!("../../sql/doctor/session.sql")), &[]).await?;
        Ok(Self { search_path: row.try_get(0)?, visit })
    }

    /// The rows of one of the statements in `sql/doctor`, without parameters.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Rows, Unseen> {
        self.rows_with(sql, &[]).await
    }

    pub(crate) async fn rows_with(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Rows, Unseen> {
        let asked = statement(AS_ROWS).replace("{query}", &statement(sql));
        let rows = self.visit.query(&asked, parameters).await?;
        let texts = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>();
        Ok(Rows(texts.map_err(Error::from)?))
    }

    /// Looks for names as this role does, until [`Visitor::use_own_names`].
    pub(crate) async fn use_role_s_names(&self) -> Result<(), Unseen> {
        self.look_for_names_in(&self.search_path).await
    }

    /// Names without a schema are the system's, so that nobody can put others in their place.
    pub(crate) async fn use_own_names(&self) -> Result<(), Unseen> {
        self.look_for_names_in("pg_catalog").await
    }

    async fn look_for_names_in(&self, path: &str) -> Result<(), Unseen> {
        let sql = statement(include_str!("../../sql/doctor/search_path.sql"));
        self.visit.query_one(&sql, &[&path]).await?;
        Ok(())
    }
}

/// What a `.sql` file says, without its header and the semicolon at its end.
pub(crate) fn statement(file: &str) -> String {
    let body: Vec<&str> = file.lines().skip_while(|line| line.starts_with("--") || line.is_empty()).collect();
    body.join("\n").trim_end().trim_end_matches(';').to_owned()
}
