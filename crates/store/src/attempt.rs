//! Attempts: every call to an endpoint, with what came back.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{Result, Session, sql};

#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub message_id: i64,
    pub event_id: Option<Uuid>,
    pub endpoint_id: i32,
    pub receive: i16,
    /// The HTTP status, when there was an answer.
    pub status: Option<i16>,
    pub latency_ms: i32,
    /// None when it succeeded.
    pub category: Option<&'static str>,
    pub code: Option<String>,
    pub error: Option<String>,
    /// The first bytes of the response.
    pub response: Vec<u8>,
}

pub async fn insert(session: &Session, attempts: &[AttemptRow]) -> Result<()> {
    let statement = session.prepare_cached(sql!("attempt/insert")).await?;
    macro_rules! column {
        ($expr:expr) => {
            attempts.iter().map($expr).collect::<Vec<_>>()
        };
    }
    let messages = column!(|one| one.message_id);
    let events = column!(|one| one.event_id);
    let endpoints = column!(|one| one.endpoint_id);
    let receives = column!(|one| one.receive);
    let statuses = column!(|one| one.status);
    let latencies = column!(|one| one.latency_ms);
    let categories = column!(|one| one.category);
    let codes = column!(|one| one.code.as_deref());
    let errors = column!(|one| one.error.as_deref());
    let responses = column!(|one| one.response.as_slice());
    session
        .execute(
            &statement,
            &[
                &messages,
                &events,
                &endpoints,
                &receives,
                &statuses,
                &latencies,
                &categories,
                &codes,
                &errors,
                &responses,
            ],
        )
        .await?;
    Ok(())
}

/// An attempt as it was recorded.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub at: Timestamp,
    pub message_id: i64,
    pub endpoint_id: i32,
    pub receive: i16,
    pub status: Option<i16>,
    pub latency_ms: i32,
    pub category: Option<String>,
    pub code: Option<String>,
    pub error: Option<String>,
    pub response: Option<Vec<u8>>,
}

pub async fn by_event(session: &Session, event: Uuid, limit: i64) -> Result<Vec<Attempt>> {
    let statement = session.prepare_cached(sql!("attempt/by_event")).await?;
    let rows = session.query(&statement, &[&event, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Attempt {
                at: row.try_get(0)?,
                message_id: row.try_get(1)?,
                endpoint_id: row.try_get(2)?,
                receive: row.try_get(3)?,
                status: row.try_get(4)?,
                latency_ms: row.try_get(5)?,
                category: row.try_get(6)?,
                code: row.try_get(7)?,
                error: row.try_get(8)?,
                response: row.try_get(9)?,
            })
        })
        .collect()
}

/// Makes the partitions of the coming days and drops those past `keep_days`; answers with how many changed.
pub async fn keep_partitions(session: &Session, keep_days: i32) -> Result<i32> {
    let statement = session.prepare_cached(sql!("attempt/make_partitions")).await?;
    Ok(session.query_one(&statement, &[&keep_days]).await?.try_get(0)?)
}
