//! Space: logs that take turns, and events that nothing needs any more.
//!
//! Not for: when it is time for that (see `keeper`).

use posthaste_base::{Error, Result};
use posthaste_store::segment::Segment;
use posthaste_store::{event, lead};

use crate::Broker;

/// A log is changed for the empty one when it is larger than this, or older than a day and not empty.
const SEGMENT_BYTES: i64 = 128 * 1024 * 1024;

impl Broker {
    /// Gives each queue the space back that its messages do not need any more.
    pub async fn rotate_queues(&self) -> Result<()> {
        for queue in self.catalog().queues.values() {
            self.rotate(Segment::new(queue.id, queue.segment)).await?;
        }
        Ok(())
    }

    /// Changes a full or old log for the empty one, and empties the one behind when nothing of it is needed.
    async fn rotate(&self, current: Segment) -> Result<()> {
        let pool = self.pool();
        let session = pool.get().await.map_err(Error::from)?;
        let Some(size) = lead::size(&session, current).await? else { return Ok(()) };
        if size.other_bytes > 0 {
            // Looked at without locks first: most of the time it is not used up yet.
            let is_used_up = lead::is_used_up(&session, current.other()).await?;
            drop(session);
            if is_used_up && lead::empty(pool, current.other()).await.map_err(Error::from)? {
                tracing::debug!(
                    queue.id = current.queue.0,
                    bytes = size.other_bytes,
                    "space of a log given back"
                );
            }
            return Ok(());
        }
        let is_due = size.bytes > SEGMENT_BYTES || (size.bytes > 0 && size.is_old);
        if is_due && lead::rotate(&session, current).await? {
            lead::notify(&session, "catalog").await?;
            drop(session);
            self.refresh_catalog().await?;
        }
        Ok(())
    }

    /// Removes so many events at most whose key has outlived its time, unless a message of theirs may be anywhere;
    /// answers with how many. A queue that nobody consumes keeps the events of its messages for as long as that lasts.
    pub async fn sweep_events(&self, limit: i64) -> Result<u64> {
        let session = self.pool().get().await.map_err(Error::from)?;
        // Asked first: what comes into a log from here on is newer.
        let mut oldest = lead::database_now(&session).await?;
        for queue in self.catalog().queues.keys() {
            for half in [0, 1] {
                let first = lead::oldest(&session, Segment::new(*queue, half)).await?;
                oldest = oldest.min(first.unwrap_or(oldest));
            }
        }
        Ok(event::sweep_expired(&session, limit, oldest).await?)
    }
}
