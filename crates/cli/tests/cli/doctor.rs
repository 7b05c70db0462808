//! `posthaste doctor`: what it prints, in which forms, and with which exit code it ends.

use posthaste_testkit::db::TestDb;
use serde_json::Value;

use crate::program::Program;

const SCHEMA: &str = "create table users (id bigint primary key, email text);
    insert into users select n, 'somebody' || n from generate_series(1, 5000) n;
    create index users_a on users (email);
    create index users_b on users (email);
    analyze users";
const LOG: &str = include_str!("../../../care/tests/doctor/samples/rds_slowquery.log");

async fn prepared() -> TestDb {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    session.batch_execute(SCHEMA).await.expect("a schema");
    test
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_says_the_same() {
    let test = prepared().await;
    let program = Program::alone();
    let only = ["doctor", "--database", &test.url, "--only", "duplicate-index,lock-chain"];
    let human = program.run(&[&only[..], &["--fail-on", "medium"]].concat());
    assert_eq!(human.code, Some(1), "{human:#?}");
    assert!(human.stdout.contains("users_b has the same key as users_a"), "{human:#?}");
    assert!(human.stdout.contains("- lock-chain: no session waits for a lock"), "{human:#?}");
    let quiet = program.run(&[&only[..], &["--quiet"]].concat());
    assert_eq!(quiet.code, Some(0), "medium is not high: {quiet:#?}");
    assert!(!quiet.stdout.contains("no session waits"), "{quiet:#?}");

    let json = program.run(&[&only[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&json.stdout).expect("json");
    assert_eq!(
        (document["tool"].as_str(), document["summary"]["medium"].as_u64()),
        (Some("doctor"), Some(1))
    );
    let step = &document["findings"][0]["remedy"]["steps"][0];
    assert_eq!(step["statement"], "drop index concurrently if exists public.users_b");
    assert_eq!(step["undo"][0], "CREATE INDEX CONCURRENTLY users_b ON public.users USING btree (email)");
    assert_eq!(document["summary"]["lines"]["lock-chain"], "no session waits for a lock");
    for form in ["markdown", "html", "sarif", "github"] {
        let outcome = program.run(&[&only[..], &["--format", form]].concat());
        assert!(outcome.stdout.contains("users_b"), "{form}: {outcome:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_what_changed_from_its_own_store() {
    let test = prepared().await;
    let program = Program::alone();
    let watch =
        ["doctor", "--database", &test.url, "--only", "duplicate-index", "--watch", "--store", "kept"];
    let once = [&watch[..], &["--rounds", "1"]].concat();
    let first = program.run(&once);
    assert!(first.stdout.contains("users_b has the same key"), "{first:#?}");
    let session = test.pool.get().await.expect("a connection");
    session
        .batch_execute("drop index users_b; create index users_c on users (email)")
        .await
        .expect("a change");
    let second = program.run(&once);
    assert!(second.stdout.contains("+ medium duplicate-index: users_c"), "{second:#?}");
    assert!(second.stdout.contains("- medium duplicate-index: users_b"), "{second:#?}");
    let third = program.run(&once);
    assert_eq!((third.stdout.as_str(), third.code), ("", Some(0)), "{third:#?}");
}

#[test]
fn logs_are_read_without_a_database() {
    let program = Program::alone().file("slow.log", LOG).file("bad.log", "hello");
    let outcome = program.run(&["doctor", "--log", "slow.log", "--format", "json"]);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let document: Value = serde_json::from_str(&outcome.stdout).expect("json");
    assert_eq!(document["findings"][0]["location"]["file"], "slow.log");
    let outcome = program.run(&["doctor", "--log", "bad.log"]);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    let outcome = program.run(&["doctor", "--log", "none.log"]);
    assert!(outcome.stderr.contains("none.log"), "{outcome:#?}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let program = Program::alone();
    let outcome = program.run(&["doctor", "--database", "postgresql://nobody@127.0.0.1:1/none"]);
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    let outcome = program.run(&["doctor", "--list"]);
    assert!(outcome.stdout.contains("lock-chain "), "{outcome:#?}");
    assert_eq!(outcome.code, Some(0));
}
