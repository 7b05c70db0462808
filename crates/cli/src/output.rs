//! What commands print: data on standard output, as tables and lines for people or as one JSON document.
//!
//! Everything that is shown is serialisable, and the human form is made from the same data, so that the two
//! cannot differ. Not for: talk (see `ask::talk`) and errors (see `failure`).

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The version of the JSON documents, which grows when one changes its meaning.
const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and lines.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Output {
    /// How to print what is found.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A column of a table: its heading, and the place of its value in each row, such as `settings.batch`.
pub(crate) type Column = (&'static str, &'static str);

impl Output {
    /// Prints several things of one kind: `{"version": 1, "<name>": [...]}`, or a table.
    pub(crate) fn list<T: Serialize>(
        self,
        name: &str,
        items: &[T],
        columns: &[Column],
    ) -> anyhow::Result<()> {
        if self.format == Format::Json {
            return self.document(name, &items);
        }
        let items = items.iter().map(outside).collect::<Result<Vec<_>, _>>()?;
        let headings = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let rows = items.iter().map(|item| columns.iter().map(|(_, place)| shown(at(item, place))).collect());
        let table: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
        text(&aligned(&table))
    }

    /// Prints one thing: `{"version": 1, "<name>": {...}}`, or a line for each of its fields.
    pub(crate) fn one<T: Serialize>(self, name: &str, item: &T) -> anyhow::Result<()> {
        if self.format == Format::Json {
            return self.document(name, item);
        }
        let mut rows = Vec::new();
        flatten("", &numbered(outside(item)?), &mut |place, value| {
            rows.push(vec![place.to_owned(), shown(Some(value))]);
        });
        text(&aligned(&rows))
    }

    fn document<T: Serialize>(self, name: &str, content: &T) -> anyhow::Result<()> {
        let mut document = Map::new();
        document.insert("version".into(), json!(VERSION));
        document.insert(name.into(), outside(content)?);
        text(&format!("{}\n", serde_json::to_string_pretty(&document)?))
    }
}

/// Writes to standard output as it is. A reader that went away ends the command without an error.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

pub(crate) fn line(line: impl std::fmt::Display) -> anyhow::Result<()> {
    text(&format!("{line}\n"))
}

/// Rows as lines, with each column as wide as its widest value.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many, in words: `1 dead letter`, `2 dead letters`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// As data, under the names that HTTP uses too.
fn outside<T: Serialize + ?Sized>(item: &T) -> serde_json::Result<Value> {
    serde_json::to_value(item).map(camel_case)
}

/// What is below these has names that are the caller's own.
const CALLERS: &[&str] = &[
    "payload",
    "attributes",
    "headers",
    "filter",
    "schema",
    "dates",
    "event_types",
    "eventTypes",
    "old",
    "new",
];

fn camel_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let rename = |(name, value): (String, Value)| match CALLERS.contains(&name.as_str()) {
                true => (camel(&name), value),
                false => (camel(&name), camel_case(value)),
            };
            Value::Object(fields.into_iter().map(rename).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(camel_case).collect()),
        value => value,
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut text, word| {
        let mut letters = word.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text.push_str(letters.as_str());
        text
    })
}

/// Lists of objects as objects by number, so that each of their values gets a line of its own.
fn numbered(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, numbered(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            let width = values.len().to_string().len();
            let name = |place: usize| format!("{:0width$}", place + 1);
            let rows = values.into_iter().enumerate();
            rows.map(|(place, value)| (name(place), numbered(value))).collect::<Map<_, _>>().into()
        }
        value => value,
    }
}

/// Every value that is not an object, with its dotted place.
pub(crate) fn flatten(place: &str, value: &Value, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                flatten(&place, value, each);
            }
        }
        value => each(place, value),
    }
}

fn at<'a>(value: &'a Value, place: &str) -> Option<&'a Value> {
    place.split('.').try_fold(value, |value, name| value.get(name))
}

/// A value for people. Times lose their fractions of a second.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::Object(fields)) if fields.is_empty() => "-".to_owned(),
        Some(Value::Bool(is)) => (if *is { "yes" } else { "no" }).to_owned(),
        Some(Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(time) if text.ends_with('Z') => format!("{time:.0}"),
            _ => text.replace(['\n', '\r', '\t'], " "),
        },
        Some(Value::Array(values)) if values.is_empty() => "-".to_owned(),
        Some(Value::Array(values)) if values.iter().all(|value| !value.is_object() && !value.is_array()) => {
            values.iter().map(|value| shown(Some(value))).collect::<Vec<_>>().join(", ")
        }
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_value() {
        let rows = [["NAME", "DEPTH"], ["critical", "12"], ["low", "3"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "NAME      DEPTH\ncritical  12\nlow       3\n");
    }

    #[test]
    fn our_names_are_those_of_http_and_the_callers_stay() {
        let inside = json!({"in_flight_max": 1, "list": [{"open_ms": 2}], "payload": {"order_id": 3}});
        let expected = json!({"inFlightMax": 1, "list": [{"openMs": 2}], "payload": {"order_id": 3}});
        assert_eq!(camel_case(inside), expected);
    }

    #[test]
    fn each_value_of_a_list_of_objects_has_a_line() {
        let mut places = Vec::new();
        let item = numbered(json!({"attempts": [{"code": "a"}, {"code": "b"}], "ids": [1, 2]}));
        flatten("", &item, &mut |place, value| places.push(format!("{place}={}", shown(Some(value)))));
        assert_eq!(places, ["attempts.1.code=a", "attempts.2.code=b", "ids=1, 2"]);
    }

    #[test]
    fn values_are_shown_for_people() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!(true), "yes"),
            (json!("2026-03-01T09:00:00.123456Z"), "2026-03-01T09:00:00Z"),
            (
                json!("2026-03-01T09:00:00.5+01:00[Europe/Berlin]"),
                "2026-03-01T09:00:00.5+01:00[Europe/Berlin]",
            ),
            (json!("two\nlines"), "two lines"),
            (json!([]), "-"),
            (json!(["a", 1]), "a, 1"),
            (json!({}), "-"),
            (json!(""), "-"),
        ] {
            assert_eq!(shown(Some(&value)), expected);
        }
        assert_eq!(shown(at(&json!({"a": {"b": 1}}), "a.b")), "1");
        assert_eq!(shown(at(&json!({"a": 1}), "a.b")), "-");
    }
}
