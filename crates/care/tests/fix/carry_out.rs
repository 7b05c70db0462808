//! A plan carried out by the runner, and what a database holds as one text.

use posthaste_care::fix::{self, Order, Policies};
use posthaste_care::integrity::{self, Options, Outcome};
use posthaste_report::{Plan, RunState};
use posthaste_runner::RunOptions;
use posthaste_testkit::db::TestDb;

pub(crate) async fn run(db: &TestDb, statements: &str) {
    let session = db.pool.get().await.expect("a connection");
    if let Err(error) = session.batch_execute(statements).await {
        let message = error.as_db_error().map_or_else(|| error.to_string(), |db| format!("{db:?}"));
        panic!("{message}\n{statements}");
    }
}

pub(crate) async fn check(db: &TestDb) -> Outcome {
    integrity::check(&db.target, &Options::default(), &|_| ()).await.expect("the check to end")
}

pub(crate) async fn plan(db: &TestDb, policies: &[&str]) -> Plan {
    let outcome = check(db).await;
    let policies = Policies::parse(policies).expect("policies");
    let plan = fix::plan(&outcome, &Order { name: "mend-1", policies: &policies, others: &[] });
    // What is carried out is what a file of it says.
    Plan::from_toml(&plan.to_toml().expect("a plan as text")).expect("the plan to be read again")
}

/// By the runner, as `posthaste run` does it.
pub(crate) async fn carry_out(db: &TestDb, plan: &Plan) {
    let run = posthaste_runner::run(&db.target, plan, RunOptions::default(), |_| ()).await;
    let run = run.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(run.state, RunState::Done);
}

pub(crate) async fn value<T: for<'a> posthaste_pg::driver::FromSql<'a>>(db: &TestDb, sql: &str) -> T {
    let session = db.pool.get().await.expect("a connection");
    session.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{error:?}: {sql}")).get(0)
}

/// All rows of a table, sorted, as one text.
pub(crate) async fn rows(db: &TestDb, table: &str) -> String {
    value(db, &format!("select coalesce(string_agg(t::text, E'\\n' order by t::text collate \"C\"), '') from {table} as t")).await
}
