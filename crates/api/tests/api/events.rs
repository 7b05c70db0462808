//! Events in: the examples of the lab, the forms, and idempotency.

use std::collections::BTreeSet;

use posthaste_broker::{BrokerOptions, FailureMode};
use serde_json::{Value, json};

use crate::server::{Server, Setup};

const ORDER: &str = r#"{"orderId": "test-123", "amount": 42.50}"#;
const PULL: &str = "[queues.mail]\n[subscriptions.a]\ntopic = \"order\"\nqueue = \"mail\"";

async fn pulling() -> Server {
    Server::with(Setup { declares: PULL, ..Setup::default() }).await
}

#[tokio::test]
async fn the_labs_order_is_accepted_and_shown_as_it_was_sent() {
    let server = pulling().await;
    let out = server.post("/events", ORDER).await.expect(202);
    assert_eq!((&out["duplicate"], out["key"].as_str().unwrap().len()), (&json!(false), 64));
    let id = out["id"].as_str().unwrap();

    let shown = server.get(&format!("/v1/events/{id}")).await;
    assert!(
        shown.text().contains(r#""payload":{"orderId": "test-123", "amount": 42.50}"#),
        "{}",
        shown.text()
    );
    let shown = shown.expect(200);
    assert_eq!(
        (&shown["type"], &shown["status"], &shown["priority"]),
        (&json!("order"), &json!("PROCESSING"), &json!("LOW"))
    );
    assert_eq!(shown["messages"], json!({"total": 1, "delivered": 0, "dead": 0, "deferred": 0}));
    assert_eq!(shown["correlationId"].as_str().unwrap().len(), 32);

    let received = server.post("/queues/mail/receive", "{}").await;
    assert!(
        received.text().contains(r#""payload":{"orderId": "test-123", "amount": 42.50}"#),
        "{}",
        received.text()
    );
    assert_eq!(received.expect(200)["messages"][0]["event"]["id"], id);
}

/// Z1: of the amounts 0 to 99, 0 is not an amount.
#[tokio::test]
async fn of_a_hundred_parallel_orders_the_one_of_nothing_is_refused() {
    let server = pulling().await;
    let post = |amount: u32| {
        let body = format!(r#"{{"orderId": "test-{amount}", "amount": {amount}}}"#);
        let server = &server;
        async move { server.post("/events", body).await }
    };
    let answers = futures::future::join_all((0..100).map(post)).await;
    let problem = answers[0].refused(422, "invalid-payload");
    assert_eq!(problem["violations"], json!([{"pointer": "/amount", "message": "must be greater than 0"}]));
    let ids: BTreeSet<String> =
        answers[1..].iter().map(|answer| answer.expect(202)["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 99);
    assert_eq!(server.get("/queues/mail").await.expect(200)["depth"]["visible"], 99);
}

#[tokio::test]
async fn a_key_that_an_open_transaction_holds_is_answered_and_holds_up_no_other() {
    let server = pulling().await;
    let sender = server.db.pool.get().await.unwrap();
    let publish = format!("begin; select posthaste.publish('order', '{ORDER}')");
    sender.batch_execute(&publish).await.unwrap();
    let answer = server.post("/events", ORDER).await;
    let problem = answer.refused(503, "key-in-use");
    assert_eq!((&problem["field"], answer.header("retry-after")), (&json!("key"), Some("1")));
    let batch =
        format!(r#"{{"events": [{{"payload": {ORDER}}}, {{"payload": {{"orderId": "b", "amount": 1}}}}]}}"#);
    let results = server.post("/events/batch", &batch).await.expect(207);
    assert_eq!(results["results"][0]["problem"]["code"], "key-in-use", "{results}");
    assert_eq!(results["results"][1]["duplicate"], false, "{results}");
    sender.batch_execute("commit").await.unwrap();
    assert_eq!(server.post("/events", ORDER).await.expect(202)["duplicate"], true);
}

#[tokio::test]
async fn one_key_is_one_event_whoever_is_first() {
    let server = pulling().await;
    let key = [("idempotency-key", "order-7")];
    let sends = (0..50).map(|_| server.send("POST /events", &key, ORDER));
    let answers: Vec<Value> =
        futures::future::join_all(sends).await.iter().map(|answer| answer.expect(202)).collect();
    let ids: BTreeSet<&str> = answers.iter().map(|answer| answer["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer["duplicate"] == false).count(), 1);
    assert!(answers.iter().all(|answer| answer["key"] == "order-7"));
    assert_eq!(server.get("/queues/mail").await.expect(200)["depth"]["visible"], 1);

    // The same content in other words is the same; other content is not.
    let same = server.send("POST /events", &key, r#"{"amount":42.5,"orderId":"test-123"}"#).await.expect(202);
    assert_eq!(same["duplicate"], true);
    let other = server.send("POST /events", &key, r#"{"orderId": "test-123", "amount": 43}"#).await;
    assert_eq!(other.refused(409, "key-conflict")["field"], "key");
}

#[tokio::test]
async fn without_a_key_the_content_is_the_key() {
    let server = pulling().await;
    let first = server.post("/events", ORDER).await.expect(202);
    let again = server.post("/events", r#" {"amount": 4.25e1, "orderId": "test-123"} "#).await.expect(202);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
}

#[tokio::test]
async fn the_type_comes_from_the_query_the_header_or_the_envelope() {
    let server = Server::start().await;
    let shown = async |id: &Value| server.get(&format!("/events/{}", id.as_str().unwrap())).await.expect(200);
    let by_query = server.post("/events?type=paid&subject=u1&priority=high", "{\"a\":1}").await.expect(202);
    let shown_one = shown(&by_query["id"]).await;
    assert_eq!(
        (&shown_one["type"], &shown_one["subject"], &shown_one["priority"]),
        (&json!("paid"), &json!("u1"), &json!("HIGH"))
    );
    assert_eq!(shown_one["status"], "COMPLETED", "nobody subscribes");

    let by_header = server.send("POST /events", &[("posthaste-type", "paid")], "{\"a\":2}").await.expect(202);
    assert_eq!(shown(&by_header["id"]).await["type"], "paid");

    let body = r#"{"type": "paid", "payload": {"a": 3}, "attributes": {"region": "eu"}}"#;
    let json = server.post("/events", body).await.expect(202);
    let vendor = [("content-type", "application/vnd.posthaste.event+json")];
    let typed = server.send("POST /events", &vendor, body).await.expect(202);
    assert_eq!((&typed["id"], &typed["duplicate"]), (&json["id"], &json!(true)));
    assert_eq!(shown(&json["id"]).await["attributes"], json!({"region": "eu"}));

    // Named by the address, the same body is a payload.
    let as_payload = server.post("/events?type=paid", body).await.expect(202);
    assert_eq!(shown(&as_payload["id"]).await["payload"]["payload"], json!({"a": 3}));
}

#[tokio::test]
async fn cloud_events_come_in_three_forms() {
    let server = Server::start().await;
    let event = |id: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"com.shop.paid","subject":"u1","data":{{"n": 1.0}}}}"#
        )
    };
    let structured = [("content-type", "application/cloudevents+json; charset=utf-8")];
    let first = server.send("POST /events", &structured, event("1")).await.expect(202);
    assert_eq!(first["key"], "/shop 1");

    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/shop"),
        ("ce-type", "com.shop.paid"),
        ("ce-subject", "u1"),
        ("content-type", "application/json"),
    ];
    let again = server.send("POST /events", &binary, r#"{"n": 1.0}"#).await.expect(202);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));

    let batch = [("content-type", "application/cloudevents-batch+json")];
    for path in ["/events", "/events/batch"] {
        let body = format!("[{},{},{{\"specversion\":\"1.0\"}}]", event("1"), event(path));
        let out = server.send(&format!("POST {path}"), &batch, body).await.expect(207);
        assert_eq!(out["accepted"], 2);
        assert_eq!(
            (&out["results"][0]["duplicate"], &out["results"][1]["duplicate"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(out["results"][2]["problem"]["code"], "invalid-event");
    }
}

#[tokio::test]
async fn binary_data_comes_back_in_base64() {
    let server = Server::with(Setup {
        declares: "[queues.mail]\n[subscriptions.a]\ntopic = \"scan\"\nqueue = \"mail\"",
        ..Setup::default()
    })
    .await;
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "s"),
        ("ce-type", "scan"),
        ("content-type", "application/octet-stream"),
    ];
    let out = server.send("POST /events", &headers, [0, 255, 1]).await.expect(202);
    let shown = server.get(&format!("/events/{}", out["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown["payloadBase64"], "AP8B");
    let received = server.post("/queues/mail/receive", "").await.expect(200);
    assert_eq!(received["messages"][0]["payloadBase64"], "AP8B");
}

#[tokio::test]
async fn each_event_of_a_batch_is_accepted_or_refused_by_itself() {
    let server = pulling().await;
    let good = json!({"type": "order", "payload": {"orderId": "a", "amount": 1}});
    let bad = json!({"type": "order", "payload": {"orderId": "", "amount": 0, "x": 1}});
    let misspelt = json!({"type": "order", "paylod": 1});
    let body = json!({"events": [good, bad, misspelt, good]}).to_string();
    let out = server.post("/events/batch", body).await.expect(207);
    let results = out["results"].as_array().unwrap();
    assert_eq!((&out["accepted"], results.len()), (&json!(2), 4));
    assert_eq!(results[0]["id"], results[3]["id"]);
    assert_eq!(results[3]["duplicate"], true);
    let pointers: Vec<_> = results[1]["problem"]["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["pointer"].to_string())
        .collect();
    assert_eq!(pointers.iter().collect::<BTreeSet<_>>().len(), 3, "{pointers:?}");
    assert_eq!(results[2]["problem"]["code"], "unknown-parameter");
    assert_eq!(results[2]["problem"]["expected"], "perhaps `payload`");

    let events: Vec<_> =
        (0..1_000).map(|n| json!({"payload": {"orderId": format!("n{n}"), "amount": 1}})).collect();
    let out = server.post("/events/batch", json!({"events": events}).to_string()).await.expect(202);
    assert_eq!(out["accepted"], 1_000);
    let events: Vec<_> = (0..1_001).map(|_| json!({})).collect();
    server
        .post("/events/batch", json!({"events": events}).to_string())
        .await
        .refused(413, "payload-too-large");
}

#[tokio::test]
async fn the_correlation_of_the_request_stays_with_the_event() {
    let server = pulling().await;
    let trace = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    let answer = server.send("POST /events", &trace, ORDER).await;
    assert_eq!(answer.header("x-correlation-id"), Some("0af7651916cd43dd8448eb211c80319c"));
    let received = server.post("/queues/mail/receive", "{}").await.expect(200);
    assert_eq!(received["messages"][0]["event"]["correlationId"], "0af7651916cd43dd8448eb211c80319c");

    let own = [trace[0], ("x-correlation-id", "order-7")];
    let answer = server.send("POST /events?key=own", &own, ORDER).await;
    assert_eq!(answer.header("x-correlation-id"), Some("order-7"));
    assert!(answer.header("traceparent").unwrap().contains("0af7651916cd43dd8448eb211c80319c"));
    let received = server.post("/queues/mail/receive", "{}").await.expect(200);
    assert_eq!(received["messages"][0]["event"]["correlationId"], "order-7");
}

#[tokio::test]
async fn unknown_types_are_refused_where_types_are_strict() {
    let options = BrokerOptions { strict_types: true, ..BrokerOptions::default() };
    let server = Server::with(Setup { options, ..Setup::default() }).await;
    let problem = server.post("/events?type=odrer", ORDER).await.refused(422, "unknown-type");
    assert_eq!(problem["field"], "type");
    server.post("/events?type=order", ORDER).await.expect(202);

    // One that is there because an event came, when types were not strict: nobody has asked for it.
    server.broker.ensure_topic("odrer").await.unwrap();
    server.post("/events?type=odrer", ORDER).await.refused(422, "unknown-type");
    let schedule = r#"{"type": "odrer", "rule": {"cron": "0 9 * * *"}, "zone": "UTC"}"#;
    server.post("/schedules", schedule).await.refused(422, "unknown-type");
    server.put("/queues/mail", r#"{"settings": {"maxReceives": 3}}"#).await.expect(201);
    server.put("/subscriptions/odrers", r#"{"topic": "odrer", "queue": "mail"}"#).await.expect(201);
    server.post("/events?type=odrer", ORDER).await.expect(202);
    server.broker.ensure_topic("news").await.unwrap();
    server.put("/topics/news", r#"{"priority": "LOW"}"#).await.expect(200);
    server.post("/events?type=news", ORDER).await.expect(202);
}

#[tokio::test]
async fn a_failure_mode_submits_twice_and_idempotency_makes_it_one() {
    let options = BrokerOptions { failure_modes: true, ..BrokerOptions::default() };
    let server = Server::with(Setup { options, declares: PULL, ..Setup::default() }).await;
    let mode = server.put("/failure-mode", r#"{"mode": "duplicate_submit", "seed": 7}"#).await.expect(200);
    assert_eq!(mode["mode"], "duplicate_submit");
    assert!(server.broker.failure_mode().is_some_and(|mode: FailureMode| mode.seed == 7));
    server.post("/events", ORDER).await.expect(202);
    assert_eq!(server.get("/queues/mail").await.expect(200)["depth"]["visible"], 1);
    let shown = server.get("/failure-mode").await.expect(200);
    assert_eq!(shown["seed"], 7);
    server.put("/failure-mode", shown.to_string()).await.expect(200);
    server.put("/endpoints/shop", r#"{"url": "https://shop.example/"}"#).await.expect(201);
    let of_one = r#"{"mode": "duplicate_submit", "endpoint": "shop"}"#;
    let refused = server.put("/failure-mode", of_one).await.refused(400, "invalid-parameter");
    assert_eq!(refused["field"], "endpoint", "what comes in has no endpoint yet: {refused:#}");
}

#[tokio::test]
async fn failure_modes_have_to_be_enabled() {
    let server = Server::start().await;
    server.put("/failure-mode", r#"{"mode": "none"}"#).await.refused(403, "failure-modes-disabled");
}

#[tokio::test]
async fn an_event_is_found_by_its_key() {
    let server = Server::start().await;
    let out = server.post("/events?key=order%207", ORDER).await.expect(202);
    let found = server.get("/events?key=order%207").await.expect(200);
    assert_eq!((&found["id"], &found["key"]), (&out["id"], &json!("order 7")));
    server.get("/events?key=other").await.refused(404, "not-found");
    assert_eq!(server.get("/events").await.refused(400, "invalid-parameter")["field"], "key");
}
