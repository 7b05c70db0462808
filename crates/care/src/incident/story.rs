//! What happened, in the order of a report: symptoms, findings, what was done, what is left, prevention.
//!
//! Not for: how it is shown (see `page`).

use jiff::Timestamp;
use posthaste_report::{Finding, Plan, Report};
use serde::Serialize;

use super::{Entry, Kind};

#[derive(Clone, Debug, Serialize)]
pub struct Story {
    pub title: String,
    pub started_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub timeline: Vec<Entry>,
    pub symptoms: Vec<String>,
    /// Of the first report of each tool, and what the last one of the same tool says of it.
    pub changes: Vec<Change>,
    pub plans: Vec<Plan>,
    /// What was said of each run that was attached.
    pub runs: Vec<String>,
    pub actions: Vec<String>,
    pub prevention: Vec<String>,
}

/// A finding before and after.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    pub tool: String,
    pub finding: Finding,
    /// What the numbers count: `rows`, `ms`, `bytes`; none for what is there or not.
    pub unit: Option<&'static str>,
    pub before: Option<i64>,
    /// None when there was no second look, 0 when it was no longer found.
    pub after: Option<i64>,
    /// It came up only in the last report.
    pub is_new: bool,
}

impl Story {
    pub(super) fn of(entries: Vec<Entry>, reports: Vec<(Timestamp, Report)>, plans: Vec<Plan>) -> Self {
        let texts = |kind: Kind| {
            entries
                .iter()
                .filter(|entry| entry.kind == kind)
                .map(|entry| entry.text.clone())
                .collect::<Vec<_>>()
        };
        let at = |kind: Kind| entries.iter().find(|entry| entry.kind == kind).map(|entry| entry.at);
        Self {
            title: texts(Kind::Started).into_iter().next().unwrap_or_default(),
            started_at: at(Kind::Started),
            closed_at: at(Kind::Closed),
            symptoms: texts(Kind::Symptom),
            actions: texts(Kind::Action),
            prevention: texts(Kind::Prevention),
            changes: changes(&reports),
            plans,
            runs: texts(Kind::Run),
            timeline: entries,
        }
    }

    /// What was still found at the last look, or was never looked at again.
    pub fn left(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.after != Some(0))
    }

    pub fn mended(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.after == Some(0))
    }
}

fn changes(reports: &[(Timestamp, Report)]) -> Vec<Change> {
    let mut tools: Vec<&str> = Vec::new();
    for (_, report) in reports {
        if !tools.contains(&report.tool.as_str()) {
            tools.push(&report.tool);
        }
    }
    tools.into_iter().flat_map(|tool| of_tool(tool, reports)).collect()
}

fn of_tool(tool: &str, reports: &[(Timestamp, Report)]) -> Vec<Change> {
    let own: Vec<&Report> =
        reports.iter().map(|(_, report)| report).filter(|report| report.tool == tool).collect();
    let (Some(first), Some(last)) = (own.first(), own.last()) else { return Vec::new() };
    let is_same = |one: &Finding, other: &Finding| one.code == other.code && one.object == other.object;
    let find =
        |report: &Report, one: &Finding| report.findings.iter().find(|other| is_same(one, other)).cloned();
    let change = |finding: &Finding, before, after, is_new| Change {
        tool: tool.to_owned(),
        finding: finding.clone(),
        unit: measure(finding).map(|(_, unit)| unit),
        before,
        after,
        is_new,
    };
    let old = first.findings.iter().map(|finding| {
        let after = (own.len() > 1).then(|| find(last, finding).map_or(0, |found| number(&found)));
        change(finding, Some(number(finding)), after, false)
    });
    let new = last.findings.iter().filter(|finding| own.len() > 1 && find(first, finding).is_none());
    old.chain(new.map(|finding| change(finding, None, Some(number(finding)), true))).collect()
}

/// What of a finding is worth comparing, by its code: the count's name and its unit. What breaks the data is counted in
/// rows; the rows of other findings say how large a table is.
const MEASURED: &[(&str, &str, &str)] = &[
    ("slow-query", "mean_ms", "ms"),
    ("missing-index", "mean_ms", "ms"),
    ("dead-rows", "dead", "rows"),
    ("stale-statistics", "modified", "rows"),
    ("table-bloat", "wasted_bytes", "bytes"),
    ("index-bloat", "wasted_bytes", "bytes"),
    ("connections-near-limit", "used", "connections"),
    ("lock-chain", "waiting", "sessions"),
    ("partition-default-rows", "rows", "rows"),
];

fn measure(finding: &Finding) -> Option<(&'static str, &'static str)> {
    let known = MEASURED.iter().find(|(code, _, _)| *code == finding.code);
    let (name, unit) = match known {
        Some((_, name, unit)) => (*name, *unit),
        // Of a table's rows, so many are wrong.
        None if finding.counts.contains_key("of") => ("rows", "rows"),
        None => return None,
    };
    finding.counts.contains_key(name).then_some((name, unit))
}

/// 1 for what is there or not.
fn number(finding: &Finding) -> i64 {
    measure(finding).and_then(|(name, _)| finding.counts.get(name).copied()).unwrap_or(1)
}
