//! Receivers that hang, reset, fail, and answer when the lease has run out.

use posthaste_testkit::receiver::Behaviour;

use super::site::{LONG, Site};
use super::traffic::Traffic;

#[tokio::test(flavor = "multi_thread")]
async fn late_answers_are_of_leases_that_have_run_out_and_change_nothing() {
    let (site, node) = Site::open().await;
    site.receiver.behave("/shop", Behaviour::answer(200).delay_first_ms(10, 4_500));
    Traffic::start(&site.ledger, &[&node], 80, 1).sent().await;
    site.receiver.wait_until(LONG, |counts| counts.duplicates >= 10).await.unwrap();
    site.check_all_ended().await;
}

/// Four endpoints get every event: all of them end, and none of them keeps the others from it.
#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_reset_or_fail_hold_up_nothing_but_themselves() {
    let mut more = String::new();
    for (name, settings) in
        [("hanging", "timeout_ms = 400"), ("resetting", ""), ("failing", ""), ("refusing", "")]
    {
        more += &format!(
            "[endpoints.{name}]\nurl = \"{{receiver}}/{name}\"\n{settings}\n\
             breaker = {{ open_ms = 100 }}\n\
             [subscriptions.{name}]\ntopic = \"order\"\nendpoint = \"{name}\"\n"
        );
    }
    let (site, node) = Site::open_with(&more).await;
    let pool = site.pool().await;
    let few = "update posthaste.queue set max_receives = 2 where name = 'normal'";
    pool.get().await.unwrap().batch_execute(&format!("{few}; notify posthaste, 'catalog'")).await.unwrap();
    site.receiver.behave("/hanging", Behaviour::hang());
    site.receiver.behave("/resetting", Behaviour::reset());
    site.receiver.behave("/failing", Behaviour::answer(200).fail_randomly(0.3, 500, 11));
    site.receiver.behave("/refusing", Behaviour::answer(422));
    Traffic::start(&site.ledger, &[&node], 20, 1).sent().await;
    site.receiver.wait_until(LONG, |counts| counts.succeeded_keys >= 20).await.unwrap();
    site.check_all_ended().await;
}
