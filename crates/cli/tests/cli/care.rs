//! `posthaste integrity`, `fix` and `archive`: from what is wrong to a plan, its run, and the way back.

use posthaste_report::{Plan, RunState};
use posthaste_runner::RunOptions;
use posthaste_testkit::db::TestDb;
use serde_json::Value;

use crate::program::Program;

const SCHEMA: &str = include_str!("../../../../examples/techshop/schema.sql");
const DATA: &str = include_str!("../../../../examples/techshop/data.sql");
const FAULTS: &str = include_str!("../../../../examples/techshop/faults.sql");

async fn broken_shop() -> TestDb {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    for statements in [SCHEMA, &format!("set techshop.scale = '0.01'; {DATA}"), FAULTS] {
        session.batch_execute(statements).await.expect("the shop");
    }
    drop(session);
    test
}

async fn carry_out(test: &TestDb, text: &str) -> i64 {
    let plan = Plan::from_toml(text).expect("a plan");
    let run =
        posthaste_runner::run(&test.target, &plan, RunOptions::default(), |_| ()).await.expect("the run");
    assert_eq!(run.state, RunState::Done);
    run.id
}

#[tokio::test(flavor = "multi_thread")]
async fn from_what_is_wrong_to_a_plan_its_run_and_back() {
    let test = broken_shop().await;
    let program = Program::alone();
    let found = program.run(&["integrity", "--database", &test.url, "--format", "json"]);
    assert_eq!(found.code, Some(1), "{found:#?}");
    let report: Value = serde_json::from_str(&found.stdout).expect("json");
    assert_eq!(report["tool"], "integrity");
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(16));
    let program = program.file("before.json", &found.stdout);

    let arguments = [
        "fix",
        "plan",
        "--database",
        &test.url,
        "--from",
        "before.json",
        "--policy",
        "orphans@public.order_items=quarantine",
        "--policy",
        "totals=recompute",
        "--policy",
        "negatives=clamp",
        "--out",
        "mend.toml",
    ];
    let planned = program.run(&arguments);
    assert_eq!(planned.code, Some(0), "{planned:#?}");
    assert!(planned.stderr.contains("Left as it is"), "{planned:#?}");
    let run = carry_out(&test, &std::fs::read_to_string(program.path("mend.toml")).expect("the plan")).await;

    let change = |changes: &Value, code: &str, table: &str| {
        let changes = changes.as_array().cloned().unwrap_or_default();
        let found = changes.iter().find(|change| change["code"] == code && change["table"] == table).cloned();
        found.map(|change| (change["before"].as_i64(), change["now"].as_i64()))
    };
    let compare = ["fix", "compare", "--database", &test.url, "--before", "before.json"];
    let changes = program.json(&compare, "changes");
    assert_eq!(change(&changes, "orphans", "public.order_items"), Some((Some(15), Some(0))));
    assert_eq!(change(&changes, "total-differs", "public.orders"), Some((Some(66), Some(0))));
    assert_eq!(change(&changes, "orphans", "public.orders"), Some((Some(4), Some(4))));

    let kept = program.json(&["fix", "kept", "--database", &test.url], "kept");
    assert_eq!(kept[0]["rows"], 15 + 66 + 3);
    let refused = program.run(&["fix", "undo", &run.to_string(), "--database", &test.url]);
    assert_eq!(refused.code, Some(4), "{refused:#?}");
    let undone = program.run(&["fix", "undo", &run.to_string(), "--database", &test.url, "--yes"]);
    assert_eq!(undone.code, Some(0), "{undone:#?}");
    let changes = program.json(&compare, "changes");
    assert_eq!(change(&changes, "orphans", "public.order_items"), Some((Some(15), Some(15))));
    let measured = program.json(&["fix", "show", &run.to_string(), "--database", &test.url], "measured");
    let wrong: Vec<&Value> =
        measured.as_array().into_iter().flatten().filter(|one| one["what"] == "rows-wrong").collect();
    assert!(wrong.len() == 3 && wrong.iter().all(|one| one["after"] == 0.0), "{wrong:?}");
    let refused = program.run(&["fix", "undo", "nothing", "--database", &test.url, "--yes"]);
    assert!(refused.stderr.contains("posthaste fix kept"), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_one_s_own_are_read_from_files() {
    let test = broken_shop().await;
    let program = Program::alone()
        .file("a.toml", "[[rule]]\nname = \"cheap\"\ntable = \"products\"\nwhere = \"price < 2\"\n")
        .file(
            "b.sql",
            "-- rule: late orders\n-- severity: high\nselect id from orders where shipped_at > order_date\n",
        )
        .file("c.toml", "[[rule]]\nname = \"x\"\ntable = \"products\"\nwhere = \"prize < 2\"\n");
    let arguments =
        ["integrity", "--database", &test.url, "--only", "rules", "--rules", "a.toml", "--rules", "b.sql"];
    let outcome = program.run(&arguments);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.stdout.contains("cheap") && outcome.stdout.contains("late orders"), "{outcome:#?}");
    let outcome = program.run(&["integrity", "--database", &test.url, "--rules", "c.toml"]);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert!(outcome.stderr.contains("c.toml:4:10"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_are_moved_by_a_plan_and_proven() {
    let test = broken_shop().await;
    let program = Program::alone();
    let arguments = [
        "archive",
        "plan",
        "--database",
        &test.url,
        "--table",
        "public.orders",
        "--where",
        "id between 1 and 10",
        "--into",
        "old",
        "--name",
        "old-orders",
    ];
    let refused = program.run(&arguments);
    assert_eq!(refused.code, Some(4), "{refused:#?}");
    assert!(refused.stderr.contains("order_items"), "{refused:#?}");
    let planned = program.run(&[&arguments[..], &["--with-children"]].concat());
    assert_eq!(planned.code, Some(0), "{planned:#?}");
    carry_out(&test, &planned.stdout).await;
    let moved = program.json(&["archive", "show", "old-orders", "--database", &test.url], "moved");
    assert_eq!(
        (&moved[0]["table"], &moved[1]["table"]),
        (&"public.order_items".into(), &"public.orders".into())
    );
    assert_eq!(moved[1]["rows"], 10);
}

#[test]
fn mistakes_are_refused_with_what_would_be_right() {
    let program = Program::alone().file("a.json", "[]");
    let nowhere = "postgresql://u:secret@127.0.0.1:1/x";
    for (arguments, code, says) in [
        (&["fix", "plan", "--database", nowhere, "--policy", "orphans=kill"][..], 2, "set-null"),
        (&["fix", "plan", "--database", nowhere, "--from", "a.json"], 2, "--format json"),
        (&["fix", "plan", "--database", nowhere], 3, "database-unreachable"),
        (&["integrity", "--database", nowhere, "--table", "x"], 2, "SCHEMA.TABLE"),
        (&["integrity", "--database", nowhere, "--sample", "0"], 2, "above 0"),
        (&["integrity", "--database", nowhere, "--rules", "none.toml"], 2, "none.toml"),
        (
            &["archive", "plan", "--database", nowhere, "--table", "a.b", "--into", "c", "--column", "d"],
            2,
            "--older-than",
        ),
    ] {
        let outcome = program.run(arguments);
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert!(outcome.stderr.contains(says), "{says}: {outcome:#?}");
        assert!(!outcome.stderr.contains("secret"), "{outcome:#?}");
    }
}

#[test]
fn an_incident_is_kept_in_a_folder_and_becomes_a_report() {
    let report = "{\"version\":1,\"tool\":\"doctor\",\"target\":{\"name\":\"shop\"},\"findings\":[],\"skipped\":[],\"summary\":{}}";
    let program = Program::alone().file("found.json", report);
    let refused = program.run(&["incident", "note", "x"]);
    assert!(refused.stderr.contains("incident start"), "{refused:#?}");
    let started = program.run(&["incident", "start", "Shop is slow", "--symptom", "search takes 9 s"]);
    assert_eq!(started.code, Some(0), "{started:#?}");
    assert!(started.stdout.starts_with("incidents/20"), "{started:#?}");
    program.run(&["incident", "note", "built an index", "--kind", "action"]);
    program.run(&["incident", "attach", "found.json"]);
    let entries = program.json(&["incident", "status"], "entries");
    assert_eq!(entries.as_array().map(Vec::len), Some(4));
    let report = program.run(&["incident", "report"]);
    assert!(
        report.stdout.contains("- search takes 9 s") && report.stdout.contains("- built an index"),
        "{report:#?}"
    );
    program.run(&["incident", "report", "--format", "html", "--out", "r.html"]);
    assert!(
        std::fs::read_to_string(program.path("r.html")).is_ok_and(|text| text.starts_with("<!doctype html>"))
    );
    assert_eq!(program.run(&["incident", "close"]).code, Some(0));
    assert_eq!(program.run(&["incident", "status"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_is_planned_done_and_reported() {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    let table = "create table t (id int primary key) with (autovacuum_enabled = false);
        insert into t select generate_series(1, 1000); delete from t where id % 2 = 0";
    session.batch_execute(table).await.expect("a table");
    // The server counts in its own time.
    let counted = "select coalesce(sum(n_dead_tup), 0) > 0 from pg_stat_user_tables";
    while !session.query_one(counted, &[]).await.expect("counters").get::<_, bool>(0) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let program = Program::with(&test);
    let planned = program.run(&["maintain", "plan", "--window", "22:00-04:00", "--zone", "Europe/Berlin"]);
    assert!(planned.stdout.contains("vacuum (analyze) public.t"), "{planned:#?}");
    assert!(planned.stdout.contains("zone = \"Europe/Berlin\""), "{planned:#?}");
    let closed = program.run(&["maintain", "run", "--yes", "--window", "00:00-00:00"]);
    assert_eq!(closed.code, Some(4), "{closed:#?}");
    let asked = program.run(&["maintain", "run"]);
    assert_eq!(asked.code, Some(4), "{asked:#?}");
    // The run that a closed window stopped is given up, and what is due is planned again.
    let done = program.run(&["maintain", "run", "--yes"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let again = program.run(&["maintain", "run", "--yes", "--every-s", "1", "--rounds", "2"]);
    assert_eq!((again.code, again.stderr.matches("nothing is due").count()), (Some(0), 2), "{again:#?}");
    let tables = program.json(&["maintain", "report"], "tables");
    assert_eq!((&tables[0]["table"], &tables[0]["due"]), (&"t".into(), &"".into()));
    let report = program.run(&["maintain", "report", "--period", "quarterly"]);
    assert_eq!(report.code, Some(0), "{report:#?}");
    let wrong = program.run(&["maintain", "run", "--window", "late"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("22:00-04:00"), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_goes_to_files_and_comes_back() {
    let test = broken_shop().await;
    let program = Program::with(&test);
    let plan = [
        "archive",
        "plan",
        "--table",
        "public.orders",
        "--where",
        "id <= 10",
        "--into",
        "old",
        "--with-children",
    ];
    let planned = program.run(&[&plan[..], &["--name", "old-orders"]].concat());
    carry_out(&test, &planned.stdout).await;
    let files =
        program.json(&["archive", "export", "old-orders", "--to", "files", "--drop", "--yes"], "files");
    assert_eq!((&files[1]["rows"], &files[1]["isKept"]), (&10.into(), &false.into()));
    let text = std::fs::read_to_string(program.path("files/old-orders/public.orders.csv")).expect("a file");
    assert_eq!(text.lines().count(), 11, "{text}");
    let gone = program.run(&["archive", "restore", "old-orders"]);
    assert!(gone.stderr.contains("posthaste archive import"), "{gone:#?}");
    assert_eq!(program.json(&["archive", "import", "old-orders"], "archives")[1]["rows"], 10);
    let back = program.run(&["archive", "restore", "old-orders", "--name", "back"]);
    assert_eq!(back.code, Some(0), "{back:#?}");
    carry_out(&test, &back.stdout).await;
    let session = test.pool.get().await.expect("a connection");
    let row = session.query_one("select count(*) from orders where id <= 10", &[]).await.expect("rows");
    assert_eq!(row.get::<_, i64>(0), 10);
}
