//! `posthaste run` and `posthaste runs`: a plan from its file to its end, and back.

use posthaste_testkit::db::TestDb;

use crate::program::Program;

const PLAN: &str = r#"
version = 1
title = "A label"
kind = "test"

[[phases]]
name = "all"

[[phases.gates]]
gate = "approval"
name = "read"
about = "somebody has read this"

[[phases.steps]]
id = "column"
title = "The column"
action = "transaction"
statements = ["alter table item add column label text"]
undo = ["alter table item drop column label"]

[[phases.steps]]
id = "fill"
title = "Its values"
action = "batches"
schema = "public"
table = "item"
key = ["id"]
statements = ["update item set label = 'x' where {batch}"]
left = "select count(*) from item where label is null"
undo = ["update item set label = null where {batch}"]

[[phases.steps]]
id = "look"
title = "A look"
action = "check"
sql = "select count(*) = 0 from closed"
"#;

async fn prepared() -> (TestDb, Program) {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    let tables = "create table item (id int primary key); create table closed (id int);
        insert into item select generate_series(1, 1000)";
    session.batch_execute(tables).await.expect("tables");
    let program = Program::alone();
    std::fs::write(program.path("plan.toml"), PLAN).expect("a file");
    (test, program)
}

#[track_caller]
fn check(program: &Program, arguments: &[&str], code: i32, says: &[&str]) {
    let outcome = program.run(arguments);
    assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    for text in says {
        assert!(outcome.stdout.contains(text) || outcome.stderr.contains(text), "{text}: {outcome:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_read_run_and_shown() {
    let (test, program) = prepared().await;
    let run = ["run", "plan.toml", "--database", &test.url];
    let with = |more: &[&'static str]| [&run[..], more].concat();
    check(&program, &run, 4, &["error[not-confirmed]", "carry out 3 steps"]);
    check(
        &program,
        &with(&["--dry-run"]),
        0,
        &["# A label", "alter table item add column label", "nothing was changed"],
    );
    check(&program, &["runs", "list", "--database", &test.url], 0, &["ID"]);
    check(&program, &with(&["--yes"]), 4, &["error[gate-closed]", "nobody has approved", "--approve read"]);
    // The same plan again goes on with the run that stopped.
    let outcome = with(&["--yes", "--approve", "read"]);
    check(&program, &outcome, 0, &["run 1 goes on", "fill is done: 1000 rows", "run 1 is done: A label"]);
    let shown = program.json(&["runs", "show", "1", "--database", &test.url], "run");
    assert_eq!((shown["state"].as_str(), shown["steps"][1]["rows"].as_u64()), (Some("done"), Some(1000)));
    let listed = program.json(&["runs", "list", "--database", &test.url], "runs");
    assert_eq!(listed[0]["title"], "A label");
    check(
        &program,
        &["runs", "pause", "1", "--database", &test.url],
        2,
        &["error[conflict]", "run 1 is done"],
    );
    check(&program, &["runs", "show", "9", "--database", &test.url], 2, &["error[not-found]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_failed_is_taken_back() {
    let (test, program) = prepared().await;
    let session = test.pool.get().await.expect("a connection");
    session.batch_execute("insert into closed values (1)").await.expect("a row");
    let run = ["run", "plan.toml", "--database", &test.url, "--yes", "--approve", "read"];
    check(&program, &run, 5, &["error[step-failed]", "the check of step `look` answered f", "runs abort 1"]);
    let abort = ["runs", "abort", "1", "--database", &test.url];
    check(&program, &abort, 4, &["take back what run 1 (A label) has done"]);
    let yes = [&abort[..], &["--yes"]].concat();
    check(&program, &yes, 0, &["run 1 is aborted", "column went back"]);
    let columns = "select count(*) from pg_attribute where attrelid = 'item'::regclass and attname = 'label'";
    let row = session.query_one(columns, &[]).await.expect("a count");
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_plan_is_refused_with_its_line() {
    let (test, program) = prepared().await;
    let wrong = PLAN.replacen("undo =", "unda =", 1);
    let line = wrong.lines().position(|line| line.starts_with("unda")).expect("the line") + 1;
    let place = format!("line {line}, column 1");
    std::fs::write(program.path("plan.toml"), wrong).expect("a file");
    let run = ["run", "plan.toml", "--database", &test.url, "--yes"];
    check(&program, &run, 2, &["error[invalid-file]", "plan.toml", "unknown field `unda`", &place]);
    let none = ["run", "none.toml", "--database", &test.url, "--yes"];
    check(&program, &none, 2, &["none.toml", "No such file"]);
    let reason = ["run", "plan.toml", "--database", &test.url, "--override", "window"];
    check(&program, &reason, 2, &["say the gate and why"]);
}
