//! What takes a private PostgreSQL of its own: adoption after a kill, a second node, a full disk, the demonstration.

use rustix::process::Signal;

use super::program::Program;

const EVENT: &str = r#"{"orderId": "test-123", "amount": 42.50}"#;

#[test]
fn a_killed_node_leaves_its_database_to_the_next_one() {
    let program = Program::alone();
    let node = program.serve(&[]);
    assert_eq!(node.post("/events", "", EVENT).0, 202);
    node.signal(Signal::KILL);
    assert_eq!(node.end().0, None);

    let next = program.start(&[]);
    next.wait_for("using the private PostgreSQL that runs already");
    next.wait_for("listening on");
    program.run(&["event", "publish", EVENT]).check(0, &["nothing happens twice"]);

    // A second node on the same folder shares the server, which goes with the last of them.
    let second = program.serve(&[]);
    next.signal(Signal::TERM);
    let (code, said) = next.end();
    assert!(code == Some(0) && said.contains("it keeps running"), "{code:?} {said}");
    assert_eq!(second.get("/health").0, 200);
    second.signal(Signal::TERM);
    let (code, said) = second.end();
    assert!(code == Some(0) && !said.contains("it keeps running"), "{code:?} {said}");
    assert!(!program.data_folder().join("data/postmaster.pid").exists());
}

#[test]
fn the_demonstration_accounts_for_every_event() {
    let program = Program::alone();
    let outcome =
        program.run(&["demo"]).check(0, &["breaker of calendar: open", "every event is accounted for"]);
    assert!(outcome.stdout.contains("redrive 1 gives "), "{}", outcome.stdout);
}
