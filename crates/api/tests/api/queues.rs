//! Queues over HTTP: send, receive, settle, give back, extend, peek, pause, purge.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Server, Setup};

const MAIL: &str = "[queues.mail]\n[queues.parcels]";

async fn start() -> Server {
    Server::with(Setup { declares: MAIL, ..Setup::default() }).await
}

async fn receive(server: &Server, body: Value) -> Vec<Value> {
    let out = server.post("/queues/mail/receive", body.to_string()).await.expect(200);
    out["messages"].as_array().unwrap().clone()
}

fn receipts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["receipt"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_message_goes_through_unchanged() {
    let server = start().await;
    let one =
        server.post("/queues/mail/messages", r#"{"payload": {"n": 1.50},"attributes":{"a":"b"}}"#).await;
    assert_eq!(one.expect(202)["ids"].as_array().unwrap().len(), 1);
    let many = json!({"messages": [{"payload": null}, {"payloadBase64": "AP8="}]}).to_string();
    assert_eq!(
        server.post("/queues/mail/messages", many).await.expect(202)["ids"].as_array().unwrap().len(),
        2
    );

    let peeked = server.get("/queues/mail/peek").await.expect(200);
    assert_eq!(
        (peeked["messages"].as_array().unwrap().len(), &peeked["messages"][0]["receives"]),
        (3, &json!(0))
    );

    let answer = server.post("/queues/mail/receive", r#"{"maxMessages": 10}"#).await;
    assert!(answer.text().contains(r#""payload":{"n": 1.50}"#), "{}", answer.text());
    let messages = answer.json()["messages"].as_array().unwrap().clone();
    assert_eq!((&messages[0]["receives"], &messages[0]["attributes"]), (&json!(1), &json!({"a": "b"})));
    assert!(messages[1]["payload"].is_null() && messages[1].get("payload").is_some());
    assert_eq!(messages[2]["payloadBase64"], "AP8=");
    assert_eq!(server.get("/queues/mail").await.expect(200)["depth"]["inFlight"], 3);

    let settled =
        server.post("/queues/mail/settle", json!({"receipts": receipts(&messages)}).to_string()).await;
    assert!(
        settled.expect(200)["results"].as_array().unwrap().iter().all(|one| one.get("problem").is_none())
    );
    let depth = server.get("/queues/mail").await.expect(200)["depth"].clone();
    assert_eq!((&depth["visible"], &depth["inFlight"], &depth["delayed"]), (&json!(0), &json!(0), &json!(0)));
}

#[tokio::test]
async fn a_batch_is_settled_message_by_message() {
    let server = start().await;
    let many = json!({"messages": [{"payload": 1}, {"payload": 2}, {"payload": 3}]}).to_string();
    server.post("/queues/mail/messages", many).await.expect(202);
    let messages = receive(&server, json!({})).await;
    let receipts = receipts(&messages);
    let back = json!({"receipts": [receipts[0]], "delaySeconds": 600}).to_string();
    server.post("/queues/mail/give-back", back).await.expect(200);

    let mixed = json!({"receipts": [receipts[0], "nonsense", receipts[1]]}).to_string();
    let results = server.post("/queues/mail/settle", mixed).await.expect(207)["results"].clone();
    assert_eq!(results[0]["problem"]["code"], "lease-lost");
    assert_eq!(results[1]["problem"]["code"], "invalid-parameter");
    assert_eq!((&results[2]["receipt"], results[2].get("problem")), (&json!(receipts[1]), None));

    let elsewhere = json!({"receipts": [receipts[2]]}).to_string();
    let results = server.post("/queues/parcels/settle", elsewhere).await.expect(207)["results"].clone();
    assert!(results[0]["problem"]["detail"].as_str().unwrap().contains("another queue"), "{results}");
}

#[tokio::test]
async fn what_is_given_back_comes_again() {
    let server = start().await;
    server.post("/queues/mail/messages", r#"{"payload": 1}"#).await.expect(202);
    let first = receive(&server, json!({})).await;
    let body = json!({"receipts": receipts(&first), "delaySeconds": 0}).to_string();
    server.post("/queues/mail/give-back", body).await.expect(200);
    let again = receive(&server, json!({"waitSeconds": 20})).await;
    assert_eq!((&again[0]["id"], &again[0]["receives"]), (&first[0]["id"], &json!(2)));

    let body = json!({"receipts": receipts(&again), "delaySeconds": 600}).to_string();
    server.post("/queues/mail/give-back", body).await.expect(200);
    assert_eq!(server.get("/queues/mail").await.expect(200)["depth"]["delayed"], 1);
}

#[tokio::test]
async fn a_lease_can_be_extended_until_it_is_settled() {
    let server = start().await;
    server.post("/queues/mail/messages", r#"{"payload": 1}"#).await.expect(202);
    let messages = receive(&server, json!({"visibilitySeconds": 30})).await;
    let receipt = receipts(&messages)[0];
    let body = json!({"receipt": receipt, "seconds": 600}).to_string();
    let until = server.post("/queues/mail/extend", &body).await.expect(200)["leasedUntil"].clone();
    assert!(until.as_str().unwrap() > messages[0]["sentAt"].as_str().unwrap());
    server.post("/queues/mail/settle", json!({"receipts": [receipt]}).to_string()).await.expect(200);
    server.post("/queues/mail/extend", &body).await.refused(410, "lease-lost");
}

#[tokio::test]
async fn a_long_poll_answers_when_a_message_comes() {
    let server = start().await;
    let started = Instant::now();
    let waiting = receive(&server, json!({"waitSeconds": 20}));
    let sending = async {
        tokio::task::yield_now().await;
        server.post("/queues/mail/messages", r#"{"payload": "late"}"#).await.expect(202)
    };
    let (messages, _) = tokio::join!(waiting, sending);
    assert_eq!(messages[0]["payload"], "late");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn everybody_who_waits_is_woken_and_nobody_gets_a_message_twice() {
    let server = start().await;
    let waiting = (0..5).map(|_| receive(&server, json!({"maxMessages": 1, "waitSeconds": 20})));
    let many =
        json!({"messages": [{"payload": 0}, {"payload": 1}, {"payload": 2}, {"payload": 3}, {"payload": 4}]});
    let (received, _) = tokio::join!(
        futures::future::join_all(waiting),
        server.post("/queues/mail/messages", many.to_string())
    );
    let mut payloads: Vec<_> =
        received.iter().map(|messages| messages[0]["payload"].as_i64().unwrap()).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, [0, 1, 2, 3, 4]);
    assert!(receive(&server, json!({"waitSeconds": 1})).await.is_empty(), "a wait that brings nothing ends");
}

#[tokio::test]
async fn a_paused_queue_gives_nothing_until_it_resumes() {
    let server = start().await;
    server.post("/queues/mail/messages", r#"{"payload": 1}"#).await.expect(202);
    assert_eq!(server.post("/queues/mail/pause", "").await.expect(200)["paused"], true);
    assert!(receive(&server, json!({})).await.is_empty());
    assert_eq!(server.post("/queues/mail/resume", "").await.expect(200)["paused"], false);
    assert_eq!(receive(&server, json!({"waitSeconds": 20})).await.len(), 1);
}

#[tokio::test]
async fn a_purge_empties_what_is_visible() {
    let server = start().await;
    let messages: Vec<_> = (0..20).map(|n| json!({"payload": n})).collect();
    server.post("/queues/mail/messages", json!({"messages": messages}).to_string()).await.expect(202);
    server.delete("/queues/mail").await.refused(409, "conflict");
    assert_eq!(server.post("/queues/mail/purge", "").await.expect(200)["purged"], 20);
    server.delete("/queues/mail").await.expect(204);
    server.get("/queues/mail").await.refused(404, "unknown-queue");
}

#[tokio::test]
async fn a_delayed_message_waits() {
    let server = start().await;
    server.post("/queues/mail/messages", r#"{"payload": 1, "delaySeconds": 600}"#).await.expect(202);
    assert!(receive(&server, json!({})).await.is_empty());
    let depth = server.get("/queues/mail").await.expect(200)["depth"].clone();
    assert_eq!((&depth["visible"], &depth["delayed"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn settings_change_one_by_one_or_all_at_once() {
    let server = start().await;
    let patch = r#"{"settings": {"maxReceives": 9}}"#;
    let changed = server.patch("/queues/mail", patch).await.expect(200)["settings"].clone();
    assert_eq!((&changed["maxReceives"], &changed["delaySeconds"]), (&json!(9), &json!(0)));
    let put = r#"{"settings": {"delaySeconds": 5}}"#;
    let changed = server.put("/queues/mail", put).await.expect(200)["settings"].clone();
    assert_eq!((&changed["maxReceives"], &changed["delaySeconds"]), (&json!(5), &json!(5)));
    assert_eq!(server.get("/queues/mail").await.expect(200)["settings"], changed);
}

#[tokio::test]
async fn answer_with_large_messages_ends_before_it_is_too_long_and_what_is_left_comes_next() {
    let server = start().await;
    let text = "x".repeat(200_000);
    for _ in 0..3 {
        let many: Vec<Value> = (0..15).map(|_| json!({"payload": text})).collect();
        server.post("/queues/mail/messages", json!({"messages": many}).to_string()).await.expect(202);
    }
    let (mut counts, mut ids) = (Vec::new(), std::collections::BTreeSet::new());
    while counts.iter().sum::<usize>() < 45 {
        let messages = receive(&server, json!({"maxMessages": 1000, "waitSeconds": 20})).await;
        let n_bytes: usize = messages.iter().map(|message| message["payload"].as_str().unwrap().len()).sum();
        assert!(
            !messages.is_empty() && n_bytes <= posthaste_base::limits::ANSWER_BYTES_MAX,
            "{n_bytes} bytes"
        );
        assert!(messages.iter().all(|message| message["receives"] == 1), "what did not fit was not received");
        ids.extend(messages.iter().map(|message| message["id"].to_string()));
        counts.push(messages.len());
    }
    assert_eq!((counts[0], ids.len()), (20, 45), "{counts:?}");
    let peeked = server.get("/queues/mail/peek?max=500").await.expect(200);
    assert!(peeked["messages"].as_array().unwrap().len() <= 20);
}
