//! Faults by the thousand are mended in batches: killed anywhere there is no half batch, and it goes on, or back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use posthaste_care::fix;
use posthaste_report::{Plan, RunState};
use posthaste_runner::{PaceLimits, RunOptions};
use posthaste_testkit::db::TestDb;

use super::carry_out::{check, plan, rows, run, value};

const BROKEN: &str = "
create table owners (id int primary key, email text);
insert into owners select i, 'o' || i || '@example.com' from generate_series(1, 900) as i;
create table dogs (id int primary key, owner_id int, price numeric(8, 2));
insert into dogs select i, 1 + i % 900, i from generate_series(1, 3000) as i;
create table treats (dog_id int, no int, quantity int, primary key (dog_id, no));
insert into treats select 1 + i % 3000, i, i % 4 from generate_series(1, 3000) as i;
create table letters (owner_id int, text text);
insert into letters select 1 + i % 900, 'l' || i from generate_series(1, 2000) as i;
insert into letters select 5000 + i % 3, 'lost ' || i % 30 from generate_series(1, 60) as i;
update dogs set owner_id = 7000 + id where id % 30 = 0;
update dogs set price = -price where id % 25 = 3;
update treats set dog_id = 9000 where no % 40 = 1";

const POLICIES: &[&str] = &[
    "orphans=set-null",
    "orphans@public.treats=quarantine",
    "orphans@public.letters=delete",
    "negatives=clamp",
];
const TABLES: [&str; 4] = ["owners", "dogs", "treats", "letters"];

async fn broken() -> (TestDb, Plan) {
    let db = TestDb::empty().await;
    run(&db, BROKEN).await;
    let plan = plan(&db, POLICIES).await;
    (db, plan)
}

async fn all(db: &TestDb) -> Vec<String> {
    let mut all = Vec::new();
    for table in TABLES {
        all.push(rows(db, table).await);
    }
    all
}

fn small() -> RunOptions {
    RunOptions { pace: PaceLimits { rows_max: 9, ..PaceLimits::default() }, ..RunOptions::default() }
}

/// Dies at the point of that number; false when all was done before it came there.
async fn dies_at(db: &TestDb, plan: &Plan, point: u32) -> bool {
    let count = AtomicU32::new(0);
    let fault = Arc::new(move |_: &str| count.fetch_add(1, Ordering::Relaxed) == point);
    posthaste_runner::run(&db.target, plan, RunOptions { fault: Some(fault), ..small() }, |_| ())
        .await
        .is_err()
}

async fn run_id(db: &TestDb) -> i64 {
    posthaste_runner::list(&db.target, 1).await.expect("the runs")[0].id
}

/// As many rows differ from what they were as are kept: none was changed and not kept, or kept and not changed.
async fn no_half_batch(db: &TestDb, before: &[String]) {
    let mut changed = 0;
    for (then, now) in before.iter().zip(all(db).await) {
        let mut now: Vec<&str> = now.lines().collect();
        for line in then.lines() {
            match now.iter().position(|other| *other == line) {
                Some(at) => drop(now.swap_remove(at)),
                None => changed += 1,
            }
        }
    }
    let kept: i64 =
        value(db, "select count(*) from posthaste_undo.kept_row where taken_back_at is null").await;
    assert_eq!(i64::from(changed), kept);
}

#[tokio::test]
async fn a_large_fix_goes_in_batches_and_comes_back_to_the_byte() {
    let (db, plan) = broken().await;
    let before = all(&db).await;
    let done = posthaste_runner::run(&db.target, &plan, small(), |_| ()).await.expect("the run");
    let batches: Vec<i64> =
        done.steps.iter().filter(|step| step.action == "batches").map(|step| step.batches).collect();
    assert!(batches.len() == 4 && batches.iter().all(|batches| *batches >= 7), "{batches:?}");
    assert!(check(&db).await.faults.is_empty());
    no_half_batch(&db, &before).await;
    assert_eq!(value::<i64>(&db, "select count(*) from pg_class where relname like 'found%'").await, 0);
    fix::take_back(&db.target, "mend-1", |_| ()).await.expect("to take it back");
    assert_eq!(all(&db).await, before);
    assert_eq!(value::<i64>(&db, "select count(*) from posthaste_quarantine.\"public.treats\"").await, 0);
}

#[tokio::test]
async fn stopped_half_way_it_comes_back_to_the_byte_or_goes_on() {
    for (point, ends) in [(26, "undo"), (52, "undo"), (70, "abort"), (95, "resume")] {
        let (db, plan) = broken().await;
        let before = all(&db).await;
        assert!(dies_at(&db, &plan, point).await, "nothing is left to do at {point}");
        let id = run_id(&db).await;
        no_half_batch(&db, &before).await;
        match ends {
            "resume" => {
                let run = posthaste_runner::resume(&db.target, id, small(), |_| ()).await;
                assert_eq!(run.unwrap_or_else(|error| panic!("at {point}: {error:?}")).state, RunState::Done);
                assert!(check(&db).await.faults.is_empty(), "killed at {point}");
                fix::take_back(&db.target, "mend-1", |_| ()).await.expect("to take it back");
            }
            "undo" => {
                fix::take_back(&db.target, "mend-1", |_| ()).await.expect("to take it back");
                assert_eq!(all(&db).await, before, "killed at {point}");
                let run = posthaste_runner::abort(&db.target, id, small(), |_| ()).await;
                assert_eq!(
                    run.unwrap_or_else(|error| panic!("at {point}: {error:?}")).state,
                    RunState::Aborted
                );
            }
            _ => {
                let run = posthaste_runner::abort(&db.target, id, small(), |_| ()).await;
                assert_eq!(
                    run.unwrap_or_else(|error| panic!("at {point}: {error:?}")).state,
                    RunState::Aborted
                );
            }
        }
        assert_eq!(all(&db).await, before, "killed at {point}, then {ends}");
    }
}

#[tokio::test]
async fn rows_that_are_right_again_when_their_batch_comes_are_left_alone() {
    let (db, plan) = broken().await;
    // Everything was found; then the application mends some rows itself, and changes others.
    let find = plan.steps().filter(|step| step.id.starts_with("find-")).count();
    let seen = Arc::new(AtomicU32::new(0));
    let counter = seen.clone();
    let fault = Arc::new(move |point: &str| {
        point == "batch-before-commit" && counter.fetch_add(1, Ordering::Relaxed) == 0
    });
    let killed = RunOptions { fault: Some(fault), ..small() };
    posthaste_runner::run(&db.target, &plan, killed, |_| ()).await.expect_err("to be killed");
    assert_eq!((find, seen.load(Ordering::Relaxed)), (4, 1));
    run(&db, "update dogs set price = 5, owner_id = 1 where price < 0 or owner_id > 7000").await;
    posthaste_runner::resume(&db.target, run_id(&db).await, small(), |_| ()).await.expect("to go on");
    assert_eq!(value::<i64>(&db, "select count(*) from dogs where owner_id is null or price = 0").await, 0);
    let kept: i64 =
        value(&db, "select count(*) from posthaste_undo.kept_row where relation = 'public.dogs'").await;
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_finished_fix_goes_back_with_all_that_it_added_and_says_what_it_measured() {
    let db = TestDb::empty().await;
    run(&db, BROKEN).await;
    let before = all(&db).await;
    let plan = plan(&db, &["orphans=set-null", "negatives=clamp", "constraints=add"]).await;
    let done = posthaste_runner::run(&db.target, &plan, small(), |_| ()).await.expect("the run");
    let constraints = "select count(*) from pg_constraint where contype in ('f', 'c') and connamespace = 'public'::regnamespace";
    assert!(value::<i64>(&db, constraints).await >= 2);
    let measured = fix::measured(&db.target, "mend-1").await.expect("what was measured");
    let wrong: Vec<(Option<f64>, Option<f64>)> =
        measured.iter().filter(|one| one.what == "rows-wrong").map(|one| (one.before, one.after)).collect();
    assert_eq!(wrong.len(), 2, "{measured:?}");
    assert!(
        wrong.iter().all(|(then, now)| then.is_some_and(|rows| rows > 0.0) && *now == Some(0.0)),
        "{wrong:?}"
    );
    assert!(
        measured.iter().any(|one| one.what == "table-bytes" && one.before.is_some() && one.after.is_some())
    );

    let back = posthaste_runner::undo(&db.target, done.id, small(), |_| ()).await.expect("the way back");
    assert_eq!(back.state, RunState::Aborted);
    assert_eq!(all(&db).await, before);
    assert_eq!(value::<i64>(&db, constraints).await, 0);
    assert_eq!(value::<i64>(&db, "select count(*) from pg_class where relname like 'found%'").await, 0);
}
