//! A baseline: fingerprints of findings that were there before anybody reviewed, so that only new ones fail.
//!
//! A fingerprint is made of the rule, the object and the statement without its blanks and comments, and not of the
//! line, so that a file may be moved and reformatted. Not for: reading and writing files.

use std::collections::BTreeMap;

use posthaste_base::{Code, Error};
use posthaste_report::Finding;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    findings: Vec<Known>,
}

/// What is kept for people is the place; only the fingerprint counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    file: String,
    code: String,
    fingerprint: String,
}

impl Baseline {
    /// Of findings, each with its fingerprint.
    pub fn of<'a>(findings: impl IntoIterator<Item = (&'a Finding, String)>) -> Self {
        let known = |(finding, fingerprint): (&Finding, String)| Known {
            file: finding.location.as_ref().map_or_else(String::new, |location| location.file.clone()),
            code: finding.code.clone(),
            fingerprint,
        };
        let mut findings: Vec<Known> = findings.into_iter().map(known).collect();
        findings.sort();
        Self { version: VERSION, findings }
    }

    pub fn from_json(text: &str) -> Result<Self, Error> {
        let baseline: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(Code::InvalidFile, format!("the baseline cannot be read: {error}"))
        })?;
        if baseline.version != VERSION {
            let message = format!("the baseline has version {}", baseline.version);
            return Err(Error::new(Code::InvalidFile, message)
                .expected(format!("version {VERSION}"))
                .hint("write it again with `--write-baseline`"));
        }
        Ok(baseline)
    }

    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_else(|error| unreachable!("{error}"));
        text + "\n"
    }

    /// How often each fingerprint is known: a statement that is written twice is known twice.
    pub(crate) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for known in &self.findings {
            *counts.entry(known.fingerprint.as_str()).or_default() += 1;
        }
        counts
    }
}

/// What stays the same when a file is moved, or its blanks and comments change.
pub(crate) fn fingerprint(finding: &Finding, statement: &str) -> String {
    let object = &finding.object;
    let parts = [
        finding.code.as_str(),
        &object.kind,
        object.schema.as_deref().unwrap_or_default(),
        object.table.as_deref().unwrap_or_default(),
        object.name.as_deref().unwrap_or_default(),
        &object.columns.join(","),
        &normalised(statement),
    ];
    format!("{:016x}", fnv1a(&parts.join("\u{1f}")))
}

/// Blanks and comments become one blank, and letters outside of quotes small.
fn normalised(statement: &str) -> String {
    let mut out = String::with_capacity(statement.len());
    for piece in crate::comment::pieces(statement) {
        match piece {
            crate::comment::Piece::Comment(_) => out.push(' '),
            crate::comment::Piece::Quoted(text) => out.push_str(text),
            crate::comment::Piece::Code(text) => {
                for c in text.chars() {
                    if !c.is_whitespace() {
                        out.extend(c.to_lowercase());
                    } else if !out.ends_with(' ') {
                        out.push(' ');
                    }
                }
            }
        }
    }
    let mut text = out.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    text.truncate(text.trim_end_matches([';', ' ']).len());
    text
}

/// FNV-1a over 64 bits: it must be the same in every version of this program, and need not resist an attacker.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use posthaste_report::Severity;

    use super::*;

    #[test]
    fn layout_does_not_change_a_fingerprint_and_content_does() {
        let finding = Finding::new("create-index", Severity::High, "x");
        let print = |text| fingerprint(&finding, text);
        let first = print("CREATE INDEX a ON b (c)");
        assert_eq!(first, print("create  index -- why\n a on b /* x */ (c);\n"));
        assert_ne!(first, print("create index a on b (d)"));
        assert_ne!(print("select 'A'"), print("select 'a'"), "quoted text is content");
        let other = Finding::new("drop-index", Severity::High, "x");
        assert_ne!(first, fingerprint(&other, "create index a on b (c)"));
    }

    #[test]
    fn baseline_survives_its_file() {
        let finding = Finding::new("create-index", Severity::High, "x");
        let baseline = Baseline::of([(&finding, "00ff".to_owned()), (&finding, "00ff".to_owned())]);
        let read = Baseline::from_json(&baseline.to_json()).unwrap();
        assert_eq!(read, baseline);
        assert_eq!(read.counts()["00ff"], 2);
    }

    #[test]
    fn strange_baselines_are_refused() {
        assert_eq!(Baseline::from_json("[]").unwrap_err().code(), Code::InvalidFile);
        let error = Baseline::from_json(r#"{"version": 9, "findings": []}"#).unwrap_err();
        assert_eq!(error.expectation(), Some("version 1"));
    }
}
