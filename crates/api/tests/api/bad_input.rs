//! Bad input: each has its own clear error, which names the place.

use serde_json::json;

use crate::conform::DOCUMENT;
use crate::document::operations;
use crate::server::Server;

/// Posts a body to `/events` and expects a refusal whose detail, field or expectation holds `part`.
async fn check(server: &Server, body: impl AsRef<[u8]>, status: u16, code: &str, part: &str) {
    let problem = server.post("/events", &body).await.refused(status, code);
    let said = format!("{} {} {}", problem["detail"], problem["field"], problem["expected"]);
    assert!(said.contains(part), "{problem:#}");
}

#[tokio::test]
async fn bodies_that_are_not_json_are_malformed_and_say_where() {
    let server = Server::start().await;
    check(&server, "", 400, "missing-body", "empty").await;
    check(&server, r#"{"orderId": "a", "amount":"#, 400, "malformed-body", "line 1 column 26").await;
    check(&server, b"{\"orderId\": \"\xff\"}", 400, "malformed-body", "UTF-8 at line 1 column 14").await;
    check(&server, r#"{"amount": NaN}"#, 400, "malformed-body", "line 1 column").await;
    check(&server, r#"{"amount": 1e999}"#, 400, "malformed-body", "out of range").await;
    check(&server, r#"{"amount": 123456789012345678901}"#, 400, "malformed-body", "does not fit 64 bits")
        .await;
    check(&server, r#"{"amount": 1, "amount": 2}"#, 400, "malformed-body", "comes twice").await;
    check(&server, "[".repeat(100_000), 400, "malformed-body", "deeper than 64 levels").await;
    check(&server, "not json", 400, "malformed-body", "line 1 column").await;
}

/// What an event's payload may not be, a message's may not either.
#[tokio::test]
async fn payloads_of_messages_are_read_as_strictly_as_those_of_events() {
    let server = Server::start().await;
    for (payload, part) in [
        (r#"{"amount": 1, "amount": 2}"#, "comes twice"),
        (r#"[{"a": {"b": 1, "b": 1}}]"#, "/0/a/b"),
        (r#"{"amount": 123456789012345678901}"#, "does not fit 64 bits"),
        (r#"{"amount": 1e999}"#, "out of range"),
        (&format!("{}1{}", "[".repeat(65), "]".repeat(65)), "deeper than 64 levels"),
    ] {
        check(&server, payload, 400, "malformed-body", part).await;
        for body in [
            format!(r#"{{"payload": {payload}}}"#),
            format!(r#"{{"messages": [{{"payload": 1}}, {{"payload": {payload}}}]}}"#),
        ] {
            let problem = server.post("/queues/low/messages", body).await.refused(400, "malformed-body");
            let (said, field) = (problem["detail"].to_string(), problem["field"].to_string());
            assert!(said.contains(part) && field.contains("payload"), "{problem:#}");
        }
    }
    let twice = r#"{"payload": 1, "attributes": {"a": 1, "a": 2}}"#;
    let problem = server.post("/queues/low/messages", twice).await.refused(400, "malformed-body");
    assert_eq!(problem["field"], "attributes");
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_before_they_are_read() {
    let server = Server::start().await;
    check(&server, vec![b' '; 10 * 1024 * 1024], 413, "payload-too-large", "4194304").await;
    let large = format!(r#"{{"orderId": "{}", "amount": 1}}"#, "x".repeat(300_000));
    check(&server, large, 413, "payload-too-large", "262144").await;
}

#[tokio::test]
async fn payloads_that_do_not_satisfy_the_schema_list_every_violation() {
    let server = Server::start().await;
    let problem =
        server.post("/events", r#"{"orderid": "a", "amount": true}"#).await.refused(422, "invalid-payload");
    let mut pointers: Vec<_> =
        problem["violations"].as_array().unwrap().iter().map(|one| one["pointer"].clone()).collect();
    pointers.sort_by_key(|pointer| pointer.to_string());
    assert_eq!(pointers, ["/amount", "/orderId", "/orderid"]);
    check(&server, "null", 422, "invalid-payload", "schema").await;
}

#[tokio::test]
async fn other_content_types_and_encodings_are_refused() {
    let server = Server::start().await;
    for headers in [
        [("content-type", "text/plain")],
        [("content-type", "application/json; charset=latin1")],
        [("content-encoding", "gzip")],
    ] {
        server.send("POST /events", &headers, "{}").await.refused(415, "unsupported-media-type");
    }
    let cloud = [("content-type", "application/cloudevents+json")];
    server.send("POST /queues/low/settle", &cloud, "{}").await.refused(415, "unsupported-media-type");
}

#[tokio::test]
async fn what_is_misspelt_is_named_with_what_was_meant() {
    let server = Server::start().await;
    let event = server.post("/events?tpye=a", "{}").await.refused(400, "unknown-parameter");
    assert_eq!((&event["field"], &event["expected"]), (&json!("tpye"), &json!("perhaps `type`")));
    let envelope = r#"{"type": "a", "payload": 1, "dueAtt": "x"}"#;
    let envelope = server.post("/events", envelope).await.refused(400, "unknown-parameter");
    assert_eq!(envelope["expected"], "perhaps `dueAt`");
    let receive =
        server.post("/queues/low/receive", r#"{"maxMesages": 1}"#).await.refused(400, "unknown-parameter");
    assert_eq!(receive["expected"], "perhaps `maxMessages`");
    let queue = server.put("/queues/mail", r#"{"settings": {"visibility_seconds": 1}}"#).await;
    assert_eq!(queue.refused(400, "unknown-parameter")["expected"], "perhaps `visibilitySeconds`");
    let redrive =
        server.post("/redrive/start", r#"{"errortype": "TIMEOUT"}"#).await.refused(400, "unknown-parameter");
    assert_eq!(redrive["expected"], "perhaps `errorType`");
    server.get("/redrive/preview?maxMessage=1").await.refused(400, "unknown-parameter");
}

#[tokio::test]
async fn times_that_cannot_be_are_refused() {
    let server = Server::start().await;
    for (due, status, code, part) in [
        ("2026-02-30T09:00:00Z", 422, "invalid-time", "28 days"),
        ("9999-12-31T23:59:59Z", 422, "invalid-time", "too far ahead"),
        ("2026-13-01T00:00:00Z", 422, "invalid-time", "no month 13"),
        ("tomorrow", 422, "invalid-time", "not a date"),
        ("2027-03-01T09:00 Europe/Berln", 422, "unknown-zone", "Europe/Berln"),
        ("2027-03-01T09:00", 422, "invalid-time", "names no zone"),
        ("1767225600", 422, "invalid-time", ""),
    ] {
        let body = json!({"type": "x", "payload": due, "dueAt": due}).to_string();
        let problem = server.post("/events", body).await.refused(status, code);
        assert_eq!(problem["field"], "dueAt", "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem:#}");
    }
}

#[tokio::test]
async fn keys_subjects_and_types_have_rules() {
    let server = Server::start().await;
    for (event, field) in [
        (json!({"type": "a b", "payload": 1}), "type"),
        (json!({"type": "x".repeat(121), "payload": 1}), "type"),
        (json!({"type": "a", "payload": 1, "key": ""}), "key"),
        (json!({"type": "a", "payload": 1, "key": "a\u{0}b"}), "key"),
        (json!({"type": "a", "payload": 1, "key": "x".repeat(256)}), "key"),
        (json!({"type": "a", "payload": 1, "subject": "a\nb"}), "subject"),
    ] {
        assert_eq!(
            server.post("/events", event.to_string()).await.refused(422, "invalid-event")["field"],
            field
        );
    }
    server.send("POST /events?type=a", &[("idempotency-key", "")], "1").await.refused(422, "invalid-event");
}

#[tokio::test]
async fn queues_that_are_not_there_and_delays_that_cannot_be_are_refused() {
    let server = Server::start().await;
    server.send("PUT /queues/desk", &[], "{}").await.expect(201);
    let unknown =
        server.post("/queues/lwo/messages", r#"{"payload": 1}"#).await.refused(404, "unknown-queue");
    assert!(unknown["expected"].as_str().unwrap().contains("low"), "{unknown:#}");
    server.post("/queues/lwo/receive", "{}").await.refused(404, "unknown-queue");
    let ours =
        server.post("/queues/low/messages", r#"{"payload": 1}"#).await.refused(400, "invalid-parameter");
    assert_eq!(ours["field"], "queue", "a message without an endpoint: {ours:#}");
    for (body, field) in [
        (r#"{"payload": 1, "delaySeconds": -1}"#, Some("delaySeconds")),
        (
            r#"{"messages": [{"payload": 1}, {"payload": 2, "delaySeconds": -5}]}"#,
            Some("messages.1.delaySeconds"),
        ),
        (r#"{"payload": 1, "delaySeconds": 99999999}"#, Some("delaySeconds")),
        (r#"{"attributes": {}}"#, Some("payload")),
        (r#"{"payload": 1, "attributes": []}"#, Some("attributes")),
        (r#"{"messages": []}"#, Some("messages")),
        (r#"{"messages": [{"payload": 1}], "payload": 2}"#, Some("messages")),
        (r#"{"messages": [{"payload": 1}, {"payloadBase64": "*"}]}"#, Some("messages.1.payloadBase64")),
    ] {
        let problem = server.post("/queues/desk/messages", body).await.refused(400, "invalid-parameter");
        assert_eq!(problem["field"].as_str(), field, "{problem:#}");
        assert!(problem["expected"].is_string(), "{problem:#}");
    }
    let deep = format!(r#"{{"payload": {}1{}}}"#, "[".repeat(65), "]".repeat(65));
    let deep = server.post("/queues/desk/messages", deep).await.refused(400, "malformed-body");
    assert_eq!(deep["field"], "payload");
    for body in [
        r#"{"maxMessages": 0}"#,
        r#"{"maxMessages": 1001}"#,
        r#"{"visibilitySeconds": 0}"#,
        r#"{"waitSeconds": 21}"#,
        r#"{"maxMessages": -1}"#,
        r#"{"maxMessages": "ten"}"#,
    ] {
        let problem = server.post("/queues/low/receive", body).await.refused(400, "invalid-parameter");
        assert!(problem["field"].is_string() && problem["expected"].is_string(), "{problem:#}");
    }
}

#[tokio::test]
async fn endpoints_without_a_scheme_or_with_credentials_are_refused() {
    let server = Server::start().await;
    for url in ["shop.example/hook", "ftp://shop.example", "https://user:pass@shop.example/", "https://", ""]
    {
        let body = json!({"url": url}).to_string();
        assert_eq!(
            server.put("/endpoints/shop", body).await.refused(422, "invalid-endpoint")["field"],
            "url",
            "{url}"
        );
    }
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused_with_both_numbers() {
    let server = Server::start().await;
    let body = r#"{"settings": {"visibilitySeconds": 60, "workerTimeoutSeconds": 90}}"#;
    let problem = server.put("/queues/mail", body).await.refused(422, "invalid-queue");
    assert_eq!(problem["field"], "visibilitySeconds");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("60") && detail.contains("90"), "{detail}");
    let body = r#"{"settings": {"retentionSeconds": 60, "delaySeconds": 120}}"#;
    let problem = server.put("/queues/mail", body).await.refused(422, "invalid-queue");
    assert_eq!(problem["field"], "retentionSeconds");
}

#[tokio::test]
async fn addresses_and_methods_that_are_not_there_are_problems_too() {
    let server = Server::start().await;
    server.get("/event").await.refused(404, "not-found");
    server.delete("/events").await.refused(405, "method-not-allowed");
    server.get("/events/7").await.refused(400, "invalid-parameter");
    server.get("/events/00000000-0000-0000-0000-000000000000").await.refused(404, "not-found");
    server.get("/queues/low?x=1").await.expect(200);
}

/// What no address takes, with how it is refused and what is said.
fn never_right() -> Vec<(&'static str, Vec<u8>, u16, &'static str, &'static str)> {
    let deep = [b"{\"a\":".repeat(100), b"1".to_vec(), b"}".repeat(100)].concat();
    vec![
        ("truncated", br#"{"reason": "#.to_vec(), 400, "malformed-body", "line 1 column"),
        ("not JSON", b"reason=a".to_vec(), 400, "malformed-body", "line 1 column"),
        ("two texts", b"{} {}".to_vec(), 400, "malformed-body", "line 1 column"),
        ("deep", deep, 400, "malformed-body", "64 levels"),
        ("twice", br#"{"reason": "a", "reason": "b"}"#.to_vec(), 400, "malformed-body", "twice"),
        ("NaN", br#"{"reason": NaN}"#.to_vec(), 400, "malformed-body", "line 1 column"),
        ("infinite", br#"{"reason": 1e999}"#.to_vec(), 400, "malformed-body", "out of range"),
        ("huge", br#"{"reason": 99999999999999999999}"#.to_vec(), 400, "malformed-body", "64 bits"),
        ("not UTF-8", b"{\"reason\": \"\xff\"}".to_vec(), 400, "malformed-body", "UTF-8"),
        ("half a pair", br#"{"reason": "\ud800"}"#.to_vec(), 400, "malformed-body", "line 1 column"),
        ("10 MB", vec![b' '; 10 * 1024 * 1024], 413, "payload-too-large", "4194304"),
    ]
}

#[tokio::test]
async fn what_is_never_right_is_refused_alike_at_every_address() {
    let server = Server::start().await;
    let mut count = 0;
    for (method, path, name) in operations() {
        if DOCUMENT["paths"][&name][method.to_ascii_lowercase()].get("requestBody").is_none() {
            continue;
        }
        count += 1;
        let request = format!("{method} {}", path.replace("none", "low"));
        for (what, body, status, code, part) in never_right() {
            let answer = server.send(&request, &[], body).await;
            assert_eq!(answer.status, status, "{request}, {what}: {}", answer.text());
            let problem = answer.refused(status, code);
            assert!(problem.to_string().contains(part), "{request}, {what}: {problem:#}");
        }
        let media = [("content-type", "text/csv")];
        server.send(&request, &media, "a,b").await.refused(415, "unsupported-media-type");
        if request != "POST /events" && request != "POST /events/batch" {
            let answer = server.send(&request, &[], r#"{"rreason": 1}"#).await;
            let problem = answer.refused(400, "unknown-parameter");
            assert!(problem["expected"].is_string(), "{request}: {problem:#}");
            server.send(&request, &[], "[]").await.refused(400, "invalid-parameter");
        }
    }
    assert!(count > 15, "{count}");
}

#[tokio::test]
async fn a_nul_is_refused_where_it_cannot_be_kept() {
    let server = Server::start().await;
    for (request, body, field) in [
        ("PUT /subjects/u1", r#"{"zone": "UTC", "attributes": {"a": "\u0000"}}"#, "attributes"),
        ("PUT /subjects/u1", r#"{"zone": "U\u0000C"}"#, "zone"),
        ("PUT /subjects/a%00b", r#"{"zone": "UTC"}"#, "id"),
        ("PUT /queues/desk", "{}", ""),
        ("POST /queues/desk/messages", r#"{"payload": 1, "attributes": {"a": "\u0000"}}"#, ""),
        ("POST /events?type=t", r#"{"a": "\u0000"}"#, ""),
        ("POST /events", r#"{"type": "t", "payload": 1, "attributes": {"\u0000": 1}}"#, ""),
        ("POST /dead-letters/discard", r#"{"reason": "\u0000"}"#, "reason"),
        ("POST /redrive/start", r#"{"type": "\u0000"}"#, "type"),
        ("PUT /endpoints/shop", r#"{"url": "https://a.example/\u0000"}"#, "url"),
        ("PUT /topics/t", r#"{"schema": {"properties": {"\u0000": {}}}}"#, "schema"),
        ("PUT /topics/t%00", "{}", "topic"),
        ("GET /dead-letters?type=%00", "", "type"),
    ] {
        let answer = server.send(request, &[], body).await;
        if field.is_empty() {
            assert!(answer.status < 300, "{request} {body}: {}", answer.text());
        } else {
            assert!([400, 404, 422].contains(&answer.status), "{request} {body}: {}", answer.text());
            assert_eq!(answer.json()["field"], field, "{request} {body}");
        }
    }
}
