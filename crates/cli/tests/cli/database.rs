//! What is wrong with the database is said in time, with exit code 3 or 4.

use std::net::TcpListener;
use std::time::Duration;

use posthaste_testkit::db::TestDb;

use super::program::Program;

#[test]
fn garbage_for_an_address_is_refused() {
    let list = |url: &str| Program::alone().env("DATABASE_URL", url).run(&["queue", "list"]);
    list("garbage").check(2, &["invalid-config", "`DATABASE_URL`", "postgres://user:password@host"]);
    list("mysql://u:hunter2@h/d").check(2, &["does not begin with postgresql://"]);
    let refused = list("postgres://u:hunter2@h:port/d").check(2, &["`DATABASE_URL`"]);
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
}

#[test]
fn an_unreachable_database_ends_with_3_in_bounded_time() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let url = format!("postgres://u:hunter2@127.0.0.1:{port}/d");
    let program = Program::alone().env("DATABASE_URL", &url).env("POSTHASTE_DATABASE__CONNECT_SECONDS", "1");
    for arguments in [&["queue", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let outcome =
            program.run(arguments).check(3, &["database-unreachable", &format!("127.0.0.1:{port}")]);
        assert!(outcome.took < Duration::from_secs(20) && !outcome.stderr.contains("hunter2"), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_database_is_said() {
    let db = TestDb::empty().await;
    let url = db.target.clone().with_database("nonesuch").exposed();
    let outcome = Program::alone().env("DATABASE_URL", &url).run(&["queue", "list"]);
    outcome.check(3, &["database-refused", "nonesuch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_schema_is_made_by_an_upgrade() {
    let db = TestDb::empty().await;
    let program = Program::with(&db);
    program.run(&["queue", "list"]).check(4, &["schema-missing", "posthaste schema upgrade"]);
    program.run(&["schema", "upgrade"]).check(4, &["not-confirmed", "0001_ground"]);
    program.run(&["schema", "upgrade", "--dry-run"]).check(0, &["nothing was changed"]);
    let state = program.json(&["schema", "upgrade", "--yes"], "schema");
    assert_eq!((&state["version"], &state["pending"]), (&state["target"], &serde_json::json!([])));
    program.run(&["schema", "upgrade"]).check(0, &["the schema is up to date"]);
    program.run(&["queue", "list"]).check(0, &["NAME"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_newer_than_the_program_is_left_alone() {
    let db = TestDb::posthaste().await;
    let session = db.pool.get().await.unwrap();
    session
        .batch_execute(
            "insert into posthaste.schema_version (version, name, checksum) values (99, 'later', '')",
        )
        .await
        .unwrap();
    let program = Program::with(&db);
    for arguments in
        [&["queue", "list"][..], &["schema", "upgrade", "--yes"], &["serve", "--listen", "127.0.0.1:0"]]
    {
        program.run(arguments).check(4, &["schema-too-new", "version 99"]);
    }
    program.run(&["schema", "status"]).check(0, &["version  99"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_is_no_error() {
    let db = TestDb::posthaste().await;
    let binary = env!("CARGO_BIN_EXE_posthaste");
    let line =
        format!("'{binary}' --database-url '{}' schema sql | head -1; echo ${{PIPESTATUS[0]}}", db.url);
    let output = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\n0\n"), "{output:?}");
}
