//! Messages: appended to a queue's log, claimed in batches under a lease, settled, given back, or dead.
//!
//! How the log and its cursor work is told in `migrations/0001_ground.sql` and `sql/queue/claim.sql`.

use bytes::Bytes;
use futures::future::try_join;
use jiff::Timestamp;
use posthaste_base::{LeaseId, QueueId};
use posthaste_pg::driver::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

use crate::segment::{Segment, statements};
use crate::{Result, Session, sql};

/// A transaction's id, 64 bits wide: half of a message's place in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xid(pub u64);

type BoxError = Box<dyn std::error::Error + Sync + Send>;

impl<'a> FromSql<'a> for Xid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(Self(u64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::XID8
    }
}

impl ToSql for Xid {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, BoxError> {
        out.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::XID8
    }

    to_sql_checked!();
}

/// A message as it was claimed, with what its event gives.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub lease: LeaseId,
    pub xid: Xid,
    pub seq: i64,
    pub id: i64,
    /// Receives before this one.
    pub receives: i16,
    pub tracked: bool,
    pub sent_at: Timestamp,
    pub subscription_id: Option<i32>,
    /// It was sent from SQL, and nobody has seen it before.
    pub is_new_from_sql: bool,
    pub attributes: Option<String>,
    pub payload: Bytes,
    pub event: Option<ClaimedEvent>,
}

#[derive(Clone, Debug)]
pub struct ClaimedEvent {
    pub id: Uuid,
    pub key: String,
    pub event_type: String,
    pub subject: Option<String>,
    pub priority: i16,
    pub due_at: Timestamp,
    pub correlation_id: Option<String>,
    pub attributes: Option<String>,
}

/// A message by its place and lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held {
    pub lease: LeaseId,
    pub xid: Xid,
    pub seq: i64,
}

/// Claims up to `limit` messages under one new lease. A transaction of its own, in one round trip.
///
/// The segment's claim lock is held from the claim to its commit, so claims of one segment follow each other;
/// callers gather what they want into few large claims.
pub async fn claim(
    session: &Session,
    segment: Segment,
    limit: i64,
    visibility_seconds: f64,
) -> Result<Vec<Claimed>> {
    let lock = session.prepare_cached(sql!("queue/claim_lock")).await?;
    let claim = session.prepare_cached(&statements(segment).claim).await?;
    let number = segment.number();
    let lock_params: [&(dyn ToSql + Sync); 1] = [&number];
    let claim_params: [&(dyn ToSql + Sync); 2] = [&limit, &visibility_seconds];
    // All four are sent before the first is answered. If one fails, COMMIT rolls back.
    let (_, (_, (rows, _))) = try_join(
        session.batch_execute("begin"),
        try_join(
            session.query(&lock, &lock_params),
            try_join(session.query(&claim, &claim_params), session.batch_execute("commit")),
        ),
    )
    .await?;
    rows.iter().map(claimed).collect()
}

fn claimed(row: &Row) -> Result<Claimed> {
    let event = match row.try_get::<_, Option<Uuid>>(7)? {
        None => None,
        Some(id) => row.try_get::<_, Option<String>>(11)?.map(|key| -> Result<ClaimedEvent> {
            Ok(ClaimedEvent {
                id,
                key,
                event_type: row.try_get(12)?,
                subject: row.try_get(13)?,
                priority: row.try_get(14)?,
                due_at: row.try_get(15)?,
                correlation_id: row.try_get(16)?,
                attributes: row.try_get(17)?,
            })
        }),
    };
    let subscription_id: Option<i32> = row.try_get(8)?;
    Ok(Claimed {
        lease: LeaseId(row.try_get(0)?),
        xid: row.try_get(1)?,
        seq: row.try_get(2)?,
        id: row.try_get(3)?,
        receives: row.try_get(4)?,
        tracked: row.try_get(5)?,
        sent_at: row.try_get(6)?,
        subscription_id: subscription_id.filter(|id| *id != 0),
        is_new_from_sql: subscription_id == Some(0),
        attributes: row.try_get(9)?,
        payload: row.try_get::<_, Option<&[u8]>>(10)?.map_or_else(Bytes::new, Bytes::copy_from_slice),
        event: event.transpose()?,
    })
}

/// Appends messages; answers with their ids, in order.
pub async fn send(
    session: &Session,
    segment: Segment,
    attributes: &[Option<&str>],
    payloads: &[&[u8]],
) -> Result<Vec<i64>> {
    let statement = session.prepare_cached(&statements(segment).send).await?;
    let rows = session.query(&statement, &[&attributes, &payloads]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Puts messages aside; each becomes visible after its delay.
pub async fn send_later(
    session: &Session,
    queue: QueueId,
    delays_ms: &[i64],
    attributes: &[Option<&str>],
    payloads: &[&[u8]],
) -> Result<Vec<i64>> {
    let statement = session.prepare_cached(sql!("queue/send_later")).await?;
    let rows = session.query(&statement, &[&queue.0, &delays_ms, &attributes, &payloads]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Appends the messages of events; those whose event has no row are left out.
pub async fn publish(
    session: &Session,
    segment: Segment,
    events: &[Uuid],
    subscriptions: &[Option<i32>],
    tracked: &[bool],
) -> Result<u64> {
    let statement = session.prepare_cached(&statements(segment).publish).await?;
    Ok(session.execute(&statement, &[&events, &subscriptions, &tracked]).await?)
}

/// Settles messages; answers with those that had been lost to somebody else, because the lease had run out.
pub async fn settle(
    session: &Session,
    segment: Segment,
    held: &[(LeaseId, i64)],
) -> Result<Vec<(LeaseId, i64)>> {
    let mut by_lease: std::collections::BTreeMap<LeaseId, Vec<i64>> = Default::default();
    for (lease, seq) in held {
        by_lease.entry(*lease).or_default().push(*seq);
    }
    let leases: Vec<i64> = by_lease.keys().map(|lease| lease.0).collect();
    let ranges: Vec<String> = by_lease.values_mut().map(multirange).collect();
    let statement = session.prepare_cached(&statements(segment).settle).await?;
    let rows = session.query(&statement, &[&leases, &ranges]).await?;
    let mut lost = Vec::new();
    for row in &rows {
        let lease = LeaseId(row.try_get(0)?);
        let gone = by_lease.remove(&lease).unwrap_or_default();
        let ranges: &str = row.try_get(1)?;
        if ranges != "{}" {
            lost.extend(gone.into_iter().filter(|seq| contains(ranges, *seq)).map(|seq| (lease, seq)));
        }
    }
    // What is left had no open lease.
    lost.extend(by_lease.into_iter().flat_map(|(lease, seqs)| seqs.into_iter().map(move |seq| (lease, seq))));
    Ok(lost)
}

/// A message that goes back to its queue.
#[derive(Clone, Copy, Debug)]
pub struct GiveBack {
    pub held: Held,
    pub delay_ms: i64,
    /// Whether this receive counts; a deferral does not.
    pub counts: bool,
}

/// Gives messages back; answers with those that were still leased.
pub async fn give_back(
    session: &Session,
    segment: Segment,
    back: &[GiveBack],
) -> Result<Vec<(LeaseId, i64)>> {
    let statement = session.prepare_cached(&statements(segment).give_back).await?;
    let leases: Vec<i64> = back.iter().map(|one| one.held.lease.0).collect();
    let xids: Vec<Xid> = back.iter().map(|one| one.held.xid).collect();
    let seqs: Vec<i64> = back.iter().map(|one| one.held.seq).collect();
    let delays: Vec<i64> = back.iter().map(|one| one.delay_ms).collect();
    let counts: Vec<bool> = back.iter().map(|one| one.counts).collect();
    let rows =
        session.query(&statement, &[&leases, &xids, &seqs, &delays, &counts, &segment.queue.0]).await?;
    rows.iter().map(|row| Ok((LeaseId(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// A message that goes to the dead letter queue, with its cause.
#[derive(Clone, Debug)]
pub struct Kill {
    pub held: Held,
    pub category: &'static str,
    pub code: String,
    pub error: String,
}

/// A message that has died.
#[derive(Clone, Debug)]
pub struct Dead {
    pub lease: LeaseId,
    pub seq: i64,
    pub message_id: i64,
    pub event_id: Option<Uuid>,
    pub tracked: bool,
}

/// Puts messages into the dead letter queue; answers with those that were still leased.
pub async fn kill(session: &Session, segment: Segment, kills: &[Kill]) -> Result<Vec<Dead>> {
    let statement = session.prepare_cached(&statements(segment).kill).await?;
    let leases: Vec<i64> = kills.iter().map(|one| one.held.lease.0).collect();
    let xids: Vec<Xid> = kills.iter().map(|one| one.held.xid).collect();
    let seqs: Vec<i64> = kills.iter().map(|one| one.held.seq).collect();
    let categories: Vec<&str> = kills.iter().map(|one| one.category).collect();
    let codes: Vec<&str> = kills.iter().map(|one| one.code.as_str()).collect();
    let errors: Vec<&str> = kills.iter().map(|one| one.error.as_str()).collect();
    let rows = session
        .query(&statement, &[&leases, &xids, &seqs, &categories, &codes, &errors, &segment.queue.0])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Dead {
                lease: LeaseId(row.try_get(0)?),
                seq: row.try_get(1)?,
                message_id: row.try_get(2)?,
                event_id: row.try_get(3)?,
                tracked: row.try_get(4)?,
            })
        })
        .collect()
}

/// Gives one message more time; None when its lease is lost.
pub async fn extend(
    session: &Session,
    segment: Segment,
    lease: LeaseId,
    seq: i64,
    seconds: f64,
) -> Result<Option<Timestamp>> {
    let statement = session.prepare_cached(&statements(segment).extend).await?;
    let row =
        session.query_opt(&statement, &[&segment.queue.0, &segment.half, &lease.0, &seq, &seconds]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// What a leased message's row says.
#[derive(Clone, Debug)]
pub struct Found {
    pub id: i64,
    pub event_id: Option<Uuid>,
    pub tracked: bool,
    pub receives: i16,
}

/// Looks one message up by its place.
pub async fn find(session: &Session, segment: Segment, xid: Xid, seq: i64) -> Result<Option<Found>> {
    let statement = session.prepare_cached(&statements(segment).find).await?;
    let row = session.query_opt(&statement, &[&xid, &seq]).await?;
    row.map(|row| {
        Ok(Found {
            id: row.try_get(0)?,
            event_id: row.try_get(1)?,
            tracked: row.try_get(2)?,
            receives: row.try_get(3)?,
        })
    })
    .transpose()
}

/// The next messages of a segment, unclaimed.
#[derive(Clone, Debug)]
pub struct Peeked {
    pub id: i64,
    pub receives: i16,
    pub sent_at: Timestamp,
    pub event_id: Option<Uuid>,
    pub attributes: Option<String>,
    pub payload: Option<Vec<u8>>,
    pub event_type: Option<String>,
}

pub async fn peek(session: &Session, segment: Segment, limit: i64) -> Result<Vec<Peeked>> {
    let statement = session.prepare_cached(&statements(segment).peek).await?;
    let rows = session.query(&statement, &[&limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Peeked {
                id: row.try_get(0)?,
                receives: row.try_get(1)?,
                sent_at: row.try_get(2)?,
                event_id: row.try_get(3)?,
                attributes: row.try_get(5)?,
                payload: row.try_get(6)?,
                event_type: row.try_get(7)?,
            })
        })
        .collect()
}

/// What is in one segment, counted up to the limit that was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct SegmentDepth {
    pub visible: i64,
    pub in_flight: i64,
    pub oldest_sent_at: Option<Timestamp>,
}

pub async fn depth(session: &Session, segment: Segment, limit: i64) -> Result<SegmentDepth> {
    let statement = session.prepare_cached(&statements(segment).depth).await?;
    let row = session.query_one(&statement, &[&limit]).await?;
    Ok(SegmentDepth { visible: row.try_get(0)?, oldest_sent_at: row.try_get(1)?, in_flight: row.try_get(2)? })
}

/// How many messages become visible later (counted up to `limit`), and when the first does.
pub async fn depth_delayed(
    session: &Session,
    queue: QueueId,
    limit: i64,
) -> Result<(i64, Option<Timestamp>)> {
    let statement = session.prepare_cached(sql!("queue/depth_delayed")).await?;
    let row = session.query_one(&statement, &[&queue.0, &limit]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The text of an int8multirange that holds exactly `seqs`.
fn multirange(seqs: &mut Vec<i64>) -> String {
    seqs.sort_unstable();
    seqs.dedup();
    let mut text = String::with_capacity(2 + seqs.len() * 12);
    text.push('{');
    let mut rest = seqs.as_slice();
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(seq, expected)| **seq == *expected).count();
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&format!("[{first},{})", first + run as i64));
        rest = &rest[run..];
    }
    text.push('}');
    text
}

/// Whether the text of an int8multirange, as the server writes it, holds `seq`.
fn contains(ranges: &str, seq: i64) -> bool {
    ranges.trim_matches(['{', '}']).split("),").any(|range| {
        let range = range.trim_matches(['[', ')']);
        let Some((lower, upper)) = range.split_once(',') else { return false };
        matches!((lower.parse::<i64>(), upper.parse::<i64>()), (Ok(lower), Ok(upper)) if (lower..upper).contains(&seq))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_ranges() {
        assert_eq!(multirange(&mut vec![5, 1, 2, 3, 9, 2]), "{[1,4),[5,6),[9,10)}");
        assert_eq!(multirange(&mut vec![]), "{}");
    }

    #[test]
    fn a_multirange_knows_what_it_holds() {
        let held: Vec<i64> = (0..12).filter(|seq| contains("{[1,4),[5,6),[9,10)}", *seq)).collect();
        assert_eq!(held, [1, 2, 3, 5, 9]);
        assert!(!contains("{}", 0));
    }
}
