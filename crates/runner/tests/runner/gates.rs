//! What must hold before a run: gates, approvals, the right database, the right role.

use posthaste_base::Code;
use posthaste_pg::Target;
use posthaste_report::{Action, Gate, LockMode, RunState, Step};
use posthaste_runner::Event;

use crate::ground::{Events, Ground, batches, check, options, over_t, plan, transaction};

const TABLE: &str = "create table t (id int primary key, n int not null default 0); insert into t values (1)";

fn gated(gate: Gate) -> posthaste_report::Plan {
    let mut plan = plan(vec![transaction("a", "insert into t values (2)")]);
    plan.phases[0].gates = vec![gate];
    plan
}

async fn closed(ground: &Ground, gate: Gate, expected: &str) {
    let name = gate.name().to_owned();
    let error = ground.run(&gated(gate.clone())).await.expect_err(expected);
    assert_eq!((error.code(), error.code().exit_code()), (Code::GateClosed, 4));
    assert!(error.message().contains(expected), "{error}");
    let id = ground.number("select max(id) from posthaste_runner.run").await;
    assert_eq!(ground.show(id).await.state, RunState::Stopped);
    ground.check("select count(*) from t where id = 2", 0).await;

    let mut options = options();
    options.overrides.insert(name.clone(), "I know".into());
    let run = posthaste_runner::resume(ground.target(), id, options, |_| ()).await.expect("overridden");
    let note = run.notes.iter().find(|note| note.kind == "gate-overridden").expect("it is written down");
    assert!(note.text.starts_with(&format!("{name}: I know (")), "{}", note.text);
    ground.execute("delete from t where id = 2").await;
}

#[tokio::test]
async fn closed_gates_stop_a_run_and_overriding_them_is_written_down() {
    let ground = Ground::with(TABLE).await;
    closed(&ground, Gate::Backup { max_age_s: 3600 }, "when the last backup was taken is not known").await;
    let query = Gate::Query { sql: "select false".into(), about: "orders are closed".into() };
    closed(&ground, query, "orders are closed: its query answers f").await;
    let broken = Gate::Query { sql: "select nothing".into(), about: "x".into() };
    closed(&ground, broken, "column \"nothing\" does not exist").await;
    let approval = Gate::Approval { name: "dba".into(), about: "a second person has read it".into() };
    closed(&ground, approval, "nobody has approved that a second person has read it").await;
    let idle = ground.session().await;
    idle.batch_execute("begin; select pg_sleep(0.1)").await.expect("an open transaction");
    closed(&ground, Gate::OldestTransaction { max_ms: 50 }, "a transaction is open for").await;
}

#[tokio::test]
async fn what_opens_each_closed_gate_is_said_at_once() {
    let ground = Ground::with(TABLE).await;
    let approval = |name: &str| Gate::Approval { name: name.into(), about: "x".into() };
    let query = Gate::Query { sql: "select false".into(), about: "x".into() };
    let mut plan = gated(Gate::Backup { max_age_s: 3600 });
    plan.gates = vec![Gate::Backup { max_age_s: 3600 }, approval("dba"), approval("team"), query];
    let error = ground.run(&plan).await.expect_err("all are closed");
    for way in ["`--backup-at`", "`--approve dba --approve team`", "`--override query=reason`"] {
        assert!(error.next_step().contains(way), "{way}: {}", error.next_step());
    }
}

#[tokio::test]
async fn of_several_statements_the_one_that_failed_is_named() {
    let ground = Ground::with(TABLE).await;
    let mut step = transaction("a", "insert into t values (2)");
    step.action =
        Action::Transaction { statements: vec!["select 1".into(), "insert into\n t values (1)".into()] };
    let error = ground.run(&plan(vec![step])).await.expect_err("it is there");
    assert!(error.message().contains("step `a` failed at `insert into t values (1)`: dup"), "{error}");
}

#[tokio::test]
async fn open_gates_let_a_run_pass() {
    let ground = Ground::with(TABLE).await;
    let mut plan = gated(Gate::Backup { max_age_s: 3600 });
    plan.gates = vec![
        Gate::Approval { name: "dba".into(), about: "x".into() },
        Gate::Query { sql: "select count(*) = 1 from t".into(), about: "x".into() },
        Gate::ReplicaLag { max_ms: 1 },
        Gate::OldestTransaction { max_ms: 3_600_000 },
        Gate::Window { from: "00:00".into(), to: "23:59:59".into(), zone: "UTC".into() },
    ];
    let mut options = options();
    options.approvals.insert("dba".into());
    options.backup_at = Some(jiff::Timestamp::now());
    posthaste_runner::run(ground.target(), &plan, options, |_| ()).await.expect("all gates are open");
}

#[tokio::test]
async fn what_a_person_must_do_stops_the_run_until_it_is_said() {
    let ground = Ground::with(TABLE).await;
    let manual = Step::new("deploy", "", Action::Manual { about: "deploy version 2".into() });
    let plan = plan(vec![manual, transaction("a", "insert into t values (2)")]);
    let error = ground.run(&plan).await.expect_err("nobody did it");
    assert!(error.next_step().contains("runs resume 1 --approve deploy"), "{}", error.next_step());
    let mut options = options();
    options.approvals.insert("deploy".into());
    posthaste_runner::resume(ground.target(), 1, options, |_| ()).await.expect("approved");
    ground.check("select count(*) from t", 2).await;
}

#[tokio::test]
async fn a_check_that_is_not_true_stops_the_run() {
    let ground = Ground::with(TABLE).await;
    let plan =
        plan(vec![check("look", "select count(*) = 2 from t"), transaction("a", "insert into t values (3)")]);
    let error = ground.run(&plan).await.expect_err("not true");
    assert!(error.message().contains("the check of step `look` answered f"), "{error}");
    ground.check("select count(*) from t", 1).await;
    ground.execute("insert into t values (2)").await;
    ground.resume(1).await;
    let writes = crate::ground::plan(vec![check("look", "delete from t returning true")]);
    let error = ground.run(&writes).await.expect_err("a check only reads");
    assert!(error.message().contains("read-only"), "{error}");
}

#[tokio::test]
async fn another_schema_than_planned_for_is_refused() {
    let ground = Ground::with(TABLE).await;
    let mut plan = plan(vec![transaction("a", "select 1")]);
    plan.fingerprint = Some("then".into());
    let mut options = options();
    options.fingerprint = Some("now".into());
    let error =
        posthaste_runner::run(ground.target(), &plan, options.clone(), |_| ()).await.expect_err("drift");
    assert_eq!(error.code(), Code::PlanDrift);
    assert!(posthaste_runner::list(ground.target(), 1).await.expect("a list").is_empty());
    plan.database = "elsewhere".into();
    options.fingerprint = Some("then".into());
    let error =
        posthaste_runner::run(ground.target(), &plan, options.clone(), |_| ()).await.expect_err("elsewhere");
    assert!(error.message().contains("made for database elsewhere"), "{error}");
    options.overrides.insert("database".into(), "a copy".into());
    options.fingerprint = None;
    let events = Events::default();
    let run =
        posthaste_runner::run(ground.target(), &plan, options, events.observer()).await.expect("overridden");
    assert!(run.notes.iter().any(|note| note.text.starts_with("database: a copy")), "{:?}", run.notes);
    let is_said =
        |event: &Event| matches!(event, Event::Unread { what, .. } if what.contains("changed since"));
    assert!(events.all().iter().any(is_said));
}

#[tokio::test]
async fn an_unfinished_run_is_in_the_way_of_the_next() {
    let ground = Ground::with(TABLE).await;
    ground.run(&plan(vec![check("look", "select false")])).await.expect_err("it stops");
    let next = plan(vec![transaction("a", "select 1")]);
    let error = ground.run(&next).await.expect_err("the other one first");
    assert!(error.message().contains("run 1 (a test) is not finished: it is failed"), "{error}");
    let mut options = options();
    options.overrides.insert("unfinished-run".into(), "it does not matter".into());
    posthaste_runner::run(ground.target(), &next, options, |_| ()).await.expect("overridden");
    ground.abort(1).await;
    ground.done(&next).await;
}

async fn as_role(ground: &Ground, role: &str) -> Target {
    ground.execute(&format!("create role {role}; grant usage on schema public to {role}")).await;
    ground.target().clone().with_settings(&[("role", role)])
}

#[tokio::test]
async fn a_role_that_lacks_a_right_is_told_before_anything_happens() {
    let ground = Ground::with(TABLE).await;
    let role = format!("weak_{}", ground.target().database());
    let target = as_role(&ground, &role).await;
    let mut alter = transaction("alter", "alter table t add a int");
    alter.locks = vec![posthaste_report::Lock::table(
        &posthaste_base::catalog::Name::new("public", "t"),
        LockMode::AccessExclusive,
    )];
    let plan = plan(vec![alter, batches("fill", over_t("update t set n = 1 where {batch}"))]);
    let refused = async |expected: &[&str]| {
        let error = posthaste_runner::run(&target, &plan, options(), |_| ()).await.expect_err("no right");
        assert_eq!(error.code(), Code::MissingRight, "{error}: {:?}", error.cause());
        for part in expected {
            assert!(error.message().contains(part), "{error}");
        }
    };
    refused(&["may not make the journal's schema"]).await;
    let database = ground.target().database().to_owned();
    ground.execute(&format!("grant create on database {database} to {role}")).await;
    refused(&["step `alter` needs the owner of public.t", "step `fill` needs UPDATE on public.t"]).await;
    ground.check("select count(*) from pg_namespace where nspname = 'posthaste_runner'", 0).await;
    ground.execute(&format!("alter table t owner to {role}; grant create on schema public to {role}")).await;
    let run = posthaste_runner::run(&target, &plan, options(), |_| ()).await.expect("enough rights");
    assert_eq!(run.state, RunState::Done);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said() {
    let ground = Ground::with(TABLE).await;
    let target = ground.target().clone().with_database("not_there");
    let error =
        posthaste_runner::run(&target, &plan(Vec::new()), options(), |_| ()).await.expect_err("no database");
    assert_eq!(error.code(), Code::DatabaseRefused);
}
