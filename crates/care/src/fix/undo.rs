//! Taking a plan's changes of data back, and what is kept for it.
//!
//! The last step comes back first, each in batches, and none whose rows were changed since. Not for: structure, which a run takes back.

use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_pg::{Target, Visit, VisitOptions};
use serde::Serialize;

use crate::visiting::{cell, read_rows, says};

/// What is kept of one plan.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    pub plan: String,
    pub steps: i64,
    pub rows: i64,
    pub taken_back: i64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// A step whose rows came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakenBack {
    pub step: String,
    pub rows: i64,
}

async fn visit(target: &Target) -> Result<Visit, Error> {
    let options = VisitOptions {
        lock_timeout_ms: 1_000,
        statement_timeout_ms: 600_000,
        ..VisitOptions::named("posthaste fix")
    };
    Ok(Visit::connect(target, options).await?)
}

/// The plans of which rows are kept, the newest first.
pub async fn kept(target: &Target) -> Result<Vec<Kept>, Error> {
    let visit = visit(target).await?;
    if !is_there(&visit).await? {
        return Ok(Vec::new());
    }
    let rows = visit.query(include_str!("../../sql/fix/kept_plans.sql"), &[]).await?;
    read_rows(&rows, |row| {
        Ok(Kept {
            plan: row.try_get("plan")?,
            steps: row.try_get("steps")?,
            rows: row.try_get("rows")?,
            taken_back: row.try_get("taken_back")?,
            first_at: row.try_get("first_at")?,
            last_at: row.try_get("last_at")?,
        })
    })
}

async fn is_there(visit: &Visit) -> Result<bool, Error> {
    says(visit, include_str!("../../sql/fix/is_there.sql"), "is_there").await
}

/// Rows that come back in one transaction.
const BATCH_ROWS: i64 = 5_000;

/// Puts the rows of a plan back as they were, to the byte. `each` hears of every step that came back.
///
/// A step is looked at whole before its first batch. One that is stopped half way goes on where it was.
///
/// # Errors
/// A step whose rows were changed since stays as it is, and so do those before it.
pub async fn take_back(target: &Target, plan: &str, mut each: impl FnMut(TakenBack)) -> Result<(), Error> {
    let visit = visit(target).await?;
    let nothing = || {
        Error::new(Code::NotFound, format!("no rows are kept of a plan `{plan}`"))
            .hint("`posthaste fix kept` lists what can be taken back")
    };
    if !is_there(&visit).await? {
        return Err(nothing());
    }
    let steps = visit.query(include_str!("../../sql/fix/kept_steps.sql"), &[&plan]).await?;
    if steps.is_empty() {
        return Err(nothing());
    }
    let asides = visit.query(include_str!("../../sql/fix/quarantines.sql"), &[]).await?;
    let asides = read_rows(&asides, |row| Ok(row.try_get("name")?))?;
    let way = Way { visit: &visit, plan, asides };
    for step in steps {
        let step: String = cell(&step, "step")?;
        way.batches(&step, true).await.map_err(|error| refused(&step, error))?;
        let rows = way.batches(&step, false).await.map_err(|error| refused(&step, error))?;
        each(TakenBack { step, rows });
    }
    Ok(())
}

struct Way<'w> {
    visit: &'w Visit,
    plan: &'w str,
    /// The tables in which rows were put aside.
    asides: Vec<String>,
}

impl Way<'_> {
    async fn batches(&self, step: &str, only_looks: bool) -> Result<i64, posthaste_pg::Error> {
        let (mut rows, mut below) = (0, i64::MAX);
        loop {
            let sql = include_str!("../../sql/fix/kept_picks.sql");
            let picks = self.visit.query(sql, &[&self.plan, &step, &below, &BATCH_ROWS]).await?;
            let picks: Vec<i64> = picks.iter().map(|row| row.try_get("pick")).collect::<Result<_, _>>()?;
            let Some(last) = picks.last() else { return Ok(rows) };
            below = *last;
            // A failure ends the batch with nothing changed.
            self.visit.batch_execute("begin").await?;
            let done = self.batch(step, &picks, only_looks).await;
            let is_kept = done.is_ok() && !only_looks;
            self.visit.batch_execute(if is_kept { "commit" } else { "rollback" }).await?;
            rows += done?;
        }
    }

    async fn batch(&self, step: &str, picks: &[i64], only_looks: bool) -> Result<i64, posthaste_pg::Error> {
        let sql = include_str!("../../sql/fix/take_back_step.sql");
        let row = self.visit.query_one(sql, &[&self.plan, &step, &picks, &only_looks]).await?;
        for name in self.asides.iter().filter(|_| !only_looks) {
            let (plan, step) =
                (posthaste_base::quote::literal(self.plan), posthaste_base::quote::literal(step));
            let values = [("quarantine", name.as_str()), ("plan", &plan), ("step", &step), ("picks", "$1")];
            let sql = crate::template::fill(include_str!("../../sql/fix/forget_put_aside.sql"), &values);
            self.visit.execute(&sql, &[&picks]).await?;
        }
        Ok(row.try_get("rows")?)
    }
}

fn refused(step: &str, error: posthaste_pg::Error) -> Error {
    let Some(db) = error.db_error() else { return error.into() };
    let message = format!("step `{step}` is not taken back: {}", db.message());
    let hint = match db.code().code() {
        "23505" | "23514" | "23503" => {
            "a unique index or a constraint keeps the old values out now; drop it first if they must come back"
        }
        "55000" => "look at these rows: they are not what this plan left behind",
        _ => "what came back before it stays as it is now; the rest can be taken back later",
    };
    Error::new(Code::Conflict, message).hint(hint)
}
