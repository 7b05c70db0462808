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

/// Every command that takes `--database`, with all else that it needs.
const VISITORS: &[&[&str]] = &[
    &["archive", "plan", "--table", "public.t", "--where", "true", "--into", "old"],
    &["archive", "export", "a", "--to", "files", "--yes"],
    &["archive", "import", "a"],
    &["archive", "restore", "a"],
    &["archive", "show", "a"],
    &["catalog", "export"],
    &["catalog", "show"],
    &["doctor"],
    &["fix", "compare", "--before", "report.json"],
    &["fix", "kept"],
    &["fix", "plan"],
    &["fix", "sessions"],
    &["fix", "show", "1"],
    &["fix", "undo", "1", "--yes"],
    &["health-view", "install", "--yes"],
    &["integrity"],
    &["maintain", "plan"],
    &["maintain", "report"],
    &["maintain", "run", "--yes"],
    &["migrate", "down", "m", "--yes"],
    &["migrate", "status", "m"],
    &["migrate", "test", "m"],
    &["migrate", "up", "m", "--yes"],
    &["plan", "1.sql"],
    &["review", "1.sql"],
    &["run", "plan.toml", "--yes"],
    &["runs", "abort", "1", "--yes"],
    &["runs", "list"],
    &["runs", "pause", "1"],
    &["runs", "resume", "1"],
    &["runs", "show", "1"],
    &["runs", "speed", "1", "--percent", "50"],
];

/// The commands of the whole tree whose help names the flag, with what it says of it.
fn with_database_flag(program: &Program, path: &[&str], found: &mut Vec<(String, String)>) {
    let help = program.run(&[path, &["--help"]].concat()).check(0, &[]).stdout;
    let flag = help.split("\n\n").flat_map(|part| part.split("\n      --")).find(|part| {
        let part = part.trim_start().trim_start_matches("--");
        part.starts_with("database <URL>")
    });
    if let Some(flag) = flag {
        let flag = flag.split("\n  -").next().unwrap_or_default();
        let text = flag.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        found.push((path.join(" "), text));
    }
    let Some((_, commands)) = help.split_once("\nCommands:\n") else { return };
    for line in commands.lines().take_while(|line| !line.trim().is_empty()) {
        let name = line.split_whitespace().next().unwrap_or_default();
        if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
            with_database_flag(program, &[path, &[name]].concat(), found);
        }
    }
}

#[test]
fn every_command_that_visits_a_database_takes_it_from_the_environment() {
    let program = Program::alone();
    let mut found = Vec::new();
    with_database_flag(&program, &[], &mut found);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    for name in &names {
        let known = VISITORS.iter().any(|arguments| arguments.join(" ").starts_with(name));
        assert!(known, "`posthaste {name}` takes --database: add it here");
    }
    for arguments in VISITORS {
        let line = arguments.join(" ");
        assert!(names.iter().any(|name| line.starts_with(name)), "`{line}` takes no --database: {names:?}");
    }
    let text = &found[0].1;
    for (name, other) in &found {
        assert_eq!(other, text, "{name} says something else of --database");
    }

    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let url = format!("postgres://u@127.0.0.1:{port}/d");
    std::fs::create_dir(program.path("m")).unwrap();
    let plan = "version = 1\ntitle = \"a\"\nkind = \"rollout\"\n\n[[phases]]\nname = \"all\"\n\n[[phases.steps]]\nid = \"a\"\n\
                title = \"a\"\naction = \"transaction\"\nstatements = [\"select 1\"]\nneeds_no_undo = true\n";
    let report = "{\"version\": 1, \"tool\": \"integrity\", \"target\": {\"name\": \"d\"}, \"findings\": [], \
                  \"skipped\": [], \"summary\": {}}";
    for (name, text) in
        [("1.sql", "select 1;"), ("m/001_a.sql", "select 1;"), ("plan.toml", plan), ("report.json", report)]
    {
        std::fs::write(program.path(name), text).unwrap();
    }
    for arguments in VISITORS {
        let nowhere = program.run(arguments);
        if !["review", "migrate test"].iter().any(|name| arguments.join(" ").starts_with(name)) {
            nowhere.check(2, &["no database was named", "DATABASE_URL"]);
        }
    }
    let program = program.env("DATABASE_URL", &url);
    for arguments in VISITORS {
        let outcome = program.run(arguments).check(3, &[]);
        assert!(outcome.stderr.contains(&port.to_string()), "{arguments:?}: {outcome:?}");
    }
    // What stands in its place is taken, whatever the environment says.
    program.run(&["review", "1.sql", "--offline"]).check(0, &[]);
    program.run(&["review", "1.sql", "--schema", "1.sql"]).check(0, &[]);
    program.run(&["migrate", "test", "m", "--all"]).check(0, &["1 without a way back"]);
}
