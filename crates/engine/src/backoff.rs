//! How long to wait before another try: exponential with full jitter, or what the other side asked for.
//!
//! Not for: whether to try again at all (see `failure`), or when a refused call fits in (see `guard`).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use posthaste_base::limits::REDRIVE_DELAY_SECONDS_MAX;
use serde::{Deserialize, Serialize};

/// The longest wait that a `Retry-After` header is obeyed for. Beyond it a message would look lost, and an
/// endpoint could park its queue for ever.
pub const RETRY_AFTER_MS_MAX: u64 = 900_000;

/// The curve of waits between receives of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The longest wait after the first receive; each further receive doubles it.
    pub base_ms: u64,
    /// The wait never exceeds this.
    pub cap_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base_ms: 1_000, cap_ms: 900_000 }
    }
}

impl Backoff {
    /// The wait after the given receive (counted from 1). `random` is in 0..1.
    ///
    /// Full jitter takes the whole interval from zero: messages that failed together do not come back together.
    pub fn delay_ms(&self, receive: u32, random: f64) -> u64 {
        part_of(self.ceiling_ms(receive), random)
    }

    /// The wait when the other side may have said how long: its wish is the least, and the jitter comes on top,
    /// because everyone who was refused was told the same number.
    pub fn after_retry_after(&self, receive: u32, retry_after_ms: Option<u64>, random: f64) -> u64 {
        let jitter_ms = self.delay_ms(receive, random);
        match retry_after_ms {
            None => jitter_ms,
            Some(wish_ms) => {
                wish_ms.saturating_add(jitter_ms.min(wish_ms.max(self.base_ms))).min(RETRY_AFTER_MS_MAX)
            }
        }
    }

    /// The longest wait after the given receive.
    pub fn ceiling_ms(&self, receive: u32) -> u64 {
        let doublings = receive.saturating_sub(1).min(63);
        self.base_ms.saturating_mul(1 << doublings).min(self.cap_ms)
    }
}

/// Reads a `Retry-After` header: whole seconds, or an HTTP date in any of its three forms. The result is a wait,
/// at most `RETRY_AFTER_MS_MAX`; a date in the past is no wait, and what cannot be read is no wish.
pub fn parse_retry_after(header: &str, now_ms: i64) -> Option<u64> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large to hold is a very long wait, and those are capped anyway.
        let seconds = header.parse::<u64>().unwrap_or(u64::MAX);
        return Some(seconds.saturating_mul(1_000).min(RETRY_AFTER_MS_MAX));
    }
    let wait_ms = parse_http_date(header)?.as_millisecond().saturating_sub(now_ms);
    Some(u64::try_from(wait_ms).unwrap_or(0).min(RETRY_AFTER_MS_MAX))
}

/// The delay of one redriven message: the run's own delay and this message's share of the jitter, in seconds,
/// never above 900 in all (requirements, decision 11).
pub fn redrive_delay_seconds(delay_seconds: u32, jitter_seconds: u32, random: f64) -> u32 {
    let jitter_seconds = u64::from(jitter_seconds.min(REDRIVE_DELAY_SECONDS_MAX));
    // One more than the jitter, so that its last second is as likely as the others.
    let share = part_of(jitter_seconds + 1, random).min(jitter_seconds) as u32;
    delay_seconds.saturating_add(share).min(REDRIVE_DELAY_SECONDS_MAX)
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    if let Ok(time) = rfc2822::DateTimeParser::new().parse_timestamp(text) {
        return Some(time);
    }
    // The two obsolete forms (RFC 850, asctime) carry no offset and mean UTC.
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"].into_iter().find_map(|form| {
        let civil: DateTime = strtime::parse(form, text).ok()?.to_datetime().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// `random` of `whole`, for a `random` in 0..1; anything outside (or NaN) is brought inside.
fn part_of(whole: u64, random: f64) -> u64 {
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    ((whole as f64) * random) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 1994-11-06T08:49:30Z, seven seconds before the example date of RFC 9110.
    const NOW_MS: i64 = 784_111_770_000;

    #[test]
    fn ceiling_doubles_up_to_the_cap() {
        let backoff = Backoff { base_ms: 1_000, cap_ms: 10_000 };
        let ceilings: Vec<u64> =
            [0, 1, 2, 3, 4, 5, u32::MAX].map(|receive| backoff.ceiling_ms(receive)).into();
        assert_eq!(ceilings, [1_000, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let check = |header: &str, expected: Option<u64>| {
            assert_eq!(parse_retry_after(header, NOW_MS), expected, "{header}");
        };
        check("120", Some(120_000));
        check(" 0 ", Some(0));
        check("999999999999999999999999", Some(RETRY_AFTER_MS_MAX));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(7_000));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(7_000));
        check("Sun Nov  6 08:49:37 1994", Some(7_000));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("Mon, 06 Nov 2034 08:00:00 GMT", Some(RETRY_AFTER_MS_MAX));
        check("soon", None);
        check("-5", None);
        check("1.5", None);
        check("", None);
    }

    #[test]
    fn retry_after_is_the_least_wait_and_those_told_the_same_do_not_return_together() {
        let backoff = Backoff::default();
        assert_eq!(backoff.after_retry_after(1, Some(30_000), 0.0), 30_000);
        assert_eq!(backoff.after_retry_after(1, Some(30_000), 0.9), 30_900);
        assert_eq!(backoff.after_retry_after(9, Some(900_000), 0.9), RETRY_AFTER_MS_MAX);
        assert_eq!(backoff.after_retry_after(1, None, 0.5), 500);
    }

    #[test]
    fn redrive_delay_is_jitter_in_seconds_capped_at_900() {
        assert_eq!(redrive_delay_seconds(0, 5, 0.0), 0);
        assert_eq!(redrive_delay_seconds(0, 5, 0.999), 5);
        assert_eq!(redrive_delay_seconds(10, 0, 0.7), 10);
        assert_eq!(redrive_delay_seconds(899, 900, 0.9), 900);
        assert_eq!(redrive_delay_seconds(0, u32::MAX, 0.999_999), 900);
    }

    proptest! {
        #[test]
        fn delay_stays_within_its_ceiling(base_ms in 0u64.., cap_ms in 0u64.., receive: u32, random in 0.0f64..1.0) {
            let backoff = Backoff { base_ms, cap_ms };
            let delay_ms = backoff.delay_ms(receive, random);
            // A float has 53 bits: near the top of the range the product may round up to the ceiling itself.
            prop_assert!(delay_ms <= backoff.ceiling_ms(receive).max(delay_ms & !0x7ff));
            prop_assert!(backoff.ceiling_ms(receive) <= cap_ms);
        }

        #[test]
        fn any_header_gives_a_bounded_wait_or_none(header in ".{0,40}", now_ms: i64) {
            prop_assert!(parse_retry_after(&header, now_ms).is_none_or(|wait_ms| wait_ms <= RETRY_AFTER_MS_MAX));
        }
    }
}
