//! Plans are carried out while clients write, and walked back: no client fails, and no row is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use posthaste_base::catalog::Catalog;
use posthaste_change::plan::{Migration, plan};
use posthaste_change::scratch::run_script;
use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_pg::{Visit, VisitOptions};
use posthaste_report::{Plan, RunState};
use posthaste_review::difference::difference;
use posthaste_runner::{LockBudget, PaceLimits, RunOptions};
use posthaste_testkit::db::{TestDb, Version, versions};

const SHOP: &str = "
    create table account (id serial primary key, name text not null);
    create index account_name_idx on account (name);
    create table payment (
        id int generated always as identity primary key,
        account_id int not null references account (id) on delete cascade,
        amount int not null
    );
    insert into account (name) select 'a' || i from generate_series(1, 1000) as i;
    insert into payment (account_id, amount) select i, i from generate_series(1, 1000) as i;
    analyze;
";

/// What a client does all the time. It knows the old names and types.
const WRITES: &str = "
    with made as (insert into account (name) values ('w') returning id)
        insert into payment (account_id, amount) select id, 1 from made;
    update account set name = name || 'x' where id = (select max(id) from account);
    delete from account where id = (select max(id) - 5 from account where name like 'w%')";

async fn catalog(db: &TestDb) -> Catalog {
    let visit = Visit::connect(&db.target, VisitOptions::named("test")).await.expect("a visit");
    let mut catalog = read(&visit, &CatalogOptions::default()).await.expect("the catalog");
    visit.close().await;
    // The journal stays.
    catalog.schemas.retain(|schema| schema == "public");
    catalog.relations.retain(|relation| relation.name.schema == "public");
    catalog.functions.retain(|function| function.name.schema == "public");
    catalog.sequences.retain(|sequence| sequence.name.schema == "public");
    catalog
}

fn options(plan: &Plan, is_to_the_end: bool) -> RunOptions {
    let manual = plan.steps().filter(|step| matches!(step.action, posthaste_report::Action::Manual { .. }));
    let mut options = RunOptions {
        locks: LockBudget {
            timeout_first: Duration::from_millis(40),
            timeout_max: Duration::from_millis(200),
            pause_first: Duration::from_millis(5),
            pause_max: Duration::from_millis(20),
            total: Duration::from_secs(120),
            ..LockBudget::default()
        },
        pace: PaceLimits { batch: Duration::from_secs(2), rows_max: 200, ..PaceLimits::default() },
        look_every: Duration::from_millis(10),
        ..RunOptions::default()
    };
    options.approvals =
        if is_to_the_end { manual.map(|step| step.id.clone()).collect() } else { Default::default() };
    options
}

/// Every account's name and payments, by number.
async fn content(db: &TestDb) -> Vec<String> {
    let sql = "select coalesce(string_agg(account.name || ' ' || coalesce(payment.amount::text, '-'), ',' \
               order by account.id, payment.id), ''), count(*)::text from account left join payment on account_id = \
               account.id";
    let row = db.pool.get().await.expect("a session").query_one(sql, &[]).await.expect("the rows");
    vec![row.get(0), row.get(1)]
}

/// Writes until it is told to stop; answers what failed.
fn write_all_the_time(db: &TestDb, is_over: Arc<AtomicBool>) -> tokio::task::JoinHandle<Result<u32, String>> {
    let pool = db.pool.clone();
    tokio::spawn(async move {
        let session = pool.get().await.map_err(|error| format!("{error:?}"))?;
        let mut count = 0;
        while !is_over.load(Ordering::SeqCst) {
            session.batch_execute(WRITES).await.map_err(|error| format!("{error:?}"))?;
            count += 1;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Ok(count)
    })
}

/// Runs the plan until a person is asked, while a client writes, and takes it back: what is there then is what was
/// there before, with the rows of the client. Then it runs again, to its end.
async fn check(sql: &str, serves_old_clients: bool, at_the_end: &str) {
    for version in versions() {
        check_on(&version, sql, serves_old_clients, at_the_end).await;
    }
}

async fn check_on(version: &Version, sql: &str, serves_old_clients: bool, at_the_end: &str) {
    let db = TestDb::empty_on(version).await;
    run_script(&db.target, SHOP).await.expect("the shop");
    let before = catalog(&db).await;
    let migration = Migration::parse("migration.sql", sql.as_bytes()).expect("valid SQL");
    let mut planned = plan(&migration, &before, "migration", 15);
    assert_eq!(planned.refusals, []);
    planned.plan.gates.clear();
    let plan = &planned.plan;

    let is_over = Arc::new(AtomicBool::new(false));
    let writer = write_all_the_time(&db, is_over.clone());
    let asked = posthaste_runner::run(&db.target, plan, options(plan, false), |_| ()).await;
    let asked = asked.expect_err("a person is asked before the contraction");
    assert!(asked.to_string().contains("contract-1"), "{asked}: {:?}", asked.cause());
    // What is written from now on only the trigger of the way back has seen.
    tokio::time::sleep(Duration::from_millis(100)).await;
    is_over.store(true, Ordering::SeqCst);
    let writes = writer.await.expect("the client").expect("no statement of a client fails");
    assert!(writes > 0);
    let rows = content(&db).await;
    let run = posthaste_runner::abort(&db.target, 1, options(plan, false), |_| ()).await;
    let run = run.unwrap_or_else(|error| panic!("{error}: {:?}", error.cause()));
    assert_eq!(run.state, RunState::Aborted);
    assert_eq!(content(&db).await, rows, "{sql}");
    assert_eq!(difference(&before, &catalog(&db).await), [], "{sql}");

    let is_over = Arc::new(AtomicBool::new(!serves_old_clients));
    let writer = write_all_the_time(&db, is_over.clone());
    let run = posthaste_runner::run(&db.target, plan, options(plan, true), |_| ()).await;
    let run = run.unwrap_or_else(|error| panic!("{error}: {:?}", error.cause()));
    assert_eq!(run.state, RunState::Done);
    is_over.store(true, Ordering::SeqCst);
    writer.await.expect("the client").expect("no statement of a client fails");
    let session = db.pool.get().await.expect("a session");
    session.batch_execute(at_the_end).await.unwrap_or_else(|error| panic!("{at_the_end}: {error:?}"));
}

#[tokio::test]
async fn a_key_and_what_refers_to_it_grow_while_clients_write() {
    check(
        "alter table account alter id type bigint; alter table payment alter account_id type bigint",
        true,
        "insert into account (id, name) values (3000000000, 'large'); \
         insert into payment (account_id, amount) values (3000000000, 1)",
    )
    .await;
}

#[tokio::test]
async fn an_identity_grows_and_a_column_is_numbered_while_clients_write() {
    check(
        "alter table payment alter id type bigint; alter table account add column number bigint generated always as identity",
        true,
        "insert into payment (id, account_id, amount) overriding system value values (3000000000, 1, 1); \
         do $$ begin assert (select count(distinct number) = count(*) from account); end $$",
    )
    .await;
}

#[tokio::test]
async fn both_names_of_a_column_serve_until_the_end() {
    check("alter table account rename name to title", false, "select title from account").await;
}
