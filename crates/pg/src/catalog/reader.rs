//! Runs the parts of a catalog one after the other, each so that its failure is told and does not end the rest.
//!
//! Not for: what the parts are.

use std::collections::HashMap;

use posthaste_base::catalog::{Catalog, Constraint};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Places, get};
use crate::{Error, Result, Visit};

pub(super) struct Reader<'a> {
    pub(super) visit: &'a Visit,
    /// Where each relation stands in the catalog.
    pub(super) places: Places,
    /// Tables that nobody may open now without waiting.
    busy: Vec<u32>,
    /// Checks of domains by the domain's oid, until the types are read.
    pub(super) domain_checks: HashMap<u32, Vec<Constraint>>,
    unread: Vec<String>,
    is_last: bool,
}

/// How often a part is asked again after a table was locked in between.
const TRIES: u32 = 3;

impl<'a> Reader<'a> {
    /// With `is_last` a part that fails because something was dropped meanwhile is left out; else the error is for
    /// the caller, who takes a new snapshot.
    pub(super) fn new(visit: &'a Visit, is_last: bool) -> Self {
        Self {
            visit,
            places: Places::new(),
            busy: Vec::new(),
            domain_checks: HashMap::new(),
            unread: Vec::new(),
            is_last,
        }
    }

    pub(super) async fn ask_for_locks(&mut self) -> Result<()> {
        let rows = self.visit.query(include_str!("../../sql/catalog/busy.sql"), &[]).await?;
        self.busy = rows.iter().map(|row| get(row, "relation")).collect::<Result<_>>()?;
        Ok(())
    }

    /// A part that opens no table.
    pub(super) async fn rows(
        &mut self,
        what: &str,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        let result = self.guarded(statement, params).await;
        self.settle(what, result)
    }

    /// A part that opens tables: `$1` are those that it must not.
    pub(super) async fn rows_of_tables(&mut self, what: &str, statement: &str) -> Result<Vec<Row>> {
        let mut tries = 1;
        loop {
            let busy = self.busy.clone();
            let result = self.guarded(statement, &[&busy]).await;
            if tries == TRIES || !matches!(result, Err(Error::LockNotAvailable { .. })) {
                return self.settle(what, result);
            }
            self.ask_for_locks().await?;
            tries += 1;
        }
    }

    pub(super) fn unread(&mut self, what: impl Into<String>) {
        self.unread.push(what.into());
    }

    /// Writes down what was not read, each thing once.
    pub(super) fn say_unread(mut self, catalog: &mut Catalog) {
        for oid in &self.busy {
            if let Some(place) = self.places.get(oid) {
                let name = catalog.relations[*place].name.quoted();
                self.unread.push(format!(
                    "checks, conditions and expressions of {name}: a session holds or awaits ACCESS EXCLUSIVE on it"
                ));
            }
        }
        self.unread.sort();
        self.unread.dedup();
        catalog.unread.append(&mut self.unread);
    }

    async fn guarded(&self, statement: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.visit.batch_execute("savepoint part").await?;
        let result = self.visit.query(statement, params).await;
        match &result {
            Ok(_) => self.visit.batch_execute("release savepoint part").await?,
            Err(error) if error.is_connection() => {}
            Err(_) => self.visit.batch_execute("rollback to savepoint part; release savepoint part").await?,
        }
        result
    }

    fn settle(&mut self, what: &str, result: Result<Vec<Row>>) -> Result<Vec<Row>> {
        let why = match result {
            Ok(rows) => return Ok(rows),
            Err(error) if error.is_connection() => return Err(error),
            Err(error) if is_dropped_meanwhile(&error) && !self.is_last => return Err(error),
            Err(Error::LockNotAvailable { .. }) => "tables are locked again and again".to_owned(),
            Err(error) => error.db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned()),
        };
        self.unread(format!("{what}: {why}"));
        Ok(Vec::new())
    }
}

/// Functions that make texts see the catalog as it is now, and not as the snapshot does.
pub(super) fn is_dropped_meanwhile(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("XX000" | "42P01" | "42703" | "42704" | "42883"))
}
