//! The page `docs/locks.md`: every row of the model, for people.
//!
//! Not for: writing the file, which a test does (`UPDATE_GOLDEN=1`).

use std::fmt::Write as _;

use super::form::{Block, FORMS, Form, NEWEST, OLDEST, Rule, Source};

/// The tables of all rows, in Markdown.
pub fn tables() -> String {
    let mut page = String::new();
    for (heading, forms) in FORMS {
        let _ =
            write!(page, "\n## {heading}\n\n| form | locks | work | source |\n| --- | --- | --- | --- |\n");
        for form in *forms {
            let _ =
                writeln!(page, "| {} | {} | {} | {} |", name(form), locks(form), work(form), source(form));
        }
    }
    page
}

fn name(form: &Form) -> String {
    let mut text = form.text.to_owned();
    if form.since > OLDEST {
        let _ = write!(text, " ({} and newer)", form.since);
    }
    match form.block {
        Block::Allowed => {}
        Block::Refused => text.push_str(" (not in a transaction block)"),
        Block::RefusedFrom(version) => {
            let _ = write!(text, " (not in a transaction block from {version} on)");
        }
    }
    text
}

fn locks(form: &Form) -> String {
    if form.rules.is_empty() {
        return "none".to_owned();
    }
    let rule = |rule: &Rule| format!("{}: {}{}", rule.whom.words(), rule.mode, versions(rule));
    form.rules.iter().map(rule).collect::<Vec<_>>().join("<br>")
}

fn versions(rule: &Rule) -> String {
    match (rule.from, rule.to) {
        (OLDEST, NEWEST) => String::new(),
        (OLDEST, to) => format!(" (up to {to})"),
        (from, NEWEST) => format!(" (from {from} on)"),
        (from, to) => format!(" ({from} to {to})"),
    }
}

fn work(form: &Form) -> &str {
    if form.work.is_empty() { "nothing" } else { form.work }
}

fn source(form: &Form) -> String {
    match form.source {
        Source::Documentation(chapter) => chapter.to_owned(),
        Source::Measured => "measured".to_owned(),
    }
}
