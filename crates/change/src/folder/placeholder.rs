//! Flyway's placeholders: `${name}` in a script, filled in from its configuration and the environment.
//!
//! Source: Flyway's documentation, "Placeholders" and "Configuration files". Not for: those that Flyway makes itself
//! (`${flyway:timestamp}` and the like), which only it knows.

use std::collections::BTreeMap;
use std::path::Path;

/// What Flyway is told beside a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placeholders {
    /// Names are in lower case: they are the same in any.
    values: BTreeMap<String, String>,
    prefix: String,
    suffix: String,
    is_on: bool,
    /// A file may hold statements of both kinds.
    pub(super) is_mixed: bool,
}

impl Default for Placeholders {
    fn default() -> Self {
        let (prefix, suffix) = ("${".to_owned(), "}".to_owned());
        Self { values: BTreeMap::new(), prefix, suffix, is_on: true, is_mixed: false }
    }
}

/// How far up from the folder the configuration may be: a project keeps its scripts some folders below it.
const ABOVE_MAX: usize = 5;

impl Placeholders {
    /// From the nearest configuration, and from the environment, which goes over it.
    pub(super) fn find(folder: &Path, environment: impl Iterator<Item = (String, String)>) -> Self {
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let mut found = Self::default();
        'search: for above in folder.ancestors().take(ABOVE_MAX) {
            for name in ["flyway.toml", "flyway.conf", "conf/flyway.toml", "conf/flyway.conf"] {
                if let Ok(text) = std::fs::read_to_string(above.join(name)) {
                    found.take(&text, name.ends_with(".toml"));
                    break 'search;
                }
            }
        }
        for (name, value) in environment {
            if let Some(name) = name.strip_prefix("FLYWAY_PLACEHOLDERS_") {
                found.values.insert(name.to_lowercase(), value);
            }
        }
        found
    }

    /// Both forms are lines of `key = value`; TOML has sections and quotes.
    fn take(&mut self, text: &str, is_toml: bool) {
        let mut section = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = format!("{}.", name.trim());
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = format!("{section}{}", key.trim().trim_matches('"'));
            let Some(key) = key.strip_prefix("flyway.") else { continue };
            let value = if is_toml { unquoted(value.trim()) } else { value.trim() };
            match key {
                "placeholderPrefix" => self.prefix = value.to_owned(),
                "placeholderSuffix" => self.suffix = value.to_owned(),
                "placeholderReplacement" => self.is_on = value != "false",
                "mixed" => self.is_mixed = value == "true",
                _ => {
                    if let Some(name) = key.strip_prefix("placeholders.") {
                        self.values.insert(name.to_lowercase(), value.to_owned());
                    }
                }
            }
        }
    }

    /// The text with its values; or what has none, with its line.
    pub(super) fn fill(&self, text: &str, file: &str, is_off: bool) -> Result<String, Vec<(usize, String)>> {
        if !self.is_on || is_off || self.prefix.is_empty() || self.suffix.is_empty() {
            return Ok(text.to_owned());
        }
        let mut filled = String::with_capacity(text.len());
        let mut missing = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(&self.prefix) {
            let inner = &rest[at + self.prefix.len()..];
            let Some(end) = inner.find(&self.suffix) else { break };
            let name = &inner[..end];
            filled.push_str(&rest[..at]);
            match (name, self.values.get(&name.to_lowercase())) {
                (_, Some(value)) => filled.push_str(value),
                ("flyway:filename", None) => filled.push_str(file.rsplit('/').next().unwrap_or(file)),
                (name, None) => {
                    let line = text[..text.len() - inner.len()].matches('\n').count() + 1;
                    missing.push((line, name.to_owned()));
                }
            }
            rest = &inner[end + self.suffix.len()..];
        }
        filled.push_str(rest);
        if missing.is_empty() { Ok(filled) } else { Err(missing) }
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            return inner.split(quote).next().unwrap_or(inner);
        }
    }
    value.split('#').next().unwrap_or(value).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(configuration: &str, is_toml: bool, text: &str, expected: Result<&str, (usize, &str)>) {
        let mut placeholders = Placeholders::default();
        placeholders.take(configuration, is_toml);
        let filled = placeholders.fill(text, "sql/V1__a.sql", false);
        match expected {
            Ok(expected) => assert_eq!(filled.as_deref(), Ok(expected)),
            Err((line, name)) => assert_eq!(filled, Err(vec![(line, name.to_owned())])),
        }
    }

    #[test]
    fn values_come_from_the_configuration() {
        check("flyway.placeholders.Owner = app\n", false, "to ${owner};", Ok("to app;"));
        check(
            "[flyway.placeholders]\nowner = \"app # one\" # who\n",
            true,
            "to ${owner};",
            Ok("to app # one;"),
        );
        check(
            "[flyway]\nplaceholderPrefix = '@('\nplaceholderSuffix = ')'\nplaceholders.a = 'x'",
            true,
            "@(a)${b}",
            Ok("x${b}"),
        );
        check("flyway.placeholderReplacement=false", false, "${a}", Ok("${a}"));
        check("", false, "${flyway:filename}", Ok("V1__a.sql"));
        check("# flyway.placeholders.a=1", false, "select 1;\n\nselect ${a};", Err((3, "a")));
        check("", false, "select '${';", Ok("select '${';"));
    }
}
