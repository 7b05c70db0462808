//! A run under way: its two sessions, who it is, and what it hears from others.
//!
//! The hand carries out statements, one after the other. The keeper holds the lock that keeps other runners out,
//! gives signs of life, and looks at what the hand cannot see while it waits. Not for: what steps do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_pg::{self as pg, Target, Visit, VisitOptions, driver::Json};
use posthaste_report::{Blocker, Effect, Plan, RunState, Runner, Step};

use crate::event::Event;
use crate::halt::{Asked, Halt};
use crate::options::RunOptions;
use crate::sql;
use crate::thresholds::Thresholds;
use crate::watch::{Seen, Watch};

pub(crate) struct Work<'w> {
    pub target: Target,
    pub options: RunOptions,
    pub observer: &'w mut (dyn FnMut(Event) + Send),
    pub hand: Visit,
    pub keeper: Visit,
    /// None where a role was set that may not even see itself.
    pub hand_start: Option<Timestamp>,
    pub plan: Plan,
    pub run: i64,
    pub epoch: i64,
    pub speed_percent: i32,
    pub batch_ms: Option<i32>,
    pub is_going_back: bool,
    /// Phases whose gates were open, by their place.
    pub passed: BTreeSet<usize>,
    /// Of the phase under way.
    pub thresholds: Thresholds,
    /// What was said to be hidden from us.
    pub unread: BTreeSet<String>,
    heard_at: Option<Instant>,
    throttled_at: Option<Instant>,
    timeouts: (u32, u32),
}

/// What the journal's own statements may take.
const JOURNAL_LOCK_MS: u32 = 5_000;
const JOURNAL_STATEMENT_MS: u32 = 15_000;

impl<'w> Work<'w> {
    /// Connects, and keeps other runners out. Nothing is written.
    pub(crate) async fn open(
        target: &Target,
        options: RunOptions,
        observer: &'w mut (dyn FnMut(Event) + Send),
    ) -> Result<Self, Error> {
        let (hand, keeper) = connect(target).await?;
        lock_out_patiently(&keeper).await?;
        let hand_start = start_of(&keeper, hand.backend_pid()).await?;
        Ok(Self {
            target: target.clone(),
            options,
            observer,
            hand,
            keeper,
            hand_start,
            plan: Plan {
                version: Plan::VERSION,
                title: String::new(),
                kind: String::new(),
                database: String::new(),
                fingerprint: None,
                notes: Vec::new(),
                gates: Vec::new(),
                phases: Vec::new(),
            },
            run: 0,
            epoch: 0,
            speed_percent: 100,
            batch_ms: None,
            is_going_back: false,
            passed: BTreeSet::new(),
            thresholds: Thresholds::default(),
            unread: BTreeSet::new(),
            heard_at: None,
            throttled_at: None,
            timeouts: (0, 0),
        })
    }

    pub(crate) fn emit(&mut self, event: Event) {
        (self.observer)(event);
    }

    pub(crate) fn say_unread(&mut self, what: &str, why: &str) {
        if self.unread.insert(what.to_owned()) {
            self.emit(Event::Unread { what: what.to_owned(), why: why.to_owned() });
        }
    }

    /// A point at which a test may let the process die.
    pub(crate) fn fault(&self, point: &str) -> Result<(), Halt> {
        match &self.options.fault {
            Some(fault) if fault(point) => Err(Halt::Killed),
            _ => Ok(()),
        }
    }

    pub(crate) fn own_pids(&self) -> Vec<i32> {
        vec![self.hand.backend_pid(), self.keeper.backend_pid()]
    }

    /// For statements of the journal, which are short and wait for nobody but a former self.
    pub(crate) async fn for_journal(&mut self) -> Result<(), Halt> {
        self.set_timeouts(JOURNAL_LOCK_MS, JOURNAL_STATEMENT_MS).await
    }

    pub(crate) async fn set_timeouts(&mut self, lock_ms: u32, statement_ms: u32) -> Result<(), Halt> {
        if self.timeouts != (lock_ms, statement_ms) {
            self.hand.set_timeouts(lock_ms, statement_ms).await?;
            self.timeouts = (lock_ms, statement_ms);
        }
        Ok(())
    }

    /// How long a statement of that step may take, in milliseconds.
    pub(crate) fn statement_ms(&self, step: &Step) -> u32 {
        // What takes a step back may look at every row, whatever the step itself did.
        let is_brief = step.effect == Effect::None && !self.is_going_back;
        millis(if is_brief { self.options.brief } else { self.options.long })
    }

    /// A look at the server while the hand works on that step.
    pub(crate) fn watched<'s>(
        &'s mut self,
        step: &'s Step,
        first: Duration,
        is_index: bool,
    ) -> (&'s Visit, Watch<'s>) {
        let watch = Watch {
            keeper: &self.keeper,
            observer: &mut *self.observer,
            run: self.run,
            step: &step.id,
            hand_pid: self.hand.backend_pid(),
            canceller: self.hand.canceller(),
            first,
            every: self.options.look_every,
            may_end: !self.is_going_back,
            is_index,
            stop: self.options.stop.clone(),
            seen: Seen::default(),
        };
        (&self.hand, watch)
    }

    /// Gives a sign of life and does what others wish: waits while they want a pause, stops, or turns back.
    pub(crate) async fn listen(&mut self) -> Result<(), Halt> {
        self.stop_if_asked()?;
        if self.heard_at.is_some_and(|at| at.elapsed() < self.options.look_every) {
            return Ok(());
        }
        self.listen_now().await
    }

    pub(crate) async fn listen_now(&mut self) -> Result<(), Halt> {
        let mut is_paused = false;
        loop {
            let wish = self.hear().await?;
            self.heard_at = Some(Instant::now());
            match wish.as_str() {
                "abort" if !self.is_going_back => return Err(Halt::Asked(Asked::Abort)),
                "pause" => {
                    if !is_paused {
                        self.set_state(RunState::Paused, None).await?;
                        self.emit(Event::Paused);
                        is_paused = true;
                    }
                    tokio::time::sleep(self.options.look_every).await;
                    self.stop_if_asked()?;
                }
                _ => break,
            }
        }
        if is_paused {
            let state = if self.is_going_back { RunState::Aborting } else { RunState::Running };
            self.set_state(state, None).await?;
            self.emit(Event::Continued);
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<String, Halt> {
        let pid = self.keeper.backend_pid();
        let Some(row) = self.keeper.query_opt(sql::session::BEAT, &[&self.run, &pid]).await? else {
            return Ok("run".to_owned());
        };
        let (percent, batch_ms) = (row.try_get("speed_percent")?, row.try_get("batch_ms")?);
        if (percent, batch_ms) != (self.speed_percent, self.batch_ms) {
            (self.speed_percent, self.batch_ms) = (percent, batch_ms);
            self.emit(Event::Speed { percent, batch_ms });
        }
        Ok(row.try_get("wish")?)
    }

    fn stop_if_asked(&self) -> Result<(), Halt> {
        match &self.options.stop {
            Some(stop) if *stop.borrow() => Err(Halt::Asked(Asked::Stop)),
            _ => Ok(()),
        }
    }

    /// A pause in which wishes are heard.
    pub(crate) async fn sleep(&mut self, pause: Duration) -> Result<(), Halt> {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(self.options.look_every)).await;
            if left <= self.options.look_every {
                return self.stop_if_asked();
            }
            self.listen().await?;
        }
    }

    /// Whether the signals that throttle are to be read again.
    pub(crate) fn is_time_to_throttle(&mut self) -> bool {
        let is_time = self.throttled_at.is_none_or(|at| at.elapsed() >= self.options.look_every);
        if is_time {
            self.throttled_at = Some(Instant::now());
        }
        is_time
    }

    pub(crate) async fn set_state(&mut self, state: RunState, error: Option<&str>) -> Result<(), Halt> {
        self.for_journal().await?;
        let text = state.as_str();
        let changed =
            self.hand.execute(sql::journal::SET_STATE, &[&self.run, &self.epoch, &text, &error]).await?;
        if changed == 0 { Err(self.taken_over().into()) } else { Ok(()) }
    }

    pub(crate) async fn note(
        &mut self,
        kind: &str,
        step: Option<&str>,
        text: &str,
        sessions: &[Blocker],
    ) -> Result<(), Halt> {
        let sessions = Json(sessions);
        self.keeper.execute(sql::journal::NOTE, &[&self.run, &kind, &step, &text, &sessions]).await?;
        Ok(())
    }

    /// Makes what follows in this transaction ours alone: whoever takes the run over waits for its end.
    pub(crate) async fn fence(&self) -> Result<(), Halt> {
        match self.hand.query_opt(sql::journal::FENCE, &[&self.run, &self.epoch]).await? {
            Some(_) => Ok(()),
            None => Err(self.taken_over().into()),
        }
    }

    fn taken_over(&self) -> Error {
        let message = format!("another runner has taken run {} over", self.run);
        Error::new(Code::RunnerBusy, message)
    }

    /// Takes the run over from whoever had it, with the epoch under which it was read.
    pub(crate) async fn take(&mut self, state: RunState) -> Result<(), Halt> {
        self.end_former().await?;
        self.for_journal().await?;
        let text = state.as_str();
        let row = self.hand.query_opt(sql::journal::TAKE, &[&self.run, &self.epoch, &text]).await?;
        self.epoch = row.ok_or_else(|| self.taken_over())?.try_get(0)?;
        self.hold().await
    }

    /// Writes down that it is us.
    pub(crate) async fn hold(&mut self) -> Result<(), Halt> {
        let process = i32::try_from(std::process::id()).unwrap_or_default();
        let (keeper, hand) = (self.keeper.backend_pid(), self.hand.backend_pid());
        let host = host();
        self.keeper
            .execute(sql::session::HOLD, &[&self.run, &keeper, &hand, &self.hand_start, &host, &process])
            .await?;
        Ok(())
    }

    pub(crate) async fn let_go(&mut self) -> Result<(), Halt> {
        self.keeper.execute(sql::session::LET_GO, &[&self.keeper.backend_pid()]).await?;
        self.keeper.query_one(sql::session::UNLOCK, &[]).await?;
        Ok(())
    }

    /// A runner that was killed leaves a session that may still work. It is ours by the journal: its process id and
    /// since when it is there.
    async fn end_former(&mut self) -> Result<(), Halt> {
        let Some(row) = self.keeper.query_opt(sql::session::HOLDER, &[]).await? else { return Ok(()) };
        let (pid, start): (i32, Option<Timestamp>) = (row.try_get("hand_pid")?, row.try_get("hand_start")?);
        let Some(start) = start.filter(|_| pid != self.hand.backend_pid()) else { return Ok(()) };
        for _ in 0..100 {
            if !self.keeper.query_one(sql::session::IS_THERE, &[&pid, &start]).await?.try_get::<_, bool>(0)? {
                return Ok(());
            }
            self.keeper.query(sql::session::TERMINATE, &[&pid, &start]).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let message = format!("the session of the runner before (pid {pid}) does not end");
        Err(Error::new(Code::RunnerBusy, message)
            .hint("see what it does in pg_stat_activity, and end it")
            .into())
    }

    /// After a loss: the same run on new sessions, as soon as the server is there again.
    pub(crate) async fn reconnect(&mut self, why: &Halt) -> Result<(), Error> {
        let text = match why {
            Halt::Database(error) => error.to_string(),
            _ => String::new(),
        };
        self.emit(Event::ConnectionLost { why: text });
        let until = Instant::now() + self.options.reconnect;
        let mut pause = Duration::from_millis(100);
        loop {
            let error = match self.connect_again().await {
                Ok(()) => break,
                Err(halt) => halt.into_error(self.run),
            };
            let may_pass = matches!(
                error.code(),
                Code::DatabaseUnreachable
                    | Code::Unavailable
                    | Code::Timeout
                    | Code::DatabaseReadOnly
                    | Code::RunnerBusy
            );
            if !may_pass || Instant::now() + pause > until {
                return Err(error);
            }
            if self.stop_if_asked().is_err() {
                return Err(Halt::Asked(Asked::Stop).into_error(self.run));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        self.emit(Event::Reconnected);
        Ok(())
    }

    async fn connect_again(&mut self) -> Result<(), Halt> {
        // Where only the hand was lost, the keeper would keep ourselves out.
        let _ = self.keeper.query_one(sql::session::UNLOCK, &[]).await;
        let (hand, keeper) = connect(&self.target).await?;
        if hand.is_replica() {
            let message = "the server that answers now is a replica";
            return Err(Error::new(Code::DatabaseReadOnly, message).into());
        }
        if !lock_out(&keeper).await? {
            return Err(busy(&keeper).await.into());
        }
        self.hand_start = start_of(&keeper, hand.backend_pid()).await?;
        (self.hand, self.keeper, self.timeouts, self.heard_at) = (hand, keeper, (0, 0), None);
        let state = if self.is_going_back { RunState::Aborting } else { RunState::Running };
        self.take(state).await
    }
}

pub(crate) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}

async fn connect(target: &Target) -> Result<(Visit, Visit), pg::Error> {
    let hand = VisitOptions {
        application_name: "posthaste run".into(),
        idle_in_transaction_timeout_ms: 60_000,
        ..VisitOptions::default()
    };
    let keeper =
        VisitOptions { lock_timeout_ms: JOURNAL_LOCK_MS, ..VisitOptions::named("posthaste run (keeper)") };
    let hand = Visit::connect(target, hand).await?;
    let keeper = Visit::connect(target, keeper).await?;
    hand.query_one(sql::session::SETTLE, &[]).await?;
    Ok((hand, keeper))
}

async fn lock_out(keeper: &Visit) -> Result<bool, pg::Error> {
    Ok(keeper.query_one(sql::session::LOCK_OUT, &[]).await?.try_get(0)?)
}

/// A runner that was killed a moment ago may still have its session at the server, which notices late when it is busy.
async fn lock_out_patiently(keeper: &Visit) -> Result<(), Error> {
    for _ in 0..100 {
        if lock_out(keeper).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(busy(keeper).await)
}

async fn start_of(keeper: &Visit, pid: i32) -> Result<Option<Timestamp>, pg::Error> {
    Ok(keeper.query_one(sql::session::IDENTITY, &[&pid]).await?.try_get(0)?)
}

/// Says who it is that works on this database.
async fn busy(keeper: &Visit) -> Error {
    let who = match holder(keeper).await {
        Ok(Some((run, title, runner))) => format!(
            "run {run} ({title}) is carried out by process {} on {} (pid {} at the server) since {:.0}",
            runner.process_id, runner.host, runner.backend_pid, runner.since
        ),
        _ => "another runner has just begun".to_owned(),
    };
    Error::new(Code::RunnerBusy, who)
}

/// Who carries out which run, or did last.
pub(crate) async fn holder(keeper: &Visit) -> Result<Option<(i64, String, Runner)>, pg::Error> {
    if !keeper.query_one(sql::ground::EXISTS, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let Some(row) = keeper.query_opt(sql::session::HOLDER, &[]).await? else { return Ok(None) };
    let runner = Runner {
        backend_pid: row.try_get("hand_pid")?,
        host: row.try_get("host")?,
        process_id: row.try_get("process_id")?,
        since: row.try_get("since")?,
        heartbeat_at: row.try_get("heartbeat_at")?,
    };
    Ok(Some((row.try_get("run_id")?, row.try_get("title")?, runner)))
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    match name.trim() {
        "" => "this host".to_owned(),
        name => name.to_owned(),
    }
}
