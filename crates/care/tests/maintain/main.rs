//! What is due is done, and nothing else; what a killed REINDEX has left is found.

use posthaste_care::maintain::{self, Options, Period};
use posthaste_report::{Plan, RunState};
use posthaste_runner::RunOptions;
use posthaste_testkit::db::TestDb;

async fn run(db: &TestDb, statements: &str) {
    let session = db.pool.get().await.expect("a connection");
    session.batch_execute(statements).await.expect("the statements to run");
}

/// Until the server counts what sessions have done: by their wish, or on 14 in its own time.
async fn wait_until(db: &TestDb, counted: &str) {
    let session = db.pool.get().await.expect("a connection");
    let flush =
        "do $$ begin perform pg_stat_force_next_flush(); exception when undefined_function then null; end $$";
    for _ in 0..600 {
        session.batch_execute(flush).await.expect("a wish");
        if session.query_one(counted, &[]).await.expect(counted).get(0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never: {counted}");
}

const COUNTED: &str = "select count(*) = 2 from pg_stat_user_tables where n_mod_since_analyze >= 5000";

async fn plan(db: &TestDb, options: &Options) -> Plan {
    let plan = maintain::plan(&db.target, options).await.expect("a plan");
    Plan::from_toml(&plan.to_toml().expect("a plan as text")).expect("the plan to be read again")
}

fn kinds(plan: &Plan) -> Vec<String> {
    plan.steps()
        .map(|step| step.id.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned())
        .collect()
}

const TABLES: &str = "
create schema \"Odd {s}\";
create table \"Odd {s}\".\"T\" (id int primary key, v int) with (autovacuum_enabled = false);
insert into \"Odd {s}\".\"T\" select i, i from generate_series(1, 5000) as i;
update \"Odd {s}\".\"T\" set v = 0 where id % 10 = 0;
create table grows (id int primary key) with (autovacuum_enabled = false);
insert into grows select i from generate_series(1, 5000) as i;
create table calm (id int primary key)";

#[tokio::test]
async fn what_is_due_is_done_and_then_nothing_is_due() {
    let db = TestDb::empty().await;
    run(&db, TABLES).await;
    wait_until(&db, COUNTED).await;
    let options = Options::default();
    let due = plan(&db, &options).await;
    assert_eq!(kinds(&due), ["vacuum", "analyze"], "{due:#?}");
    let done = posthaste_runner::run(&db.target, &due, RunOptions::default(), |_| ()).await.expect("the run");
    assert_eq!(done.state, RunState::Done);
    wait_until(&db, "select count(*) = 2 from pg_stat_user_tables where n_mod_since_analyze = 0 and last_analyze is not null")
        .await;
    let tables = maintain::tables(&db.target, &options).await.expect("the tables");
    let odd = tables.iter().find(|table| table.table == "T").expect("the table");
    assert!(
        odd.dead_rows == 0 && odd.vacuumed_s.is_some() && odd.analyzed_s.is_some() && odd.due.is_empty(),
        "{odd:?}"
    );
    assert_eq!(kinds(&plan(&db, &options).await), [] as [&str; 0]);
}

#[tokio::test]
async fn a_closed_window_keeps_each_step_from_beginning() {
    let db = TestDb::empty().await;
    run(&db, TABLES).await;
    wait_until(&db, COUNTED).await;
    let window = Some(("03:00".to_owned(), "03:00".to_owned(), "UTC".to_owned()));
    let due = plan(&db, &Options { window, ..Options::default() }).await;
    assert!(due.phases.len() == 2 && due.phases.iter().all(|phase| phase.gates.len() == 1), "{due:#?}");
    let error = posthaste_runner::run(&db.target, &due, RunOptions::default(), |_| ())
        .await
        .expect_err("a closed window");
    assert_eq!(error.code(), posthaste_base::Code::GateClosed);
}

#[tokio::test]
async fn leftovers_of_a_killed_reindex_are_dropped_and_the_index_stays() {
    let db = TestDb::empty().await;
    run(
        &db,
        "create table things (id int primary key, v int);
         insert into things select i, i from generate_series(1, 1000) as i;
         create index things_v on things (v); create index things_v_ccnew on things (v);
         update pg_index set indisvalid = false where indexrelid = 'things_v_ccnew'::regclass",
    )
    .await;
    wait_until(&db, "select count(*) = 1 from pg_stat_user_tables where n_mod_since_analyze >= 1000").await;
    run(&db, "vacuum analyze things").await;
    wait_until(&db, "select count(*) = 1 from pg_stat_user_tables where n_mod_since_analyze = 0 and last_analyze is not null")
        .await;
    let due = plan(&db, &Options::default()).await;
    assert_eq!(kinds(&due), ["drop-index"], "{due:#?}");
    posthaste_runner::run(&db.target, &due, RunOptions::default(), |_| ()).await.expect("the run");
    let session = db.pool.get().await.expect("a connection");
    let row = session
        .query_one("select string_agg(relname, ' ' order by relname) from pg_class where relname like 'things%' and relkind = 'i'", &[])
        .await
        .expect("the indexes");
    assert_eq!(row.get::<_, String>(0), "things_pkey things_v");
}

#[tokio::test]
async fn reports_look_at_what_belongs_to_them() {
    let db = TestDb::empty().await;
    run(
        &db,
        "create table a (id int primary key, v int); create index a_v on a (v); create index a_v2 on a (v)",
    )
    .await;
    let report =
        maintain::report(&db.target, &Options::default(), Period::Quarterly).await.expect("a report");
    assert!(report.findings.iter().any(|finding| finding.code == "duplicate-index"), "{:?}", report.findings);
    let report = maintain::report(&db.target, &Options::default(), Period::Monthly).await.expect("a report");
    assert!(report.findings.iter().all(|finding| finding.code != "duplicate-index"));
}
