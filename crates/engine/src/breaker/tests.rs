//! What the breaker promises, by example and for any course of events.

use proptest::prelude::*;

use super::*;

fn breaker() -> Breaker {
    Breaker::new(Settings::default())
}

/// A breaker that opened at 1,000 ms by five failures in a row.
fn opened() -> Breaker {
    let mut breaker = breaker();
    for number in 0..5 {
        let transition = breaker.on_result(1_000, false, false);
        assert_eq!(transition.is_some(), number == 4);
    }
    breaker
}

fn half_opened() -> Breaker {
    let mut breaker = opened();
    assert_eq!(breaker.on_call(31_000), Decision::Trial);
    breaker
}

#[test]
fn opens_after_five_failures_in_a_row_and_says_until_when() {
    let mut breaker = opened();
    assert_eq!(breaker.on_call(1_001), Decision::Refuse { until_ms: 31_000 });
    assert_eq!(breaker.on_call(30_999), Decision::Refuse { until_ms: 31_000 });
    assert_eq!(breaker.trips(), 1);
}

#[test]
fn opens_at_half_of_at_least_five_calls() {
    let mut breaker = breaker();
    for ok in [true, false, true, false] {
        assert_eq!(breaker.on_result(1_000, ok, false), None);
    }
    assert_eq!(breaker.on_result(1_000, true, false), None);
    assert_eq!(
        breaker.on_result(1_000, false, false),
        Some(Transition::Opened { until_ms: 31_000, trips: 1 })
    );
}

#[test]
fn failures_older_than_the_window_are_forgotten() {
    let mut breaker = breaker();
    for ok in [false, true, false, true, false] {
        let _ = breaker.on_result(1_000, ok, false);
    }
    assert!(matches!(breaker.state(), State::Open { .. }));
    let mut breaker = Breaker::new(Settings::default());
    for (now_ms, ok) in [(1_000, false), (1_000, true), (12_000, false), (12_000, true), (12_000, false)] {
        assert_eq!(breaker.on_result(now_ms, ok, false), None, "{now_ms}");
    }
}

#[test]
fn closes_after_three_good_trials_and_admits_no_fourth() {
    let mut breaker = half_opened();
    assert_eq!(breaker.on_call(31_000), Decision::Trial);
    assert_eq!(breaker.on_call(31_000), Decision::Trial);
    assert_eq!(breaker.on_call(31_000), Decision::Refuse { until_ms: 32_000 });
    assert_eq!(breaker.on_result(31_100, true, true), None);
    assert_eq!(breaker.on_call(31_100), Decision::Refuse { until_ms: 32_100 });
    assert_eq!(breaker.on_result(31_200, true, true), None);
    assert_eq!(breaker.on_result(31_300, true, true), Some(Transition::Closed));
    assert_eq!(breaker.on_call(31_300), Decision::Allow);
}

#[test]
fn one_bad_trial_opens_for_the_same_time_again() {
    let mut breaker = half_opened();
    assert_eq!(
        breaker.on_result(31_500, false, true),
        Some(Transition::Opened { until_ms: 61_500, trips: 2 })
    );
    assert_eq!(breaker.on_call(61_499), Decision::Refuse { until_ms: 61_500 });
}

#[test]
fn trial_that_never_reports_back_frees_its_place() {
    let mut breaker = half_opened();
    let _ = (breaker.on_call(31_000), breaker.on_call(31_000));
    assert_eq!(breaker.on_call(90_999), Decision::Refuse { until_ms: 91_999 });
    assert_eq!(breaker.on_call(91_000), Decision::Trial);
}

#[test]
fn place_of_a_lost_trial_is_not_freed_in_stead_of_the_one_that_reported() {
    let mut breaker = half_opened();
    let _ = breaker.on_call(31_000);
    // Both are lost; three good ones must close it all the same.
    for _ in 0..3 {
        assert_eq!(breaker.on_call(100_000), Decision::Trial);
        let _ = breaker.on_result(100_000, true, true);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn result_of_a_call_from_before_says_nothing() {
    let mut breaker = half_opened();
    assert_eq!(breaker.on_result(31_001, false, false), None);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn node_adopts_the_newer_state_only() {
    let shared = opened().shared();
    let mut other = breaker();
    assert_eq!(other.adopt(&shared, 1_500), Some(Transition::Opened { until_ms: 31_000, trips: 1 }));
    assert_eq!(other.on_call(2_000), Decision::Refuse { until_ms: 31_000 });
    assert_eq!(other.adopt(&shared, 2_500), None);

    let closed = Shared { state: State::Closed, changed_at_ms: 40_000 };
    assert_eq!(other.adopt(&closed, 40_500), Some(Transition::Closed));
    assert_eq!(other.adopt(&shared, 41_000), None);
    assert_eq!(other.on_call(41_000), Decision::Allow);
}

#[test]
fn clock_that_jumps_back_does_not_keep_it_open() {
    let mut breaker = opened();
    assert_eq!(breaker.on_call(-9_000_000), Decision::Refuse { until_ms: -8_970_000 });
    assert_eq!(breaker.on_call(-8_980_000), Decision::Refuse { until_ms: -8_970_000 });
    assert_eq!(breaker.on_call(-8_970_000), Decision::Trial);
}

#[test]
fn survives_being_stored() {
    let breaker = half_opened();
    let text = serde_json::to_string(&breaker).unwrap();
    assert_eq!(serde_json::from_str::<Breaker>(&text).unwrap(), breaker);
    let shared = serde_json::to_value(opened().shared()).unwrap();
    assert_eq!(shared["state"], "open");
    assert_eq!(serde_json::from_value::<Shared>(shared).unwrap(), opened().shared());
}

#[test]
fn settings_refuse_what_could_never_open_or_close() {
    let check = |settings: Settings, field: &str| {
        let error = settings.validate().unwrap_err();
        assert_eq!(error.field_name(), Some(field));
    };
    assert!(Settings::default().validate().is_ok());
    check(Settings { trials: 0, ..Settings::default() }, "breaker.trials");
    check(Settings { trials: TRIALS_MAX + 1, ..Settings::default() }, "breaker.trials");
    check(Settings { failure_percent: 101, ..Settings::default() }, "breaker.failure_percent");
    assert!(serde_json::from_str::<Settings>(r#"{"open_secs": 3}"#).is_err());
    assert_eq!(serde_json::from_str::<Settings>(r#"{"open_ms": 3}"#).unwrap().open_ms, 3);
}

/// One step of a random course: how much time passes, whether a call begins, and which result arrives.
#[derive(Clone, Debug)]
struct Step {
    wait_ms: i64,
    calls: bool,
    settles: Option<(usize, bool)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0i64..9_000, any::<bool>(), proptest::option::of((any::<usize>(), any::<bool>())))
        .prop_map(|(wait_ms, calls, settles)| Step { wait_ms, calls, settles });
    proptest::collection::vec(step, 1..300)
}

/// Runs a course against a breaker and the calls that are really on their way, dropping trials that took
/// longer than a place is held (no attempt lasts that long). Returns the time at the end.
fn run(breaker: &mut Breaker, steps: &[Step], force_ok: bool) -> i64 {
    let settings = breaker.settings;
    let mut now_ms = 0;
    let mut on_way: Vec<(i64, bool)> = Vec::new();
    for step in steps {
        now_ms += step.wait_ms;
        on_way.retain(|(began_ms, _)| now_ms - began_ms < i64::from(settings.trial_timeout_ms));
        if let Some((pick, ok)) = step.settles
            && !on_way.is_empty()
        {
            // The oldest trial first, or any plain call: places are told apart by age only.
            let trial = on_way.iter().position(|(_, trial)| *trial);
            let place = if pick % 2 == 0 { trial.unwrap_or(pick % on_way.len()) } else { 0 };
            let (_, trial) = on_way.remove(place);
            let _ = breaker.on_result(now_ms, ok || force_ok, trial);
        }
        if step.calls {
            match breaker.on_call(now_ms) {
                Decision::Allow => on_way.push((now_ms, false)),
                Decision::Trial => on_way.push((now_ms, true)),
                Decision::Refuse { until_ms } => assert!(until_ms > now_ms),
            }
        }
        let trials = on_way.iter().filter(|(_, trial)| *trial).count();
        assert!(trials <= settings.trials as usize, "{trials} trials at {now_ms}");
    }
    now_ms
}

proptest! {
    #[test]
    fn never_more_trials_than_configured(steps in steps(), trials in 1u32..6) {
        run(&mut Breaker::new(Settings { trials, ..Settings::default() }), &steps, false);
    }

    #[test]
    fn always_recovers_when_calls_succeed(steps in steps(), trials in 1u32..6) {
        let mut breaker = Breaker::new(Settings { trials, ..Settings::default() });
        let mut now_ms = run(&mut breaker, &steps, false);
        // Lost trials keep their places for a minute, and it may just have opened.
        now_ms += 90_000;
        for _ in 0..trials {
            let decision = breaker.on_call(now_ms);
            let is_refused = matches!(decision, Decision::Refuse { .. });
            prop_assert!(!is_refused);
            let _ = breaker.on_result(now_ms, true, decision == Decision::Trial);
        }
        prop_assert_eq!(breaker.on_call(now_ms), Decision::Allow);
    }

    #[test]
    fn never_opens_on_successes_alone(steps in steps()) {
        let mut breaker = breaker();
        run(&mut breaker, &steps, true);
        prop_assert_eq!(breaker.state(), State::Closed);
        prop_assert_eq!(breaker.trips(), 0);
    }
}
