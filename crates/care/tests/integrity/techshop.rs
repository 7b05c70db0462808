//! The worked example: a shop whose data went wrong in sixteen ways.

use posthaste_care::integrity::{Kind, Options};
use posthaste_testkit::db::TestDb;

use super::score::{check, run, score};

const SCHEMA: &str = include_str!("../../../../examples/techshop/schema.sql");
const DATA: &str = include_str!("../../../../examples/techshop/data.sql");
const FAULTS: &str = include_str!("../../../../examples/techshop/faults.sql");
const EXPECTED: &str = include_str!("../../../../examples/techshop/expected.toml");

pub(crate) async fn techshop() -> TestDb {
    let db = TestDb::empty().await;
    run(&db, SCHEMA).await;
    run(&db, &format!("set techshop.scale = '0.01'; {DATA}; reset techshop.scale; analyze;")).await;
    db
}

#[tokio::test]
async fn healthy_shop_has_nothing_to_find() {
    let db = techshop().await;
    let outcome = check(&db, &Options::default()).await;
    score(&outcome, "finding = []");
    assert_eq!(outcome.report.skipped, []);
}

#[tokio::test]
async fn every_fault_is_found_with_its_number_and_nothing_else() {
    let db = techshop().await;
    run(&db, FAULTS).await;
    let outcome = check(&db, &Options::default()).await;
    score(&outcome, EXPECTED);
    let emails =
        outcome.report.findings.iter().find(|finding| finding.code == "duplicates").expect("duplicates");
    let evidence: Vec<&str> = emails.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
    assert!(evidence.iter().any(|text| text.contains("`customers_email_key` is broken")), "{evidence:?}");
    assert!(evidence.iter().any(|text| text.contains("customer42@example.com (2 rows)")), "{evidence:?}");
}

#[tokio::test]
async fn statistics_are_not_needed() {
    let db = techshop().await;
    run(&db, FAULTS).await;
    run(&db, "delete from pg_statistic").await;
    score(&check(&db, &Options::default()).await, EXPECTED);
}

#[tokio::test]
async fn only_what_is_asked_for_is_looked_at() {
    let db = techshop().await;
    run(&db, FAULTS).await;
    let options = Options { kinds: vec![Kind::Times], ..Options::default() };
    let outcome = check(&db, &options).await;
    let codes: Vec<&str> = outcome.report.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["time-in-future", "times-out-of-order", "times-out-of-order"]);
}
