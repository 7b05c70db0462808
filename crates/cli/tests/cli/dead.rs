//! Dead letters from the command line: sorted out, brought home, archived, exported.

use posthaste_testkit::db::TestDb;
use posthaste_testkit::receiver::{Behaviour, Receiver};
use serde_json::{Value, json};

use super::program::{PATIENCE, Program, check_golden};

/// A cloud queue's export, as it was handed over. Its notes are not read.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/samples/sqs_dlq_messages.json");

#[test]
fn triage_of_a_file_needs_no_database() {
    let outcome = Program::alone().run(&["dlq", "triage", "--file", SAMPLE]).check(1, &[]);
    check_golden("triage.txt", &outcome.stdout);
}

#[test]
fn triage_gives_each_letter_the_right_verdict_order_and_pace() {
    let triage = Program::alone().json(&["dlq", "triage", "--file", SAMPLE], "triage");
    let triage = &triage["triage"];
    let groups = triage["groups"].as_array().unwrap();
    let told: Vec<_> = groups
        .iter()
        .map(|group| {
            let text = |name: &str| group[name].as_str().unwrap_or_default();
            (text("cause"), text("category"), text("action"), group["redrive"]["position"].as_u64())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("connect-timeout", "TRANSIENT", "redrive", Some(1)),
            ("connection-refused", "TRANSIENT", "redrive", Some(2)),
            ("pool-exhausted", "TRANSIENT", "redrive", Some(3)),
            ("task-timeout", "TIMEOUT", "redrive", Some(4)),
            ("query-timeout", "TIMEOUT", "redrive", Some(5)),
            ("not-found", "PERMANENT", "discard", None),
            ("empty-message", "VALIDATION", "discard", None),
        ]
    );
    let paces: Vec<_> = groups.iter().filter_map(|group| group["redrive"]["perSecond"].as_u64()).collect();
    assert!(paces.is_sorted_by(|before, after| before >= after), "{paces:?}");
    let idempotent: Vec<_> =
        groups.iter().filter(|group| group["needsIdempotentReceiver"] == json!(true)).collect();
    assert_eq!(idempotent.len(), 2);
    let risks = triage["repeatRisks"].as_array().unwrap();
    assert!(risks.iter().any(|risk| risk["eventType"] == "user.application.submitted"), "{risks:?}");
    let found = triage["inconsistencies"].as_array().unwrap();
    let kinds: Vec<_> = found.iter().filter_map(|found| found["kind"].as_str()).collect();
    assert!(
        kinds.contains(&"sent-before-it-happened") && kinds.contains(&"error-contradicts-itself"),
        "{kinds:?}"
    );
}

#[test]
fn triage_is_the_same_without_the_notes() {
    let mut export: Value = serde_json::from_str(&std::fs::read_to_string(SAMPLE).unwrap()).unwrap();
    for message in export["sampleMessages"].as_array_mut().unwrap() {
        message.as_object_mut().unwrap().remove("note").expect("a note");
    }
    let program = Program::alone().file("bare.json", &export.to_string());
    let bare = program.run(&["dlq", "triage", "--file", "bare.json"]).check(1, &[]);
    assert_eq!(bare.stdout, program.run(&["dlq", "triage", "--file", SAMPLE]).stdout);
}

#[test]
fn a_file_that_is_no_export_is_refused() {
    let program = Program::alone().file("bad.json", "{\"a\": ").file("other.json", "{\"a\": 1}");
    program.run(&["dlq", "triage", "--file", "bad.json"]).check(2, &["invalid-file", "bad.json"]);
    program.run(&["dlq", "triage", "--file", "other.json"]).check(2, &["invalid-file"]);
    program.run(&["dlq", "triage", "--file", "none.json"]).check(2, &["invalid-file", "none.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_redriven_discarded_and_exported() {
    let db = TestDb::posthaste().await;
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/well", Behaviour::answer(503));
    receiver.behave("/never", Behaviour::answer(400));
    let program = Program::with(&db).config(&configuration(&receiver));
    let node = program.serve(&[]);
    for (event_type, payload) in [("a", "{\"n\": 1}"), ("a", "{\"n\": 2}"), ("b", "{\"n\": 3}")] {
        program.run(&["event", "publish", "--type", event_type, payload]).check(0, &[]);
    }
    node.get_until("/metrics", |_, text| text.lines().filter(|line| dead(line)).count() > 0);
    let deadline = std::time::Instant::now() + PATIENCE;
    while letters(&program).len() < 3 {
        assert!(std::time::Instant::now() < deadline, "{:?}", letters(&program));
    }
    program.run(&["dlq", "list", "--error-type", "PERMANENT"]).check(0, &["http-400", "never"]);
    program.run(&["dlq", "triage"]).check(1, &["3 dead letters, 2 causes"]);
    let first = letters(&program)[0]["id"].to_string();
    let shown = program.json(&["dlq", "show", &first], "letter");
    assert_eq!(shown["attempts"].as_array().map(Vec::len), shown["receives"].as_u64().map(|n| n as usize));

    receiver.behave("/well", Behaviour::answer(200));
    let redrive = ["dlq", "redrive", "--error-type", "TRANSIENT", "--jitter-seconds", "0"];
    program.run(&redrive).check(4, &["give 2 dead letters back"]);
    program.run(&[&redrive[..], &["--dry-run"]].concat()).check(0, &["http-503", "nothing was changed"]);
    assert_eq!(letters(&program).len(), 3);
    program.run(&[&redrive[..], &["--yes", "--watch"]].concat()).check(0, &["status", "done"]);
    program.run(&["redrive", "list"]).check(0, &["done"]);
    program.run(&["redrive", "cancel", "1", "--yes"]).check(2, &["conflict", "has ended"]);

    let exported = program.run(&["dlq", "export"]).check(0, &[]).stdout;
    assert_eq!(exported.lines().count(), 1, "{exported}");
    let program = program.file("dead.jsonl", &exported);
    program.run(&["dlq", "triage", "--file", "dead.jsonl"]).check(1, &["1 dead letter, 1 cause"]);
    let discard = ["dlq", "discard", "--reason", "sent by mistake"];
    program.run(&[&discard[..], &["--dry-run"]].concat()).check(0, &["would move 1 dead letter"]);
    program.run(&[&discard[..], &["--yes"]].concat()).check(0, &["posthaste.dead_letter_archive"]);
    program.run(&["dlq", "triage"]).check(0, &["there are no dead letters"]);
    assert_eq!(receiver.counts().succeeded_keys, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_a_redrive_without_a_node_gives_up_with_5() {
    let db = TestDb::posthaste().await;
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/never", Behaviour::answer(400));
    let program = Program::with(&db).config(&configuration(&receiver));
    let node = program.serve(&[]);
    program.run(&["event", "publish", "--type", "b", "{}"]).check(0, &[]);
    node.get_until("/metrics", |_, text| text.lines().any(dead));
    node.signal(rustix::process::Signal::TERM);
    node.end();
    program.run(&["dlq", "redrive", "--yes"]).check(0, &["posthaste redrive watch 1"]);
    program
        .run(&["redrive", "watch", "1", "--within-seconds", "0"])
        .check(5, &["timeout", "see that a node runs"]);
    program.run(&["redrive", "cancel", "1", "--yes"]).check(0, &["cancelled"]);
    program.run(&["redrive", "watch", "1"]).check(1, &["cancelled"]);
}

/// Whether a line of the metrics says that something died.
fn dead(line: &str) -> bool {
    line.starts_with("posthaste_dead_letters_total{") && !line.ends_with(" 0")
}

fn letters(program: &Program) -> Vec<Value> {
    program.json(&["dlq", "list"], "letters").as_array().cloned().unwrap_or_default()
}

/// What goes to `well` may be tried again, what goes to `never` is refused for good.
fn configuration(receiver: &Receiver) -> String {
    let mut text = "[delivery]\nallow_networks = [\"127.0.0.0/8\"]\n\
         [queues.low]\nmax_receives = 2\nbackoff_base_ms = 1\nbackoff_cap_ms = 2\n"
        .to_owned();
    for (event_type, name) in [("a", "well"), ("b", "never")] {
        let url = receiver.url(&format!("/{name}"));
        text.push_str(&format!(
            "[types.{event_type}]\n[endpoints.{name}]\nurl = \"{url}\"\n\
             [subscriptions.{name}]\ntopic = \"{event_type}\"\nendpoint = \"{name}\"\n"
        ));
    }
    text
}
