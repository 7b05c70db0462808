//! `posthaste catalog`: a database's catalog as a file, and what it says.

use posthaste_testkit::db::TestDb;
use serde_json::Value;

use crate::program::Program;

const SCHEMA: &str = "create table users (id bigint primary key, \"E\u{1b}mail\" text not null);
    insert into users select n, 'somebody' from generate_series(1, 50000) n;
    create index users_email on users (\"E\u{1b}mail\");
    create view names as select \"E\u{1b}mail\" from users";

async fn prepared() -> TestDb {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    session.batch_execute(SCHEMA).await.expect("a schema");
    session.batch_execute("vacuum analyze users").await.expect("statistics");
    test
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_goes_to_a_file_and_is_shown_from_it() {
    let test = prepared().await;
    let program = Program::alone();
    let arguments = ["catalog", "export", "--database", &test.url, "--out", "c.json", "--calibrate"];
    let outcome = program.run(&arguments);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!(outcome.stdout, "");
    assert!(outcome.stderr.contains("2 relations of"), "{outcome:#?}");
    let text = std::fs::read_to_string(program.path("c.json")).expect("the file");
    let document: Value = serde_json::from_str(&text).expect("json");
    assert_eq!(document["format"], 1);
    assert_eq!(document["relations"].as_array().map(Vec::len), Some(2));
    assert!(text.lines().any(|line| line.starts_with("{\"oid\"") && line.contains("\"users_email\"")));
    assert!(!text.contains("somebody"), "no row is read");

    let shown = program.json(&["catalog", "show", "c.json"], "catalog");
    assert_eq!((shown["tables"].as_u64(), shown["views"].as_u64()), (Some(1), Some(1)));
    assert_eq!(shown["largest"][0]["name"], "public.users");
    assert_eq!(shown["largest"][0]["rows"], 50_000);
    let outcome = program.run(&["catalog", "show", "c.json"]);
    assert!(outcome.stdout.contains("public.users  50000"), "{outcome:#?}");
    let outcome = program.run(&["catalog", "show", "--database", &test.url]);
    assert!(outcome.stdout.contains("public.users  50000"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_a_catalog_goes_to_standard_output() {
    let test = prepared().await;
    let outcome = Program::alone().run(&["catalog", "export", "--database", &test.url]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let document: Value = serde_json::from_str(&outcome.stdout).expect("json");
    assert_eq!(document["server"]["database"], test.target.database());
}

#[track_caller]
fn check_refused(program: &Program, arguments: &[&str], code: i32, says: &str) {
    let outcome = program.run(arguments);
    assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    assert!(outcome.stderr.contains(says), "{says}: {outcome:#?}");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn what_is_no_catalog_and_what_is_not_there_is_refused() {
    let program =
        Program::alone().file("a.json", "{}").file("b.json", "{\"format\": 99}").file("c.json", "select");
    check_refused(&program, &["catalog", "show", "a.json"], 2, "catalog export");
    check_refused(&program, &["catalog", "show", "b.json"], 2, "of another version");
    check_refused(&program, &["catalog", "show", "c.json"], 2, "c.json");
    check_refused(&program, &["catalog", "show", "d.json"], 2, "d.json");
    check_refused(&program, &["catalog", "show"], 2, "--database");
    check_refused(&program, &["catalog", "export"], 2, "--database");
    let nowhere = "postgresql://u:secret@127.0.0.1:1/x";
    check_refused(&program, &["catalog", "export", "--database", nowhere], 3, "database-unreachable");
    let outcome = program.run(&["catalog", "export", "--database", nowhere]);
    assert!(!outcome.stderr.contains("secret"), "{outcome:#?}");
}
