//! A database server that is killed, and one that is stopped, while events come in and go out.

use std::time::Duration;

use posthaste_pg::local::Shutdown;
use posthaste_testkit::receiver::Behaviour;

use super::site::{LONG, Site};
use super::traffic::{Random, Traffic};

#[tokio::test(flavor = "multi_thread")]
async fn killed_database_keeps_what_was_accepted() {
    let mut random = Random::seeded(2);
    let (mut site, node) = Site::open().await;

    site.receiver.behave("/shop", Behaviour::answer(200).delay_ms(20));
    for _ in 0..2 {
        let before = site.receiver.counts().requests;
        let traffic = Traffic::start(&site.ledger, &[&node], 150, 2);
        let n_calls = random.between(10, 90);
        site.receiver.wait_until(LONG, |counts| counts.requests >= before + n_calls).await.unwrap();
        site.server.kill().await;
        tokio::time::sleep(Duration::from_millis(random.between(0, 500))).await;
        site.server.restart().await;
        traffic.sent().await;
    }
    site.check_all_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_restarts_for_maintenance_holds_things_up_and_no_more() {
    let (mut site, node) = Site::open().await;

    for how in [Shutdown::Fast, Shutdown::Immediate] {
        let traffic = Traffic::start(&site.ledger, &[&node], 100, 2);
        let before = site.receiver.counts().requests;
        site.receiver.wait_until(LONG, |counts| counts.requests >= before + 30).await.unwrap();
        site.server.stop(how).await;
        site.server.restart().await;
        traffic.sent().await;
    }
    site.check_all_ended().await;
}
