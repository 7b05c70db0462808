//! The metrics of calls have the values that the calls of a test must give. Not for: those of queues and schedules
//! (see the broker's).

use posthaste_broker::EndpointPatch;
use posthaste_observe::install;
use posthaste_testkit::receiver::Behaviour;

use crate::post_office::{ORDERS, PostOffice, options, until};

/// The number behind a series, such as `name{label="x"}`; zero for one that is not there yet.
fn value(series: &str) -> f64 {
    let text = install().unwrap().render();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |number| number.parse().unwrap())
}

fn check(expected: &[(&str, f64)]) {
    let found: Vec<_> = expected.iter().map(|(series, _)| (*series, value(series))).collect();
    assert_eq!(found, expected);
}

/// Before the broker, whose metrics would record nothing.
async fn open(settings: &str) -> PostOffice {
    install().unwrap();
    PostOffice::without_worker(&format!("{ORDERS}\n{settings}\n")).await
}

#[tokio::test]
async fn attempts_are_counted_by_their_ends_and_deliveries_by_how_late_they_are() {
    let mut office = open("timeout_ms = 300\nbreaker = { failures_in_row = 1000, calls_min = 1000 }").await;
    let paths = [
        ("/shop", Behaviour::answer(200).fail_first(1, 503)),
        ("/shop", Behaviour::answer(400)),
        ("/shop", Behaviour::hang()),
    ];
    let late = office.publish("order").await.id;
    office.sql("update posthaste.event set due_at = due_at - interval '100 s'").await;
    office.start_worker(options());
    for (at, (path, behaviour)) in paths.into_iter().enumerate() {
        office.receiver.behave(path, behaviour);
        match at {
            0 => drop(office.delivered(late).await),
            _ => {
                let id = office.publish("order").await.id;
                office.died(id).await;
            }
        }
    }
    // Counted when it is recorded, which is before the event is seen to have ended.
    check(&[
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
    let latency = value(r#"posthaste_delivery_latency_seconds_sum{queue="normal"}"#);
    assert!((100.0..160.0).contains(&latency), "{latency}");
}

#[tokio::test]
async fn a_breaker_shows_its_state_how_often_it_opened_and_what_it_put_off() {
    let mut office =
        open("in_flight_max = 1\nbreaker = { open_ms = 300, trials = 1, calls_min = 100 }").await;
    office.sql("update posthaste.queue set max_receives = 100").await;
    office.broker.refresh_catalog().await.unwrap();
    office.start_worker(options());
    let state = r#"posthaste_breaker_state{endpoint="shop"}"#;
    office.receiver.behave("/shop", Behaviour::answer(503));
    let ids = office.publish_many("order", 8).await;
    until("the breaker to open", async || (value(state) == 2.0).then_some(())).await;
    office.receiver.behave("/shop", Behaviour::answer(200));
    office.all_delivered(&ids).await;
    let failed = value(r#"posthaste_attempts_total{endpoint="shop",class="transient"}"#);
    // Five open it, and each trial that fails before the receiver is well opens it again.
    check(&[
        (state, 0.0),
        (r#"posthaste_breaker_trips_total{endpoint="shop"}"#, failed - 4.0),
        (r#"posthaste_attempts_total{endpoint="shop",class="delivered"}"#, 8.0),
    ]);
    assert!(value(r#"posthaste_deferrals_total{endpoint="shop",reason="breaker"}"#) >= 1.0);
}

/// What is put off for `reason` is counted so, and has used up no receive.
async fn check_deferral(settings: &str, reason: &str) {
    let mut office = open(settings).await;
    if reason == "pause" {
        let paused = EndpointPatch { paused: Some(true), ..EndpointPatch::default() };
        office.broker.update_endpoint("shop", paused).await.unwrap();
    }
    office.receiver.behave("/shop", Behaviour::answer(200).delay_ms(200));
    let before = value(&format!(r#"posthaste_deferrals_total{{endpoint="shop",reason="{reason}"}}"#));
    assert_eq!(before, 0.0);
    let ids = office.publish_many("order", 3).await;
    office.start_worker(options());
    let count = async || {
        let count = value(&format!(r#"posthaste_deferrals_total{{endpoint="shop",reason="{reason}"}}"#));
        (count >= 1.0).then_some(())
    };
    until("a deferral", count).await;
    if reason == "pause" {
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
