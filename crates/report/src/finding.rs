//! A finding: something that was seen, where, how sure it is, and what to do about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Lock, Step};

/// The version of the JSON document, which grows when a field changes its meaning.
pub const VERSION: u32 = 1;

/// Worst first, so that sorting puts the worst on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Critical,
    High,
    Medium,
    Low,
    Info,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Read or counted, not inferred.
    #[default]
    Certain,
    Likely,
    Possible,
}

/// What a statement does to the data that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    #[default]
    None,
    /// Reads all rows of a table, or of an index.
    Scan,
    /// Writes the table anew.
    Rewrite,
}

/// What a finding is about: whichever apply, with the real names, not quoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Object {
    /// `table`, `index`, `constraint`, `sequence`, `session`, `setting` and so on.
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// A place in a file. Lines, columns and statements count from 1; columns in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub statement: u32,
}

/// One fact that the finding rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub text: String,
    /// How old the fact is, where that matters, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remedy {
    pub text: String,
    /// The steps of a plan that would do it; none when something must be known first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable and in kebab-case: the rule or check that saw it.
    pub code: String,
    pub severity: Severity,
    /// One sentence, with its numbers.
    pub message: String,
    #[serde(default)]
    pub object: Object,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    #[serde(default)]
    pub effect: Effect,
    /// Exact numbers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    #[serde(default)]
    pub confidence: Confidence,
    /// What the answer depends on, where something was not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
}

/// Something that was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    pub what: String,
    pub why: String,
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// A database's name, a file or a folder.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
}

/// Everything that one command found: the document of `--format json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub version: u32,
    /// The command, such as `review` or `doctor`.
    pub tool: String,
    pub target: Target,
    pub findings: Vec<Finding>,
    pub skipped: Vec<Skipped>,
    /// How many of each severity, and what else the command counts.
    pub summary: BTreeMap<String, serde_json::Value>,
}

impl Severity {
    pub const ALL: [Severity; 5] =
        [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
            Severity::Info => "info",
        }
    }

    /// Whether it is as bad as that one, or worse.
    pub fn is_at_least(self, other: Severity) -> bool {
        self <= other
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Finding {
    pub fn new(code: &str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            severity,
            message: message.into(),
            object: Object::default(),
            location: None,
            locks: Vec::new(),
            effect: Effect::None,
            counts: BTreeMap::new(),
            evidence: Vec::new(),
            confidence: Confidence::Certain,
            depends_on: Vec::new(),
            remedy: None,
        }
    }
}

fn place_of(finding: &Finding) -> (Severity, Option<&Location>, &str, &Object) {
    (finding.severity, finding.location.as_ref(), &finding.code, &finding.object)
}

impl Report {
    /// Sorts the findings, worst first and by place, and counts them.
    pub fn new(tool: &str, target: Target, mut findings: Vec<Finding>, mut skipped: Vec<Skipped>) -> Self {
        findings.sort_by(|a, b| place_of(a).cmp(&place_of(b)));
        skipped.sort();
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        let summary = Severity::ALL
            .into_iter()
            .map(|severity| (severity.to_string(), count(severity).into()))
            .collect();
        Self { version: VERSION, tool: tool.to_owned(), target, findings, skipped, summary }
    }

    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).min()
    }
}
