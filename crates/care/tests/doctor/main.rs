//! The doctor on real servers: databases with known faults and without, the worst hour, weak roles, other versions.
//!
//! Not for: single judges, which are tested beside themselves.

mod broken;
mod faults;
mod healthy;
mod logs;
mod many;
mod roles;
mod standby;
mod worst_hour;

use posthaste_care::doctor::{Diagnosis, Options, diagnose};
use posthaste_pg::{Connection, Pool, PoolOptions, Target};
use posthaste_report::{Action, Finding, Step};
use posthaste_testkit::db::{DurableServer, Version, default_version};

/// The settings of a server that are no fault, but for what a test server cannot have.
const SETTINGS: &[(&str, &str)] = &[
    ("shared_preload_libraries", "pg_stat_statements"),
    ("max_prepared_transactions", "5"),
    ("wal_level", "logical"),
    // Nothing is cleaned up behind the test's back.
    ("autovacuum_naptime", "1d"),
    ("max_connections", "60"),
];

async fn server() -> DurableServer {
    server_on(&default_version()).await
}

async fn server_on(version: &Version) -> DurableServer {
    DurableServer::start_on(version, SETTINGS).await
}

/// One server for what needs statistics of statements and little else: making one takes longer than they do.
#[tokio::test]
async fn grants_snapshots_proofs_and_lost_sessions() {
    let server = server().await;
    roles::what_is_hidden_is_said(&server).await;
    many::a_snapshot_is_subtracted(&server).await;
    roles::a_proposal_is_proven(&server).await;
    worst_hour::a_session_that_is_ended_is_made_once_more(&server).await;
    server.remove().await;
}

/// A new database on it, filled from a script.
async fn database(server: &DurableServer, name: &str, script: &str) -> Target {
    let admin = connect(&server.target).await;
    run(&admin, &format!("create database {name}")).await;
    let target = server.target.clone().with_database(name);
    let session = connect(&target).await;
    // What is sent together is one transaction, and is counted when that ends.
    for part in script.split("\n-- next\n") {
        run(&session, part).await;
    }
    target
}

async fn connect(target: &Target) -> Connection {
    let pool = Pool::lazy(target.clone(), PoolOptions::of_size(1)).expect("a pool");
    pool.get().await.expect("a connection")
}

async fn run(session: &Connection, statements: &str) {
    if let Err(error) = session.batch_execute(statements).await {
        panic!("{}: {}", statements.get(..200).unwrap_or(statements), explained(error));
    }
}

fn explained(error: impl Into<posthaste_pg::Error>) -> String {
    let error = posthaste_base::Error::from(error.into());
    format!("{error}: {}", error.cause().unwrap_or_default())
}

async fn diagnosed(target: &Target, options: &Options) -> Diagnosis {
    diagnose(target, options).await.expect("a diagnosis")
}

/// The statements of a step, as a plan would run them.
fn statements(step: &Step) -> Vec<String> {
    match &step.action {
        Action::Transaction { statements } => statements.clone(),
        Action::Alone { statement, .. } => vec![statement.clone()],
        other => panic!("{}: {other:?}", step.id),
    }
}

/// A finding in one line, for messages of tests.
fn shown(finding: &Finding) -> String {
    let object = &finding.object;
    let parts = [&object.schema, &object.table, &object.name].map(|part| part.clone().unwrap_or_default());
    format!("{} {} [{}]: {}", finding.severity, finding.code, parts.join(" / "), finding.message)
}
