//! Exclusion constraints, whose rows are compared with each other over the table, and conditions of domains.
//!
//! The catalog has both as PostgreSQL writes them; this takes them apart. Not for: counting.

use posthaste_base::catalog::{Constraint, TypeKind};
use posthaste_base::quote;
use posthaste_report::{Severity, Skipped};

use super::check::{About, Belief, Check, QueryCheck, RowCheck, ticked};
use super::count::shown;
use super::declared::{inside, matching, severity, validity};
use super::tables::{Table, Tables};
use super::types;
use crate::template::fill;

/// Where nothing is compared for equality, each row is compared with each other one.
const ROWS_MAX: u64 = 20_000;

pub(super) fn exclusion(table: &Table<'_>, constraint: &Constraint) -> Result<Check, Skipped> {
    let skipped = |why: &str| Skipped {
        what: format!(
            "exclusion constraint `{}` of `{}.{}`",
            constraint.name,
            table.name().schema,
            table.name().name
        ),
        why: why.to_owned(),
    };
    let elements =
        elements(&constraint.definition).ok_or_else(|| skipped("its definition could not be read"))?;
    let rows: u64 = table.leaves.iter().map(|leaf| leaf.size.rows.unwrap_or(leaf.size.bytes / 100)).sum();
    if rows > ROWS_MAX && !elements.iter().any(|(_, operator)| operator == "=") {
        return Err(skipped(
            "it compares nothing for equality, and each row would be compared with each other one",
        ));
    }
    let keys: Vec<String> =
        elements.iter().enumerate().map(|(place, (key, _))| format!("{key} as k{place}")).collect();
    let pairs: Vec<String> = elements
        .iter()
        .enumerate()
        .map(|(place, (_, operator))| format!("a.k{place} {operator} b.k{place}"))
        .collect();
    // An expression is no column.
    let columns: Vec<String> = constraint.columns.iter().filter(|name| !name.is_empty()).cloned().collect();
    let filter = predicate(&constraint.definition).unwrap_or("true");
    let query = fill(
        include_str!("../../sql/integrity/exclusion.sql"),
        &[
            ("shown", &shown(table, &columns)),
            ("keys", &keys.join(", ")),
            ("table", &table.from()),
            ("filter", filter),
            ("pairs", &pairs.join(" and ")),
        ],
    );
    let says = format!(
        "of `{}.{}` are not kept apart by `{}`, which promises it",
        table.name().schema,
        table.name().name,
        constraint.name
    );
    let about = About::new("exclusion-violated", severity(constraint), table.name(), says)
        .columns(&columns)
        .named(&constraint.name);
    Ok(Check::Query(QueryCheck { about: validity(about, constraint), query }))
}

/// What the domains of a table's columns promise of their values.
pub(super) fn domains(tables: &Tables<'_>, table: &Table<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    for col in &table.columns {
        let is_its = |kind: &&posthaste_base::catalog::TypeInfo| {
            kind.kind == TypeKind::Domain && kind.name == col.column.type_ref
        };
        let Some(domain) = tables.catalog.types.iter().find(is_its) else { continue };
        let value = format!("t.{}", quote::identifier(&col.column.name));
        if domain.is_not_null && !col.column.is_not_null {
            let says =
                format!("have no `{}`, whose domain `{}` is NOT NULL", col.column.name, domain.name.name);
            checks.push(Check::Row(RowCheck {
                about: About::new("not-null-violated", Severity::High, table.name(), says)
                    .columns([&col.column.name]),
                condition: format!("num_nulls({value}) > 0"),
                belief: Belief::Declared,
                beside: Vec::new(),
            }));
        }
        let base = types::base_type(tables.catalog, col.column);
        for constraint in &domain.checks {
            let Some(condition) = inside(&constraint.definition) else { continue };
            let says = format!(
                "break `{}` of the domain `{}` by {}: {condition}",
                constraint.name,
                domain.name.name,
                ticked([&col.column.name])
            );
            let about = About::new("check-violated", severity(constraint), table.name(), says);
            checks.push(Check::Row(RowCheck {
                about: validity(about.columns([&col.column.name]).named(&constraint.name), constraint),
                condition: format!("({}) is false", with_value(condition, &format!("({value}::{base})"))),
                belief: Belief::Declared,
                beside: Vec::new(),
            }));
        }
    }
    checks
}

/// The elements with their operators: `room WITH =, tsrange(a, b) WITH &&` stands in the first brackets.
fn elements(definition: &str) -> Option<Vec<(String, String)>> {
    let all = parts(inside(definition)?);
    let element = |text: &str| {
        let (key, operator) = text.trim().rsplit_once(" WITH ")?;
        Some((key_of(key)?.to_owned(), operator.trim().to_owned()))
    };
    all.into_iter().map(element).collect()
}

/// The column or expression of an element, without its collation and operator class.
fn key_of(text: &str) -> Option<&str> {
    let end = match text.chars().next()? {
        '"' => text.char_indices().skip(1).find(|(_, letter)| *letter == '"').map(|(place, _)| place + 1)?,
        '(' => matching(text, 0)? + 1,
        _ => {
            let is_of_name = |letter: char| letter.is_alphanumeric() || "_$.".contains(letter);
            let name = text.find(|letter| !is_of_name(letter)).unwrap_or(text.len());
            if text[name..].starts_with('(') { matching(text, name)? + 1 } else { name }
        }
    };
    // A quote in a name is written twice: such a name is left alone.
    (!text[end..].starts_with('"')).then(|| &text[..end])
}

/// What stands between commas, those in brackets and quotes left out.
fn parts(text: &str) -> Vec<&str> {
    let (mut all, mut start, mut skip_to) = (Vec::new(), 0, 0);
    let mut quoted_by = None;
    for (place, letter) in text.char_indices() {
        match (quoted_by, letter) {
            _ if place < skip_to => {}
            (Some(quote), letter) if letter == quote => quoted_by = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quoted_by = Some(letter),
            (None, '(') => skip_to = matching(text, place).unwrap_or(text.len()),
            (None, ',') => {
                all.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    all.push(&text[start..]);
    all
}

/// Which rows it is about, if not all.
fn predicate(definition: &str) -> Option<&str> {
    let start = definition.find('(')?;
    let rest = &definition[matching(definition, start)? + 1..];
    inside(rest.trim_start().strip_prefix("WHERE")?)
}

/// The condition of a domain, in terms of a column.
fn with_value(condition: &str, value: &str) -> String {
    let mut text = String::with_capacity(condition.len());
    let (mut quoted_by, mut word) = (None, String::new());
    for letter in condition.chars().chain([' ']) {
        if quoted_by.is_none() && (letter.is_alphanumeric() || "_$".contains(letter)) {
            word.push(letter);
            continue;
        }
        text.push_str(if word == "VALUE" { value } else { &word });
        word.clear();
        match quoted_by {
            Some(quote) if letter == quote => quoted_by = None,
            None if letter == '\'' || letter == '"' => quoted_by = Some(letter),
            _ => {}
        }
        text.push(letter);
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_taken_apart() {
        for (definition, expected) in [
            ("EXCLUDE USING gist (room WITH =, during WITH &&)", Some(vec![("room", "="), ("during", "&&")])),
            (
                "EXCLUDE USING gist (\"a, b\" gist_int4_ops WITH OPERATOR(public.=), tsrange(a, b, '[)'::text) WITH &&) WHERE ((NOT gone))",
                Some(vec![("\"a, b\"", "OPERATOR(public.=)"), ("tsrange(a, b, '[)'::text)", "&&")]),
            ),
            ("EXCLUDE USING btree (((a || b)) COLLATE \"C\" WITH =)", Some(vec![("((a || b))", "=")])),
            ("EXCLUDE USING gist (\"a\"\"b\" WITH =)", None),
            ("", None),
        ] {
            let found = elements(definition);
            let found: Option<Vec<(&str, &str)>> = found
                .as_ref()
                .map(|all| all.iter().map(|(key, operator)| (key.as_str(), operator.as_str())).collect());
            assert_eq!(found, expected, "{definition}");
        }
        assert_eq!(predicate("EXCLUDE USING gist (a WITH =) WHERE ((NOT gone))"), Some("(NOT gone)"));
        assert_eq!(predicate("EXCLUDE USING gist (a WITH =)"), None);
    }

    #[test]
    fn the_value_of_a_domain_is_a_column() {
        for (condition, expected) in [
            ("VALUE > 0", "t.a > 0"),
            (
                "(VALUE ~ 'VALUE'::text) AND (\"VALUE\"(VALUE) > MYVALUE)",
                "(t.a ~ 'VALUE'::text) AND (\"VALUE\"(t.a) > MYVALUE)",
            ),
            ("VALUE", "t.a"),
        ] {
            assert_eq!(with_value(condition, "t.a"), expected);
        }
    }
}
