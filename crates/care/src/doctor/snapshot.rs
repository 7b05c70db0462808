//! Counters as they were at one visit, so that a later one can say what happened in between.
//!
//! Nothing on the server is ever reset for that. Not for: whole reports, and for keeping many of them (see `watch`).

use std::collections::BTreeMap;

use posthaste_base::{Code, Error};
use posthaste_report::{Object, Report, Severity};
use serde::{Deserialize, Serialize};

use super::{Facts, Rows, Unseen};

const VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    pub version: u32,
    pub database: String,
    /// By the server's clock, in seconds since 1970.
    pub at_s: f64,
    pub up_s: f64,
    /// Since the counters were reset, if that is known.
    pub counters_age_s: Option<f64>,
    pub statements: Vec<StatementCount>,
    pub database_bytes: Option<i64>,
    pub findings: Vec<Known>,
}

/// What pg_stat_statements had counted for one statement of one role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatementCount {
    pub query_id: i64,
    pub role_oid: i64,
    pub is_top_level: bool,
    pub calls: i64,
    pub total_ms: f64,
    pub rows: i64,
    pub blocks_hit: i64,
    pub blocks_read: i64,
}

#[derive(Deserialize)]
struct Size {
    bytes: i64,
}

/// A finding by what makes it the same one again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub code: String,
    pub severity: Severity,
    pub object: Object,
    pub message: String,
}

impl Snapshot {
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let read: Result<Self, _> = serde_json::from_str(text);
        let snapshot =
            read.map_err(|error| Error::new(Code::InvalidFile, format!("not a snapshot: {error}")))?;
        if snapshot.version != VERSION {
            let message = format!("the snapshot is of version {}", snapshot.version);
            return Err(Error::new(Code::InvalidFile, message).expected(format!("version {VERSION}")));
        }
        Ok(snapshot)
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn take(
        facts: &Facts,
        answers: &BTreeMap<&'static str, Result<Rows, Unseen>>,
        report: &Report,
    ) -> Self {
        let answer = |sql: &str| answers.get(sql)?.as_ref().ok();
        let statements = answer(include_str!("../../sql/doctor/statement.sql"));
        let database = answer(include_str!("../../sql/doctor/database.sql"));
        let bytes = database.and_then(|rows| rows.one::<Size>().ok()).map(|size| size.bytes);
        let known = |finding: &posthaste_report::Finding| Known {
            code: finding.code.clone(),
            severity: finding.severity,
            object: finding.object.clone(),
            message: finding.message.clone(),
        };
        Self {
            version: VERSION,
            database: facts.database.clone(),
            at_s: facts.now_s,
            up_s: facts.up_s.unwrap_or_default(),
            counters_age_s: facts.counters_age_s,
            statements: statements.and_then(|rows| rows.of().ok()).unwrap_or_default(),
            database_bytes: bytes,
            findings: report.findings.iter().map(known).collect(),
        }
    }

    /// Why its counters cannot be subtracted from those of now; empty when they can.
    pub(super) fn why_not_before(&self, facts: &Facts) -> Option<String> {
        let between_s = facts.now_s - self.at_s;
        Some(if self.database != facts.database {
            format!("the snapshot is of the database {}, and this is {}", self.database, facts.database)
        } else if between_s <= 0.0 {
            "the snapshot is newer than the server's clock".to_owned()
        } else if facts.counters_age_s.is_some_and(|age_s| age_s < between_s) {
            "the counters were reset after the snapshot was taken; they are shown as they are".to_owned()
        } else {
            String::new()
        })
    }

    pub(crate) fn statement(
        &self,
        query_id: i64,
        role_oid: i64,
        is_top_level: bool,
    ) -> Option<&StatementCount> {
        self.statements
            .iter()
            .find(|one| (one.query_id, one.role_oid, one.is_top_level) == (query_id, role_oid, is_top_level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let one = StatementCount { query_id: -5, calls: 3, total_ms: 1.5, ..StatementCount::default() };
        let snapshot =
            Snapshot { version: VERSION, database: "d".into(), statements: vec![one], ..Snapshot::default() };
        assert_eq!(Snapshot::from_json(&snapshot.to_json()).unwrap(), snapshot);
        assert_eq!(Snapshot::from_json("{\"version\": 9}").unwrap_err().code(), Code::InvalidFile);
        assert_eq!(Snapshot::from_json("[").unwrap_err().code(), Code::InvalidFile);
    }

    #[test]
    fn counters_that_were_reset_are_not_subtracted() {
        let snapshot = Snapshot { database: "d".into(), at_s: 100.0, ..Snapshot::default() };
        let facts = |database: &str, now_s: f64, age_s: Option<f64>| Facts {
            database: database.into(),
            now_s,
            counters_age_s: age_s,
            ..Facts::default()
        };
        let why = |facts: &Facts| snapshot.why_not_before(facts).unwrap();
        assert_eq!(why(&facts("d", 200.0, Some(500.0))), "");
        assert!(why(&facts("d", 200.0, Some(50.0))).contains("reset"));
        assert!(why(&facts("e", 200.0, None)).contains("database"));
        assert!(why(&facts("d", 50.0, None)).contains("newer"));
    }
}
