//! What the guard promises, by example, in simulations of crowds, and for any course of events.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use proptest::prelude::*;

use super::*;

/// A clock reading like a real one; times in the tests are relative to it.
const START_MS: i64 = 1_700_000_000_000;

fn full(in_flight_max: u32) -> Settings {
    Settings { in_flight_max, ..Settings::default() }
}

/// A small generator with a fixed seed (splitmix64): simulations are the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a crowd of messages that come at once did: wake-ups by second, and when the last was served.
struct Crowd {
    wake_ups: BTreeMap<i64, u32>,
    served: u32,
    last_served_ms: i64,
}

/// Lets `messages` come at the start; each is served in `latency_ms` or comes back when it is told to.
fn crowd(guard: &mut Guard, messages: u32, latency_ms: i64, until_ms: i64) -> Crowd {
    let mut random = Random(7);
    let mut crowd = Crowd { wake_ups: BTreeMap::new(), served: 0, last_served_ms: 0 };
    // Ends before wake-ups at the same time: (time, is a wake-up, number).
    let mut times: BinaryHeap<Reverse<(i64, bool, u32)>> =
        (0..messages).map(|number| Reverse((0, true, number))).collect();
    while let Some(Reverse((now_ms, wakes, number))) = times.pop().filter(|next| next.0.0 <= until_ms) {
        if !wakes {
            let _ = guard.done(START_MS + now_ms, false, Outcome::Succeeded, latency_ms as u64);
            crowd.served += 1;
            crowd.last_served_ms = now_ms;
            continue;
        }
        if now_ms > 0 {
            *crowd.wake_ups.entry(now_ms / 1_000).or_default() += 1;
        }
        match guard.admit(START_MS + now_ms, random.next()) {
            Admit::Go { .. } => times.push(Reverse((now_ms + latency_ms, false, number))),
            Admit::Later { until_ms, .. } => {
                let wait_ms = until_ms - START_MS - now_ms;
                assert!((LATER_MS_MIN..=LATER_MS_MAX).contains(&wait_ms), "{wait_ms}");
                times.push(Reverse((until_ms - START_MS, true, number)));
            }
        }
    }
    crowd
}

fn settings_with_rate(per_second: f64, burst: u32) -> Settings {
    Settings { in_flight_max: 1_000, rate: Some(Rate { per_second, burst }), ..Settings::default() }
}

#[test]
fn bulkhead_admits_no_more_than_its_size_and_one_place_frees_one() {
    let mut guard = Guard::new(full(2));
    assert_eq!(guard.admit(START_MS, 0.0), Admit::Go { trial: false });
    assert_eq!(guard.admit(START_MS, 0.0), Admit::Go { trial: false });
    let first = Admit::Later { until_ms: START_MS + 100, reason: Reason::EndpointFull };
    assert_eq!(guard.admit(START_MS, 0.0), first);
    // Slots are half the guessed latency apart, for there are two places.
    let second = Admit::Later { until_ms: START_MS + 350, reason: Reason::EndpointFull };
    assert_eq!(guard.admit(START_MS, 0.0), second);
    let _ = guard.done(START_MS + 10, false, Outcome::Succeeded, 10);
    assert_eq!(guard.admit(START_MS + 10, 0.0), Admit::Go { trial: false });
}

#[test]
fn rate_limit_lets_a_burst_through_and_then_its_pace() {
    let mut guard = Guard::new(settings_with_rate(2.0, 3));
    let go = Admit::Go { trial: false };
    assert_eq!([0; 3].map(|_| guard.admit(START_MS, 0.0)), [go; 3]);
    for wait_ms in [500, 1_000, 1_500] {
        let later = Admit::Later { until_ms: START_MS + wait_ms, reason: Reason::RateLimited };
        assert_eq!(guard.admit(START_MS, 0.0), later);
    }
    for wait_ms in [500, 1_000, 1_500] {
        assert_eq!(guard.admit(START_MS + wait_ms, 0.0), go);
    }
}

#[test]
fn open_breaker_sends_messages_away_until_after_it_reopens_one_after_the_other() {
    let mut guard = Guard::new(full(5));
    for _ in 0..5 {
        assert_eq!(guard.admit(START_MS, 0.0), Admit::Go { trial: false });
        let _ = guard.done(START_MS, false, Outcome::Failed(Category::Transient), 500);
    }
    for wait_ms in [30_000, 30_100, 30_200] {
        let later = Admit::Later { until_ms: START_MS + wait_ms, reason: Reason::BreakerOpen };
        assert_eq!(guard.admit(START_MS, 0.0), later);
    }
    assert_eq!(guard.admit(START_MS + 30_000, 0.0), Admit::Go { trial: true });
    assert_eq!(guard.done(START_MS + 30_000, true, Outcome::Succeeded, 5), None);
}

#[test]
fn refusal_for_good_shows_that_the_endpoint_is_well() {
    let mut guard = Guard::new(full(5));
    for _ in 0..20 {
        assert_eq!(guard.admit(START_MS, 0.0), Admit::Go { trial: false });
        assert_eq!(guard.done(START_MS, false, Outcome::Failed(Category::Permanent), 5), None);
    }
}

#[test]
fn call_refused_by_the_bulkhead_takes_no_trial_place() {
    let mut guard = Guard::new(full(1));
    let open = breaker::Shared {
        state: breaker::State::Open { until_ms: START_MS - 1, opened_at_ms: START_MS - 9, trips: 1 },
        changed_at_ms: START_MS - 9,
    };
    assert!(guard.breaker_mut().adopt(&open, START_MS - 5).is_some());
    assert_eq!(guard.admit(START_MS, 0.0), Admit::Go { trial: true });
    assert!(matches!(guard.admit(START_MS, 0.0), Admit::Later { reason: Reason::EndpointFull, .. }));
    assert_eq!(guard.breaker().trials_in_flight(START_MS), 1);
    let _ = guard.done(START_MS, true, Outcome::Abandoned, 0);
    assert_eq!(guard.breaker().trials_in_flight(START_MS), 0);
}

#[test]
fn ten_thousand_deferrals_come_back_at_about_the_service_rate() {
    // 10 places and half a second a call: 20 a second, 500 s for all.
    let crowd = crowd(&mut Guard::new(full(10)), 10_000, 500, 3_600_000);
    assert_eq!(crowd.served, 10_000);
    let most = crowd.wake_ups.values().max().copied().unwrap_or(0);
    assert!(most <= 50, "{most} wake-ups in one second");
    let all: u32 = crowd.wake_ups.values().sum();
    assert!(all <= 20_000, "{all} wake-ups for 10,000 messages");
    assert!(crowd.last_served_ms <= 700_000, "took {} ms", crowd.last_served_ms);
}

#[test]
fn crowd_that_cannot_be_served_before_the_horizon_is_scattered_not_stacked() {
    // One call every ten seconds: 10,000 messages would take 28 hours. They look in every 450 to 900 s.
    let mut guard = Guard::new(full(1));
    let crowd = crowd(&mut guard, 10_000, 10_000, 3_600_000);
    let most = crowd.wake_ups.values().max().copied().unwrap_or(0);
    assert!(most <= 60, "{most} wake-ups in one second");
    // The endpoint is kept busy all the same: 360 calls fit into the hour.
    assert!(crowd.served >= 330, "{} served", crowd.served);
}

#[test]
fn stalled_endpoint_is_believed_to_be_slow_before_its_calls_return() {
    let mut guard = Guard::new(full(1));
    let _ = guard.admit(START_MS, 0.0);
    let _ = guard.admit(START_MS + 8_000, 0.0);
    // The slot after one that was given away eight seconds into a call lies eight seconds further.
    let later = Admit::Later { until_ms: START_MS + 16_100, reason: Reason::EndpointFull };
    assert_eq!(guard.admit(START_MS + 8_000, 0.0), later);
}

#[test]
fn virtual_queue_is_forgotten_when_there_really_is_room() {
    let mut guard = Guard::new(full(1));
    let _ = guard.admit(START_MS, 0.0);
    for _ in 0..100 {
        let _ = guard.admit(START_MS, 0.0);
    }
    // Busy: a place that is free for a moment does not mean that the others are gone.
    let _ = guard.done(START_MS + 500, false, Outcome::Succeeded, 500);
    let _ = guard.admit(START_MS + 500, 0.0);
    assert!(
        matches!(guard.admit(START_MS + 500, 0.0), Admit::Later { until_ms, .. } if until_ms > START_MS + 40_000)
    );
    // Quiet: nothing was refused for two calls' time.
    let _ = guard.done(START_MS + 1_000, false, Outcome::Succeeded, 500);
    let _ = guard.admit(START_MS + 5_000, 0.0);
    let soon = Admit::Later { until_ms: START_MS + 5_100, reason: Reason::EndpointFull };
    assert_eq!(guard.admit(START_MS + 5_000, 0.0), soon);
}

#[test]
fn settings_refuse_what_would_stop_everything() {
    let check = |settings: Settings, field: &str| {
        assert_eq!(settings.validate().unwrap_err().field_name(), Some(field));
    };
    assert!(Settings::default().validate().is_ok());
    check(full(0), "in_flight_max");
    check(settings_with_rate(0.0, 1), "rate.per_second");
    check(settings_with_rate(f64::NAN, 1), "rate.per_second");
    check(settings_with_rate(1.0, 0), "rate.burst");
    assert!(serde_json::from_str::<Settings>(r#"{"in_flight": 3}"#).is_err());
}

proptest! {
    /// Whatever happens: no more calls than places, and no wait outside its bounds, even for a clock that jumps.
    #[test]
    fn bounds_hold_for_any_course(
        in_flight_max in 1u32..20,
        per_second in proptest::option::of(0.001f64..1_000.0),
        steps in proptest::collection::vec((-2_000i64..20_000, 0u8..4, 0u64..30_000, 0.0f64..1.0), 1..300),
    ) {
        let rate = per_second.map(|per_second| Rate { per_second, burst: 3 });
        let mut guard = Guard::new(Settings { in_flight_max, rate, ..Settings::default() });
        let (mut now_ms, mut on_way) = (START_MS, Vec::new());
        for (wait_ms, kind, latency_ms, random) in steps {
            now_ms += wait_ms;
            if kind < 2 {
                match guard.admit(now_ms, random) {
                    Admit::Go { trial } => on_way.push(trial),
                    Admit::Later { until_ms, .. } => {
                        prop_assert!((LATER_MS_MIN..=LATER_MS_MAX).contains(&(until_ms - now_ms)));
                    }
                }
            } else if let Some(trial) = on_way.pop() {
                let outcome = if kind == 2 { Outcome::Succeeded } else { Outcome::Failed(Category::Timeout) };
                let _ = guard.done(now_ms, trial, outcome, latency_ms);
            }
            prop_assert!(on_way.len() <= in_flight_max as usize);
            prop_assert_eq!(guard.in_flight() as usize, on_way.len());
        }
    }
}

#[test]
fn what_is_held_back_waits_as_long_as_that_has_lasted_within_bounds() {
    let check = |held_for_ms, least_ms| {
        assert_eq!(held_ms(held_for_ms, 0.0), least_ms);
        assert_eq!(held_ms(held_for_ms, 1.0), least_ms * 2);
        assert!((least_ms..=least_ms * 2).contains(&held_ms(held_for_ms, f64::NAN)));
    };
    check(0, 15_000);
    check(-5, 15_000);
    check(60_000, 60_000);
    check(450_000, 450_000);
    check(i64::MAX, 450_000);
}
