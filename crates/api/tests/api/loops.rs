//! Deliveries that lead back to `/events`: each is stopped by what it says of itself.

use serde_json::json;

use crate::server::Server;

const ORDER: &str = r#"{"orderId": "test-1", "amount": 42.50}"#;

#[tokio::test]
async fn delivery_that_comes_back_is_the_same_event_or_a_contradiction() {
    let server = Server::start().await;
    let check = async |event_type: &str, key: &str, in_header: &str| {
        let path = format!("/events?type={event_type}&key={}", key.replace('%', "%25").replace(' ', "%20"));
        let out = server.post(&path, ORDER).await.expect(202);
        // As `webhook::headers` of the deliver crate writes it.
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", in_header),
            ("posthaste-event-type", event_type),
        ];
        (out, server.send("POST /events", &headers, ORDER).await)
    };
    for (key, in_header) in [("k-1", "k-1"), ("k 2 5%", "k%202%205%25")] {
        let (out, again) = check("order", key, in_header).await;
        let again = again.expect(202);
        assert_eq!((&again["id"], &again["duplicate"]), (&out["id"], &json!(true)));
    }
    let (_, again) = check("other", "k-3", "k-3").await;
    again.refused(409, "key-conflict");
}

#[tokio::test]
async fn cloud_event_that_comes_back_is_the_same_event() {
    let server = Server::start().await;
    let event = json!({"specversion": "1.0", "type": "order", "source": "/shop", "id": "a 1", "data": {"amount": 1, "orderId": "o"}});
    let headers = [("content-type", "application/cloudevents+json")];
    let out = server.send("POST /events", &headers, event.to_string()).await.expect(202);
    let check = async |key: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
            ("posthaste-event-type", "order"),
            ("ce-specversion", "1.0"),
            ("ce-type", "order"),
            ("ce-source", "/shop"),
            ("ce-id", "a%201"),
        ];
        server.send("POST /events", &headers, event["data"].to_string()).await
    };
    assert_eq!(check("/shop%20a%201").await.expect(202)["id"], out["id"]);
    check("/shop%20a%202").await.refused(400, "invalid-parameter");
}

#[tokio::test]
async fn call_to_a_function_is_no_event() {
    let server = Server::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "batch_7_1"),
        ("posthaste-event-type", "batch"),
    ];
    let refused =
        server.send("POST /events", &headers, r#"{"messages": []}"#).await.refused(422, "invalid-event");
    assert_eq!(refused["field"], "posthaste-event-type");
    // A type may be called so.
    let mut headers = headers.to_vec();
    headers.push(("posthaste-event-id", "0199"));
    server.send("POST /events?type=batch", &headers, ORDER).await.expect(202);
}
