//! A visit to a database that is not ours waits for nothing longer than it may, and says why it ended.

use posthaste_base::Code;
use posthaste_pg::{Error, Target, Visit, VisitOptions};
use posthaste_testkit::db::{self, TestDb};
use posthaste_testkit::proxy::{Fault, Proxy, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn quick() -> VisitOptions {
    VisitOptions {
        lock_timeout_ms: 50,
        statement_timeout_ms: 200,
        connect_timeout_ms: 1_000,
        grace_ms: 100,
        ..VisitOptions::named("posthaste test")
    }
}

async fn check_refused(text: &str, code: Code, reason: &str) {
    let target = Target::parse(text).expect(text);
    let error = Visit::connect(&target, quick()).await.expect_err(text);
    let user = posthaste_base::Error::from(error);
    assert_eq!(user.code(), code, "{text}: {user}");
    assert!(user.message().contains(reason), "{text}: {user}");
}

async fn setting(visit: &Visit, name: &str) -> String {
    visit.query_one("select current_setting($1)", &[&name]).await.expect(name).get(0)
}

#[tokio::test]
async fn a_visit_has_its_limits_on_every_version() {
    for version in db::versions() {
        let test = TestDb::empty_on(&version).await;
        let visit = Visit::connect(&test.target, quick().read_only()).await.expect("a visit");
        assert_eq!(visit.major(), version.major);
        assert!(!visit.is_replica());
        for (name, value) in [
            ("lock_timeout", "50ms"),
            ("statement_timeout", "200ms"),
            ("idle_in_transaction_session_timeout", "30s"),
            ("application_name", "posthaste test"),
            ("default_transaction_read_only", "on"),
            ("jit", "off"),
        ] {
            assert_eq!(setting(&visit, name).await, value, "{name} on {}", version.major);
        }
        let error = visit.batch_execute("create table t ()").await.expect_err("it may only read");
        assert!(matches!(error, Error::ReadOnly { .. }), "{error:?}");
        visit.close().await;
    }
}

#[tokio::test]
async fn a_statement_ends_at_its_limits_and_the_visit_goes_on() {
    let test = TestDb::empty().await;
    let other = test.pool.get().await.expect("a connection");
    other.batch_execute("create table t ()").await.expect("a table");
    other.batch_execute("begin; lock t").await.expect("a lock");
    let visit = Visit::connect(&test.target, quick()).await.expect("a visit");
    let error = visit.query("select from t", &[]).await.expect_err("it is locked");
    assert!(matches!(error, Error::LockNotAvailable { .. }), "{error:?}");
    let error = visit.query("select pg_sleep(60)", &[]).await.expect_err("it takes too long");
    assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
    assert_eq!(posthaste_base::Error::from(error).code(), Code::Timeout);
    visit.set_timeouts(70, 0).await.expect("other limits");
    assert_eq!(setting(&visit, "lock_timeout").await, "70ms");
    assert_eq!(setting(&visit, "statement_timeout").await, "0");
    let pid: i32 = visit.query_one("select pg_backend_pid()", &[]).await.expect("an answer").get(0);
    assert_eq!(pid, visit.backend_pid());
}

#[tokio::test]
async fn a_statement_is_cancelled_from_elsewhere() {
    let test = TestDb::empty().await;
    let visit = Visit::connect(&test.target, VisitOptions::default()).await.expect("a visit");
    let canceller = visit.canceller();
    let sleep = visit.batch_execute("select pg_sleep(60)");
    let cancel = async {
        let probe = test.pool.get().await.expect("a connection");
        let active = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
        while probe.query_opt(active, &[&visit.backend_pid()]).await.expect("an answer").is_none() {
            tokio::task::yield_now().await;
        }
        canceller.cancel().await;
    };
    let (error, ()) = tokio::join!(sleep, cancel);
    assert!(matches!(error, Err(Error::Cancelled { .. })), "{error:?}");
    assert!(!visit.is_closed());
}

/// The server lost its timeout, as behind a pooler that gives each transaction another session: what is here holds.
#[tokio::test]
async fn a_statement_that_the_server_does_not_end_is_cancelled_here() {
    let test = TestDb::empty().await;
    let visit = Visit::connect(&test.target, quick()).await.expect("a visit");
    visit.batch_execute("set statement_timeout = 0").await.expect("no limit");
    let error = visit.query("select pg_sleep(60)", &[]).await.expect_err("it takes too long");
    assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
    assert_eq!(setting(&visit, "application_name").await, "posthaste test");
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let test = TestDb::empty().await;
    let proxy = Proxy::start(Upstream::of_server(&test.target)).await;
    let text = format!("postgresql://postgres@{}/{}", proxy.address(), test.target.database());
    let target = Target::parse(&text).expect("an address");
    let visit = Visit::connect(&target, quick()).await.expect("a visit");
    proxy.set(Fault::BlackHole);
    for _ in 0..2 {
        let error = visit.query("select 1", &[]).await.expect_err("nobody answers");
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
        assert!(visit.is_closed());
    }
    check_refused(&text, Code::DatabaseUnreachable, "no answer within 1 s").await;
}

#[tokio::test]
async fn what_keeps_a_visit_out_is_named() {
    let test = TestDb::empty().await;
    let (folder, port) = test.target.socket().expect("a Unix socket");
    let host = format!("host={} port={port}", folder.display());
    check_refused("postgresql://u@127.0.0.1:1/x", Code::DatabaseUnreachable, "refused").await;
    let nowhere = format!("{host} user=postgres dbname=nowhere");
    check_refused(&nowhere, Code::DatabaseRefused, "database \"nowhere\" does not exist").await;
    let nobody = format!("{host} user=nobody_known dbname=postgres");
    check_refused(&nobody, Code::DatabaseRefused, "nobody_known").await;
    let starting = server_that_says("57P03", "the database system is starting up").await;
    check_refused(&starting, Code::DatabaseUnreachable, "starting up").await;
    let wrong = server_that_says("28P01", "password authentication failed for user \"u\"").await;
    check_refused(&wrong, Code::DatabaseRefused, "password authentication failed").await;
}

/// The address of something that ends every connection with that error.
async fn server_that_says(sqlstate: &'static str, message: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut startup = [0; 1024];
            let _ = socket.read(&mut startup).await;
            let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0");
            let mut answer = vec![b'E'];
            answer.extend(u32::try_from(fields.len() + 4).expect("short").to_be_bytes());
            answer.extend(fields.as_bytes());
            let _ = socket.write_all(&answer).await;
        }
    });
    format!("postgresql://u@{address}/x?sslmode=disable")
}
