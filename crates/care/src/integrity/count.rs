//! Counting on the server: one connection, bounded pieces, each statement under its timeouts.
//!
//! Not for: what is counted, and what the numbers mean.

mod groups;
mod orphans;
mod queries;
mod rows;
mod sums;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use posthaste_base::catalog::Relation;
use posthaste_base::quote;
use posthaste_pg::{Error, Visit};
use posthaste_report::Skipped;

use super::tables::{Table, Tables};
use super::{Options, Progress};

/// Pieces do not get smaller than that.
const BLOCKS_MIN: i64 = 64;
const PIECE_SHORT: Duration = Duration::from_millis(300);
const PIECE_LONG: Duration = Duration::from_millis(1_500);
/// Rows whose groups are kept in memory at a time.
const GROUPED_ROWS_MAX: u64 = 3_000_000;
const PARTS_MAX: u64 = 1_024;

pub(super) struct Counter<'a> {
    pub visit: &'a Visit,
    pub tables: &'a Tables<'a>,
    pub options: &'a Options,
    pub progress: &'a dyn Fn(Progress),
    pub skipped: Vec<Skipped>,
}

/// What was counted of one check.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// What breaks it.
    pub rows: i64,
    /// Of so many.
    pub of: i64,
    pub more: Vec<(&'static str, i64)>,
    pub samples: Vec<String>,
    pub evidence: Vec<String>,
}

/// A range of a table's blocks as a condition on `t`.
#[derive(Clone, Debug)]
struct Piece {
    condition: String,
    blocks: i64,
}

/// Walks over a table's blocks.
struct Walk {
    next: i64,
    blocks: i64,
    size: i64,
}

impl Walk {
    fn piece(&self, is_cut: bool) -> Option<Piece> {
        // Rows may come in behind the last block that was there, so that the last piece has no end.
        if self.next > 0 && self.next >= self.blocks {
            return None;
        }
        if !is_cut {
            return Some(Piece { condition: "true".into(), blocks: self.blocks.max(1) });
        }
        let mut condition = format!("t.ctid >= '({},0)'", self.next);
        let end = self.next + self.size;
        if end < self.blocks {
            let _ = write!(condition, " and t.ctid < '({end},0)'");
        }
        Some(Piece { condition, blocks: self.size })
    }

    fn advance(&mut self, piece: &Piece, took: Duration) {
        self.next += piece.blocks;
        if took < PIECE_SHORT {
            self.size *= 2;
        } else if took > PIECE_LONG {
            self.size = (self.size / 2).max(BLOCKS_MIN);
        }
    }

    /// Smaller pieces after a timeout; false when they are as small as they get.
    fn shrink(&mut self) -> bool {
        self.size /= 4;
        self.size >= BLOCKS_MIN
    }
}

impl Counter<'_> {
    /// Runs `count` on one piece of a leaf after the other, and adds up what it says.
    async fn in_pieces(
        &self,
        leaf: &Relation,
        what: &str,
        mut count: impl AsyncFnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // A sample is of the whole; and before 14 there are no scans of a range of blocks.
        let is_cut = self.visit.major() >= 14 && self.options.sample_percent.is_none();
        let sql = include_str!("../../sql/integrity/blocks.sql");
        let blocks = match is_cut {
            true => self.visit.query_one(sql, &[&leaf.oid]).await?.try_get::<_, i64>(0)?,
            false => i64::from(leaf.size.bytes > 0),
        };
        let mut walk = Walk { next: 0, blocks, size: i64::from(self.options.piece_blocks.max(1)) };
        while let Some(piece) = walk.piece(is_cut) {
            let started = Instant::now();
            match count(&piece.condition).await {
                Ok(()) => {}
                Err(error) if is_cut && is_timeout(&error) && walk.shrink() => continue,
                Err(error) => return Err(error),
            }
            let took = started.elapsed();
            walk.advance(&piece, took);
            (self.progress)(Progress {
                table: leaf.name.clone(),
                what: what.to_owned(),
                done: u64::try_from(walk.next.min(blocks)).unwrap_or(0),
                of: u64::try_from(blocks).unwrap_or(0),
            });
            self.rest(took).await;
        }
        Ok(())
    }

    /// Leaves the server to others for a part of the time that a statement took.
    async fn rest(&self, took: Duration) {
        let rest = took.mul_f64(self.options.rest.clamp(0.0, 10.0));
        if rest > Duration::from_millis(1) {
            tokio::time::sleep(rest).await;
        }
    }

    fn sample(&self) -> String {
        match self.options.sample_percent {
            Some(percent) => format!("tablesample system ({percent}) repeatable (1)"),
            None => String::new(),
        }
    }

    /// In how many parts the values of a table are looked at, so that each fits into memory.
    fn parts(&self, table: &Table<'_>, can_be_parted: bool) -> u64 {
        let rows: u64 = table.leaves.iter().map(|leaf| leaf.size.rows.unwrap_or(leaf.size.bytes / 100)).sum();
        if can_be_parted { (rows / GROUPED_ROWS_MAX + 1).min(PARTS_MAX) } else { 1 }
    }

    /// The condition that picks one part of many by the hash of values, or the share of them that is a sample.
    fn part(&self, expressions: &[String], part: u64, parts: u64, can_be_parted: bool) -> String {
        // One value as it is takes a third of the time that a row of one takes.
        let value = match expressions {
            [one] => format!("({one})"),
            many => format!("row({})", many.join(", ")),
        };
        let hash = format!("(hashtextextended({value}::text, 0) & 1048575)");
        match self.options.sample_percent {
            Some(percent) if can_be_parted => format!("{hash} < {}", (percent / 100.0 * 1_048_576.0).round()),
            _ if parts > 1 => format!("{hash} % {parts} = {part}"),
            _ => "true".into(),
        }
    }

    pub(super) fn skip(&mut self, what: String, error: &Error) {
        let why = why(error, self.options);
        self.skipped.push(Skipped { what, why });
    }
}

/// A row as a person knows it: its key, and the columns that it is about.
pub(super) fn shown(table: &Table<'_>, columns: &[String]) -> String {
    let mut identity = table.identity();
    let is_placed = identity.is_empty();
    let others: Vec<String> = columns.iter().filter(|column| !identity.contains(column)).cloned().collect();
    identity.extend(others);
    let value = |column: &String| {
        let (label, column) = (quote::literal(&format!("{column} ")), quote::identifier(column));
        format!("{label} || coalesce(left(t.{column}::text, 60), 'null')")
    };
    let mut parts: Vec<String> = identity.iter().map(value).collect();
    if is_placed {
        parts.insert(0, "'ctid ' || t.ctid::text".into());
    }
    format!("concat_ws(', ', {})", parts.join(", "))
}

fn is_timeout(error: &Error) -> bool {
    error.sqlstate() == Some("57014")
}

/// Why something could not be counted, for people.
fn why(error: &Error, options: &Options) -> String {
    match error.sqlstate() {
        Some("42501") => "the role may not read it".into(),
        Some("55P03") => {
            format!(
                "another session holds a lock on it, and it is not waited for longer than {} ms",
                options.lock_timeout_ms
            )
        }
        Some("57014") => {
            format!("one statement took longer than {} ms, or was cancelled", options.statement_timeout_ms)
        }
        Some("42P01" | "42703") => "it was dropped or changed meanwhile".into(),
        Some(state) => {
            let message = error.db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
            format!("{message} (SQLSTATE {state})")
        }
        None => error.to_string(),
    }
}
