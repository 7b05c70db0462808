//! Reads TOML as data that knows where everything stands, and collects all that is wrong with it.
//!
//! Settings are read leaf by leaf into a copy of their defaults, so that one wrong value does not hide the
//! next. Not for: what the settings mean.

use std::collections::HashMap;

use posthaste_base::{Code, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A document, where its keys stand, and what is wrong so far.
pub(super) struct Reader {
    /// By dotted path, from 1.
    lines: HashMap<String, usize>,
    pub(super) errors: Vec<Error>,
}

impl Reader {
    /// None when the text is not TOML at all; the errors then say where.
    pub(super) fn read(text: &str) -> (Self, Option<Map<String, Value>>) {
        let mut reader = Self { lines: HashMap::new(), errors: Vec::new() };
        let starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let line_of = |at: usize| starts.partition_point(|start| *start <= at);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(String::new(), |span| format!("line {}: ", line_of(span.start)));
            let message = format!("{line}{}", error.message().trim());
            reader.errors.push(Error::new(Code::InvalidConfig, message).expected("well-formed TOML"));
        }
        if !errors.is_empty() {
            return (reader, None);
        }
        let table = reader.table(table.into_inner(), "", &line_of);
        (reader, Some(table))
    }

    /// Notes an error about `path`, with its line.
    pub(super) fn report(&mut self, path: &str, error: Error) {
        let line = self.line(path);
        let told = Error::new(error.code(), format!("{line}{}", error.message())).field(path);
        let told = match error.expectation() {
            Some(expected) => told.expected(expected),
            None => told,
        };
        let told = told.violations(error.all_violations().to_vec());
        let told = if error.next_step() == error.code().next_step() {
            told
        } else {
            told.hint(error.next_step().to_string())
        };
        self.errors.push(told);
    }

    /// Notes an error of something at `path`, whose own field is below it.
    pub(super) fn report_below(&mut self, path: &str, error: Error) {
        let path = match error.field_name() {
            Some(field) => format!("{path}.{field}"),
            None => path.to_string(),
        };
        self.report(&path, error);
    }

    /// Reads `value` into a copy of `base`. `template` shows every key that is known; where it holds an object,
    /// so must the value, and an empty object takes any keys.
    pub(super) fn settings<T>(&mut self, value: &Value, path: &str, base: &T, template: &Value) -> T
    where
        T: Clone + Serialize + DeserializeOwned,
    {
        let Ok(mut current) = serde_json::to_value(base) else { return base.clone() };
        self.leaves::<T>(value, path, template, &mut current, &mut Vec::new());
        serde_json::from_value(current).unwrap_or_else(|_| base.clone())
    }

    /// The object at `path`, or a note that it is something else.
    pub(super) fn object<'a>(&mut self, value: &'a Value, path: &str) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            let error = Error::new(Code::InvalidConfig, format!("{} is not a table", shown(value)));
            let expected = match value {
                Value::Array(_) => format!("a table for each one, by its name: `[{path}.NAME]`"),
                _ => "a table".into(),
            };
            self.report(path, error.expected(expected));
        }
        object
    }

    pub(super) fn unknown_key<'a>(
        &mut self,
        path: &str,
        key: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let known: Vec<_> = known.into_iter().collect();
        let error = Error::new(Code::UnknownConfigKey, format!("there is no key `{key}` here"));
        let error = match nearest(key, known.iter().copied()) {
            Some(name) => error
                .expected(format!("`{name}`"))
                .hint(format!("did you mean `{name}`? Correct its spelling")),
            None => error.expected(format!("one of {}", known.join(", "))),
        };
        self.report(path, error);
    }

    fn leaves<T: DeserializeOwned>(
        &mut self,
        value: &Value,
        path: &str,
        template: &Value,
        current: &mut Value,
        place: &mut Vec<String>,
    ) {
        let Some(object) = self.object(value, path) else { return };
        let Some(known) = template.as_object() else { return };
        for (key, value) in object {
            let path = join(path, key);
            let Some(template) = known.get(key) else {
                self.unknown_key(&path, key, known.keys().map(String::as_str));
                continue;
            };
            place.push(key.clone());
            let is_record = template.as_object().is_some_and(|fields| !fields.is_empty());
            let is_there = at(current, place).is_some_and(Value::is_object);
            match (is_record, is_there) {
                (true, true) => self.leaves::<T>(value, &path, template, current, place),
                // A record that is optional and not there yet is taken as a whole.
                (true, false) => self.whole::<T>(value, &path, template, current, place),
                (false, _) => self.leaf::<T>(value, &path, current, place),
            }
            place.pop();
        }
    }

    fn whole<T: DeserializeOwned>(
        &mut self,
        value: &Value,
        path: &str,
        template: &Value,
        current: &mut Value,
        place: &[String],
    ) {
        let Some(object) = self.object(value, path) else { return };
        let known = || template.as_object().into_iter().flat_map(|known| known.keys().map(String::as_str));
        let mut is_known = true;
        for key in object.keys().filter(|key| template.get(key).is_none()) {
            self.unknown_key(&join(path, key), key, known());
            is_known = false;
        }
        // A field that could not be read was reported, and would now be missed as well.
        let below = format!("{path}.");
        let is_read = |error: &Error| error.field_name().is_none_or(|field| !field.starts_with(&below));
        if is_known && self.errors.iter().all(is_read) {
            self.leaf::<T>(value, path, current, place);
        }
    }

    fn leaf<T: DeserializeOwned>(
        &mut self,
        value: &Value,
        path: &str,
        current: &mut Value,
        place: &[String],
    ) {
        let mut candidate = current.clone();
        let Some(slot) = at_mut(&mut candidate, place) else { return };
        *slot = value.clone();
        match serde_json::from_value::<T>(candidate.clone()) {
            Ok(_) => *current = candidate,
            Err(error) => self.report(path, mistaken(&error.to_string())),
        }
    }

    fn table(
        &mut self,
        table: DeTable<'_>,
        path: &str,
        line_of: &dyn Fn(usize) -> usize,
    ) -> Map<String, Value> {
        let mut object = Map::new();
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.lines.insert(path.clone(), line_of(key.span().start));
            if let Some(value) = self.value(value, &path, line_of) {
                object.insert(key.into_inner().into_owned(), value);
            }
        }
        object
    }

    fn value(
        &mut self,
        value: Spanned<DeValue<'_>>,
        path: &str,
        line_of: &dyn Fn(usize) -> usize,
    ) -> Option<Value> {
        let number = match value.into_inner() {
            DeValue::String(text) => return Some(Value::String(text.into_owned())),
            DeValue::Boolean(is) => return Some(Value::Bool(is)),
            DeValue::Datetime(time) => return Some(Value::String(time.to_string())),
            DeValue::Table(table) => return Some(Value::Object(self.table(table, path, line_of))),
            DeValue::Array(array) => {
                let values = array.into_iter().map(|value| self.value(value, path, line_of));
                return Some(Value::Array(values.collect::<Option<_>>()?));
            }
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Number::from)
            }
            DeValue::Float(float) => float.as_str().parse().ok().and_then(Number::from_f64),
        };
        if number.is_none() {
            let error = Error::new(Code::InvalidConfig, "the number is too large, or not a number");
            self.report(path, error.expected("a finite number that fits 64 bits"));
        }
        number.map(Value::Number)
    }

    /// `line 7: `, of the key or of the nearest table around it.
    fn line(&self, path: &str) -> String {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return format!("line {line}: ");
            }
            match path.rfind(['.', '/']) {
                Some(at) => path = &path[..at],
                None => return String::new(),
            }
        }
    }
}

/// A path one key longer; keys that are not bare are quoted as TOML does.
pub(crate) fn join(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let key = if is_bare { key.to_string() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The known name that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = plain(name);
    known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&wanted, &plain(known)), known))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known)
}

/// What a value is, without showing it: it may be a secret.
fn shown(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// Serde's words for a wrong value, as an error with what was expected.
fn mistaken(message: &str) -> Error {
    let (found, expected) = match message.split_once(", expected ") {
        Some((found, expected)) => (found, expected),
        None => return Error::new(Code::InvalidConfig, message.to_string()),
    };
    let found = found.replace("invalid type: ", "").replace("invalid value: ", "");
    let found = found
        .replacen("string \"", "the text \"", 1)
        .replacen("integer `", "the number `", 1)
        .replacen("floating point `", "the number `", 1)
        .replacen("boolean `", "the value `", 1)
        .replacen("sequence", "a list", 1)
        .replacen("map", "a table", 1);
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "a table",
        other => other,
    };
    let message = match found.starts_with('`') || found.starts_with("unknown") {
        true => found,
        false => format!("{found} is not allowed"),
    };
    Error::new(Code::InvalidConfig, message).expected(expected)
}

fn at<'a>(value: &'a Value, place: &[String]) -> Option<&'a Value> {
    place.iter().try_fold(value, |value, key| value.get(key))
}

fn at_mut<'a>(value: &'a mut Value, place: &[String]) -> Option<&'a mut Value> {
    let (last, path) = place.split_last()?;
    let parent = path.iter().try_fold(value, |value, key| value.get_mut(key))?;
    Some(parent.as_object_mut()?.entry(last.clone()).or_insert(Value::Null))
}
