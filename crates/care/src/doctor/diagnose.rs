//! Runs the checks, one after the other over one connection, and makes one report of what they say.
//!
//! Not for: judging. A check that fails, may not look, or takes too long is named in the report, and the others go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use posthaste_base::Code;
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_report::{Finding, Report, Skipped, Step, Target as Looked};
use serde::Deserialize;

use super::remedy::DROP_INDEX;
use super::{Check, Declared, Facts, INDEX_OID, Judge, Outcome, Rows, Snapshot, Thresholds, Unseen, Visitor};
use crate::checks;

#[derive(Clone, Debug)]
pub struct Options {
    /// Codes of the checks to make; all when there are none.
    pub only: Vec<String>,
    /// For each statement.
    pub statement_timeout_ms: u32,
    pub thresholds: Thresholds,
    /// Counters of an earlier visit, which are subtracted.
    pub since: Option<Snapshot>,
    /// Pools of the application and the size of the machine, which no server knows.
    pub declared: Declared,
}

/// What a visit found.
#[derive(Debug)]
pub struct Diagnosis {
    pub report: Report,
    /// For each check that was made, a sentence with its numbers.
    pub lines: Vec<(&'static str, String)>,
    /// The counters as they are now, for a later `since`.
    pub snapshot: Snapshot,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            statement_timeout_ms: 5_000,
            thresholds: Thresholds::default(),
            since: None,
            declared: Declared::default(),
        }
    }
}

/// Looks at a database. An error only when it cannot be reached at all, or a code is not known.
pub async fn diagnose(target: &Target, options: &Options) -> posthaste_base::Result<Diagnosis> {
    let checks = chosen(&options.only)?;
    let mut round = Round::begin(target, options).await?;
    for check in checks {
        let started = Instant::now();
        round.make(check).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        round.times.insert(check.code, took_ms);
    }
    Ok(round.end().await)
}

fn chosen(only: &[String]) -> posthaste_base::Result<Vec<&'static Check>> {
    for code in only {
        if !checks::ALL.iter().any(|check| check.code == code) {
            let known: Vec<&str> = checks::ALL.iter().map(|check| check.code).collect();
            let message = format!("there is no check `{code}`");
            return Err(posthaste_base::Error::new(Code::InvalidParameter, message)
                .field("only")
                .expected(format!("some of {}", known.join(", "))));
        }
    }
    let is_chosen = |check: &&&Check| only.is_empty() || only.iter().any(|code| code == check.code);
    Ok(checks::ALL.iter().filter(is_chosen).copied().collect())
}

struct Round<'a> {
    target: &'a Target,
    options: &'a Options,
    visitor: Visitor,
    facts: Facts,
    /// By the text of their query: checks share them.
    answers: BTreeMap<&'static str, Result<Rows, Unseen>>,
    findings: Vec<Finding>,
    skipped: Vec<Skipped>,
    lines: Vec<(&'static str, String)>,
    /// How long each check took, in milliseconds.
    times: BTreeMap<&'static str, u64>,
    /// One lost connection is made again; a server that keeps ending sessions is left alone.
    has_reconnected: bool,
}

impl<'a> Round<'a> {
    async fn begin(target: &'a Target, options: &'a Options) -> posthaste_base::Result<Self> {
        let visitor = connect(target, options).await?;
        let rows = visitor.rows(include_str!("../../sql/doctor/facts.sql")).await;
        let facts = rows.and_then(|rows| rows.one::<Facts>()).map_err(|unseen| {
            posthaste_base::Error::new(
                Code::DatabaseFailed,
                format!("failed to ask the server about itself: {}", unseen.why),
            )
        })?;
        let mut round = Self {
            target,
            options,
            visitor,
            facts,
            answers: BTreeMap::new(),
            findings: Vec::new(),
            skipped: Vec::new(),
            lines: Vec::new(),
            times: BTreeMap::new(),
            has_reconnected: false,
        };
        round.facts.thresholds = options.thresholds.clone();
        round.facts.declared = options.declared.clone();
        round.facts.baseline = round.usable_baseline().map(Arc::new);
        Ok(round)
    }

    /// The earlier snapshot, unless it is of another database or of counters that were reset since.
    fn usable_baseline(&mut self) -> Option<Snapshot> {
        let snapshot = self.options.since.clone()?;
        let why = snapshot.why_not_before(&self.facts)?;
        if why.is_empty() {
            return Some(snapshot);
        }
        self.skip("since", why);
        None
    }

    async fn make(&mut self, check: &'static Check) {
        if let Some(why) = self.why_not(check) {
            return self.skip(check.code, why);
        }
        if let Some(hidden) = check.needs.hidden.filter(|_| !self.facts.reads_all_stats) {
            let role = self.facts.role_name.clone();
            self.skip(check.code, format!("{hidden}; grant pg_monitor to {role} to see all of it"));
        }
        match self.outcome(check).await {
            Ok(outcome) => self.keep(check, outcome),
            Err(unseen) => self.skip(check.code, unseen.why),
        }
    }

    fn why_not(&self, check: &Check) -> Option<String> {
        let (needs, facts) = (&check.needs, &self.facts);
        if facts.major() < needs.version {
            return Some(format!(
                "needs PostgreSQL {} or newer, and this is {}",
                needs.version, facts.version
            ));
        }
        if let Some(extension) = needs.extension.filter(|name| facts.extension(name).is_none()) {
            return Some(format!("the extension {extension} is not installed in this database"));
        }
        (needs.primary && facts.is_replica).then(|| "this server is a standby; ask the primary".to_owned())
    }

    async fn outcome(&mut self, check: &'static Check) -> Result<Outcome, Unseen> {
        self.reconnect_once().await;
        let first = self.try_once(check).await;
        match first {
            // Something was dropped while it was looked at.
            Err(unseen) if unseen.is_fleeting => {
                if let Judge::Rows(sql, _) = check.judge {
                    self.answers.remove(sql);
                }
                self.try_once(check).await
            }
            outcome => outcome,
        }
    }

    async fn try_once(&mut self, check: &'static Check) -> Result<Outcome, Unseen> {
        match check.judge {
            Judge::Rows(sql, judge) => {
                if !self.answers.contains_key(sql) {
                    let rows = self.visitor.rows(&self.filled(sql)).await;
                    self.answers.insert(sql, rows);
                }
                judge(self.answers[sql].as_ref().map_err(Unseen::clone)?, &self.facts)
            }
            Judge::Visit(judge) => judge(&self.visitor, &self.facts).await,
        }
    }

    /// The few places of a query that depend on the server.
    fn filled(&self, sql: &str) -> String {
        let view = checks::statements_view(&self.facts).unwrap_or_default();
        let last_scan = match self.facts.major() {
            0..=15 => "null::timestamptz",
            _ => "pg_stat_get_lastscan(i.indexrelid)",
        };
        sql.replace("{view}", &view).replace("{last_scan}", last_scan)
    }

    async fn reconnect_once(&mut self) {
        if self.visitor.visit.is_closed() && !self.has_reconnected {
            self.has_reconnected = true;
            if let Ok(visitor) = connect(self.target, self.options).await {
                self.visitor = visitor;
            }
        }
    }

    fn keep(&mut self, check: &'static Check, outcome: Outcome) {
        self.findings.extend(outcome.findings);
        for why in outcome.skipped {
            self.skip(check.code, why);
        }
        if !outcome.line.is_empty() {
            self.lines.push((check.code, outcome.line));
        }
    }

    fn skip(&mut self, what: &str, why: impl Into<String>) {
        self.skipped.push(Skipped { what: what.to_owned(), why: why.into() });
    }

    async fn end(mut self) -> Diagnosis {
        super::together::share_indexes(&mut self.findings);
        complete_undo(&self.visitor, &mut self.findings).await;
        complete_columns(&self.visitor, &mut self.findings).await;
        let looked =
            Looked { name: self.facts.database.clone(), server_version: Some(self.facts.version.clone()) };
        self.skipped.dedup();
        let mut report = Report::new("doctor", looked, self.findings, self.skipped);
        let lines = self.lines.iter().map(|(code, line)| ((*code).to_owned(), line.clone().into()));
        report.summary.insert("lines".into(), serde_json::Value::Object(lines.collect()));
        let times = self.times.iter().map(|(code, ms)| ((*code).to_owned(), (*ms).into()));
        report.summary.insert("milliseconds".into(), serde_json::Value::Object(times.collect()));
        let snapshot = Snapshot::take(&self.facts, &self.answers, &report);
        self.visitor.visit.close().await;
        Diagnosis { report, lines: self.lines, snapshot }
    }
}

async fn connect(target: &Target, options: &Options) -> Result<Visitor, posthaste_pg::Error> {
    let visit = VisitOptions {
        statement_timeout_ms: options.statement_timeout_ms,
        ..VisitOptions::named("posthaste doctor").read_only()
    };
    Visitor::new(Visit::connect(target, visit).await?).await
}

/// A dropped index can be made again: its definition is asked for here, where that waits for nobody.
async fn complete_undo(visitor: &Visitor, findings: &mut [Finding]) {
    #[derive(Deserialize)]
    struct Definition {
        oid: i64,
        definition: Option<String>,
    }
    fn steps(findings: &mut [Finding]) -> impl Iterator<Item = (String, &mut Step)> {
        findings
            .iter_mut()
            .flat_map(|finding| &mut finding.remedy)
            .flat_map(|remedy| &mut remedy.steps)
            .filter(|step| !step.needs_no_undo)
            .filter_map(|step| Some((step.id.strip_prefix(DROP_INDEX)?.to_owned(), step)))
    }
    let oids: Vec<String> = steps(findings).map(|(oid, _)| oid).collect();
    if oids.is_empty() {
        return;
    }
    let asked = format!("{{{}}}", oids.join(","));
    let sql = include_str!("../../sql/doctor/index_definition.sql");
    let rows = visitor.rows_with(sql, &[&asked]).await;
    let Ok(definitions) = rows.and_then(|rows| rows.of::<Definition>()) else { return };
    for (oid, step) in steps(findings) {
        let found = definitions.iter().find(|definition| definition.oid.to_string() == oid);
        if let Some(text) = found.and_then(|definition| definition.definition.as_deref()) {
            step.undo = vec![beside_writes(text)];
        }
    }
}

/// Findings about indexes know them by oid until here; their columns are asked for together.
async fn complete_columns(visitor: &Visitor, findings: &mut [Finding]) {
    #[derive(Deserialize)]
    struct Columns {
        oid: i64,
        columns: Vec<String>,
    }
    let oids: Vec<i64> =
        findings.iter().filter_map(|finding| finding.counts.get(INDEX_OID).copied()).collect();
    if oids.is_empty() {
        return;
    }
    let asked: Vec<String> = oids.iter().map(ToString::to_string).collect();
    let asked = format!("{{{}}}", asked.join(","));
    let rows = visitor.rows_with(include_str!("../../sql/doctor/index_columns.sql"), &[&asked]).await;
    let known = rows.and_then(|rows| rows.of::<Columns>()).unwrap_or_default();
    let known: BTreeMap<i64, Vec<String>> = known.into_iter().map(|one| (one.oid, one.columns)).collect();
    for finding in findings {
        // An oid means nothing to a reader, and another one after a restore.
        if let Some(columns) = finding.counts.remove(INDEX_OID).and_then(|oid| known.get(&oid)) {
            finding.object.columns.clone_from(columns);
        }
    }
}

/// The definition, to be built without stopping anybody.
fn beside_writes(definition: &str) -> String {
    definition.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1)
}
