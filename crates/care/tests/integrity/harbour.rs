//! A database quite unlike the shop: schemas, quotes, composite and uuid keys, partitions, and hardly a promise.

use posthaste_care::integrity::Options;
use posthaste_testkit::db::{TestDb, versions};

use super::score::{check, run, score};

const HEALTHY: &str = include_str!("harbour.sql");
const FAULTS: &str = include_str!("harbour_faults.sql");
const RELATIONS: &str = include_str!("harbour_relations.toml");
const EXPECTED: &str = include_str!("harbour_faults.toml");

#[tokio::test]
async fn healthy_harbour_has_relations_and_no_faults() {
    let db = TestDb::empty().await;
    run(&db, HEALTHY).await;
    score(&check(&db, &Options::default()).await, RELATIONS);
}

#[tokio::test]
async fn every_fault_of_the_harbour_is_found_and_nothing_else() {
    for version in versions() {
        let db = TestDb::empty_on(&version).await;
        run(&db, HEALTHY).await;
        run(&db, FAULTS).await;
        score(&check(&db, &Options::default()).await, &format!("{RELATIONS}{EXPECTED}"));
    }
}
