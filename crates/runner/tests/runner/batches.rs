//! Batches that meet NULLs, held rows, new rows, proofs that fail and queries that never come to nothing.

use posthaste_base::Code;
use posthaste_report::{Action, Batches, RunState, StepState};
use posthaste_runner::Event;

use crate::ground::{Events, Ground, batches, impatient, options, over_t, plan, state_of};

const TABLE: &str = "create table t (id int primary key, a text, b text, n int not null default 0);
    insert into t (id, a) select i, case when i % 3 > 0 then 'a' || i end from generate_series(1, 1000) as i;
    analyze";

const COUNT_UP: &str = "update t set n = n + 1 where {batch}";

#[tokio::test]
async fn sources_that_are_null_end_like_all_others() {
    let ground = Ground::with(TABLE).await;
    let mut step = over_t("update t set b = a where {batch} and b is distinct from a");
    step.left = Some("select count(*) from t where b is distinct from a".into());
    let run = ground.done(&plan(vec![batches("fill", step)])).await;
    ground.check("select count(*) from t where b is distinct from a", 0).await;
    ground.check("select count(*) from t where b is not null", 667).await;
    let step = &run.steps[0];
    assert_eq!((step.visited, step.rows, step.left, step.pass), (1000, 667, Some(0), 1));
}

#[tokio::test]
async fn rows_that_come_while_it_runs_are_not_missed() {
    let ground = Ground::with(TABLE).await;
    let mut step = over_t("update t set b = a where {batch} and b is distinct from a");
    step.left = Some("select count(*) from t where b is distinct from a".into());
    let (events, session) = (Events::default(), ground.session().await);
    let plan = plan(vec![batches("fill", step)]);
    let run = posthaste_runner::run(ground.target(), &plan, options(), events.observer());
    let others = async {
        events.wait_for(|event| matches!(event, Event::Progress(progress) if progress.batches >= 3)).await;
        let insert = "insert into t (id, a) select i, 'new' from generate_series(-50, 0) as i
                      union all select i, 'new' from generate_series(1001, 1300) as i";
        session.batch_execute(insert).await.expect("new rows");
    };
    let (run, ()) = tokio::join!(run, others);
    let run = run.expect("a run");
    ground.check("select count(*) from t where b is distinct from a", 0).await;
    ground.check("select count(*) from t where b = 'new'", 351).await;
    assert_eq!((run.state, run.steps[0].left), (RunState::Done, Some(0)));
}

#[tokio::test]
async fn rows_that_are_held_are_come_back_to() {
    let ground = Ground::with(TABLE).await;
    let holder = ground.session().await;
    holder.batch_execute("begin; select from t where id in (150, 777) for update").await.expect("held rows");
    let events = Events::default();
    let plan = plan(vec![batches("fill", over_t(COUNT_UP))]);
    let run = posthaste_runner::run(ground.target(), &plan, options(), events.observer());
    let others = async {
        let is_second = |event: &Event| matches!(event, Event::PutOff { up_to, .. } if up_to[0].parse::<i64>().expect("an id") >= 777);
        events.wait_for(is_second).await;
        holder.batch_execute("commit").await.expect("given back");
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").steps[0].rows, 1000);
    ground.check("select count(*) from t where n = 1", 1000).await;
    ground.check("select count(*) from posthaste_runner.put_off", 0).await;
}

#[tokio::test]
async fn rows_that_stay_held_end_the_run_and_the_rest_is_done() {
    let ground = Ground::with(TABLE).await;
    let holder = ground.session().await;
    holder.batch_execute("begin; select from t where id = 500 for update").await.expect("a held row");
    let plan = plan(vec![batches("fill", over_t(COUNT_UP))]);
    let error = posthaste_runner::run(ground.target(), &plan, impatient(), |_| ()).await.expect_err("held");
    assert_eq!(error.code(), Code::LocksHeld);
    let left = ground.number("select count(*) from t where n = 0").await;
    assert!((1..=200).contains(&left), "{left}");
    holder.batch_execute("rollback").await.expect("given back");
    ground.resume(1).await;
    ground.check("select count(*) from t where n = 1", 1000).await;
}

#[tokio::test]
async fn a_batch_that_is_not_proven_is_rolled_back_and_the_run_stops() {
    let ground = Ground::with(TABLE).await;
    ground.execute("update t set a = 'wrong' where id = 501").await;
    let mut step = over_t("update t set n = n + 1, b = coalesce(a, '') where {batch}");
    step.prove = Some("select coalesce(bool_and(b <> 'wrong'), false) from t where {batch}".into());
    let error = ground.run(&plan(vec![batches("fill", step)])).await.expect_err("no proof");
    assert_eq!(error.code(), Code::ProofFailed);
    ground.check("select count(*) from t where b = 'wrong' or n > 1", 0).await;
    let run = ground.show(1).await;
    assert_eq!((run.state, state_of(&run, "fill")), (RunState::Failed, StepState::Failed));
    let done = ground.number("select count(*) from t where n = 1").await;
    assert_eq!((run.steps[0].visited, done < 501), (done, true));
    ground.execute("update t set a = 'right' where id = 501").await;
    ground.resume(1).await;
    ground.check("select count(*) from t where n = 1", 1000).await;
}

#[tokio::test]
async fn what_is_always_left_does_not_run_for_ever() {
    let ground = Ground::with(TABLE).await;
    let mut step = over_t("update t set b = a where {batch} and b is null");
    step.left = Some("select count(*) from t where b is null".into());
    let error = ground.run(&plan(vec![batches("fill", step)])).await.expect_err("NULLs are left");
    assert_eq!(error.code(), Code::StepFailed);
    assert!(error.message().contains("333 rows"), "{error}");
    assert_eq!(ground.show(1).await.steps[0].left, Some(333));
    // Whoever removes the cause needs not make a new plan: the table is gone over once more.
    ground.execute("update t set a = 'new' where a is null").await;
    ground.resume(1).await;
    ground.check("select count(*) from t where b is null", 0).await;
}

#[tokio::test]
async fn rows_that_are_moved_are_moved_whole_while_others_come() {
    let ground = Ground::with(TABLE).await;
    ground.execute("create table old (like t including all)").await;
    let mut step = over_t("insert into old (id, a, b, n) select t.id, t.a, t.b, t.n from t where {batch}");
    step.statements.push("delete from t where {batch}".into());
    step.prove = Some("select not exists (select from t where {batch})".into());
    step.left = Some("select count(*) from t".into());
    let (events, session) = (Events::default(), ground.session().await);
    let plan = plan(vec![batches("move", step)]);
    let run = posthaste_runner::run(ground.target(), &plan, options(), events.observer());
    let others = async {
        for id in 2000..2100 {
            let insert = format!("insert into t (id) values ({id}) on conflict do nothing");
            session.batch_execute(&insert).await.expect("a new row");
        }
    };
    let (run, ()) = tokio::join!(run, others);
    run.expect("a run");
    ground.check("select count(*) from t", 0).await;
    ground.check("select count(*) from old where id <= 1000", 1000).await;
}

#[tokio::test]
async fn a_walk_that_could_miss_rows_is_refused() {
    let ground = Ground::with(
        "create table t (id int, a int not null, b int not null);
         create index on t (id); create index on t (a) where b > 0; create index on t (b desc, a);
         create table p (id int) partition by range (id)",
    )
    .await;
    let check = async |table: &str, key: &[&str], expected: &str| {
        let mut step = Batches::new("public", table, key.iter().map(|name| (*name).into()).collect());
        step.statements = vec!["update t set b = 1 where {batch}".into()];
        step.left = Some("select 0".into());
        let error = ground.run(&plan(vec![batches("fill", step)])).await.expect_err(expected);
        assert!(error.message().contains(expected), "{error}");
        let id = ground.number("select max(id) from posthaste_runner.run").await;
        ground.abort(id).await;
    };
    check("t", &["id"], "may be NULL").await;
    check("t", &["a"], "no index").await;
    check("t", &["b", "a"], "no index").await;
    check("t", &["c"], "does not exist").await;
    check("u", &["a"], "there is no table public.u").await;
    check("p", &[], "name its partitions").await;
}

#[tokio::test]
async fn progress_says_how_far_it_is() {
    let ground = Ground::with(TABLE).await;
    let events = Events::default();
    let plan = plan(vec![batches("fill", over_t(COUNT_UP))]);
    posthaste_runner::run(ground.target(), &plan, options(), events.observer()).await.expect("a run");
    let last = events.all().into_iter().rev().find_map(|event| match event {
        Event::Progress(progress) => Some(progress),
        _ => None,
    });
    let last = last.expect("progress");
    assert_eq!((last.visited, last.total, last.rows, last.eta_s), (1000, Some(1000), 1000, Some(0)));
    assert!(matches!(&plan.phases[0].steps[0].action, Action::Batches(_)));
}
