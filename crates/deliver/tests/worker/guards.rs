//! What stands before an endpoint: breaker, bulkhead, rate limit, pause.

use std::collections::HashMap;
use std::time::Duration;

use posthaste_broker::{Broker, EndpointPatch};
use posthaste_deliver::Worker;
use posthaste_engine::breaker::{Shared, State};
use posthaste_testkit::receiver::Behaviour;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::post_office::{LONG, ORDERS, PostOffice, open_broker, options, until};

/// One call at a time, so that it is known how many were made when the breaker opened.
fn with_breaker() -> String {
    let orders = ORDERS.replace("max_receives = 3", "max_receives = 20");
    format!("{orders}\nin_flight_max = 1\nbreaker = {{ open_ms = 800, trials = 2, calls_min = 100 }}\n")
}

/// Whether the breaker is open, as the other nodes are told.
async fn is_shared_as(office: &PostOffice, state: &str) -> Option<()> {
    let breaker = office.broker.get_endpoint("shop").await.unwrap().breaker?;
    (breaker["state"] == state).then_some(())
}

/// No receive was counted for which there was no call.
fn check_receives_are_calls(office: &PostOffice) {
    let mut calls: HashMap<String, Vec<usize>> = HashMap::new();
    for call in office.calls("/shop") {
        let receive = call.header("posthaste-attempt").unwrap().parse().unwrap();
        calls.entry(call.header("webhook-id").unwrap().to_owned()).or_default().push(receive);
    }
    for (id, receives) in calls {
        assert_eq!(receives, (1..=receives.len()).collect::<Vec<_>>(), "{id}");
    }
}

#[tokio::test]
async fn breaker_opens_after_five_failures_in_a_row_holds_messages_and_closes_after_trials() {
    let office = PostOffice::open(&with_breaker()).await;
    office.receiver.behave("/shop", Behaviour::answer(503));
    let ids = office.publish_many("order", 12).await;
    until("the breaker to open", async || is_shared_as(&office, "open").await).await;
    assert_eq!(office.receiver.counts().requests, 5);
    office.receiver.behave("/shop", Behaviour::answer(200));
    office.all_delivered(&ids).await;
    until("the breaker to close", async || is_shared_as(&office, "closed").await).await;
    let calls = office.calls("/shop");
    assert_eq!(calls.len(), 5 + 12);
    let pause = calls[5].at.duration_since(calls[4].at);
    assert!(pause >= Duration::from_millis(780), "no call while it is open, and one came after {pause:?}");
    check_receives_are_calls(&office);
    assert!(office.letters().await.is_empty());
}

#[tokio::test]
async fn failing_trial_opens_the_breaker_again() {
    let office = PostOffice::open(&with_breaker().replace("open_ms = 800", "open_ms = 400")).await;
    office.receiver.behave("/shop", Behaviour::answer(200).fail_first(7, 503));
    let ids = office.publish_many("order", 6).await;
    office.all_delivered(&ids).await;
    let calls = office.calls("/shop");
    assert_eq!(calls.len(), 7 + 6);
    for trial in [5, 6, 7] {
        let pause = calls[trial].at.duration_since(calls[trial - 1].at);
        assert!(pause >= Duration::from_millis(390), "call {trial} came after {pause:?}");
    }
    check_receives_are_calls(&office);
}

#[tokio::test]
async fn worker_that_starts_takes_over_an_open_breaker() {
    let mut office = PostOffice::open(&with_breaker().replace("open_ms = 800", "open_ms = 60000")).await;
    office.receiver.behave("/shop", Behaviour::answer(503));
    office.publish_many("order", 8).await;
    until("the breaker to open", async || is_shared_as(&office, "open").await).await;
    office.stop_worker().await;
    office.receiver.clear();
    office.broker.refresh_catalog().await.unwrap();
    office.start_worker(options());
    office.publish("order").await;
    let all_put_off = async || (office.depth("normal").await.delayed == 9).then_some(());
    until("all to be put off", all_put_off).await;
    assert_eq!(office.receiver.counts().requests, 0);
}

/// Another node over the same database, with its worker and its listener at work.
async fn start_second(office: &PostOffice) -> (Broker, CancellationToken, JoinHandle<()>) {
    let (broker, stop) = (open_broker(&office.db, false).await, CancellationToken::new());
    let worker = Worker::start(broker.clone(), options(), stop.clone()).unwrap();
    let (listener, listening) = (broker.clone(), stop.clone());
    tokio::spawn(async move { listener.run_listener(listening).await });
    (broker, stop, worker)
}

#[tokio::test]
async fn breaker_that_opens_holds_the_messages_of_another_node() {
    let mut office =
        PostOffice::without_worker(&with_breaker().replace("open_ms = 800", "open_ms = 60000")).await;
    let (second, stop, worker) = start_second(&office).await;
    // The second one has called it before it fails, by itself.
    let ids = office.publish_many("order", 3).await;
    office.all_delivered(&ids).await;
    office.receiver.behave("/shop", Behaviour::answer(503));
    office.start_worker(options());
    office.publish_many("order", 20).await;
    let is_told = || {
        let told = second.catalog().endpoint("shop").ok()?.breaker.clone()?;
        (told["state"] == "open").then_some(())
    };
    until("the second one to be told", async || is_told()).await;
    office.stop_worker().await;
    office.receiver.clear();
    office.publish_many("order", 20).await;
    let all_put_off = async || (office.depth("normal").await.delayed == 40).then_some(());
    until("all to be put off", all_put_off).await;
    assert_eq!(office.receiver.counts().requests, 0);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn worker_goes_by_what_another_says_of_a_breaker_and_by_the_newest_of_it() {
    let office = PostOffice::open(ORDERS).await;
    let first = office.publish("order").await.id;
    office.delivered(first).await;
    let shop = office.broker.catalog().endpoint("shop").unwrap().id;
    let now_ms = office.broker.database_now().await.unwrap().as_millisecond();
    let say = async |state, after_ms| {
        let shared = Shared { state, changed_at_ms: now_ms + after_ms };
        office.broker.share_breaker(shop, &shared).await.unwrap();
        office.broker.refresh_catalog().await.unwrap();
    };
    let open = State::Open { until_ms: now_ms + 60_000, opened_at_ms: now_ms + 10, trips: 1 };
    say(open, 10).await;
    office.publish("order").await;
    until("it to be put off", async || (office.depth("normal").await.delayed == 1).then_some(())).await;
    say(State::Closed, 20).await;
    // What was said before, and is told late.
    say(open, 15).await;
    let last = office.publish("order").await.id;
    office.delivered(last).await;
    assert_eq!(is_shared_as(&office, "closed").await, Some(()));
    // A clock that was far ahead is not believed for as long.
    say(open, 600_000).await;
    say(State::Closed, 30).await;
    assert_eq!(is_shared_as(&office, "closed").await, Some(()));
}

#[tokio::test]
async fn no_more_calls_are_open_than_the_endpoint_takes() {
    let mut office = PostOffice::without_worker(&format!("{ORDERS}\nin_flight_max = 3\n")).await;
    office.receiver.behave("/shop", Behaviour::answer(200).delay_ms(50));
    let ids = office.publish_many("order", 30).await;
    office.start_worker(options());
    office.all_delivered(&ids).await;
    assert_eq!(office.receiver.open_max("/shop"), 3);
    check_receives_are_calls(&office);
}

#[tokio::test]
async fn calls_keep_to_the_rate() {
    let office = PostOffice::open(&format!("{ORDERS}\nrate = {{ per_second = 10, burst = 3 }}\n")).await;
    let ids = office.publish_many("order", 13).await;
    office.all_delivered(&ids).await;
    let calls = office.calls("/shop");
    assert_eq!(calls.len(), 13);
    for (i, first) in calls.iter().enumerate() {
        for (n, last) in calls[i..].iter().enumerate().skip(3) {
            let least = Duration::from_millis((n as u64 + 1 - 3) * 100 - 60);
            let took = last.at.duration_since(first.at);
            assert!(took >= least, "{} calls in {took:?}", n + 1);
        }
    }
    check_receives_are_calls(&office);
}

#[tokio::test]
async fn paused_endpoint_is_not_called_and_its_messages_come_at_once_when_it_is_resumed() {
    let mut office = PostOffice::open(ORDERS).await;
    let paused = |paused| EndpointPatch { paused: Some(paused), ..EndpointPatch::default() };
    office.broker.update_endpoint("shop", paused(true)).await.unwrap();
    let id = office.publish("order").await.id;
    until("it to be put off", async || (office.depth("normal").await.delayed == 1).then_some(())).await;
    assert_eq!(office.receiver.counts().requests, 0);
    // As it is when the pause has lasted.
    office.sql("update posthaste.deferred set visible_at = posthaste.now() + interval '10 minutes'").await;
    office.broker.update_endpoint("shop", paused(false)).await.unwrap();
    let event = office.delivered(id).await;
    assert_eq!(event.attempts[0].receive, 1);
    office.receiver.wait_for(1, LONG).await.unwrap();
    office.stop_worker().await;
}
