//! A thousand tables, and a snapshot that is subtracted.

use posthaste_care::doctor::Options;
use posthaste_testkit::db::{DurableServer, TestDb};

use super::{connect, database, diagnosed, run};

#[tokio::test]
async fn a_thousand_tables_are_looked_at() {
    let db = TestDb::empty().await;
    let session = db.pool.get().await.expect("a connection");
    let make = "do $$ begin for n in 1..1000 loop
        execute format('create table t%s (id bigint primary key, a integer, b text)', n);
        execute format('create index on t%s (a)', n);
        execute format('create index on t%s (a, b)', n);
        if n % 250 = 0 then commit; end if;
        end loop; end $$";
    run(&session, make).await;
    let started = std::time::Instant::now();
    let diagnosis = diagnosed(&db.target, &Options::default()).await;
    println!("1,000 tables and 3,000 indexes: {} ms", started.elapsed().as_millis());
    let duplicates =
        diagnosis.report.findings.iter().filter(|finding| finding.code == "duplicate-index").count();
    assert_eq!(duplicates, 1_000);
}

/// What is dropped between two questions, or in the middle of one, is no reason to fail.
#[tokio::test]
async fn tables_that_come_and_go_do_not_break_a_diagnosis() {
    let db = TestDb::empty().await;
    let session = db.pool.get().await.expect("a connection");
    run(&session, "create table kept (id serial primary key); create index on kept (id)").await;
    let (end, mut ended) = tokio::sync::oneshot::channel::<()>();
    let others = tokio::spawn(async move {
        let once = "create table gone (id serial primary key, at date) partition by range (id);
            create table gone_1 partition of gone for values from (1) to (100);
            create table other (id serial primary key, gone_id integer references gone (id), check (gone_id > 0));
            create index on other (gone_id); create index on other (gone_id, id);
            drop table gone, other";
        while ended.try_recv().is_err() {
            run(&session, once).await;
        }
    });
    for _ in 0..3 {
        let diagnosis = diagnosed(&db.target, &Options::default()).await;
        let failed: Vec<_> = diagnosis
            .report
            .skipped
            .iter()
            .filter(|one| {
                one.why.contains("SQLSTATE") || one.why.contains("cache lookup") || one.why.contains("exist")
            })
            .filter(|one| !one.why.contains("extension"))
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let duplicates: Vec<_> = diagnosis
            .report
            .findings
            .iter()
            .filter(|one| one.object.table.as_deref() == Some("kept"))
            .collect();
        assert!(duplicates.iter().any(|one| one.code == "duplicate-index"), "{duplicates:#?}");
    }
    // The others may have ended by themselves.
    let _ = end.send(());
    others.await.expect("the others");
}

/// A snapshot is subtracted, and nothing is reset.
pub(crate) async fn a_snapshot_is_subtracted(server: &DurableServer) {
    let script = "create extension pg_stat_statements; create table t (id integer primary key)";
    let target = database(server, "counted", script).await;
    let session = connect(&target).await;
    let slow = "select pg_sleep(0.12), id from t";
    let only = |since| Options { only: vec!["slow-query".into()], since, ..Options::default() };
    run(&session, "insert into t values (1)").await;
    for _ in 0..6 {
        run(&session, slow).await;
    }
    let first = diagnosed(&target, &only(None)).await;
    assert_eq!(first.report.findings[0].counts["calls"], 6);
    for _ in 0..3 {
        run(&session, slow).await;
    }
    let later = diagnosed(&target, &only(Some(first.snapshot))).await;
    assert_eq!(later.report.findings[0].counts["calls"], 3);
    let whole = diagnosed(&target, &only(None)).await;
    assert_eq!(whole.report.findings[0].counts["calls"], 9);
}
