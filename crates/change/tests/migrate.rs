//! What tools keep in a database is read as they wrote it, and what Posthaste applies the tools find as their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use posthaste_base::{Code, Error};
use posthaste_change::carry::{carry_out, way_on};
use posthaste_change::folder::{self, Folder, Tool};
use posthaste_change::history::{self, State, Status};
use posthaste_change::migrate::{self, Back, UpOptions};
use posthaste_pg::{Connection, Visit, VisitOptions};
use posthaste_report::Plan;
use posthaste_runner::{Fault, RunOptions};
use posthaste_testkit::db::TestDb;

struct Site {
    test: TestDb,
    path: PathBuf,
    tool: Tool,
}

impl Site {
    async fn with(tool: Tool, files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("posthaste-migrate-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let site = Self { test: TestDb::empty().await, path, tool };
        files.iter().for_each(|(name, text)| site.write(name, text));
        site
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    async fn session(&self) -> Connection {
        self.test.pool.get().await.expect("a connection")
    }

    async fn run(&self, statements: &str) {
        self.session().await.batch_execute(statements).await.expect(statements);
    }

    /// All of a query's rows, each as one text.
    async fn rows(&self, query: &str) -> Vec<String> {
        let query = format!("select row_to_json(q)::text from ({query}) q");
        let rows = self.session().await.query(query.as_str(), &[]).await.expect(&query);
        rows.iter().map(|row| row.get(0)).collect()
    }

    fn folder(&self) -> Folder {
        folder::read(&self.path, self.tool).unwrap_or_else(|error| panic!("{error}"))
    }

    async fn history(&self) -> history::History {
        let visit = Visit::connect(&self.test.target, VisitOptions::default()).await.expect("a visit");
        history::read(&visit, self.tool).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn status(&self) -> Status {
        history::compare(&self.folder(), &self.history().await)
    }

    /// `version state` of each.
    async fn states(&self) -> Vec<String> {
        let status = self.status().await;
        status.migrations.iter().map(|m| format!("{} {}", m.version, m.state.as_str())).collect()
    }

    async fn up(&self, options: &UpOptions) -> Result<bool, Error> {
        let (folder, history) = (self.folder(), self.history().await);
        self.carry(migrate::up(&folder, &history, &history::compare(&folder, &history), options)?).await
    }

    async fn down(&self, back: &Back) -> Result<bool, Error> {
        let (folder, history) = (self.folder(), self.history().await);
        self.carry(migrate::down(&folder, &history, &history::compare(&folder, &history), back)?).await
    }

    async fn carry(&self, plan: Option<Plan>) -> Result<bool, Error> {
        let Some(plan) = plan else { return Ok(false) };
        carry_out(&self.test.target, &plan, RunOptions::default(), |_| {}).await?;
        Ok(true)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

const TABLE: &str = "create table t (a int);\ninsert into t values (1);\n";
const INDEX: &str = "create index concurrently i on t (a);\n";

/// Two migrations of each tool; the second cannot be in a transaction.
fn files(tool: Tool) -> Vec<(&'static str, String)> {
    let drop = "drop index i;\n";
    match tool {
        Tool::Plain => {
            vec![("001_a.sql", TABLE.into()), ("002_b.sql", INDEX.into()), ("002_b.down.sql", drop.into())]
        }
        Tool::GolangMigrate => vec![
            ("000001_a.up.sql", TABLE.into()),
            ("000002_b.up.sql", INDEX.into()),
            ("000002_b.down.sql", drop.into()),
        ],
        Tool::Prisma => vec![
            ("20260101000000_a/migration.sql", TABLE.into()),
            ("20260102000000_b/migration.sql", INDEX.into()),
            ("20260102000000_b/down.sql", drop.into()),
        ],
        Tool::Flyway => {
            vec![("V1__a.sql", TABLE.into()), ("V2__b.sql", INDEX.into()), ("U2__b.sql", drop.into())]
        }
        Tool::Sqlx => vec![
            ("1_a.sql", TABLE.into()),
            ("2_b.up.sql", format!("-- no-transaction\n{INDEX}")),
            ("2_b.down.sql", drop.into()),
        ],
        Tool::Diesel => vec![
            ("2026-01-01-000000_a/up.sql", TABLE.into()),
            ("2026-01-02-000000_b/up.sql", INDEX.into()),
            ("2026-01-02-000000_b/down.sql", drop.into()),
            ("2026-01-02-000000_b/metadata.toml", "run_in_transaction = false\n".into()),
        ],
        Tool::Dbmate => vec![
            ("20260101_a.sql", format!("-- migrate:up\n{TABLE}-- migrate:down\ndrop table t;\n")),
            ("20260102_b.sql", format!("-- migrate:up transaction:false\n{INDEX}-- migrate:down\n{drop}")),
        ],
        Tool::Goose => vec![
            ("00001_a.sql", format!("-- +goose Up\n{TABLE}-- +goose Down\ndrop table t;\n")),
            ("00002_b.sql", format!("-- +goose NO TRANSACTION\n-- +goose Up\n{INDEX}-- +goose Down\n{drop}")),
        ],
        Tool::Rails | Tool::Psql | Tool::Atlas => Vec::new(),
    }
}

/// What each tool's table says after both, without times.
fn recorded(tool: Tool) -> (&'static str, &'static [&'static str]) {
    match tool {
        Tool::Plain => (
            "select version, name, checksum = encode(sha256(case name when 'a' then $$create table t (a int);\ninsert into t values (1);\n$$ else $$create index concurrently i on t (a);\n$$ end::bytea), 'hex') as ok from posthaste_change.migration order by version",
            &[r#"{"version":"001","name":"a","ok":true}"#, r#"{"version":"002","name":"b","ok":true}"#],
        ),
        Tool::GolangMigrate => {
            ("select version, dirty from schema_migrations", &[r#"{"version":2,"dirty":false}"#])
        }
        Tool::Prisma => (
            "select migration_name, checksum = encode(sha256(case migration_name when '20260101000000_a' then $$create table t (a int);\ninsert into t values (1);\n$$ else $$create index concurrently i on t (a);\n$$ end::bytea), 'hex') as ok, finished_at is not null as done, rolled_back_at, applied_steps_count as steps, length(id) as id from _prisma_migrations order by started_at",
            &[
                r#"{"migration_name":"20260101000000_a","ok":true,"done":true,"rolled_back_at":null,"steps":1,"id":36}"#,
                r#"{"migration_name":"20260102000000_b","ok":true,"done":true,"rolled_back_at":null,"steps":1,"id":36}"#,
            ],
        ),
        Tool::Flyway => (
            "select installed_rank as rank, version, description, type, script, checksum, installed_by = current_user as me, success from flyway_schema_history order by 1",
            &[
                r#"{"rank":1,"version":"1","description":"a","type":"SQL","script":"V1__a.sql","checksum":-762337937,"me":true,"success":true}"#,
                r#"{"rank":2,"version":"2","description":"b","type":"SQL","script":"V2__b.sql","checksum":-7942690,"me":true,"success":true}"#,
            ],
        ),
        Tool::Sqlx => (
            "select version, description, success, checksum = sha384(case version when 1 then $$create table t (a int);\ninsert into t values (1);\n$$ else $$-- no-transaction\ncreate index concurrently i on t (a);\n$$ end::bytea) as ok from _sqlx_migrations order by 1",
            &[
                r#"{"version":1,"description":"a","success":true,"ok":true}"#,
                r#"{"version":2,"description":"b","success":true,"ok":true}"#,
            ],
        ),
        Tool::Diesel => (
            "select version from __diesel_schema_migrations order by 1",
            &[r#"{"version":"20260101000000"}"#, r#"{"version":"20260102000000"}"#],
        ),
        Tool::Dbmate => (
            "select version from schema_migrations order by 1",
            &[r#"{"version":"20260101"}"#, r#"{"version":"20260102"}"#],
        ),
        Tool::Goose => (
            "select version_id, is_applied from goose_db_version order by id",
            &[
                r#"{"version_id":0,"is_applied":true}"#,
                r#"{"version_id":1,"is_applied":true}"#,
                r#"{"version_id":2,"is_applied":true}"#,
            ],
        ),
        Tool::Rails | Tool::Psql | Tool::Atlas => ("select 1", &[]),
    }
}

async fn check_up_and_down(tool: Tool) {
    let files = files(tool);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let site = Site::with(tool, &files).await;
    let states = |first: State, second: State| async move { [first.as_str(), second.as_str()] };
    let now = async || {
        let status = site.status().await;
        status.migrations.iter().map(|m| m.state.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(now().await, states(State::Pending, State::Pending).await, "{tool}");
    assert_eq!(site.status().await.table, None, "{tool}");
    let first = site.folder().migrations[0].version.clone();
    let to = UpOptions { to: Some(first), ..UpOptions::default() };
    assert!(site.up(&to).await.unwrap_or_else(|error| panic!("{tool}: {error}")));
    assert_eq!(now().await, states(State::Applied, State::Pending).await, "{tool}");
    assert!(site.up(&UpOptions::default()).await.unwrap_or_else(|error| panic!("{tool}: {error}")));
    assert_eq!(now().await, states(State::Applied, State::Applied).await, "{tool}");
    assert!(!site.up(&UpOptions::default()).await.expect("nothing to do"), "{tool}");
    let (query, expected) = recorded(tool);
    assert_eq!(site.rows(query).await, expected, "{tool}");
    let index = "select indisvalid as valid from pg_index where indexrelid = to_regclass('i')";
    assert_eq!(site.rows(index).await, [r#"{"valid":true}"#], "{tool}");
    assert!(site.down(&Back::Steps(1)).await.unwrap_or_else(|error| panic!("{tool}: {error}")));
    assert_eq!(now().await, states(State::Applied, State::Pending).await, "{tool}");
    assert_eq!(site.rows(index).await, [""; 0], "{tool}");
    assert_eq!(site.rows("select count(*) from t").await, [r#"{"count":1}"#], "{tool}");
}

#[tokio::test]
async fn plain_goes_up_and_down() {
    check_up_and_down(Tool::Plain).await;
}

#[tokio::test]
async fn golang_migrate_and_prisma_go_up_and_down() {
    check_up_and_down(Tool::GolangMigrate).await;
    check_up_and_down(Tool::Prisma).await;
}

#[tokio::test]
async fn flyway_goes_up_and_down() {
    check_up_and_down(Tool::Flyway).await;
}

#[tokio::test]
async fn sqlx_and_diesel_go_up_and_down() {
    check_up_and_down(Tool::Sqlx).await;
    check_up_and_down(Tool::Diesel).await;
}

#[tokio::test]
async fn dbmate_and_goose_go_up_and_down() {
    check_up_and_down(Tool::Dbmate).await;
    check_up_and_down(Tool::Goose).await;
}

/// What a tool wrote by itself, and how it looks beside the folder.
async fn check_states(tool: Tool, files: &[(&str, &str)], table: &str, expected: &[&str]) -> Site {
    let site = Site::with(tool, files).await;
    site.run(table).await;
    assert_eq!(site.states().await, expected, "{tool}");
    site
}

async fn check_no_up(site: &Site, says: &str) {
    let error = site.up(&UpOptions::default()).await.expect_err("it is refused");
    assert_eq!(error.code(), Code::MigrationsDisagree, "{error}");
    assert!(error.to_string().contains(says), "{says}: {error}");
    let state = says.split(": ").nth(1).unwrap_or_default();
    assert!(error.next_step().contains(&format!("{state}: ")), "{error:?}");
}

#[tokio::test]
async fn what_failed_half_way_stops_all_that_follows() {
    let one = [("1_a.up.sql", "select 1;"), ("2_b.up.sql", "select 1;"), ("3_c.up.sql", "select 1;")];
    let table =
        "create table schema_migrations (version bigint not null primary key, dirty boolean not null);
                 insert into schema_migrations values (2, true)";
    let expected = ["1 applied", "2 failed", "3 pending"];
    check_no_up(&check_states(Tool::GolangMigrate, &one, table, &expected).await, "2: failed: it was begun")
        .await;

    let prisma = [("20260101_a/migration.sql", "select 1;")];
    let table = "create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null,
        finished_at timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
        started_at timestamptz not null default now(), applied_steps_count integer not null default 0);
        insert into _prisma_migrations (id, checksum, migration_name, rolled_back_at, started_at)
        values ('1', 'x', '20260101_a', now(), now() - interval '1 day')";
    let site = check_states(Tool::Prisma, &prisma, table, &["20260101_a pending"]).await;
    site.run("insert into _prisma_migrations (id, checksum, migration_name) values ('2', 'x', '20260101_a')")
        .await;
    check_no_up(&site, "20260101_a: failed").await;

    let flyway = [("V1__a.sql", "select 1;")];
    let table = format!(
        "{FLYWAY}; insert into flyway_schema_history values (1, '1', 'a', 'SQL', 'V1__a.sql', 0, 'me', now(), 1, false)"
    );
    check_no_up(&check_states(Tool::Flyway, &flyway, &table, &["1 failed"]).await, "1: failed").await;
}

const FLYWAY: &str = "create table flyway_schema_history (installed_rank int primary key, version varchar(50),
    description varchar(200) not null, type varchar(20) not null, script varchar(1000) not null, checksum int,
    installed_by varchar(100) not null, installed_on timestamp not null default now(), execution_time int not null,
    success boolean not null)";

#[tokio::test]
async fn a_file_that_was_edited_after_it_was_applied_is_found() {
    let site = Site::with(Tool::Sqlx, &[("1_a.sql", TABLE)]).await;
    site.up(&UpOptions::default()).await.expect("to apply it");
    site.write("1_a.sql", "create table t (b int);");
    site.write("2_b.sql", "select 1;");
    assert_eq!(site.states().await, ["1 edited", "2 pending"]);
    check_no_up(&site, "1: edited: its text is another one").await;

    let site = Site::with(Tool::Prisma, &[("20260101_a/migration.sql", TABLE)]).await;
    site.up(&UpOptions::default()).await.expect("to apply it");
    site.write("20260101_a/migration.sql", &TABLE.replace('\n', "\r\n"));
    assert_eq!(site.states().await, ["20260101_a applied"], "line breaks make no difference to Prisma");

    let site = Site::with(Tool::Flyway, &[("R__v.sql", "create or replace view v as select 1 as a;")]).await;
    site.up(&UpOptions::default()).await.expect("to apply it");
    assert_eq!(site.states().await, ["R v applied"]);
    site.write("R__v.sql", "create or replace view v as select 1 as a, 2 as b;");
    assert_eq!(site.states().await, ["R v pending"], "what is repeatable is applied again");
    assert!(site.up(&UpOptions::default()).await.expect("to apply it again"));
    assert_eq!(site.states().await, ["R v applied"]);
    assert_eq!(site.rows("select b from v").await, [r#"{"b":2}"#]);
}

#[tokio::test]
async fn what_is_repeatable_is_no_later_one() {
    let files = [
        ("V1__a.sql", TABLE),
        ("V2__b.sql", "create table later (a int);"),
        ("U2__b.sql", "drop table later;"),
        ("R__v.sql", "create or replace view v as select 1 as a;"),
    ];
    let site = Site::with(Tool::Flyway, &files).await;
    assert!(site.up(&UpOptions::default()).await.expect("to apply them"));
    assert!(site.down(&Back::Steps(1)).await.expect("to take the last one back"));
    assert_eq!(site.states().await, ["1 applied", "2 pending", "R v applied"]);
    assert!(site.up(&UpOptions::default()).await.expect("to apply it again"));
    assert_eq!(site.states().await, ["1 applied", "2 applied", "R v applied"]);
}

#[tokio::test]
async fn gaps_and_lost_files_are_found() {
    let files =
        [("20260101_a.sql", "-- migrate:up\nselect 1;"), ("20260102_b.sql", "-- migrate:up\nselect 1;")];
    let table = "create table schema_migrations (version varchar(128) primary key);
                 insert into schema_migrations values ('20260102'), ('20251231')";
    let expected = ["20260101 out of order", "20260102 applied", "20251231 missing"];
    let site = check_states(Tool::Dbmate, &files, table, &expected).await;
    check_no_up(&site, "20251231: missing").await;
    site.run("delete from schema_migrations where version = '20251231'").await;
    check_no_up(&site, "20260101: out of order").await;
    let allowed = UpOptions { allows_out_of_order: true, ..UpOptions::default() };
    assert!(site.up(&allowed).await.expect("it is allowed"));
    assert_eq!(site.states().await, ["20260101 applied", "20260102 applied"]);
}

#[tokio::test]
async fn what_tools_took_back_and_what_lies_below_a_baseline_is_known() {
    let goose = [("1_a.sql", "-- +goose Up\nselect 1;"), ("2_b.sql", "-- +goose Up\nselect 1;")];
    let table = "create table goose_db_version (id serial primary key, version_id bigint not null,
        is_applied boolean not null, tstamp timestamp default now());
        insert into goose_db_version (version_id, is_applied) values (0, true), (1, true), (2, true), (2, false)";
    check_states(Tool::Goose, &goose, table, &["1 applied", "2 pending"]).await;

    let flyway = [("V1__a.sql", "select 1;"), ("V2__b.sql", "select 1;"), ("V3__c.sql", "select 1;")];
    let table = format!(
        "{FLYWAY}; insert into flyway_schema_history values
        (1, '1.5', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', null, 'me', now(), 0, true),
        (2, '2', 'b', 'SQL', 'V2__b.sql', null, 'me', now(), 0, true),
        (3, '2', 'b', 'UNDO_SQL', 'U2__b.sql', null, 'me', now(), 0, true)"
    );
    check_states(Tool::Flyway, &flyway, &table, &["1 applied", "2 pending", "3 pending"]).await;

    let rails = [("structure.sql", "INSERT INTO \"schema_migrations\" (version) VALUES\n('2'),\n('1');\n")];
    let table = "create table schema_migrations (version varchar primary key);
                 insert into schema_migrations values ('1'), ('3')";
    let site = check_states(Tool::Rails, &rails, table, &["1 applied", "2 pending", "3 missing"]).await;
    let error = site.up(&UpOptions::default()).await.expect_err("it is Ruby");
    assert!(error.next_step().contains("bin/rails"), "{error}");
}

#[tokio::test]
async fn the_table_of_another_tool_is_not_taken_for_ones_own() {
    let site = Site::with(Tool::Dbmate, &[("1_a.sql", "-- migrate:up\nselect 1;")]).await;
    site.run("create table schema_migrations (version bigint primary key, dirty boolean not null)").await;
    let visit = Visit::connect(&site.test.target, VisitOptions::default()).await.expect("a visit");
    let error = history::read(&visit, Tool::Dbmate).await.expect_err("it is golang-migrate's");
    assert!(error.to_string().contains("is not one of dbmate"), "{error}");
    let both = [Tool::Sqlx, Tool::GolangMigrate];
    assert_eq!(history::choose(&visit, &both).await.expect("a tool"), Some(Tool::GolangMigrate));
    assert_eq!(history::choose(&visit, &[Tool::Sqlx]).await.expect("a tool"), Some(Tool::Sqlx));
}

#[tokio::test]
async fn a_statement_that_fails_leaves_its_migration_pending_until_it_is_corrected() {
    let broken = "create table b ();\nselect 1 / 0;\n";
    let site = Site::with(Tool::Sqlx, &[("1_a.sql", TABLE), ("2_b.sql", broken)]).await;
    let error = site.up(&UpOptions::default()).await.expect_err("it divides by zero");
    assert_eq!(error.code(), Code::StepFailed, "{error}");
    assert!(error.next_step().contains("run it again"), "{error:?}");
    assert!(
        error.to_string().contains("`2_b.sql`") && error.to_string().contains("at `select 1 / 0"),
        "{error}"
    );
    assert_eq!(error.cause(), None);
    assert_eq!(site.states().await, ["1 applied", "2 pending"]);
    assert_eq!(site.rows("select to_regclass('b') as b").await, [r#"{"b":null}"#]);
    site.write("2_b.sql", "create table b ();");
    assert!(site.up(&UpOptions::default()).await.unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(site.states().await, ["1 applied", "2 applied"]);
}

/// Killed at several points of a run: what is begun anew ends with everything applied, and once.
#[tokio::test]
async fn a_kill_between_migrations_is_gone_on_from() {
    // The first transaction makes the tool's table.
    for (point, count) in [
        ("transaction-before-commit", 2),
        ("transaction-committed", 2),
        ("transaction-committed", 3),
        ("step-done", 2),
    ] {
        let files = [("1_a.sql", TABLE), ("2_b.sql", "insert into t values (2);")];
        let site = Site::with(Tool::Sqlx, &files).await;
        let (folder, history) = (site.folder(), site.history().await);
        let status = history::compare(&folder, &history);
        let plan = migrate::up(&folder, &history, &status, &UpOptions::default()).expect("a plan");
        let seen = AtomicU32::new(0);
        let fault: Fault =
            Arc::new(move |at: &str| at == point && seen.fetch_add(1, Ordering::Relaxed) + 1 == count);
        let killed = RunOptions { fault: Some(fault), ..RunOptions::default() };
        let died = posthaste_runner::run(&site.test.target, &plan.expect("work"), killed, |_| {}).await;
        died.expect_err("it is killed");
        site.up(&UpOptions::default()).await.unwrap_or_else(|error| panic!("{point} {count}: {error}"));
        assert_eq!(site.states().await, ["1 applied", "2 applied"], "{point} {count}");
        let sums = site.rows("select sum(a), count(*) from t").await;
        assert_eq!(sums, [r#"{"sum":3,"count":2}"#], "{point} {count}");
    }
}

#[tokio::test]
async fn a_run_that_ended_within_a_migration_is_for_a_person() {
    let files = [
        ("1_a.sql", TABLE),
        ("2_b.sql", "-- no-transaction\nbegin; insert into t values (2); commit; select 1 / 0;"),
    ];
    let site = Site::with(Tool::Sqlx, &files).await;
    site.up(&UpOptions::default()).await.expect_err("it divides by zero");
    let error = site.up(&UpOptions::default()).await.expect_err("a half of it is there");
    assert!(error.next_step().contains("posthaste runs resume"), "{error:?}");
    assert_eq!(site.states().await, ["1 applied", "2 pending"]);
    let way = way_on(&site.test.target).await.expect("to look");
    assert!(way.is_some_and(|way| way.contains("posthaste runs abort")));
}

#[tokio::test]
async fn several_migrations_are_taken_back_or_none() {
    let site = Site::with(Tool::GolangMigrate, &[]).await;
    for version in 1..=4 {
        site.write(&format!("{version}_a.up.sql"), &format!("create table t{version} ();"));
        site.write(&format!("{version}_a.down.sql"), &format!("drop table t{version};"));
    }
    site.up(&UpOptions { to: Some("0004".into()), ..UpOptions::default() }).await.expect("to apply them");
    assert!(site.down(&Back::Steps(2)).await.unwrap_or_else(|error| panic!("{error}")));
    for back in [Back::Steps(3), Back::To("3".into())] {
        assert_eq!(site.down(&back).await.expect_err("too many").code(), Code::NotFound, "{back:?}");
    }
    assert!(!site.down(&Back::To("02".into())).await.expect("nothing to do"));
    std::fs::remove_file(site.path.join("1_a.down.sql")).expect("to remove it");
    let error = site.down(&Back::To("0".into())).await.expect_err("one says no way back");
    assert!(error.next_step().contains("--to 1"), "{error:?}");
    assert_eq!(site.states().await, ["1 applied", "2 applied", "3 pending", "4 pending"]);
    assert_eq!(site.rows("table schema_migrations").await, [r#"{"version":2,"dirty":false}"#]);
}

#[tokio::test]
async fn a_migration_is_read_before_the_first_one_runs() {
    let files = [("1_a.sql", TABLE), ("2_b.sql", "create tabel b ();")];
    let site = Site::with(Tool::Sqlx, &files).await;
    let error = site.up(&UpOptions::default()).await.expect_err("it is no SQL");
    assert!(error.to_string().contains("2_b.sql:1"), "{error}");
    assert_eq!(site.states().await, ["1 pending", "2 pending"]);
    let unknown = UpOptions { to: Some("9".into()), ..UpOptions::default() };
    site.write("2_b.sql", "select 1;");
    let error = site.up(&unknown).await.expect_err("there is no 9");
    assert_eq!(error.code(), Code::NotFound);
}

/// Values of a file's name and text stay values.
#[tokio::test]
async fn names_are_no_statements() {
    let name = "V1__it's_{version}_'); drop table t; --.sql";
    let site = Site::with(Tool::Flyway, &[(name, TABLE)]).await;
    assert!(site.up(&UpOptions::default()).await.expect("to apply it"));
    let expected: BTreeMap<&str, &str> =
        BTreeMap::from([("description", "it's {version} '); drop table t; --"), ("script", name)]);
    let rows = site.rows("select description, script from flyway_schema_history").await;
    let found: BTreeMap<String, String> = serde_json::from_str(&rows[0]).expect("json");
    assert_eq!(found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(site.rows("select count(*) from t").await, [r#"{"count":1}"#]);
}
