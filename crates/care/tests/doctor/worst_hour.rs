//! The worst hour: an ALTER waits behind an idle transaction, readers wait behind it, and most connections are taken.

use std::time::Duration;

use posthaste_care::doctor::{Options, checks};
use posthaste_pg::{Connection, Target};
use posthaste_testkit::db::DurableServer;

use super::{connect, database, diagnosed, run, shown};

const SCHEMA: &str = "
    create extension pg_stat_statements;
    create extension amcheck;
    create extension pgstattuple;
    create table orders (id bigint primary key, status text not null, parent bigint references orders (id), at date,
      constraint at_check check (at > '2000-01-01') not valid) ;
    insert into orders select n, 's' || n % 5, null, '2026-01-01' from generate_series(1, 20000) as n;
    create index orders_status_a on orders (status) where status <> 's1';
    create index orders_status_b on orders (status) where status <> 's1';
    create table legacy (id integer primary key);
    insert into legacy values (2140000000);

-- next
    analyze;
    create role pulse login in role pg_monitor;
    grant select on all tables in schema public to pulse;
    grant execute on all functions in schema public to pulse;";

/// Starts a statement that is going to wait for a lock, and comes back when it does.
async fn waiting(target: &Target, statement: &'static str) -> tokio::task::JoinHandle<()> {
    let session = connect(target).await;
    let pid: i32 = session.query_one("select pg_backend_pid()", &[]).await.expect("a pid").get(0);
    let task = tokio::spawn(async move {
        // It ends with the server.
        let _ = session.batch_execute(statement).await;
    });
    let watch = connect(target).await;
    let query = "select exists (select from pg_locks where pid = $1 and not granted)";
    for _ in 0..1_000 {
        if watch.query_one(query, &[&pid]).await.expect("locks").get::<_, bool>(0) {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("`{statement}` does not wait");
}

/// Takes connections until that share of those for everybody is in use.
async fn fill(target: &Target, share: f64) -> Vec<Connection> {
    let admin = connect(target).await;
    let sql = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
    let used: i64 = admin.query_one(sql, &[]).await.expect("a count").get(0);
    let free = (37.0 * share) as i64 - used;
    let mut taken = vec![admin];
    for _ in 0..free {
        taken.push(connect(target).await);
    }
    taken
}

#[tokio::test]
async fn a_diagnosis_is_whole_behind_a_lock_queue_on_a_full_server() {
    let server = DurableServer::start_with(&[
        ("shared_preload_libraries", "pg_stat_statements"),
        ("max_connections", "40"),
    ])
    .await;
    let target = database(&server, "busy", SCHEMA).await;
    let idle = connect(&target).await;
    run(&idle, "begin; select count(*) from orders").await;
    let mut tasks = vec![waiting(&target, "alter table orders add column note text").await];
    for _ in 0..5 {
        tasks.push(waiting(&target, "select count(*) from orders").await);
    }
    let taken = fill(&target, 0.89).await;

    for user in [None, Some("pulse")] {
        let visited = user.map_or_else(|| target.clone(), |user| as_user(&target, user));
        let started = std::time::Instant::now();
        let diagnosis = diagnosed(&visited, &Options::default()).await;
        println!("as {user:?}: {} ms", started.elapsed().as_millis());

        let report = &diagnosis.report;
        let chain = report.findings.iter().find(|finding| finding.code == "lock-chain").expect("the chain");
        assert_eq!(chain.counts["waiting"], 6, "{}", shown(chain));
        assert!(chain.message.contains("idle in transaction"), "{}", shown(chain));
        let steps: Vec<_> =
            chain.remedy.as_ref().expect("a remedy").steps.iter().map(|step| &step.id).collect();
        assert!(steps[0].starts_with("cancel-") && steps[1].starts_with("terminate-"), "{steps:?}");
        assert!(report.findings.iter().any(|finding| finding.code == "connections-near-limit"), "{:?}", user);
        // The lock is held all along: a statement that opened the table would have run into its lock timeout.
        let waited: Vec<_> =
            report.skipped.iter().filter(|one| one.why.contains("wait for a lock")).collect();
        assert!(waited.is_empty(), "{waited:#?}");
        // Each check was made, or says why not.
        for check in checks() {
            let is_made = diagnosis.lines.iter().any(|(code, _)| *code == check.code);
            assert!(is_made || report.skipped.iter().any(|one| one.what == check.code), "{}", check.code);
        }
        let duplicate = report.findings.iter().find(|finding| finding.code == "duplicate-index");
        let steps = &duplicate.expect("the duplicate").remedy.as_ref().expect("a remedy").steps;
        // Its definition cannot be asked for now, and that costs the undo alone.
        assert_eq!(steps[0].undo, Vec::<String>::new());
        let of_legacy = report.findings.iter().any(|finding| finding.code == "integer-key-near-end");
        assert!(of_legacy, "a table that nobody locks is looked at");
    }
    drop((idle, taken));
    for task in tasks {
        task.abort();
    }
    server.remove().await;
}

pub(crate) fn as_user(target: &Target, user: &str) -> Target {
    // The server lets its owner in alone; the session then is that role's from its first statement on.
    target.clone().with_settings(&[("role", user)])
}

/// A connection that is ended in the middle of a diagnosis costs one check, and not the others.
pub(crate) async fn a_session_that_is_ended_is_made_once_more(server: &DurableServer) {
    let target = database(server, "cut", "create table t (id integer primary key)").await;
    let admin = connect(&server.target).await;
    let ender = tokio::spawn(async move {
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'posthaste doctor'";
        for _ in 0..2_000 {
            if admin.query_one(end, &[]).await.expect("to end it").get::<_, i64>(0) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    // It is ended before its first question, or between two of them.
    if let Ok(diagnosis) = posthaste_care::doctor::diagnose(&target, &Options::default()).await {
        let lost =
            diagnosis.report.skipped.iter().filter(|one| one.why.contains("connection was lost")).count();
        assert!(lost <= 1, "{:#?}", diagnosis.report.skipped);
    }
    ender.await.expect("the ender");
}
