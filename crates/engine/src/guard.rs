//! What stands between a queue and one endpoint: bulkhead, rate limit, breaker, and a virtual queue that tells
//! refused messages when to come back.
//!
//! A refusal is a deferral: it never counts as a receive (requirements, decision 7). Were all refused messages
//! to come back after the same wait, they would come together, find one free place, and be refused again; a
//! stalled endpoint would keep the whole queue busy. So each is given its own time, one service interval after
//! the last one's.
//!
//! Not for: making calls, or knowing which messages wait; a call here is constant work and allocates nothing.

use posthaste_base::{Category, Code, Error};
use serde::{Deserialize, Serialize};

use crate::breaker::{self, Breaker, Decision, Transition};

/// No message is sent away for longer.
pub const LATER_MS_MAX: i64 = 900_000;
/// No message is sent away for less: a shorter wait costs more than it brings.
pub const LATER_MS_MIN: i64 = 100;

/// The least wait for an endpoint that is held back.
const HELD_MS_MIN: i64 = 15_000;
/// What a call is thought to take before any has been measured.
const LATENCY_GUESS_US: i64 = 500_000;
const LATENCY_US_MIN: i64 = 100;
const LATENCY_US_MAX: i64 = 60_000_000;
/// The virtual queue has emptied when nothing was refused for this long, or for two calls' time.
const QUIET_US_MIN: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Calls to the endpoint that may be on their way at a time.
    pub in_flight_max: u32,
    /// None: as fast as the bulkhead lets through.
    pub rate: Option<Rate>,
    pub breaker: breaker::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self { in_flight_max: 10, rate: None, breaker: breaker::Settings::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// May be below one: 0.1 is a call every ten seconds.
    pub per_second: f64,
    /// Calls that may come at once after a quiet time.
    #[serde(default = "burst_default")]
    pub burst: u32,
}

fn burst_default() -> u32 {
    1
}

impl Settings {
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |field: &str, value: String, expected: &str| {
            let message = format!("{value} is out of range");
            Err(Error::new(Code::InvalidConfig, message).field(field).expected(expected))
        };
        if !(1..=10_000).contains(&self.in_flight_max) {
            return refuse("in_flight_max", self.in_flight_max.to_string(), "a number from 1 to 10000");
        }
        if let Some(rate) = self.rate {
            if !(0.001..=100_000.0).contains(&rate.per_second) {
                let expected = "a number from 0.001 to 100000";
                return refuse("rate.per_second", rate.per_second.to_string(), expected);
            }
            if !(1..=100_000).contains(&rate.burst) {
                return refuse("rate.burst", rate.burst.to_string(), "a number from 1 to 100000");
            }
        }
        self.breaker.validate()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Call now; `done` must be told whether it was a trial.
    Go {
        trial: bool,
    },
    Later {
        until_ms: i64,
        reason: Reason,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    BreakerOpen,
    EndpointFull,
    RateLimited,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker-open",
            Self::EndpointFull => "endpoint-full",
            Self::RateLimited => "rate-limited",
        }
    }
}

/// How an admitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed(Category),
    /// The call was given up before it was made; it says nothing about the endpoint.
    Abandoned,
}

#[derive(Clone, Debug)]
pub struct Guard {
    settings: Settings,
    breaker: Breaker,
    in_flight: u32,
    /// The moving average of what calls take.
    latency_us: i64,
    /// When a call last began or ended: while nothing moves, calls take at least this long.
    moved_us: i64,
    /// When the next call would be due if calls came exactly at the rate (the cell rate algorithm).
    due_us: i64,
    /// The first time that the virtual queue has not given away.
    slot_us: i64,
    /// Until then a free place does not mean that the virtual queue is empty.
    busy_until_us: i64,
}

impl Guard {
    pub fn new(settings: Settings) -> Self {
        Self {
            breaker: Breaker::new(settings.breaker),
            settings,
            in_flight: 0,
            latency_us: LATENCY_GUESS_US,
            moved_us: i64::MIN,
            due_us: i64::MIN,
            slot_us: i64::MIN,
            busy_until_us: i64::MIN,
        }
    }

    /// Asks to call the endpoint now. `random` is in 0..1.
    pub fn admit(&mut self, now_ms: i64, random: f64) -> Admit {
        let now_us = now_ms.saturating_mul(1_000);
        // A clock that jumped back must not leave slots in a far future behind.
        self.slot_us = self.slot_us.min(now_us + LATER_MS_MAX * 1_000);
        self.busy_until_us = self.busy_until_us.min(now_us + LATER_MS_MAX * 1_000 + 2 * LATENCY_US_MAX);
        // The breaker is only peeked at: a place for a trial must not be taken by a call that is then refused
        // for another reason.
        if let Decision::Refuse { until_ms } = self.breaker.peek(now_ms) {
            let _ = self.breaker.on_call(now_ms);
            let opens_us = until_ms.saturating_mul(1_000);
            return self.later(now_us, opens_us, self.service_us(now_us), Reason::BreakerOpen, random);
        }
        if self.in_flight >= self.settings.in_flight_max {
            return self.later(now_us, now_us, self.service_us(now_us), Reason::EndpointFull, random);
        }
        if let Some(interval_us) = self.rate_interval_us() {
            let conforms_us = self.rate_conforms_us(now_us, interval_us);
            if conforms_us > now_us {
                return self.later(now_us, conforms_us, interval_us, Reason::RateLimited, random);
            }
            self.due_us = self.due_us.max(now_us) + interval_us;
        }
        let trial = self.breaker.on_call(now_ms) == Decision::Trial;
        self.in_flight += 1;
        self.moved_us = now_us;
        if !trial && now_us > self.busy_until_us {
            self.slot_us = now_us;
        }
        Admit::Go { trial }
    }

    /// Takes in how an admitted call ended. An answer that refuses the message for good still shows that the
    /// endpoint is well.
    pub fn done(
        &mut self,
        now_ms: i64,
        trial: bool,
        outcome: Outcome,
        latency_ms: u64,
    ) -> Option<Transition> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.moved_us = now_ms.saturating_mul(1_000);
        let ok = match outcome {
            Outcome::Abandoned => {
                self.breaker.on_abandoned(now_ms, trial);
                return None;
            }
            Outcome::Succeeded => true,
            Outcome::Failed(category) => !matches!(category, Category::Transient | Category::Timeout),
        };
        let took_us = i64::try_from(latency_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
        let took_us = took_us.clamp(LATENCY_US_MIN, LATENCY_US_MAX);
        // An eighth of the new value: a few calls are enough to believe in a change.
        self.latency_us = (self.latency_us * 7 + took_us) / 8;
        self.breaker.on_result(now_ms, ok, trial)
    }

    /// Takes new settings; what was measured and who waits stays.
    pub fn configure(&mut self, settings: Settings) {
        self.breaker.configure(settings.breaker);
        self.settings = settings;
    }

    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// For taking over what another node wrote (`Breaker::adopt`).
    pub fn breaker_mut(&mut self) -> &mut Breaker {
        &mut self.breaker
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// What a call takes, on average.
    pub fn latency_ms(&self) -> u64 {
        (self.latency_us / 1_000).unsigned_abs()
    }

    /// Gives away the next slot at or after `from_us`.
    fn later(&mut self, now_us: i64, from_us: i64, spacing_us: i64, reason: Reason, random: f64) -> Admit {
        let first_us = now_us + LATER_MS_MIN * 1_000;
        let horizon_us = now_us + LATER_MS_MAX * 1_000;
        let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
        let slot_us = self.slot_us.max(from_us).max(first_us);
        let until_us = if slot_us + spacing_us <= horizon_us {
            self.slot_us = slot_us + spacing_us;
            slot_us + part_of(spacing_us, random)
        } else {
            // More wait than can be served before the horizon. Those beyond it look in again at scattered
            // times: at one and the same moment they would all come at once.
            let from_us = first_us.max(from_us).max(now_us + LATER_MS_MAX * 500).min(horizon_us);
            from_us + part_of(horizon_us - from_us, random)
        };
        let quiet_us = (2 * self.latency_us).max(QUIET_US_MIN);
        self.busy_until_us = from_us.max(now_us).min(horizon_us) + quiet_us;
        // Rounded up: a millisecond early is refused again.
        let until_ms = (until_us + 999).div_euclid(1_000).min(now_us / 1_000 + LATER_MS_MAX);
        Admit::Later { until_ms, reason }
    }

    /// The time between two calls' ends when the endpoint is kept full.
    fn service_us(&self, now_us: i64) -> i64 {
        // Calls that do not come back tell nothing to the average, but while nothing moves they all take at
        // least that long.
        let still_us = match self.in_flight >= self.settings.in_flight_max {
            true => now_us.saturating_sub(self.moved_us).clamp(0, LATENCY_US_MAX),
            false => 0,
        };
        let latency_us = self.latency_us.max(still_us);
        let interval_us = (latency_us / i64::from(self.settings.in_flight_max.max(1))).max(1);
        interval_us.max(self.rate_interval_us().unwrap_or(0))
    }

    fn rate_interval_us(&self) -> Option<i64> {
        // A cast from a float saturates, so that a rate of (almost) none is a very long interval, not a panic.
        let rate = self.settings.rate?;
        Some(((1_000_000.0 / rate.per_second) as i64).clamp(1, LATER_MS_MAX * 1_000))
    }

    /// When the next call is within the rate; not after now if it already is.
    fn rate_conforms_us(&mut self, now_us: i64, interval_us: i64) -> i64 {
        let burst = self.settings.rate.map_or(1, |rate| i64::from(rate.burst.max(1)));
        // Nothing can be due later than a full burst from now, unless the clock jumped back.
        self.due_us = self.due_us.min(now_us.saturating_add(burst.saturating_mul(interval_us)));
        self.due_us.saturating_sub((burst - 1).saturating_mul(interval_us))
    }
}

/// How long a message stays away whose endpoint is held back (paused, or without a key to sign by): as long as that
/// has lasted already, so that a short pause ends soon and a long one costs its queue little; spread, and bounded.
pub fn held_ms(held_for_ms: i64, random: f64) -> i64 {
    let least_ms = held_for_ms.clamp(HELD_MS_MIN, LATER_MS_MAX / 2);
    least_ms + part_of(least_ms, if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 })
}

fn part_of(whole_us: i64, random: f64) -> i64 {
    ((whole_us as f64) * random) as i64
}

#[cfg(test)]
mod tests;
