//! A plan: ordered steps that can be read, edited and kept before they run. One TOML file holds one plan.
//!
//! The same for a rollout, a fix, an index, an archive and maintenance. Not for: carrying it out (see `runner`),
//! and for why a step is there: the runner knows steps, and nothing of what they are for.

use std::collections::BTreeSet;

use posthaste_base::{Code, Error};
use serde::{Deserialize, Serialize};

use crate::plan_form::StepForm;
use crate::{Effect, Lock};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Of the file's form.
    pub version: u32,
    pub title: String,
    /// What made it: `rollout`, `fix`, `archive`, `maintenance` and so on.
    pub kind: String,
    /// The database that it was made for.
    #[serde(default)]
    pub database: String,
    /// Of the tables that it touches, as they were when it was made. Another one now means drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What a person must read first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Hold before the first step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    #[serde(default)]
    pub phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// `expand`, `backfill`, `validate`, `switch`, `contract`, or another word.
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Which versions of the application may run beside it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compatible_with: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// What to look at while it runs and after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<Watch>,
    #[serde(default)]
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    pub metric: String,
    /// Stop when it is above.
    pub threshold: f64,
    pub unit: String,
    /// Keeps watching so long after the phase, in seconds.
    pub watch_s: u64,
    pub when: String,
    /// What the runner reads for it, in the unit of the threshold, while it runs; without it only people can watch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Above the threshold for so long, the runner pauses the run, in seconds.
    #[serde(default)]
    pub pause_after_s: u64,
}

/// What a server shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// Sessions that wait for a lock.
    LockWaits,
    /// Of the slowest replica, in seconds.
    ReplicaLag,
    /// Of the table that a step goes over, in percent of its rows.
    DeadRows,
    /// Of the longest transaction that is open, in seconds.
    OldestTransaction,
}

/// What must hold before a phase or a plan starts. One that is overridden is recorded with the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "gate", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Gate {
    /// A backup that is not older.
    Backup {
        max_age_s: u64,
    },
    ReplicaLag {
        max_ms: u64,
    },
    /// No transaction is open for longer.
    OldestTransaction {
        max_ms: u64,
    },
    /// Local times of a day, as `22:00`, in an IANA zone.
    Window {
        from: String,
        to: String,
        zone: String,
    },
    /// A person says that it is so, by `--approve NAME`.
    Approval {
        name: String,
        about: String,
    },
    /// A query that answers true.
    Query {
        sql: String,
        about: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StepForm")]
pub struct Step {
    /// Unique in the plan; the journal knows steps by it.
    pub id: String,
    pub title: String,
    #[serde(flatten)]
    pub action: Action,
    /// A query that answers true once the step has been done, for a resume after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_if: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    #[serde(default)]
    pub effect: Effect,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    /// Statements that take it back, in order; none when it cannot be taken back. Those of batches may hold
    /// `{batch}`, and then go by batches too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<String>,
    /// Nothing is left to take back: what it does goes with the undo of a step before it, or changes nothing that
    /// anybody sees (VALIDATE, ANALYZE). A step that has neither this nor `undo` stops an abort.
    #[serde(default, skip_serializing_if = "is_false")]
    pub needs_no_undo: bool,
    /// What a review of the plan says of the step all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
}

/// A finding about a step, and why the step stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    pub code: String,
    pub message: String,
    pub because: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Statements in one transaction.
    Transaction {
        statements: Vec<String>,
    },
    /// One statement that must stand alone: CREATE INDEX CONCURRENTLY, VACUUM, ALTER TYPE ... ADD VALUE.
    Alone {
        statement: String,
        /// `schema.name` of the index that it builds: an invalid leftover of that name is dropped first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<String>,
    },
    Batches(Batches),
    /// A query that must answer true, or the run stops here.
    Check {
        sql: String,
    },
    /// A person does it and says so by `--approve ID`.
    Manual {
        about: String,
    },
}

/// Statements that run for one range of a table's key after the other, each range a transaction of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    pub schema: String,
    pub table: String,
    /// The columns that order the table, by an index; none for ranges of `ctid`, whose statements must do no harm
    /// when they meet a row twice, and whose `left` must be said, since rows move.
    #[serde(default)]
    pub key: Vec<String>,
    /// What the statements call the table; its name when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// All of a batch are one transaction. `{batch}` stands for the condition on the key.
    pub statements: Vec<String>,
    /// A query in the same transaction, with `{batch}`, that must answer true before a batch commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prove: Option<String>,
    /// A query that counts what is left; the step is done when it answers 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// Rows of the first batch; the following ones go by the time that a batch takes.
    #[serde(default = "first_rows")]
    pub rows: u32,
}

pub(crate) fn first_rows() -> u32 {
    1_000
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// To scan or to rewrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Step {
    /// A step of which nothing is known but what it does.
    pub fn new(id: impl Into<String>, title: impl Into<String>, action: Action) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            action,
            done_if: None,
            estimate: None,
            effect: Effect::None,
            locks: Vec::new(),
            undo: Vec::new(),
            needs_no_undo: false,
            accepted: Vec::new(),
        }
    }
}

impl Batches {
    /// Of one table by its key.
    pub fn new(schema: impl Into<String>, table: impl Into<String>, key: Vec<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
            key,
            alias: None,
            statements: Vec::new(),
            prove: None,
            left: None,
            rows: first_rows(),
        }
    }
}

impl Gate {
    /// What it is overridden by: `--override NAME=reason`.
    pub fn name(&self) -> &str {
        match self {
            Gate::Backup { .. } => "backup",
            Gate::ReplicaLag { .. } => "replica-lag",
            Gate::OldestTransaction { .. } => "oldest-transaction",
            Gate::Window { .. } => "window",
            Gate::Approval { name, .. } => name,
            Gate::Query { .. } => "query",
        }
    }
}

impl Plan {
    pub const VERSION: u32 = 1;

    /// Reads a plan; the error names the line and what is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let plan: Self =
            toml::from_str(text).map_err(|error| Error::new(Code::InvalidFile, error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| Error::new(Code::InvalidFile, error.to_string()))
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }

    /// What no form of a file can say: versions, ids that are told apart, statements with their `{batch}`.
    pub fn check(&self) -> Result<(), Error> {
        if self.version != Self::VERSION {
            let message = format!("the plan's form has version {}", self.version);
            return Err(invalid(message).field("version").expected(Self::VERSION.to_string()));
        }
        let mut ids = BTreeSet::new();
        for step in self.steps() {
            if step.id.is_empty() || !ids.insert(step.id.as_str()) {
                let message = format!("the id `{}` stands for more than one step, or is empty", step.id);
                return Err(invalid(message).field("id").expected("an id of its own for each step"));
            }
            step.check()?;
        }
        Ok(())
    }
}

impl Step {
    fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str| invalid(format!("{what} of step `{}`", self.id)).field(self.id.clone());
        let blank = |text: &String| text.trim().is_empty();
        if self.undo.iter().any(blank) {
            return Err(wrong("an undo statement is empty").expected("SQL"));
        }
        match &self.action {
            Action::Transaction { statements } if statements.is_empty() || statements.iter().any(blank) => {
                Err(wrong("a statement is missing or empty").expected("at least one statement"))
            }
            Action::Alone { statement, .. } if blank(statement) => {
                Err(wrong("the statement is empty").expected("SQL"))
            }
            Action::Check { sql } if blank(sql) => Err(wrong("the query is empty").expected("SQL")),
            Action::Batches(batches) => {
                let all = batches.statements.iter().chain(&batches.prove);
                if batches.statements.is_empty() || all.clone().any(|text| !text.contains(BATCH)) {
                    return Err(wrong("a statement lacks the batch's condition").expected(BATCH));
                }
                if batches.key.is_empty() && batches.left.is_none() {
                    let error = wrong("`left` is not said, and there is no key: rows may move meanwhile");
                    return Err(error.expected("`left`, or the columns of a key"));
                }
                if batches.rows == 0 {
                    return Err(wrong("`rows` is 0").expected("at least 1"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Stands for the condition on the key in the statements of a batch.
pub const BATCH: &str = "{batch}";

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidFile, message)
}

#[cfg(test)]
mod tests;
