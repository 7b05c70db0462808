//! The way back: the last step first, as far as a plan can.

use posthaste_base::Code;
use posthaste_report::{RunState, StepState};
use posthaste_runner::Event;

use crate::ground::{
    Events, Ground, alone, batches, check, options, over_t, plan, state_of, transaction, undone_by,
};

const TABLE: &str = "create table t (id int primary key, n int not null default 0);
    insert into t select generate_series(1, 500)";

#[tokio::test]
async fn everything_goes_back_in_reverse() {
    let ground = Ground::with(TABLE).await;
    let mut validate = transaction("validate", "alter table t validate constraint t_a");
    validate.needs_no_undo = true;
    let steps = vec![
        undone_by(transaction("column", "alter table t add column a int"), &["alter table t drop column a"]),
        undone_by(
            batches("fill", over_t("update t set a = 1 where {batch}")),
            &["update t set a = null where {batch}", "update t set n = n + 1 where {batch}"],
        ),
        undone_by(
            transaction("check", "alter table t add constraint t_a check (a is not null) not valid"),
            &["alter table t drop constraint t_a"],
        ),
        validate,
        undone_by(
            alone("index", "create index concurrently t_i on t (a)", Some("public.t_i")),
            &["drop index concurrently t_i"],
        ),
        alone("vacuum", "vacuum t", None),
        check("stop", "select false"),
    ];
    ground.run(&plan(steps)).await.expect_err("it stops at the last step");
    let run = ground.abort(1).await;
    assert_eq!(run.state, RunState::Aborted);
    assert!(run.steps.iter().all(|step| step.state == StepState::Undone), "{:?}", run.steps);
    ground
        .check("select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'a'", 0)
        .await;
    ground.check("select count(*) from pg_class where relname = 't_i'", 0).await;
    ground.check("select count(*) from t where n = 1", 500).await;
}

#[tokio::test]
async fn it_stops_before_what_cannot_be_undone_and_says_so() {
    let ground = Ground::with(TABLE).await;
    let steps = vec![
        undone_by(transaction("make", "create table old (id int)"), &["drop table old"]),
        transaction("move", "with gone as (delete from t returning id) insert into old select id from gone"),
        undone_by(transaction("mark", "create table mark ()"), &["drop table mark"]),
        check("stop", "select false"),
    ];
    ground.run(&plan(steps)).await.expect_err("it stops at the last step");
    let events = Events::default();
    let run = posthaste_runner::abort(ground.target(), 1, options(), events.observer()).await.expect("back");
    assert_eq!(run.state, RunState::Aborted);
    assert_eq!((state_of(&run, "mark"), state_of(&run, "move")), (StepState::Undone, StepState::Kept));
    assert_eq!(state_of(&run, "make"), StepState::Kept);
    ground.check("select count(*) from old", 500).await;
    let kept = events.all().iter().filter(|event| matches!(event, Event::StepKept { .. })).count();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn an_undo_that_fails_is_gone_on_with_later() {
    let ground = Ground::with(TABLE).await;
    let steps = vec![
        undone_by(
            transaction("make", "create table a (); create table b ()"),
            &["drop table b", "drop table a"],
        ),
        check("stop", "select false"),
    ];
    ground.run(&plan(steps)).await.expect_err("it stops at the last step");
    ground.execute("create view v as select from a").await;
    let error =
        posthaste_runner::abort(ground.target(), 1, options(), |_| ()).await.expect_err("a view is there");
    assert_eq!(error.code(), Code::StepFailed);
    // Both statements are one transaction.
    ground.check("select count(*) from pg_class where relname = 'b'", 1).await;
    assert_eq!(ground.show(1).await.state, RunState::Aborting);
    ground.execute("drop view v").await;
    // There is no way forward from here: to resume means to go on back.
    assert_eq!(ground.resume(1).await.state, RunState::Aborted);
    ground.check("select count(*) from pg_class where relname in ('a', 'b')", 0).await;
}
