//! A clean stop: no more is taken, what is under way is finished or given back, nothing is lost.

use std::time::Duration;

use posthaste_deliver::WorkerOptions;
use posthaste_testkit::receiver::Behaviour;

use crate::post_office::{LONG, ORDERS, PostOffice, options, until};

/// Nothing is kept until its lease runs out, which takes minutes.
async fn all_back(office: &PostOffice) {
    let is_back = async || (office.depth("normal").await.in_flight == 0).then_some(());
    until("all others to be given back", is_back).await;
}

#[tokio::test]
async fn stop_finishes_what_is_under_way_and_leaves_the_rest_to_the_next_worker() {
    let mut office = PostOffice::open(&format!("{ORDERS}\nin_flight_max = 5\n")).await;
    office.receiver.behave("/shop", Behaviour::answer(200).delay_ms(100));
    let ids = office.publish_many("order", 40).await;
    office.receiver.wait_until(LONG, |counts| counts.succeeded >= 3).await.unwrap();
    office.stop_worker().await;
    let at_stop = office.receiver.counts();
    assert_eq!(at_stop.answered, at_stop.requests, "what was begun was finished");
    assert!(at_stop.requests < 40);
    all_back(&office).await;
    office.start_worker(options());
    office.all_delivered(&ids).await;
    let counts = office.receiver.counts();
    assert_eq!((counts.requests, counts.duplicates), (40, 0));
    office.emptied("normal").await;
}

#[tokio::test]
async fn attempts_that_outlast_the_drain_are_given_back() {
    let mut office = PostOffice::without_worker(ORDERS).await;
    office.start_worker(WorkerOptions { drain: Duration::from_millis(100), ..options() });
    office.receiver.behave("/shop", Behaviour::hang());
    let ids = office.publish_many("order", 5).await;
    office.receiver.wait_for(5, LONG).await.unwrap();
    office.stop_worker().await;
    assert_eq!(office.depth("normal").await.in_flight, 0);
    office.receiver.behave("/shop", Behaviour::answer(200));
    office.start_worker(options());
    office.all_delivered(&ids).await;
    assert!(office.calls("/shop").iter().all(|call| call.overlap.is_none()));
}

#[tokio::test]
async fn worker_that_stops_while_messages_come_keeps_none_of_them() {
    let mut office = PostOffice::without_worker(ORDERS).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        office.start_worker(options());
        ids.extend(office.publish_many("order", 3).await);
        office.stop_worker().await;
        all_back(&office).await;
    }
    office.start_worker(options());
    office.all_delivered(&ids).await;
    assert_eq!(office.receiver.counts().duplicates, 0);
}
