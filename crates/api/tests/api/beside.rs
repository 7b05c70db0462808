//! What is said of an event in several places: the same is good, a contradiction is refused, nothing wins silently.

use crate::server::Server;

const ENVELOPE: &str = "application/vnd.posthaste.event+json";
const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Sends `body` and checks that it is accepted under a key, or that the two places are named.
async fn check(
    server: &Server,
    query: &str,
    headers: &[(&str, &str)],
    body: &str,
    expected: Result<&str, [&str; 2]>,
) {
    let answer = server.send(&format!("POST /events{query}"), headers, body).await;
    match expected {
        Ok(key) => assert_eq!(answer.expect(202)["key"], key, "{query} {headers:?} {body}"),
        Err(places) => {
            let problem = answer.refused(400, "invalid-parameter");
            let detail = problem["detail"].as_str().unwrap();
            assert!(places.iter().all(|place| detail.contains(place)), "{detail}");
            assert!(problem["nextStep"].is_string() && problem["field"].is_string(), "{problem}");
        }
    }
}

#[tokio::test]
async fn keys_that_contradict_each_other_are_refused_with_both_places() {
    let server = Server::start().await;
    let (header, query) = ("the header `idempotency-key`", "the parameter `key`");
    let plain = r#"{"orderId": "a", "amount": 1}"#;
    check(&server, "?key=b", &[("idempotency-key", "a")], plain, Err([header, query])).await;
    check(&server, "?key=a", &[("idempotency-key", "a")], plain, Ok("a")).await;

    let envelope = r#"{"type": "paid", "payload": 1, "key": "inner"}"#;
    for content_type in ["application/json", ENVELOPE] {
        let form = ("content-type", content_type);
        let inner = "the envelope's `key`";
        check(&server, "", &[form, ("idempotency-key", "outer")], envelope, Err([header, inner])).await;
        check(&server, "?key=outer", &[form], envelope, Err([query, inner])).await;
        check(&server, "?key=inner", &[form, ("idempotency-key", "inner")], envelope, Ok("inner")).await;
        let silent = r#"{"type": "paid", "payload": 2}"#;
        check(&server, "", &[form, ("idempotency-key", content_type)], silent, Ok(content_type)).await;
    }

    let cloud = r#"{"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid", "data": 1}"#;
    let inner = "the CloudEvent's `source` and `id`";
    let structured = ("content-type", CLOUD_EVENT);
    check(&server, "", &[structured, ("idempotency-key", "1")], cloud, Err([header, inner])).await;
    check(&server, "", &[structured, ("idempotency-key", "/shop 1")], cloud, Ok("/shop 1")).await;
    let binary = |key| {
        let ce = [("ce-specversion", "1.0"), ("ce-id", "2"), ("ce-source", "/shop"), ("ce-type", "paid")];
        [&ce[..], &[("content-type", "application/json"), ("idempotency-key", key)]].concat()
    };
    check(&server, "", &binary("2"), "1", Err([header, inner])).await;
    check(&server, "", &binary("/shop 2"), "1", Ok("/shop 2")).await;
    check(&server, "?key=2", &binary("/shop 2"), "1", Err([header, query])).await;
}

#[tokio::test]
async fn types_and_the_rest_go_by_the_same_rule() {
    let server = Server::start().await;
    let (query, header) = ("the parameter `type`", "the header `posthaste-type`");
    check(&server, "?type=a&key=1", &[("posthaste-type", "b")], "1", Err([query, header])).await;
    check(&server, "?type=a&key=1", &[("posthaste-type", "a")], "1", Ok("1")).await;

    let envelope = r#"{"type": "paid", "payload": 1, "key": "k", "priority": "HIGH", "subject": "u",
        "dueAt": "2030-01-01T00:00:00Z"}"#;
    let form = ("content-type", ENVELOPE);
    check(&server, "", &[form, ("posthaste-type", "b")], envelope, Err([header, "the envelope's `type`"]))
        .await;
    let same = "?type=paid&priority=high&subject=u&dueAt=2030-01-01T00:00:00Z";
    check(&server, same, &[form], envelope, Ok("k")).await;
    for (name, other) in [("priority", "LOW"), ("subject", "v"), ("dueAt", "2031-01-01T00:00:00Z")] {
        let places = [format!("the parameter `{name}`"), format!("the envelope's `{name}`")];
        let expected = Err([places[0].as_str(), places[1].as_str()]);
        check(&server, &format!("?{name}={other}"), &[form], envelope, expected).await;
    }
    let cloud =
        r#"{"specversion": "1.0", "id": "1", "source": "/s", "type": "paid", "posthastepriority": "LOW"}"#;
    let form = ("content-type", CLOUD_EVENT);
    let places = [header, "the CloudEvent's `type`"];
    check(&server, "", &[form, ("posthaste-type", "b")], cloud, Err(places)).await;
    let places = ["the parameter `priority`", "the CloudEvent's `posthastepriority`"];
    check(&server, "?priority=HIGH", &[form], cloud, Err(places)).await;
}

#[tokio::test]
async fn nothing_is_said_of_a_batch_beside_it() {
    let server = Server::start().await;
    let ours = ("application/json", r#"{"events": [{"type": "paid", "payload": 1}]}"#);
    let cloud = (
        "application/cloudevents-batch+json",
        r#"[{"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid"}]"#,
    );
    for (path, (form, body)) in [("/events/batch", ours), ("/events/batch", cloud), ("/events", cloud)] {
        for name in ["idempotency-key", "posthaste-type"] {
            let headers = [("content-type", form), (name, "a")];
            let problem = server.send(&format!("POST {path}"), &headers, body).await;
            assert_eq!(problem.refused(400, "invalid-parameter")["field"], name, "{path}");
        }
        let headers = [("content-type", form)];
        let answer = server.send(&format!("POST {path}?key=a"), &headers, body).await;
        let code = if path == "/events" { "invalid-parameter" } else { "unknown-parameter" };
        assert_eq!(answer.refused(400, code)["field"], "key", "{path}");
        server.send(&format!("POST {path}"), &headers, body).await.expect(202);
    }
}
