//! Failure modes at delivery: message by message, repeatable, and only where they are enabled.

use std::collections::BTreeSet;

use posthaste_broker::{EventStatus, FailureMode, FailureModeKind};
use posthaste_deliver::Worker;
use posthaste_testkit::receiver::Behaviour;
use tokio_util::sync::CancellationToken;

use crate::post_office::{ORDERS, PostOffice, open_broker, options, until};

fn mode(mode: FailureModeKind) -> FailureMode {
    FailureMode { mode, seed: 7, ..FailureMode::default() }
}

#[tokio::test]
async fn poisoned_payloads_die_as_validation_without_a_call_and_the_others_arrive() {
    let mut office = PostOffice::without_worker(ORDERS).await;
    let poison = FailureMode { percent: Some(50), ..mode(FailureModeKind::PoisonPayload) };
    office.broker.set_failure_mode(poison).await.unwrap();
    let ids = office.publish_many("order", 30).await;
    office.start_worker(options());
    let mut dead = BTreeSet::new();
    for id in ids {
        if office.ended(id).await.status == EventStatus::Failed {
            dead.insert(id);
        }
    }
    assert!((5..=25).contains(&dead.len()), "{} of 30", dead.len());
    for letter in office.letters().await {
        assert_eq!((letter.category.as_str(), letter.code.as_str()), ("VALIDATION", "failure-mode"));
        assert_eq!(letter.receives, 1);
    }
    assert_eq!(office.receiver.counts().requests as usize, 30 - dead.len());
}

#[tokio::test]
async fn random_failures_hit_attempts_open_no_breaker_and_end_when_the_mode_is_switched_off() {
    for kind in ["webhook", "function"] {
        let orders = ORDERS.replace("max_receives = 3", "max_receives = 50");
        let office = PostOffice::open(&format!("{orders}\nkind = \"{kind}\"\n")).await;
        let always = FailureMode { percent: Some(100), ..mode(FailureModeKind::RandomFailP30) };
        office.broker.set_failure_mode(always).await.unwrap();
        let ids = office.publish_many("order", 5).await;
        let has_failed_twice = async || {
            let event = office.broker.show_event(ids[0]).await.unwrap();
            (event.attempts.len() >= 2).then_some(event)
        };
        let event = until("two failed attempts", has_failed_twice).await;
        assert!(event.attempts.iter().all(|attempt| attempt.category.as_deref() == Some("TRANSIENT")));
        assert_eq!(office.receiver.counts().requests, 0);
        office.broker.set_failure_mode(mode(FailureModeKind::None)).await.unwrap();
        office.all_delivered(&ids).await;
        assert_eq!(office.broker.get_endpoint("shop").await.unwrap().breaker, None);
    }
}

#[tokio::test]
async fn poisoned_payloads_close_no_breaker() {
    let breaker = "in_flight_max = 1\nbreaker = { open_ms = 300, trials = 1 }\n";
    let orders = ORDERS.replace("max_receives = 3", "max_receives = 50");
    let office = PostOffice::open(&format!("{orders}\n{breaker}")).await;
    office.receiver.behave("/shop", Behaviour::answer(503));
    let ids = office.publish_many("order", 6).await;
    let is_open = async || {
        let breaker = office.broker.get_endpoint("shop").await.unwrap().breaker?;
        (breaker["state"] == "open").then_some(())
    };
    until("the breaker to open", is_open).await;
    office.broker.set_failure_mode(mode(FailureModeKind::PoisonPayload)).await.unwrap();
    for id in ids {
        office.died(id).await;
    }
    assert_eq!(is_open().await, Some(()), "nobody has tried whether the endpoint is well");
}

#[tokio::test]
async fn mode_of_another_endpoint_is_none_of_this_ones_business() {
    let more = "[endpoints.mail]\nurl = \"{receiver}/mail\"\n";
    let office = PostOffice::open(&format!("{ORDERS}{more}")).await;
    let poison = FailureMode { endpoint: Some("mail".into()), ..mode(FailureModeKind::PoisonPayload) };
    office.broker.set_failure_mode(poison).await.unwrap();
    let ids = office.publish_many("order", 5).await;
    office.all_delivered(&ids).await;
}

#[tokio::test]
async fn slow_downstream_is_cut_off_at_the_worker_timeout() {
    let orders = ORDERS.replace("max_receives = 3", "max_receives = 1\nworker_timeout_seconds = 1");
    let office = PostOffice::open(&orders).await;
    let slow = FailureMode { delay_ms: Some(60_000), ..mode(FailureModeKind::SlowDownstream) };
    office.broker.set_failure_mode(slow).await.unwrap();
    let id = office.publish("order").await.id;
    let (letter, _) = office.died(id).await;
    assert_eq!((letter.category.as_str(), letter.code.as_str()), ("TIMEOUT", "timeout"));
}

#[tokio::test]
async fn node_without_failure_modes_ignores_one_that_is_switched_on() {
    let office = PostOffice::without_worker(ORDERS).await;
    office.broker.set_failure_mode(mode(FailureModeKind::PoisonPayload)).await.unwrap();
    let id = office.publish("order").await.id;
    let plain = open_broker(&office.db, false).await;
    assert!(plain.set_failure_mode(mode(FailureModeKind::None)).await.is_err());
    let stop = CancellationToken::new();
    let worker = Worker::start(plain, options(), stop.clone()).unwrap();
    office.delivered(id).await;
    stop.cancel();
    worker.await.unwrap();
}
