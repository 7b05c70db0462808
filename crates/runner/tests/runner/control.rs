//! Steering from another connection: pause, resume, speed, abort; and only one runner at a time.

use std::time::Duration;

use posthaste_base::Code;
use posthaste_report::{Run, RunState, StepState};
use posthaste_runner::{Event, Wish};

use crate::ground::{Events, Ground, batches, options, over_t, plan, state_of, transaction, undone_by};

const TABLE: &str = "create table t (id int primary key, n int not null default 0);
    insert into t select generate_series(1, 1000)";

fn fill() -> posthaste_report::Plan {
    let step = batches("fill", over_t("update t set n = n + 1 where {batch}"));
    plan(vec![undone_by(step, &["update t set n = 0 where {batch}"])])
}

/// Slow enough to be steered: batches of ten rows.
fn slow() -> posthaste_runner::RunOptions {
    let mut options = options();
    options.pace.rows_max = 10;
    options
}

async fn wish(ground: &Ground, wish: Wish) -> Run {
    posthaste_runner::control(ground.target(), 1, wish).await.expect("a run that is steered")
}

fn after(batches: i64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Progress(progress) if progress.batches >= batches)
}

#[tokio::test]
async fn a_run_is_paused_and_goes_on() {
    let ground = Ground::with(TABLE).await;
    let events = Events::default();
    let (plan, options) = (fill(), slow());
    let run = posthaste_runner::run(ground.target(), &plan, options, events.observer());
    let others = async {
        events.wait_for(after(3)).await;
        wish(&ground, Wish::Pause).await;
        events.wait_for(|event| *event == Event::Paused).await;
        let paused = ground.show(1).await;
        assert_eq!(paused.state, RunState::Paused);
        assert_eq!(
            paused.runner.expect("a runner").process_id,
            i32::try_from(std::process::id()).expect("a pid")
        );
        let done = ground.number("select count(*) from t where n = 1").await;
        assert!(done < 1000, "{done}");
        // A resume from outside speaks to the runner that is there.
        let told = posthaste_runner::resume(ground.target(), 1, slow(), |_| ()).await.expect("told");
        assert!(told.runner.is_some());
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").state, RunState::Done);
    ground.check("select count(*) from t where n = 1", 1000).await;
    assert!(events.all().contains(&Event::Continued));
}

#[tokio::test]
async fn a_run_is_slowed_down_while_it_runs() {
    let ground = Ground::with(TABLE).await;
    let events = Events::default();
    let (plan, options) = (fill(), slow());
    let run = posthaste_runner::run(ground.target(), &plan, options, events.observer());
    let others = async {
        events.wait_for(after(3)).await;
        let slower = wish(&ground, Wish::Speed { percent: Some(50), batch_ms: Some(7) }).await;
        assert_eq!((slower.speed_percent, slower.batch_ms), (50, Some(7)));
        events.wait_for(|event| *event == Event::Speed { percent: 50, batch_ms: Some(7) }).await;
        wish(&ground, Wish::Speed { percent: Some(100), batch_ms: None }).await;
        let too_fast =
            posthaste_runner::control(ground.target(), 1, Wish::Speed { percent: Some(101), batch_ms: None });
        assert_eq!(too_fast.await.expect_err("too fast").code(), Code::InvalidParameter);
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").batch_ms, Some(7));
}

#[tokio::test]
async fn a_run_is_aborted_while_it_runs_and_everything_is_as_before() {
    let ground = Ground::with(TABLE).await;
    let events = Events::default();
    let (plan, options) = (fill(), slow());
    let run = posthaste_runner::run(ground.target(), &plan, options, events.observer());
    let others = async {
        events.wait_for(after(3)).await;
        posthaste_runner::abort(ground.target(), 1, slow(), |_| ()).await.expect("told");
    };
    let (run, ()) = tokio::join!(run, others);
    let run = run.expect("a run that went back");
    assert_eq!((run.state, state_of(&run, "fill")), (RunState::Aborted, StepState::Undone));
    ground.check("select count(*) from t where n <> 0", 0).await;
}

#[tokio::test]
async fn a_statement_that_takes_long_is_ended_by_an_abort() {
    let ground = Ground::with(TABLE).await;
    let events = Events::default();
    let plan = plan(vec![transaction("long", "select pg_sleep(600)")]);
    let mut options = options();
    options.brief = Duration::from_secs(700);
    let run = posthaste_runner::run(ground.target(), &plan, options, events.observer());
    let others = async {
        events.wait_for(|event| matches!(event, Event::Step { .. })).await;
        wish(&ground, Wish::Abort).await;
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run that went back").state, RunState::Aborted);
}

#[tokio::test]
async fn a_second_runner_is_told_who_is_at_work() {
    let ground = Ground::with(TABLE).await;
    let events = Events::default();
    let (plan, options) = (fill(), slow());
    let run = posthaste_runner::run(ground.target(), &plan, options, events.observer());
    let others = async {
        events.wait_for(after(1)).await;
        wish(&ground, Wish::Pause).await;
        let error = ground.run(&fill()).await.expect_err("only one at a time");
        assert_eq!(error.code(), Code::RunnerBusy);
        let process = format!("run 1 (a test) is carried out by process {}", std::process::id());
        assert!(error.message().contains(&process), "{error}");
        wish(&ground, Wish::Resume).await;
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").state, RunState::Done);
    ground.check("select count(*) from t where n = 1", 1000).await;
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_can_go_on() {
    let ground = Ground::with(TABLE).await;
    let events = Events::default();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (plan, mut options) = (fill(), slow());
    options.stop = Some(stopped);
    let run = posthaste_runner::run(ground.target(), &plan, options, events.observer());
    let others = async {
        events.wait_for(after(3)).await;
        stop.send_replace(true);
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect_err("stopped").code(), Code::RunStopped);
    let stopped = ground.show(1).await;
    assert_eq!((stopped.state, stopped.runner), (RunState::Stopped, None));
    ground.resume(1).await;
    ground.check("select count(*) from t where n = 1", 1000).await;
}

#[tokio::test]
async fn runs_are_listed_and_wrong_wishes_refused() {
    let ground = Ground::with(TABLE).await;
    assert!(posthaste_runner::list(ground.target(), 10).await.expect("no runs").is_empty());
    let none = posthaste_runner::show(ground.target(), 1).await.expect_err("no run");
    assert_eq!(none.code(), Code::NotFound);
    ground.done(&fill()).await;
    let again = ground.done(&plan(vec![transaction("a", "select 1")])).await;
    let runs = posthaste_runner::list(ground.target(), 10).await.expect("runs");
    assert_eq!(
        runs.iter().map(|run| (run.id, run.state)).collect::<Vec<_>>(),
        [(2, RunState::Done), (1, RunState::Done)]
    );
    assert_eq!((again.steps.len(), again.plan_hash.len(), again.started_by.as_str()), (1, 64, "a test"));
    for wish in [Wish::Pause, Wish::Abort, Wish::Resume] {
        let error = posthaste_runner::control(ground.target(), 1, wish).await.expect_err("over");
        assert_eq!(error.code(), Code::Conflict);
    }
    let error = posthaste_runner::resume(ground.target(), 1, options(), |_| ()).await.expect_err("over");
    assert_eq!(error.code(), Code::Conflict);
}

#[tokio::test]
async fn a_run_pauses_by_itself_when_a_threshold_is_passed_and_says_why() {
    let ground = Ground::with(TABLE).await;
    let mut plan = fill();
    plan.phases[0].watch = vec![posthaste_report::Watch {
        metric: "longest open transaction".into(),
        threshold: 0.0,
        unit: "seconds".into(),
        watch_s: 0,
        when: String::new(),
        signal: Some(posthaste_report::Signal::OldestTransaction),
        pause_after_s: 0,
    }];
    let other = ground.session().await;
    other.batch_execute("begin; select 1").await.expect("a transaction");
    let events = Events::default();
    let run = posthaste_runner::run(ground.target(), &plan, slow(), events.observer());
    let others = async {
        events.wait_for(|event| *event == Event::Paused).await;
        let paused = ground.show(1).await;
        assert_eq!(paused.state, RunState::Paused);
        let why = paused.notes.iter().find(|note| note.kind == "paused").expect("a reason");
        assert!(why.text.contains("longest open transaction"), "{}", why.text);
        other.batch_execute("rollback").await.expect("it ends");
        wish(&ground, Wish::Resume).await;
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").state, RunState::Done);
    ground.check("select count(*) from t where n = 1", 1000).await;
}
