//! What commands print: data on standard output, as tables and lines for people or as one JSON document.
//!
//! Everything that is shown is serialisable, and the human form is made from the same data, so that the two
//! cannot differ. Not for: talk (see `ask::talk`) and errors (see `failure`).

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use rustix::termios::tcgetwinsize;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// The version of the JSON documents, which grows when one changes its meaning.
const VERSION: u32 = 1;
/// No cell is cut to less.
const CELL_CHARS_MIN: usize = 8;

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
        let rows =
            items.iter().map(|item| columns.iter().map(|(_, place)| shown(place, at(item, place))).collect());
        let mut table: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
        if io::stdout().is_terminal()
            && let Ok(size) = tcgetwinsize(io::stdout())
            && size.ws_col > 0
        {
            fit(&mut table, size.ws_col.into());
        }
        text(&aligned(&table))
    }

    /// Prints one thing: `{"version": 1, "<name>": {...}}`, or a line for each of its fields.
    pub(crate) fn one<T: Serialize>(self, name: &str, item: &T) -> anyhow::Result<()> {
        if self.format == Format::Json {
            return self.document(name, item);
        }
        let mut rows = Vec::new();
        spread("", outside(item)?, &mut |place, value| {
            rows.push(vec![place.to_owned(), shown(place, Some(value))]);
        })?;
        text(&aligned(&rows))
    }

    fn document<T: Serialize>(self, name: &str, content: &T) -> anyhow::Result<()> {
        let version = Data::Text(to_raw_value(&VERSION)?);
        let document = Data::Object([("version".into(), version), (name.into(), outside(content)?)].into());
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

/// Cuts what is longest in a table that is wider than the terminal, so that each row stays one line. Headings stay, and
/// so does what another program reads.
fn fit(rows: &mut [Vec<String>], width: usize) {
    let Some(headings) = rows.first() else { return };
    let least: Vec<usize> =
        headings.iter().map(|heading| heading.chars().count().max(CELL_CHARS_MIN)).collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..least.len()).map(widest).collect();
    while widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) > width {
        let spare = (0..widths.len()).filter(|column| widths[*column] > least[*column]);
        let Some(longest) = spare.max_by_key(|column| widths[*column]) else { break };
        widths[longest] -= 1;
    }
    for row in rows {
        for (cell, width) in
            row.iter_mut().zip(&widths).filter(|(cell, width)| cell.chars().count() > **width)
        {
            *cell = cell.chars().take(width - 1).chain(['…']).collect();
        }
    }
}

/// How many, in words: `1 dead letter`, `2 dead letters`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// What is printed: our own fields by name, and the rest as the text that it was written as, so that a payload is shown
/// as it was sent (`42.50`, and not `42.5`).
#[derive(Clone, Debug)]
enum Data {
    Object(BTreeMap<String, Data>),
    Array(Vec<Data>),
    Text(Box<RawValue>),
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(fields) => fields.serialize(serializer),
            Self::Array(values) => values.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

/// As data, under the names that HTTP uses too.
fn outside<T: Serialize + ?Sized>(item: &T) -> serde_json::Result<Data> {
    opened(to_raw_value(item)?, &|name| {
        let ours = !CALLERS.contains(&name);
        (if ours { camel(name) } else { name.to_owned() }, ours)
    })
}

/// What is below these has names that are the caller's own.
const CALLERS: &[&str] = &[
    "payload",
    "attributes",
    "headers",
    "body",
    "filter",
    "schema",
    "dates",
    "event_types",
    "eventTypes",
    "old",
    "new",
];

/// Reads objects and lists. `name` gives a field's name, and whether to go on below it.
fn opened(text: Box<RawValue>, name: &impl Fn(&str) -> (String, bool)) -> serde_json::Result<Data> {
    match text.get().as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text.get())?;
            let fields = fields.into_iter().map(|(field, value)| {
                let (field, goes_on) = name(&field);
                Ok((field, if goes_on { opened(value, name)? } else { Data::Text(value) }))
            });
            fields.collect::<serde_json::Result<_>>().map(Data::Object)
        }
        Some(b'[') => {
            let values: Vec<Box<RawValue>> = serde_json::from_str(text.get())?;
            let values = values.into_iter().map(|value| opened(value, name));
            values.collect::<serde_json::Result<_>>().map(Data::Array)
        }
        _ => Ok(Data::Text(text)),
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

/// A message of the reader of JSON, with the names between backticks as HTTP has them.
pub(crate) fn outside_names(message: &str) -> String {
    let parts = message.split('`').enumerate();
    parts
        .map(|(n, part)| if n % 2 == 1 { camel(part) } else { part.to_owned() })
        .collect::<Vec<_>>()
        .join("`")
}

/// The name in the configuration file of what HTTP calls `inFlightMax`.
pub(crate) fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
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

/// The same of what is printed. Lists of objects are objects by number, so that each of
/// their values has a line of its own.
fn spread(place: &str, value: Data, each: &mut impl FnMut(&str, &Data)) -> serde_json::Result<()> {
    match opened_whole(value)? {
        Data::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let place = if place.is_empty() { name } else { format!("{place}.{name}") };
                spread(&place, value, each)?;
            }
        }
        Data::Array(values) if values.iter().any(is_object) => {
            let width = values.len().to_string().len();
            for (n, value) in (1..).zip(values) {
                spread(&format!("{place}.{n:0width$}"), value, each)?;
            }
        }
        value => each(place, &value),
    }
    Ok(())
}

/// The caller's own too.
fn opened_whole(value: Data) -> serde_json::Result<Data> {
    match value {
        Data::Text(text) => opened(text, &|name| (name.to_owned(), true)),
        value => Ok(value),
    }
}

fn is_object(value: &Data) -> bool {
    match value {
        Data::Object(_) => true,
        Data::Array(_) => false,
        Data::Text(text) => text.get().starts_with('{'),
    }
}

fn at<'a>(value: &'a Data, place: &str) -> Option<&'a Data> {
    place.split('.').try_fold(value, |value, name| match value {
        Data::Object(fields) => fields.get(name),
        _ => None,
    })
}

/// The value at a place, for people. Our own times lose their fractions of a second; what is a caller's stays as it is.
fn shown(place: &str, value: Option<&Data>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Data::Object(fields)) if fields.is_empty() => "-".to_owned(),
        Some(Data::Array(values)) if values.is_empty() => "-".to_owned(),
        Some(Data::Array(values)) if values.iter().all(|value| matches!(value, Data::Text(_))) => {
            values.iter().map(|value| shown(place, Some(value))).collect::<Vec<_>>().join(", ")
        }
        Some(Data::Text(text)) => shown_text(place, text.get()),
        Some(value) => serde_json::to_string(value).unwrap_or_default(),
    }
}

fn shown_text(place: &str, text: &str) -> String {
    let is_ours = !place.split('.').any(|name| CALLERS.contains(&name));
    match text {
        "null" | "\"\"" | "{}" | "[]" => "-".to_owned(),
        "true" => "yes".to_owned(),
        "false" => "no".to_owned(),
        text => match serde_json::from_str::<String>(text) {
            // Ages are measured to the microsecond, which nobody reads.
            Err(_) => match text.parse::<f64>() {
                Ok(seconds) if is_ours && place.ends_with("Seconds") && text.contains('.') => {
                    format!("{seconds:.1}")
                }
                _ => text.to_owned(),
            },
            Ok(text) => match text.parse::<Timestamp>() {
                Ok(time) if is_ours && text.ends_with('Z') => format!("{time:.0}"),
                _ => text.replace(['\n', '\r', '\t'], " "),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_value() {
        let rows = [["NAME", "DEPTH"], ["critical", "12"], ["low", "3"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "NAME      DEPTH\ncritical  12\nlow       3\n");
    }

    #[test]
    fn a_table_wider_than_the_terminal_is_cut_where_it_is_longest() {
        let check = |width: usize, expected: &str| {
            let mut rows = [["ID", "ERROR"], ["17", "the endpoint failed (HTTP 503)"]]
                .map(|row| row.map(str::to_owned).to_vec());
            fit(&mut rows, width);
            assert_eq!(aligned(&rows), expected, "{width}");
        };
        check(80, "ID  ERROR\n17  the endpoint failed (HTTP 503)\n");
        check(20, "ID  ERROR\n17  the endpoint fa…\n");
        check(5, "ID  ERROR\n17  the end…\n");
    }

    #[test]
    fn names_of_settings_are_those_of_the_configuration_file() {
        for name in ["inFlightMax", "in_flight_max", "batch"] {
            assert_eq!(camel(&snake(name)), camel(name));
        }
        assert_eq!(snake("batchWindowSeconds"), "batch_window_seconds");
        let message = "unknown field `timeut`, expected one of `timeout_ms`, `batch`";
        assert_eq!(outside_names(message), "unknown field `timeut`, expected one of `timeoutMs`, `batch`");
    }

    #[test]
    fn our_names_are_those_of_http_and_the_callers_stay() {
        let inside = json!({"in_flight_max": 1, "list": [{"open_ms": 2}], "payload": {"order_id": 3}});
        let expected = json!({"inFlightMax": 1, "list": [{"openMs": 2}], "payload": {"order_id": 3}});
        assert_eq!(json!(outside(&inside).unwrap()), expected);
    }

    #[track_caller]
    fn check_lines(item: &impl Serialize, expected: &[&str]) {
        let mut lines = Vec::new();
        let each =
            &mut |place: &str, value: &Data| lines.push(format!("{place}={}", shown(place, Some(value))));
        spread("", outside(item).unwrap(), each).unwrap();
        assert_eq!(lines, expected);
    }

    #[test]
    fn each_value_of_a_list_of_objects_has_a_line() {
        let item = json!({"attempts": [{"code": "a"}, {"code": "b"}], "ids": [1, 2]});
        check_lines(&item, &["attempts.1.code=a", "attempts.2.code=b", "ids=1, 2"]);
    }

    #[test]
    fn what_callers_wrote_is_shown_as_they_wrote_it() {
        let payload = RawValue::from_string(r#"{"b":42.50, "a":[1e2,-0.0]}"#.into()).unwrap();
        let item = BTreeMap::from([("payload", payload)]);
        check_lines(&item, &["payload.a=1e2, -0.0", "payload.b=42.50"]);
        let precise =
            json!({"payload": {"lat": 52.520008, "at": "2026-03-01T09:00:00.25Z", "waitSeconds": 0.125}});
        check_lines(
            &precise,
            &["payload.at=2026-03-01T09:00:00.25Z", "payload.lat=52.520008", "payload.waitSeconds=0.125"],
        );
        let document = serde_json::to_string(&outside(&item).unwrap()).unwrap();
        assert_eq!(document, r#"{"payload":{"b":42.50, "a":[1e2,-0.0]}}"#);
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
            assert_eq!(shown("a", Some(&outside(&value).unwrap())), expected);
        }
        assert_eq!(shown("a.b", at(&outside(&json!({"a": {"b": 1}})).unwrap(), "a.b")), "1");
        assert_eq!(shown("a.b", at(&outside(&json!({"a": 1})).unwrap(), "a.b")), "-");
        assert_eq!(shown("depth.oldestAgeSeconds", Some(&outside(&json!(2.987_654)).unwrap())), "3.0");
    }
}
