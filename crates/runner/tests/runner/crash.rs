//! Kills at every point: whatever was being done, a resume does all of it once, and an abort leaves nothing.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthaste_pg::local::Shutdown;
use posthaste_report::{Plan, RunState};
use posthaste_runner::{Event, RunOptions};
use posthaste_testkit::db::DurableServer;

use crate::ground::{Events, Ground, alone, batches, check, options, over_t, plan, transaction, undone_by};

const ROWS: i64 = 300;

const TABLES: &str = "drop table if exists t, mark;
    create table t (id int primary key, name text not null, n int not null default 0);
    insert into t (id, name) select i, 'x' || i from generate_series(1, 300) as i;
    create table mark (id int generated always as identity);
    analyze t";

/// A step of each kind, which can all be taken back, and of which none may happen twice.
fn everything() -> Plan {
    let mut fill = over_t("update t set n = t.n + 1, copy = t.name where {batch}");
    fill.prove = Some("select bool_and(copy = name) from t where {batch}".into());
    let undo_fill = "update t set n = t.n - 1, copy = null where {batch} and copy is not null";
    let build = "create index concurrently t_copy on t (copy)";
    plan(vec![
        undone_by(
            transaction("column", "alter table t add column copy text"),
            &["alter table t drop column copy"],
        ),
        undone_by(batches("fill", fill), &[undo_fill]),
        undone_by(
            alone("index", build, Some("public.t_copy")),
            &["drop index concurrently if exists t_copy"],
        ),
        alone("vacuum", "vacuum t", None),
        check("look", "select count(*) = 0 from t where n <> 1"),
        undone_by(transaction("mark", "insert into mark default values"), &["delete from mark"]),
    ])
}

fn dying_at(number: usize, mut options: RunOptions) -> (RunOptions, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    options.fault = Some(Arc::new(move |_| count.fetch_add(1, Ordering::SeqCst) == number));
    (options, seen)
}

async fn check_done(ground: &Ground, at: &str) {
    assert_eq!(ground.number("select count(*) from t where n = 1 and copy = name").await, ROWS, "{at}");
    assert_eq!(ground.number("select count(*) from mark").await, 1, "{at}");
    let valid = "select count(*) from pg_index where indexrelid = to_regclass('t_copy') and indisvalid";
    assert_eq!(ground.number(valid).await, 1, "{at}");
    assert_eq!(ground.invalid_indexes().await, 0, "{at}");
}

async fn check_untouched(ground: &Ground, at: &str) {
    assert_eq!(ground.number("select count(*) from t where n = 0").await, ROWS, "{at}");
    assert_eq!(ground.number("select count(*) from mark").await, 0, "{at}");
    let columns = "select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'copy'";
    assert_eq!(ground.number(columns).await, 0, "{at}");
    assert_eq!(ground.number("select count(*) from pg_class where relname = 't_copy'").await, 0, "{at}");
}

async fn newest(ground: &Ground) -> i64 {
    ground.number("select max(id) from posthaste_runner.run").await
}

#[tokio::test]
async fn a_run_that_dies_at_any_point_goes_on_and_does_everything_once() {
    let ground = Ground::with(TABLES).await;
    for number in 0.. {
        ground.execute(TABLES).await;
        let (options, _) = dying_at(number, options());
        if posthaste_runner::run(ground.target(), &everything(), options, |_| ()).await.is_ok() {
            assert!(number > 15, "{number}");
            return check_done(&ground, "the end").await;
        }
        let id = newest(&ground).await;
        // It dies once more at the next point, and then comes through.
        let (again, _) = dying_at(1, crate::ground::options());
        let _ = posthaste_runner::resume(ground.target(), id, again, |_| ()).await;
        if ground.show(id).await.state != RunState::Done {
            ground.resume(id).await;
        }
        check_done(&ground, &format!("point {number}")).await;
    }
}

#[tokio::test]
async fn a_run_that_dies_at_any_point_goes_back_and_leaves_nothing() {
    let ground = Ground::with(TABLES).await;
    for number in 0.. {
        ground.execute(TABLES).await;
        let (options, _) = dying_at(number, options());
        if posthaste_runner::run(ground.target(), &everything(), options, |_| ()).await.is_ok() {
            assert!(number > 15, "{number}");
            return;
        }
        let id = newest(&ground).await;
        let (again, _) = dying_at(number % 3, crate::ground::options());
        let _ = posthaste_runner::abort(ground.target(), id, again, |_| ()).await;
        if ground.show(id).await.state != RunState::Aborted {
            ground.abort(id).await;
        }
        check_untouched(&ground, &format!("point {number}")).await;
    }
}

/// What the process that is killed runs. It does nothing unless another test has started it.
#[tokio::test]
async fn child() {
    let Ok(url) = std::env::var("RUNNER_TEST_URL") else { return };
    let target = url.parse().expect("an address");
    let mut options = options();
    options.pace.rows_max = 20;
    let say = |event: Event| println!("event {event}");
    match std::env::var("RUNNER_TEST_RESUME").ok() {
        Some(id) => drop(posthaste_runner::resume(&target, id.parse().expect("an id"), options, say).await),
        None => drop(posthaste_runner::run(&target, &everything(), options, say).await),
    }
}

/// Starts the run in a process of its own and kills it (-9) after so many events.
fn kill_after(url: &str, events: usize, resume: Option<i64>) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "crash::child", "--nocapture", "--test-threads=1"]);
    command.env("RUNNER_TEST_URL", url).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(id) = resume {
        command.env("RUNNER_TEST_RESUME", id.to_string());
    }
    let mut child = command.spawn().expect("a process");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let said = lines.map_while(Result::ok).filter(|line| line.contains("event ")).take(events).count();
    let _ = child.kill();
    let _ = child.wait();
    assert!(said > 0, "the process said nothing");
}

#[tokio::test]
async fn a_process_that_is_killed_again_and_again_does_everything_once() {
    let seed: u64 = std::env::var("RUNNER_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    println!("RUNNER_TEST_SEED={seed}");
    let ground = Ground::with(TABLES).await;
    let mut random = seed;
    let mut id = None;
    for _ in 0..6 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let events = 1 + usize::try_from(random >> 33).expect("31 bits") % 20;
        let url = ground.db.url.clone();
        tokio::task::spawn_blocking(move || kill_after(&url, events, id)).await.expect("a kill");
        id = Some(newest(&ground).await);
        if ground.show(id.expect("a run")).await.state == RunState::Done {
            break;
        }
    }
    let id = id.expect("a run");
    if ground.show(id).await.state != RunState::Done {
        ground.resume(id).await;
    }
    check_done(&ground, &format!("seed {seed}")).await;
}

#[tokio::test]
async fn a_server_that_goes_away_is_waited_for() {
    let mut server = DurableServer::start().await;
    let pool = server.pool(2).await;
    pool.get().await.expect("a session").batch_execute(TABLES).await.expect("tables");
    let events = Events::default();
    let mut options = options();
    options.pace.rows_max = 20;
    options.reconnect = Duration::from_secs(120);
    let (target, plan) = (server.target.clone(), everything());
    let run = posthaste_runner::run(&target, &plan, options, events.observer());
    let others = async {
        for (batches, how) in [(3, Shutdown::Kill), (8, Shutdown::Fast)] {
            let is_there =
                |event: &Event| matches!(event, Event::Progress(progress) if progress.batches >= batches);
            events.wait_for(is_there).await;
            server.stop(how).await;
            events.wait_for(|event| matches!(event, Event::ConnectionLost { .. })).await;
            server.restart().await;
        }
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").state, RunState::Done);
    let session = pool.get().await.expect("a session");
    let row =
        session.query_one("select count(*) from t where n = 1 and copy = name", &[]).await.expect("a count");
    assert_eq!(row.get::<_, i64>(0), ROWS);
    drop(session);
    pool.close();
    server.remove().await;
}

#[tokio::test]
async fn sessions_that_are_ended_by_others_are_made_again() {
    let ground = Ground::with(TABLES).await;
    let events = Events::default();
    let mut options = options();
    options.pace.rows_max = 20;
    let plan = everything();
    let run = posthaste_runner::run(ground.target(), &plan, options, events.observer());
    let others = async {
        for (batches, name) in [(2, "posthaste run"), (5, "posthaste run (keeper)")] {
            let is_there =
                |event: &Event| matches!(event, Event::Progress(progress) if progress.batches >= batches);
            events.wait_for(is_there).await;
            let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                       where datname = current_database() and application_name = $1";
            let session = ground.session().await;
            let row = session.query_one(end, &[&name]).await.expect("an ended session");
            assert_eq!(row.get::<_, i64>(0), 1, "{name}");
        }
    };
    let (run, ()) = tokio::join!(run, others);
    assert_eq!(run.expect("a run").state, RunState::Done);
    // The session that works is missed at once; the other one when it is asked again, which may be never.
    let lost = events.all().iter().filter(|event| matches!(event, Event::Reconnected)).count();
    assert!((1..=2).contains(&lost), "{lost}");
    check_done(&ground, "the end").await;
}
