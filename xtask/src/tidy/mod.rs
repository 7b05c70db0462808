//! Checks what the compiler cannot: who imports whom, where SQL lives, names, links. Every rule that binds and can
//! be checked by reading files is checked here; each file is read once.

mod imports;
mod markdown;
mod rust;
mod rust_text;
mod sql;
mod sql_text;
mod words;

use std::fmt;

use crate::Result;
use crate::tree::{File, Tree};

/// Something that breaks a rule: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    /// From 1; 0 if it is about the whole file.
    line: usize,
    message: String,
}

impl Problem {
    fn new(file: &File, line: usize, message: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

const CHECKS: &[fn(&Tree) -> Vec<Problem>] =
    &[imports::check, rust::check, sql::check, markdown::check, words::check];

pub(crate) fn run() -> Result<()> {
    let tree = Tree::read()?;
    let mut problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    problems.sort();
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => {
            eprintln!("tidy: {} files, nothing to say", tree.files.len());
            Ok(())
        }
        count => Err(format!("tidy: {count} problems in {} files", tree.files.len())),
    }
}

/// The line, from 1, of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The offsets at which a word occurs that is not part of a longer one.
fn whole_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(offset, _)| offset).filter(move |offset| {
        !text[..*offset].ends_with(is_part) && !text[offset + word.len()..].starts_with(is_part)
    })
}

/// Runs one check over a small tree, and returns its problems as text.
#[cfg(test)]
fn problems_of(check: fn(&Tree) -> Vec<Problem>, files: &[(&str, &str)]) -> Vec<String> {
    check(&Tree::of(files)).iter().map(Problem::to_string).collect()
}

/// Asserts that a check has exactly one thing to say, and that it says this.
#[cfg(test)]
#[track_caller]
fn check_one(check: fn(&Tree) -> Vec<Problem>, files: &[(&str, &str)], expected: &str) {
    let problems = problems_of(check, files);
    assert!(
        problems.len() == 1 && problems[0].contains(expected),
        "expected `{expected}`, got {problems:#?}"
    );
}

/// Asserts that a check has nothing to say.
#[cfg(test)]
#[track_caller]
fn check_none(check: fn(&Tree) -> Vec<Problem>, files: &[(&str, &str)]) {
    assert_eq!(problems_of(check, files), [""; 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_inside_a_longer_one_is_not_found() {
        assert_eq!(whole_words("util utils my_util (util)", "util").collect::<Vec<_>>(), [0, 20]);
    }

    #[test]
    fn problem_names_file_and_line() {
        let file = File { path: "a/b.rs".to_owned(), text: String::new() };
        assert_eq!(Problem::new(&file, 3, "x").to_string(), "a/b.rs:3: x");
        assert_eq!(Problem::new(&file, 0, "x").to_string(), "a/b.rs: x");
    }
}
