//! `posthaste migrate`: a folder of migrations, up and down, in the table of the folder's own tool.

use posthaste_testkit::db::TestDb;

use crate::program::{Outcome, Program};

struct Site {
    program: Program,
    test: TestDb,
}

impl Site {
    async fn with(files: &[(&str, &str)]) -> Self {
        let site = Self { program: Program::alone(), test: TestDb::empty().await };
        std::fs::create_dir_all(site.program.path("m")).expect("a folder");
        for (name, text) in files {
            site.write(name, text);
        }
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.program.path("m").join(name), text).expect("a file");
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut all = vec!["migrate", arguments[0], "m", "--database", &self.test.url];
        all.extend(&arguments[1..]);
        self.program.run(&all)
    }

    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, says: &str) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(all.contains(says), "{says}: {outcome:#?}");
        outcome
    }

    async fn count(&self, query: &str) -> i64 {
        let session = self.test.pool.get().await.expect("a connection");
        session.query_one(query, &[]).await.expect(query).get(0)
    }
}

const FILES: &[(&str, &str)] = &[
    (
        "20260101_users.sql",
        "-- migrate:up\ncreate table users (id int);\n-- migrate:down\ndrop table users;\n",
    ),
    (
        "20260102_rows.sql",
        "-- migrate:up\ninsert into users values (1);\n-- migrate:down\ndelete from users;\n",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_goes_up_and_down() {
    let site = Site::with(FILES).await;
    let outcome = site.check(&["status"], 0, "dbmate (no table yet): 0 applied, 2 pending");
    assert!(outcome.stdout.starts_with("VERSION   NAME   STATE"), "{outcome:#?}");
    let outcome = site.check(&["up", "--dry-run"], 0, "nothing was changed");
    assert!(outcome.stdout.contains("create table users"), "{outcome:#?}");
    site.check(&["up"], 4, "not-confirmed");
    assert_eq!(site.count("select count(*) from pg_tables where schemaname = 'public'").await, 0);
    site.check(&["up", "--to", "20260101", "--yes"], 0, "done");
    assert_eq!(site.count("select count(*) from users").await, 0);
    site.check(&["up", "--yes"], 0, "done");
    assert_eq!(site.count("select count(*) from users").await, 1);
    assert_eq!(site.count("select count(*) from schema_migrations").await, 2);
    site.check(&["up", "--yes"], 0, "nothing is pending");
    let migrations =
        site.program.json(&["migrate", "status", "m", "--database", &site.test.url], "migrations");
    assert_eq!(migrations["tool"], "dbmate");
    assert_eq!(migrations["migrations"][1]["state"], "applied");
    site.check(&["down", "--yes"], 0, "done");
    assert_eq!(site.count("select count(*) from users").await, 0);
    site.check(&["status"], 0, "1 applied, 1 pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_disagrees_is_refused_and_said() {
    let site = Site::with(FILES).await;
    site.check(&["up", "--yes"], 0, "done");
    std::fs::remove_file(site.program.path("m").join("20260101_users.sql")).expect("to remove it");
    site.write("20260103_more.sql", "-- migrate:up\nselect 1;\n");
    site.check(&["status"], 1, "1 to look at");
    site.check(&["up", "--yes"], 4, "migrations-disagree");
    site.write("20260103_more.sql", "select 1;\n");
    site.check(&["up", "--yes"], 2, "has no line `-- migrate:up`");
    site.check(&["status", "--tool", "ant"], 2, "golang-migrate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_is_half_done_names_its_run_and_goes_back() {
    let unique = "create unique index concurrently u on t (a);";
    let site = Site::with(&[("1_t.up.sql", "create table t (a int);"), ("2_u.up.sql", unique)]).await;
    let outcome = site.check(&["up", "--to", "001", "--dry-run"], 0, "-- 1 t (1_t.up.sql)");
    assert!(!outcome.stdout.contains("Locks"), "{outcome:#?}");
    site.check(&["up", "--to", "001", "--yes"], 0, "done");
    site.test
        .pool
        .get()
        .await
        .expect("a session")
        .batch_execute("insert into t values (1), (1)")
        .await
        .expect("rows");
    site.check(&["up", "--yes"], 5, "`2_u.up.sql`: run 2: step `2-1` failed");
    site.check(&["status"], 1, "posthaste runs resume 2");
    site.check(&["up", "--yes"], 4, "posthaste runs abort 2");
    site.program.run(&["runs", "abort", "2", "--yes", "--database", &site.test.url]).check(0, &["aborted"]);
    site.check(&["status"], 0, "1 applied, 1 pending");
    site.check(&["down", "--steps", "2", "--yes"], 2, "1 of the folder are applied, and not 2");
}

/// Without a database: the programs of PostgreSQL are all that is needed.
fn tried(files: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let program = Program::alone();
    std::fs::create_dir_all(program.path("m")).expect("a folder");
    for (name, text) in files {
        std::fs::write(program.path("m").join(name), text).expect("a file");
    }
    program.run(&[&["migrate", "test", "m"], arguments].concat())
}

#[test]
fn ways_back_are_tried_before_they_are_needed() {
    let outcome = tried(FILES, &["--format", "json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let trials: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("json");
    for trial in trials["trials"].as_array().expect("trials") {
        assert_eq!(trial["outcome"], "passed", "{trials:#}");
    }
    let outcome = tried(
        &[
            ("1_a.up.sql", "create table a (id int);"),
            ("1_a.down.sql", "drop table a;"),
            ("2_b.up.sql", "alter table a add b int; create index a_b on a (b);"),
            ("2_b.down.sql", "drop index a_b;"),
            ("3_c.up.sql", "create table c (id int);"),
            ("4_d.up.sql", "create table d (id int);"),
            ("4_d.down.sql", "drop table nowhere;"),
            ("5_e.up.sql", "create table a (id int);"),
            ("6_f.up.sql", "create table f (id int);"),
        ],
        &[],
    );
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = outcome.stdout.lines().map(words).collect();
    for line in ["1 a passed", "2 b differs", "3 c no way back", "4 d failed", "5 e failed", "6 f not tried"]
    {
        assert!(lines.iter().any(|found| found == line), "{line}: {outcome:#?}");
    }
    for text in
        ["2_b.up.sql: after up and down", "4_d.up.sql: down: drop table nowhere", "5_e.up.sql: up: create"]
    {
        assert!(outcome.stdout.contains(text), "{text}: {outcome:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_is_tried_on_a_copy_of_the_schema() {
    let site = Site::with(FILES).await;
    site.check(&["up", "--to", "20260101", "--yes"], 0, "done");
    let outcome = site.check(&["test"], 0, "1 passed, 0 without a way back, 0 to mend");
    assert!(!outcome.stdout.contains("20260101"), "{outcome:#?}");
    assert_eq!(site.count("select count(*) from users").await, 0, "nothing is changed");
    site.check(&["up", "--yes"], 0, "done");
    site.check(&["test"], 0, "nothing is pending");
}
