//! A REINDEX that is killed half way: the doctor names what it left, and a plan clears it away.

use std::time::Duration;

use posthaste_care::{doctor, fix};
use posthaste_report::{Finding, Plan};
use posthaste_testkit::db::TestDb;

use super::carry_out::{carry_out, check, run, value};

async fn invalid(db: &TestDb) -> Vec<Finding> {
    let options = doctor::Options { only: vec!["invalid-index".into()], ..doctor::Options::default() };
    doctor::diagnose(&db.target, &options).await.expect("a diagnosis").report.findings
}

fn named(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter_map(|finding| finding.object.name.as_deref()).collect()
}

/// Waits behind a transaction that has written, as it must, and is ended there.
async fn is_killed(db: &TestDb, statement: &'static str) {
    let left = invalid(db).await;
    let holder = db.pool.get().await.expect("a connection");
    holder
        .batch_execute("begin; insert into \"Deals\" (a, b) values (0, 'held')")
        .await
        .expect("a transaction");
    let builder = db.pool.get().await.expect("a connection");
    let pid: i32 = builder.query_one("select pg_backend_pid()", &[]).await.expect("its pid").get(0);
    let building = tokio::spawn(async move { builder.batch_execute(statement).await });
    let waits = format!(
        "select exists (select from pg_stat_activity where pid = {pid} and wait_event_type = 'Lock')"
    );
    while !value::<bool>(db, &waits).await {
        assert!(!building.is_finished(), "the build has to wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // While it is carried out, none of its own is called a leftover.
    let said = invalid(db).await;
    let is_wrong = |one: &&Finding| {
        one.message.contains("left over") && !left.iter().any(|old| old.object == one.object)
    };
    assert!(!said.iter().any(|one| is_wrong(&one)), "{said:#?}");
    assert!(value::<bool>(db, &format!("select pg_terminate_backend({pid})")).await);
    building.await.expect("the build to end").expect_err("the build was killed");
    holder.batch_execute("rollback").await.expect("to let go");
}

#[tokio::test]
async fn what_a_killed_reindex_leaves_is_named_and_cleared_away() {
    let db = TestDb::empty().await;
    run(
        &db,
        "create table \"Deals\" (id int primary key generated always as identity, a int, b text);
        insert into \"Deals\" (a, b) select i, i from generate_series(1, 1000) as i;
        create index deals_a on \"Deals\" (a)",
    )
    .await;
    is_killed(&db, "reindex index concurrently deals_a").await;
    assert_eq!(named(&invalid(&db).await), ["deals_a_ccnew"]);
    // Once more, of the whole table with its large values, beside what is left already.
    is_killed(&db, "reindex table concurrently \"Deals\"").await;
    let found = invalid(&db).await;
    let mut names = named(&found);
    names.sort_unstable();
    let toast: String =
        value(&db, "select 'pg_toast_' || '\"Deals\"'::regclass::oid || '_index_ccnew'").await;
    assert_eq!(names, ["Deals_pkey_ccnew", "deals_a_ccnew", "deals_a_ccnew1", &toast]);
    assert!(found.iter().all(|one| one.message.contains("left over from a REINDEX")), "{found:#?}");

    let outcome = check(&db).await;
    let policies = fix::Policies::default();
    let plan = fix::plan(&outcome, &fix::Order { name: "clear-1", policies: &policies, others: &found });
    let plan = Plan::from_toml(&plan.to_toml().expect("a plan as text")).expect("the plan to be read again");
    assert_eq!(plan.steps().count(), 4);
    carry_out(&db, &plan).await;
    assert_eq!(named(&invalid(&db).await), Vec::<&str>::new());
    let left: i64 = value(&db, "select count(*) from pg_index where not indisvalid").await;
    let own: i64 = value(&db, "select count(*) from pg_index where indrelid = '\"Deals\"'::regclass").await;
    assert_eq!((left, own), (0, 2));
}
