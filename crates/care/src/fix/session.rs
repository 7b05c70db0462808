//! Sessions that plans have ended, and what those do now that a plan means to end.
//!
//! Not for: ending them, which a step of a plan does (see `doctor::remedy`).

use std::fmt;

use jiff::Timestamp;
use posthaste_base::Error;
use posthaste_pg::Target;
use posthaste_report::{Action, Plan, Run, RunNote};
use serde::Serialize;

use super::Measured;
use crate::visiting::{read_rows, reader, says};

/// What came of a session that a plan meant to end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionEnd {
    pub pid: i32,
    pub backend_start: Timestamp,
    /// `cancelled`, `terminated`, `gone` or `refused`.
    pub outcome: String,
    pub why: String,
    pub role: Option<String>,
    pub application: Option<String>,
    pub state: Option<String>,
    pub query: Option<String>,
    pub at: Timestamp,
}

/// A session that a plan means to end, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionNow {
    pub step: String,
    pub pid: i32,
    /// `cancel`, `terminate`, `gone` or `refuse`: what the step would do.
    pub would: String,
    pub role: String,
    pub application: String,
    pub state: String,
    pub query: String,
}

/// The sessions that plans have ended or left alone, the newest first; those of one run, if one is named.
pub async fn session_ends(target: &Target, run: Option<&Run>) -> Result<Vec<SessionEnd>, Error> {
    let visit = reader(target, "posthaste fix").await?;
    if !says(&visit, include_str!("../../sql/fix/is_measured.sql"), "has_session_ends").await? {
        return Ok(Vec::new());
    }
    // One run goes at a time, so that what was written down in its time is its own.
    let times = (run.map(|run| run.started_at), run.and_then(|run| run.finished_at));
    let rows = visit.query(include_str!("../../sql/fix/session_ends.sql"), &[&times.0, &times.1]).await?;
    read_rows(&rows, |row| {
        Ok(SessionEnd {
            pid: row.try_get("pid")?,
            backend_start: row.try_get("backend_start")?,
            outcome: row.try_get("outcome")?,
            why: row.try_get("why")?,
            role: row.try_get("role")?,
            application: row.try_get("application")?,
            state: row.try_get("state")?,
            query: row.try_get("query")?,
            at: row.try_get("at")?,
        })
    })
}

/// What became of sessions comes into the notes of the run that meant to end them.
pub async fn note_session_ends(target: &Target, run: &mut Run) -> Result<(), Error> {
    let ends = session_ends(target, Some(run)).await?;
    run.notes.extend(ends.iter().map(|end| RunNote {
        at: end.at,
        kind: "session".into(),
        step: None,
        text: end.to_string(),
        sessions: Vec::new(),
    }));
    run.notes.sort_by_key(|note| note.at);
    Ok(())
}

impl SessionEnd {
    /// Whether what it was ended for goes on: 1 before, and 0 when it is over.
    pub fn measured(&self) -> Measured {
        let (before, after) = match self.outcome.as_str() {
            "gone" => (0.0, 0.0),
            "refused" => (1.0, 1.0),
            _ => (1.0, 0.0),
        };
        Measured { what: "session".into(), name: self.to_string(), before: Some(before), after: Some(after) }
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        for (word, value) in [("of", &self.application), ("as", &self.role)] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                write!(f, " {word} {value}")?;
            }
        }
        write!(f, ": {}, {}", self.outcome, self.why)
    }
}

/// What the steps of a plan that end sessions would do now; nobody is ended.
pub async fn meant(target: &Target, plan: &Plan) -> Result<Vec<SessionNow>, Error> {
    let mut all = Vec::new();
    let steps: Vec<_> = plan.steps().filter_map(|step| Some((step, identity(&step.action)?))).collect();
    if steps.is_empty() {
        return Ok(all);
    }
    let visit = reader(target, "posthaste fix").await?;
    for (step, identity) in steps {
        let sql = include_str!("../../sql/fix/session_now.sql");
        let row = visit.query_opt(sql, &[&identity.pid, &identity.backend_start, &identity.since]).await?;
        let mut now = SessionNow {
            step: step.id.clone(),
            pid: identity.pid,
            would: "gone".into(),
            role: String::new(),
            application: String::new(),
            state: String::new(),
            query: String::new(),
        };
        if let Some(row) = row {
            read(&row, &identity, &mut now)?;
        }
        all.push(now);
    }
    Ok(all)
}

fn read(
    row: &posthaste_pg::driver::Row,
    identity: &Identity,
    now: &mut SessionNow,
) -> Result<(), posthaste_pg::Error> {
    let same = if identity.terminates { "is_same_transaction" } else { "is_same_statement" };
    let is_same = identity.since.is_none() || row.try_get(same)?;
    now.would = match (is_same, identity.terminates) {
        (false, _) => "refuse",
        (true, true) => "terminate",
        (true, false) => "cancel",
    }
    .into();
    (now.role, now.application) = (row.try_get("role")?, row.try_get("application")?);
    now.state = row.try_get("state")?;
    now.query = row.try_get::<_, Option<String>>("query")?.unwrap_or_default();
    Ok(())
}

/// Who is meant, as the step's statement says it.
#[derive(Debug, PartialEq)]
struct Identity {
    pid: i32,
    backend_start: String,
    since: Option<String>,
    terminates: bool,
}

fn identity(action: &Action) -> Option<Identity> {
    let Action::Transaction { statements } = action else { return None };
    let text = statements.iter().find(|text| text.starts_with("do $end_session$"))?;
    let quoted = |after: &str| {
        let rest = text.split_once(after)?.1.strip_prefix('\'')?;
        Some(rest.split_once('\'')?.0.to_owned())
    };
    let pid = text.split_once("s.pid = ")?.1.split_once(' ')?.0.parse().ok()?;
    Some(Identity {
        pid,
        backend_start: quoted("s.backend_start = ")?,
        since: quoted("named.since is distinct from "),
        terminates: text.contains("pg_terminate_backend") && text.contains("if true and exists"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::remedy;

    #[test]
    fn who_is_meant_is_read_from_the_step() {
        let step = remedy::terminate(7, "2026-01-01 00:00:00+00", Some("2026-01-01 00:00:09.5+00"));
        let expected = Identity {
            pid: 7,
            backend_start: "2026-01-01 00:00:00+00".into(),
            since: Some("2026-01-01 00:00:09.5+00".into()),
            terminates: true,
        };
        assert_eq!(identity(&step.action), Some(expected));
        let step = remedy::cancel(8, "2026-01-01 00:00:00+00", None);
        let found = identity(&step.action).expect("an identity");
        assert_eq!((found.pid, found.since, found.terminates), (8, None, false));
    }
}
