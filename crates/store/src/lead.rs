//! What keeps queues going: leases that ran out, delayed messages whose time has come, segments that are full or
//! empty, and which node does it.

use jiff::Timestamp;
use posthaste_base::{LeaseId, QueueId};
use posthaste_pg::Pool;
use uuid::Uuid;

use crate::segment::{Segment, statements};
use crate::{Result, Session, sql};

/// Takes or keeps the lead of `name` for `seconds`; false when another node has it.
pub async fn take_lead(session: &Session, name: &str, node: Uuid, seconds: f64) -> Result<bool> {
    let statement = session.prepare_cached(sql!("node/take_lead")).await?;
    Ok(session.execute(&statement, &[&name, &node, &seconds]).await? == 1)
}

/// Gives the lead up, so that another node need not wait for it to run out.
pub async fn give_up_lead(session: &Session, name: &str, node: Uuid) -> Result<()> {
    let statement = session.prepare_cached(sql!("node/give_up_lead")).await?;
    session.execute(&statement, &[&name, &node]).await?;
    Ok(())
}

/// Takes the sleeper's lock for this transaction; false while a sender in SQL counts on the scheduler being awake.
pub async fn try_sleep(session: &Session) -> Result<bool> {
    let statement = session.prepare_cached(sql!("node/try_sleep")).await?;
    Ok(session.query_one(&statement, &[]).await?.try_get(0)?)
}

/// Fails when the server does not take writes.
pub async fn check_writable(session: &Session) -> Result<()> {
    let statement = session.prepare_cached(sql!("node/check_writable")).await?;
    session.query_one(&statement, &[]).await?;
    Ok(())
}

/// The database's clock.
pub async fn database_now(session: &Session) -> Result<Timestamp> {
    let statement = session.prepare_cached(sql!("node/now")).await?;
    Ok(session.query_one(&statement, &[]).await?.try_get(0)?)
}

/// What the keeper has to do next.
#[derive(Clone, Debug)]
pub struct Agenda {
    /// The database's clock.
    pub now: Timestamp,
    /// When the next event that waits is due.
    pub event_at: Option<Timestamp>,
    /// When the first schedule goes on by the clock, should its occurrence not end before.
    pub following_at: Option<Timestamp>,
    /// When the next letter of a redrive goes back.
    pub redrive_at: Option<Timestamp>,
    /// When the next delayed message of each queue that has some becomes visible.
    pub delayed: Vec<(QueueId, Timestamp)>,
}

pub async fn agenda(session: &Session) -> Result<Agenda> {
    let statement = session.prepare_cached(sql!("node/agenda")).await?;
    let row = session.query_one(&statement, &[]).await?;
    let queues: Option<Vec<i32>> = row.try_get(4)?;
    let times: Option<Vec<Timestamp>> = row.try_get(5)?;
    let queues = queues.unwrap_or_default().into_iter().map(QueueId);
    Ok(Agenda {
        now: row.try_get(0)?,
        event_at: row.try_get(1)?,
        following_at: row.try_get(2)?,
        redrive_at: row.try_get(3)?,
        delayed: queues.zip(times.unwrap_or_default()).collect(),
    })
}

/// A lease that has run out, locked for this transaction.
#[derive(Clone, Copy, Debug)]
pub struct ExpiredLease {
    pub lease: LeaseId,
    pub size: i32,
}

/// Leases that have run out after `since`, or at any time.
pub async fn sweep_expired(
    session: &Session,
    segment: Segment,
    since: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<ExpiredLease>> {
    let statement = session.prepare_cached(&statements(segment).sweep_expired).await?;
    let rows = session.query(&statement, &[&since, &limit]).await?;
    rows.iter()
        .map(|row| Ok(ExpiredLease { lease: LeaseId(row.try_get(0)?), size: row.try_get(1)? }))
        .collect()
}

/// A message whose lease ran out.
#[derive(Clone, Debug)]
pub struct Returned {
    pub message_id: i64,
    pub event_id: Option<Uuid>,
    pub tracked: bool,
    pub died: bool,
}

/// Ends an expired lease: what was not settled becomes visible again in the `current` half, or dies.
pub async fn return_lease(
    session: &Session,
    segment: Segment,
    current_half: i16,
    lease: LeaseId,
    receives_max: i32,
) -> Result<Vec<Returned>> {
    let sql = statements(segment);
    let text = if current_half == segment.half { &sql.return_lease } else { &sql.return_lease_to_other };
    let statement = session.prepare_cached(text).await?;
    let rows = session.query(&statement, &[&lease.0, &segment.queue.0, &segment.half, &receives_max]).await?;
    rows.iter()
        .map(|row| {
            Ok(Returned {
                message_id: row.try_get(0)?,
                event_id: row.try_get(1)?,
                tracked: row.try_get(2)?,
                died: row.try_get(3)?,
            })
        })
        .collect()
}

/// Moves delayed messages whose time has come to the log; answers with how many.
pub async fn sweep_deferred(session: &Session, segment: Segment, limit: i64) -> Result<i64> {
    let statement = session.prepare_cached(&statements(segment).sweep_deferred).await?;
    Ok(session.query_one(&statement, &[&segment.queue.0, &limit]).await?.try_get(0)?)
}

/// How large a segment's log is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub bytes: i64,
    /// Of the other one.
    pub other_bytes: i64,
    /// Whether it has taken messages for more than a day.
    pub is_old: bool,
}

/// None when there is no such queue.
pub async fn size(session: &Session, segment: Segment) -> Result<Option<Size>> {
    let statement = session.prepare_cached(&statements(segment).size).await?;
    let row = session.query_opt(&statement, &[&segment.queue.0]).await?;
    row.map(|row| Ok(Size { bytes: row.try_get(0)?, other_bytes: row.try_get(1)?, is_old: row.try_get(2)? }))
        .transpose()
}

/// When the first message was sent that a segment's log still holds, whether it is settled or not.
pub async fn oldest(session: &Session, segment: Segment) -> Result<Option<Timestamp>> {
    let statement = session.prepare_cached(&statements(segment).oldest).await?;
    let row = session.query_opt(&statement, &[]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Lets the other half take new messages; false when it was done already.
pub async fn rotate(session: &Session, segment: Segment) -> Result<bool> {
    let statement = session.prepare_cached(sql!("queue/rotate")).await?;
    Ok(session.execute(&statement, &[&segment.queue.0, &segment.half]).await? == 1)
}

/// Whether nothing of a segment is needed any more.
pub async fn is_used_up(session: &Session, segment: Segment) -> Result<bool> {
    let statement = session.prepare_cached(&statements(segment).empty_check).await?;
    Ok(session.query_one(&statement, &[]).await?.try_get(0)?)
}

/// Gives back the space of a segment that is used up; false when it is not, or when somebody reads it now.
///
/// Holds the segment's tables exclusively for the moment of a check and a truncate; gives up after 50 ms of
/// waiting, so that nobody queues behind it.
pub async fn empty(pool: &Pool, segment: Segment) -> Result<bool> {
    let sql = statements(segment);
    let transaction = posthaste_pg::Transaction::begin(pool, Default::default()).await?;
    if let Err(error) = transaction.batch_execute(&sql.empty_lock).await {
        transaction.roll_back().await;
        let error = crate::Error::from(error);
        return if error.is_retryable() { Ok(false) } else { Err(error) };
    }
    if !is_used_up(&transaction, segment).await? {
        transaction.roll_back().await;
        return Ok(false);
    }
    transaction.batch_execute(&sql.empty).await?;
    transaction.execute(sql!("queue/empty_restart"), &[&segment.queue.0, &segment.half]).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Tells all nodes: something in a queue's log, a change of the catalog, or an earlier due time.
pub async fn notify(session: &Session, payload: &str) -> Result<()> {
    let statement = session.prepare_cached(sql!("node/notify")).await?;
    session.execute(&statement, &[&payload]).await?;
    Ok(())
}

/// A queue's current half, as the database has it.
pub async fn current_half(session: &Session, queue: QueueId) -> Result<i16> {
    let statement = session.prepare_cached(sql!("queue/current")).await?;
    Ok(session.query_one(&statement, &[&queue.0]).await?.try_get(0)?)
}
