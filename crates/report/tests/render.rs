//! Every form shows all of a report, and no name in it is mistaken for the form's own marks.
//!
//! `UPDATE_GOLDEN=1` writes the golden files anew.

use std::collections::BTreeMap;
use std::path::Path;

use posthaste_base::catalog::Name;
use posthaste_report::{
    Confidence, Effect, Evidence, Finding, Format, Location, Lock, LockMode, Object, Remedy, RenderOptions,
    Report, RuleText, Severity, Skipped, Step, Target, render,
};
use serde_json::json;

fn step(statement: &str) -> Step {
    let step = json!({"id": "build", "title": "Build the index", "action": "alone", "statement": statement});
    serde_json::from_value(step).expect("a step")
}

fn index() -> Finding {
    let users = Name::new("public", "users");
    Finding {
        object: Object {
            kind: "index".into(),
            schema: Some("public".into()),
            table: Some("users".into()),
            name: Some("users_email".into()),
            columns: vec!["email".into()],
        },
        location: Some(Location { file: "db/002 add.sql".into(), line: 3, column: 1, statement: 2 }),
        locks: vec![Lock::table(&users, LockMode::Share)],
        effect: Effect::Scan,
        counts: BTreeMap::from([("rows".into(), 2_500_000)]),
        evidence: vec![
            Evidence { text: "users has 2.5 M rows, 1.2 GB".into(), age_s: Some(7_300) },
            Evidence { text: "120 rows are written to it in a second".into(), age_s: None },
        ],
        remedy: Some(Remedy {
            text: "Build it beside the writers, outside of a transaction.".into(),
            steps: vec![step("create index concurrently users_email\n  on users (email)")],
        }),
        ..Finding::new(
            "index-without-concurrently",
            Severity::Critical,
            "Building the index `users_email` reads 1.2 GB of `users` under SHARE, for about 9 s in which nobody writes to it.",
        )
    }
}

/// Names that a stranger chose.
fn hostile() -> Finding {
    let name = "a|b\n::error::x,<script>alert('1')</script>\u{1b}[31m\u{202e}`*_[x](y) 💥 @admin \\ %0A";
    Finding {
        object: Object {
            kind: "table".into(),
            schema: Some("S\"q".into()),
            table: Some(name.into()),
            ..Object::default()
        },
        location: Some(Location { file: "a:b,c\n%.sql".into(), line: 0, column: 0, statement: 0 }),
        confidence: Confidence::Possible,
        depends_on: vec![format!("whether {name} is empty")],
        evidence: vec![Evidence { text: format!("{name} was seen"), age_s: Some(5) }],
        remedy: Some(Remedy { text: format!("Rename {name}."), steps: vec![step("-- ```\nselect '<b>'")] }),
        ..Finding::new("odd-name", Severity::Medium, format!("The table {name} is odd."))
    }
}

fn report(findings: Vec<Finding>, skipped: Vec<Skipped>) -> Report {
    let target = Target { name: "app".into(), server_version: Some("15.18".into()) };
    Report::new("review", target, findings, skipped)
}

fn full() -> Report {
    let skipped = Skipped { what: "bloat of public.users".into(), why: "needs pg_monitor".into() };
    let low = Finding::new("missing-lock-timeout", Severity::Low, "No lock timeout is set.");
    report(vec![low, hostile(), index()], vec![skipped])
}

fn options(rules: &[RuleText]) -> RenderOptions<'_> {
    RenderOptions { tool_version: "1.2.3", width: 80, rules, ..RenderOptions::default() }
}

fn rules() -> Vec<RuleText> {
    let rule = |code: &str| RuleText {
        code: code.into(),
        title: format!("What {code} is"),
        help: "Why, and **what** to do.".into(),
        link: Some(format!("https://posthaste.example/rules/{code}")),
    };
    vec![rule("index-without-concurrently"), rule("never-found")]
}

fn check_golden(report: &Report, format: Format, file: &str) {
    let text = render(report, format, &options(&rules()));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("to write the golden file");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{} differs; UPDATE_GOLDEN=1 writes it anew", path.display());
}

#[test]
fn every_form_is_as_its_golden_file() {
    for (format, file) in [
        (Format::Human, "report.txt"),
        (Format::Json, "report.json"),
        (Format::Sarif, "report.sarif"),
        (Format::Github, "report.github"),
        (Format::Markdown, "report.markdown"),
        (Format::Html, "report.html"),
    ] {
        check_golden(&full(), format, file);
    }
}

#[test]
fn no_form_lets_a_name_give_orders() {
    for format in Format::ALL {
        let text = render(&full(), format, &options(&[]));
        assert!(!text.contains('\u{1b}'), "{format:?}: {text}");
        let is_data = matches!(format, Format::Json | Format::Sarif);
        assert!(is_data || !text.contains('\u{202e}'), "{format:?}: {text}");
        assert!(text.contains("💥"), "{format:?}");
        assert!(text.ends_with('\n'));
    }
    let github = render(&full(), Format::Github, &options(&[]));
    assert_eq!(github.lines().count(), 4, "three findings and what was skipped: {github}");
    assert!(
        github
            .lines()
            .all(|line| ["::error ", "::warning ", "::notice "].iter().any(|s| line.starts_with(s)))
    );
    let html = render(&full(), Format::Html, &options(&[]));
    assert!(!html.contains("<script") && !html.contains("<b>"));
    let markdown = render(&full(), Format::Markdown, &options(&[]));
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
    let cells = |row: &str| row.replace("\\|", "").matches('|').count();
    assert_eq!(rows.iter().map(|row| cells(row)).collect::<Vec<_>>(), [5; 5], "{markdown}");
    assert!(!markdown.contains("<script") && !markdown.contains("@admin"));
    assert!(markdown.contains("````sql"), "the fence is longer than what is in it");
}

#[test]
fn json_is_read_back_as_it_was() {
    let report = full();
    let text = render(&report, Format::Json, &options(&[]));
    assert_eq!(serde_json::from_str::<Report>(&text).expect("a report"), report);
}

#[test]
fn sarif_names_its_rules_and_levels() {
    let text = render(&full(), Format::Sarif, &options(&rules()));
    let document: serde_json::Value = serde_json::from_str(&text).expect("json");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let ids: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(ids, ["index-without-concurrently", "missing-lock-timeout", "odd-name"]);
    assert_eq!(rules[0]["help"]["markdown"], "Why, and **what** to do.");
    assert_eq!(rules[0]["helpUri"], "https://posthaste.example/rules/index-without-concurrently");
    let levels: Vec<_> = run["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| {
            let rule = usize::try_from(result["ruleIndex"].as_u64().expect("a rule")).expect("small");
            assert_eq!(result["ruleId"], rules[rule]["id"]);
            result["level"].as_str().unwrap_or_default()
        })
        .collect();
    assert_eq!(levels, ["error", "warning", "note"]);
    let place = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "db/002%20add.sql");
    assert_eq!(place["region"]["startLine"], 3);
    assert_eq!(run["results"][2]["locations"], json!([]));
}

#[test]
fn lines_are_as_wide_as_they_may_be_and_coloured_when_asked() {
    let narrow = RenderOptions { width: 50, ..options(&[]) };
    let text = render(&report(vec![index()], Vec::new()), Format::Human, &narrow);
    let is_long = |line: &&str| line.chars().count() > 50 && !line.contains("create index");
    let long: Vec<_> = text.lines().filter(is_long).collect();
    assert_eq!(long, Vec::<&str>::new(), "{text}");
    let colored = RenderOptions { is_colored: true, ..options(&[]) };
    let text = render(&report(vec![index()], Vec::new()), Format::Human, &colored);
    assert!(text.starts_with("\u{1b}[1;31mcritical\u{1b}[0m  index-without-concurrently\n"), "{text}");
}

#[test]
fn a_clean_report_says_so() {
    let clean = report(Vec::new(), Vec::new());
    assert_eq!(
        render(&clean, Format::Human, &options(&[])),
        "review of app (PostgreSQL 15.18): no findings\n"
    );
    assert_eq!(render(&clean, Format::Github, &options(&[])), "");
    assert!(render(&clean, Format::Markdown, &options(&[])).contains("No findings."));
    assert!(render(&clean, Format::Html, &options(&[])).contains("no findings"));
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(format.as_str().parse(), Ok(format));
    }
    assert!("yaml".parse::<Format>().is_err_and(|error| error.contains("human, json")));
}
