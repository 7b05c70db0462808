//! Patience with locks: short timeouts that grow, pauses with full jitter, and who is in the way.
//!
//! Not for: taking locks. There is always a timeout, and always an end.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_pg::{Visit, driver::Row};
use posthaste_report::{Blocker, Lock, LockMode, Locked, Step};

use crate::event::Event;
use crate::halt::Halt;
use crate::options::LockBudget;
use crate::sql;
use crate::work::Work;

const TIMEOUT_GROWTH: f64 = 1.3;
const PAUSE_GROWTH: f64 = 1.5;
/// A transaction that is open for longer will not end within a lock timeout; queueing behind it only blocks others.
const LONG_MS: i64 = 1_000;

/// The tries of one thing that needs locks.
pub(crate) struct Tries {
    budget: LockBudget,
    started: Instant,
    pub(crate) attempt: u32,
    timeout: Duration,
    pause: Duration,
    /// Since when each session is in the way, and whether it was cancelled already.
    seen: BTreeMap<(i32, Timestamp), (Instant, bool)>,
    /// Who was said to be in the way last.
    said: Vec<i32>,
}

impl Tries {
    pub(crate) fn new(budget: LockBudget) -> Self {
        Self {
            budget,
            started: Instant::now(),
            attempt: 0,
            timeout: budget.timeout_first,
            pause: budget.pause_first,
            seen: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// One more try has failed. The pause before the next one is at least as long as others may have waited for us;
    /// none when all tries together took as long as they may.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        self.attempt += 1;
        let pause = self.timeout + self.pause.mul_f64(chance());
        let left = self.budget.total.checked_sub(self.started.elapsed())?;
        self.timeout = self.timeout.mul_f64(TIMEOUT_GROWTH).min(self.budget.timeout_max);
        self.pause = self.pause.mul_f64(PAUSE_GROWTH).min(self.budget.pause_max);
        (pause < left).then_some(pause)
    }

    fn is_news(&mut self, sessions: &[Blocker]) -> bool {
        let pids: Vec<i32> = sessions.iter().map(|session| session.pid).collect();
        let is_news = !pids.is_empty() && pids != self.said;
        self.said = pids;
        is_news
    }
}

/// From 0 to 1. Not worth a dependency: it only has to differ between runners and tries.
fn chance() -> f64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u8(0);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

impl Work<'_> {
    /// Waits, without queueing, while somebody who will stay long holds what the step needs.
    pub(crate) async fn wait_for_room(&mut self, step: &Step, tries: &mut Tries) -> Result<(), Halt> {
        loop {
            let timeout_ms = i64::try_from(tries.timeout.as_millis()).unwrap_or(i64::MAX);
            let mut sessions = self.in_the_way(&step.locks).await?;
            sessions.retain(|session| session.age_ms.is_some_and(|age| age >= timeout_ms.max(LONG_MS)));
            if sessions.is_empty() {
                return Ok(());
            }
            self.say_in_the_way(step, tries, &sessions, false).await?;
            self.end_blockers(step, tries, &sessions).await?;
            self.pause_or_give_up(step, tries, &sessions).await?;
        }
    }

    /// A try ended by its timeout: says who was in the way, ends them where that was asked for, and pauses.
    pub(crate) async fn after_lock_timeout(
        &mut self,
        step: &Step,
        tries: &mut Tries,
        sessions: &[Blocker],
    ) -> Result<(), Halt> {
        match self.wait_or_give_up(step, tries, sessions).await? {
            true => Ok(()),
            false => Err(give_up(step, sessions).into()),
        }
    }

    /// The same, but answers false when time is up.
    pub(crate) async fn wait_or_give_up(
        &mut self,
        step: &Step,
        tries: &mut Tries,
        sessions: &[Blocker],
    ) -> Result<bool, Halt> {
        let timeout_ms = u64::try_from(tries.timeout.as_millis()).unwrap_or(u64::MAX);
        if tries.is_news(sessions) {
            self.note("in-the-way", Some(&step.id), "a lock timeout ended a try", sessions).await?;
        }
        self.end_blockers(step, tries, sessions).await?;
        let Some(pause) = tries.failed() else { return Ok(false) };
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.emit(Event::LockTimeout { step: step.id.clone(), attempt: tries.attempt, timeout_ms, pause_ms });
        self.sleep(pause).await?;
        Ok(true)
    }

    pub(crate) async fn say_in_the_way(
        &mut self,
        step: &Step,
        tries: &mut Tries,
        sessions: &[Blocker],
        is_queued: bool,
    ) -> Result<(), Halt> {
        if !tries.is_news(sessions) {
            return Ok(());
        }
        self.emit(Event::InTheWay { step: step.id.clone(), is_queued, sessions: sessions.to_vec() });
        let text = if is_queued { "a lock was waited for" } else { "a lock was not queued for" };
        self.note("in-the-way", Some(&step.id), text, sessions).await
    }

    pub(crate) async fn pause_or_give_up(
        &mut self,
        step: &Step,
        tries: &mut Tries,
        sessions: &[Blocker],
    ) -> Result<(), Halt> {
        let Some(pause) = tries.failed() else { return Err(give_up(step, sessions).into()) };
        self.sleep(pause).await
    }

    /// Ends sessions that are in the way for longer than was allowed, if that was allowed at all.
    async fn end_blockers(
        &mut self,
        step: &Step,
        tries: &mut Tries,
        sessions: &[Blocker],
    ) -> Result<(), Halt> {
        let Some(after) = self.options.cancel_blockers_after else { return Ok(()) };
        for session in sessions {
            let Some(backend_start) = session.backend_start else { continue };
            let (since, was_cancelled) =
                tries.seen.entry((session.pid, backend_start)).or_insert_with(|| (Instant::now(), false));
            if since.elapsed() < after {
                continue;
            }
            let is_terminated = std::mem::replace(was_cancelled, true);
            let statement = if is_terminated { sql::session::TERMINATE } else { sql::session::CANCEL };
            let rows = self.keeper.query(statement, &[&session.pid, &backend_start]).await?;
            if rows.first().is_some_and(|row| row.try_get::<_, bool>(0).unwrap_or(false)) {
                let step = step.id.clone();
                self.emit(Event::SessionEnded { step, session: session.clone(), is_terminated });
                let text = if is_terminated { "terminated" } else { "cancelled" };
                self.note("session-ended", None, text, std::slice::from_ref(session)).await?;
            }
        }
        Ok(())
    }

    /// Who holds locks that conflict with these.
    pub(crate) async fn in_the_way(&self, locks: &[Lock]) -> Result<Vec<Blocker>, Halt> {
        let (mut schemas, mut names, mut modes) = (Vec::new(), Vec::new(), Vec::new());
        for lock in locks {
            let (Locked::Table(name) | Locked::Index(name)) = &lock.on;
            for mode in LockMode::ALL.into_iter().filter(|mode| mode.conflicts_with(lock.mode)) {
                schemas.push(lock.schema.clone());
                names.push(name.clone());
                modes.push(as_in_pg_locks(mode));
            }
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let ours = self.own_pids();
        let rows = self.keeper.query(sql::watch::IN_THE_WAY, &[&schemas, &names, &modes, &ours]).await?;
        rows.iter().map(|row| Ok(blocker(row)?)).collect()
    }
}

/// `AccessExclusiveLock` for ACCESS EXCLUSIVE.
fn as_in_pg_locks(mode: LockMode) -> String {
    let capital = |word: &str| format!("{}{}", &word[..1], word[1..].to_lowercase());
    mode.as_str().split(' ').map(capital).chain(["Lock".to_owned()]).collect()
}

pub(crate) async fn blocking(keeper: &Visit, pid: i32) -> Result<Vec<Blocker>, posthaste_pg::Error> {
    let rows = keeper.query(sql::watch::BLOCKING, &[&pid]).await?;
    rows.iter().map(blocker).collect()
}

pub(crate) fn blocker(row: &Row) -> Result<Blocker, posthaste_pg::Error> {
    Ok(Blocker {
        pid: row.try_get("pid")?,
        backend_start: row.try_get("backend_start")?,
        user: row.try_get("usename")?,
        application: row.try_get("application_name")?,
        state: row.try_get("state")?,
        age_ms: row.try_get("age_ms")?,
        query: row.try_get("query")?,
        holds: row.try_get("holds")?,
    })
}

pub(crate) fn give_up(step: &Step, sessions: &[Blocker]) -> Error {
    let who = match sessions {
        [] => String::new(),
        sessions => {
            let lines: Vec<String> = sessions.iter().take(3).map(ToString::to_string).collect();
            format!("; in the way: {}", lines.join(" | "))
        }
    };
    Error::new(Code::LocksHeld, format!("step `{}` did not get its locks in the time allowed{who}", step.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: LockBudget = LockBudget {
        timeout_first: Duration::from_millis(100),
        timeout_max: Duration::from_secs(3),
        timeout_harmless: Duration::from_secs(600),
        pause_first: Duration::from_millis(500),
        pause_max: Duration::from_secs(30),
        total: Duration::from_secs(2400),
    };

    #[test]
    fn timeouts_and_pauses_grow_to_their_bounds() {
        let mut tries = Tries::new(BUDGET);
        let mut timeouts = Vec::new();
        for _ in 0..41 {
            let timeout = tries.timeout();
            let pause = tries.failed().expect("time is left");
            assert!(pause >= timeout && pause <= timeout + BUDGET.pause_max, "{pause:?} after {timeout:?}");
            timeouts.push(timeout.as_millis());
        }
        assert_eq!(&timeouts[..3], [100, 130, 169]);
        assert_eq!(timeouts[40], 3_000);
    }

    #[test]
    fn the_last_try_has_a_timeout_like_all_others_and_then_it_ends() {
        let mut tries = Tries::new(LockBudget { total: Duration::ZERO, ..BUDGET });
        assert_eq!((tries.failed(), tries.attempt), (None, 1));
    }

    #[test]
    fn modes_are_written_as_the_server_writes_them() {
        for mode in LockMode::ALL {
            assert_eq!(LockMode::of_pg_locks(&as_in_pg_locks(mode)), Some(mode));
        }
        assert_eq!(as_in_pg_locks(LockMode::ShareRowExclusive), "ShareRowExclusiveLock");
    }
}
