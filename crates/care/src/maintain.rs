//! Upkeep: what is due by a schedule and by what was found, as a plan that can be read before it runs.
//!
//! ANALYZE and VACUUM by age and by what changed, rows frozen before transaction ids run out, indexes built anew that
//! are mostly empty, and what a REINDEX that was killed has left behind. Counters of the server are never reset. Not
//! for: carrying it out (see `runner`), and for settings, which `fix` changes.

use posthaste_base::Error;
use posthaste_base::catalog::Name;
use posthaste_pg::Target;
use posthaste_report::{Action, Finding, Gate, Phase, Plan, Report, Step};
use serde::Serialize;

use crate::checks::is_of_reindex;
use crate::doctor::{self, Diagnosis, remedy};
use crate::visiting::{read_rows, reader};

/// What is due when. The defaults: ANALYZE daily, VACUUM weekly, and whatever has more dead rows at once.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the plan is called.
    pub name: String,
    pub analyze_every_s: f64,
    pub vacuum_every_s: f64,
    pub dead_rows_max: i64,
    /// Whether indexes that are mostly empty are built anew.
    pub reindexes: bool,
    /// Before each step it must be this time of day: from, to, and an IANA zone.
    pub window: Option<(String, String, String)>,
    pub diagnosis: doctor::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "maintenance".into(),
            analyze_every_s: 86_400.0,
            vacuum_every_s: 7.0 * 86_400.0,
            dead_rows_max: 100_000,
            reindexes: true,
            window: None,
            diagnosis: doctor::Options::default(),
        }
    }
}

/// How often a report is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Monthly,
    Quarterly,
}

/// A table, with what is due.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableState {
    pub schema: String,
    pub table: String,
    /// As of the last VACUUM or ANALYZE; asking for more would wait for locks.
    pub bytes: i64,
    pub index_bytes: i64,
    pub live_rows: i64,
    pub dead_rows: i64,
    /// Of live and dead ones.
    pub dead_percent: f64,
    /// Since the last ANALYZE.
    pub modified_rows: i64,
    /// Since then; not there when it never was, or its counters were lost.
    pub vacuumed_s: Option<f64>,
    pub analyzed_s: Option<f64>,
    /// `vacuum`, `analyze` or nothing.
    pub due: String,
    #[serde(skip)]
    oid: i64,
    #[serde(skip)]
    pages: i64,
    #[serde(skip)]
    rows: Option<f64>,
    #[serde(skip)]
    block_bytes: i64,
}

/// What has to be looked at each time.
const UPKEEP: &[&str] = &[
    "wraparound",
    "invalid-index",
    "dead-rows",
    "stale-statistics",
    "index-bloat",
    "partition-missing-next",
];
const MONTHLY: &[&str] =
    &["slow-query", "unused-index", "table-bloat", "index-bloat", "dead-rows", "stale-statistics"];
const QUARTERLY: &[&str] = &[
    "missing-index",
    "foreign-key-without-index",
    "duplicate-index",
    "unused-index",
    "invalid-index",
    "partition-missing-next",
    "server-settings",
    "archiving",
    "connection-capacity",
    "sequence-near-end",
    "integer-key-near-end",
    "wraparound",
];

/// A plan of all that is due now. Nothing is due: it has no steps.
pub async fn plan(target: &Target, options: &Options) -> Result<Plan, Error> {
    let diagnosis = look(target, options, UPKEEP).await?;
    let tables = tables(target, options).await?;
    let found =
        diagnosis.report.findings.iter().flat_map(|finding| upkeep(finding, options)).collect::<Vec<_>>();
    let mut steps: Vec<Step> = Vec::new();
    let due = tables.iter().filter_map(TableState::step);
    for step in found.into_iter().chain(due) {
        let table = |step: &Step| step.id.split_once('-').map(|(_, oid)| oid.to_owned());
        // A VACUUM analyses too.
        let is_known = steps.iter().any(|known| {
            known.id == step.id || (known.id.starts_with("vacuum-") && table(known) == table(&step))
        });
        if !is_known {
            if step.id.starts_with("vacuum-") {
                steps.retain(|known| !(known.id.starts_with("analyze-") && table(known) == table(&step)));
            }
            steps.push(step);
        }
    }
    steps.sort_by_key(rank);
    let skipped = diagnosis
        .report
        .skipped
        .iter()
        .map(|skipped| format!("Not looked at: {}, {}", skipped.what, skipped.why));
    Ok(Plan {
        version: Plan::VERSION,
        title: options.name.clone(),
        kind: "maintenance".into(),
        database: diagnosis.report.target.name.clone(),
        fingerprint: None,
        notes: skipped.collect(),
        gates: Vec::new(),
        phases: steps.into_iter().map(|step| phase(step, options)).collect(),
    })
}

/// A phase for each step, so that the window is looked at before each.
fn phase(step: Step, options: &Options) -> Phase {
    let (name, about) = match rank(&step) {
        0 => ("leftovers", "What a build that was killed has left behind goes."),
        1 => ("freeze", "Transaction ids do not run out."),
        2 => ("vacuum", "Space of dead rows can be used again; statistics are fresh."),
        3 => ("statistics", "The planner knows how the table is now."),
        4 => ("partitions", "The next rows have a place."),
        _ => ("reindex", "An index that is mostly empty is built anew, beside readers and writers."),
    };
    let gates = options.window.as_ref().map(|(from, to, zone)| Gate::Window {
        from: from.clone(),
        to: to.clone(),
        zone: zone.clone(),
    });
    Phase {
        name: name.into(),
        about: about.into(),
        compatible_with: String::new(),
        gates: gates.into_iter().collect(),
        watch: Vec::new(),
        steps: vec![step],
    }
}

fn rank(step: &Step) -> usize {
    const ORDER: &[&str] =
        &["drop-index-", "freeze-", "vacuum-", "analyze-", "create-partition-", "reindex-"];
    ORDER.iter().position(|start| step.id.starts_with(start)).unwrap_or(ORDER.len())
}

/// Of what was found, what upkeep may do by itself: nothing that changes what the schema means.
fn upkeep(finding: &Finding, options: &Options) -> Vec<Step> {
    let steps = finding.remedy.as_ref().map(|remedy| remedy.steps.clone()).unwrap_or_default();
    let may = |step: &Step| {
        let statement = match &step.action {
            Action::Alone { statement, .. } => statement.to_lowercase(),
            Action::Transaction { .. } => return step.id.starts_with("create-partition-"),
            _ => return false,
        };
        let is_leftover = step.id.starts_with(remedy::DROP_INDEX)
            && finding.object.name.as_deref().is_some_and(is_of_reindex);
        let is_rebuild = statement.starts_with("reindex") && options.reindexes;
        statement.starts_with("vacuum") || statement.starts_with("analyze") || is_leftover || is_rebuild
    };
    steps.into_iter().filter(may).collect()
}

async fn look(target: &Target, options: &Options, only: &[&str]) -> Result<Diagnosis, Error> {
    let only = only.iter().map(|code| (*code).to_owned()).collect();
    doctor::diagnose(target, &doctor::Options { only, ..options.diagnosis.clone() }).await
}

/// All tables with what is due, the largest first.
pub async fn tables(target: &Target, options: &Options) -> Result<Vec<TableState>, Error> {
    let visit = reader(target, "posthaste maintain").await?;
    let rows = visit.query(include_str!("../sql/maintain/tables.sql"), &[]).await?;
    read_rows(&rows, |row| TableState::read(row, options))
}

/// What is read once a month, or once a quarter.
pub async fn report(target: &Target, options: &Options, period: Period) -> Result<Report, Error> {
    let only = if period == Period::Monthly { MONTHLY } else { QUARTERLY };
    Ok(look(target, options, only).await?.report)
}

impl TableState {
    fn read(row: &posthaste_pg::driver::Row, options: &Options) -> Result<Self, posthaste_pg::Error> {
        let block_bytes: i64 = row.try_get("block_bytes")?;
        let (live_rows, dead_rows): (i64, i64) = (row.try_get("live_rows")?, row.try_get("dead_rows")?);
        let pages: i64 = row.try_get("pages")?;
        let tuples: f64 = row.try_get("tuples")?;
        let mut state = Self {
            schema: row.try_get("schema")?,
            table: row.try_get("name")?,
            bytes: pages * block_bytes,
            index_bytes: row.try_get::<_, i64>("index_pages")? * block_bytes,
            live_rows,
            dead_rows,
            dead_percent: dead_rows as f64 * 100.0 / (live_rows + dead_rows).max(1) as f64,
            modified_rows: row.try_get("modified_rows")?,
            vacuumed_s: row.try_get("vacuumed_s")?,
            analyzed_s: row.try_get("analyzed_s")?,
            due: String::new(),
            oid: row.try_get("oid")?,
            pages,
            rows: (tuples >= 0.0).then_some(tuples),
            block_bytes,
        };
        state.due = state.due(options).to_owned();
        Ok(state)
    }

    fn due(&self, options: &Options) -> &'static str {
        let is_old = |age_s: Option<f64>, every_s: f64| age_s.is_none_or(|age_s| age_s >= every_s);
        // Who changed nothing needs nothing, however long ago it was.
        let wants_vacuum = self.dead_rows > 0 && is_old(self.vacuumed_s, options.vacuum_every_s);
        if wants_vacuum || self.dead_rows > options.dead_rows_max {
            "vacuum"
        } else if self.modified_rows > 0 && is_old(self.analyzed_s, options.analyze_every_s) {
            "analyze"
        } else {
            ""
        }
    }

    fn step(&self) -> Option<Step> {
        let name = Name::new(self.schema.as_str(), self.table.as_str());
        let on = remedy::On { name, pages: self.pages, rows: self.rows };
        match self.due.as_str() {
            "vacuum" => Some(remedy::vacuum(self.oid, &on, self.block_bytes)),
            "analyze" => Some(remedy::analyze(self.oid, &on)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        dead_rows: i64,
        vacuumed_s: Option<f64>,
        modified_rows: i64,
        analyzed_s: Option<f64>,
        due: &str,
    ) {
        let state = TableState {
            schema: "a".into(),
            table: "b".into(),
            bytes: 0,
            index_bytes: 0,
            live_rows: 1_000_000,
            dead_rows,
            dead_percent: 0.0,
            modified_rows,
            vacuumed_s,
            analyzed_s,
            due: String::new(),
            oid: 1,
            pages: 1,
            rows: None,
            block_bytes: 8192,
        };
        assert_eq!(
            state.due(&Options::default()),
            due,
            "{dead_rows} {vacuumed_s:?} {modified_rows} {analyzed_s:?}"
        );
    }

    #[test]
    fn what_is_due_depends_on_age_and_on_what_changed() {
        const DAY: f64 = 86_400.0;
        check(0, None, 0, None, "");
        check(0, None, 5, None, "analyze");
        check(0, None, 5, Some(DAY / 2.0), "");
        check(5, Some(DAY), 5, Some(DAY + 1.0), "analyze");
        check(5, Some(8.0 * DAY), 0, Some(DAY), "vacuum");
        check(0, Some(80.0 * DAY), 0, Some(80.0 * DAY), "");
        check(100_001, Some(60.0), 0, Some(60.0), "vacuum");
    }

    #[test]
    fn leftovers_of_a_rebuild_are_known_by_their_names() {
        for (name, is_one) in
            [("a_ccnew", true), ("a_ccold3", true), ("ccnew_a", false), ("a_ccnewer", false)]
        {
            assert_eq!(is_of_reindex(name), is_one, "{name}");
        }
    }
}
