//! Every page's example is found, and what it recommends is not.

use posthaste_base::catalog::{Activity, Catalog, Replica, Server, Size};
use posthaste_report::{Report, Severity};

use super::*;
use crate::config::Options;
use crate::queries;
use crate::review::{File, review};
use crate::state::State;

const GB: u64 = 1 << 30;

/// The SQL of a section of a page.
fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let after = page.split_once(&format!("\n## {heading}\n"))?.1;
    let code = after.split_once("```sql\n")?.1;
    Some(code.split_once("\n```")?.0)
}

/// What the page's statements make, with rows in every table, on a server in use.
fn given(page: &str) -> Catalog {
    let server = Server {
        version_num: 180_004,
        longest_transaction_ms: page.starts_with("# lock-queue").then_some(600_000),
        replicas: if page.starts_with("# rewrite-under-replicas") {
            vec![Replica::default()]
        } else {
            Vec::new()
        },
        ..Server::default()
    };
    let empty = Catalog { server, schemas: vec!["public".to_owned()], ..Catalog::default() };
    let mut state = State::new(Some(&empty));
    for located in &crate::parse(section(page, "Given").unwrap_or_default()).statements {
        state.apply(&located.statement);
    }
    let mut catalog = state.catalog;
    for relation in &mut catalog.relations {
        relation.size = Size { rows: Some(5_000_000), bytes: GB, toast_bytes: 0 };
        relation.activity = Activity { writes_per_s: Some(20.0), ..Activity::default() };
        for index in &mut relation.indexes {
            index.is_valid = !page.starts_with("# if-not-exists-invalid-index");
            index.is_ready = true;
            index.scans = Some(0);
        }
    }
    catalog
}

fn reviewed(page: &str, sql: &str, has_catalog: bool) -> Report {
    let catalog = given(page);
    let file = File { path: "1.sql".to_owned(), text: sql.to_owned(), ..File::default() };
    let mut files = vec![file];
    if page.starts_with("# rollback-missing") {
        let other = File { path: "0.sql".to_owned(), down: Some("select 1;".to_owned()), ..File::default() };
        files.insert(0, other);
    }
    let queries = if page.starts_with("# query-reads-added-column") {
        queries::read("q.sql", "select id, preference_json from users where id = $1").unwrap()
    } else {
        Vec::new()
    };
    let catalog = has_catalog.then_some(&catalog);
    review(&files, catalog, &Options::default(), &queries).report(None)
}

fn has(report: &Report, code: &str) -> bool {
    report.findings.iter().any(|finding| finding.code == code)
}

#[test]
fn every_example_is_found() {
    let mut missed = Vec::new();
    for rule in ALL {
        let report = reviewed(rule.page, section(rule.page, "Example").expect(rule.code), true);
        if !has(&report, rule.code) {
            missed.push((
                rule.code,
                report.findings.into_iter().map(|f| (f.code, f.message)).collect::<Vec<_>>(),
            ));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn nothing_that_is_recommended_is_found_again() {
    // Advice about the way it is written need not be repeated in every recipe.
    let manners = [
        "missing-lock-timeout",
        "fails-on-nulls",
        "fails-on-check",
        "fails-on-orphans",
        "fails-on-duplicates",
    ];
    let mut wrong = Vec::new();
    for rule in ALL {
        let report = reviewed(rule.page, section(rule.page, "Instead").expect(rule.code), true);
        for finding in &report.findings {
            let is_grave =
                finding.severity.is_at_least(Severity::Medium) && !manners.contains(&finding.code.as_str());
            // Two pages recommend the lesser evil.
            let is_known = matches!(
                (rule.code, finding.code.as_str()),
                (
                    "index-before-backfill"
                        | "constraint-before-backfill"
                        | "locks-held"
                        | "subquery-per-row",
                    "bulk-update"
                ) | ("constraint-before-backfill", "subquery-per-row")
                    | ("drop-cascade", "drop-table")
                    | ("fails-on-dependents", "drop-object" | "change-type")
                    | (
                        "no-window" | "ignore-unknown-rule" | "ignore-unused" | "ignore-without-reason",
                        "create-index"
                    )
            );
            if finding.code == rule.code || (is_grave && !is_known) {
                wrong.push((rule.code, finding.code.clone(), finding.message.clone()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn without_a_catalog_findings_say_what_they_depend_on() {
    for rule in ["create-index", "set-not-null", "add-check", "add-foreign-key", "change-type", "bulk-update"]
    {
        let rule = ALL.iter().find(|known| known.code == rule).unwrap();
        let report = reviewed(rule.page, section(rule.page, "Example").unwrap(), false);
        let finding = report.findings.iter().find(|finding| finding.code == rule.code).expect(rule.code);
        assert_eq!(finding.confidence, Confidence::Possible, "{}", rule.code);
        assert!(!finding.depends_on.is_empty(), "{}", rule.code);
        assert_eq!(finding.severity, Severity::High, "{}", rule.code);
    }
}

#[test]
fn codes_are_sorted_kebab_case_and_unique() {
    let all: Vec<&str> = codes().collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(all, sorted);
    assert!(
        all.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit()))
    );
}

#[test]
fn every_rule_has_a_page_with_all_its_parts() {
    for rule in ALL {
        for heading in ["## What", "## Why", "## Example", "## Instead", "## Sources"] {
            assert!(rule.page.contains(&format!("\n{heading}\n")), "{}: no `{heading}`", rule.code);
        }
        let opening = format!("# {}\n\n{}.\n", rule.code, rule.title);
        assert!(rule.page.starts_with(&opening), "{}: title", rule.code);
    }
}

#[test]
fn the_list_of_rules_is_complete() {
    let readme = include_str!("../../../../docs/rules/README.md");
    let listed: Vec<&str> = readme.lines().filter(|line| line.starts_with("| [")).collect();
    let expected: Vec<String> =
        ALL.iter().map(|rule| format!("| [{0}]({0}.md) | {1} |", rule.code, rule.title)).collect();
    assert_eq!(listed, expected);
}

#[test]
fn what_is_said_of_configuration_holds() {
    let readme = include_str!("../../../../docs/rules/README.md");
    let text = readme.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let section = text.parse::<toml::Table>().unwrap().remove("review").unwrap();
    let config: crate::config::Config = section.try_into().unwrap();
    assert_eq!(config.thresholds, crate::config::Thresholds::default(), "the page shows the defaults");
    assert!(config.options().is_ok());
}
