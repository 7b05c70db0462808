//! What happens in a run, as it happens: for a terminal, a log or a program.
//!
//! Not for: what is kept (see the journal). An event is one line for people and one object for programs.

use std::fmt;

use posthaste_report::{Blocker, RunState};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Started {
        run: i64,
        title: String,
        steps: usize,
        is_resumed: bool,
    },
    Phase {
        name: String,
    },
    GateOverridden {
        gate: String,
        why_closed: String,
        reason: String,
    },
    Step {
        step: String,
        title: String,
    },
    /// Somebody holds what a step needs. When it is queued, it waits already, no longer than its lock timeout.
    InTheWay {
        step: String,
        is_queued: bool,
        sessions: Vec<Blocker>,
    },
    LockTimeout {
        step: String,
        attempt: u32,
        timeout_ms: u64,
        pause_ms: u64,
    },
    SessionEnded {
        step: String,
        session: Blocker,
        is_terminated: bool,
    },
    Progress(Progress),
    IndexBuild {
        step: String,
        phase: String,
        done: i64,
        total: i64,
    },
    LeftoverDropped {
        step: String,
        index: String,
    },
    /// A batch whose rows are held by others is left for later.
    PutOff {
        step: String,
        behind: Option<Vec<String>>,
        up_to: Vec<String>,
    },
    /// Rows were left after a pass over the table.
    Left {
        step: String,
        pass: i32,
        rows: i64,
    },
    Throttled {
        step: String,
        reasons: Vec<String>,
        pause_ms: u64,
    },
    /// Something that the role may not see, so that it is not looked at.
    Unread {
        what: String,
        why: String,
    },
    /// What the plan watches is above its threshold; the run pauses.
    ThresholdPassed {
        why: String,
    },
    Paused,
    Continued,
    Speed {
        percent: i32,
        batch_ms: Option<i32>,
    },
    ConnectionLost {
        why: String,
    },
    Reconnected,
    StepDone {
        step: String,
        rows: i64,
        worked_ms: i64,
    },
    StepUndone {
        step: String,
    },
    /// An abort leaves what a step did.
    StepKept {
        step: String,
        why: String,
    },
    Ended {
        run: i64,
        state: RunState,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Progress {
    pub step: String,
    /// Rows gone over in this pass.
    pub visited: i64,
    /// Rows of the table, by the planner's statistics.
    pub total: Option<i64>,
    /// Rows changed.
    pub rows: i64,
    pub batches: i64,
    /// Of the next batch.
    pub batch_rows: u64,
    /// What the last batch took.
    pub batch_ms: u64,
    pub rows_per_s: Option<u64>,
    pub eta_s: Option<u64>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { run, title, steps, is_resumed } => {
                let how = if *is_resumed { "goes on" } else { "starts" };
                write!(f, "run {run} {how}: {title} ({steps} steps)")
            }
            Event::Phase { name } => write!(f, "phase {name}"),
            Event::GateOverridden { gate, why_closed, reason } => {
                write!(f, "gate {gate} is overridden ({reason}); {why_closed}")
            }
            Event::Step { step, title } => write!(f, "step {step}: {title}"),
            Event::InTheWay { step, is_queued, sessions } => {
                let what = if *is_queued { "waits for a lock" } else { "does not queue for a lock yet" };
                write!(f, "{step} {what}; in the way:")?;
                sessions.iter().try_for_each(|session| write!(f, "\n  {session}"))
            }
            Event::LockTimeout { step, attempt, timeout_ms, pause_ms } => write!(
                f,
                "{step}: no lock within {timeout_ms} ms (try {attempt}); tries again in {} s",
                seconds(*pause_ms)
            ),
            Event::SessionEnded { step, session, is_terminated } => {
                let how = if *is_terminated { "terminated" } else { "cancelled" };
                write!(f, "{step}: {how} {session}")
            }
            Event::Progress(progress) => progress.fmt(f),
            Event::IndexBuild { step, phase, done, total } => match total {
                0 => write!(f, "{step}: {phase}"),
                _ => write!(f, "{step}: {phase}, {done} of {total}"),
            },
            Event::LeftoverDropped { step, index } => {
                write!(f, "{step}: dropped the invalid leftover {index}")
            }
            Event::PutOff { step, behind, up_to } => {
                let behind = behind.as_ref().map_or("the start".to_owned(), |key| key.join(", "));
                write!(
                    f,
                    "{step}: rows behind {behind} up to {} are held by others; comes back to them",
                    up_to.join(", ")
                )
            }
            Event::Left { step, pass, rows } => write!(f, "{step}: {rows} rows are left after pass {pass}"),
            Event::Throttled { step, reasons, pause_ms } => {
                write!(f, "{step}: pauses for {} s: {}", seconds(*pause_ms), reasons.join("; "))
            }
            Event::Unread { what, why } => write!(f, "not looked at: {what} ({why})"),
            Event::ThresholdPassed { why } => {
                write!(f, "{why}; pauses until `posthaste runs resume`")
            }
            Event::Paused => f.write_str("paused"),
            Event::Continued => f.write_str("goes on"),
            Event::Speed { percent, batch_ms } => {
                write!(f, "speed {percent} %")?;
                batch_ms.map_or(Ok(()), |ms| write!(f, ", batches of {ms} ms"))
            }
            Event::ConnectionLost { why } => write!(f, "lost the database ({why}); connects again"),
            Event::Reconnected => f.write_str("connected again"),
            Event::StepDone { step, rows, worked_ms } => match rows {
                0 => write!(f, "{step} is done, in {} s", seconds(worked_ms.unsigned_abs())),
                _ => write!(f, "{step} is done: {rows} rows, in {} s", seconds(worked_ms.unsigned_abs())),
            },
            Event::StepUndone { step } => write!(f, "{step} went back"),
            Event::StepKept { step, why } => write!(f, "{step} stays as it is: {why}"),
            Event::Ended { run, state } => write!(f, "run {run} is {state}"),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.visited)?;
        match self.total.filter(|total| *total > 0) {
            Some(total) => {
                let share = (self.visited as f64 / total as f64 * 100.0).min(100.0);
                write!(f, " of about {total} rows ({share:.0} %)")?;
            }
            None => f.write_str(" rows")?,
        }
        write!(f, ", {} changed", self.rows)?;
        if let Some(rate) = self.rows_per_s {
            write!(f, ", {rate} a second")?;
        }
        if let Some(eta_s) = self.eta_s {
            write!(f, ", {} left", duration(eta_s))?;
        }
        write!(f, "; batches of {} rows take {} ms", self.batch_rows, self.batch_ms)
    }
}

fn seconds(ms: u64) -> String {
    format!("{:.1}", ms as f64 / 1000.0)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
