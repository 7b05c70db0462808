//! Questions to the data that settle a finding: asked when a database is given, under a limit of time.
//!
//! A probe reads and does not count what grows: it stops at the first row that answers it. Not for: asking.

use posthaste_base::catalog::Name;
use posthaste_base::quote::{identifier, identifiers};
use posthaste_report::{Confidence, Evidence, Finding, Severity};
use serde::Serialize;

use crate::statement::TypeName;

/// A query that answers one boolean: whether the data would make the statement fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    pub sql: String,
    /// What it means when it answers true.
    pub meaning: String,
}

/// What the database said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// It could not say, and why: a timeout, a missing right.
    Unknown(String),
}

/// What an answer makes of a finding: certain, gone, or as it was, with the reason.
pub(crate) fn settle(finding: &mut Finding, probe: &Probe, answer: Answer) -> bool {
    match answer {
        Answer::Yes => {
            finding.confidence = Confidence::Certain;
            finding.severity = finding.severity.min(Severity::High);
            finding.depends_on.clear();
            finding.evidence.push(Evidence { text: format!("looked: {}", probe.meaning), age_s: None });
            true
        }
        Answer::No => false,
        Answer::Unknown(reason) => {
            finding.depends_on.push(format!("the data, which could not be asked: {reason}"));
            true
        }
    }
}

/// The text of a file of `sql/probe`, without its header, with names filled in.
macro_rules! probe_sql {
    ($name:literal, $($key:ident = $value:expr),+) => {
        $crate::probe::fill(include_str!(concat!("../sql/probe/", $name, ".sql")), &[$((stringify!($key), &$value)),+])
    };
}

pub(crate) fn fill(file: &str, values: &[(&str, &str)]) -> String {
    let body: Vec<&str> = file.lines().filter(|line| !line.starts_with("--")).collect();
    let body = body.join("\n");
    let mut text = String::new();
    let mut rest = body.trim();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(before);
        let value = values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        text.push_str(value.unwrap_or_else(|| unreachable!("`{name}` is not filled in")));
        rest = tail;
    }
    text + rest
}

fn quoted(table: &Name) -> String {
    format!("{}.{}", identifier(&table.schema), identifier(&table.name))
}

pub(crate) fn nulls(table: &Name, column: &str) -> Probe {
    let sql = probe_sql!("nulls", table = quoted(table), column = identifier(column));
    Probe { sql, meaning: format!("{}.{column} holds NULL", table.name) }
}

pub(crate) fn any_row(table: &Name) -> Probe {
    let sql = probe_sql!("any_row", table = quoted(table));
    Probe { sql, meaning: format!("{} has rows", table.name) }
}

pub(crate) fn duplicates(table: &Name, columns: &[String], predicate: Option<&str>) -> Probe {
    let columns_sql = identifiers(columns);
    let condition = predicate.map_or_else(|| "true".to_owned(), |text| format!("({text})"));
    let no_null: Vec<String> =
        columns.iter().map(|column| format!("{} is not null", identifier(column))).collect();
    let sql = probe_sql!(
        "duplicates",
        table = quoted(table),
        columns = columns_sql,
        no_null = no_null.join(" and "),
        condition = condition
    );
    Probe { sql, meaning: format!("{} holds the same ({}) more than once", table.name, columns.join(", ")) }
}

pub(crate) fn orphans(table: &Name, columns: &[String], parent: &Name, keys: &[String]) -> Probe {
    let pairs = columns.iter().zip(keys);
    let joined: Vec<String> = pairs
        .map(|(column, key)| format!("parent.{} = child.{}", identifier(key), identifier(column)))
        .collect();
    let no_null: Vec<String> =
        columns.iter().map(|column| format!("child.{} is not null", identifier(column))).collect();
    let sql = probe_sql!(
        "orphans",
        table = quoted(table),
        parent = quoted(parent),
        joined = joined.join(" and "),
        no_null = no_null.join(" and ")
    );
    Probe {
        sql,
        meaning: format!("{} has rows whose {} is not in {}", table.name, columns.join(", "), parent.name),
    }
}

pub(crate) fn violations(table: &Name, condition: &str) -> Probe {
    let sql = probe_sql!("violations", table = quoted(table), condition = condition);
    Probe { sql, meaning: format!("{} has rows for which `{condition}` is false", table.name) }
}

/// Whether the values that an UPDATE would write break a check, over rows that it would write.
pub(crate) fn computed(table: &Name, alias: &str, column: &str, expression: &str, condition: &str) -> Probe {
    let sql = probe_sql!(
        "computed",
        table = quoted(table),
        alias = identifier(alias),
        column = identifier(column),
        expression = expression,
        condition = condition
    );
    Probe { sql, meaning: format!("a value that it computes for {column} breaks `{condition}`") }
}

/// Whether a value does not fit into the new type.
pub(crate) fn overflow(table: &Name, column: &str, to: &TypeName) -> Option<Probe> {
    let column_sql = identifier(column);
    let fits = match (to.name.name.as_str(), to.modifiers.as_slice()) {
        ("int2", _) => format!("{column_sql} between -32768 and 32767"),
        ("int4", _) => format!("{column_sql} between -2147483648 and 2147483647"),
        ("varchar" | "bpchar", [length]) => {
            format!("length({column_sql}) <= {}", length.parse::<u32>().ok()?)
        }
        ("numeric", [precision, scale]) => {
            let whole = precision.parse::<i32>().ok()? - scale.parse::<i32>().ok()?;
            let scale: i32 = scale.parse().ok()?;
            format!("abs(round({column_sql}::numeric, {scale})) < 1e{whole}::numeric")
        }
        ("numeric", [precision]) => {
            format!("abs(round({column_sql}::numeric)) < 1e{}::numeric", precision.parse::<i32>().ok()?)
        }
        _ => return None,
    };
    let sql = probe_sql!("violations", table = quoted(table), condition = fits);
    Some(Probe {
        sql,
        meaning: format!("{}.{column} holds a value that does not fit {}", table.name, to.canonical),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_headers_are_left_out() {
        let probe = nulls(&Name::new("public", "Order"), "a b");
        assert_eq!(probe.sql, "select exists (select from public.\"Order\" where \"a b\" is null)");
    }

    #[test]
    fn composite_keys_are_compared_in_pairs() {
        let keys = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let probe =
            orphans(&Name::new("a", "c"), &keys(&["x", "y"]), &Name::new("b", "p"), &keys(&["k", "l"]));
        assert!(probe.sql.contains("parent.k = child.x and parent.l = child.y"), "{}", probe.sql);
    }
}
