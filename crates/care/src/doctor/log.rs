//! Findings from logs and from a provider's snapshots, for incidents of which the server itself remembers nothing.
//!
//! Four kinds are read: PostgreSQL's own log, a slow log with `Query_time` lines, a provider's log of events, and a
//! snapshot of load by statement as JSON. Not for: following a log while it is written.

mod events;
mod insights;
mod postgres;
mod slow;

use posthaste_base::{Code, Error};
use posthaste_report::{Finding, Location, Severity};

pub(crate) use super::check::Told;

/// Reads a log, of whichever kind it is. `file` is for the places of findings.
pub fn read(file: &str, text: &str) -> Result<Vec<Finding>, Error> {
    let mut findings = match kind(text) {
        Some(Kind::Slow) => slow::read(file, text),
        Some(Kind::Events) => events::read(file, text),
        Some(Kind::Postgres) => postgres::read(file, text),
        Some(Kind::Insights) => insights::read(file, text)?,
        None => {
            return Err(Error::new(Code::InvalidFile, format!("{file} is no log that is known here"))
                .expected("PostgreSQL's log, a slow log, a log of events, or a snapshot of insights"));
        }
    };
    findings.sort_by_key(|finding| finding.severity);
    Ok(findings)
}

enum Kind {
    Slow,
    Events,
    Postgres,
    Insights,
}

fn kind(text: &str) -> Option<Kind> {
    if text.trim_start().starts_with('{') {
        return Some(Kind::Insights);
    }
    let any = |is: fn(&str) -> bool| text.lines().take(2_000).any(is);
    if any(|line| line.starts_with("# Query_time:")) {
        Some(Kind::Slow)
    } else if any(events::is_event) {
        Some(Kind::Events)
    } else {
        any(postgres::is_entry).then_some(Kind::Postgres)
    }
}

/// A finding at a line of the log, from 1.
fn at(code: &str, severity: Severity, message: impl Into<String>, file: &str, line: usize) -> Finding {
    let mut finding = Finding::new(code, severity, message);
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    finding.location = Some(Location { file: file.to_owned(), line, column: 1, statement: 0 });
    finding
}

/// A statement without its values, so that those of one shape are taken together.
fn shape(statement: &str) -> String {
    let mut shape = String::new();
    let mut chars = without_line_comments(statement).chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                while chars.next().is_some_and(|next| next != '\'') {}
                shape.push('?');
            }
            c if c.is_ascii_digit()
                && !shape.ends_with(|last: char| last.is_alphanumeric() || last == '_') =>
            {
                while chars.peek().is_some_and(|next| next.is_ascii_digit() || *next == '.') {
                    chars.next();
                }
                shape.push('?');
            }
            c if c.is_whitespace() => {
                if !shape.ends_with(' ') {
                    shape.push(' ');
                }
            }
            c => shape.extend(c.to_lowercase()),
        }
    }
    shape.trim().trim_end_matches(';').to_owned()
}

fn without_line_comments(statement: &str) -> String {
    let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the words of a statement say against it, whatever the plan.
fn suspicions(shape: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    if shape.contains("cross join") {
        found.push("CROSS JOIN pairs every row of one table with every row of the other");
    }
    let selects = shape.matches("(select ").count() + shape.matches("( select ").count();
    if selects > 0
        && shape.find(" from ").is_some_and(|from| {
            shape.find("( select ").or(shape.find("(select ")).is_some_and(|at| at < from)
        })
    {
        found.push("a sub-select in the list runs once for each row");
    }
    if shape.contains("like ?") || shape.contains("ilike ?") {
        found.push("a pattern that begins with % is found by trigrams alone");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_one_shape_are_one() {
        let one = shape("-- new\nSELECT a1, 'it' FROM t\n  WHERE id = 'usr_1' AND n > 12.5;");
        assert_eq!(one, "select a1, ? from t where id = ? and n > ?");
        assert_eq!(one, shape("select a1, 'x' from t where id = 'usr_2' and n > 7"));
    }

    #[test]
    fn what_is_no_log_is_said() {
        assert_eq!(read("a.txt", "hello\nworld").unwrap_err().code(), Code::InvalidFile);
    }
}
