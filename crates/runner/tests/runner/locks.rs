//! Locks that others hold: how long anybody waits, who is said to be in the way, and who is ended.

use std::time::Duration;

use posthaste_base::Code;
use posthaste_base::catalog::Name;
use posthaste_report::{Lock, LockMode, RunState};
use posthaste_runner::Event;

use crate::ground::{Events, Ground, impatient, options, plan, transaction};

const TABLE: &str = "create table t (id int primary key); insert into t values (1)";

fn alter() -> posthaste_report::Step {
    transaction("alter", "alter table t add column a int")
}

fn alter_declared() -> posthaste_report::Step {
    let mut step = alter();
    step.locks = vec![Lock::table(&Name::new("public", "t"), LockMode::AccessExclusive)];
    step
}

#[tokio::test]
async fn a_lock_behind_an_idle_transaction_is_tried_again_and_had_when_it_ends() {
    let ground = Ground::with(TABLE).await;
    let (holder, reader) = (ground.session().await, ground.session().await);
    holder.batch_execute("begin; select from t").await.expect("an idle transaction");
    let events = Events::default();
    let plan = plan(vec![alter()]);
    let run = posthaste_runner::run(ground.target(), &plan, options(), events.observer());
    let others = async {
        // Who comes later waits no longer than our own timeout, which is a fifth of this one.
        reader.batch_execute("set lock_timeout = '1s'").await.expect("a setting");
        let is_late = |event: &Event| matches!(event, Event::LockTimeout { attempt: 3.., .. });
        let is_named = |event: &Event| matches!(event, Event::InTheWay { is_queued: true, .. });
        while !(events.all().iter().any(is_late) && events.all().iter().any(is_named)) {
            reader.batch_execute("select from t").await.expect("a reader that is not held up");
        }
        holder.batch_execute("commit").await.expect("the end");
    };
    let (run, ()) = tokio::join!(run, others);
    let run = run.expect("a run");
    ground
        .check("select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'a'", 1)
        .await;
    assert!(run.steps[0].attempts >= 4, "{:?}", run.steps[0]);
    let note = run.notes.iter().find(|note| note.kind == "in-the-way").expect("a note of who was in the way");
    assert_eq!((note.sessions.len(), note.sessions[0].state.as_str()), (1, "idle in transaction"));
    assert!(note.sessions[0].query.contains("select from t"), "{note:?}");
}

#[tokio::test]
async fn who_stays_long_is_not_even_queued_behind() {
    let ground = Ground::with(TABLE).await;
    let holder = ground.session().await;
    let pid = holder.query_one("select pg_backend_pid()", &[]).await.expect("a pid").get::<_, i32>(0);
    holder.batch_execute("begin; select from t; select pg_sleep(1.1)").await.expect("an old transaction");
    let events = Events::default();
    let plan = plan(vec![alter_declared()]);
    let run = posthaste_runner::run(ground.target(), &plan, options(), events.observer());
    let others = async {
        let names_it = |event: &Event| matches!(event, Event::InTheWay { is_queued: false, sessions, .. } if sessions.iter().any(|session| session.pid == pid && session.holds.as_deref() == Some("AccessShareLock on public.t")));
        events.wait_for(names_it).await;
        holder.batch_execute("commit").await.expect("the end");
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").state, RunState::Done);
    assert!(
        !events.all().iter().any(|event| matches!(event, Event::LockTimeout { .. })),
        "{:?}",
        events.all()
    );
}

#[tokio::test]
async fn it_gives_up_in_time_and_goes_on_later() {
    let ground = Ground::with(TABLE).await;
    let holder = ground.session().await;
    holder.batch_execute("begin; select from t").await.expect("an idle transaction");
    let plan = plan(vec![alter()]);
    let error = posthaste_runner::run(ground.target(), &plan, impatient(), |_| ()).await.expect_err("held");
    assert_eq!((error.code(), error.code().exit_code()), (Code::LocksHeld, 5));
    assert!(error.next_step().contains("runs resume 1"), "{}", error.next_step());
    assert_eq!(ground.show(1).await.state, RunState::Failed);
    holder.batch_execute("commit").await.expect("the end");
    assert_eq!(ground.resume(1).await.state, RunState::Done);
}

#[tokio::test]
async fn nobody_is_ended_unless_told_and_then_only_who_is_in_the_way() {
    let ground = Ground::with(TABLE).await;
    let (holder, other) = (ground.session().await, ground.session().await);
    holder.batch_execute("begin; select from t").await.expect("an idle transaction");
    other.batch_execute("begin; select 1").await.expect("another idle transaction");
    let events = Events::default();
    let mut options = options();
    options.cancel_blockers_after = Some(Duration::ZERO);
    let run = posthaste_runner::run(ground.target(), &plan(vec![alter()]), options, events.observer()).await;
    let ended: Vec<bool> = events
        .all()
        .iter()
        .filter_map(|event| match event {
            Event::SessionEnded { is_terminated, .. } => Some(*is_terminated),
            _ => None,
        })
        .collect();
    // What idles in a transaction has no statement to cancel.
    assert_eq!(ended, [false, true]);
    assert_eq!(run.expect("a run").notes.iter().filter(|note| note.kind == "session-ended").count(), 2);
    assert!(holder.batch_execute("select 1").await.is_err());
    other.batch_execute("commit").await.expect("who was not in the way lives");
}
