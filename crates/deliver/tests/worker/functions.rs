//! Batches to functions: what the answer names as failed comes again, and nothing else.

use std::collections::BTreeMap;

use bytes::Bytes;
use posthaste_broker::{EventIn, Payload};
use posthaste_testkit::receiver::{Behaviour, Received};
use serde_json::Value;

use crate::post_office::{ORDERS, PostOffice, options, until};

fn function() -> String {
    let orders = ORDERS.replace("[queues.normal]", "[queues.normal]\nmax_concurrency = 20\nbatch = 50");
    format!("{orders}\nkind = \"function\"\nbatch = 10\n")
}

fn messages(body: &[u8]) -> Vec<Value> {
    serde_json::from_slice::<Value>(body).unwrap()["messages"].as_array().unwrap().clone()
}

/// Fails, at their first receive, those whose payload says so.
fn fail_some(body: &[u8]) -> Bytes {
    let failed: Vec<_> = messages(body)
        .into_iter()
        .filter(|message| message["payload"]["fails"] == true && message["receives"] == 1)
        .map(|message| message["id"].clone())
        .collect();
    serde_json::json!({ "failed": failed }).to_string().into()
}

async fn publish(office: &PostOffice, count: usize) -> Vec<posthaste_base::EventId> {
    let mut ids = Vec::new();
    for n in 0..count {
        let text = format!(r#"{{"n": {n}, "fails": {}}}"#, n % 5 == 0);
        let event =
            EventIn { event_type: Some("order".into()), ..EventIn::of(Payload::json(text.into()).unwrap()) };
        ids.push(office.broker.publish(event).await.unwrap().id);
    }
    ids
}

#[tokio::test]
async fn only_the_messages_that_a_function_names_as_failed_come_again() {
    let mut office = PostOffice::without_worker(&function()).await;
    office.receiver.behave("/shop", Behaviour::reply(fail_some));
    let ids = publish(&office, 25).await;
    office.start_worker(options());
    office.all_delivered(&ids).await;
    let mut receives: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for call in office.calls("/shop") {
        let messages = messages(&call.body);
        assert!(messages.len() <= 10, "a batch of {}", messages.len());
        for message in messages {
            assert_eq!((&message["type"], message["key"].is_string()), (&Value::from("order"), true));
            // Without an id of a caller's, it is that of the event's own trace.
            let correlation = message["correlationId"].as_str().unwrap();
            assert!(ids.iter().any(|id| id.0.simple().to_string() == correlation), "{correlation}");
            let n = message["payload"]["n"].as_i64().unwrap();
            receives.entry(n).or_default().push(message["receives"].as_u64().unwrap());
        }
    }
    for (n, receives) in &receives {
        assert_eq!(receives, if n % 5 == 0 { &[1, 2][..] } else { &[1][..] }, "message {n}");
    }
    assert_eq!(receives.len(), 25);
    let failed = office.broker.show_event(ids[0]).await.unwrap();
    let first = failed.attempts.iter().find(|attempt| attempt.receive == 1).unwrap();
    assert_eq!(
        (first.category.as_deref(), first.code.as_deref()),
        (Some("PROCESSING"), Some("named-as-failed"))
    );
    assert!(office.calls("/shop").len() < 25, "messages go together");
}

#[tokio::test]
async fn function_that_fails_as_a_whole_gets_all_of_its_messages_again() {
    let mut office = PostOffice::without_worker(&function()).await;
    office.receiver.behave("/shop", Behaviour::answer(200).fail_first(1, 500));
    let ids = publish(&office, 8).await;
    office.start_worker(options());
    office.all_delivered(&ids).await;
    for id in ids {
        assert_eq!(office.broker.show_event(id).await.unwrap().attempts.len(), 2);
    }
}

#[tokio::test]
async fn answer_too_long_to_be_read_settles_nothing() {
    let mut office = PostOffice::without_worker(&function()).await;
    office.receiver.behave("/shop", Behaviour::huge_body(200_000));
    let ids = publish(&office, 2).await;
    office.start_worker(options());
    for id in ids {
        let (letter, _) = office.died(id).await;
        assert_eq!((letter.category.as_str(), letter.code.as_str()), ("PROCESSING", "answer-too-long"));
    }
}

#[tokio::test]
async fn large_messages_go_in_smaller_batches() {
    let mut office = PostOffice::without_worker(&function()).await;
    office.receiver.behave("/shop", Behaviour::answer(200));
    let mut ids = Vec::new();
    for n in 0..7 {
        let text = format!(r#"{{"n": {n}, "text": "{}"}}"#, "x".repeat(100_000));
        let event =
            EventIn { event_type: Some("order".into()), ..EventIn::of(Payload::json(text.into()).unwrap()) };
        ids.push(office.broker.publish(event).await.unwrap().id);
    }
    office.start_worker(options());
    office.all_delivered(&ids).await;
    let sizes: Vec<_> = office.calls("/shop").iter().map(|call| messages(&call.body).len()).collect();
    assert!(sizes.iter().all(|size| *size <= 2) && sizes.iter().sum::<usize>() == 7, "{sizes:?}");
}

/// The function with a window, and in the NORMAL queue beside it a webhook of its own topic.
fn collecting(settings: &str) -> String {
    let webhook = "[types.note]\npriority = \"NORMAL\"\n[subscriptions.notes]\ntopic = \"note\"\n\
        endpoint = \"notes\"\n[endpoints.notes]\nurl = \"{receiver}/notes\"\n";
    format!("{}\n{settings}\n{webhook}", ORDERS.replace("url =", "kind = \"function\"\nurl ="))
}

/// Publishes orders one after the other, each when the one before is under a lease already.
async fn publish_apart(office: &PostOffice, count: usize) -> Vec<posthaste_base::EventId> {
    let mut ids = Vec::new();
    for n in 1..=count {
        ids.push(office.publish("order").await.id);
        if n < count {
            let is_leased = async || (office.depth("normal").await.in_flight as usize == n).then_some(());
            until("the message to be collected", is_leased).await;
        }
    }
    ids
}

/// The sizes of the function's calls, each message at its first receive.
fn sizes(office: &PostOffice) -> Vec<usize> {
    let size = |call: &Received| {
        let messages = messages(&call.body);
        assert!(messages.iter().all(|message| message["receives"] == 1), "{messages:?}");
        messages.len()
    };
    office.calls("/shop").iter().map(size).collect()
}

#[tokio::test]
async fn window_collects_what_comes_one_by_one_and_ends_when_the_batch_is_full() {
    let office = PostOffice::open(&collecting("batch = 3\nbatch_window_seconds = 20")).await;
    let ids = publish_apart(&office, 3).await;
    office.all_delivered(&ids).await;
    assert_eq!(sizes(&office), [3]);
}

#[tokio::test]
async fn window_that_ends_sends_what_it_has() {
    let office = PostOffice::open(&collecting("batch = 100\nbatch_window_seconds = 1")).await;
    let id = office.publish("order").await.id;
    office.delivered(id).await;
    assert_eq!(sizes(&office), [1]);
}

#[tokio::test]
async fn what_a_window_holds_delays_nobody_and_is_delivered_when_the_worker_stops() {
    let queue = "[queues.normal]\nmax_concurrency = 1\nbatch = 1";
    let declaration = collecting("batch = 100\nbatch_window_seconds = 20").replace("[queues.normal]", queue);
    let mut office = PostOffice::open(&declaration).await;
    let mut ids = publish_apart(&office, 2).await;
    let note = office.publish("note").await.id;
    office.delivered(note).await;
    assert!(office.calls("/shop").is_empty(), "the window is open");
    office.stop_worker().await;
    ids.push(note);
    office.all_delivered(&ids).await;
    assert_eq!(sizes(&office), [2]);
}

#[tokio::test]
async fn window_ends_before_the_leases_do() {
    let mut office = PostOffice::without_worker(&collecting("batch = 100")).await;
    // Longer than a declaration may.
    office
        .sql("update posthaste.endpoint set settings = settings || '{\"batch_window_seconds\": 300}'")
        .await;
    // As long as the worker's timeout and what settling takes: nothing is left to collect in.
    office.shorten_leases("normal", 130).await;
    let id = office.publish("order").await.id;
    office.start_worker(options());
    office.delivered(id).await;
}
