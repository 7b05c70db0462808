//! What the tests of judges share, and that every check has its page and its place.

use std::path::Path;

use serde_json::Value;

use super::ALL;
use crate::doctor::{Check, Facts, Judge, Outcome, Rows};

/// A quiet primary of version 15 where this role sees everything.
pub(super) fn facts() -> Facts {
    Facts {
        version_num: 150_018,
        version: "15.18".into(),
        database: "shop".into(),
        role_name: "doctor".into(),
        reads_all_stats: true,
        block_bytes: 8192,
        counters_age_s: Some(30.0 * 86_400.0),
        ..Facts::default()
    }
}

/// What a check says about such rows.
pub(super) fn judged(check: &Check, facts: &Facts, rows: Value) -> Outcome {
    let Judge::Rows(_, judge) = check.judge else { panic!("{} asks more than once", check.code) };
    let Value::Array(rows) = rows else { panic!("rows are an array") };
    let rows = rows.iter().map(Value::to_string).collect();
    judge(&Rows(rows), facts).expect("rows of the right form")
}

#[test]
fn every_check_has_its_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
    for check in ALL {
        let page = std::fs::read_to_string(folder.join(format!("{}.md", check.code)));
        let page = page.unwrap_or_else(|error| panic!("docs/checks/{}.md: {error}", check.code));
        assert!(page.starts_with(&format!("# {}\n", check.code)), "{}", check.code);
        for heading in ["## What it sees", "## How it is computed", "## What can mislead", "## What to do"] {
            assert!(page.contains(heading), "{}: {heading}", check.code);
        }
    }
    let pages = std::fs::read_dir(folder).expect("the folder").filter(|page| {
        let name = page.as_ref().expect("a page").file_name();
        name != "README.md"
    });
    assert_eq!(pages.count(), ALL.len(), "a page without a check");
}

#[test]
fn codes_are_told_apart() {
    let mut codes: Vec<&str> = ALL.iter().map(|check| check.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), ALL.len());
}
