//! Events: accepted under an idempotency key, waiting for their time, published, removed.

use bytes::Bytes;
use jiff::Timestamp;
use posthaste_pg::driver::Row;
use uuid::Uuid;

use crate::{Result, Session, sql};

/// One event to insert; the columns of the table.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub id: Uuid,
    pub key: String,
    pub payload_hash: Vec<u8>,
    pub event_type: String,
    pub subject: Option<String>,
    pub priority: i16,
    pub due_at: Option<Timestamp>,
    pub schedule_id: Option<i64>,
    pub correlation_id: Option<String>,
    pub attributes: Option<String>,
    pub payload: Bytes,
    pub fanout: i16,
    /// It came from SQL, and no node has looked at it yet; what is inserted here has been checked.
    pub is_unchecked: bool,
}

/// An event whose key was new.
#[derive(Clone, Copy, Debug)]
pub struct Inserted {
    pub id: Uuid,
    pub due_at: Timestamp,
    /// Whether it is due now, and so must become messages in this transaction; else it is to wait.
    pub is_published: bool,
}

/// Inserts events; those whose key is known are not among the answers.
pub async fn insert(session: &Session, events: &[&EventRow], keep_seconds: f64) -> Result<Vec<Inserted>> {
    let statement = session.prepare_cached(sql!("event/insert")).await?;
    macro_rules! column {
        ($expr:expr) => {
            events.iter().map($expr).collect::<Vec<_>>()
        };
    }
    let ids = column!(|event| event.id);
    let keys = column!(|event| event.key.as_str());
    let hashes = column!(|event| event.payload_hash.as_slice());
    let types = column!(|event| event.event_type.as_str());
    let subjects = column!(|event| event.subject.as_deref());
    let priorities = column!(|event| event.priority);
    let due = column!(|event| event.due_at);
    let schedules = column!(|event| event.schedule_id);
    let correlations = column!(|event| event.correlation_id.as_deref());
    let attributes = column!(|event| event.attributes.as_deref());
    let payloads = column!(|event| event.payload.as_ref());
    let fanouts = column!(|event| event.fanout);
    let rows = session
        .query(
            &statement,
            &[
                &ids,
                &keys,
                &hashes,
                &types,
                &subjects,
                &priorities,
                &due,
                &schedules,
                &correlations,
                &attributes,
                &payloads,
                &fanouts,
                &keep_seconds,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Inserted { id: row.try_get(0)?, due_at: row.try_get(1)?, is_published: row.try_get(2)? })
        })
        .collect()
}

/// Lets those of the events that are due later wait for the scheduler.
pub async fn wait(session: &Session, ids: &[Uuid]) -> Result<u64> {
    let statement = session.prepare_cached(sql!("event/wait")).await?;
    Ok(session.execute(&statement, &[&ids]).await?)
}

/// Who holds an idempotency key.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    pub key: String,
    pub id: Uuid,
    pub event_type: String,
    pub payload_hash: Vec<u8>,
    pub due_at: Timestamp,
}

pub async fn by_key(session: &Session, keys: &[&str]) -> Result<Vec<KeyHolder>> {
    let statement = session.prepare_cached(sql!("event/by_key")).await?;
    let rows = session.query(&statement, &[&keys]).await?;
    rows.iter()
        .map(|row| {
            Ok(KeyHolder {
                key: row.try_get(0)?,
                id: row.try_get(1)?,
                event_type: row.try_get(2)?,
                payload_hash: row.try_get(3)?,
                due_at: row.try_get(4)?,
            })
        })
        .collect()
}

/// Takes due events of one priority from where they wait.
pub async fn claim_waiting(session: &Session, priority: i16, limit: i64) -> Result<Vec<EventRow>> {
    let statement = session.prepare_cached(sql!("event/claim_waiting")).await?;
    let rows = session.query(&statement, &[&priority, &limit]).await?;
    rows.iter().map(event_row).collect()
}

fn event_row(row: &Row) -> Result<EventRow> {
    Ok(EventRow {
        id: row.try_get(0)?,
        key: row.try_get(1)?,
        payload_hash: row.try_get(2)?,
        event_type: row.try_get(3)?,
        subject: row.try_get(4)?,
        priority: row.try_get(5)?,
        due_at: row.try_get(6)?,
        schedule_id: row.try_get(7)?,
        correlation_id: row.try_get(8)?,
        attributes: row.try_get(9)?,
        payload: Bytes::copy_from_slice(row.try_get::<_, &[u8]>(10)?),
        fanout: 0,
        is_unchecked: row.try_get(11)?,
    })
}

/// Remembers that events have become messages; their keys are kept for `keep_seconds` from now at least.
pub async fn mark_published(
    session: &Session,
    ids: &[Uuid],
    fanouts: &[i16],
    keep_seconds: f64,
) -> Result<()> {
    let statement = session.prepare_cached(sql!("event/mark_published")).await?;
    session.execute(&statement, &[&ids, &fanouts, &keep_seconds]).await?;
    Ok(())
}

/// An event that is not valid, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    pub id: Uuid,
    pub queue_id: i32,
    pub code: &'static str,
    pub error: String,
    pub tracked: bool,
}

/// Puts events that are not valid into the dead letter queue; answers with the message that stands for each.
pub async fn refuse(session: &Session, refused: &[Refused]) -> Result<Vec<(Uuid, i64)>> {
    let statement = session.prepare_cached(sql!("event/refuse")).await?;
    let ids: Vec<Uuid> = refused.iter().map(|one| one.id).collect();
    let queues: Vec<i32> = refused.iter().map(|one| one.queue_id).collect();
    let codes: Vec<&str> = refused.iter().map(|one| one.code).collect();
    let errors: Vec<&str> = refused.iter().map(|one| one.error.as_str()).collect();
    let tracked: Vec<bool> = refused.iter().map(|one| one.tracked).collect();
    let rows = session.query(&statement, &[&ids, &queues, &codes, &errors, &tracked]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Removes events that nothing needs any more. `oldest` is when the first message was sent that any log still holds.
pub async fn sweep_expired(session: &Session, limit: i64, oldest: Timestamp) -> Result<u64> {
    let statement = session.prepare_cached(sql!("event/sweep_expired")).await?;
    Ok(session.execute(&statement, &[&limit, &oldest]).await?)
}

/// An event with how its messages are getting on.
#[derive(Clone, Debug)]
pub struct EventState {
    pub id: Uuid,
    pub key: String,
    pub event_type: String,
    pub subject: Option<String>,
    pub priority: i16,
    pub due_at: Timestamp,
    pub accepted_at: Timestamp,
    pub published_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub failed: bool,
    pub fanout: i16,
    pub schedule_id: Option<i64>,
    pub correlation_id: Option<String>,
    pub attributes: Option<String>,
    pub payload: Vec<u8>,
    pub is_waiting: bool,
    pub delivered: i64,
    pub dead: i64,
    pub deferred: i64,
}

pub async fn show(session: &Session, id: Uuid) -> Result<Option<EventState>> {
    let statement = session.prepare_cached(sql!("event/show")).await?;
    let Some(row) = session.query_opt(&statement, &[&id]).await? else { return Ok(None) };
    Ok(Some(EventState {
        id: row.try_get(0)?,
        key: row.try_get(1)?,
        event_type: row.try_get(2)?,
        subject: row.try_get(3)?,
        priority: row.try_get(4)?,
        due_at: row.try_get(5)?,
        accepted_at: row.try_get(6)?,
        published_at: row.try_get(7)?,
        cancelled_at: row.try_get(8)?,
        finished_at: row.try_get(9)?,
        failed: row.try_get(10)?,
        fanout: row.try_get(11)?,
        schedule_id: row.try_get(12)?,
        correlation_id: row.try_get(13)?,
        attributes: row.try_get(14)?,
        payload: row.try_get(15)?,
        is_waiting: row.try_get(16)?,
        delivered: row.try_get(17)?,
        dead: row.try_get(18)?,
        deferred: row.try_get(19)?,
    }))
}
