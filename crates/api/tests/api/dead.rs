//! Dead letters over HTTP: looked at, sorted out, discarded, exported, and given back.

use serde_json::{Value, json};

use crate::server::Server;

const MAIL: &str = "[queues.mail]\nmax_receives = 1\n[subscriptions.a]\ntopic = \"order\"\nqueue = \"mail\"";
/// The lab's own parameters, as its manual has them.
const LAB_PREVIEW: &str = "/redrive/preview?maxMessages=20&minAgeSeconds=300";
const LAB_START: &str =
    r#"{"maxMessages": 100, "errorType": "PROCESSING", "minAgeSeconds": 300, "perMessageDelayJitter": 5}"#;

/// A node on which so many orders have died, of receives.
async fn with_dead(count: usize) -> Server {
    let server = Server::declaring(MAIL).await;
    let events: Vec<_> =
        (0..count).map(|n| json!({"payload": {"orderId": format!("o{n}"), "amount": 1}})).collect();
    server.post("/events/batch", json!({"events": events}).to_string()).await.expect(202);
    let received = receive(&server).await;
    let receipts: Vec<_> = received.iter().map(|message| &message["receipt"]).collect();
    server.post("/queues/mail/give-back", json!({"receipts": receipts}).to_string()).await.expect(200);
    server
}

async fn receive(server: &Server) -> Vec<Value> {
    let body = r#"{"maxMessages": 100, "waitSeconds": 5}"#;
    server.post("/queues/mail/receive", body).await.expect(200)["messages"].as_array().unwrap().clone()
}

async fn letters(server: &Server, query: &str) -> Vec<Value> {
    let page = server.get(&format!("/dead-letters{query}")).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

/// Waits until a run is as it is said to be; a page that is asked is the only signal that there is.
async fn watch(server: &Server, run: &Value, is_there: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..500 {
        let run = server.get(&format!("/redrives/{}", run["id"])).await.expect(200);
        if is_there(&run) {
            return run;
        }
    }
    panic!("the run does not come so far");
}

#[tokio::test]
async fn dead_letters_are_listed_and_shown_whole() {
    let server = with_dead(5).await;
    let newest = letters(&server, "").await;
    assert_eq!(
        (newest.len(), &newest[0]["category"], &newest[0]["code"]),
        (5, &json!("PROCESSING"), &json!("receives-exhausted"))
    );
    let oldest = letters(&server, "?order=oldest").await;
    assert_eq!(oldest.iter().rev().collect::<Vec<_>>(), newest.iter().collect::<Vec<_>>());

    let page = server.get("/dead-letters?limit=3").await.expect(200);
    let next = format!("/dead-letters?limit=3&cursor={}", page["nextCursor"].as_str().unwrap());
    let rest = server.get(&next).await.expect(200);
    assert_eq!(
        (rest["items"].as_array().unwrap().len(), rest["items"][0]["id"].clone()),
        (2, newest[3]["id"].clone())
    );
    server.get(&next.replace("limit=3", "order=oldest")).await.refused(400, "invalid-parameter");

    let shown = server.get(&format!("/dead-letters/{}", oldest[0]["id"])).await.expect(200);
    assert_eq!(shown["payload"]["amount"], 1);
    server.get("/dead-letters/999").await.refused(404, "not-found");

    for (query, count) in [
        ("?errorType=processing", 5),
        ("?errorType=RECEIVES-EXHAUSTED&queue=mail&type=order", 5),
        ("?errorType=TIMEOUT", 0),
        ("?type=paid", 0),
        ("?minAgeSeconds=300", 0),
        ("?maxAgeSeconds=300", 5),
        ("?to=2020-01-01T00:00:00Z", 0),
        ("?from=2020-01-01T00:00:00Z", 5),
    ] {
        assert_eq!(letters(&server, query).await.len(), count, "{query}");
    }
    let two = format!("?id={}&id={}", oldest[1]["id"], oldest[3]["id"]);
    assert_eq!(letters(&server, &two).await.len(), 2);
}

#[tokio::test]
async fn dead_letters_are_counted_and_sorted_out() {
    let server = with_dead(3).await;
    let counts = server.get("/dead-letters/counts").await.expect(200);
    let expected = json!([{"queue": "mail", "category": "PROCESSING", "code": "receives-exhausted", "count": 3, "atLeast": false}]);
    assert_eq!(counts["counts"], expected);
    server.get("/dead-letters/counts?queue=mial").await.refused(404, "unknown-queue");

    let triage = server.get("/dead-letters/triage?queue=mail").await.expect(200);
    let group = &triage["triage"]["groups"][0];
    assert_eq!((&triage["triage"]["letters"], &group["count"]), (&json!(3), &json!(3)));
    assert!(!group["reason"].as_str().unwrap().is_empty());
    // What it proposes can be sent as it is.
    for redrive in triage["redrives"].as_array().unwrap() {
        let mut body = redrive["filter"].clone();
        for name in ["maxMessages", "perMessageDelayJitter", "ratePerSecond"] {
            body[name] = redrive[name].clone();
        }
        assert_eq!(server.post("/redrive/start", body.to_string()).await.expect(202)["total"], 3);
    }
}

#[tokio::test]
async fn an_export_has_a_line_for_each_letter() {
    let server = with_dead(3).await;
    let export = server.get("/dead-letters/export?errorType=PROCESSING").await;
    assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = export.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut orders: Vec<_> = lines.iter().map(|line| line["payload"]["orderId"].as_str().unwrap()).collect();
    orders.sort_unstable();
    assert_eq!(orders, ["o0", "o1", "o2"]);
    assert_eq!(server.get("/dead-letters/export?type=paid").await.text(), "");
    server.get("/dead-letters/export?queue=nowhere").await.refused(404, "unknown-queue");
}

#[tokio::test]
async fn a_discard_needs_a_reason_and_takes_what_it_says() {
    let server = with_dead(4).await;
    let missing = server.post("/dead-letters/discard", "{}").await.refused(400, "invalid-parameter");
    assert_eq!(missing["field"], "reason");
    server.post("/dead-letters/discard", r#"{"reason": ""}"#).await.refused(400, "invalid-parameter");
    let some = r#"{"filter": {"queue": "mail"}, "maxMessages": 3, "reason": "test orders"}"#;
    assert_eq!(server.post("/dead-letters/discard", some).await.expect(200)["discarded"], 3);
    assert_eq!(letters(&server, "").await.len(), 1);
    let session = server.db.pool.get().await.unwrap();
    let archived = "select count(*) from posthaste.dead_letter_archive where payload is not null";
    assert_eq!(session.query_one(archived, &[]).await.unwrap().get::<_, i64>(0), 3);
}

#[tokio::test]
async fn the_labs_redrive_works_unchanged() {
    let server = with_dead(30).await;
    assert_eq!(server.get(LAB_PREVIEW).await.expect(200)["count"], 0, "too young");
    let server = server.later(400).await;

    for _ in 0..2 {
        let preview = server.get(LAB_PREVIEW).await.expect(200);
        assert_eq!(
            (&preview["count"], &preview["maxMessages"], &preview["hasMore"]),
            (&json!(20), &json!(20), &json!(true))
        );
        assert_eq!(preview["messages"].as_array().unwrap().len(), 20);
    }
    assert_eq!(server.get("/queues/mail").await.expect(200)["depth"]["visible"], 0, "looking moves nothing");

    let run = server.post("/v1/redrive/start", LAB_START).await.expect(202);
    assert_eq!(
        (&run["total"], &run["perMessageDelayJitter"], &run["startedBy"]),
        (&json!(30), &json!(5), &json!("local"))
    );
    let none = LAB_START.replace("PROCESSING", "SchemaValidationError");
    let other = server.post("/redrive/start", none).await.expect(202);
    assert_eq!((&other["total"], &other["status"]), (&json!(0), &json!("done")));
    let runs = server.get("/redrives").await.expect(200)["items"].clone();
    assert_eq!((&runs[0]["id"], &runs[1]["id"]), (&other["id"], &run["id"]));
}

#[tokio::test]
async fn a_redriven_message_comes_home_under_its_own_id() {
    let server = with_dead(3).await;
    let ids: Vec<_> =
        letters(&server, "?order=oldest").await.iter().map(|one| one["messageId"].clone()).collect();
    let run = server.post("/redrive/start", r#"{"perMessageDelayJitter": 0}"#).await.expect(202);
    let run = watch(&server, &run, |run| run["status"] == "done").await;
    assert_eq!((&run["moved"], &run["waiting"], run["finishedAt"].is_string()), (&json!(3), &json!(0), true));
    let mut home = Vec::new();
    while home.len() < 3 {
        home.extend(receive(&server).await.into_iter().map(|message| message["id"].clone()));
    }
    home.sort_by_key(Value::as_i64);
    assert_eq!(home, ids);
    assert!(letters(&server, "").await.is_empty());
}

#[tokio::test]
async fn a_cancelled_redrive_lets_go_of_the_rest() {
    let server = with_dead(20).await;
    // One a second: the run cannot end while the test looks.
    let run = server.post("/redrive/start", r#"{"ratePerSecond": 1}"#).await.expect(202);
    assert_eq!(
        (&run["total"], &run["status"], &run["ratePerSecond"]),
        (&json!(20), &json!("running"), &json!(1))
    );
    let path = format!("/redrives/{}/cancel", run["id"]);
    let run = server.post(&path, "").await.expect(200);
    let (moved, released) = (run["moved"].as_i64().unwrap(), run["released"].as_i64().unwrap());
    assert_eq!((&run["status"], &run["waiting"], moved + released), (&json!("cancelled"), &json!(0), 20));
    assert!(released > 0);
    server.post(&path, "").await.refused(409, "conflict");
    server.post("/redrives/999/cancel", "").await.refused(404, "not-found");
    let again = server.get("/redrive/preview?maxMessages=100").await.expect(200);
    assert_eq!(again["count"], released);
}

#[tokio::test]
async fn the_hard_limits_hold() {
    let server = with_dead(1).await;
    for (body, field) in [
        (r#"{"maxMessages": 1001}"#, "maxMessages"),
        (r#"{"maxMessages": 0}"#, "maxMessages"),
        (r#"{"perMessageDelayJitter": 901}"#, "perMessageDelayJitter"),
        (r#"{"perMessageDelayJitter": -1}"#, "perMessageDelayJitter"),
        (r#"{"minAgeSeconds": -1}"#, "minAgeSeconds"),
        (r#"{"ratePerSecond": 0}"#, "ratePerSecond"),
        (r#"{"from": "yesterday"}"#, "from"),
        (r#"{"ids": ["x"]}"#, "ids.0"),
    ] {
        let problem = server.post("/redrive/start", body).await.refused(400, "invalid-parameter");
        assert_eq!(problem["field"], field, "{problem:#}");
        assert!(problem["expected"].is_string(), "{problem:#}");
    }
    for query in
        ["maxMessages=1001", "minAgeSeconds=-1", "from=yesterday", "id=x", "maxMessages=1&maxMessages=2"]
    {
        server.get(&format!("/redrive/preview?{query}")).await.refused(400, "invalid-parameter");
    }
    assert!(server.get("/redrives").await.expect(200)["items"].as_array().unwrap().is_empty());
}
