//! Statements that stand alone: leftovers of builds, builds of others, and what nobody knows after a crash.

use std::sync::Arc;

use posthaste_base::Code;
use posthaste_report::{RunState, StepState};
use posthaste_runner::Event;

use crate::ground::{Events, Ground, alone, options, plan, state_of};

const TABLE: &str = "create table t (id int primary key, a int not null);
    insert into t select i, i from generate_series(1, 1000) as i";

const BUILD: &str = "create unique index concurrently t_a on t (a)";

#[tokio::test]
async fn an_invalid_leftover_is_dropped_and_built_again() {
    let ground = Ground::with(TABLE).await;
    ground.execute("insert into t values (0, 1)").await;
    ground.session().await.batch_execute(BUILD).await.expect_err("two rows of the same value");
    ground.execute("delete from t where id = 0").await;
    assert_eq!(ground.invalid_indexes().await, 1);
    let events = Events::default();
    let plan = plan(vec![alone("build", BUILD, Some("public.t_a"))]);
    posthaste_runner::run(ground.target(), &plan, options(), events.observer()).await.expect("built");
    assert_eq!(ground.invalid_indexes().await, 0);
    ground.check("select count(*) from pg_index where indexrelid = 't_a'::regclass and indisvalid", 1).await;
    let is_said =
        |event: &Event| matches!(event, Event::LeftoverDropped { index, .. } if index == "public.t_a");
    assert!(events.all().iter().any(is_said), "{:?}", events.all());
}

#[tokio::test]
async fn a_build_that_fails_leaves_nothing() {
    let ground = Ground::with(TABLE).await;
    ground.execute("insert into t values (0, 1)").await;
    let plan = plan(vec![alone("build", BUILD, Some("public.t_a"))]);
    let error = ground.run(&plan).await.expect_err("two rows of the same value");
    assert_eq!(error.code(), Code::StepFailed);
    assert!(error.message().contains("could not create unique index"), "{error}");
    ground.check("select count(*) from pg_class where relname = 't_a'", 0).await;
    ground.execute("delete from t where id = 0").await;
    ground.resume(1).await;
    ground.check("select count(*) from pg_index where indexrelid = 't_a'::regclass and indisvalid", 1).await;
}

#[tokio::test]
async fn an_index_that_a_live_session_builds_is_waited_for_and_not_dropped() {
    let ground = Ground::with(TABLE).await;
    let (writer, builder) = (ground.session().await, ground.session().await);
    writer.batch_execute("begin; update t set a = a where id = 1").await.expect("an open transaction");
    let events = Events::default();
    let mut step =
        alone("build", &BUILD.replace("concurrently", "concurrently if not exists"), Some("public.t_a"));
    step.done_if = Some("select true".into());
    let plan = plan(vec![step]);
    let others_build = builder.batch_execute(BUILD);
    let watched = async {
        while ground.invalid_indexes().await == 0 {
            tokio::task::yield_now().await;
        }
        let run = posthaste_runner::run(ground.target(), &plan, options(), events.observer());
        let end = async {
            events.wait_for(|event| matches!(event, Event::InTheWay { is_queued: false, .. })).await;
            writer.batch_execute("commit").await.expect("the end");
        };
        tokio::join!(run, end).0
    };
    let (built, run) = tokio::join!(others_build, watched);
    built.expect("the other's index is built");
    assert_eq!(run.expect("a run").state, RunState::Done);
    assert!(!events.all().iter().any(|event| matches!(event, Event::LeftoverDropped { .. })));
    ground.check("select count(*) from pg_index where indexrelid = 't_a'::regclass and indisvalid", 1).await;
}

#[tokio::test]
async fn what_a_reindex_left_is_dropped() {
    let ground = Ground::with(TABLE).await;
    ground.execute("create index t_b on t (a)").await;
    // As a REINDEX that was killed leaves it, and beside it an invalid index of somebody else.
    ground
        .execute(
            "create index t_b_ccnew on t (a); create index t_x on t (a);
             update pg_index set indisvalid = false where indexrelid in ('t_b_ccnew'::regclass, 't_x'::regclass)",
        )
        .await;
    let step = alone("reindex", "reindex index concurrently t_b", Some("public.t_b"));
    ground.done(&plan(vec![step])).await;
    ground.check("select count(*) from pg_class where relname like '%ccnew%'", 0).await;
    ground.check("select count(*) from pg_class where relname = 't_x'", 1).await;
}

#[tokio::test]
async fn an_invalid_index_of_a_constraint_or_a_partitioned_table_is_not_dropped() {
    let ground = Ground::with(
        "create table p (id int not null) partition by range (id);
         create table p1 partition of p for values from (1) to (9);
         create index p_id on only p (id)",
    )
    .await;
    let step = alone("build", "create index concurrently p_id on p1 (id)", Some("public.p_id"));
    let error = ground.run(&plan(vec![step])).await.expect_err("it belongs to a partitioned table");
    assert!(error.message().contains("belongs to a constraint or a partitioned index"), "{error}");
    assert_eq!(ground.invalid_indexes().await, 1);
}

#[tokio::test]
async fn what_nobody_knows_after_a_crash_is_asked_and_not_guessed() {
    let ground = Ground::with("create type mood as enum ('sad')").await;
    let statement = "alter type mood add value 'glad'";
    let mut dying = options();
    dying.fault = Some(Arc::new(|point| point == "alone-done"));
    let plan = plan(vec![alone("add", statement, None)]);
    posthaste_runner::run(ground.target(), &plan, dying, |_| ()).await.expect_err("it died");
    assert_eq!(ground.show(1).await.state, RunState::Interrupted);
    let error = posthaste_runner::resume(ground.target(), 1, options(), |_| ()).await.expect_err("in doubt");
    assert_eq!(error.code(), Code::RunStopped);
    assert!(error.next_step().contains("--was-done add"), "{}", error.next_step());
    let mut told = options();
    told.settled.insert("add".into(), true);
    let run = posthaste_runner::resume(ground.target(), 1, told, |_| ()).await.expect("settled");
    assert_eq!((run.state, state_of(&run, "add")), (RunState::Done, StepState::Done));
}

#[tokio::test]
async fn a_query_that_tells_needs_no_asking() {
    let ground = Ground::with("create type mood as enum ('sad')").await;
    let mut step = alone("add", "alter type mood add value 'glad'", None);
    step.done_if = Some("select exists (select from pg_enum where enumlabel = 'glad')".into());
    let plan = plan(vec![step]);
    for point in ["alone-intended", "alone-done"] {
        let mut dying = options();
        dying.fault = Some(Arc::new(move |at| at == point));
        posthaste_runner::run(ground.target(), &plan, dying, |_| ()).await.expect_err("it died");
        let id = ground.number("select max(id) from posthaste_runner.run").await;
        ground.resume(id).await;
        ground.check("select count(*) from pg_enum", 2).await;
        ground.execute("drop type mood; create type mood as enum ('sad')").await;
    }
}

#[tokio::test]
async fn a_build_says_how_far_it_is() {
    let ground = Ground::with(TABLE).await;
    let writer = ground.session().await;
    writer.batch_execute("begin; update t set a = a where id = 1").await.expect("an open transaction");
    let events = Events::default();
    let plan = plan(vec![alone("build", BUILD, Some("public.t_a"))]);
    let run = posthaste_runner::run(ground.target(), &plan, options(), events.observer());
    let others = async {
        let is_waiting =
            |event: &Event| matches!(event, Event::IndexBuild { phase, .. } if phase.contains("waiting"));
        events.wait_for(is_waiting).await;
        events.wait_for(|event| matches!(event, Event::InTheWay { is_queued: true, .. })).await;
        writer.batch_execute("commit").await.expect("the end");
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("built").state, RunState::Done);
}
