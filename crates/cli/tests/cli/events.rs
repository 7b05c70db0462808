//! Events, schedules and queues by hand: handed in, followed, withdrawn, pulled.

use posthaste_testkit::db::TestDb;
use serde_json::json;

use super::program::{Program, check_golden};

async fn program(db: &TestDb) -> Program {
    let program = Program::with(db).config(
        "[types.ping]\n[queues.review]\n[subscriptions.pings]\ntopic = \"ping\"\nqueue = \"review\"\n",
    );
    program.run(&["apply", "--yes"]).check(0, &[]);
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_comes_from_the_line_a_file_or_standard_input() {
    let db = TestDb::posthaste().await;
    let program = program(&db).await.file("three.json", r#"{"n": 3}"#);
    let publish = ["event", "publish", "--type", "ping"];
    let with = |payload: &'static str| [&publish[..], &[payload]].concat();
    program.run(&with(r#"{"n": 1}"#)).check(0, &["duplicate  no"]);
    program.run_with_input(&with("-"), r#"{"n": 2}"#).check(0, &["duplicate  no"]);
    program.run(&with("@three.json")).check(0, &["duplicate  no"]);
    program.run(&with(r#"{ "n" : 1 }"#)).check(0, &["duplicate  yes", "nothing happens twice"]);

    let messages = program.json(&["queue", "receive", "review", "--max", "10", "--settle"], "messages");
    let payloads: Vec<_> = messages.as_array().unwrap().iter().map(|message| &message["payload"]).collect();
    assert_eq!(payloads, [&json!({"n": 1}), &json!({"n": 2}), &json!({"n": 3})]);
    let depth = &program.json(&["queue", "show", "review"], "queue")["depth"];
    assert_eq!((&depth["visible"], &depth["inFlight"]), (&json!(0), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_shown_as_it_was_sent() {
    const SENT: &str = r#"{"amount":42.50, "ratio":1e-3}"#;
    let db = TestDb::posthaste().await;
    let program = program(&db).await;
    let event = program.json(&["event", "publish", "--type", "ping", SENT], "event");
    let id = event["id"].as_str().unwrap();
    program.run(&["event", "show", id]).check(0, &["payload.amount  ", "42.50\n", "1e-3\n"]);
    program.run(&["event", "show", id, "--format", "json"]).check(0, &[SENT]);
    program.run(&["event", "show", "--key", event["key"].as_str().unwrap()]).check(0, &[id]);
    program.run(&["event", "show", "--key", "nobody's"]).check(2, &["not-found", "nobody's"]);
    program.run(&["event", "show"]).check(2, &["<ID>"]);
    program.run(&["queue", "peek", "review"]).check(0, &[SENT]);
    program.run(&["queue", "receive", "review", "--format", "json", "--settle"]).check(0, &[SENT]);
    let session = db.pool.get().await.unwrap();
    let die = "insert into posthaste.dead_letter
        (queue_id, message_id, event_id, receives, category, code, error, sent_at, payload)
        select q.id, 1, e.id, 1, 'PERMANENT', 'http-404', 'gone', now(), e.payload
        from posthaste.queue q, posthaste.event e where q.name = 'review' returning id";
    let letter: i64 = session.query_one(die, &[]).await.unwrap().get(0);
    let show = ["dlq", "show", &letter.to_string()];
    program.run(&show).check(0, &["42.50\n", "1e-3\n"]);
    program.run(&[&show[..], &["--format", "json"]].concat()).check(0, &[SENT]);
    program.run(&["dlq", "export"]).check(0, &[SENT]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_its_place() {
    let db = TestDb::posthaste().await;
    let program = program(&db).await;
    let publish = |arguments: &[&str]| program.run(&[&["event", "publish"], arguments].concat());
    publish(&[r#"{"orderId": "#]).check(2, &["malformed-body", "line 1 column"]);
    publish(&[r#"{"orderId": "a", "amount": 0}"#]).check(2, &["invalid-payload", "/amount: must be greater"]);
    publish(&["@none.json"]).check(2, &["invalid-file", "none.json"]);
    publish(&["--due", "2027-02-30T09:00 Europe/Berlin", "{}"]).check(2, &["`2027-02-30` does not exist"]);
    publish(&["--due", "2027-02-20T09:00 Europe/Berln", "{}"]).check(2, &["did you mean `Europe/Berlin`"]);
    publish(&["--type", "ping", "--due", "9999-01-01T00:00Z", "{}"])
        .check(2, &["invalid-time", "too far ahead"]);
    publish(&["--priority", "URGENT", "{}"]).check(2, &["CRITICAL, HIGH, NORMAL or LOW"]);
    publish(&["--attribute", "a", "{}"]).check(2, &["`--attribute`", "NAME=VALUE"]);
    publish(&["--type", "ping", "--key", "k", r#"{"n": 1}"#]).check(0, &[]);
    publish(&["--type", "ping", "--key", "k", r#"{"n": 2}"#]).check(2, &["key-conflict"]);
    program.run(&["queue", "send", "nonesuch", "x"]).check(2, &["unknown-queue", "expected one of critical"]);
    let delay = ["queue", "send", "review", "x", "--delay-seconds", "-5"];
    program.run(&delay).check(2, &["--delay-seconds"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_can_be_withdrawn_until_it_is_due() {
    let db = TestDb::posthaste().await;
    let program = program(&db).await;
    let due = ["event", "publish", "--type", "ping", "--due", "2030-03-01T09:00 Europe/Berlin", "{}"];
    let event = program.json(&due, "event");
    assert_eq!(event["dueAt"], "2030-03-01T08:00:00Z");
    let id = event["id"].as_str().unwrap();
    program.run(&["event", "cancel", id]).check(4, &["not-confirmed", "--dry-run"]);
    program.run(&["event", "cancel", id, "--dry-run"]).check(0, &["nothing was changed"]);
    assert_eq!(program.json(&["event", "show", id], "event")["status"], "PENDING");
    program.run(&["event", "cancel", id, "--yes"]).check(0, &["withdrawn"]);
    assert_eq!(program.json(&["event", "show", id], "event")["status"], "CANCELLED");
    program.run(&["event", "show", "nonsense"]).check(2, &["invalid-parameter"]);
    program.run(&["event", "show", "0192f0c1-7a3e-7c2b-9d56-0a1b2c3d4e5f"]).check(2, &["not-found"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_follows_its_subject() {
    let db = TestDb::posthaste().await;
    let program = program(&db).await;
    program
        .run(&["subject", "put", "anna", "--zone", "Europe/Berlin", "--date", "birthday=1990-03-01"])
        .check(0, &[]);
    let create = ["schedule", "create", "--type", "ping", "--subject", "anna", "--follows", "birthday"];
    let schedule = program.json(&create, "schedule");
    assert!(schedule["nextLocal"].as_str().unwrap().contains("-03-01T09:00:00+01:00[Europe/Berlin]"));
    let moved = program.json(&["subject", "put", "anna", "--zone", "Asia/Tokyo"], "subject");
    assert!(moved["moved"][0]["to"].as_str().unwrap().ends_with("-03-01T00:00:00Z"), "{moved}");
    let id = schedule["id"].to_string();
    program.run(&["schedule", "pause", &id]).check(0, &["paused"]);
    program.run(&["schedule", "resume", &id]).check(0, &["active"]);
    program.run(&["schedule", "cancel", &id, "--yes"]).check(0, &["cancelled"]);
    program
        .run(&["schedule", "create", "--type", "ping", "--zone", "UTC", "--cron", "0 9 * * 8"])
        .check(2, &["invalid-schedule"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_takes_what_it_says() {
    let db = TestDb::posthaste().await;
    let program = program(&db).await;
    for payload in ["a", "b", "c"] {
        program.run(&["queue", "send", "review", payload]).check(0, &[]);
    }
    program.run(&["queue", "receive", "review", "--max", "1"]).check(0, &["come back"]);
    program.run(&["queue", "purge", "review"]).check(4, &["remove 2 messages of the queue `review`"]);
    program.run(&["queue", "purge", "review", "--yes"]).check(0, &["messages  2"]);
    assert_eq!(program.json(&["queue", "show", "review"], "queue")["depth"]["inFlight"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_gives_nothing() {
    let db = TestDb::posthaste().await;
    let program = program(&db).await;
    program.run(&["queue", "pause", "review"]).check(0, &[]);
    program.run(&["queue", "send", "review", "a"]).check(0, &[]);
    assert_eq!(program.json(&["queue", "receive", "review"], "messages"), json!([]));
    program.run(&["queue", "resume", "review"]).check(0, &[]);
    assert_eq!(program.json(&["queue", "receive", "review"], "messages").as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_read_as_they_did() {
    let db = TestDb::posthaste().await;
    let program = program(&db).await;
    for (name, arguments) in [
        ("queue-list.txt", &["queue", "list"][..]),
        ("topic-list.txt", &["topic", "list"]),
        ("subscription-list.txt", &["subscription", "list"]),
        ("queue-list.json", &["queue", "list", "--format", "json"]),
    ] {
        let printed = program.run(arguments).check(0, &[]).stdout;
        let stable: String = printed
            .lines()
            .filter(|line| !line.contains("createdAt"))
            .map(|line| format!("{line}\n"))
            .collect();
        check_golden(name, &stable);
    }
}
