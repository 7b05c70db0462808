//! A check: a query that gathers numbers, and a judge that makes findings of them.
//!
//! The query is bounded and waits for nothing; the judge is a pure function of its rows, so that it is tested
//! without a server. Not for: running them (see `diagnose`).

use futures::future::BoxFuture;
use posthaste_report::{Confidence, Evidence, Finding, Object, Remedy, Step};
use serde::de::DeserializeOwned;

use super::{Facts, Unseen, Visitor};

/// Under this name a finding about an index holds its oid until the diagnosis is whole.
pub(crate) const INDEX_OID: &str = "index_oid";

pub struct Check {
    /// Of all its findings, and the name of its page in `docs/checks/`.
    pub code: &'static str,
    /// What it looks at, for lists of checks.
    pub title: &'static str,
    pub(crate) needs: Needs,
    pub(crate) judge: Judge,
}

/// What must be so that the check can be made at all.
pub(crate) struct Needs {
    /// The oldest version that has what it reads.
    pub version: u32,
    pub extension: Option<&'static str>,
    /// What stays hidden from a role that may not read all statistics.
    pub hidden: Option<&'static str>,
    /// Only makes sense on a primary.
    pub primary: bool,
}

pub(crate) enum Judge {
    /// The rows of one query, which checks may share.
    Rows(&'static str, fn(&Rows, &Facts) -> Result<Outcome, Unseen>),
    /// More than one question, where the answer to the first says what to ask next.
    Visit(for<'a> fn(&'a Visitor, &'a Facts) -> BoxFuture<'a, Result<Outcome, Unseen>>),
}

/// The rows of an answer, each a JSON object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows(pub Vec<String>);

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub findings: Vec<Finding>,
    /// A sentence with the numbers, which is true when all is well too.
    pub line: String,
    /// What it could not look at, and why.
    pub skipped: Vec<String>,
}

/// Every check, in the order in which they are made.
pub fn checks() -> &'static [&'static Check] {
    crate::checks::ALL
}

impl Needs {
    pub(crate) const NOTHING: Needs = Needs { version: 12, extension: None, hidden: None, primary: false };
}

impl Rows {
    pub(crate) fn of<T: DeserializeOwned>(&self) -> Result<Vec<T>, Unseen> {
        let read = |row: &String| serde_json::from_str(row).map_err(Unseen::shape);
        self.0.iter().map(read).collect()
    }

    /// The only row.
    pub(crate) fn one<T: DeserializeOwned>(&self) -> Result<T, Unseen> {
        match self.0.as_slice() {
            [row] => serde_json::from_str(row).map_err(Unseen::shape),
            rows => Err(Unseen::new(format!("the answer has {} rows, expected 1", rows.len()))),
        }
    }
}

impl Outcome {
    pub(crate) fn line(line: impl Into<String>) -> Self {
        Self { line: line.into(), ..Self::default() }
    }
}

/// What a finding says beside its message, one thing after the other.
pub(crate) trait Told: Sized {
    fn about(self, object: Object) -> Self;
    fn count(self, name: &str, count: i64) -> Self;
    fn evidence(self, text: impl Into<String>) -> Self;
    fn evidence_aged(self, text: impl Into<String>, age_s: Option<f64>) -> Self;
    fn sure(self, confidence: Confidence) -> Self;
    fn depends_on(self, text: impl Into<String>) -> Self;
    fn remedy(self, text: impl Into<String>, steps: Vec<Step>) -> Self;
}

impl Told for Finding {
    fn about(mut self, object: Object) -> Self {
        self.object = object;
        self
    }

    fn count(mut self, name: &str, count: i64) -> Self {
        self.counts.insert(name.to_owned(), count);
        self
    }

    fn evidence(self, text: impl Into<String>) -> Self {
        self.evidence_aged(text, None)
    }

    fn evidence_aged(mut self, text: impl Into<String>, age_s: Option<f64>) -> Self {
        let age_s = age_s.filter(|age| *age >= 0.0).map(|age| age as u64);
        self.evidence.push(Evidence { text: text.into(), age_s });
        self
    }

    fn sure(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    fn depends_on(mut self, text: impl Into<String>) -> Self {
        self.depends_on.push(text.into());
        self
    }

    fn remedy(mut self, text: impl Into<String>, steps: Vec<Step>) -> Self {
        self.remedy = Some(Remedy { text: text.into(), steps });
        self
    }
}

/// A table as the object of a finding.
pub(crate) fn table(schema: &str, name: &str) -> Object {
    Object {
        kind: "table".into(),
        schema: Some(schema.into()),
        table: Some(name.into()),
        ..Object::default()
    }
}

pub(crate) fn index(schema: &str, table: &str, name: &str) -> Object {
    Object {
        kind: "index".into(),
        schema: Some(schema.into()),
        table: Some(table.into()),
        name: Some(name.into()),
        ..Object::default()
    }
}
