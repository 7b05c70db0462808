//! Redrives: recorded runs that take dead letters and give them back to their queues.
//!
//! Not for: which letters a run takes (see `dead`), or at what pace.

use jiff::Timestamp;
use posthaste_base::QueueId;
use posthaste_pg::driver::Row;
use serde_json::Value;

use crate::{Result, Session, sql};

/// A redrive to record.
#[derive(Clone, Debug)]
pub struct NewRedrive {
    pub queue_id: Option<i32>,
    pub filter: Value,
    pub jitter_seconds: i32,
    pub rate_per_second: Option<i32>,
    pub started_by: String,
}

/// Records a redrive that has taken nothing yet.
pub async fn insert(session: &Session, run: &NewRedrive) -> Result<i64> {
    let statement = session.prepare_cached(sql!("redrive/insert")).await?;
    let row = session
        .query_one(
            &statement,
            &[&run.queue_id, &run.filter, &run.jitter_seconds, &run.rate_per_second, &run.started_by],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Takes letters for a redrive, each with the seconds after which it goes back; answers with how many were free.
pub async fn claim_letters(
    session: &Session,
    redrive: i64,
    ids: &[i64],
    delays_seconds: &[i32],
) -> Result<u64> {
    let statement = session.prepare_cached(sql!("redrive/claim_letters")).await?;
    Ok(session.execute(&statement, &[&redrive, &ids, &delays_seconds]).await?)
}

/// Tells how many letters a redrive has taken; one that found none is done.
pub async fn set_total(session: &Session, redrive: i64, total: i32) -> Result<()> {
    let statement = session.prepare_cached(sql!("redrive/set_total")).await?;
    session.execute(&statement, &[&redrive, &total]).await?;
    Ok(())
}

/// Gives back letters whose time has come; answers with how many by queue. `keep_seconds` is how long their
/// events outlive the queue's retention.
pub async fn sweep_due(session: &Session, limit: i64, keep_seconds: i64) -> Result<Vec<(QueueId, u64)>> {
    let statement = session.prepare_cached(sql!("redrive/sweep_due")).await?;
    let rows = session.query(&statement, &[&limit, &keep_seconds]).await?;
    rows.iter()
        .map(|row| {
            Ok((QueueId(row.try_get(0)?), u64::try_from(row.try_get::<_, i64>(1)?).unwrap_or_default()))
        })
        .collect()
}

/// A redrive and how far it is.
#[derive(Clone, Debug)]
pub struct RedriveRow {
    pub id: i64,
    pub queue: Option<String>,
    pub filter: Value,
    pub status: String,
    pub total: i32,
    pub moved: i32,
    pub jitter_seconds: i32,
    pub rate_per_second: Option<i32>,
    pub started_by: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// Redrives before the id `before`, the newest first.
pub async fn list(session: &Session, before: i64, limit: i64) -> Result<Vec<RedriveRow>> {
    let statement = session.prepare_cached(sql!("redrive/list")).await?;
    session.query(&statement, &[&before, &limit]).await?.iter().map(redrive_row).collect()
}

pub async fn get(session: &Session, id: i64) -> Result<Option<RedriveRow>> {
    let statement = session.prepare_cached(sql!("redrive/get")).await?;
    session.query_opt(&statement, &[&id]).await?.as_ref().map(redrive_row).transpose()
}

fn redrive_row(row: &Row) -> Result<RedriveRow> {
    Ok(RedriveRow {
        id: row.try_get(0)?,
        queue: row.try_get(1)?,
        filter: row.try_get(2)?,
        status: row.try_get(3)?,
        total: row.try_get(4)?,
        moved: row.try_get(5)?,
        jitter_seconds: row.try_get(6)?,
        rate_per_second: row.try_get(7)?,
        started_by: row.try_get(8)?,
        started_at: row.try_get(9)?,
        finished_at: row.try_get(10)?,
    })
}

/// Lets go of the letters that a redrive has not given back yet; answers with how many.
pub async fn release_letters(session: &Session, redrive: i64) -> Result<u64> {
    let statement = session.prepare_cached(sql!("redrive/release_letters")).await?;
    Ok(session.execute(&statement, &[&redrive]).await?)
}

/// Marks a running redrive as cancelled; says whether it was running.
pub async fn cancel(session: &Session, redrive: i64) -> Result<bool> {
    let statement = session.prepare_cached(sql!("redrive/cancel")).await?;
    Ok(session.execute(&statement, &[&redrive]).await? == 1)
}
