//! `posthaste review`: exit codes, forms, baselines, and a review against a real database.

use posthaste_testkit::db::TestDb;
use serde_json::Value;

use crate::program::Program;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../review/tests/samples");

fn sample(name: &str) -> String {
    format!("{SAMPLES}/{name}")
}

/// The tables of the sample, with that many users.
async fn prepared(users: u32) -> TestDb {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    let tables = std::fs::read_to_string(sample("tables.sql")).expect("the tables");
    session.batch_execute(&tables.replace(":users", &users.to_string())).await.expect("the tables");
    session.batch_execute("analyze").await.expect("statistics");
    test
}

fn findings<'a>(report: &'a Value, code: &str) -> Vec<&'a Value> {
    let all = report["findings"].as_array().expect("findings");
    all.iter().filter(|finding| finding["code"] == code).collect()
}

fn review(program: &Program, arguments: &[&str], code: i32) -> Value {
    let all = [&["review"], arguments, &["--format", "json"]].concat();
    let outcome = program.run(&all);
    assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    serde_json::from_str(&outcome.stdout).expect("json")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_is_reviewed_against_a_real_database() {
    let test = prepared(2_000).await;
    let program = Program::alone();
    let (file, queries) = (sample("migration.sql"), sample("performance_insights_snapshot.json"));
    let report = review(&program, &[&file, "--database", &test.url, "--queries", &queries], 1);
    assert_eq!(report["tool"], "review");
    // The same statements that take minutes with 2.5 million users are nothing here.
    for code in ["create-index", "add-check", "bulk-update", "index-before-backfill"] {
        assert!(findings(&report, code).is_empty(), "{code}: {report:#}");
    }
    // The data was asked: some users have scores above 100.
    let check = findings(&report, "constraint-before-backfill");
    assert_eq!(check.len(), 1, "{report:#}");
    assert_eq!((&check[0]["confidence"], &check[0]["severity"]), (&"certain".into(), &"high".into()));
    for code in ["set-null-on-not-null", "rollback-incomplete", "query-reads-added-column", "not-approved"] {
        assert_eq!(findings(&report, code).len(), 1, "{code}: {report:#}");
    }
    let silent = review(&program, &[&file, "--database", &test.url, "--no-probes"], 1);
    assert_eq!(findings(&silent, "constraint-before-backfill")[0]["confidence"], "possible");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_data_does_not_bear_out_is_not_told() {
    let test = prepared(600).await;
    let program = Program::alone();
    std::fs::write(program.path("1.sql"), "alter table users alter column first_name set not null;")
        .expect("a file");
    let text = "alter table users add constraint one_last_name unique (last_name);\n\
                alter table users add constraint one_email unique (email);";
    std::fs::write(program.path("2.sql"), text).expect("a file");
    let report = review(&program, &["1.sql", "2.sql", "--database", &test.url], 0);
    assert!(findings(&report, "fails-on-nulls").is_empty(), "{report:#}");
    assert!(findings(&report, "fails-on-duplicates").is_empty(), "{report:#}");
    let session = test.pool.get().await.expect("a connection");
    session
        .batch_execute("update users set first_name = null where last_name = 'Last7'")
        .await
        .expect("a NULL");
    let report = review(&program, &["1.sql", "--database", &test.url], 1);
    assert_eq!(findings(&report, "fails-on-nulls")[0]["confidence"], "certain", "{report:#}");
}

#[test]
fn exit_codes_say_what_happened() {
    let program = Program::alone();
    std::fs::write(program.path("good.sql"), "create table notes (id bigint primary key);").expect("a file");
    std::fs::write(program.path("bad.sql"), "create index a on b (c);").expect("a file");
    review(&program, &["good.sql"], 0);
    review(&program, &["bad.sql"], 1);
    review(&program, &["bad.sql", "--fail-on", "critical"], 0);
    review(&program, &["bad.sql", "--catalog", &sample("catalog.json")], 1);
    assert_eq!(program.run(&["review", "nowhere.sql"]).code, Some(2));
    let unreachable = ["review", "good.sql", "--database", "postgresql://nobody@127.0.0.1:1/none"];
    assert_eq!(program.run(&unreachable).code, Some(3));
    std::fs::write(program.path("utf16.sql"), b"\xff\xfea\0").expect("a file");
    let outcome = program.run(&["review", "utf16.sql"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("UTF-8"), "{outcome:#?}");
}

#[test]
fn what_a_baseline_knows_is_not_told_again() {
    let program = Program::alone();
    std::fs::write(program.path("1.sql"), "create index a on b (c);").expect("a file");
    assert_eq!(program.run(&["review", "1.sql", "--write-baseline", "known.json"]).code, Some(0));
    let report = review(&program, &["1.sql", "--baseline", "known.json"], 0);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0));
    std::fs::write(program.path("1.sql"), "-- Moved.\ncreate index a\n  on b (c);\ncreate index d on b (e);")
        .expect("a file");
    let report = review(&program, &["1.sql", "--baseline", "known.json"], 1);
    assert_eq!(findings(&report, "create-index").len(), 1, "the second is new");
}

#[test]
fn the_configuration_decides_about_rules() {
    let program = Program::alone();
    std::fs::write(program.path("1.sql"), "create index a on b (c);").expect("a file");
    std::fs::write(program.path("posthaste.toml"), "[review.rules]\ncreate-index = \"off\"\n")
        .expect("a file");
    review(&program, &["1.sql"], 0);
    std::fs::write(program.path("posthaste.toml"), "[review.rules]\ncreate-indexes = \"off\"\n")
        .expect("a file");
    let outcome = program.run(&["review", "1.sql"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("review.rules.create-indexes"), "{outcome:#?}");
}

#[test]
fn folders_are_read_in_order_with_their_ways_back() {
    let program = Program::alone();
    let folder = program.path("migrations");
    std::fs::create_dir(&folder).expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    put("1_a.up.sql", "create table a (id bigint primary key);");
    put("1_a.down.sql", "drop table a;");
    put("2_b.up.sql", "create index concurrently a_id on a (id);\nselect 1;");
    let report = review(&program, &["migrations"], 1);
    assert_eq!(report["summary"]["files"], 2);
    let refused = findings(&report, "not-in-transaction");
    assert_eq!(refused.len(), 1, "{report:#}");
    assert!(refused[0]["message"].as_str().is_some_and(|text| text.contains("one query")), "{report:#}");
    assert_eq!(findings(&report, "rollback-missing").len(), 1, "the second has no way back");
}
