//! Steps that the server takes only outside of a transaction: what was meant is written down before, and what is
//! there is looked at after a crash.
//!
//! The invalid leftover of a build that failed is found and dropped; one that a live session builds is not. Not
//! for: statements that may stand in a transaction.

use std::time::{Duration, Instant};

use posthaste_base::catalog::Name;
use posthaste_base::{Code, Error};
use posthaste_report::{Blocker, Step};
use posthaste_report::{LockMode, Locked, StepState};

use crate::event::Event;
use crate::halt::Halt;
use crate::journal::StepRow;
use crate::key::parse_name;
use crate::locks::{Tries, blocker};
use crate::work::{Work, millis};
use crate::{sql, statement};

/// There is no such thing (any more).
const UNDEFINED: [&str; 2] = ["42704", "42P01"];
/// What a build waits for is only worth saying when it is older.
const OLD_TRANSACTION_MS: f64 = 1_000.0;

struct IndexState {
    is_valid: bool,
    is_ours_to_drop: bool,
    is_being_built: bool,
    table_oid: u32,
}

impl Work<'_> {
    pub(crate) async fn alone(
        &mut self,
        step: &Step,
        place: i32,
        text: &str,
        index: Option<&str>,
    ) -> Result<(), Halt> {
        let row = self.read_step(place).await?;
        if row.state == StepState::Running
            && row.attempts > 0
            && self.was_done(step, &row, text, index).await?
        {
            return self.finish_alone(place, Duration::ZERO).await;
        }
        let worked = self.attempt_alone(step, Some(place), text, index).await?;
        self.finish_alone(place, worked).await
    }

    async fn finish_alone(&mut self, place: i32, worked: Duration) -> Result<(), Halt> {
        let (run, rows) = (self.run, 0_i64);
        let worked_ms = i64::try_from(worked.as_millis()).unwrap_or(i64::MAX);
        self.write(sql::journal::FINISH_STEP, &[&run, &place, &worked_ms, &rows]).await
    }

    /// Tries until it is done or time is up. What it builds is whole afterwards, or not there.
    pub(crate) async fn attempt_alone(
        &mut self,
        step: &Step,
        place: Option<i32>,
        text: &str,
        index: Option<&str>,
    ) -> Result<Duration, Halt> {
        let mut tries = Tries::new(self.options.locks);
        let is_harmless = statement::waits_harmlessly(text) && !blocks_others(step);
        loop {
            self.listen().await?;
            if is_harmless {
                self.say_old_transactions(step, &mut tries).await?;
            } else {
                self.wait_for_room(step, &mut tries).await?;
            }
            self.sweep(step, text, index).await?;
            if let Some(place) = place {
                self.begin_step(place).await?;
            }
            self.fault("alone-intended")?;
            let started = Instant::now();
            let timeout = if is_harmless { self.options.locks.timeout_harmless } else { tries.timeout() };
            self.set_timeouts(millis(timeout), millis(self.options.long)).await?;
            let first = (timeout / 2).min(self.options.look_every);
            let (hand, mut watch) = self.watched(step, first, index.is_some());
            let done = watch.over(hand.batch_execute(text)).await;
            let seen = watch.seen;
            let halt = match (done, seen.asked) {
                (Ok(()), _) => {
                    self.fault("alone-done")?;
                    return Ok(started.elapsed());
                }
                (Err(_), Some(asked)) => Halt::Asked(asked),
                (Err(error), None) => Halt::Database(error),
            };
            if halt.is_lost() {
                return Err(halt);
            }
            let is_drop = statement::first_word(text) == "drop";
            if is_drop && halt.sqlstate().is_some_and(|state| UNDEFINED.contains(&state)) {
                return Ok(started.elapsed());
            }
            self.sweep(step, text, index).await?;
            if !halt.is_contention() {
                return Err(halt.of_step(step));
            }
            self.after_lock_timeout(step, &mut tries, &seen.blockers).await?;
        }
    }

    /// After a crash in the middle: whether the statement has had its effect.
    pub(crate) async fn was_done(
        &mut self,
        step: &Step,
        row: &StepRow,
        text: &str,
        index: Option<&str>,
    ) -> Result<bool, Halt> {
        if let Some(query) = &step.done_if {
            return Ok(self.ask_patiently(step, query).await?.as_deref() == Some("t"));
        }
        if let (Some(index), "create") = (index, statement::first_word(text).as_str()) {
            let name = name_of(step, index)?;
            return Ok(self.index_state(&name).await?.is_some_and(|state| state.is_valid));
        }
        if statement::may_repeat(text) || statement::first_word(text) == "drop" {
            return Ok(false);
        }
        if let Some(was_done) = self.options.settled.get(&row.id) {
            return Ok(*was_done);
        }
        let message = format!("nobody knows whether step `{}` was done when its runner was killed", row.id);
        let hint = format!(
            "look, then `posthaste runs resume` with `--was-done {0}` or `--was-not-done {0}`; a plan that says \
             `done_if` needs no asking",
            row.id
        );
        Err(Error::new(Code::RunStopped, message).hint(hint).into())
    }

    /// Drops what a failed build has left, by its name, and of a REINDEX what it called by names of its own.
    pub(crate) async fn sweep(&mut self, step: &Step, text: &str, index: Option<&str>) -> Result<(), Halt> {
        self.for_journal().await?;
        match statement::first_word(text).as_str() {
            "create" => match index {
                Some(index) => self.drop_invalid(step, &name_of(step, index)?).await,
                None => Ok(()),
            },
            "reindex" => {
                let mut names = Vec::new();
                if let Some(index) = index {
                    names.push(name_of(step, index)?);
                }
                for lock in &step.locks {
                    let (Locked::Table(name) | Locked::Index(name)) = &lock.on;
                    names.push(Name::new(&lock.schema, name));
                }
                for name in names {
                    self.drop_reindexed(step, &name).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Drops an index that is there and invalid, once nobody builds it.
    pub(crate) async fn drop_invalid(&mut self, step: &Step, name: &Name) -> Result<(), Halt> {
        let mut tries = Tries::new(self.options.locks);
        loop {
            self.for_journal().await?;
            let Some(state) = self.index_state(name).await? else { return Ok(()) };
            if state.is_valid {
                return Ok(());
            }
            if !state.is_ours_to_drop {
                let message = format!(
                    "the index {} is there, invalid, and belongs to a constraint or a partitioned index",
                    name.quoted()
                );
                return Err(Error::new(Code::StepFailed, message).into());
            }
            let builders = self.builders(state.table_oid).await?;
            if !state.is_being_built && builders.is_empty() {
                return self.drop_index(step, name).await;
            }
            self.say_in_the_way(step, &mut tries, &builders, false).await?;
            self.pause_or_give_up(step, &mut tries, &builders).await?;
        }
    }

    async fn drop_reindexed(&mut self, step: &Step, of: &Name) -> Result<(), Halt> {
        let rows = self.hand.query(sql::table::REINDEX_LEFTOVERS, &[&of.schema, &of.name]).await?;
        for row in rows {
            if !row.try_get::<_, bool>("is_being_built")? {
                let name = Name::new(row.try_get::<_, String>("schema")?, row.try_get::<_, String>("name")?);
                self.drop_index(step, &name).await?;
            }
        }
        Ok(())
    }

    async fn drop_index(&mut self, step: &Step, name: &Name) -> Result<(), Halt> {
        let mut tries = Tries::new(self.options.locks);
        let text = sql::without_header(sql::table::DROP_INDEX).replace("{index}", &name.quoted());
        loop {
            let timeout = self.options.locks.timeout_harmless;
            self.set_timeouts(millis(timeout), millis(self.options.long)).await?;
            let first = (timeout / 2).min(self.options.look_every);
            let (hand, mut watch) = self.watched(step, first, false);
            // What was begun is cleaned up before anything that others wish.
            watch.may_end = false;
            let done = watch.over(hand.batch_execute(&text)).await;
            let blockers = watch.seen.blockers;
            match done.map_err(Halt::from) {
                Ok(()) => break,
                Err(halt) if halt.is_contention() => {
                    self.after_lock_timeout(step, &mut tries, &blockers).await?;
                }
                Err(halt) => return Err(halt.of_step(step)),
            }
        }
        self.emit(Event::LeftoverDropped { step: step.id.clone(), index: name.quoted() });
        self.note("leftover-dropped", Some(&step.id), &name.quoted(), &[]).await
    }

    async fn index_state(&mut self, name: &Name) -> Result<Option<IndexState>, Halt> {
        let Some(row) = self.hand.query_opt(sql::table::INDEX, &[&name.schema, &name.name]).await? else {
            return Ok(None);
        };
        let kind: String = row.try_get("kind")?;
        let (has_constraint, is_attached): (bool, bool) =
            (row.try_get("has_constraint")?, row.try_get("is_attached")?);
        Ok(Some(IndexState {
            is_valid: row.try_get("is_valid")?,
            is_ours_to_drop: kind == "i" && !has_constraint && !is_attached,
            is_being_built: row.try_get("is_being_built")?,
            table_oid: row.try_get("table_oid")?,
        }))
    }

    /// Others that hold the lock of a concurrent build on that table.
    async fn builders(&mut self, table_oid: u32) -> Result<Vec<Blocker>, Halt> {
        let ours = self.own_pids();
        let rows = self.hand.query(sql::table::BUILDERS, &[&table_oid, &ours]).await?;
        rows.iter().map(|row| Ok(blocker(row)?)).collect()
    }

    /// A concurrent build waits for every transaction that is older: worth saying before it begins.
    async fn say_old_transactions(&mut self, step: &Step, tries: &mut Tries) -> Result<(), Halt> {
        let ours = self.own_pids();
        let rows = self.keeper.query(sql::watch::OLD_TRANSACTIONS, &[&OLD_TRANSACTION_MS, &ours]).await?;
        let sessions = rows.iter().map(blocker).collect::<Result<Vec<_>, _>>()?;
        self.say_in_the_way(step, tries, &sessions, true).await
    }
}

/// Whether the plan says that it takes a lock for which reads or writes wait.
fn blocks_others(step: &Step) -> bool {
    step.locks.iter().any(|lock| lock.mode.conflicts_with(LockMode::RowExclusive))
}

fn name_of(step: &Step, text: &str) -> Result<Name, Error> {
    parse_name(text).ok_or_else(|| {
        let message = format!("step `{}` names its index `{text}`", step.id);
        Error::new(Code::InvalidFile, message).field("index").expected("`schema.name`")
    })
}
