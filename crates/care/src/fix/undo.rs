//! Taking a plan's changes of data back, and what is kept for it.
//!
//! Each step comes back whole or not at all, the last one first. Not for: structure, which a run takes back.

use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_pg::{Target, Visit, VisitOptions};
use serde::Serialize;

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
    let kept = rows.iter().map(|row| {
        Ok(Kept {
            plan: row.try_get("plan")?,
            steps: row.try_get("steps")?,
            rows: row.try_get("rows")?,
            taken_back: row.try_get("taken_back")?,
            first_at: row.try_get("first_at")?,
            last_at: row.try_get("last_at")?,
        })
    });
    kept.collect::<Result<_, posthaste_pg::Error>>().map_err(Error::from)
}

async fn is_there(visit: &Visit) -> Result<bool, Error> {
    let row = visit.query_one(include_str!("../../sql/fix/is_there.sql"), &[]).await?;
    Ok(row.try_get::<_, bool>("is_there").map_err(posthaste_pg::Error::from)?)
}

/// Puts the rows of a plan back as they were, to the byte. `each` hears of every step that came back.
///
/// # Errors
/// A step whose rows were changed since, or which the database now refuses, stays as it is, and so do those before it.
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
    for step in steps {
        let step: String = step.try_get("step").map_err(posthaste_pg::Error::from)?;
        let rows = take_back_step(&visit, plan, &step).await.map_err(|error| refused(&step, error))?;
        each(TakenBack { step, rows });
    }
    Ok(())
}

/// In one transaction, which a failure ends with nothing changed.
async fn take_back_step(visit: &Visit, plan: &str, step: &str) -> Result<i64, posthaste_pg::Error> {
    visit.batch_execute("begin").await?;
    let outcome = put_back(visit, plan, step).await;
    visit.batch_execute(if outcome.is_ok() { "commit" } else { "rollback" }).await?;
    outcome
}

async fn put_back(visit: &Visit, plan: &str, step: &str) -> Result<i64, posthaste_pg::Error> {
    let row = visit.query_one(include_str!("../../sql/fix/take_back_step.sql"), &[&plan, &step]).await?;
    for name in visit.query(include_str!("../../sql/fix/quarantines.sql"), &[]).await? {
        let name: String = name.try_get("name")?;
        let values = [
            ("quarantine", name),
            ("plan", posthaste_base::quote::literal(plan)),
            ("step", posthaste_base::quote::literal(step)),
        ];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let sql = crate::template::fill(include_str!("../../sql/fix/forget_put_aside.sql"), &values);
        visit.execute(&sql, &[]).await?;
    }
    Ok(row.try_get("rows")?)
}

fn refused(step: &str, error: posthaste_pg::Error) -> Error {
    let Some(db) = error.db_error() else { return error.into() };
    let message = format!("step `{step}` is not taken back: {}", db.message());
    let hint = match db.code().code() {
        "23505" | "23514" | "23503" => {
            "a unique index or a constraint keeps the old values out now; drop it first if they must come back"
        }
        "55000" => "look at these rows: they are not what this plan left behind",
        _ => "nothing of this step was changed; those that came back before it stay as they are now",
    };
    Error::new(Code::Conflict, message).hint(hint)
}
