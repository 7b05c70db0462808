//! A run: a plan that is or was carried out, as its journal has it.
//!
//! Not for: carrying it out (see `runner`), and for events as they happen.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: i64,
    pub title: String,
    pub kind: String,
    /// SHA-256 of the plan's text, in hexadecimal.
    pub plan_hash: String,
    pub state: RunState,
    pub started_by: String,
    pub started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Who carries it out at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// Of full speed, in percent.
    pub speed_percent: i32,
    /// How long a batch should take, where somebody has set it for this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_ms: Option<i32>,
    /// Of a listing they are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<RunStep>,
    /// What is worth knowing afterwards: gates that were overridden, sessions that were in the way or were ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<RunNote>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    Running,
    /// Its runner is there and waits to be told to go on.
    Paused,
    /// It says that it runs, and nobody carries it out: its runner was killed or lost the database.
    Interrupted,
    /// It waits for a gate, an approval or a person.
    Stopped,
    Failed,
    /// It goes back.
    Aborting,
    /// It went back as far as it could.
    Aborted,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    Waiting,
    Running,
    Done,
    Failed,
    Undoing,
    Undone,
    /// The run was aborted, and this step's effects stay.
    Kept,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    pub id: String,
    pub title: String,
    pub phase: String,
    /// `transaction`, `alone`, `batches`, `check` or `manual`.
    pub action: String,
    pub state: StepState,
    /// How often it was tried, also those that ended by a lock timeout.
    pub attempts: i32,
    /// Batches that were committed.
    pub batches: i64,
    /// Rows that the batches went over, in this pass.
    pub visited: i64,
    /// Rows that they changed.
    pub rows: i64,
    /// Rows of the table, as the planner's statistics had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// From 1; more than one when rows were left after the first.
    pub pass: i32,
    /// What the step's own query counted after the last pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
    /// Time spent in the database, pauses left out.
    pub worked_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A process that carries out a run, as the database knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runner {
    /// Of its session at the server.
    pub backend_pid: i32,
    pub host: String,
    /// Of the process on its host.
    pub process_id: i32,
    pub since: Timestamp,
    pub heartbeat_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunNote {
    pub at: Timestamp,
    /// `gate-overridden`, `in-the-way`, `session-ended`, `resumed` and so on.
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Blocker>,
}

/// A session that holds what somebody waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// 0 for a prepared transaction, which has no session.
    pub pid: i32,
    /// With the process id it names one session for ever. Not there when the role may not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_start: Option<Timestamp>,
    pub user: String,
    pub application: String,
    /// As `pg_stat_activity` says it; `prepared transaction` for one.
    pub state: String,
    /// How long its transaction is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<i64>,
    pub query: String,
    /// What it holds, such as `AccessShareLock on public.users`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
}

impl RunState {
    /// Whether there is nothing more to do.
    pub fn is_over(self) -> bool {
        matches!(self, RunState::Aborted | RunState::Done)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Paused => "paused",
            RunState::Interrupted => "interrupted",
            RunState::Stopped => "stopped",
            RunState::Failed => "failed",
            RunState::Aborting => "aborting",
            RunState::Aborted => "aborted",
            RunState::Done => "done",
        }
    }

    pub fn of_str(text: &str) -> Option<Self> {
        use RunState::*;
        let all = [Running, Paused, Interrupted, Stopped, Failed, Aborting, Aborted, Done];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

impl StepState {
    pub fn as_str(self) -> &'static str {
        match self {
            StepState::Waiting => "waiting",
            StepState::Running => "running",
            StepState::Done => "done",
            StepState::Failed => "failed",
            StepState::Undoing => "undoing",
            StepState::Undone => "undone",
            StepState::Kept => "kept",
        }
    }

    pub fn of_str(text: &str) -> Option<Self> {
        use StepState::*;
        let all = [Waiting, Running, Done, Failed, Undoing, Undone, Kept];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Blocker {
    /// One line: who it is, since when, what it does and what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => f.write_str("a prepared transaction")?,
            pid => write!(f, "pid {pid}")?,
        }
        for word in [&self.application, &self.user, &self.state].into_iter().filter(|word| !word.is_empty()) {
            write!(f, ", {word}")?;
        }
        if let Some(age_ms) = self.age_ms {
            write!(f, ", open for {:.1} s", age_ms as f64 / 1000.0)?;
        }
        if let Some(holds) = &self.holds {
            write!(f, ", holds {holds}")?;
        }
        if !self.query.is_empty() {
            write!(f, ": {}", self.query.split_whitespace().collect::<Vec<_>>().join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_from_their_words() {
        for word in ["running", "paused", "interrupted", "stopped", "failed", "aborting", "aborted", "done"] {
            assert_eq!(RunState::of_str(word).map(RunState::as_str), Some(word));
        }
        for word in ["waiting", "running", "done", "failed", "undoing", "undone", "kept"] {
            assert_eq!(StepState::of_str(word).map(StepState::as_str), Some(word));
        }
        assert_eq!(RunState::of_str("gone"), None);
    }

    #[test]
    fn a_blocker_is_one_line() {
        let blocker = Blocker {
            pid: 7,
            backend_start: None,
            user: "web".into(),
            application: String::new(),
            state: "idle in transaction".into(),
            age_ms: Some(61_240),
            query: "select 1\n  from t".into(),
            holds: Some("AccessShareLock on public.t".into()),
        };
        let line = "pid 7, web, idle in transaction, open for 61.2 s, holds AccessShareLock on public.t: select 1 from t";
        assert_eq!(blocker.to_string(), line);
        assert_eq!(
            Blocker { pid: 0, query: String::new(), ..blocker }.to_string().split(',').next(),
            Some("a prepared transaction")
        );
    }
}
