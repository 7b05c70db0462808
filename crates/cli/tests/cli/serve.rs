//! A node as its operator sees it: it starts, says where it listens, refuses what is unsafe, and ends cleanly.

use std::net::TcpListener;
use std::time::Duration;

use posthaste_testkit::db::TestDb;
use posthaste_testkit::proxy::{Fault, Proxy, Upstream};
use posthaste_testkit::receiver::{Received, Receiver};
use rustix::process::Signal;
use serde_json::Value;

use super::program::{PATIENCE, Program};

const EVENT: &str = r#"{"orderId": "test-123", "amount": 42.50}"#;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_node_cleanly() {
    let db = TestDb::empty().await;
    let program = Program::with(&db);
    let node = program.serve(&["--port-file", "port"]);
    assert_eq!(std::fs::read_to_string(program.path("port")).unwrap().trim(), node.address);
    assert_eq!(node.post("/events", "", EVENT).0, 202);
    node.signal(Signal::TERM);
    let (code, said) = node.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopping: finishing what is under way") && said.ends_with("stopped"), "{said}");
    assert!(!program.path("port").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_while_the_database_is_away_ends_a_node_too() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let program = Program::alone().env("DATABASE_URL", &format!("postgres://u@127.0.0.1:{port}/d"));
    let node = program.start(&[]);
    node.wait_for("tried again for");
    node.signal(Signal::INT);
    assert_eq!(node.end().0, Some(0));
}

/// The first connection is not the last thing that a start needs: the server goes away in the middle of it here.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_database_dies_while_it_starts_tries_again() {
    let db = TestDb::posthaste().await;
    let proxy = Proxy::start(Upstream::of_server(&db.target)).await;
    let url = format!("postgres://postgres@{}/{}?sslmode=disable", proxy.address(), db.target.database());
    let program = Program::alone().env("DATABASE_URL", &url);
    let session = db.pool.get().await.unwrap();
    // Who reads the queues waits here, so that it is known how far the start has come.
    session.batch_execute("begin; lock table posthaste.queue in access exclusive mode").await.unwrap();
    let node = program.start(&[]);
    let waiting = "select from pg_locks where not granted and relation = 'posthaste.queue'::regclass";
    while session.query(waiting, &[]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.set(Fault::Reset);
    node.wait_for("tried again for");
    session.batch_execute("commit").await.unwrap();
    proxy.set(Fault::Pass);
    node.wait_for("listening on http://");
    node.signal(Signal::TERM);
    assert_eq!(node.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said() {
    let db = TestDb::posthaste().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = Program::with(&db).run(&["serve", "--listen", &address]);
    outcome.check(2, &["`server.listen`", &address, "Address already in use"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_one_database() {
    let db = TestDb::empty().await;
    let (one, two) = (Program::with(&db), Program::with(&db));
    // Secrets are sealed with one key on all nodes.
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let (one, two) = (one.env("POSTHASTE_SERVER__SEAL_KEY", key), two.env("POSTHASTE_SERVER__SEAL_KEY", key));
    let (first, second) = (one.serve(&[]), two.serve(&["--roles", "api"]));
    let (status, accepted) = first.post("/events", "", EVENT);
    assert_eq!(status, 202);
    let (status, repeated) = second.post("/events", "", EVENT);
    assert_eq!(status, 200.max(status), "{repeated}");
    let id = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["id"].clone();
    assert_eq!(id(&accepted), id(&repeated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_others_reach_needs_a_key_which_is_shown_once_and_works() {
    let db = TestDb::posthaste().await;
    let program = Program::with(&db);
    let refused = program.run(&["serve", "--listen", "0.0.0.0:0"]);
    refused.check(4, &["open-listener", "posthaste keys create"]);

    let created = program.run(&["keys", "create", "shop", "--scope", "publish"]).check(0, &["only time"]);
    let key = created.stdout.trim();
    assert!(!key.is_empty() && !key.contains(char::is_whitespace), "{created:?}");
    let listed = program.run(&["keys", "list"]).check(0, &["shop", "publish"]);
    assert!(!listed.stdout.contains(key));

    let node = program.serve(&["--listen", "0.0.0.0:0"]);
    let with_key = |key: &str| format!("authorization: Bearer {key}\r\n");
    assert_eq!(node.post("/events", "", EVENT).0, 401);
    assert_eq!(node.post("/events", &with_key("ph_wrong"), EVENT).0, 401);
    assert_eq!(node.post("/events", &with_key(key), EVENT).0, 202);
    assert_eq!(node.post("/queues/low/purge", &with_key(key), "").0, 403);
    program.run(&["keys", "revoke", "shop"]).check(4, &["not-confirmed"]);
    program.run(&["keys", "revoke", "shop", "--yes"]).check(0, &["revokedAt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_modes_need_to_be_enabled() {
    let db = TestDb::posthaste().await;
    let set = ["failure-mode", "set", "random_fail_p30", "--seed", "7", "--yes"];
    Program::with(&db).run(&set).check(4, &["failure-modes-disabled", "failure_modes = true"]);
    let program = Program::with(&db).config("[server]\nfailure_modes = true\n");
    program.run(&set).check(0, &["random_fail_p30"]);
    assert_eq!(program.json(&["failure-mode", "show"], "failureMode")["mode"], "random_fail_p30");
    program.run(&["failure-mode", "set", "none", "--yes"]).check(0, &["none"]);
}

/// From the caller's span to the request that took the event in, and from there to the call that delivered it.
#[tokio::test(flavor = "multi_thread")]
async fn spans_of_an_event_follow_each_other_to_the_collector() {
    let (db, receiver) = (TestDb::posthaste().await, Receiver::start().await.unwrap());
    let (url, shop) = (receiver.url("/v1/traces"), receiver.url("/shop"));
    let program = Program::with(&db).config(&format!(
        "[server]\nspans_url = \"{url}\"\nspans_headers = {{ x-api-key = \"k-1\" }}\n\
         [delivery]\nallow_private_addresses = true\n[endpoints.shop]\nurl = \"{shop}\"\n\
         [subscriptions.orders]\ntopic = \"order\"\nendpoint = \"shop\"\n"
    ));
    program.run(&["config", "show"]).check(0, &["spans_headers.x-api-key", "***"]);
    let node = program.serve(&[]);
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(node.post("/events", &format!("traceparent: {caller}\r\n"), EVENT).0, 202);
    let session = db.pool.get().await.unwrap();
    let publish = format!(
        "select posthaste.publish('order', '{{\"orderId\": \"sql\", \"amount\": 1}}', correlation_id => '{caller}')"
    );
    session.batch_execute(&publish).await.unwrap();
    let delivered = |requests: &[Received]| requests.iter().filter(|request| request.path == "/shop").count();
    // One whose caller has an id that is no trace.
    let own = EVENT.replace("test-123", "own-id");
    assert_eq!(node.post("/events", "x-correlation-id: order-7\r\n", &own).0, 202);
    receiver.wait_until(PATIENCE, |_| delivered(&receiver.requests()) == 3).await.unwrap();
    node.signal(Signal::TERM);
    assert_eq!(node.end().0, Some(0));

    let requests = receiver.requests();
    let mut spans = Vec::new();
    for request in requests.iter().filter(|request| request.path == "/v1/traces") {
        assert_eq!(request.header("x-api-key"), Some("k-1"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        spans.extend(body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    let called =
        requests.iter().find(|request| request.header("x-correlation-id") == Some("order-7")).unwrap();
    let trace = &called.header("traceparent").unwrap()[3..35];
    let of_own: Vec<_> = spans.iter().filter(|span| span["traceId"] == *trace).collect();
    let place = |name: &str, field: &str| &of_own.iter().find(|span| span["name"] == name).unwrap()[field];
    assert_eq!(place("POST /events", "spanId"), place("deliver shop", "parentSpanId"), "{of_own:?}");
    spans.retain(|span| span["traceId"] == caller[3..35]);
    let named = |name: &str| -> Vec<&Value> { spans.iter().filter(|span| span["name"] == name).collect() };
    let taken_in = named("POST /events");
    assert_eq!((taken_in.len(), &taken_in[0]["parentSpanId"]), (1, &Value::from(&caller[36..52])));
    let parents: Vec<_> = named("deliver shop").iter().map(|span| &span["parentSpanId"]).collect();
    assert!(parents.contains(&&taken_in[0]["spanId"]), "the one that came over HTTP: {parents:?}");
    assert!(parents.contains(&&Value::from(&caller[36..52])), "the one that came from SQL: {parents:?}");
}
