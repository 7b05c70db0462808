//! Dead letters: put in, looked at, counted, and moved to the archive.
//!
//! Not for: what a filter may say, or redrives (see `redrive`).

use jiff::Timestamp;
use uuid::Uuid;

use crate::attempt::Attempt;
use crate::{Result, Session, sql};

/// A message that has died, with its cause.
#[derive(Clone, Debug)]
pub struct NewDeadLetter {
    pub queue_id: i32,
    pub message_id: i64,
    pub event_id: Option<Uuid>,
    pub subscription_id: Option<i32>,
    pub endpoint_id: Option<i32>,
    /// None takes the event's.
    pub event_type: Option<String>,
    /// With the one that it died of.
    pub receives: i16,
    /// Whether its event's end must be known.
    pub tracked: bool,
    pub category: &'static str,
    pub code: String,
    pub error: String,
    pub sent_at: Timestamp,
    pub redrives: i16,
    /// A JSON object as text.
    pub attributes: Option<String>,
    /// None takes the event's.
    pub payload: Option<Vec<u8>>,
}

/// Puts messages into the dead letter queue; answers with the letters' ids, in order.
pub async fn insert(session: &Session, letters: &[NewDeadLetter]) -> Result<Vec<i64>> {
    let statement = session.prepare_cached(sql!("dead/insert")).await?;
    macro_rules! column {
        ($expr:expr) => {
            letters.iter().map($expr).collect::<Vec<_>>()
        };
    }
    let queues = column!(|one| one.queue_id);
    let messages = column!(|one| one.message_id);
    let events = column!(|one| one.event_id);
    let subscriptions = column!(|one| one.subscription_id);
    let endpoints = column!(|one| one.endpoint_id);
    let types = column!(|one| one.event_type.as_deref());
    let receives = column!(|one| one.receives);
    let tracked = column!(|one| one.tracked);
    let categories = column!(|one| one.category);
    let codes = column!(|one| one.code.as_str());
    let errors = column!(|one| one.error.as_str());
    let sent = column!(|one| one.sent_at);
    let redrives = column!(|one| one.redrives);
    let attributes = column!(|one| one.attributes.as_deref());
    let payloads = column!(|one| one.payload.as_deref());
    let rows = session
        .query(
            &statement,
            &[
                &queues,
                &messages,
                &events,
                &subscriptions,
                &endpoints,
                &types,
                &receives,
                &tracked,
                &categories,
                &codes,
                &errors,
                &sent,
                &redrives,
                &attributes,
                &payloads,
            ],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Which dead letters; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub queue_id: Option<i32>,
    /// A category or a code, in lower case.
    pub error_type: Option<String>,
    pub event_type: Option<String>,
    pub endpoint_id: Option<i32>,
    pub min_age_seconds: Option<i64>,
    pub max_age_seconds: Option<i64>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub ids: Option<Vec<i64>>,
    /// Without those that a redrive has taken.
    pub only_free: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    /// The id from which a search in this order begins.
    pub fn start(self) -> i64 {
        match self {
            Self::OldestFirst => i64::MIN,
            Self::NewestFirst => i64::MAX,
        }
    }
}

/// What one bounded look at the table found.
#[derive(Clone, Debug)]
pub struct Matched {
    pub ids: Vec<i64>,
    pub looked_at: i64,
    /// The last id that was looked at.
    pub last_id: Option<i64>,
}

/// Looks at up to `look_at` letters past the id `from`, for at most `limit` that are selected.
pub async fn find(
    session: &Session,
    selection: &Selection,
    order: Order,
    from: i64,
    look_at: i64,
    limit: i64,
) -> Result<Matched> {
    let text = match order {
        Order::OldestFirst => sql!("dead/match_oldest"),
        Order::NewestFirst => sql!("dead/match_newest"),
    };
    let statement = session.prepare_cached(text).await?;
    let row = session
        .query_one(
            &statement,
            &[
                &from,
                &look_at,
                &limit,
                &selection.queue_id,
                &selection.error_type,
                &selection.event_type,
                &selection.endpoint_id,
                &selection.min_age_seconds,
                &selection.max_age_seconds,
                &selection.from,
                &selection.to,
                &selection.ids,
                &selection.only_free,
            ],
        )
        .await?;
    Ok(Matched { ids: row.try_get(0)?, looked_at: row.try_get(1)?, last_id: row.try_get(2)? })
}

/// A dead letter with the names of what it is about.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub id: i64,
    pub queue: String,
    pub message_id: i64,
    pub event_id: Option<Uuid>,
    pub event_type: Option<String>,
    pub subscription: Option<String>,
    pub endpoint: Option<String>,
    pub receives: i16,
    pub category: String,
    pub code: String,
    pub error: String,
    pub sent_at: Timestamp,
    pub died_at: Timestamp,
    pub redrive_id: Option<i64>,
    pub redrive_at: Option<Timestamp>,
    pub attributes: Option<String>,
    /// None when it was not asked for.
    pub payload: Option<Vec<u8>>,
}

/// Letters in the order of their ids in `ids`; those that are gone are left out.
pub async fn by_ids(session: &Session, ids: &[i64], with_payload: bool) -> Result<Vec<DeadLetter>> {
    let statement = session.prepare_cached(sql!("dead/by_ids")).await?;
    let rows = session.query(&statement, &[&ids, &with_payload]).await?;
    rows.iter()
        .map(|row| {
            Ok(DeadLetter {
                id: row.try_get(0)?,
                queue: row.try_get(1)?,
                message_id: row.try_get(2)?,
                event_id: row.try_get(3)?,
                event_type: row.try_get(4)?,
                subscription: row.try_get(5)?,
                endpoint: row.try_get(6)?,
                receives: row.try_get(7)?,
                category: row.try_get(8)?,
                code: row.try_get(9)?,
                error: row.try_get(10)?,
                sent_at: row.try_get(11)?,
                died_at: row.try_get(12)?,
                redrive_id: row.try_get(13)?,
                redrive_at: row.try_get(14)?,
                attributes: row.try_get(15)?,
                payload: row.try_get(16)?,
            })
        })
        .collect()
}

/// The attempts to deliver what became a dead letter, oldest first.
pub async fn attempts(session: &Session, event: Uuid, message_id: i64, limit: i64) -> Result<Vec<Attempt>> {
    let statement = session.prepare_cached(sql!("dead/attempts")).await?;
    let rows = session.query(&statement, &[&event, &message_id, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Attempt {
                at: row.try_get(0)?,
                message_id,
                endpoint_id: row.try_get(1)?,
                receive: row.try_get(2)?,
                status: row.try_get(3)?,
                latency_ms: row.try_get(4)?,
                category: row.try_get(5)?,
                code: row.try_get(6)?,
                error: row.try_get(7)?,
                response: row.try_get(8)?,
            })
        })
        .collect()
}

#[derive(Clone, Debug)]
pub struct Count {
    pub queue: String,
    pub category: String,
    pub code: String,
    pub letters: i64,
}

/// Counts the newest letters of each queue, `limit` of them at most.
pub async fn count(session: &Session, queue: Option<i32>, limit: i64) -> Result<Vec<Count>> {
    let statement = session.prepare_cached(sql!("dead/count")).await?;
    let rows = session.query(&statement, &[&queue, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Count {
                queue: row.try_get(0)?,
                category: row.try_get(1)?,
                code: row.try_get(2)?,
                letters: row.try_get(3)?,
            })
        })
        .collect()
}

/// Moves letters to the archive, but for those that a redrive has taken; answers with how many. The keys of their events
/// are kept for `key_seconds` from now at least.
pub async fn archive(
    session: &Session,
    ids: &[i64],
    archived_by: &str,
    reason: &str,
    key_seconds: f64,
) -> Result<u64> {
    let statement = session.prepare_cached(sql!("dead/archive")).await?;
    Ok(session.execute(&statement, &[&ids, &archived_by, &reason, &key_seconds]).await?)
}

/// Moves letters that outlived their retention to the archive; answers with how many. The keys as above.
pub async fn sweep_expired(session: &Session, limit: i64, key_seconds: f64) -> Result<u64> {
    let statement = session.prepare_cached(sql!("dead/sweep_expired")).await?;
    Ok(session.execute(&statement, &[&limit, &key_seconds]).await?)
}
