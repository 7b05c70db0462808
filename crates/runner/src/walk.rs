//! One walk over a range of a table, batch after batch, each a transaction with its place in the journal.
//!
//! Not for: passes, what is left, and where a walk begins (see `batches`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use posthaste_base::{Code, Error};
use posthaste_pg::driver::{Statement, ToSql};
use posthaste_report::{Blocker, Step};

use crate::event::{Event, Progress};
use crate::halt::Halt;
use crate::key::{Ends, Ground, Order};
use crate::locks::{Tries, give_up};
use crate::pace::{Pace, pause_for_speed};
use crate::sql;
use crate::work::{Work, millis};

/// A key, or a page, as texts.
pub(crate) type Key = Vec<String>;

/// What a walk does at each batch.
pub(crate) struct Walk {
    pub place: i32,
    pub ground: Ground,
    pub table_oid: u32,
    pub statements: Vec<String>,
    pub prove: Option<String>,
    pub pace: Pace,
    /// For tables without a key.
    pub rows_per_page: f64,
    pub visited: i64,
    pub rows: i64,
    pub batches: i64,
    pub total: Option<i64>,
    /// Ranges in a row that were put off: when nothing goes through, it is not single rows that are held.
    pub put_off_in_a_row: u32,
    pub prepared: BTreeMap<String, Statement>,
}

/// Where the place of a walk is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    Step,
    PutOff(i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub low: Option<Key>,
    pub high: Option<Key>,
}

enum Outcome {
    /// Nothing was left in the range.
    End,
    Batch {
        high: Key,
        visited: i64,
        rows: i64,
        waited_for_us: i64,
    },
}

/// How often a batch is tried before its range is left for later.
const TRIES_BEFORE_PUT_OFF: u32 = 3;
const PUT_OFF_IN_A_ROW_MAX: u32 = 5;

impl Work<'_> {
    pub(crate) async fn walk(
        &mut self,
        step: &Step,
        walk: &mut Walk,
        mut range: Range,
        cursor: Cursor,
    ) -> Result<(), Halt> {
        let mut tries = Tries::new(self.options.locks);
        loop {
            self.listen().await?;
            walk.pace.aim_at(
                self.batch_ms.map_or(self.options.pace.batch, |ms| {
                    Duration::from_millis(u64::try_from(ms).unwrap_or(1))
                }),
            );
            self.throttle(step, walk.table_oid).await?;
            self.look_around(Some(walk.table_oid)).await?;
            let started = Instant::now();
            let asked_rows = walk.pace.rows();
            let (mut reached, mut blockers) = (None, Vec::new());
            let outcome = self.batch(step, walk, &range, cursor, &tries, &mut reached, &mut blockers).await;
            let worked = started.elapsed();
            match outcome {
                Ok(Outcome::End) => return Ok(()),
                Ok(Outcome::Batch { high, visited, rows, waited_for_us }) => {
                    self.fault("batch-committed")?;
                    tries = Tries::new(self.options.locks);
                    walk.put_off_in_a_row = 0;
                    walk.count(visited, rows);
                    let pause = pause_for_speed(worked, self.speed_percent);
                    walk.pace.took(visited.unsigned_abs(), worked, worked + pause);
                    if waited_for_us > 0 {
                        walk.pace.shrink();
                    }
                    self.emit(Event::Progress(walk.progress(step, worked)));
                    // Less than was asked for was the rest, also where others add rows as fast as we walk.
                    let is_last =
                        visited.unsigned_abs() < asked_rows && matches!(walk.ground.order, Order::Key(_));
                    if is_last {
                        return Ok(());
                    }
                    range.low = Some(high);
                    if !pause.is_zero() {
                        self.sleep(pause).await?;
                    }
                }
                Err(halt) if halt.is_contention() => {
                    walk.pace.shrink();
                    let may_put_off = cursor == Cursor::Step && walk.put_off_in_a_row < PUT_OFF_IN_A_ROW_MAX;
                    let later = reached.filter(|_| may_put_off);
                    let is_enough = later.is_some() && tries.attempt + 1 >= TRIES_BEFORE_PUT_OFF;
                    let waited = if is_enough {
                        Ok(false)
                    } else {
                        self.wait_or_give_up(step, &mut tries, &blockers).await
                    };
                    match (waited, later) {
                        (Ok(true), _) => {}
                        (Ok(false), Some(high)) => {
                            self.put_off(step, walk, &range, &high).await?;
                            range.low = Some(high);
                            tries = Tries::new(self.options.locks);
                        }
                        (Ok(false), None) => return Err(give_up(step, &blockers).into()),
                        (Err(halt), _) => return Err(halt),
                    }
                }
                Err(halt) if halt.is_timeout() && asked_rows > 1 => walk.pace.shrink(),
                Err(halt) => return Err(halt.of_step(step)),
            }
        }
    }

    /// One transaction. `reached` is the key at which it would have ended, also when it fails.
    #[expect(clippy::too_many_arguments, reason = "what a batch is, and what is known of one that failed")]
    async fn batch(
        &mut self,
        step: &Step,
        walk: &mut Walk,
        range: &Range,
        cursor: Cursor,
        tries: &Tries,
        reached: &mut Option<Key>,
        blockers: &mut Vec<Blocker>,
    ) -> Result<Outcome, Halt> {
        let outcome = self.try_batch(step, walk, range, cursor, tries, reached, blockers).await;
        match &outcome {
            Ok(_) | Err(Halt::Killed) => {}
            Err(halt) if halt.is_lost() => {}
            Err(_) => self.hand.batch_execute("rollback").await?,
        }
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "as `batch`")]
    async fn try_batch(
        &mut self,
        step: &Step,
        walk: &mut Walk,
        range: &Range,
        cursor: Cursor,
        tries: &Tries,
        reached: &mut Option<Key>,
        blockers: &mut Vec<Blocker>,
    ) -> Result<Outcome, Halt> {
        let started = Instant::now();
        let statement_ms = millis(self.options.brief.max(self.options.pace.batch * 10));
        self.set_timeouts(millis(tries.timeout()), statement_ms).await?;
        // Several statements have to see the same rows, or one would delete what another one has not copied.
        let begin = if walk.statements.len() > 1 { "begin isolation level repeatable read" } else { "begin" };
        self.hand.batch_execute(begin).await?;
        self.fence().await?;
        let Some((high, visited)) = self.next_end(walk, range).await? else {
            self.hand.batch_execute("commit").await?;
            return Ok(Outcome::End);
        };
        *reached = Some(high.clone());
        let ends = Ends { low: range.low.is_some(), high: true };
        let bounds: Vec<&(dyn ToSql + Sync)> =
            range.low.iter().flatten().chain(&high).map(|text| text as &(dyn ToSql + Sync)).collect();
        let (mut rows, mut waited_for_us) = (0, 0);
        for template in walk.statements.clone() {
            let prepared = self.prepared(walk, walk.ground.statement(&template, ends)).await?;
            let first = (tries.timeout() / 2).min(self.options.pace.batch / 2);
            let (hand, mut watch) = self.watched(step, first, false);
            watch.may_end = false;
            let done = watch.over(hand.execute(&prepared, &bounds)).await;
            waited_for_us = waited_for_us.max(watch.seen.waited_for_us);
            blockers.append(&mut watch.seen.blockers);
            rows = rows.max(i64::try_from(done?).unwrap_or(i64::MAX));
        }
        self.prove(step, walk, ends, &bounds).await?;
        self.advance(walk, cursor, &high, visited, rows, started).await?;
        self.fault("batch-before-commit")?;
        self.hand.batch_execute("commit").await?;
        Ok(Outcome::Batch { high, visited, rows, waited_for_us })
    }

    /// Where the next batch ends, and how many rows it goes over; none when the range has no more.
    async fn next_end(&mut self, walk: &mut Walk, range: &Range) -> Result<Option<(Key, i64)>, Halt> {
        let ends = Ends { low: range.low.is_some(), high: range.high.is_some() };
        let Some(text) = walk.ground.boundary(ends) else { return Ok(next_page(walk, range)) };
        let limit = walk.pace.rows().to_string();
        let bounds = range.low.iter().flatten().chain(range.high.iter().flatten()).chain([&limit]);
        let bounds: Vec<&(dyn ToSql + Sync)> = bounds.map(|text| text as &(dyn ToSql + Sync)).collect();
        let prepared = self.prepared(walk, text).await?;
        let Some(row) = self.hand.query_opt(&prepared, &bounds).await? else { return Ok(None) };
        let columns = row.len() - 1;
        let key = (0..columns).map(|at| row.try_get(at)).collect::<Result<Key, _>>()?;
        Ok(Some((key, row.try_get(columns)?)))
    }

    /// Prepared once for all batches of the walk.
    async fn prepared(&self, walk: &mut Walk, text: String) -> Result<Statement, Halt> {
        if let Some(statement) = walk.prepared.get(&text) {
            return Ok(statement.clone());
        }
        let statement = self.hand.prepare(&text).await?;
        walk.prepared.insert(text, statement.clone());
        Ok(statement)
    }

    async fn prove(
        &mut self,
        step: &Step,
        walk: &mut Walk,
        ends: Ends,
        bounds: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Halt> {
        let Some(template) = &walk.prove else { return Ok(()) };
        let text = walk.ground.statement(template, ends);
        let prepared = self.prepared(walk, text).await?;
        let row = self.hand.query_opt(&prepared, bounds).await?;
        let answer = row.map(|row| row.try_get::<_, Option<bool>>(0)).transpose()?.flatten();
        if answer == Some(true) {
            return Ok(());
        }
        let answer = answer.map_or("nothing", |_| "false");
        let message = format!("the proof of a batch of step `{}` answered {answer}", step.id);
        Err(Error::new(Code::ProofFailed, message).into())
    }

    async fn advance(
        &mut self,
        walk: &Walk,
        cursor: Cursor,
        high: &Key,
        visited: i64,
        rows: i64,
        started: Instant,
    ) -> Result<(), Halt> {
        let worked_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (run, place) = (self.run, walk.place);
        match cursor {
            Cursor::Step => {
                let next = i64::try_from(walk.pace.rows()).unwrap_or(i64::MAX);
                let params: [&(dyn ToSql + Sync); 7] =
                    [&run, &place, high, &visited, &rows, &worked_ms, &next];
                self.hand.execute(sql::journal::ADVANCE, &params).await?;
            }
            Cursor::PutOff(number) => {
                self.hand.execute(sql::journal::ADVANCE_PUT_OFF, &[&number, high]).await?;
                let params: [&(dyn ToSql + Sync); 5] = [&run, &place, &visited, &rows, &worked_ms];
                self.hand.execute(sql::journal::COUNT_BATCH, &params).await?;
            }
        }
        Ok(())
    }

    /// Leaves a range for later, and goes on behind it: both or neither.
    async fn put_off(&mut self, step: &Step, walk: &mut Walk, range: &Range, high: &Key) -> Result<(), Halt> {
        self.for_journal().await?;
        self.hand.batch_execute("begin").await?;
        self.fence().await?;
        let (run, place) = (self.run, walk.place);
        self.hand.execute(sql::journal::PUT_OFF, &[&run, &place, &range.low, high]).await?;
        self.hand.execute(sql::journal::SKIP_TO, &[&run, &place, high]).await?;
        self.fault("put-off-before-commit")?;
        self.hand.batch_execute("commit").await?;
        walk.put_off_in_a_row += 1;
        let event = Event::PutOff { step: step.id.clone(), behind: range.low.clone(), up_to: high.clone() };
        self.emit(event);
        Ok(())
    }
}

/// Pages instead of keys: from the one where the range begins, as many as hold the rows of a batch.
fn next_page(walk: &Walk, range: &Range) -> Option<(Key, i64)> {
    let page = |key: &Option<Key>| key.as_ref()?.first()?.parse::<i64>().ok();
    let (low, end) = (page(&range.low)?, page(&range.high)?);
    if low >= end {
        return None;
    }
    let pages = (walk.pace.rows() as f64 / walk.rows_per_page.max(1.0)).max(1.0) as i64;
    let high = (low + pages).min(end);
    Some((vec![high.to_string()], ((high - low) as f64 * walk.rows_per_page) as i64))
}

impl Walk {
    fn count(&mut self, visited: i64, rows: i64) {
        self.visited += visited;
        self.rows += rows;
        self.batches += 1;
    }

    fn progress(&self, step: &Step, worked: Duration) -> Progress {
        Progress {
            step: step.id.clone(),
            visited: self.visited,
            total: self.total,
            rows: self.rows,
            batches: self.batches,
            batch_rows: self.pace.rows(),
            batch_ms: u64::try_from(worked.as_millis()).unwrap_or(u64::MAX),
            rows_per_s: self.pace.rows_per_s(),
            eta_s: self.pace.eta_s(self.visited, self.total),
        }
    }
}
