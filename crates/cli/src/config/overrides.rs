//! What stands above the file: `POSTHASTE_SERVER__LISTEN` and its like, the variables that other tools know too,
//! and flags.
//!
//! Not for: `NO_COLOR`, which concerns the terminal and not the configuration.

use posthaste_base::{Code, Error};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::origin::Origin;

/// One value, by its dotted path.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub path: Vec<String>,
    pub value: Value,
    pub origin: Origin,
}

const PREFIX: &str = "POSTHASTE_";

/// Variables with a name of their own, and what they stand for.
const KNOWN: &[(&str, [&str; 2])] = &[
    ("DATABASE_URL", ["database", "url"]),
    ("PG_BIN", ["database", "pg_bin"]),
    ("RUST_LOG", ["server", "log_filter"]),
    ("POSTHASTE_DATA_DIR", ["database", "data_dir"]),
];

impl Override {
    pub(crate) fn flag(flag: &str, path: [&str; 2], value: impl Into<Value>) -> Self {
        let origin = Origin::Flag { flag: flag.to_owned() };
        Self { path: path.map(str::to_owned).to_vec(), value: value.into(), origin }
    }

    pub(super) fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// The overrides of an environment, in the order in which they are applied: a name that says the path wins over
/// one that other tools know.
pub(super) fn from_environment(
    variables: impl Iterator<Item = (String, String)>,
    template: &Json,
) -> (Vec<Override>, Vec<Error>) {
    let mut variables: Vec<_> = variables.filter(|(_, value)| !value.is_empty()).collect();
    variables.sort();
    let (mut plain, mut pathed, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in variables {
        let origin = Origin::Environment { variable: name.clone() };
        if let Some((_, path)) = KNOWN.iter().find(|(known, _)| *known == name) {
            let path = path.map(str::to_owned).to_vec();
            plain.push(Override { path, value: Value::String(value), origin });
            continue;
        }
        let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) else { continue };
        let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        match typed(&path, &value, template) {
            Ok(value) => pathed.push(Override { path, value, origin }),
            Err(error) => errors.push(error.field(name)),
        }
    }
    plain.extend(pathed);
    (plain, errors)
}

/// Puts a value into the table of a file, over what is there.
pub(super) fn put(table: &mut Table, path: &[String], value: Value) {
    let Some((last, above)) = path.split_last() else { return };
    let mut table = table;
    for name in above {
        let entry = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
        if !entry.is_table() {
            *entry = Value::Table(Table::new());
        }
        let Some(below) = entry.as_table_mut() else { return };
        table = below;
    }
    table.insert(last.clone(), value);
}

/// A text as the kind of value that stands at that path by default. What is not known there is found by the
/// file's own rules, so here it is taken as a number or a truth where it looks like one.
fn typed(path: &[String], text: &str, template: &Json) -> Result<Value, Error> {
    let wrong = |expected: &str| {
        Error::new(Code::InvalidConfig, format!("`{text}` is not what belongs here")).expected(expected)
    };
    match path.iter().try_fold(template, |json, name| json.get(name)) {
        Some(Json::Bool(_)) => text.parse().map(Value::Boolean).map_err(|_| wrong("true or false")),
        Some(Json::Number(_)) => text.parse().map(Value::Integer).map_err(|_| wrong("a whole number")),
        Some(Json::String(_)) => Ok(Value::String(text.to_owned())),
        Some(Json::Array(_)) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        _ => Ok(text
            .parse()
            .map(Value::Integer)
            .or_else(|_| text.parse().map(Value::Boolean))
            .unwrap_or_else(|_| Value::String(text.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Vec<Override>, Vec<Error>) {
        let template = json!({"server": {"listen": "", "roles": [], "metrics": true, "idle_seconds": 1}});
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        from_environment(variables, &template)
    }

    #[test]
    fn variables_have_the_kind_of_what_they_replace() {
        for (name, text, expected) in [
            ("POSTHASTE_SERVER__LISTEN", "80", Value::from("80")),
            ("POSTHASTE_SERVER__ROLES", "api, worker", Value::from(vec!["api", "worker"])),
            ("POSTHASTE_SERVER__METRICS", "false", Value::from(false)),
            ("POSTHASTE_SERVER__IDLE_SECONDS", "5", Value::from(5)),
            ("POSTHASTE_QUEUES__LOW__BATCH", "7", Value::from(7)),
            ("RUST_LOG", "debug", Value::from("debug")),
        ] {
            let (found, errors) = read(&[(name, text)]);
            assert!(errors.is_empty(), "{name}: {errors:?}");
            assert_eq!(found[0].value, expected, "{name}");
        }
        assert!(read(&[("POSTHASTE_CONFIG", "x"), ("HOME", "y"), ("DATABASE_URL", "")]).0.is_empty());
    }

    #[test]
    fn a_wrong_kind_names_the_variable() {
        let (_, errors) = read(&[("POSTHASTE_SERVER__METRICS", "perhaps")]);
        assert_eq!(errors[0].field_name(), Some("POSTHASTE_SERVER__METRICS"));
        assert_eq!(errors[0].expectation(), Some("true or false"));
    }

    #[test]
    fn a_name_with_a_path_wins_over_a_plain_one() {
        let (found, _) = read(&[("DATABASE_URL", "a"), ("POSTHASTE_DATABASE__URL", "b")]);
        let last = found.last().map(|one| (one.dotted(), one.value.as_str().map(str::to_owned)));
        assert_eq!(last, Some(("database.url".into(), Some("b".into()))));
    }
}
