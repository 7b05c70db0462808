//! Who may call what: scopes, keys, this host, rates.

use futures::future::join_all;
use posthaste_broker::{KeyIn, Scope};
use posthaste_web::{Cors, Rate};

use crate::document::operations;
use crate::server::{Server, Setup};

const ORDER: &str = r#"{"orderId": "a", "amount": 1}"#;

async fn guarded() -> Server {
    Server::with(Setup { keys_required: true, ..Setup::default() }).await
}

async fn key(server: &Server, name: &str, scopes: &[Scope], rate_per_second: Option<u32>) -> String {
    let key = KeyIn { name: name.to_owned(), scopes: scopes.to_vec(), rate_per_second, expires_at: None };
    let created = server.broker.create_key(key).await.unwrap();
    format!("Bearer {}", created.key.expose())
}

/// What each address is for; none is for everybody.
fn scope_of(method: &str, path: &str) -> Option<Scope> {
    match (method, path) {
        (_, "/health" | "/health/live" | "/openapi.json") => None,
        ("POST", "/events" | "/events/batch" | "/queues/{queue}/messages") => Some(Scope::Publish),
        (
            "POST",
            "/queues/{queue}/receive"
            | "/queues/{queue}/settle"
            | "/queues/{queue}/give-back"
            | "/queues/{queue}/extend",
        ) => Some(Scope::Consume),
        ("GET", _) => Some(Scope::Read),
        _ => Some(Scope::Operate),
    }
}

#[tokio::test]
async fn every_address_asks_for_its_scope() {
    let server = guarded().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((scope, key(&server, scope.as_str(), &[scope], None).await));
    }
    for (method, path, name) in operations() {
        let request = format!("{method} {path}");
        let anonymous = server.send(&request, &[], "").await;
        let Some(wanted) = scope_of(&method, &name) else {
            assert_eq!(anonymous.status, 200, "{request}");
            continue;
        };
        anonymous.refused(401, "unauthorized");
        assert_eq!(anonymous.header("www-authenticate"), Some("Bearer"));
        for (scope, key) in &keys {
            let answer = server.send(&request, &[("authorization", key)], "").await;
            if *scope == wanted || (*scope == Scope::Operate && wanted == Scope::Read) {
                let is_refused = ["unauthorized", "forbidden"]
                    .iter()
                    .any(|code| answer.text().contains(&format!("\"code\":\"{code}\"")));
                assert!(!is_refused, "{request} with {scope:?}: {}", answer.text());
            } else {
                let expected = format!("a key with the scope `{}`", wanted.as_str());
                assert_eq!(
                    answer.refused(403, "forbidden")["expected"],
                    expected,
                    "{request} with {scope:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn keys_are_taken_from_two_headers_and_kept_as_hashes() {
    let server = guarded().await;
    let bearer = key(&server, "shop", &[Scope::Publish], None).await;
    let bare = bearer.strip_prefix("Bearer ").unwrap();
    server.send("POST /events", &[("authorization", &bearer)], ORDER).await.expect(202);
    server.send("POST /events", &[("x-api-key", bare)], ORDER).await.expect(202);
    for wrong in ["Bearer ph_0000000000000000000000000000000000000000000", "Bearer x", "Basic eDp5", bare] {
        let answer = server.send("POST /events", &[("authorization", wrong)], ORDER).await;
        let problem = answer.refused(401, "unauthorized");
        assert!(!problem.to_string().contains(wrong), "a key is never repeated: {problem:#}");
    }
    let session = server.db.pool.get().await.unwrap();
    let rows = session.query("select k::text from posthaste.api_key k", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].get::<_, String>(0).contains(bare));
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let server = guarded().await;
    let bearer = key(&server, "shop", &[Scope::Publish], None).await;
    server.broker.revoke_key("shop").await.unwrap();
    server.send("POST /events", &[("authorization", &bearer)], ORDER).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn this_host_needs_no_key_and_strangers_pages_do_not_pass_for_it() {
    let server = Server::start().await;
    server.post("/events", ORDER).await.expect(202);
    let page = [("origin", "https://evil.example")];
    assert_eq!(server.send("POST /events", &page, ORDER).await.refused(403, "forbidden")["field"], "origin");
    let wrong = [("authorization", "Bearer nonsense")];
    server.send("POST /events", &wrong, ORDER).await.refused(401, "unauthorized");
    let proxied = [("x-forwarded-for", "203.0.113.7")];
    let problem = server.send("POST /events", &proxied, ORDER).await.refused(401, "unauthorized");
    assert!(problem["nextStep"].as_str().unwrap().contains("api_keys = \"required\""), "{problem}");
}

#[tokio::test]
async fn a_key_has_a_rate_of_its_own() {
    let server = guarded().await;
    let slow = key(&server, "slow", &[Scope::Read], Some(1)).await;
    let other = key(&server, "other", &[Scope::Read], None).await;
    let (slow, other) = ([("authorization", &*slow)], [("authorization", &*other)]);
    server.send("GET /queues", &slow, "").await.expect(200);
    let answers = join_all((0..10).map(|_| server.send("GET /queues", &slow, ""))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty(), "ten at once pass at one a second");
    for answer in refused {
        answer.refused(429, "too-many-requests");
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
    }
    for answer in join_all((0..10).map(|_| server.send("GET /queues", &other, ""))).await {
        answer.expect(200);
    }
}

#[tokio::test]
async fn callers_without_a_key_share_the_configured_rate_of_their_address() {
    let server = Server::with(Setup { rate: Rate::new(1, 1), ..Setup::default() }).await;
    let answers = join_all((0..10).map(|_| server.post("/events", ORDER))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty() && refused.iter().all(|answer| answer.header("retry-after").is_some()));
    server.get("/health").await.expect(200);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call() {
    let cors = Cors::parse(&["https://app.example"]).unwrap();
    let server = Server::with(Setup { cors, ..Setup::default() }).await;
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,idempotency-key"),
    ];
    let answer = server.send("OPTIONS /events", &preflight, "").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://app.example"))
    );
    let answer = server.send("POST /events", &[("origin", "https://app.example")], ORDER).await;
    answer.expect(202);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("retry-after"));
}
