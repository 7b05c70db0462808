//! Databases and the proxy do what tests rely on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use posthaste_pg::Error;
use posthaste_testkit::db::{self, DurableServer, TestDb};

async fn count(test: &TestDb, statement: &str) -> i64 {
    let connection = test.pool.get().await.expect("a connection");
    connection.query_one(statement, &[]).await.expect(statement).get(0)
}

#[tokio::test]
async fn every_test_has_an_empty_database_of_its_own() {
    let (one, other) = tokio::join!(TestDb::empty(), TestDb::empty());
    assert_ne!(one.target.database(), other.target.database());
    let statement = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(count(&one, statement).await, 0);
    let by_url = posthaste_pg::Target::parse(&one.url).expect("a url");
    posthaste_pg::Pool::connect(by_url, 1).await.expect("the url leads to the database");
}

#[tokio::test]
async fn a_template_is_built_once_and_copied() {
    static BUILT: AtomicU32 = AtomicU32::new(0);
    let hash = format!("{}", std::process::id());
    let make = async || {
        TestDb::with_template("kit", &hash, |pool| async move {
            BUILT.fetch_add(1, Ordering::SeqCst);
            let connection = pool.get().await?;
            connection.batch_execute("create table t (n int); insert into t values (1), (2)").await?;
            Ok::<_, Error>(())
        })
        .await
    };
    let (one, other) = tokio::join!(make(), make());
    assert_eq!(BUILT.load(Ordering::SeqCst), 1);
    let connection = one.pool.get().await.expect("a connection");
    connection.batch_execute("delete from t").await.expect("to delete");
    assert_eq!(count(&one, "select count(*) from t").await, 0);
    assert_eq!(count(&other, "select count(*) from t").await, 2);
}

#[tokio::test]
async fn the_shared_cluster_forgets_and_a_durable_server_does_not() {
    let setting = "select count(*) from pg_settings where name = 'fsync' and setting = 'off'";
    assert_eq!(count(&TestDb::empty().await, setting).await, 1);
    let mut server = DurableServer::start().await;
    let pool = server.pool(2).await;
    let connection = pool.get().await.expect("a connection");
    let settings = "select current_setting('fsync') || current_setting('data_checksums')";
    assert_eq!(connection.query_one(settings, &[]).await.expect("settings").get::<_, String>(0), "onon");
    connection.batch_execute("create table t (n int); insert into t values (1)").await.expect("to write");
    drop(connection);
    server.kill().await;
    // A connection that is kept finds out when it reads that the other end is gone.
    let is_gone = async || {
        while pool.get().await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_gone()).await.expect("nobody answers");
    server.restart().await;
    let connection = pool.get().await.expect("a new connection");
    let kept: i64 = connection.query_one("select count(*) from t", &[]).await.expect("the table").get(0);
    assert_eq!(kept, 1);
    server.remove().await;
}

#[tokio::test]
async fn every_version_here_gives_databases() {
    for version in db::versions() {
        let test = TestDb::empty_on(&version).await;
        let server = test.pool.server_version().await.expect("a version");
        assert_eq!(server / 10_000, version.major);
    }
}
