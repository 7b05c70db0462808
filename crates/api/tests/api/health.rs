//! Health: ready is to accept events, and nothing less.

use std::time::{Duration, Instant};

use posthaste_testkit::db::TestDb;

use crate::server::{Answer, Server};

const ORDER: &str = r#"{"orderId": "a", "amount": 1}"#;

/// Probes until the answer is this one, as whatever watches a node does.
async fn probe(server: &Server, status: u16) -> Answer {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = server.get("/health").await;
        if answer.status == status || Instant::now() > until {
            assert_eq!(answer.status, status, "{}", answer.text());
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Changes a database from another one.
async fn alter(statement: &str) {
    let elsewhere = TestDb::empty().await;
    elsewhere.pool.get().await.unwrap().batch_execute(statement).await.unwrap();
}

#[tokio::test]
async fn without_its_database_a_node_is_alive_but_not_ready_and_comes_back_by_itself() {
    let server = Server::start().await;
    probe(&server, 200).await;
    let name = server.db.target.database();
    alter(&format!("alter database {name} with allow_connections false")).await;
    alter(&format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")).await;

    let problem = probe(&server, 503).await.json();
    assert!(problem["code"].as_str().unwrap().starts_with("database-"), "{problem:#}");
    assert!(!problem.to_string().contains(name), "anybody may probe: {problem:#}");
    assert_eq!(server.get("/health/live").await.expect(200)["status"], "live");
    let event = server.post("/events", ORDER).await;
    event.refused(503, "database-refused");
    assert!(event.header("retry-after").is_some());
    server.get("/queues/low").await.refused(503, "database-refused");

    alter(&format!("alter database {name} with allow_connections true")).await;
    assert_eq!(probe(&server, 200).await.expect(200)["status"], "ready");
    server.post("/events", ORDER).await.expect(202);
}

#[tokio::test]
async fn metrics_are_text() {
    let server = Server::start().await;
    server.post("/events", ORDER).await.expect(202);
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.text().contains("posthaste_http_requests"), "{}", metrics.text());
}
