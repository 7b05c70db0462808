//! The review of a real migration, with a catalog of 2.5 million users: what is dangerous in it, and what is not.

use std::path::Path;

use posthaste_base::catalog::Catalog;
use posthaste_report::{Confidence, Finding, Report, Severity};
use posthaste_review::config::Options;
use posthaste_review::{Answer, File, read_queries, review};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    std::fs::read_to_string(path).expect(name)
}

fn catalog() -> Catalog {
    Catalog::from_json(&read("catalog.json")).expect("the catalog")
}

fn migration() -> File {
    File { path: "migration.sql".to_owned(), text: read("migration.sql"), ..File::default() }
}

fn reviewed() -> Report {
    let queries = read_queries("snapshot", &read("performance_insights_snapshot.json")).expect("queries");
    review(&[migration()], Some(&catalog()), &Options::default(), &queries).report(None)
}

/// Findings of a code at the statement that begins with these words.
fn at<'a>(report: &'a Report, code: &str, words: &str) -> Vec<&'a Finding> {
    let text = read("migration.sql");
    let is_it = |finding: &&Finding| {
        let line = finding.location.as_ref().map_or(0, |location| location.line) as usize;
        let from = text.lines().skip(line.saturating_sub(1)).collect::<Vec<_>>().join(" ");
        finding.code == code && from.starts_with(words)
    };
    report.findings.iter().filter(is_it).collect()
}

fn one<'a>(report: &'a Report, code: &str, words: &str) -> &'a Finding {
    let found = at(report, code, words);
    assert_eq!(found.len(), 1, "{code} at {words}: {:#?}", report.findings);
    found[0]
}

#[test]
fn indexes_on_the_new_table_are_harmless_and_those_on_users_are_not() {
    let report = reviewed();
    for harmless in [
        "idx_user_recommendations_user_id",
        "idx_user_recommendations_job_id",
        "idx_user_recommendations_shown_at",
    ] {
        assert!(at(&report, "create-index", &format!("CREATE INDEX {harmless}")).is_empty(), "{harmless}");
    }
    for index in ["idx_users_premium ", "idx_users_recommendation_score", "idx_users_recommendations "] {
        let finding = one(&report, "create-index", &format!("CREATE INDEX {index}"));
        assert!(finding.severity.is_at_least(Severity::High), "{finding:#?}");
        assert_eq!(finding.confidence, Confidence::Certain);
    }
}

#[test]
fn columns_with_constant_defaults_rewrite_nothing() {
    let report = reviewed();
    let of_columns = report.findings.iter().filter(|finding| finding.code.starts_with("add-column"));
    assert_eq!(of_columns.count(), 0, "{:#?}", report.findings);
}

#[test]
fn the_check_reads_users_under_access_exclusive() {
    let report = reviewed();
    let finding = one(&report, "add-check", "ADD CONSTRAINT chk_recommendation_score");
    assert_eq!(finding.effect, posthaste_report::Effect::Scan);
    assert!(finding.message.contains("ACCESS EXCLUSIVE"), "{}", finding.message);
}

#[test]
fn the_long_part_is_the_backfill() {
    let report = reviewed();
    let finding = one(&report, "bulk-update", "UPDATE users u SET recommendation_score");
    assert_eq!(finding.counts["rows"], 2_500_000);
    assert!(finding.severity.is_at_least(Severity::High));
    let says_so = |finding: &Finding| {
        finding.evidence.iter().any(|e| e.text.contains("the longest statement of the file"))
    };
    assert!(says_so(finding), "{finding:#?}");
    let longest = report.summary["longest"].as_str().unwrap_or_default();
    assert!(longest.starts_with("migration.sql:77"), "{longest}");
    let premium = one(&report, "bulk-update", "UPDATE users u SET is_premium");
    assert!(premium.counts["rows"] < 420_000, "no more users than have a subscription: {premium:#?}");
}

#[test]
fn indexes_come_before_the_backfill() {
    let report = reviewed();
    for index in ["idx_users_premium ", "idx_users_recommendation_score", "idx_users_recommendations "] {
        one(&report, "index-before-backfill", &format!("CREATE INDEX {index}"));
    }
}

#[test]
fn the_check_is_on_when_scores_above_100_would_abort_the_backfill() {
    let report = reviewed();
    let finding = one(&report, "constraint-before-backfill", "SET recommendation_score");
    assert!(finding.message.contains("chk_recommendation_score"), "{}", finding.message);
    assert_eq!(finding.confidence, Confidence::Possible);
}

#[test]
fn a_question_to_the_data_settles_it() {
    let answered = |answer: Answer| {
        let mut review = review(&[migration()], Some(&catalog()), &Options::default(), &[]);
        let asked: Vec<usize> = review
            .probes()
            .filter(|(_, probe)| probe.sql.contains("avg(m.score)") || probe.sql.contains("AVG(m.score)"))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(asked.len(), 1);
        review.answer([(asked[0], answer)]);
        let report = review.report(None);
        report.findings.into_iter().find(|finding| finding.code == "constraint-before-backfill")
    };
    let certain = answered(Answer::Yes).expect("a finding");
    assert_eq!((certain.confidence, certain.severity), (Confidence::Certain, Severity::High));
    assert_eq!(answered(Answer::No), None);
    let unknown = answered(Answer::Unknown("timeout".to_owned())).expect("a finding");
    assert!(unknown.depends_on.iter().any(|on| on.contains("timeout")));
}

#[test]
fn the_rollback_does_not_restore_the_foreign_key_and_nothing_else_is_missing() {
    let report = reviewed();
    let left: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.code == "rollback-incomplete").collect();
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!(left[0].object.name.as_deref(), Some("fk_job_applications_user"));
    assert!(left[0].message.contains("stays ON DELETE SET NULL, and was CASCADE"), "{}", left[0].message);
}

#[test]
fn on_delete_set_null_meets_a_not_null_column() {
    let report = reviewed();
    let finding = one(&report, "set-null-on-not-null", "ADD CONSTRAINT fk_job_applications_user");
    assert_eq!(finding.object.columns, ["user_id"]);
    assert_eq!(finding.confidence, Confidence::Certain);
}

#[test]
fn proving_the_foreign_key_blocks_writers_of_both_tables() {
    let report = reviewed();
    let finding = one(&report, "add-foreign-key", "ADD CONSTRAINT fk_job_applications_user");
    assert!(finding.message.contains("writers of users wait as well"), "{}", finding.message);
    assert!(
        at(&report, "fails-on-orphans", "ADD CONSTRAINT fk_job_applications_user").is_empty(),
        "the old key proves it"
    );
}

#[test]
fn a_query_that_runs_reads_a_column_that_is_only_added() {
    let report = reviewed();
    let finding = one(&report, "query-reads-added-column", "ALTER TABLE users  ADD COLUMN preference_json");
    assert_eq!(finding.object.columns, ["preference_json"]);
    assert!(finding.message.contains("89.5 times a second"), "{}", finding.message);
}

#[test]
fn nobody_approved_it_nothing_bounds_its_locks_and_no_window_is_named() {
    let report = reviewed();
    let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
    for code in ["not-approved", "missing-lock-timeout", "lock-queue", "no-window"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
}

#[test]
fn nothing_else_is_grave() {
    let expected = [
        "add-check",
        "add-foreign-key",
        "bulk-update",
        "constraint-before-backfill",
        "create-index",
        "index-before-backfill",
        "lock-queue",
        "missing-lock-timeout",
        "not-approved",
        "query-reads-added-column",
        "rollback-incomplete",
        "set-null-on-not-null",
    ];
    let report = reviewed();
    for finding in report.findings.iter().filter(|finding| finding.severity.is_at_least(Severity::Medium)) {
        assert!(expected.contains(&finding.code.as_str()), "{finding:#?}");
    }
}

#[test]
fn without_a_catalog_it_says_what_the_answer_depends_on() {
    let report = review(&[migration()], None, &Options::default(), &[]).report(None);
    let index = one(&report, "create-index", "CREATE INDEX idx_users_recommendation_score");
    assert_eq!((index.severity, index.confidence), (Severity::High, Confidence::Possible));
    assert!(index.depends_on.iter().any(|on| on.contains("the size of users")), "{index:#?}");
    assert!(
        at(&report, "create-index", "CREATE INDEX idx_user_recommendations").is_empty(),
        "new tables are known"
    );
    assert!(report.skipped.iter().any(|skipped| skipped.what.contains("sizes")));
}
