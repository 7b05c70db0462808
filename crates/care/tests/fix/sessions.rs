//! A session is ended by its exact identity, or left alone; what came of it is written down.

use posthaste_care::{doctor, fix};
use posthaste_report::{Finding, Plan};
use posthaste_testkit::db::TestDb;

use super::carry_out::{carry_out, check, run, value};

/// What doctor says of idle transactions here, as one plan.
async fn plan(db: &TestDb) -> Plan {
    let thresholds = doctor::Thresholds { idle_in_transaction_s: 0.0, ..doctor::Thresholds::default() };
    let options = doctor::Options {
        only: vec!["idle-in-transaction".into()],
        thresholds,
        ..doctor::Options::default()
    };
    let mut found = doctor::diagnose(&db.target, &options).await.expect("a diagnosis").report.findings;
    // The server is shared by tests; only what this one has opened is its to end.
    let own = format!(" in {},", db.target.database());
    let is_own = |finding: &Finding| finding.evidence.iter().any(|evidence| evidence.text.contains(&own));
    found.retain(is_own);
    let outcome = check(db).await;
    let policies = fix::Policies::default();
    let plan = fix::plan(&outcome, &fix::Order { name: "end-1", policies: &policies, others: &found });
    Plan::from_toml(&plan.to_toml().expect("a plan as text")).expect("the plan to be read again")
}

async fn idle(db: &TestDb) -> posthaste_pg::Connection {
    let session = db.pool.get().await.expect("a connection");
    session.batch_execute("begin; select 1").await.expect("a transaction");
    session
}

#[tokio::test]
async fn a_session_that_does_nothing_in_its_transaction_is_ended_and_written_down() {
    let db = TestDb::empty().await;
    run(&db, "create table t (id int primary key)").await;
    let session = idle(&db).await;
    let plan = plan(&db).await;
    let phases: Vec<&str> = plan.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["sessions"]);
    let now = fix::meant(&db.target, &plan).await.expect("what it would do");
    assert_eq!(
        (now.len(), now[0].would.as_str(), now[0].state.as_str()),
        (1, "terminate", "idle in transaction")
    );
    assert!(session.batch_execute("select 1").await.is_ok(), "a look ends nobody");
    carry_out(&db, &plan).await;
    assert!(session.batch_execute("select 1").await.is_err());
    let ends = fix::session_ends(&db.target, None).await.expect("what was ended");
    assert_eq!((ends.len(), ends[0].outcome.as_str(), ends[0].pid), (1, "terminated", now[0].pid));
    assert_eq!(fix::meant(&db.target, &plan).await.expect("a look")[0].would, "gone");

    // The run that did it says so, and one after it does not.
    let mut first = posthaste_runner::show(&db.target, 1).await.expect("the run");
    fix::note_session_ends(&db.target, &mut first).await.expect("its sessions");
    let said = first.notes.iter().find(|note| note.kind == "session").map(|note| note.text.as_str());
    assert!(said.is_some_and(|text| text.contains(": terminated, it did nothing inside")), "{said:?}");
    run(&db, "create table u (id int); insert into u values (-1)").await;
    let empty = Plan { phases: Vec::new(), title: "nothing".into(), ..plan };
    carry_out(&db, &empty).await;
    let mut second = posthaste_runner::show(&db.target, 2).await.expect("the run");
    fix::note_session_ends(&db.target, &mut second).await.expect("its sessions");
    assert!(second.notes.iter().all(|note| note.kind != "session"), "{:?}", second.notes);
}

#[tokio::test]
async fn a_session_that_has_another_transaction_by_then_is_left_alone() {
    let db = TestDb::empty().await;
    run(&db, "create table t (id int primary key)").await;
    let session = idle(&db).await;
    let plan = plan(&db).await;
    session.batch_execute("commit; begin; select 1").await.expect("another transaction");
    assert_eq!(fix::meant(&db.target, &plan).await.expect("a look")[0].would, "refuse");
    carry_out(&db, &plan).await;
    assert!(session.batch_execute("select 1").await.is_ok());
    let refused: String = value(&db, "select outcome || ': ' || why from posthaste_undo.session_end").await;
    assert!(refused.starts_with("refused: it does something else now"), "{refused}");
}
