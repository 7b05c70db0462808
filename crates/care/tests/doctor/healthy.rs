//! A healthy database of the same shape: nothing is called bad, and every check says a sentence that is true.

use posthaste_care::doctor::{Options, Thresholds, checks};
use posthaste_report::Severity;

use super::{connect, database, diagnosed, run, server, shown};

#[tokio::test]
async fn nothing_is_said_against_a_healthy_database() {
    let server = server().await;
    let target = database(&server, "healthy", include_str!("healthy.sql")).await;
    let session = connect(&target).await;
    run(&session, "vacuum analyze").await;
    // What is used is used.
    for statement in [
        "select nr from \"Sales\".\"Order\" where customer_id = gen_random_uuid()",
        "select id from fleet.position where vehicle_id = 5 order by seen_at desc limit 3",
        "select name from fleet.driver where id = 7",
    ] {
        run(&session, statement).await;
        run(&session, statement).await;
    }
    drop(session);
    // How quick a busy machine is says nothing about its database.
    let thresholds = Thresholds { slow_mean_ms: 60_000.0, ..Thresholds::default() };
    let diagnosis = diagnosed(&target, &Options { thresholds, ..Options::default() }).await;
    let bad: Vec<String> = diagnosis
        .report
        .findings
        .iter()
        .filter(|finding| finding.severity.is_at_least(Severity::Medium))
        .map(shown)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let silent: Vec<&str> = checks()
        .iter()
        .map(|check| check.code)
        .filter(|code| !diagnosis.lines.iter().any(|(said, _)| said == code))
        .collect();
    assert!(silent.is_empty(), "{silent:?} {:#?}", diagnosis.report.skipped);
    server.remove().await;
}

#[tokio::test]
async fn an_empty_database_is_no_reason_for_an_error() {
    let db = posthaste_testkit::db::TestDb::empty().await;
    let diagnosis = diagnosed(&db.target, &Options::default()).await;
    let failed: Vec<_> = diagnosis
        .report
        .skipped
        .iter()
        .filter(|one| one.why.contains("SQLSTATE") || one.why.contains("form"))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(diagnosis.lines.len() > 30, "{:#?}", diagnosis.report.skipped);
}
