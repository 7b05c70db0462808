//! A node whose clock jumps: leases, due times and retention are the database's business, so nothing is lost by it.

use jiff::SignedDuration;
use posthaste_testkit::receiver::Behaviour;

use crate::post_office::{LONG, ORDERS, PostOffice};

/// The clock jumps while messages are retried and the breaker of their endpoint is open; all arrive, none dies.
async fn check_jump(by: SignedDuration) {
    let orders = ORDERS.replace("max_receives = 3", "max_receives = 20");
    let office =
        PostOffice::open(&format!("{orders}\nin_flight_max = 1\nbreaker = {{ open_ms = 300 }}\n")).await;
    office.receiver.behave("/shop", Behaviour::answer(200).fail_first(6, 503));
    let mut ids = office.publish_many("order", 6).await;
    office.receiver.wait_for(5, LONG).await.unwrap();
    office.broker.clock().jump(by);
    ids.extend(office.publish_many("order", 6).await);
    office.all_delivered(&ids).await;
    office.broker.clock().jump(-by);
    let after = office.publish_many("order", 3).await;
    office.all_delivered(&after).await;
    assert!(office.letters().await.is_empty());
    assert!(office.calls("/shop").iter().all(|call| call.overlap.is_none()));
    office.emptied("normal").await;
}

#[tokio::test]
async fn clock_that_jumps_beyond_the_retention_kills_nothing() {
    check_jump(SignedDuration::from_hours(24 * 40)).await;
}

#[tokio::test]
async fn clock_that_jumps_back_holds_nothing_up() {
    check_jump(SignedDuration::from_hours(-30)).await;
}
