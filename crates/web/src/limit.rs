//! How much one caller may ask for in a time: GCRA, a leaky bucket that keeps one number for each key.
//!
//! An own one because each key has a rate of its own and the number of keys kept is bounded; the crate
//! `governor` has one rate for all keys and forgets none by itself. Not for: outgoing calls.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthaste_base::{Code, Error};

/// A rate that is kept up, and what may come at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// `None` when either number is 0, which would let nothing through for ever.
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        (per_second > 0 && burst > 0).then_some(Self { per_second, burst })
    }

    fn interval_ns(self) -> u64 {
        1_000_000_000 / u64::from(self.per_second)
    }
}

const SHARDS: usize = 16;
const KEYS_PER_SHARD_MAX: usize = 4_096;
/// How often a full shard looks for keys that are idle.
const SWEEP_EVERY_NS: u64 = 1_000_000_000;
/// Callers that came when there was no room share this key.
const OVERFLOW: u64 = u64::MAX;

/// Remembers for each key when its bucket will be empty again. At most 65,536 keys are kept.
pub struct RateLimiter {
    start: Instant,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    empty_at_ns: HashMap<u64, u64>,
    swept_at_ns: u64,
}

impl RateLimiter {
    pub fn new() -> Self {
        Self { start: Instant::now(), hasher: RandomState::new(), shards: Default::default() }
    }

    /// Takes one from the key's bucket, or says with a 429 when to come again.
    pub fn take(&self, key: impl Hash, rate: Rate) -> Result<(), Error> {
        let now_ns = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.take_at(self.hasher.hash_one(key), rate, now_ns).map_err(|wait| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let message =
                format!("more than {} requests a second, after a burst of {}", rate.per_second, rate.burst);
            Error::new(Code::TooManyRequests, message).retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
        })
    }

    fn take_at(&self, key: u64, rate: Rate, now_ns: u64) -> Result<(), Duration> {
        let shard = &self.shards[key as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let key = shard.room_for(key, now_ns);
        let empty_at_ns = shard.empty_at_ns.entry(key).or_insert(0);
        let filled_ns = (*empty_at_ns).max(now_ns);
        let tolerance_ns = rate.interval_ns() * u64::from(rate.burst - 1);
        let ahead_ns = filled_ns - now_ns;
        if ahead_ns > tolerance_ns {
            return Err(Duration::from_nanos(ahead_ns - tolerance_ns));
        }
        *empty_at_ns = filled_ns + rate.interval_ns();
        Ok(())
    }
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Shard {
    /// The key itself if it is known or there is room for it, else the shared one.
    fn room_for(&mut self, key: u64, now_ns: u64) -> u64 {
        if self.empty_at_ns.len() < KEYS_PER_SHARD_MAX || self.empty_at_ns.contains_key(&key) {
            return key;
        }
        if now_ns - self.swept_at_ns >= SWEEP_EVERY_NS {
            self.swept_at_ns = now_ns;
            self.empty_at_ns.retain(|_, empty_at_ns| *empty_at_ns > now_ns);
        }
        if self.empty_at_ns.len() < KEYS_PER_SHARD_MAX { key } else { OVERFLOW }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn taken(limiter: &RateLimiter, key: u64, now_ns: u64) -> usize {
        let rate = Rate::new(10, 5).unwrap();
        (0..100).take_while(|_| limiter.take_at(key, rate, now_ns).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let limiter = RateLimiter::new();
        assert_eq!(taken(&limiter, 1, 0), 5);
        assert_eq!(taken(&limiter, 1, SECOND_NS / 10 - 1), 0);
        assert_eq!(taken(&limiter, 1, SECOND_NS / 10), 1);
        assert_eq!(taken(&limiter, 1, SECOND_NS * 60), 5, "a pause saves up no more than a burst");
    }

    #[test]
    fn keys_do_not_share() {
        let limiter = RateLimiter::new();
        assert_eq!((taken(&limiter, 1, 0), taken(&limiter, 17, 0)), (5, 5));
    }

    #[test]
    fn the_wait_is_the_time_until_the_next_one_passes() {
        let limiter = RateLimiter::new();
        let rate = Rate::new(1, 1).unwrap();
        limiter.take_at(1, rate, 0).unwrap();
        assert_eq!(limiter.take_at(1, rate, SECOND_NS / 4), Err(Duration::from_millis(750)));
        let error = (0..3).find_map(|_| limiter.take("k", rate).err()).unwrap();
        assert_eq!((error.code(), error.retry_after_seconds()), (Code::TooManyRequests, Some(1)));
    }

    #[test]
    fn a_flood_of_keys_takes_bounded_memory_and_idle_ones_make_room() {
        let limiter = RateLimiter::new();
        let rate = Rate::new(1, 1).unwrap();
        let key = |n: u64| n * SHARDS as u64;
        let passed =
            (0..3 * KEYS_PER_SHARD_MAX as u64).filter(|n| limiter.take_at(key(*n), rate, 1).is_ok()).count();
        assert_eq!(passed, KEYS_PER_SHARD_MAX + 1, "those without room share one bucket");
        assert!(limiter.take_at(key(9_999_999), rate, 2 * SECOND_NS).is_ok());
        assert!(limiter.shards[0].lock().unwrap().empty_at_ns.len() < 10);
    }

    #[test]
    fn a_rate_of_nothing_is_none() {
        assert_eq!((Rate::new(0, 1), Rate::new(1, 0)), (None, None));
    }
}
