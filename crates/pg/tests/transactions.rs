//! Transactions run again when the server asks for it, and only then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use posthaste_pg::{
    Error, Isolation, Pool, PoolOptions, Target, Transaction, TransactionOptions, Tx, transaction,
    transaction_with,
};
use posthaste_testkit::db::{DurableServer, TestDb};
use posthaste_testkit::proxy::{Fault, Proxy, Upstream};
use tokio::sync::Barrier;

async fn accounts() -> TestDb {
    let test = TestDb::empty().await;
    run(&test.pool, "create table account (id int primary key, balance int not null)").await;
    run(&test.pool, "insert into account values (1, 0), (2, 0)").await;
    test
}

async fn run(pool: &Pool, statement: &str) {
    pool.get().await.expect("a connection").batch_execute(statement).await.expect(statement);
}

async fn balances(pool: &Pool) -> Vec<i32> {
    let rows =
        pool.get().await.expect("a connection").query("select balance from account order by id", &[]).await;
    rows.expect("balances").iter().map(|row| row.get(0)).collect()
}

async fn add_one(tx: &Tx, id: i32) -> Result<(), Error> {
    tx.execute("update account set balance = balance + 1 where id = $1", &[&id]).await?;
    Ok(())
}

#[tokio::test]
async fn a_deadlock_is_run_again() {
    let test = accounts().await;
    let runs = AtomicU32::new(0);
    let both_hold_one = Barrier::new(2);
    let change = async |first: i32, second: i32| {
        let is_first_run = AtomicU32::new(1);
        let (is_first_run, runs, barrier) = (&is_first_run, &runs, &both_hold_one);
        transaction(&test.pool, |tx| async move {
            runs.fetch_add(1, Ordering::SeqCst);
            add_one(&tx, first).await?;
            if is_first_run.swap(0, Ordering::SeqCst) == 1 {
                barrier.wait().await;
            }
            add_one(&tx, second).await
        })
        .await
    };
    let (one, other) = tokio::join!(change(1, 2), change(2, 1));
    one.expect("the first");
    other.expect("the second");
    assert_eq!(balances(&test.pool).await, [2, 2]);
    assert_eq!(runs.load(Ordering::SeqCst), 3, "one of the two ran twice");
}

#[tokio::test]
async fn a_serialisation_failure_is_run_again() {
    let test = accounts().await;
    let options = TransactionOptions { isolation: Isolation::Serializable, ..Default::default() };
    let both_have_read = Barrier::new(2);
    let runs = AtomicU32::new(0);
    let change = async |id: i32| {
        let is_first_run = AtomicU32::new(1);
        let (is_first_run, runs, barrier) = (&is_first_run, &runs, &both_have_read);
        transaction_with(&test.pool, options, |tx| async move {
            runs.fetch_add(1, Ordering::SeqCst);
            let sum: i64 = tx.query_one("select sum(balance) from account", &[]).await?.get(0);
            if is_first_run.swap(0, Ordering::SeqCst) == 1 {
                barrier.wait().await;
            }
            let sum = i32::try_from(sum).expect("a small sum");
            tx.execute("update account set balance = $1 where id = $2", &[&(sum + 1), &id]).await?;
            Ok::<_, Error>(())
        })
        .await
    };
    let (one, other) = tokio::join!(change(1), change(2));
    one.expect("the first");
    other.expect("the second");
    assert!(runs.load(Ordering::SeqCst) >= 3);
    let mut result = balances(&test.pool).await;
    result.sort_unstable();
    assert_eq!(result, [1, 2], "as if one had run after the other");
}

#[tokio::test]
async fn a_lock_timeout_is_run_again_until_the_tries_are_used_up() {
    let test = accounts().await;
    let holder = Transaction::begin(&test.pool, TransactionOptions::default()).await.expect("to begin");
    holder.execute("update account set balance = 5 where id = 1", &[]).await.expect("to lock");
    let runs = AtomicU32::new(0);
    let runs = &runs;
    let options = TransactionOptions { attempts_max: 3, ..Default::default() };
    let result = transaction_with(&test.pool, options, |tx| async move {
        runs.fetch_add(1, Ordering::SeqCst);
        tx.batch_execute("set local lock_timeout = '20ms'").await?;
        add_one(&tx, 1).await
    })
    .await;
    assert!(matches!(result, Err(Error::LockNotAvailable { .. })), "{result:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    holder.commit().await.expect("to commit");
    assert_eq!(balances(&test.pool).await[0], 5);
}

#[tokio::test]
async fn an_error_of_the_body_rolls_back_and_is_not_run_again() {
    let test = accounts().await;
    let runs = AtomicU32::new(0);
    let runs = &runs;
    let result = transaction(&test.pool, |tx| async move {
        runs.fetch_add(1, Ordering::SeqCst);
        add_one(&tx, 1).await?;
        tx.execute("insert into account values (1, 1)", &[]).await?;
        Ok::<_, Error>(())
    })
    .await;
    let error = result.expect_err("the key is there already");
    assert_eq!(error.sqlstate(), Some("23505"));
    assert!(matches!(&error, Error::UniqueViolation { constraint, .. } if constraint == "account_pkey"));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(balances(&test.pool).await, [0, 0]);
}

#[tokio::test]
async fn an_error_that_the_body_swallows_is_not_taken_for_a_commit() {
    let test = accounts().await;
    let result = transaction(&test.pool, |tx| async move {
        add_one(&tx, 1).await?;
        let _ = tx.execute("insert into account values (1, 1)", &[]).await;
        Ok::<_, Error>(())
    })
    .await;
    assert_eq!(result.expect_err("nothing was committed").sqlstate(), Some("25P02"));
    assert_eq!(balances(&test.pool).await, [0, 0]);
    run(&test.pool, "select 1").await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_half_way_is_rolled_back_and_its_connection_not_lent_again() {
    let test = accounts().await;
    let pool = test.pool_with(PoolOptions::of_size(1));
    let (reached, wait) = tokio::sync::oneshot::channel();
    let reached = Arc::new(std::sync::Mutex::new(Some(reached)));
    let running = transaction(&pool, |tx| {
        let reached = reached.clone();
        async move {
            add_one(&tx, 1).await?;
            let signal = reached.lock().expect("no panic").take().expect("one run");
            signal.send(()).expect("somebody waits");
            std::future::pending::<Result<(), Error>>().await
        }
    });
    tokio::select! {
        _ = running => panic!("it never ends"),
        _ = wait => {}
    }
    // The row's lock is free as soon as the server has seen the connection close.
    transaction(&pool, |tx| async move { add_one(&tx, 1).await }).await.expect("the row is free");
    assert_eq!(balances(&test.pool).await, [1, 0]);
}

#[tokio::test]
async fn a_connection_that_is_lost_before_commit_is_run_again() {
    let test = accounts().await;
    let is_first_run = AtomicU32::new(1);
    let (is_first_run, pool) = (&is_first_run, &test.pool);
    transaction(&test.pool, |tx| async move {
        if is_first_run.swap(0, Ordering::SeqCst) == 1 {
            let pid: i32 = tx.query_one("select pg_backend_pid()", &[]).await?.get(0);
            let other = pool.get().await?;
            other.query_one("select pg_terminate_backend($1, 5000)", &[&pid]).await?;
        }
        add_one(&tx, 1).await
    })
    .await
    .expect("the second run");
    assert_eq!(balances(&test.pool).await, [1, 0]);
}

#[tokio::test]
async fn a_connection_that_is_lost_during_commit_leaves_the_outcome_unknown() {
    let test = accounts().await;
    let proxy = Proxy::start(Upstream::of_server(&test.target)).await;
    let address = proxy.address();
    let database = test.target.database();
    // The proxy is on the loopback address, where the test cluster's own socket rules still apply.
    let text =
        format!("host=127.0.0.1 port={} user=postgres dbname={database} sslmode=disable", address.port());
    let pool = Pool::connect(Target::parse(&text).expect("an address"), 1).await.expect("through the proxy");
    let runs = AtomicU32::new(0);
    let (runs, proxy) = (&runs, &proxy);
    let result = transaction(&pool, |tx| async move {
        runs.fetch_add(1, Ordering::SeqCst);
        add_one(&tx, 1).await?;
        // The driver closes a statement that is dropped without waiting for the answer, which must not be the one that
        // is cut off. Answers come in order.
        tx.simple_query("select").await?;
        // COMMIT reaches the server; its answer is cut off.
        proxy.set(Fault::DropAfter { bytes: 1 });
        Ok::<_, Error>(())
    })
    .await;
    let error = result.expect_err("the answer did not come");
    assert!(matches!(error, Error::CommitUnknown { .. }), "{error:?}");
    assert!(!error.is_retryable());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(balances(&test.pool).await, [1, 0], "this time it had happened");
}

#[tokio::test]
async fn a_changed_table_does_not_break_prepared_statements_for_good() {
    let test = accounts().await;
    let pool = test.pool_with(PoolOptions::of_size(1));
    let read = async || {
        transaction(&pool, |tx| async move {
            let statement = tx.prepare_cached("select * from account where id = 1").await?;
            Ok::<_, Error>(tx.query_one(&statement, &[]).await?.len())
        })
        .await
    };
    assert_eq!(read().await.expect("two columns"), 2);
    run(&test.pool, "alter table account add column note text").await;
    assert_eq!(read().await.expect("three columns"), 3);
}

#[tokio::test]
async fn a_restart_of_the_server_is_no_error_for_a_transaction() {
    let mut server = DurableServer::start().await;
    let pool = server.pool(4).await;
    run(&pool, "create table account (id int primary key, balance int not null)").await;
    run(&pool, "insert into account values (1, 0)").await;
    let held: Vec<_> = futures::future::join_all((0..4).map(|_| pool.get())).await;
    assert!(held.iter().all(Result::is_ok));
    drop(held);
    server.kill().await;
    server.restart().await;
    for _ in 0..8 {
        transaction(&pool, |tx| async move { add_one(&tx, 1).await }).await.expect("a new connection");
    }
    assert_eq!(balances(&pool).await, [8]);
    server.remove().await;
}
