//! Each form of DDL and DML with what it is lowered to: `forms/*.txt` hold a statement and, behind `=>`, the words
//! for it; behind `!!` what is wrong with it.
//!
//! `REWRITE_FORMS=1` writes the files anew: read what changed before it is kept.

use std::path::PathBuf;

use posthaste_review::parse;

use crate::show::show;

fn shown(sql: &str) -> String {
    let script = parse(sql);
    let statements = script.statements.iter().map(|located| format!("=> {}\n", show(&located.statement)));
    let errors = script.errors.iter().map(|error| format!("!! {error}\n"));
    statements.chain(errors).collect()
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parse/forms")
}

/// The statements of one file, each with what is expected.
pub(crate) fn forms(name: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder().join(name)).expect("the file is there");
    let form = |part: &str| {
        let (sql, expected) = part.split_once('\n').expect("a statement has its words");
        (sql.to_owned(), format!("{}\n", expected.trim_end()))
    };
    text.split("\n\n").filter(|part| !part.trim().is_empty()).map(|part| form(part.trim_start())).collect()
}

fn check(name: &str) {
    let forms = forms(name);
    if std::env::var_os("REWRITE_FORMS").is_some() {
        let text: String = forms.iter().map(|(sql, _)| format!("{sql}\n{}\n", shown(sql))).collect();
        std::fs::write(folder().join(name), text).expect("the file can be written");
        return;
    }
    for (sql, expected) in forms {
        assert_eq!(shown(&sql), expected, "{sql}");
    }
}

#[test]
fn alter_is_lowered() {
    check("alter.txt");
}

#[test]
fn create_is_lowered() {
    check("create.txt");
}

#[test]
fn drop_comment_and_grant_are_lowered() {
    check("drop.txt");
}

#[test]
fn queries_are_lowered() {
    check("rows.txt");
}

#[test]
fn bodies_are_looked_into() {
    check("bodies.txt");
}

#[test]
fn upkeep_and_session_are_lowered() {
    check("session.txt");
}

#[test]
fn wrong_statements_are_told_with_what_to_do() {
    check("wrong.txt");
}
