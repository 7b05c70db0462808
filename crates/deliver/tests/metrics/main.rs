//! The metrics of calls have the values that the calls of a test must give. Not for: those of queues and schedules
//! (see the broker's).

#[path = "../worker/post_office.rs"]
#[expect(dead_code, reason = "the tests of the worker use all of it")]
mod post_office;

use std::collections::HashMap;

use posthaste_broker::EndpointPatch;
use posthaste_observe::install;
use posthaste_testkit::receiver::Behaviour;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use post_office::{ORDERS, PostOffice, options, until};

/// The registry is one for the process, so one test runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// What is counted from here on.
struct Counts {
    before: HashMap<String, f64>,
    _turn: MutexGuard<'static, ()>,
}

impl Counts {
    fn all() -> HashMap<String, f64> {
        let text = install().unwrap().render();
        let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        lines.filter_map(|(series, number)| Some((series.to_owned(), number.parse().ok()?))).collect()
    }

    /// By how much a series, such as `name{label="x"}`, has grown.
    fn of(&self, series: &str) -> f64 {
        let number = |all: &HashMap<String, f64>| all.get(series).copied().unwrap_or(0.0);
        number(&Self::all()) - number(&self.before)
    }

    fn check(&self, expected: &[(&str, f64)]) {
        let found: Vec<_> = expected.iter().map(|(series, _)| (*series, self.of(series))).collect();
        assert_eq!(found, expected);
    }
}

/// Its metrics are installed before the broker, which would record nothing.
async fn open(settings: &str) -> (PostOffice, Counts) {
    let turn = ONE_AT_A_TIME.lock().await;
    install().unwrap();
    let office = PostOffice::without_worker(&format!("{ORDERS}\n{settings}\n")).await;
    (office, Counts { before: Counts::all(), _turn: turn })
}

#[tokio::test]
async fn attempts_are_counted_by_their_ends_and_deliveries_by_how_late_they_are() {
    let (mut office, counts) = open("breaker = { failures_in_row = 1000, calls_min = 1000 }").await;
    let late = office.publish("order").await.id;
    office.sql("update posthaste.event set due_at = due_at - interval '100 s'").await;
    office.start_worker(options());
    office.receiver.behave("/shop", Behaviour::answer(200).fail_first(1, 503));
    office.delivered(late).await;
    let dies = async |behaviour| {
        office.receiver.behave("/shop", behaviour);
        let id = office.publish("order").await.id;
        office.died(id).await;
    };
    dies(Behaviour::answer(400)).await;
    let hasty = serde_json::from_value(json!({"settings": {"timeout_ms": 300}})).unwrap();
    office.broker.update_endpoint("shop", hasty).await.unwrap();
    dies(Behaviour::hang()).await;
    // Dead letters are counted when what made them has been committed.
    let dead = r#"posthaste_dead_letters_total{queue="normal",category="timeout"}"#;
    until("it to be counted", async || (counts.of(dead) == 1.0).then_some(())).await;
    // Counted when it is recorded, which is before the event is seen to have ended.
    counts.check(&[
        (r#"posthaste_attempts_total{endpoint="shop",class="delivered"}"#, 1.0),
        (r#"posthaste_attempts_total{endpoint="shop",class="transient"}"#, 1.0),
        (r#"posthaste_attempts_total{endpoint="shop",class="permanent"}"#, 1.0),
        (r#"posthaste_attempts_total{endpoint="shop",class="timeout"}"#, 3.0),
        (r#"posthaste_attempts_total{endpoint="shop",class="validation"}"#, 0.0),
        (r#"posthaste_attempts_total{endpoint="shop",class="processing"}"#, 0.0),
        (r#"posthaste_attempt_duration_seconds_count{endpoint="shop"}"#, 6.0),
        (r#"posthaste_attempts_in_flight{endpoint="shop"}"#, 0.0),
        (r#"posthaste_delivery_latency_seconds_count{queue="normal"}"#, 1.0),
        (r#"posthaste_delivery_latency_seconds_bucket{queue="normal",le="60"}"#, 0.0),
        (r#"posthaste_dead_letters_total{queue="normal",category="permanent"}"#, 1.0),
        (r#"posthaste_dead_letters_total{queue="normal",category="timeout"}"#, 1.0),
    ]);
    let latency = counts.of(r#"posthaste_delivery_latency_seconds_sum{queue="normal"}"#);
    assert!((100.0..160.0).contains(&latency), "{latency}");
}

#[tokio::test]
async fn a_breaker_shows_its_state_how_often_it_opened_and_what_it_put_off() {
    let (mut office, counts) =
        open("in_flight_max = 1\nbreaker = { open_ms = 300, trials = 1, calls_min = 100 }").await;
    office.sql("update posthaste.queue set max_receives = 100").await;
    office.broker.refresh_catalog().await.unwrap();
    office.start_worker(options());
    let state = r#"posthaste_breaker_state{endpoint="shop"}"#;
    office.receiver.behave("/shop", Behaviour::answer(503));
    let ids = office.publish_many("order", 8).await;
    until("the breaker to open", async || (counts.of(state) == 2.0).then_some(())).await;
    office.receiver.behave("/shop", Behaviour::answer(200));
    office.all_delivered(&ids).await;
    let failed = counts.of(r#"posthaste_attempts_total{endpoint="shop",class="transient"}"#);
    // Five open it, and each trial that fails before the receiver is well opens it again.
    counts.check(&[
        (state, 0.0),
        (r#"posthaste_breaker_trips_total{endpoint="shop"}"#, failed - 4.0),
        (r#"posthaste_attempts_total{endpoint="shop",class="delivered"}"#, 8.0),
    ]);
    assert!(counts.of(r#"posthaste_deferrals_total{endpoint="shop",reason="breaker"}"#) >= 1.0);
}

/// What is put off for `reason` is counted so, and has used up no receive.
async fn check_deferral(settings: &str, reason: &str) {
    let (mut office, counts) = open(settings).await;
    if reason == "pause" {
        let paused = EndpointPatch { paused: Some(true), ..EndpointPatch::default() };
        office.broker.update_endpoint("shop", paused).await.unwrap();
    }
    office.receiver.behave("/shop", Behaviour::answer(200).delay_ms(200));
    let deferrals = format!(r#"posthaste_deferrals_total{{endpoint="shop",reason="{reason}"}}"#);
    let ids = office.publish_many("order", 3).await;
    office.start_worker(options());
    until("a deferral", async || (counts.of(&deferrals) >= 1.0).then_some(())).await;
    if reason == "pause" {
        // Counted before it is written, and what is not written yet is not brought back.
        until("all to wait", async || (office.depth("normal").await.delayed == 3).then_some(())).await;
        let going = EndpointPatch { paused: Some(false), ..EndpointPatch::default() };
        office.broker.update_endpoint("shop", going).await.unwrap();
    }
    office.all_delivered(&ids).await;
    assert!(office.calls("/shop").iter().all(|call| call.header("posthaste-attempt") == Some("1")));
}

#[tokio::test]
async fn what_a_bulkhead_puts_off_is_counted() {
    check_deferral("in_flight_max = 1", "bulkhead").await;
}

#[tokio::test]
async fn what_a_rate_puts_off_is_counted() {
    check_deferral("rate = { per_second = 2, burst = 1 }", "rate").await;
}

#[tokio::test]
async fn what_a_pause_puts_off_is_counted() {
    check_deferral("", "pause").await;
}
