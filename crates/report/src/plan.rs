//! A plan: ordered steps that can be read, edited and kept before they run. One TOML file holds one plan.
//!
//! The same for a rollout, a fix, an index, an archive and maintenance. Not for: carrying it out (see `runner`),
//! and for why a step is there: the runner knows steps, and nothing of what they are for.

use posthaste_base::{Code, Error};
use serde::{Deserialize, Serialize};

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
#[serde(deny_unknown_fields)]
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
    /// Statements that take it back, in order; none when it cannot be taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<String>,
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
    /// The columns that order the table, by a unique index; none for ranges of `ctid`.
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

fn first_rows() -> u32 {
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

impl Plan {
    pub const VERSION: u32 = 1;

    /// Reads a plan; the error names the line and what is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| Error::new(Code::InvalidFile, error.to_string()))
    }

    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| Error::new(Code::InvalidFile, error.to_string()))
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }
}
