//! Measures how quickly this server reads a table, by reading a bounded part of its largest one.
//!
//! Only when asked: it reads data, if none of it leaves the server. Not for: what a rewrite costs.

use std::time::{Duration, Instant};

use posthaste_base::catalog::Name;

use super::get;
use crate::{Result, Visit};

/// What was read, and how quickly.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    pub table: Name,
    pub bytes: u64,
    pub elapsed: Duration,
}

/// Pages of one statement: 8 MiB at the usual size.
const PAGES: i64 = 1_024;

/// Less than this says nothing about a speed.
const BYTES_MIN: u64 = 4 << 20;

impl Calibration {
    pub fn bytes_per_s(&self) -> u64 {
        (self.bytes as f64 / self.elapsed.as_secs_f64().max(1e-6)) as u64
    }
}

/// Reads at most so many bytes for about so long. None where there is no table large enough, or where the server
/// (before 14) cannot read a part of one without reading all of it.
pub async fn calibrate(visit: &Visit, bytes_max: u64, within: Duration) -> Result<Option<Calibration>> {
    if visit.major() < 14 {
        return Ok(None);
    }
    let found = visit.query_opt(include_str!("../../sql/catalog/largest_table.sql"), &[]).await?;
    let Some(row) = found else { return Ok(None) };
    let table = Name { schema: get(&row, "schema")?, name: get(&row, "name")? };
    let pages = i64::from(get::<i32>(&row, "pages")?.cast_unsigned());
    let block_bytes = u64::try_from(get::<i32>(&row, "block_bytes")?).unwrap_or(8_192);
    if pages.unsigned_abs() * block_bytes < BYTES_MIN {
        return Ok(None);
    }
    visit.batch_execute(include_str!("../../sql/catalog/begin.sql")).await?;
    let result = scan(visit, &table, pages, block_bytes, bytes_max, within).await;
    if !result.as_ref().is_err_and(|error| error.is_connection()) {
        visit.batch_execute("rollback").await?;
    }
    let (bytes, elapsed) = result?;
    Ok((bytes >= BYTES_MIN).then_some(Calibration { table, bytes, elapsed }))
}

async fn scan(
    visit: &Visit,
    table: &Name,
    pages: i64,
    block_bytes: u64,
    bytes_max: u64,
    within: Duration,
) -> Result<(u64, Duration)> {
    visit.query_one(include_str!("../../sql/catalog/scan_alone.sql"), &[]).await?;
    let sql = include_str!("../../sql/catalog/scan_pages.sql").replace("{table}", &table.quoted());
    let statement = visit.prepare(&sql).await?;
    let (mut bytes, mut first, started) = (0, 0, Instant::now());
    while first < pages && bytes < bytes_max && started.elapsed() < within {
        let behind = pages.min(first + PAGES);
        visit.query_one(&statement, &[&format!("({first},0)"), &format!("({behind},0)")]).await?;
        bytes += (behind - first).unsigned_abs() * block_bytes;
        first = behind;
    }
    Ok((bytes, started.elapsed()))
}
