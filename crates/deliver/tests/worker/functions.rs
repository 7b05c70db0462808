//! Batches to functions: what the answer names as failed comes again, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use posthaste_broker::{EventIn, Payload};
use posthaste_testkit::receiver::{Behaviour, Received};
use serde_json::Value;

use crate::post_office::{LONG, ORDERS, PostOffice, options, until};

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
async fn answer_that_cannot_be_understood_settles_nothing() {
    let office = PostOffice::open(&function()).await;
    let check = async |behaviour: Behaviour, code: &str| {
        office.receiver.behave("/shop", behaviour);
        for id in office.publish_many("order", 2).await {
            let event = office.ended(id).await;
            let told = event.attempts.iter().map(|one| (one.category.as_deref(), one.code.as_deref()));
            // It is tried as often as it may be.
            assert_eq!(told.collect::<Vec<_>>(), [(Some("PROCESSING"), Some(code)); 3]);
        }
    };
    check(Behaviour::answer(200).body(r#"{"failed":[17]}"#), "answer-unreadable").await;
    check(Behaviour::answer(200).body(r#"{"failed":["msg_0"]}"#), "answer-unreadable").await;
    check(Behaviour::cut_body(), "answer-cut-off").await;
}

/// Whether a message of the batch is one that the function cannot stand.
fn has_bad(body: &[u8]) -> bool {
    messages(body).iter().any(|message| message["payload"]["fails"] == true)
}

#[tokio::test]
async fn one_bad_message_costs_the_others_of_its_batch_a_call_and_no_try() {
    let mut office = PostOffice::without_worker(&function()).await;
    office.receiver.behave("/shop", Behaviour::answer(200).refuse_if(has_bad, 422));
    // The first and the sixth are bad.
    let ids = publish(&office, 10).await;
    office.start_worker(options());
    for (n, id) in ids.into_iter().enumerate() {
        if n % 5 == 0 {
            let (letter, attempts) = office.died(id).await;
            assert_eq!((letter.category.as_str(), letter.code.as_str()), ("PERMANENT", "http-422"));
            assert_eq!(attempts.len(), 1);
        } else {
            assert_eq!(office.delivered(id).await.attempts[0].receive, 1);
        }
    }
    let mut keys: Vec<_> =
        office.calls("/shop").iter().map(|call| call.header("webhook-id").unwrap().to_owned()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 11, "ten alone after one together, and each call is another");
}

fn is_together(body: &[u8]) -> bool {
    messages(body).len() > 1
}

#[tokio::test]
async fn what_was_called_for_alone_is_settled_at_once_and_a_stop_begins_no_more() {
    let mut office = PostOffice::without_worker(&function()).await;
    let refuse = || Behaviour::answer(200).refuse_if(is_together, 422);
    office.receiver.behave("/shop", refuse().delay_ms(250));
    let ids = publish(&office, 10).await;
    office.start_worker(options());
    office.receiver.wait_for(2, LONG).await.unwrap();
    let is_done = async || {
        let depth = office.depth("normal").await;
        (depth.visible + depth.in_flight + depth.delayed < 10).then_some(())
    };
    until("the first to be settled", is_done).await;
    assert!(office.calls("/shop").len() < 11, "it is settled before the last is called for");
    office.stop_worker().await;
    assert!(office.calls("/shop").len() < 11, "the others were not begun");
    office.receiver.behave("/shop", refuse());
    office.start_worker(options());
    office.all_delivered(&ids).await;
    let mut alone: Vec<_> = office.calls("/shop").iter().map(|call| messages(&call.body)).collect();
    alone.retain(|messages| messages.len() == 1);
    assert_eq!(alone.len(), 10, "each is called for once");
    assert!(alone.iter().flatten().all(|message| message["receives"] == 1), "and no try was counted");
}

#[tokio::test]
async fn messages_of_a_refused_batch_come_back_alone_when_they_cannot_be_called_at_once() {
    // One call at a time is over only when the next is asked for, and then the rate puts it off.
    let slow = format!("{}\nrate = {{ per_second = 5 }}\n", function());
    let mut office = PostOffice::without_worker(&slow).await;
    office.receiver.behave("/shop", Behaviour::answer(200).refuse_if(has_bad, 400));
    let ids = publish(&office, 4).await;
    office.start_worker(options());
    office.died(ids[0]).await;
    for id in &ids[1..] {
        assert_eq!(office.delivered(*id).await.attempts[0].receive, 1);
    }
    assert_eq!(sizes(&office), [4, 1, 1, 1, 1]);
}

#[tokio::test]
async fn message_that_is_to_go_alone_does_so_after_a_pause_too() {
    let slow = format!("{}\nrate = {{ per_second = 2 }}\n", function());
    let mut office = PostOffice::without_worker(&slow).await;
    office.receiver.behave("/shop", Behaviour::answer(200).refuse_if(is_together, 400));
    let ids = publish(&office, 4).await;
    office.start_worker(options());
    office.receiver.wait_for(1, LONG).await.unwrap();
    office.broker.pause_endpoint("shop").await.unwrap();
    // They come back to the worker meanwhile, which holds them.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    office.broker.resume_endpoint("shop").await.unwrap();
    office.all_delivered(&ids).await;
    assert_eq!(sizes(&office), [4, 1, 1, 1, 1]);
}

#[tokio::test]
async fn function_that_is_paused_or_cannot_be_signed_for_is_not_called() {
    let secret = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    for is_paused in [true, false] {
        let mut office = PostOffice::without_worker(&format!("{}{secret}", function())).await;
        match is_paused {
            true => drop(office.broker.pause_endpoint("shop").await.unwrap()),
            // Sealed by an installation with another key.
            false => office.sql("update posthaste.endpoint set secrets = jsonb_build_array(jsonb_build_object('secret', 'v1:AAAA', 'until', null))").await,
        }
        office.broker.refresh_catalog().await.unwrap();
        publish(&office, 3).await;
        office.start_worker(options());
        until("all to be put off", async || (office.depth("normal").await.delayed == 3).then_some(())).await;
        assert_eq!(office.receiver.counts().requests, 0);
    }
}

#[tokio::test]
async fn function_is_told_what_the_event_says() {
    let mut office = PostOffice::without_worker(&function()).await;
    let out = office
        .publish_as("order", |event| {
            event.attributes = serde_json::json!({"userId": "u-7", "tries": 2}).as_object().unwrap().clone();
            event.subject = Some("u-7".into());
        })
        .await;
    office.start_worker(options());
    office.delivered(out.id).await;
    let message = messages(&office.calls("/shop")[0].body).remove(0);
    assert_eq!(message["eventId"], out.id.to_string());
    assert_eq!(message["priority"], "NORMAL");
    assert_eq!(message["attributes"], serde_json::json!({"userId": "u-7", "tries": 2}));
    assert_eq!(message["dueAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), out.due_at);
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
