//! What takes a private PostgreSQL of its own: adoption after a kill, a second node, a full disk, the demonstration.

use std::io::Write as _;
use std::process::Command;

use rustix::process::Signal;

use super::program::{Program, Serving};

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

/// A small file system of its own for the data folder; gone with the test.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// None where nothing may be mounted.
    fn mount(path: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=110m", "tmpfs"]).arg(&path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(path))
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 65_536]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_said_and_what_was_accepted_stays() {
    let program = Program::alone();
    let Some(disk) = SmallDisk::mount(program.path("disk")) else {
        return eprintln!("passed over: nothing may be mounted here");
    };
    let folder = disk.0.join("data").to_string_lossy().into_owned();
    let node = program.serve(&["--data-dir", &folder]);
    let mut ids = Vec::new();
    let mut publish = |node: &Serving| {
        let body = format!(r#"{{"n": {}, "text": "{}"}}"#, ids.len(), "x".repeat(100_000));
        let (status, answer) = node.post("/events?type=large", "", &body);
        if status == 202 {
            let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
            ids.push(answer["id"].as_str().unwrap().to_owned());
        }
        (status, answer)
    };
    assert_eq!(publish(&node).0, 202);
    disk.fill();
    let (status, refused) = (0..1_000).map(|_| publish(&node)).find(|(status, _)| *status != 202).unwrap();
    assert!(status == 503 && refused.contains("database-full"), "{status} {refused}");
    node.get_until("/health", |status, body| status == 503 && body.contains("database-full"));
    disk.make_room();
    node.get_until("/health", |status, _| status == 200);
    assert_eq!(publish(&node).0, 202);
    for id in ids {
        assert_eq!(node.get(&format!("/events/{id}")).0, 200, "{id}");
    }
    node.signal(Signal::TERM);
    assert_eq!(node.end().0, Some(0));
}
