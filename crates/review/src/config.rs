//! What a team decides about its reviews: section `[review]` of `posthaste.toml`, checked key by key.
//!
//! Not for: reading files, and for the flags of the command line, which go over what is here.

use std::collections::BTreeMap;

use posthaste_base::{Code, Error, Violation};
use posthaste_report::Severity;
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::transaction::Tool;

/// The section as it is written. [`Config::options`] checks it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The server's major version, where no catalog says it.
    pub pg_version: Option<u32>,
    /// Who runs the files: see [`Tool`]. Each wraps them in its own way.
    pub tool: Option<String>,
    /// Whether a file runs as one transaction, whatever the tool's rule is.
    pub assume_in_transaction: Option<bool>,
    /// The severity from which a review fails, or `never`; `high` when nothing is said.
    pub fail_on: Option<String>,
    /// `off`, or the severity that a rule's findings have instead of the computed one.
    pub rules: BTreeMap<String, String>,
    pub thresholds: Thresholds,
}

/// From where on something is worth a word. The defaults come with their reason.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Below it a lock is brief: no longer than a client waits for a slow page.
    pub brief_ms: u64,
    /// As long as clients commonly wait before they give up.
    pub client_timeout_ms: u64,
    /// Rows that one statement may write before it ought to go in batches: each row stays locked, and dead, until
    /// the commit.
    pub bulk_rows: u64,
    /// Above it an unfinished transaction makes a lock queue long enough to hurt.
    pub long_transaction_ms: u64,
    /// Bytes a second of a sequential scan on a server that was not measured: a network disk, half cached.
    pub scan_bytes_per_s: u64,
    /// Bytes a second that a rewrite writes on a server that was not measured, with its WAL.
    pub rewrite_bytes_per_s: u64,
    /// Rows a second that UPDATE or DELETE writes in one transaction.
    pub write_rows_per_s: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            brief_ms: 500,
            client_timeout_ms: 30_000,
            bulk_rows: 10_000,
            long_transaction_ms: 1_000,
            scan_bytes_per_s: 100 << 20,
            rewrite_bytes_per_s: 40 << 20,
            write_rows_per_s: 20_000,
        }
    }
}

/// What is done with a rule's findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Off,
    Always(Severity),
}

/// The decisions, checked.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub pg_version: Option<u32>,
    /// Who runs the files, where a file does not say.
    pub tool: Option<Tool>,
    pub assume_in_transaction: Option<bool>,
    /// From where on a review fails, if that is said; no severity is never.
    pub fail_on: Option<Option<Severity>>,
    pub levels: BTreeMap<String, Level>,
    pub thresholds: Thresholds,
}

/// The versions that the lock model knows.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 12..=18;

impl Config {
    /// The decisions, or every key that is wrong.
    pub fn options(&self) -> Result<Options, Error> {
        let mut options = Options { thresholds: self.thresholds, ..Options::default() };
        let mut violations = Vec::new();
        let mut refuse = |pointer: String, message: String| violations.push(Violation { pointer, message });
        match self.pg_version {
            Some(version) if !VERSIONS.contains(&version) => {
                refuse("review.pg_version".to_owned(), format!("{version} is not one of 12 to 18"));
            }
            version => options.pg_version = version,
        }
        options.assume_in_transaction = self.assume_in_transaction;
        if let Some(tool) = &self.tool {
            match tool.parse::<Tool>() {
                Ok(tool) => options.tool = Some(tool),
                Err(_) => refuse(
                    "review.tool".to_owned(),
                    format!("`{tool}` is not known; one of {}", Tool::names().join(", ")),
                ),
            }
        }
        match self.fail_on.as_deref() {
            None => {}
            Some("never") => options.fail_on = Some(None),
            Some(name) => match severity_of(name) {
                Some(severity) => options.fail_on = Some(Some(severity)),
                None => refuse("review.fail_on".to_owned(), format!("{}, or `never`", not_a_severity(name))),
            },
        }
        for (code, level) in &self.rules {
            let pointer = format!("review.rules.{code}");
            if !rules::is_known(code) {
                refuse(pointer, unknown_rule(code));
                continue;
            }
            let level = if level == "off" { Some(Level::Off) } else { severity_of(level).map(Level::Always) };
            match level {
                Some(level) => drop(options.levels.insert(code.clone(), level)),
                None => refuse(pointer, format!("{}, or `off`", not_a_severity(&self.rules[code]))),
            }
        }
        for (name, value) in self.thresholds.rates() {
            if value == 0 {
                refuse(format!("review.thresholds.{name}"), "must be at least 1".to_owned());
            }
        }
        match violations.len() {
            0 => Ok(options),
            1 => {
                let only = violations.remove(0);
                Err(Error::new(Code::InvalidConfig, only.message).field(only.pointer))
            }
            _ => {
                Err(Error::new(Code::InvalidConfig, "section `[review]` is not valid").violations(violations))
            }
        }
    }
}

impl Thresholds {
    /// Those that something is divided by.
    fn rates(&self) -> [(&'static str, u64); 3] {
        [
            ("scan_bytes_per_s", self.scan_bytes_per_s),
            ("rewrite_bytes_per_s", self.rewrite_bytes_per_s),
            ("write_rows_per_s", self.write_rows_per_s),
        ]
    }
}

pub fn severity_of(name: &str) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| severity.as_str() == name)
}

fn not_a_severity(name: &str) -> String {
    format!("`{name}` is not one of critical, high, medium, low, info")
}

/// Says which rule may have been meant: the one that shares most of its words, or else begins alike.
pub(crate) fn unknown_rule(code: &str) -> String {
    let wanted: Vec<&str> = code.split('-').collect();
    let shared = |known: &str| {
        let words = known.split('-').filter(|word| wanted.contains(word)).count();
        let letters = known.bytes().zip(code.bytes()).take_while(|(a, b)| a == b).count();
        (words, letters)
    };
    let closest = rules::codes().max_by_key(|known| shared(known)).filter(|known| shared(known).0 > 0);
    let hint = closest.map_or_else(String::new, |known| format!("; is `{known}` meant?"));
    format!("there is no rule `{code}`{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: Config, field: &str, expected: &str) {
        let error = config.options().unwrap_err();
        assert_eq!(error.field_name(), Some(field));
        assert!(error.message().contains(expected), "{error}");
    }

    fn with_rule(code: &str, level: &str) -> Config {
        Config { rules: BTreeMap::from([(code.to_owned(), level.to_owned())]), ..Config::default() }
    }

    #[test]
    fn wrong_keys_are_named() {
        refused(with_rule("create-indexes", "off"), "review.rules.create-indexes", "is `create-index");
        refused(
            with_rule("create-index", "bad"),
            "review.rules.create-index",
            "`bad` is not one of critical",
        );
        refused(Config { pg_version: Some(9), ..Config::default() }, "review.pg_version", "12 to 18");
        let fail_on = Some("nothing".into());
        refused(Config { fail_on, ..Config::default() }, "review.fail_on", "or `never`");
        refused(Config { tool: Some("x".into()), ..Config::default() }, "review.tool", "golang-migrate");
        let zero = Thresholds { scan_bytes_per_s: 0, ..Thresholds::default() };
        let config = Config { thresholds: zero, ..Config::default() };
        refused(config, "review.thresholds.scan_bytes_per_s", "at least 1");
    }

    #[test]
    fn all_wrong_keys_are_told_at_once() {
        let config = Config { pg_version: Some(9), ..with_rule("nonsense", "off") };
        assert_eq!(config.options().unwrap_err().all_violations().len(), 2);
    }

    #[test]
    fn a_review_fails_from_where_it_is_said() {
        let of = |text: &str| {
            Config { fail_on: Some(text.into()), ..Config::default() }.options().unwrap().fail_on
        };
        assert_eq!(of("medium"), Some(Some(Severity::Medium)));
        assert_eq!(of("never"), Some(None));
        assert_eq!(Config::default().options().unwrap().fail_on, None);
    }

    #[test]
    fn levels_are_read() {
        let options = with_rule("create-index", "off").options().unwrap();
        assert_eq!(options.levels["create-index"], Level::Off);
        let options = with_rule("create-index", "low").options().unwrap();
        assert_eq!(options.levels["create-index"], Level::Always(Severity::Low));
    }
}
