//! Steps that go over a table in batches: where they begin, ranges that were put off, and what is left in the end.
//!
//! Not for: a single batch (see `walk`).

use std::collections::BTreeMap;

use posthaste_base::catalog::Name;
use posthaste_base::{Code, Error};
use posthaste_report::{Batches, Step, StepState};

use crate::event::Event;
use crate::halt::Halt;
use crate::journal::StepRow;
use crate::key::{Ground, KeyColumn, Order};
use crate::locks::Tries;
use crate::pace::Pace;
use crate::sql;
use crate::walk::{Cursor, Key, Range, Walk};
use crate::work::{Work, millis};

/// From here on the server reads a range of pages by itself.
const HAS_PAGE_RANGES: u32 = 14;
/// For tables that were never analysed.
const ROWS_PER_PAGE: f64 = 50.0;

impl Work<'_> {
    pub(crate) async fn batches(&mut self, step: &Step, place: i32, batches: &Batches) -> Result<(), Halt> {
        let before = self.read_step(place).await?;
        self.begin_step(place).await?;
        let statements = batches.statements.clone();
        let mut walk = self.start_walk(step, place, batches, statements, batches.prove.clone()).await?;
        if before.state == StepState::Failed && before.rows_left.is_some_and(|left| left > 0) {
            // Somebody has removed what kept rows from being done: all are gone over once more.
            self.start_pass(step, &mut walk, 1).await?;
        }
        loop {
            let row = self.read_step(place).await?;
            let left_before = row.rows_left;
            self.walk_over(step, &mut walk, row.clone()).await?;
            let Some(left) = self.count_left(step, place, batches).await? else { break };
            if left == 0 {
                break;
            }
            self.emit(Event::Left { step: step.id.clone(), pass: row.pass, rows: left });
            let is_stuck = left_before.is_some_and(|before| left >= before);
            if is_stuck || row.pass >= i32::try_from(self.options.pace.passes_max).unwrap_or(i32::MAX) {
                return Err(still_left(step, row.pass, left).into());
            }
            self.start_pass(step, &mut walk, row.pass + 1).await?;
        }
        let (run, worked_ms, rows) = (self.run, 0_i64, 0_i64);
        self.write(sql::journal::FINISH_STEP, &[&run, &place, &worked_ms, &rows]).await
    }

    /// An undo statement that goes by batches.
    pub(crate) async fn undo_batches(
        &mut self,
        step: &Step,
        place: i32,
        batches: &Batches,
        statement: &str,
        count: i32,
    ) -> Result<(), Halt> {
        let statements = vec![statement.to_owned()];
        let mut walk = self.start_walk(step, place, batches, statements, None).await?;
        let row = self.read_step(place).await?;
        self.walk_over(step, &mut walk, row).await?;
        let run = self.run;
        self.write(sql::journal::COUNT_UNDONE, &[&run, &place, &count]).await
    }

    /// From where the journal says, to the end; then what was put off.
    async fn walk_over(&mut self, step: &Step, walk: &mut Walk, mut row: StepRow) -> Result<(), Halt> {
        if row.position.is_none() {
            row.until = self.start_pass(step, walk, row.pass).await?;
            row.position = row.until.as_ref().map(|_| vec!["0".to_owned()]);
        }
        self.walk(step, walk, Range { low: row.position, high: row.until }, Cursor::Step).await?;
        let (run, place) = (self.run, walk.place);
        loop {
            self.for_journal().await?;
            let Some(next) = self.hand.query_opt(sql::journal::NEXT_PUT_OFF, &[&run, &place]).await? else {
                return Ok(());
            };
            let number: i64 = next.try_get("number")?;
            let range = Range { low: next.try_get("low")?, high: next.try_get("high")? };
            self.walk(step, walk, range, Cursor::PutOff(number)).await?;
            self.write(sql::journal::DROP_PUT_OFF, &[&number]).await?;
        }
    }

    async fn start_walk(
        &mut self,
        step: &Step,
        place: i32,
        batches: &Batches,
        statements: Vec<String>,
        prove: Option<String>,
    ) -> Result<Walk, Halt> {
        self.for_journal().await?;
        let row = self.read_step(place).await?;
        let table = Name::new(&batches.schema, &batches.table);
        let facts = self.hand.query_opt(sql::table::FACTS, &[&table.schema, &table.name]).await?;
        let Some(facts) = facts else {
            return Err(of_plan(step, format!("there is no table {}", table.quoted())).into());
        };
        let (kind, has_children): (String, bool) = (facts.try_get("kind")?, facts.try_get("has_children")?);
        let table_oid: u32 = facts.try_get("oid")?;
        let order = if batches.key.is_empty() {
            if kind != "r" || has_children {
                let message =
                    format!("{} has no pages of its own: name its partitions, or a key", table.quoted());
                return Err(of_plan(step, message).into());
            }
            let has_ranges = self.hand.major() >= HAS_PAGE_RANGES;
            Order::Pages { has_ranges, block_bytes: facts.try_get("block_bytes")? }
        } else {
            Order::Key(self.key_columns(step, table_oid, &batches.key).await?)
        };
        let rows_first = row.batch_rows.map_or(u64::from(batches.rows), i64::unsigned_abs);
        let alias = batches.alias.clone().unwrap_or_else(|| batches.table.clone());
        Ok(Walk {
            place,
            ground: Ground { table, alias, order },
            table_oid,
            statements,
            prove,
            pace: Pace::new(rows_first, self.options.pace),
            rows_per_page: facts.try_get::<_, Option<f64>>("rows_per_page")?.unwrap_or(ROWS_PER_PAGE),
            visited: row.visited,
            rows: row.rows,
            batches: row.batches,
            total: facts.try_get("rows")?,
            put_off_in_a_row: 0,
            prepared: BTreeMap::new(),
        })
    }

    async fn key_columns(
        &mut self,
        step: &Step,
        table_oid: u32,
        key: &[String],
    ) -> Result<Vec<KeyColumn>, Halt> {
        let rows = self.hand.query(sql::table::KEY, &[&table_oid, &key]).await?;
        let (mut columns, mut numbers) = (Vec::new(), Vec::new());
        for row in &rows {
            let name: String = row.try_get("name")?;
            let Some(number) = row.try_get::<_, Option<i16>>("attnum")? else {
                return Err(of_plan(step, format!("the key's column `{name}` does not exist")).into());
            };
            if !row.try_get::<_, bool>("is_not_null")? {
                let message = format!("the key's column `{name}` may be NULL, and such rows would be missed");
                return Err(of_plan(step, message).into());
            }
            columns.push(KeyColumn { name, type_name: row.try_get("type_name")? });
            numbers.push(number);
        }
        let has_order = self.hand.query_one(sql::table::HAS_ORDER, &[&table_oid, &numbers]).await?;
        if !has_order.try_get::<_, bool>(0)? {
            let message = format!("no index gives the rows in the order of {}", key.join(", "));
            return Err(of_plan(step, message).into());
        }
        Ok(columns)
    }

    /// Begins a pass at the start of the table. Answers the page at which it ends, where it goes by pages: rows that
    /// move behind the end while it runs are those that it has changed already.
    async fn start_pass(&mut self, step: &Step, walk: &mut Walk, pass: i32) -> Result<Option<Key>, Halt> {
        let until = match walk.ground.order {
            Order::Key(_) => None,
            Order::Pages { .. } => Some(vec![self.pages(step, walk.table_oid).await?.to_string()]),
        };
        let (run, place, total) = (self.run, walk.place, walk.total);
        self.write(sql::journal::START_PASS, &[&run, &place, &pass, &until, &total]).await?;
        walk.visited = 0;
        Ok(until)
    }

    /// Asking for the size takes a lock on the table.
    async fn pages(&mut self, step: &Step, table_oid: u32) -> Result<i64, Halt> {
        let mut tries = Tries::new(self.options.locks);
        loop {
            self.set_timeouts(millis(tries.timeout()), millis(self.options.brief)).await?;
            match self.hand.query_one(sql::table::PAGES, &[&table_oid]).await {
                Ok(row) => return Ok(row.try_get(0)?),
                Err(error) if error.is_retryable() => self.after_lock_timeout(step, &mut tries, &[]).await?,
                Err(error) => return Err(Halt::from(error).of_step(step)),
            }
        }
    }

    async fn count_left(&mut self, step: &Step, place: i32, batches: &Batches) -> Result<Option<i64>, Halt> {
        let Some(query) = &batches.left else { return Ok(None) };
        let answer = self.ask_patiently(step, query).await?;
        let Some(left) = answer.as_deref().and_then(|text| text.parse::<i64>().ok()) else {
            let answer = answer.unwrap_or_else(|| "nothing".to_owned());
            return Err(of_plan(step, format!("`left` answered {answer}"))
                .expected("a number of rows")
                .into());
        };
        let run = self.run;
        self.write(sql::journal::SET_LEFT, &[&run, &place, &left]).await?;
        Ok(Some(left))
    }
}

fn of_plan(step: &Step, message: String) -> Error {
    Error::new(Code::StepFailed, format!("step `{}` cannot go over its table: {message}", step.id))
        .hint("abort the run, correct the plan, and run it again")
}

fn still_left(step: &Step, pass: i32, left: i64) -> Error {
    let message = format!("{left} rows of step `{}` are left after {pass} passes over the table", step.id);
    Error::new(Code::StepFailed, message).hint(
        "see with the step's `left` query which rows these are; `posthaste runs resume` tries once more",
    )
}
