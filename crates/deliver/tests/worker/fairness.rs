//! Who waits for whom: no endpoint for another, no urgent message for one that is not.

use posthaste_deliver::WorkerOptions;
use posthaste_testkit::receiver::Behaviour;

use crate::post_office::{LONG, PostOffice, options, until};

const FOUR: &str = r#"
    [types.critical]
    priority = "CRITICAL"
    [types.high]
    priority = "HIGH"
    [types.normal]
    priority = "NORMAL"
    [types.low]
    priority = "LOW"
    [types.other]
    priority = "NORMAL"
    [endpoints.stalled]
    url = "{receiver}/stalled"
    timeout_ms = 30000
    in_flight_max = 10
    [endpoints.well]
    url = "{receiver}/well"
    [subscriptions.critical]
    topic = "critical"
    endpoint = "well"
    [subscriptions.high]
    topic = "high"
    endpoint = "well"
    [subscriptions.normal]
    topic = "normal"
    endpoint = "well"
    [subscriptions.low]
    topic = "low"
    endpoint = "stalled"
    [subscriptions.other]
    topic = "other"
    endpoint = "stalled"
"#;

fn few_places(attempts_max: u32) -> WorkerOptions {
    WorkerOptions { attempts_max, ..options() }
}

#[tokio::test]
async fn stalled_endpoint_delays_no_other_of_the_same_queue() {
    let office = PostOffice::open(FOUR).await;
    office.receiver.behave("/stalled", Behaviour::hang());
    office.publish_many("other", 150).await;
    office.receiver.wait_until(LONG, |counts| counts.requests >= 10).await.unwrap();
    let ids = office.publish_many("normal", 50).await;
    office.all_delivered(&ids).await;
    let stalled = office.calls("/stalled");
    assert!(
        stalled.iter().all(|call| call.is_open),
        "all were delivered before the first stalled call ended"
    );
    assert_eq!(stalled.len(), 10, "the rest waits without a place");
}

#[tokio::test]
async fn low_messages_that_take_all_they_can_delay_no_others() {
    let mut office =
        PostOffice::without_worker(&FOUR.replace("in_flight_max = 10", "in_flight_max = 1000")).await;
    office.start_worker(few_places(12));
    office.receiver.behave("/stalled", Behaviour::hang());
    office.publish_many("low", 30).await;
    // Until they have all places that are for them: those that all share, and their own.
    let mut most = 0;
    let is_full = async || {
        most = office.receiver.counts().requests;
        (most >= 1 && office.depth("low").await.visible > 0).then_some(())
    };
    until("low to be full", is_full).await;
    for event_type in ["critical", "high", "normal"] {
        let ids = office.publish_many(event_type, 5).await;
        office.all_delivered(&ids).await;
    }
    assert!(office.calls("/stalled").iter().all(|call| call.is_open), "no low one has ended");
}

#[tokio::test]
async fn node_with_one_place_for_all_still_moves_every_queue() {
    let mut office = PostOffice::without_worker(FOUR).await;
    office.start_worker(few_places(1));
    for event_type in ["low", "critical", "other", "high", "normal"] {
        let ids = office.publish_many(event_type, 3).await;
        office.all_delivered(&ids).await;
    }
}

#[tokio::test]
async fn more_urgent_messages_are_published_and_delivered_first() {
    let mut office = PostOffice::without_worker(FOUR).await;
    office.publish_many("normal", 30).await;
    office.publish_many("critical", 3).await;
    office.start_worker(few_places(4));
    office.receiver.behave("/well", Behaviour::answer(200).delay_ms(20));
    office.receiver.wait_until(LONG, |counts| counts.succeeded == 33).await.unwrap();
    let kinds = office.calls("/well");
    let last_critical =
        kinds.iter().rposition(|call| call.header("posthaste-event-type") == Some("critical")).unwrap();
    assert!(last_critical < 15, "the last critical one was call {last_critical} of 33");
}
