//! What weak roles, standbys' stand-ins and other versions see: less, said as such, and never a false number.

use posthaste_care::doctor::{Options, checks};
use posthaste_report::Severity;
use posthaste_testkit::db::{DurableServer, TestDb, versions_from};

use super::worst_hour::as_user;
use super::{connect, database, diagnosed, run, shown};

const SCHEMA: &str = "
    create extension pg_stat_statements;
    create extension pgstattuple;
    create extension amcheck;
    create table wide (id bigint primary key, text text not null);
    insert into wide select n, repeat(md5(n::text), 4) from generate_series(1, 80000) as n;
    create table small (id serial primary key, wide_id bigint references wide (id));

-- next
    do $flush$ begin
        -- What the inserts counted must arrive before ANALYZE, or it counts as changed after it.
        perform pg_stat_force_next_flush();
    exception when undefined_function then null;
    end $flush$;

-- next
    analyze;
    create role watcher login in role pg_monitor;
    create role nobody login;";

/// What a missing grant hides is said.
pub(crate) async fn what_is_hidden_is_said(server: &DurableServer) {
    let target = database(server, "shop", SCHEMA).await;
    let other = connect(&target).await;
    run(&other, "begin; select 1").await;
    for user in ["watcher", "nobody"] {
        let diagnosis = diagnosed(&as_user(&target, user), &Options::default()).await;
        let report = &diagnosis.report;
        let bad: Vec<String> = report
            .findings
            .iter()
            .filter(|finding| finding.severity.is_at_least(Severity::Medium))
            .map(shown)
            .collect();
        assert!(bad.is_empty(), "{user}: {bad:#?}");
        let said = |code: &str, why: &str| {
            report.skipped.iter().any(|one| one.what == code && one.why.contains(why))
        };
        // The widths of its texts are hidden, so that no number is made up; pg_monitor may have the pages read.
        let bloat = diagnosis.lines.iter().find(|(code, _)| *code == "table-bloat").expect("a line");
        let expected = if user == "watcher" { "1 measured" } else { "1 withheld" };
        assert!(bloat.1.contains(expected), "{user}: {}", bloat.1);
        assert_eq!(said("table-bloat", "wide"), user == "nobody", "{user}: {:#?}", report.skipped);
        assert!(said("unique-index-broken", "may not call"), "{user}");
        assert!(said("sequence-near-end", "hidden"), "{user}");
        assert_eq!(said("long-statement", "grant pg_monitor"), user == "nobody", "{user}");
        assert_eq!(said("slow-query", "texts"), user == "nobody", "{user}: {:#?}", report.skipped);
        let failed: Vec<_> = report.skipped.iter().filter(|one| one.why.contains("SQLSTATE")).collect();
        assert!(failed.is_empty(), "{user}: {failed:#?}");
    }
}

#[tokio::test]
async fn every_check_works_on_every_version_that_is_here() {
    for version in versions_from(12) {
        let db = TestDb::empty_on(&version).await;
        let session = db.pool.get().await.expect("a connection");
        run(
            &session,
            "create table parent (at date not null, id bigint not null, primary key (at, id)) partition by range (at);
             create table part partition of parent for values from ('2025-01-01') to ('2026-01-01');
             create table part_rest partition of parent default;
             create table child (id serial primary key, at date, note text, parent_id bigint, foreign key (at, parent_id) references parent (at, id));
             create unique index child_lower on child (lower(note)) where parent_id is null;
             create extension if not exists amcheck; create extension if not exists pgstattuple;",
        )
        .await;
        let diagnosis = diagnosed(&db.target, &Options::default()).await;
        let failed: Vec<_> = diagnosis
            .report
            .skipped
            .iter()
            .filter(|one| one.why.contains("SQLSTATE") || one.why.contains("form"))
            .collect();
        assert!(failed.is_empty(), "{}: {failed:#?}", version.major);
        // pg_stat_statements is not loaded in the shared cluster.
        let made = checks().len() - diagnosis.lines.len();
        assert!(made <= 2, "{}: {:#?}", version.major, diagnosis.report.skipped);
    }
}

#[tokio::test]
async fn a_code_that_does_not_exist_is_refused() {
    let db = TestDb::empty().await;
    let options = Options { only: vec!["lock-chains".into()], ..Options::default() };
    let error = posthaste_care::doctor::diagnose(&db.target, &options).await.expect_err("no such check");
    assert_eq!(error.code(), posthaste_base::Code::InvalidParameter);
    assert!(error.expectation().is_some_and(|known| known.contains("lock-chain")));
    let missing = db.target.clone().with_database("there is none");
    let error =
        posthaste_care::doctor::diagnose(&missing, &Options::default()).await.expect_err("no such database");
    assert_eq!(error.code(), posthaste_base::Code::DatabaseRefused);
}

/// Where the machine has HypoPG, the planner itself is asked.
pub(crate) async fn a_proposal_is_proven(server: &DurableServer) {
    let script = "create extension pg_stat_statements;
        create table big (id bigint primary key, a integer not null, b integer not null);
        insert into big select n, n % 5000, n % 2 from generate_series(1, 100000) as n;
\n-- next\nanalyze";
    let target = database(server, "proven", script).await;
    let session = connect(&target).await;
    let sql = "select exists (select from pg_available_extensions where name = 'hypopg')";
    let has_hypopg: bool = session.query_one(sql, &[]).await.expect("extensions").get(0);
    if has_hypopg {
        run(&session, "create extension hypopg").await;
    }
    for _ in 0..3 {
        run(&session, "select count(*) from big where a = 5").await;
        run(&session, "select count(*) from big where b = 1").await;
    }
    let options = Options { only: vec!["missing-index".into()], ..Options::default() };
    let findings = diagnosed(&target, &options).await.report.findings;
    // Half of the rows are no case for an index.
    assert_eq!(findings.iter().map(|finding| finding.object.columns.clone()).collect::<Vec<_>>(), [["a"]]);
    let words = if has_hypopg { "the planner takes it" } else { "estimated" };
    assert!(findings[0].evidence.iter().any(|one| one.text.contains(words)), "{:#?}", findings[0]);
}
