//! How much is in a queue, by bounded reads: exact up to a limit, and said to be "at least" above it.

use jiff::Timestamp;
use posthaste_base::{Error, EventId, MessageId, QueueId, Result};
use posthaste_store::queue as store;
use posthaste_store::segment::Segment;
use serde::Serialize;

use super::Peeked;
use crate::Broker;

/// Messages counted one by one, in each segment.
const COUNTED_MAX: i64 = 10_000;

/// Disjoint numbers: a message is in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Depth {
    /// May be received now.
    pub visible: u64,
    /// Leased: received and not settled.
    pub in_flight: u64,
    /// Visible later: delayed, to be retried, or deferred.
    pub delayed: u64,
    /// Whether the numbers are exact; else they are "at least".
    pub is_exact: bool,
    /// How long ago the oldest visible message was sent; none when none is visible.
    pub oldest_age_seconds: Option<f64>,
}

pub(crate) async fn depth(broker: &Broker, queue: QueueId) -> Result<Depth> {
    let session = broker.pool().get().await.map_err(Error::from)?;
    let now = posthaste_store::lead::database_now(&session).await?;
    let mut depth = Depth { is_exact: true, ..Depth::default() };
    let mut oldest: Option<Timestamp> = None;
    for half in [0, 1] {
        let part = store::depth(&session, Segment::new(queue, half), COUNTED_MAX).await?;
        depth.visible += part.visible.unsigned_abs();
        depth.in_flight += part.in_flight.unsigned_abs();
        depth.is_exact &= part.visible < COUNTED_MAX;
        oldest = [oldest, part.oldest_sent_at].into_iter().flatten().min();
    }
    let (delayed, _) = store::depth_delayed(&session, queue, COUNTED_MAX).await?;
    depth.delayed = delayed.unsigned_abs();
    depth.is_exact &= delayed < COUNTED_MAX;
    depth.oldest_age_seconds = oldest.map(|sent_at| now.duration_since(sent_at).as_secs_f64().max(0.0));
    Ok(depth)
}

pub(crate) async fn peek(broker: &Broker, queue: QueueId, max: usize) -> Result<Vec<Peeked>> {
    let half = broker.catalog().queues.get(&queue).map_or(0, |queue| queue.segment);
    let current = Segment::new(queue, half);
    let session = broker.pool().get().await.map_err(Error::from)?;
    let mut peeked = store::peek(&session, current.other(), max as i64).await?;
    if peeked.len() < max {
        peeked.extend(store::peek(&session, current, (max - peeked.len()) as i64).await?);
    }
    let peeked = peeked.into_iter().map(|one| Peeked {
        id: MessageId(one.id),
        receives: u32::from(one.receives.unsigned_abs()),
        sent_at: one.sent_at,
        event_id: one.event_id.map(EventId),
        event_type: one.event_type,
        attributes: one.attributes,
        payload: one.payload.unwrap_or_default().into(),
    });
    Ok(peeked.collect())
}
