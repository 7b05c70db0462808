//! What a file declares is shown as a difference, made so, and found so the next time.

use posthaste_testkit::db::TestDb;
use posthaste_testkit::receiver::{Behaviour, Receiver};

use super::program::{Program, check_golden};

/// One of everything.
const EVERYTHING: &str = r#"
[delivery]
allow_networks = ["127.0.0.0/8"]

[types.order]
priority = "HIGH"
schema = { type = "object", required = ["orderId"], properties = { amount = { type = "number" } } }

[types.REMINDER]
schema_file = "reminder.json"

[queues.normal]
max_receives = 4

[queues.review]
retention_seconds = 7200
delay_seconds = 5

[endpoints.shop]
url = "http://127.0.0.1:9/hook"
secret = "env:SHOP_SECRET"
headers = { x-tenant = "shop" }
rate = { per_second = 10, burst = 10 }
breaker = { open_ms = 1000 }

[endpoints.ledger]
url = "http://127.0.0.1:9/batch"
kind = "function"
batch = 50

[subscriptions.orders]
topic = "order"
endpoint = "shop"

[subscriptions.large]
topic = "order"
queue = "review"
filter = { payload = { amount = [{ numeric = [">", 1000] }] } }
"#;

const SEAL_KEY: (&str, &str) = ("POSTHASTE_SERVER__SEAL_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");

fn everything(db: &TestDb) -> Program {
    Program::with(db)
        .config(EVERYTHING)
        .file("reminder.json", r#"{"type": "object"}"#)
        .env("SHOP_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .env(SEAL_KEY.0, SEAL_KEY.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_apply_changes_nothing() {
    let db = TestDb::posthaste().await;
    let program = everything(&db);
    let planned = program.run(&["apply", "--dry-run"]).check(0, &["nothing was changed"]);
    check_golden("apply.txt", &planned.stdout);
    program.run(&["apply"]).check(4, &["not-confirmed"]);
    program.run(&["apply", "--yes"]).check(0, &["applied "]);
    program.run(&["apply", "--yes"]).check(0, &["nothing changes"]);
    let diff = program.json(&["apply", "--yes"], "diff");
    assert_eq!(diff["changes"], serde_json::json!([]));
    assert_eq!(
        program.json(&["endpoint", "show", "shop"], "endpoint")["settings"]["breaker"]["openMs"],
        1000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_shown_field_by_field() {
    let db = TestDb::posthaste().await;
    let program = everything(&db);
    program.run(&["apply", "--yes"]).check(0, &[]);
    let text = EVERYTHING
        .replace("max_receives = 4", "max_receives = 6")
        .replace("subscriptions.large", "subscriptions.big");
    let program = program.config(&text);
    let planned = program.run(&["apply", "--dry-run"]).check(0, &[]);
    check_golden("apply-changed.txt", &planned.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_applies_its_file_at_start() {
    let db = TestDb::empty().await;
    let program = everything(&db);
    let node = program.serve(&["--roles", "api"]);
    assert_eq!(node.get("/endpoints/ledger").0, 200);
    program.run(&["apply", "--yes"]).check(0, &["nothing changes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_at_a_private_address_is_refused() {
    let db = TestDb::posthaste().await;
    let program = Program::with(&db).config("[endpoints.a]\nurl = \"http://10.0.0.1/hook\"\n");
    program.run(&["apply", "--yes"]).check(2, &["invalid-endpoint", "private address", "allow_networks"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_call_is_what_the_endpoint_would_get_and_fails_as_a_delivery_would() {
    let (db, receiver) = (TestDb::posthaste().await, Receiver::start().await.unwrap());
    let url = receiver.url("/batch");
    let declared = format!(
        "[delivery]\nallow_networks = [\"127.0.0.0/8\"]\n[endpoints.batch]\nurl = \"{url}\"\nkind = \"function\"\n\
        headers = {{ x-tenant = \"a\" }}\n"
    );
    let program = Program::with(&db).config(&declared).env(SEAL_KEY.0, SEAL_KEY.1);
    program.run(&["apply", "--yes"]).check(0, &[]);
    program.run(&["endpoint", "test", "batch"]).check(0, &["200"]);
    let call = receiver.requests().remove(0);
    assert_eq!(call.header("x-tenant"), Some("a"));
    assert!(call.body.starts_with(b"{\"messages\":["), "{:?}", call.body);
    receiver.behave("/batch", Behaviour::answer(200).body(r#"{"failed": [0]}"#));
    program.run(&["endpoint", "test", "batch"]).check(1, &["answer-unreadable"]);
}
