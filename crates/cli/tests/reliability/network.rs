//! Connections between a node and its database that are cut, held up, reset, and refused.

use std::time::Duration;

use posthaste_testkit::proxy::Fault;
use posthaste_testkit::receiver::Behaviour;

use super::site::{LONG, Site};
use super::traffic::{Random, Traffic};

/// Sends events while each of the faults lasts for a while, and lets everything through in between.
async fn check_faults(seed: u64, faults: impl Fn(&mut Random) -> Vec<Fault>) {
    let mut random = Random::seeded(seed);
    let (site, node) = Site::open().await;
    site.receiver.behave("/shop", Behaviour::answer(200).delay_ms(20));
    for fault in faults(&mut random) {
        let before = site.receiver.counts().requests;
        let traffic = Traffic::start(&site.ledger, &[&node], 80, 2);
        let n_calls = random.between(5, 50);
        site.receiver.wait_until(LONG, |counts| counts.requests >= before + n_calls).await.unwrap();
        site.proxy.set(fault);
        tokio::time::sleep(Duration::from_millis(random.between(300, 900))).await;
        site.proxy.set(Fault::Pass);
        traffic.sent().await;
    }
    site.check_all_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset_or_refused_come_back() {
    check_faults(3, |_| vec![Fault::Reset, Fault::Refuse]).await;
}

/// The answer to COMMIT is lost as often as any other, so what was asked for may have happened.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_in_the_middle_of_an_answer_lose_and_double_nothing() {
    let cut = |random: &mut Random| Fault::DropAfter { bytes: random.between(1, 4_000) };
    check_faults(4, |random| (0..4).map(|_| cut(random)).collect()).await;
}

/// What was swallowed is never answered, and the network never says so: the node has to give it up by itself.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fall_silent_or_are_slow_hold_things_up_and_no_more() {
    check_faults(5, |_| vec![Fault::BlackHole, Fault::Delay { delay_ms: 40 }]).await;
}
