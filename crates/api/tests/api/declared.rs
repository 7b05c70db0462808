//! What is declared, read and changed over HTTP: topics, subscriptions, endpoints, queues.

use serde_json::{Value, json};

use crate::server::Server;

async fn names(server: &Server, path: &str) -> Vec<String> {
    let page = server.get(path).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_topic_is_made_changed_and_removed() {
    let server = Server::start().await;
    let schema = json!({"type": "object", "required": ["amount"]});
    let put = json!({"priority": "HIGH", "schema": schema}).to_string();
    let made = server.put("/topics/paid", &put).await.expect(201);
    assert_eq!(
        (&made["name"], &made["priority"], &made["schema"]),
        (&json!("paid"), &json!("HIGH"), &schema)
    );
    server.put("/topics/paid", &put).await.expect(200);
    server.post("/events?type=paid", "{}").await.refused(422, "invalid-payload");

    let patched = server.patch("/topics/paid", r#"{"schema": null}"#).await.expect(200);
    assert_eq!((&patched["priority"], &patched["schema"]), (&json!("HIGH"), &Value::Null));
    server.post("/events?type=paid", "{}").await.expect(202);
    assert_eq!(
        server.put("/topics/paid", "").await.expect(200)["priority"],
        "LOW",
        "what is left out is the default"
    );

    assert!(names(&server, "/topics").await.contains(&"paid".to_owned()));
    server.delete("/topics/paid").await.expect(204);
    server.get("/topics/paid").await.refused(404, "not-found");
    server.patch("/topics/paid", "{}").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_subscription_leads_to_a_queue_or_an_endpoint() {
    let server = Server::declaring("[queues.mail]\n[queues.big]").await;
    let put = r#"{"topic": "order", "queue": "mail", "filter": {"scope": "payload", "amount": [{"numeric": [">", 100]}]}}"#;
    let made = server.put("/subscriptions/large", put).await.expect(201);
    assert_eq!((&made["queue"], &made["declared"]), (&json!("mail"), &json!(false)));
    server.put("/subscriptions/large", put).await.expect(200);
    for amount in [99, 101] {
        server.post("/events", format!(r#"{{"orderId": "a", "amount": {amount}}}"#)).await.expect(202);
    }
    assert_eq!(server.get("/queues/mail").await.expect(200)["depth"]["visible"], 1);

    let patched =
        server.patch("/subscriptions/large", r#"{"filter": null, "queue": "big"}"#).await.expect(200);
    assert_eq!(
        (&patched["queue"], patched.get("filter").cloned().unwrap_or_default()),
        (&json!("big"), Value::Null)
    );
    server.delete("/queues/big").await.refused(409, "conflict");

    for (body, status, code) in [
        (r#"{"topic": "order"}"#, 400, "invalid-parameter"),
        (r#"{"topic": "order", "queue": "mial"}"#, 404, "unknown-queue"),
        (r#"{"topic": "order", "queue": "mail", "endpoint": "x"}"#, 400, "invalid-parameter"),
        (r#"{"topic": "paid", "queue": "mail"}"#, 409, "conflict"),
        (r#"{"topic": "order", "queue": "mail", "filter": {"a": [{"prefx": "b"}]}}"#, 422, "invalid-filter"),
        // An event goes to a queue or out; from topic to topic there is no way, so there is no way round.
        (r#"{"topic": "order", "destination": {"topic": "order"}}"#, 400, "unknown-parameter"),
    ] {
        server.put("/subscriptions/large", body).await.refused(status, code);
    }
    server.delete("/subscriptions/large").await.expect(204);
    server.get("/subscriptions/large").await.refused(404, "not-found");
    assert!(names(&server, "/subscriptions").await.is_empty());
}

#[tokio::test]
async fn an_endpoint_shows_its_secret_once() {
    let server = Server::start().await;
    let put = r#"{"url": "https://shop.example/hook", "settings": {"timeoutMs": 5000, "headers": {"X-Shop": "7"}}}"#;
    let made = server.put("/endpoints/shop", put).await.expect(201);
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    let shown = server.get("/endpoints/shop").await;
    assert!(!shown.text().contains(&secret));
    let settings = shown.expect(200)["settings"].clone();
    assert_eq!((&settings["timeoutMs"], &settings["headers"]), (&json!(5000), &json!({"X-Shop": "7"})));

    let rotated = server.post("/endpoints/shop/rotate-secret", r#"{"overlapSeconds": 60}"#).await.expect(200);
    assert_ne!(rotated["secret"], json!(secret));
    let secrets = server.get("/endpoints/shop").await.expect(200)["secrets"].clone();
    assert_eq!((secrets.as_array().unwrap().len(), &secrets[0]["until"]), (2, &Value::Null));
    assert_eq!(secrets[1]["until"], rotated["oldUntil"]);

    let again = server.put("/endpoints/shop", r#"{"url": "https://shop.example/new"}"#).await.expect(200);
    assert_eq!(
        (&again["url"], &again["settings"]["headers"]),
        (&json!("https://shop.example/new"), &json!({}))
    );
    let own = r#"{"url": "https://shop.example/new", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}"#;
    server.put("/endpoints/shop", own).await.refused(409, "conflict");
}

#[tokio::test]
async fn an_endpoint_pauses_changes_and_goes() {
    let server = Server::start().await;
    server.put("/endpoints/shop", r#"{"url": "https://shop.example/"}"#).await.expect(201);
    assert_eq!(server.post("/endpoints/shop/pause", "").await.expect(200)["paused"], true);
    assert_eq!(server.post("/endpoints/shop/resume", "").await.expect(200)["paused"], false);
    let patch =
        r#"{"settings": {"breaker": {"openMs": 1000}, "rate": {"perSecond": 2.5}}, "kind": "function"}"#;
    let patched = server.patch("/endpoints/shop", patch).await.expect(200);
    assert_eq!(
        (&patched["settings"]["rate"]["perSecond"], &patched["kind"]),
        (&json!(2.5), &json!("function"))
    );
    assert_eq!(patched["settings"]["breaker"]["openMs"], 1000);

    server.put("/subscriptions/s", r#"{"topic": "order", "endpoint": "shop"}"#).await.expect(201);
    server.delete("/endpoints/shop").await.refused(409, "conflict");
    server.delete("/subscriptions/s").await.expect(204);
    server.delete("/endpoints/shop").await.expect(204);
    server.get("/endpoints/shop").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_queue_is_made_with_the_defaults_and_its_own() {
    let server = Server::start().await;
    let made = server.put("/queues/mail", r#"{"settings": {"maxReceives": 9}}"#).await.expect(201);
    assert_eq!(made["settings"]["maxReceives"], 9);
    assert_eq!(server.put("/queues/plain", "").await.expect(201)["paused"], false);
    let critical = server.get("/queues/critical").await.expect(200);
    assert_eq!(
        (&critical["settings"]["visibilitySeconds"], &critical["settings"]["maxReceives"]),
        (&json!(90), &json!(3))
    );
    for name in ["critical", "high", "normal", "low", "mail", "plain"] {
        assert!(names(&server, "/queues").await.contains(&name.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn listings_go_on_where_a_page_ended() {
    let server = Server::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        server.put(&format!("/topics/{name}"), "").await.expect(201);
    }
    let all = names(&server, "/topics").await;
    let (mut paged, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = server.get(&format!("/topics{query}")).await.expect(200);
        paged.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(paged, all);
    server.get("/queues?cursor=nonsense").await.refused(400, "invalid-parameter");
    server.get("/queues?limit=501").await.refused(400, "invalid-parameter");
}
