//! Our own schema's migrations under our own rules: each is reviewed against the schema that it meets, and then made.
//!
//! Here, and not beside the migrations: what they are reviewed by may know nothing of them, nor they of it, and only the
//! binary's crate may import both. Not for: whether they make what the statements need (see the store's own tests).

use std::path::Path;

use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_pg::{Visit, VisitOptions};
use posthaste_review::config::Options;
use posthaste_review::transaction::Wrapping;
use posthaste_review::{File, review};
use posthaste_store::schema;
use posthaste_testkit::db::TestDb;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../store/migrations");

/// Before the first migration: what the upgrade makes to write down which ones were applied.
fn beginning() -> String {
    let script = schema::script();
    script.split("\n-- migration ").next().expect("a beginning").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_migration_of_ours_passes_our_own_review() {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    session.batch_execute(&beginning()).await.expect("the beginning");
    let mut paths: Vec<_> =
        std::fs::read_dir(FOLDER).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert_eq!(i32::try_from(paths.len()), Ok(schema::target_version()), "{paths:?}");
    for path in &paths {
        let text = std::fs::read_to_string(path).expect("a migration");
        let findings = findings(&test, path, &text).await;
        assert!(findings.is_empty(), "mend it, or ignore it with a reason:\n{findings:#?}");
        session.batch_execute(&text).await.expect("a migration");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_would_stop_running_nodes_does_not_pass() {
    let test = TestDb::posthaste().await;
    let text = "alter table posthaste.queue drop column paused; create index on posthaste.event (subject);";
    let codes = findings(&test, Path::new("0002_careless.sql"), text).await;
    for code in ["drop-column", "missing-lock-timeout"] {
        assert!(codes.iter().any(|found| found.starts_with(code)), "{code}: {codes:#?}");
    }
}

/// What our rules say of it, at any severity, as it is applied: in a transaction.
async fn findings(test: &TestDb, path: &Path, text: &str) -> Vec<String> {
    let options = VisitOptions::named("posthaste review").read_only();
    let visit = Visit::connect(&test.target, options).await.expect("a visit");
    let catalog = read(&visit, &CatalogOptions::default()).await.expect("the catalog");
    visit.close().await;
    let file = File {
        path: path.display().to_string(),
        text: text.to_owned(),
        wrapping: Some(Wrapping::Transaction),
        ..File::default()
    };
    let report = review(&[file], Some(&catalog), &Options::default(), &[]).report(None);
    let shown = report.findings.iter().map(|found| {
        let line = found.location.as_ref().map_or(0, |location| location.line);
        format!("{} line {line}: {}", found.code, found.message)
    });
    shown.collect()
}
