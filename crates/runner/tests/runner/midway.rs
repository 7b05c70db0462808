//! What happens in the middle: a window closes, the server is killed while it rebuilds an index, the disk is full.

use std::time::Duration;

use posthaste_base::Code;
use posthaste_pg::local::Shutdown;
use posthaste_report::{Gate, RunState, StepState};
use posthaste_runner::Event;
use posthaste_testkit::db::DurableServer;

use crate::ground::{Events, Ground, alone, batches, options, over_t, plan, state_of, transaction};

const TABLE: &str = "create table t (id int primary key, n int not null default 0);
    insert into t select i from generate_series(1, 300) as i;
    analyze t";

/// A clock that the test sets, and a hundred rows close the window: the runner asks the database for the time, and finds
/// this one before the server's.
const CLOCK: &str = "create schema fake;
    create table fake.clock as select timestamptz '2026-01-10 22:30:00+00' as at;
    create function fake.clock_timestamp() returns timestamptz language sql stable as 'select at from fake.clock';
    create function close() returns trigger language plpgsql as $$ begin
        update fake.clock set at = '2026-01-11 04:00:00+00'
        where at < '2026-01-11' and (select count(*) from t where n = 1) >= 100;
        return null;
    end $$;
    create trigger close after update on t execute function close();
    do $$ begin
        execute format('alter database %I set search_path = fake, pg_catalog, public', current_database());
    end $$";

#[tokio::test]
async fn a_run_stops_when_its_window_closes_and_goes_on_in_the_next() {
    let ground = Ground::with(TABLE).await;
    ground.execute(CLOCK).await;
    let fill = over_t("update t set n = n + 1 where {batch}");
    let mut plan = plan(vec![batches("fill", fill), transaction("after", "update t set n = n + 1")]);
    plan.phases[0].gates =
        vec![Gate::Window { from: "22:00".into(), to: "04:00".into(), zone: "UTC".into() }];
    let mut options = options();
    options.pace.rows_max = 20;
    options.look_every = Duration::ZERO;

    let run = posthaste_runner::run(ground.target(), &plan, options.clone(), |_| ()).await;
    let error = run.expect_err("the window closed");
    assert_eq!(error.code(), Code::GateClosed);
    assert!(error.message().contains("it is 04:00, and the window is 22:00 to 04:00"), "{error}");
    let run = ground.show(1).await;
    assert_eq!((run.state, state_of(&run, "after")), (RunState::Stopped, StepState::Waiting));
    let done = ground.number("select count(*) from public.t where n = 1").await;
    assert!((100..300).contains(&done), "{done} of 300 rows before it closed");

    let early = posthaste_runner::resume(ground.target(), 1, options.clone(), |_| ()).await;
    assert_eq!(early.expect_err("it is still closed").code(), Code::GateClosed);
    ground.check("select count(*) from public.t where n = 1", done).await;

    ground.execute("update fake.clock set at = '2026-01-11 22:00:00+00'").await;
    let run = posthaste_runner::resume(ground.target(), 1, options, |_| ()).await.expect("the next window");
    assert_eq!(run.state, RunState::Done);
    ground.check("select count(*) from public.t where n = 2", 300).await;
}

#[tokio::test]
async fn a_rebuilt_index_whose_server_is_killed_is_rebuilt_without_leftovers() {
    let mut server = DurableServer::start().await;
    let pool = server.pool(3).await;
    let (writer, watcher) = (pool.get().await.expect("a session"), pool.get().await.expect("a session"));
    writer.batch_execute(TABLE).await.expect("a table");
    writer.batch_execute("create index t_n on t (n)").await.expect("an index");
    writer.batch_execute("begin; delete from t where id = 1").await.expect("an open transaction");
    let left = "select count(*) from pg_class where relname like 't_n_cc%'";
    let events = Events::default();
    let mut options = options();
    options.reconnect = Duration::from_secs(120);
    let target = server.target.clone();
    let plan = plan(vec![alone("rebuild", "reindex index concurrently t_n", Some("public.t_n"))]);
    let run = posthaste_runner::run(&target, &plan, options, events.observer());
    let killed = async {
        // The new index is there and waits for the writer: from then on a kill leaves it behind.
        let is_half_built =
            |event: &Event| matches!(event, Event::InTheWay { .. } | Event::IndexBuild { .. });
        events.wait_for(is_half_built).await;
        while watcher.query_one(left, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        server.stop(Shutdown::Kill).await;
        events.wait_for(|event| matches!(event, Event::ConnectionLost { .. })).await;
        server.restart().await;
    };
    let (run, ()) = tokio::join!(run, killed);
    assert_eq!(run.expect("a run").state, RunState::Done);
    let is_dropped =
        |event: &Event| matches!(event, Event::LeftoverDropped { index, .. } if index.contains("t_n_cc"));
    assert!(events.all().iter().any(is_dropped), "{:?}", events.all());
    drop((writer, watcher));
    let session = pool.get().await.expect("a session");
    let number = async |query| session.query_one(query, &[]).await.expect("a count").get::<_, i64>(0);
    assert_eq!(number(left).await, 0);
    assert_eq!(number("select count(*) from pg_index where not indisvalid").await, 0);
    assert_eq!(number("select count(*) from pg_class where relname = 't_n'").await, 1);
    drop(session);
    pool.close();
    server.remove().await;
}

/// The server says it, as it does when a file cannot grow: a trigger stands for the disk.
#[tokio::test]
async fn a_full_disk_stops_a_run_where_it_goes_on_once_there_is_space() {
    let ground = Ground::with(TABLE).await;
    ground
        .execute(
            "create table space (bytes int);
             create function no_space() returns trigger language plpgsql as $$ begin
                 if new.id > 200 and not exists (select from space) then
                     raise exception 'could not extend file: No space left on device' using errcode = '53100';
                 end if;
                 return new;
             end $$;
             create trigger disk before update on t for each row execute function no_space()",
        )
        .await;
    let fill = over_t("update t set n = n + 1 where {batch}");
    let plan = plan(vec![batches("fill", fill), transaction("after", "insert into t values (301, 1)")]);
    let mut small = options();
    small.pace.rows_max = 20;
    let run = posthaste_runner::run(ground.target(), &plan, small.clone(), |_| ()).await;
    let error = run.expect_err("the disk is full");
    assert_eq!((error.code(), error.code().exit_code()), (Code::DatabaseFull, 3));
    assert!(error.message().contains("step `fill` failed: could not extend file"), "{error}");
    assert!(error.next_step().contains("free space"), "{}", error.next_step());
    ground.check("select count(*) from t where n = 1 and id <= 200", 200).await;
    ground.check("select count(*) from t where n <> 0 and id > 200", 0).await;

    ground.execute("insert into space values (1)").await;
    let run = posthaste_runner::resume(ground.target(), 1, small, |_| ()).await.expect("there is space");
    assert_eq!(run.state, RunState::Done);
    ground.check("select count(*) from t where n = 1", 301).await;
}
