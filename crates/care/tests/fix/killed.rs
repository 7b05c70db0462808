//! A plan that is killed anywhere goes on to the same end, or back to the byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use posthaste_care::fix;
use posthaste_report::{Plan, RunState};
use posthaste_runner::RunOptions;
use posthaste_testkit::db::TestDb;

use super::carry_out::{check, plan, rows, run};

const BROKEN: &str = "
create table owners (id int primary key);
insert into owners select i from generate_series(1, 30) as i;
create table dogs (id int primary key, owner_id int, price numeric(8, 2));
insert into dogs select i, 1 + i % 30, i from generate_series(1, 60) as i;
create table treats (id int primary key, dog_id int, quantity int, price numeric(8, 2));
insert into treats select i, 1 + i % 60, 1 + i % 3, i from generate_series(1, 200) as i;
alter table dogs add column total numeric(8, 2);
update dogs set total = (select sum(quantity * price) from treats where dog_id = dogs.id);
update dogs set owner_id = 500 where id in (2, 50);
update dogs set price = -price where id in (7, 8);
update dogs set total = total + 1 where id in (9, 10, 11)";

const POLICIES: &[&str] = &["orphans=set-null", "negatives=clamp", "totals=recompute", "constraints=add"];

async fn broken() -> (TestDb, Plan) {
    let db = TestDb::empty().await;
    run(&db, BROKEN).await;
    let plan = plan(&db, POLICIES).await;
    (db, plan)
}

/// Dies at that point; false when the plan was done before it came there.
async fn dies_at(db: &TestDb, plan: &Plan, point: u32) -> bool {
    let count = AtomicU32::new(0);
    let fault = Arc::new(move |_: &str| count.fetch_add(1, Ordering::Relaxed) == point);
    let options = RunOptions { fault: Some(fault), ..RunOptions::default() };
    posthaste_runner::run(&db.target, plan, options, |_| ()).await.is_err()
}

async fn run_id(db: &TestDb) -> Option<i64> {
    Some(posthaste_runner::list(&db.target, 1).await.expect("the runs").first()?.id)
}

#[tokio::test]
async fn killed_anywhere_it_goes_on_to_the_same_end_and_back_to_the_byte() {
    for point in [4, 9, 18, 33] {
        let (db, plan) = broken().await;
        let before = rows(&db, "dogs").await;
        if !dies_at(&db, &plan, point).await {
            continue;
        }
        let Some(id) = run_id(&db).await else { continue };
        let resumed = posthaste_runner::resume(&db.target, id, RunOptions::default(), |_| ()).await;
        assert_eq!(resumed.unwrap_or_else(|error| panic!("at {point}: {error:?}")).state, RunState::Done);
        assert!(check(&db).await.faults.is_empty(), "killed at {point}");
        // What the plan has added would refuse the old rows: it goes first.
        run(
            &db,
            "alter table dogs drop constraint dogs_price_not_negative, drop constraint dogs_owner_id_fkey",
        )
        .await;
        fix::take_back(&db.target, "mend-1", |_| ())
            .await
            .unwrap_or_else(|error| panic!("at {point}: {error:?}"));
        assert_eq!(rows(&db, "dogs").await, before, "killed at {point}");
    }
}

#[tokio::test]
async fn killed_anywhere_it_can_be_given_up_with_nothing_left_of_it() {
    for point in [5, 12, 23] {
        let (db, plan) = broken().await;
        let before = rows(&db, "dogs").await;
        if !dies_at(&db, &plan, point).await {
            continue;
        }
        let Some(id) = run_id(&db).await else { continue };
        let aborted = posthaste_runner::abort(&db.target, id, RunOptions::default(), |_| ()).await;
        assert_eq!(aborted.unwrap_or_else(|error| panic!("at {point}: {error:?}")).state, RunState::Aborted);
        assert_eq!(rows(&db, "dogs").await, before, "killed at {point}");
    }
}
