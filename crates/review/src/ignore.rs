//! Ignores in the file itself: a comment that says which rules do not apply here, and why.
//!
//! `-- posthaste: ignore CODE[, CODE] because REASON` stands before or on a statement,
//! `-- posthaste: ignore-file CODE[, CODE] because REASON` anywhere. One without a reason does not count, one with an
//! unknown code does not either, and one that ignored nothing is told. Not for: what a whole team decides (`config`).

use std::ops::Range;

use crate::comment;
use crate::rules;

const MARK: &str = "posthaste:";

/// What a comment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignore {
    /// Of the comment, in the file.
    pub offset: usize,
    pub codes: Vec<String>,
    /// The statement that it is for, from 0; none for the whole file, or when none follows.
    pub statement: Option<usize>,
    pub is_for_file: bool,
    pub reason: Option<String>,
    /// Codes that no rule has.
    pub unknown: Vec<String>,
    /// What is wrong with its form.
    pub malformed: Option<String>,
}

impl Ignore {
    /// Whether it may ignore anything at all.
    pub(crate) fn is_sound(&self) -> bool {
        self.reason.is_some() && self.malformed.is_none()
    }

    pub(crate) fn covers(&self, code: &str, statement: Option<usize>) -> bool {
        self.is_sound()
            && self.codes.iter().any(|known| known == code)
            && (self.is_for_file || (statement.is_some() && self.statement == statement))
    }
}

/// The ignores of a file whose statements have these ranges.
pub(crate) fn read(text: &str, statements: &[Range<usize>]) -> Vec<Ignore> {
    let mut found = Vec::new();
    for (offset, comment) in comment::comments(text) {
        for line in comment::words(comment) {
            let Some(order) = line.strip_prefix(MARK) else { continue };
            found.push(parse(order.trim(), offset, statement_of(text, offset, statements)));
        }
    }
    found
}

/// The statement that a comment is in, or that ends on its line, or else the next one.
fn statement_of(text: &str, offset: usize, statements: &[Range<usize>]) -> Option<usize> {
    if let Some(inside) = statements.iter().position(|range| range.contains(&offset)) {
        return Some(inside);
    }
    let line_start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let on_line = |range: &&Range<usize>| range.end > line_start && range.end <= offset;
    if let Some(last) = statements.iter().rposition(|range| on_line(&range)) {
        return Some(last);
    }
    statements.iter().position(|range| range.start > offset)
}

fn parse(order: &str, offset: usize, statement: Option<usize>) -> Ignore {
    let (verb, rest) = order.split_once(char::is_whitespace).unwrap_or((order, ""));
    let is_for_file = verb == "ignore-file";
    let (codes, reason) = match rest.split_once("because") {
        Some((codes, reason)) => (codes, Some(reason.trim())),
        None => (rest, None),
    };
    let codes: Vec<String> = codes
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|code| !code.is_empty())
        .map(str::to_owned)
        .collect();
    let unknown = codes.iter().filter(|code| !rules::is_known(code)).cloned().collect();
    let malformed = if !is_for_file && verb != "ignore" {
        Some(format!("`{verb}` is not known; `ignore` and `ignore-file` are"))
    } else if codes.is_empty() {
        Some("it names no rule".to_owned())
    } else if !is_for_file && statement.is_none() {
        Some("no statement follows it".to_owned())
    } else {
        None
    };
    Ignore {
        offset,
        codes,
        statement: if is_for_file { None } else { statement },
        is_for_file,
        reason: reason.filter(|reason| !reason.is_empty()).map(str::to_owned),
        unknown,
        malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statements of the tests end in semicolons.
    fn ranges(text: &str) -> Vec<Range<usize>> {
        let mut start = 0;
        let mut ranges = Vec::new();
        for (at, _) in text.match_indices(';') {
            let skipped = text[start..at].len() - text[start..at].trim_start().len();
            let begin = start + skipped;
            let code = text[begin..at].find("alter").map_or(begin, |offset| begin + offset);
            ranges.push(code..at + 1);
            start = at + 1;
        }
        ranges
    }

    fn one(text: &str) -> Ignore {
        let mut found = read(text, &ranges(text));
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0)
    }

    fn check_statement(text: &str, expected: usize) {
        assert_eq!(one(text).statement, Some(expected), "{text}");
    }

    #[test]
    fn ignore_belongs_to_the_statement_that_it_stands_at() {
        let mark = "-- posthaste: ignore create-index because night";
        check_statement(&format!("{mark}\nalter a;\nalter b;"), 0);
        check_statement(&format!("alter a;\n{mark}\nalter b;"), 1);
        check_statement(&format!("alter a; {mark}\nalter b;"), 0);
        check_statement(&format!("alter\n{mark}\n a;\nalter b;"), 0);
    }

    #[test]
    fn codes_and_reason_are_read() {
        let ignore = one("-- posthaste: ignore create-index, drop-table because it is night\nalter a;");
        assert_eq!(ignore.codes, ["create-index", "drop-table"]);
        assert_eq!(ignore.reason.as_deref(), Some("it is night"));
        assert!(ignore.covers("drop-table", Some(0)));
        assert!(!ignore.covers("drop-table", Some(1)) && !ignore.covers("drop-column", Some(0)));
        let ignore = one("/* posthaste: ignore-file create-index because night */ alter a;");
        assert!(ignore.covers("create-index", Some(7)) && ignore.covers("create-index", None));
    }

    #[test]
    fn ignore_without_a_reason_does_not_count() {
        for text in [
            "-- posthaste: ignore create-index\nalter a;",
            "-- posthaste: ignore create-index because\nalter a;",
        ] {
            let ignore = one(text);
            assert_eq!(ignore.reason, None);
            assert!(!ignore.covers("create-index", Some(0)));
        }
    }

    #[test]
    fn strange_ignores_are_told() {
        assert_eq!(one("-- posthaste: ignore nonsense because x\nalter a;").unknown, ["nonsense"]);
        assert!(one("-- posthaste: ignores create-index because x\nalter a;").malformed.is_some());
        assert!(one("-- posthaste: ignore because x\nalter a;").malformed.is_some());
        assert!(one("alter a;\n-- posthaste: ignore create-index because x\n").malformed.is_some());
        assert!(read("alter '-- posthaste: ignore create-index'; -- posthaste", &[]).is_empty());
    }
}
