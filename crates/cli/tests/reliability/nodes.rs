//! Nodes that are killed, frozen, replaced, and two at a time.

use std::time::Duration;

use posthaste_testkit::receiver::Behaviour;

use super::site::{LEASE, LONG, Site};
use super::traffic::{Random, Traffic};

#[tokio::test(flavor = "multi_thread")]
async fn node_that_is_killed_in_the_middle_of_delivery_loses_nothing() {
    let mut random = Random::seeded(1);
    let (mut site, mut node) = Site::open().await;
    site.receiver.behave("/shop", Behaviour::answer(200).delay_ms(30).fail_randomly(0.1, 503, 5));
    for _ in 0..3 {
        let before = site.receiver.counts().requests;
        let traffic = Traffic::start(&site.ledger, &[&node], 100, 2);
        let n_calls = random.between(5, 80);
        site.receiver.wait_until(LONG, |counts| counts.requests >= before + n_calls).await.unwrap();
        node.kill().await;
        traffic.sent().await;
        node = site.start_node().await;
    }
    site.check_all_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_the_work_and_one_takes_over_when_the_other_is_killed() {
    let (mut site, first) = Site::open().await;
    let second = site.start_node().await;
    site.receiver.behave("/shop", Behaviour::answer(200).delay_ms(20));
    let traffic = Traffic::start(&site.ledger, &[&first, &second], 240, 4);
    site.receiver.wait_until(LONG, |counts| counts.requests >= 60).await.unwrap();
    // The first has led since it was alone.
    first.kill().await;
    traffic.sent().await;
    let traffic = Traffic::start(&site.ledger, &[&second], 50, 1);
    traffic.sent().await;
    site.check_all_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_was_frozen_beyond_its_leases_settles_nothing_of_others() {
    let (mut site, first) = Site::open().await;
    let second = site.start_node().await;
    site.receiver.behave("/shop", Behaviour::answer(200).delay_ms(60));
    let traffic = Traffic::start(&site.ledger, &[&second], 150, 2);
    site.receiver.wait_until(LONG, |counts| counts.requests >= 40).await.unwrap();
    first.freeze();
    // This is the time that is tested: leases run out, and the lead too.
    tokio::time::sleep(LEASE + Duration::from_millis(2_500)).await;
    traffic.sent().await;
    first.thaw();
    let traffic = Traffic::start(&site.ledger, &[&first, &second], 60, 2);
    traffic.sent().await;
    site.check_all_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_replaced_one_after_the_other_and_nothing_is_delivered_twice() {
    let (mut site, mut node) = Site::open().await;
    site.receiver.behave("/shop", Behaviour::answer(200).delay_ms(20));
    for _ in 0..2 {
        let next = site.start_node().await;
        let traffic = Traffic::start(&site.ledger, &[&next], 60, 2);
        let before = site.receiver.counts().requests;
        site.receiver.wait_until(LONG, |counts| counts.requests >= before + 20).await.unwrap();
        node.end().await;
        traffic.sent().await;
        node = next;
    }
    let n_accepted = site.ledger.accepted().len();
    assert_eq!((n_accepted, site.ledger.refused()), (120, 0));
    let shop = |requests: Vec<posthaste_testkit::receiver::Received>| {
        requests.iter().filter(|request| request.path == "/shop").count()
    };
    site.receiver.wait_until(LONG, |_| shop(site.receiver.requests()) >= 120).await.unwrap();
    assert_eq!(shop(site.receiver.requests()), 120, "what a node gives back it has not called");
    site.check_all_ended().await;
}
