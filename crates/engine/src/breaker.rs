//! The circuit breaker of one endpoint: stops calls to what keeps failing, and tries a few before it lets all in.
//!
//! Not for: deciding what a failure is (see `failure`), or when a refused message comes back (see `guard`).

use posthaste_base::{Code, Error};
use serde::{Deserialize, Serialize};

/// The most trial calls that can be configured; their places are an array, so that a call allocates nothing.
pub const TRIALS_MAX: u32 = 16;

/// How long a refused caller waits while all trial places are taken.
const TRIALS_TAKEN_WAIT_MS: i64 = 1_000;
const BUCKETS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Opens when this share of the window's calls failed...
    pub failure_percent: u32,
    /// ...and there were at least this many.
    pub calls_min: u32,
    pub window_ms: u32,
    /// Opens after this many failures in a row, however few calls there were.
    pub failures_in_row: u32,
    pub open_ms: u32,
    /// Calls that are let through to try, and that must succeed before it closes.
    pub trials: u32,
    /// A trial that has not reported back for this long has lost its place. Longer than any attempt may take.
    pub trial_timeout_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failure_percent: 50,
            calls_min: 5,
            window_ms: 10_000,
            failures_in_row: 5,
            open_ms: 30_000,
            trials: 3,
            trial_timeout_ms: 60_000,
        }
    }
}

impl Settings {
    /// Refuses values under which a breaker would never open, or never close again.
    pub fn validate(&self) -> Result<(), Error> {
        let limits = [
            ("failure_percent", self.failure_percent, 1, 100),
            ("calls_min", self.calls_min, 1, 1_000_000),
            ("window_ms", self.window_ms, 100, 3_600_000),
            ("failures_in_row", self.failures_in_row, 1, 1_000_000),
            ("open_ms", self.open_ms, 1, 900_000),
            ("trials", self.trials, 1, TRIALS_MAX),
            ("trial_timeout_ms", self.trial_timeout_ms, 1, 3_600_000),
        ];
        for (name, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return Err(Error::new(Code::InvalidConfig, format!("{value} is out of range"))
                    .field(format!("breaker.{name}"))
                    .expected(format!("a number from {least} to {most}")));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    #[default]
    Closed,
    Open {
        until_ms: i64,
        opened_at_ms: i64,
        trips: u64,
    },
    HalfOpen,
}

/// What the nodes tell each other through the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    #[serde(flatten)]
    pub state: State,
    /// When the state began, by the database's clock: the newer of two states holds.
    pub changed_at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// Let through to see whether the endpoint is well again; its result must say that it was a trial.
    Trial,
    Refuse {
        until_ms: i64,
    },
}

/// A change worth a log line and a metric, and worth telling the other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    Opened { until_ms: i64, trips: u64 },
    Closed,
}

/// Plain data: it can be stored and read back at any point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    settings: Settings,
    state: State,
    changed_at_ms: i64,
    trips: u64,
    failures_in_row: u32,
    window: Window,
    trials: Trials,
}

impl Breaker {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed,
            changed_at_ms: i64::MIN,
            trips: 0,
            failures_in_row: 0,
            window: Window::default(),
            trials: Trials::default(),
        }
    }

    /// What a call would be told, without taking a trial's place.
    pub fn peek(&self, now_ms: i64) -> Decision {
        match self.state {
            State::Closed => Decision::Allow,
            State::Open { until_ms, .. } if now_ms < self.reopening(until_ms, now_ms) => {
                Decision::Refuse { until_ms: self.reopening(until_ms, now_ms) }
            }
            // The successes of an earlier half-open time do not count for the next one.
            State::Open { .. } => self.trial_or_wait(0, now_ms),
            State::HalfOpen => self.trial_or_wait(self.trials.successes, now_ms),
        }
    }

    /// Asks for one call. A `Trial` takes a place until its result comes or its time runs out.
    pub fn on_call(&mut self, now_ms: i64) -> Decision {
        let decision = self.peek(now_ms);
        if let State::Open { until_ms, .. } = self.state {
            if now_ms < self.reopening(until_ms, now_ms) {
                self.clamp_open(now_ms);
                return decision;
            }
            self.state = State::HalfOpen;
            self.changed_at_ms = now_ms;
            self.trials.successes = 0;
        }
        if decision == Decision::Trial {
            self.trials.take(now_ms, &self.settings);
        }
        decision
    }

    /// Takes in how a call went.
    pub fn on_result(&mut self, now_ms: i64, ok: bool, was_trial: bool) -> Option<Transition> {
        if was_trial {
            self.trials.free(now_ms, &self.settings);
        }
        match (self.state, was_trial) {
            (State::Closed, _) => self.on_closed_result(now_ms, ok),
            (State::HalfOpen, true) if !ok => Some(self.open(now_ms)),
            (State::HalfOpen, true) => {
                self.trials.successes += 1;
                if self.trials.successes < self.settings.trials {
                    return None;
                }
                self.close(now_ms);
                Some(Transition::Closed)
            }
            // A call that began before it opened says nothing about now.
            (State::HalfOpen, false) | (State::Open { .. }, _) => None,
        }
    }

    /// Gives a trial's place back without a verdict: the call was given up before it was made.
    pub fn on_abandoned(&mut self, now_ms: i64, was_trial: bool) {
        if was_trial {
            self.trials.free(now_ms, &self.settings);
        }
    }

    /// Takes over what another node wrote, if it is newer than what this one knows. A half-open state is not
    /// taken over: the node that is trying will write what came of it.
    pub fn adopt(&mut self, shared: &Shared, now_ms: i64) -> Option<Transition> {
        if let State::Open { trips, .. } = shared.state {
            self.trips = self.trips.max(trips);
        }
        if shared.changed_at_ms <= self.changed_at_ms {
            return None;
        }
        match (shared.state, self.state) {
            (State::Open { until_ms, opened_at_ms, .. }, before) => {
                self.state = State::Open { until_ms, opened_at_ms, trips: self.trips };
                self.changed_at_ms = shared.changed_at_ms;
                self.clamp_open(now_ms);
                let was_open = matches!(before, State::Open { .. });
                (!was_open).then_some(Transition::Opened { until_ms, trips: self.trips })
            }
            (State::Closed, State::Open { .. } | State::HalfOpen) => {
                self.close(shared.changed_at_ms);
                Some(Transition::Closed)
            }
            (State::Closed, State::Closed) | (State::HalfOpen, _) => None,
        }
    }

    /// What to write for the other nodes after a transition.
    pub fn shared(&self) -> Shared {
        Shared { state: self.state, changed_at_ms: self.changed_at_ms }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// How often it has opened.
    pub fn trips(&self) -> u64 {
        self.trips
    }

    /// Trial calls on their way.
    pub fn trials_in_flight(&self, now_ms: i64) -> u32 {
        self.trials.in_flight(now_ms, &self.settings)
    }

    /// Takes new settings; what was counted stays.
    pub fn configure(&mut self, settings: Settings) {
        if settings.window_ms != self.settings.window_ms {
            self.window = Window::default();
        }
        self.settings = settings;
    }

    fn trial_or_wait(&self, successes: u32, now_ms: i64) -> Decision {
        if self.trials.in_flight(now_ms, &self.settings) + successes < self.settings.trials {
            Decision::Trial
        } else {
            Decision::Refuse { until_ms: now_ms.saturating_add(TRIALS_TAKEN_WAIT_MS) }
        }
    }

    fn on_closed_result(&mut self, now_ms: i64, ok: bool) -> Option<Transition> {
        self.window.record(now_ms, ok, self.settings.window_ms);
        if ok {
            self.failures_in_row = 0;
            return None;
        }
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        let (calls, failures) = self.window.totals();
        let too_many = calls >= u64::from(self.settings.calls_min)
            && failures * 100 >= calls * u64::from(self.settings.failure_percent);
        (too_many || self.failures_in_row >= self.settings.failures_in_row).then(|| self.open(now_ms))
    }

    fn open(&mut self, now_ms: i64) -> Transition {
        self.trips += 1;
        let until_ms = now_ms.saturating_add(i64::from(self.settings.open_ms));
        self.state = State::Open { until_ms, opened_at_ms: now_ms, trips: self.trips };
        self.changed_at_ms = now_ms;
        self.forget_counts();
        Transition::Opened { until_ms, trips: self.trips }
    }

    fn close(&mut self, now_ms: i64) {
        self.state = State::Closed;
        self.changed_at_ms = now_ms;
        self.forget_counts();
    }

    /// The places of trials on their way are kept: only a result or their time frees them.
    fn forget_counts(&mut self) {
        self.failures_in_row = 0;
        self.window = Window::default();
        self.trials.successes = 0;
    }

    /// No opening lasts longer than the setting, whatever a clock that jumped back or another node says.
    fn reopening(&self, until_ms: i64, now_ms: i64) -> i64 {
        until_ms.min(now_ms.saturating_add(i64::from(self.settings.open_ms)))
    }

    /// Makes that limit stick, so that it does not move along with the time of each call.
    fn clamp_open(&mut self, now_ms: i64) {
        if let State::Open { until_ms, opened_at_ms, trips } = self.state {
            let until_ms = self.reopening(until_ms, now_ms);
            self.state = State::Open { until_ms, opened_at_ms, trips };
        }
    }
}

/// Calls and failures of the last while, in ten buckets: constant space, and old calls fall out in tenths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    buckets: [Bucket; BUCKETS],
    /// The number of the newest bucket since the epoch.
    newest: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket {
    calls: u32,
    failures: u32,
}

impl Window {
    fn record(&mut self, now_ms: i64, ok: bool, window_ms: u32) {
        let bucket_ms = i64::from(window_ms / BUCKETS as u32).max(1);
        let number = now_ms.div_euclid(bucket_ms);
        // A clock that went back a little keeps counting into the newest bucket; one that went back by more
        // than the window would keep old failures for as long, so it starts afresh.
        let steps = number.saturating_sub(self.newest);
        if steps <= -(BUCKETS as i64) || steps >= BUCKETS as i64 {
            self.buckets = Default::default();
            self.newest = number;
        }
        while self.newest < number {
            self.newest += 1;
            self.buckets[self.newest.rem_euclid(BUCKETS as i64) as usize] = Bucket::default();
        }
        let bucket = &mut self.buckets[self.newest.rem_euclid(BUCKETS as i64) as usize];
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failures = bucket.failures.saturating_add(u32::from(!ok));
    }

    fn totals(&self) -> (u64, u64) {
        self.buckets.iter().fold((0, 0), |(calls, failures), bucket| {
            (calls + u64::from(bucket.calls), failures + u64::from(bucket.failures))
        })
    }
}

/// The places of the trial calls on their way, by when they began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Trials {
    began_ms: [Option<i64>; TRIALS_MAX as usize],
    successes: u32,
}

impl Trials {
    fn in_flight(&self, now_ms: i64, settings: &Settings) -> u32 {
        self.began_ms.iter().flatten().filter(|began_ms| !is_lost(**began_ms, now_ms, settings)).count()
            as u32
    }

    fn take(&mut self, now_ms: i64, settings: &Settings) {
        let place = self.began_ms.iter_mut().find(|place| {
            let began_ms = **place;
            began_ms.is_none_or(|began_ms| is_lost(began_ms, now_ms, settings))
        });
        if let Some(place) = place {
            *place = Some(now_ms);
        }
    }

    /// Frees the place that was taken first, for all that matters is the number. Lost places go too: were one
    /// of them taken for the trial that reported, that trial's own place would stay.
    fn free(&mut self, now_ms: i64, settings: &Settings) {
        for place in &mut self.began_ms {
            if place.is_some_and(|began_ms| is_lost(began_ms, now_ms, settings)) {
                *place = None;
            }
        }
        if let Some(place) = self.began_ms.iter_mut().filter(|place| place.is_some()).min() {
            *place = None;
        }
    }
}

/// A place that began in the future belongs to a clock that has since jumped back.
fn is_lost(began_ms: i64, now_ms: i64, settings: &Settings) -> bool {
    let age_ms = now_ms.saturating_sub(began_ms);
    age_ms >= i64::from(settings.trial_timeout_ms) || age_ms <= -i64::from(settings.trial_timeout_ms)
}

#[cfg(test)]
mod tests;
