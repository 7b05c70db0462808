//! The pool says what is wrong, waits no longer than it should, and never shows a password.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use posthaste_base::Code;
use posthaste_pg::{Error, Heard, Listener, Pool, PoolOptions, Target, transaction};
use posthaste_testkit::db::{DurableServer, TestDb};
use posthaste_testkit::proxy::{Fault, Proxy, Upstream};

const PASSWORD: &str = "correct-horse";

async fn connect(text: &str) -> Result<Pool, Error> {
    let options = PoolOptions { connect: Duration::from_millis(500), ..PoolOptions::of_size(1) };
    Pool::connect_with(Target::parse(text)?, options).await
}

async fn check_refused(text: &str, code: Code) {
    let error = connect(text).await.expect_err(text);
    let shown = format!("{error} {error:?}");
    let user = posthaste_base::Error::from(error);
    assert_eq!(user.code(), code, "{text}: {user} {shown}");
    let shown = format!("{shown} {user} {user:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_from_what_refuses() {
    let test = TestDb::empty().await;
    let (folder, port) = test.target.socket().expect("a Unix socket");
    let host = format!("host={} port={port} password={PASSWORD}", folder.display());
    let of = |rest: &str| format!("{host} {rest}");
    check_refused("postgresql://u:correct-horse@127.0.0.1:1/x", Code::DatabaseUnreachable).await;
    check_refused("host=/nowhere user=u password=correct-horse", Code::DatabaseUnreachable).await;
    check_refused("postgresql://u:correct-horse@nowhere.invalid/x", Code::DatabaseUnreachable).await;
    check_refused(&of("user=postgres dbname=nowhere"), Code::DatabaseRefused).await;
    check_refused(&of("user=nobody_known dbname=postgres"), Code::DatabaseRefused).await;
    check_refused("postgresql://u:correct-horse@h/x?sslmode=sometimes", Code::InvalidConfig).await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_unreachable_in_time() {
    let test = TestDb::empty().await;
    let proxy = Proxy::start(Upstream::of_server(&test.target)).await;
    let text = format!("postgresql://postgres:{PASSWORD}@{}/postgres", proxy.address());
    connect(&text).await.expect("the proxy lets it through");
    for fault in [Fault::BlackHole, Fault::Refuse, Fault::Reset] {
        proxy.set(fault);
        check_refused(&text, Code::DatabaseUnreachable).await;
    }
    assert!(proxy.accepted() >= 4);
}

#[tokio::test]
async fn a_pool_that_is_used_up_says_so_after_its_wait() {
    let test = TestDb::empty().await;
    let pool = test.pool_with(PoolOptions { wait: Duration::from_millis(30), ..PoolOptions::of_size(1) });
    let held = pool.get().await.expect("the only one");
    let error = pool.get().await.expect_err("all are in use");
    assert!(matches!(error, Error::Busy { size: 1, .. }), "{error:?}");
    assert_eq!(posthaste_base::Error::from(error).code(), Code::Unavailable);
    drop(held);
    pool.get().await.expect("free again");
}

#[tokio::test]
async fn a_silent_connection_is_replaced_before_it_is_lent() {
    let test = TestDb::empty().await;
    let proxy = Proxy::start(Upstream::of_server(&test.target)).await;
    let text = format!("postgresql://postgres@{}/postgres", proxy.address());
    let options = PoolOptions { idle_check: Duration::ZERO, ..PoolOptions::of_size(1) };
    let pool = Pool::connect_with(Target::parse(&text).expect("an address"), options).await.expect("a pool");
    // Whatever comes next through the open connection cuts it; the sign of life meets that, not the caller.
    proxy.set(Fault::DropAfter { bytes: 1 });
    let before = proxy.accepted();
    let cut = pool.get();
    let heal = async {
        while proxy.open() > 0 {
            tokio::task::yield_now().await;
        }
        proxy.set(Fault::Pass);
    };
    let (connection, ()) = tokio::join!(cut, heal);
    connection.expect("a new one").simple_query("select 1").await.expect("it works");
    assert_eq!(proxy.accepted(), before + 1);
}

/// A pool of one through a proxy that lets everything through, at first.
async fn behind_proxy(answer: Duration) -> (TestDb, Proxy, Pool) {
    let test = TestDb::empty().await;
    let proxy = Proxy::start(Upstream::of_server(&test.target)).await;
    let target = test.target.clone();
    let text = format!("postgresql://postgres@{}/{}", proxy.address(), target.database());
    let options = PoolOptions { answer: Some(answer), ..PoolOptions::of_size(1) };
    let pool = Pool::connect_with(Target::parse(&text).expect("an address"), options).await.expect("a pool");
    (test, proxy, pool)
}

#[tokio::test]
async fn a_server_that_takes_a_statement_and_never_answers_loses_the_connection() {
    let (_test, proxy, pool) = behind_proxy(Duration::from_millis(300)).await;
    let connection = pool.get().await.expect("a connection");
    proxy.set(Fault::BlackHole);
    let error = Error::from(connection.query_one("select 1", &[]).await.expect_err("no answer"));
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    // What comes late cannot be taken for the answer to another statement: there is no other on this one.
    proxy.set(Fault::Pass);
    let error = Error::from(connection.query_one("select 2", &[]).await.expect_err("it is closed"));
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    drop(connection);
    let before = proxy.accepted();
    pool.get().await.expect("another").query_one("select 3", &[]).await.expect("it works");
    assert_eq!(proxy.accepted(), before + 1);
}

#[tokio::test]
async fn a_transaction_that_is_not_answered_runs_again_and_a_commit_does_not() {
    let (test, proxy, pool) = behind_proxy(Duration::from_millis(300)).await;
    test.pool.get().await.expect("a connection").batch_execute("create table t (n int)").await.expect("t");
    let runs = AtomicU32::new(0);
    let (proxy, runs) = (&proxy, &runs);
    let insert = |silent_at_commit: bool| {
        transaction(&pool, move |tx| async move {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            proxy.set(if run == 0 { Fault::BlackHole } else { Fault::Pass });
            let inserted = tx.batch_execute("insert into t values (1)").await;
            proxy.set(if silent_at_commit { Fault::BlackHole } else { Fault::Pass });
            inserted.map_err(Error::from)
        })
    };
    insert(false).await.expect("the second run is answered");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let error = insert(true).await.expect_err("nobody knows");
    assert!(matches!(error, Error::CommitUnknown { .. }), "{error:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_connection_forgets_its_statements_before_it_is_lent_again() {
    let test = TestDb::empty().await;
    let pool = test.pool_with(PoolOptions::of_size(1));
    let changed = async |more: &str| {
        let session = pool.get().await.expect("a connection");
        session.batch_execute(more).await.expect(more);
        let statement = session.prepare_cached("select * from t").await.expect("a statement");
        session.query(&statement, &[]).await.map(|_| ()).map_err(Error::from)
    };
    changed("create table t (n int)").await.expect("a new table");
    let error = changed("alter table t add m int").await.expect_err("its plan is of the old one");
    assert!(matches!(error, Error::StaleStatement { .. }), "{error:?}");
    pool.forget_statements();
    changed("").await.expect("prepared anew");
}

#[tokio::test]
async fn errors_of_statements_keep_their_kind() {
    let test = TestDb::empty().await;
    let connection = test.pool.get().await.expect("a connection");
    let setup = "create table parent (id int primary key check (id > 0));
        create table child (id int references parent)";
    connection.batch_execute(setup).await.expect("the tables");
    let fail =
        async |statement: &str| Error::from(connection.batch_execute(statement).await.expect_err(statement));
    assert!(matches!(fail("select * from nowhere").await, Error::UndefinedTable { .. }));
    assert!(matches!(fail("insert into child values (1)").await, Error::ForeignKeyViolation { .. }));
    assert!(matches!(fail("insert into parent values (0)").await, Error::CheckViolation { .. }));
    assert!(matches!(fail("set statement_timeout = 10; select pg_sleep(5)").await, Error::Cancelled { .. }));
    let read_only = "begin read only; insert into parent values (1)";
    assert!(matches!(fail(read_only).await, Error::ReadOnly { .. }));
    connection.batch_execute("rollback; reset statement_timeout").await.expect("to reset");
    let full = "do $$ begin raise exception 'no space left on device' using errcode = '53100'; end $$";
    let error = fail(full).await;
    assert_eq!(error.sqlstate(), Some("53100"));
    assert_eq!(posthaste_base::Error::from(error).code(), Code::DatabaseFull);
    let error = fail("select 1 / 0").await;
    assert!(matches!(&error, Error::Statement { sqlstate, .. } if sqlstate == "22012"), "{error:?}");
}

#[tokio::test]
async fn a_listener_survives_the_death_of_the_server_and_says_so() {
    let mut server = DurableServer::start().await;
    let pool = server.pool(1).await;
    let mut listener = Listener::connect(&server.target, &["wake", "Odd \"name\""]).await.expect("to listen");
    let notify = async |statement: &str| {
        pool.get().await.expect("a connection").batch_execute(statement).await.expect(statement);
    };
    let heard = |channel: &str, payload: &str| Heard::Notification {
        channel: channel.to_owned(),
        payload: payload.to_owned(),
    };
    notify("notify wake, 'one'").await;
    assert_eq!(listener.next().await, heard("wake", "one"));
    notify("notify \"Odd \"\"name\"\"\"").await;
    assert_eq!(listener.next().await, heard("Odd \"name\"", ""));
    server.kill().await;
    server.restart().await;
    assert_eq!(listener.next().await, Heard::Reconnected);
    notify("notify wake, 'two'").await;
    assert_eq!(listener.next().await, heard("wake", "two"));
    assert_eq!(listener.try_next(), None);
    server.remove().await;
}
