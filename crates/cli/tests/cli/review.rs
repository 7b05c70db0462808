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

/// What a review of a folder says: the files that were reviewed, and what was left out.
fn folder(program: &Program, files: &[(&str, &str)], arguments: &[&str], code: i32) -> Value {
    let folder = program.path("m");
    let _ = std::fs::remove_dir_all(&folder);
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    review(program, &[&["m"], arguments].concat(), code)
}

fn skipped(report: &Value, says: &str) {
    let all = report["skipped"].as_array().expect("skipped");
    assert!(
        all.iter().any(|entry| format!("{} {}", entry["what"], entry["why"]).contains(says)),
        "{says}: {report:#}"
    );
}

const ALONE: &str = "create index concurrently i on t (a);\nselect 1;\n";

#[test]
fn each_tool_s_folder_is_reviewed_as_the_tool_runs_it() {
    let program = Program::alone();
    let up = |mark: &str| format!("{mark}\n{ALONE}");
    let check = |files: &[(&str, &str)], expected: usize| {
        let report = folder(&program, files, &["--fail-on", "never"], 0);
        assert_eq!(findings(&report, "not-in-transaction").len(), expected, "{files:?} {report:#}");
    };
    check(&[("001_a.sql", ALONE)], 0);
    check(&[("a.sql", ALONE)], 0);
    check(&[("000001_a.up.sql", ALONE)], 1);
    check(&[("20260101000000_a/migration.sql", ALONE)], 1);
    check(&[("V1__a.sql", ALONE)], 0);
    check(&[("2026-01-01-000000_a/up.sql", ALONE)], 1);
    check(
        &[
            ("2026-01-01-000000_a/up.sql", "create index concurrently i on t (a);"),
            ("2026-01-01-000000_a/metadata.toml", "run_in_transaction = false\n"),
        ],
        0,
    );
    check(&[("1_a.sql", &up("-- migrate:up"))], 1);
    check(&[("1_a.sql", &up("-- +goose Up"))], 1);
    check(&[("1_a.sql", &up("-- +goose NO TRANSACTION\n-- +goose Up"))], 0);
    check(&[("Cargo.toml", ""), ("1_a.sql", &up("-- no-transaction"))], 1);
    check(&[("Cargo.toml", ""), ("1_a.sql", "-- no-transaction\ncreate index concurrently i on t (a);")], 0);
}

#[test]
fn ways_back_are_judged_and_not_reviewed_as_migrations() {
    let program = Program::alone();
    let goose = "-- +goose Up\ncreate table t (a bigint);\ncreate table u (a bigint);\n-- +goose Down\ndrop table t;\n";
    let report = folder(&program, &[("00001_a.sql", goose)], &["--fail-on", "never"], 0);
    assert_eq!(findings(&report, "rollback-incomplete").len(), 1, "{report:#}");
    assert!(findings(&report, "drop-table").is_empty(), "{report:#}");
    let pair = [("1_a.up.sql", "create table t (a bigint);"), ("1_a.down.sql", "drop table t;")];
    let report = folder(&program, &pair, &["--fail-on", "never"], 0);
    assert_eq!(report["summary"]["files"], 1);
    assert!(findings(&report, "rollback-incomplete").is_empty(), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tool_has_applied_is_left_out_and_said() {
    let test = TestDb::empty().await;
    let program = Program::alone();
    let first = "-- migrate:up\ncreate table t (a int);\ninsert into t values (1);\n";
    let second = "-- migrate:up\ncreate index t_a on t (a);\nalter table t add b int;\n";
    let third = "-- migrate:up\nupdate t set b = 1 where a = 2;\nalter table nowhere add c int;\n";
    let files = [("1_a.sql", first), ("2_b.sql", second), ("3_c.sql", third), ("seed.sql", "select 1;")];
    let report = folder(&program, &files[..2], &["--database", &test.url, "--fail-on", "never"], 0);
    assert_eq!(report["summary"]["files"], 2, "{report:#}");
    let up = program.run(&["migrate", "up", "m", "--to", "1", "--database", &test.url, "--yes"]);
    assert_eq!(up.code, Some(0), "{up:#?}");
    let report = folder(&program, &files, &["--database", &test.url, "--fail-on", "never"], 0);
    assert_eq!(report["summary"]["files"], 2, "{report:#}");
    skipped(&report, "migration 1");
    skipped(&report, "schema_migrations");
    skipped(&report, "seed.sql");
    // The column that the second would make is known to the third; the table that nobody makes is not there.
    let missing = findings(&report, "missing-object");
    assert_eq!(missing.len(), 1, "{report:#}");
    assert!(missing[0]["message"].as_str().is_some_and(|text| text.contains("nowhere")), "{report:#}");
}

#[test]
fn a_dump_is_what_is_there() {
    let program = Program::alone();
    let dump = "create table users (id bigint primary key, email varchar(100));\n\
                INSERT INTO \"schema_migrations\" (version) VALUES ('1');\n";
    std::fs::create_dir(program.path("db")).expect("a folder");
    std::fs::write(program.path("db/structure.sql"), dump).expect("a file");
    // Widening is nothing, which only the type that is there can tell.
    std::fs::write(program.path("1.sql"), "alter table users alter email type varchar(200);")
        .expect("a file");
    let report = review(&program, &["1.sql", "--fail-on", "never"], 0);
    assert_eq!(findings(&report, "change-type").len(), 1, "{report:#}");
    for arguments in [&["1.sql", "--schema", "db/structure.sql"][..], &["db", "1.sql"]] {
        let report = review(&program, &[arguments, &["--fail-on", "never"]].concat(), 0);
        assert!(findings(&report, "change-type").is_empty(), "{report:#}");
        assert_eq!(report["summary"]["files"], 1, "{report:#}");
        skipped(&report, "only a dump of the schema was given");
    }
    let alone = program.run(&["review", "db"]);
    assert_eq!(alone.code, Some(2), "{alone:#?}");
    assert!(alone.stderr.contains("nothing to review"), "{alone:#?}");
}

#[test]
fn the_configuration_says_from_where_a_review_fails() {
    let program = Program::alone().config("[review]\nfail_on = \"never\"\n");
    std::fs::write(program.path("1.sql"), "create index a on b (c);").expect("a file");
    review(&program, &["1.sql"], 0);
    review(&program, &["1.sql", "--fail-on", "low"], 1);
}

#[test]
fn a_long_dump_is_thinned_and_says_so() {
    let program = Program::alone();
    let rows: String =
        (0..1_500).map(|row| format!("INSERT INTO notes VALUES ({row}, 'it''s');\n")).collect();
    let text =
        format!("create table notes (id bigint primary key, text text);\n{rows}create index a on b (c);\n");
    std::fs::write(program.path("dump.sql"), text).expect("a file");
    let report = review(&program, &["dump.sql"], 1);
    skipped(&report, "dump.sql: 500 lines from line 1002 on");
    assert_eq!(findings(&report, "create-index")[0]["location"]["line"], 1_502, "{report:#}");
}
