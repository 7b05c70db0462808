//! Reads a database's catalog as plain data: names, types, sizes and counters, and no row of any table.
//!
//! One query for each kind of thing, never one for each thing, all of one snapshot. Nothing here waits behind a
//! lock queue: what only the owner of a lock may see is left out and named in `unread`, as is what this role may not
//! see. Not for: what the facts mean.
//!
//! Texts that have columns in them (checks, conditions and expressions of indexes, generated columns) are made by
//! functions of the server that open the table. So the tables that somebody holds or awaits ACCESS EXCLUSIVE on are
//! asked for first, and their texts are left out. When one is locked in between, the lock timeout ends the query,
//! and it is asked again.

mod attached;
mod calibrate;
mod expressions;
mod reader;
mod relations;
mod server;
mod types;

use std::time::Duration;

use posthaste_base::catalog::{Catalog, FORMAT};

pub use self::calibrate::{Calibration, calibrate};
use self::reader::Reader;
use crate::{Error, Result, Visit};

#[derive(Clone, Debug)]
pub struct CatalogOptions {
    /// Whether the functions of the server itself are listed, whose volatility a review asks for.
    pub has_server_functions: bool,
    /// Watches the counters for so long, to tell writes a second; 0 for not at all.
    pub watch_ms: u32,
}

impl Default for CatalogOptions {
    fn default() -> Self {
        Self { has_server_functions: true, watch_ms: 0 }
    }
}

/// How often a snapshot is taken anew because something that it shows was dropped while it was read.
const ATTEMPTS: u32 = 3;

/// Reads the catalog of the database that is visited. The visit must not be in a transaction.
pub async fn read(visit: &Visit, options: &CatalogOptions) -> Result<Catalog> {
    let before = match options.watch_ms {
        0 => None,
        _ => Some(server::Sample::take(visit).await?),
    };
    let started = std::time::Instant::now();
    let mut catalog = read_snapshot(visit, options).await?;
    types::read_sequence_values(visit, &mut catalog).await?;
    relations::measure_uncounted(visit, &mut catalog).await?;
    if let Some(before) = before {
        let watch = Duration::from_millis(options.watch_ms.into());
        tokio::time::sleep(watch.saturating_sub(started.elapsed())).await;
        server::Sample::take(visit).await?.compare(&before, &mut catalog);
    }
    Ok(catalog)
}

async fn read_snapshot(visit: &Visit, options: &CatalogOptions) -> Result<Catalog> {
    let mut attempt = 1;
    loop {
        visit.batch_execute(include_str!("../../sql/catalog/begin.sql")).await?;
        let result = read_parts(visit, options, attempt == ATTEMPTS).await;
        match result {
            Ok(catalog) => {
                visit.batch_execute("commit").await?;
                return Ok(catalog);
            }
            Err(error) => {
                if !error.is_connection() {
                    visit.batch_execute("rollback").await?;
                }
                if attempt == ATTEMPTS || !reader::is_dropped_meanwhile(&error) {
                    return Err(error);
                }
            }
        }
        attempt += 1;
    }
}

async fn read_parts(visit: &Visit, options: &CatalogOptions, is_last: bool) -> Result<Catalog> {
    let mut reader = Reader::new(visit, is_last);
    let mut catalog = Catalog { format: FORMAT, ..Catalog::default() };
    let block_bytes = server::read(&mut reader, &mut catalog).await?;
    visit.query_one(include_str!("../../sql/catalog/limits.sql"), &[]).await?;
    reader.ask_for_locks().await?;
    relations::read(&mut reader, &mut catalog, block_bytes).await?;
    attached::read(&mut reader, &mut catalog, block_bytes).await?;
    types::read(&mut reader, &mut catalog, options.has_server_functions).await?;
    reader.say_unread(&mut catalog);
    Ok(catalog)
}

/// The order of oids is not that of names: parts are put where their table is by this.
type Places = std::collections::HashMap<u32, usize>;

/// A column of a row, by its name in the statement.
fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a tokio_postgres::Row, column: &str) -> Result<T> {
    row.try_get(column).map_err(Error::from)
}
