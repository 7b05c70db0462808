//! The shapes of what is sent and answered, as data: bodies are checked against them, and the OpenAPI document
//! is written from them, so that the two cannot disagree.
//!
//! Fields are `camelCase` outside and `snake_case` inside; a shape says which names are ours to change and which
//! (in payloads, filters, attributes) are the caller's. Not for: what a value means, which the broker checks.

use jiff::Timestamp;
use posthaste_base::{Code, Error, Result, Violation};
use posthaste_broker::intake::unknown_field;
use serde_json::{Map, Value};

/// An object with a name.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    /// Whether an answer may have `null` there.
    pub(crate) is_nullable: bool,
    pub(crate) about: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Bool,
    /// A whole number from the least to the most.
    Int(i64, i64),
    Number,
    Time,
    Priority,
    OneOf(&'static [&'static str]),
    /// An object with the caller's own names.
    Object,
    /// An object with the caller's own names, and texts as values.
    Texts,
    /// Any JSON.
    Any,
    Of(&'static Shape),
    List(&'static Kind),
}

/// What names become on their way in.
type Rename = fn(&str) -> String;

/// A field that may be left out.
pub(crate) const fn may(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, is_required: false, is_nullable: true, about }
}

/// A field that must be there.
pub(crate) const fn must(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, is_required: true, is_nullable: false, about }
}

/// A field of an answer that is always there, with `null` where there is nothing to say.
pub(crate) const fn or_null(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, is_required: true, is_nullable: true, about }
}

/// `{"items", "nextCursor"}` around what is listed.
pub(crate) const fn page_fields(item: &'static Kind) -> [Field; 2] {
    [
        must("items", Kind::List(item), "What was asked for, in the order of the listing."),
        may("nextCursor", Kind::Text, "There when there is more: the `cursor` of the next request."),
    ]
}

impl Shape {
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Checks what was sent, and gives it the names that we use inside. Says all that is wrong at once.
    pub(crate) fn read(&'static self, value: Value) -> Result<Value> {
        self.read_with(snake, value)
    }

    /// The same for the types of the broker's that have the names of outside.
    pub(crate) fn check(&'static self, value: Value) -> Result<Value> {
        self.read_with(str::to_owned, value)
    }

    fn read_with(&'static self, rename: Rename, value: Value) -> Result<Value> {
        let Value::Object(members) = value else {
            return Err(
                Error::new(Code::InvalidParameter, "the body is not an object").expected("a JSON object")
            );
        };
        let mut wrong = Vec::new();
        let read = read_object(self, members, "", rename, &mut wrong);
        // A field that is misspelt explains one that is missing.
        wrong.sort_by_key(|error| error.code() != Code::UnknownParameter);
        let mut wrong = wrong.into_iter();
        let Some(first) = wrong.next() else { return Ok(read) };
        let others: Vec<Violation> = wrong.map(|error| violation(&error)).collect();
        Err(first.violations(others))
    }

    /// Gives an answer the names that are used outside.
    pub(crate) fn write(&'static self, value: Value) -> Value {
        write(Kind::Of(self), value)
    }
}

fn violation(error: &Error) -> Violation {
    let pointer = format!("/{}", error.field_name().unwrap_or_default().replace('.', "/"));
    let message = match error.expectation() {
        Some(expected) => format!("{}, expected {expected}", error.message()),
        None => error.message().to_owned(),
    };
    Violation { pointer, message }
}

fn read_object(
    shape: &'static Shape,
    members: Map<String, Value>,
    path: &str,
    rename: Rename,
    wrong: &mut Vec<Error>,
) -> Value {
    for field in shape.fields.iter().filter(|field| field.is_required && !members.contains_key(field.name)) {
        let message = format!("`{}` is not there", field.name);
        let error = Error::new(Code::InvalidParameter, message).field(format!("{path}{}", field.name));
        wrong.push(error.expected(expectation(field.kind)));
    }
    let mut read = Map::new();
    for (name, value) in members {
        let Some(field) = shape.field(&name) else {
            wrong.push(unknown_field(path, &name, shape.fields.iter().map(|field| field.name)));
            continue;
        };
        let path = format!("{path}{name}");
        if value.is_null() && field.is_required {
            wrong.push(mistaken(&path, field.kind));
        } else {
            read.insert(rename(&name), read_value(field.kind, value, &path, rename, wrong));
        }
    }
    Value::Object(read)
}

/// `null` is let through: it says that a value is taken away, where that is possible.
fn read_value(kind: Kind, value: Value, path: &str, rename: Rename, wrong: &mut Vec<Error>) -> Value {
    // The database keeps no NUL in a text, and no name has one.
    if matches!(kind, Kind::Text | Kind::Object | Kind::Texts | Kind::Any) && has_nul(&value) {
        wrong.push(mistaken(path, kind).expected("a value without the character NUL"));
        return Value::Null;
    }
    let is_right = match (kind, &value) {
        (Kind::Any, _) | (_, Value::Null) | (Kind::Text, Value::String(_)) => true,
        (Kind::Time, Value::String(text)) => text.parse::<Timestamp>().is_ok(),
        (Kind::Bool, Value::Bool(_)) => true,
        (Kind::Int(least, most), Value::Number(number)) => {
            number.as_i64().is_some_and(|number| (least..=most).contains(&number))
        }
        (Kind::Number, Value::Number(_)) | (Kind::Object, Value::Object(_)) => true,
        (Kind::Priority, Value::String(text)) => text.parse::<posthaste_base::Priority>().is_ok(),
        (Kind::OneOf(known), Value::String(text)) => known.contains(&text.as_str()),
        (Kind::Texts, Value::Object(members)) => members.values().all(Value::is_string),
        (Kind::Of(_), Value::Object(_)) | (Kind::List(_), Value::Array(_)) => true,
        _ => false,
    };
    if !is_right {
        wrong.push(mistaken(path, kind));
        return Value::Null;
    }
    match (kind, value) {
        (Kind::Of(shape), Value::Object(members)) => {
            read_object(shape, members, &format!("{path}."), rename, wrong)
        }
        (Kind::List(item), Value::Array(items)) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(at, value)| read_value(*item, value, &format!("{path}.{at}"), rename, wrong))
                .collect()
        }
        (_, value) => value,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn mistaken(path: &str, kind: Kind) -> Error {
    Error::new(Code::InvalidParameter, "the value is not allowed").field(path).expected(expectation(kind))
}

fn expectation(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".into(),
        Kind::Bool => "true or false".into(),
        Kind::Int(least, i64::MAX) => format!("a whole number from {least}"),
        Kind::Int(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Number => "a number".into(),
        Kind::Time => "a time such as `2026-03-01T09:00:00Z`".into(),
        Kind::Priority => "CRITICAL, HIGH, NORMAL or LOW".into(),
        Kind::OneOf(known) => format!("one of `{}`", known.join("`, `")),
        Kind::Object | Kind::Of(_) => "an object".into(),
        Kind::Texts => "an object of texts".into(),
        Kind::Any => "a value".into(),
        Kind::List(_) => "a list".into(),
    }
}

fn write(kind: Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Of(shape), Value::Object(members)) => {
            let written = members.into_iter().map(|(name, value)| {
                let name = camel(&name);
                let field = shape.field(&name);
                debug_assert!(field.is_some(), "the shape `{}` has no field `{name}`", shape.name);
                (name, write(field.map_or(Kind::Any, |field| field.kind), value))
            });
            Value::Object(written.collect())
        }
        (Kind::List(item), Value::Array(items)) => {
            items.into_iter().map(|value| write(*item, value)).collect()
        }
        (_, value) => value,
    }
}

/// An error of the broker's with its field named as outside.
pub(crate) fn outside(error: Error) -> Error {
    let field = error.field_name().filter(|field| field.contains('_')).map(camel_path);
    let violations = error.all_violations();
    let error = match violations.iter().any(|violation| violation.pointer.contains('_')) {
        true => {
            let renamed = violations.iter().map(|violation| Violation {
                pointer: camel_path(&violation.pointer),
                message: violation.message.clone(),
            });
            let renamed = renamed.collect();
            error.violations(renamed)
        }
        false => error,
    };
    match field {
        Some(field) => error.field(field),
        None => error,
    }
}

/// What stands below these has the caller's own names.
const FOREIGN: [&str; 6] = ["headers", "filter", "schema", "payload", "attributes", "dates"];

fn camel_path(path: &str) -> String {
    let mut is_ours = true;
    let parts = path.split_inclusive(['.', '/']).map(|part| {
        let written = if is_ours { camel(part) } else { part.to_owned() };
        is_ours &= !FOREIGN.contains(&part.trim_end_matches(['.', '/']));
        written
    });
    parts.collect()
}

pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut is_start = false;
    for (at, letter) in name.char_indices() {
        match letter {
            '_' if at > 0 => is_start = true,
            _ if is_start => {
                camel.push(letter.to_ascii_uppercase());
                is_start = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static INNER: Shape =
        Shape { name: "Inner", about: "", fields: &[must("delaySeconds", Kind::Int(0, 10), "")] };
    static OUTER: Shape = Shape {
        name: "Outer",
        about: "",
        fields: &[
            must("name", Kind::Text, ""),
            may("settings", Kind::Of(&INNER), ""),
            may("filter", Kind::Object, ""),
            may("priority", Kind::Priority, ""),
        ],
    };

    #[test]
    fn our_names_change_and_the_callers_stay() {
        let sent =
            json!({"name": "a", "settings": {"delaySeconds": 3}, "filter": {"orderId": ["x"], "a_b": 1}});
        let read = OUTER.read(sent.clone()).unwrap();
        assert_eq!(read["settings"], json!({"delay_seconds": 3}));
        assert_eq!(read["filter"], sent["filter"]);
        assert_eq!(OUTER.write(read), sent);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = OUTER
            .read(json!({"settings": {"delaySeconds": 11, "dlay": 1}, "filter": [], "priority": "URGENT"}))
            .unwrap_err();
        assert_eq!(error.field_name(), Some("settings.dlay"));
        let pointers: Vec<_> = error.all_violations().iter().map(|found| found.pointer.as_str()).collect();
        assert_eq!(pointers, ["/name", "/filter", "/priority", "/settings/delaySeconds"]);
    }

    #[test]
    fn an_unknown_field_names_the_nearest() {
        let error = OUTER.read(json!({"name": "a", "prioritty": "LOW"})).unwrap_err();
        assert_eq!((error.code(), error.expectation()), (Code::UnknownParameter, Some("perhaps `priority`")));
    }

    #[test]
    fn errors_of_the_broker_name_fields_as_outside() {
        for (inside, expected) in [
            ("overlap_seconds", "overlapSeconds"),
            ("settings.in_flight_max", "settings.inFlightMax"),
            ("headers.x_a", "headers.x_a"),
            ("filter/order_id", "filter/order_id"),
        ] {
            let error = outside(Error::new(Code::InvalidParameter, "wrong").field(inside));
            assert_eq!(error.field_name(), Some(expected));
        }
    }
}
