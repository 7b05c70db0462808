//! Dead letters: listed, shown, counted, exported, discarded, sorted out.
//!
//! Not for: giving them back (see `redrive`), or how a message dies (`queue`).

mod filter;
mod out;
mod triage;

use std::time::Duration;

use posthaste_base::limits::{PAGE_MAX, REDRIVE_MESSAGES_MAX};
use posthaste_base::{Code, DeadLetterId, Error, Result};
use posthaste_store::dead::{self as store, Order, Selection};
use posthaste_store::{Session, TransactionOptions};
use serde::Deserialize;

pub use filter::DeadLetterFilter;
pub(crate) use filter::{bad, max_messages};
pub use out::{DeadCountOut, DeadLetterOut, DeadPage, DiscardOut, ExportPage};
pub use triage::{GroupRedrive, TriageOut, triage_file};

use crate::Broker;
use crate::event::attempt_out;
use crate::transact::Abort;

/// Letters that one statement looks at, at most. A filter that selects few would otherwise walk the whole table at
/// once.
const LOOK_AT: i64 = 10_000;
/// Statements of one page. A page that is not full by then still says where to go on.
const LOOKS_OF_PAGE: usize = 10;
/// Letters of each queue that a count reads; above that it says "at least".
const COUNTED_MAX: i64 = 10_001;
/// Each letter of an export carries up to 256 KB of payload.
const EXPORT_PAGE_MAX: usize = 100;
const ATTEMPTS_MAX: i64 = 1_000;
/// So long the removal of old letters waits for a lock; it can be done later.
const PATIENCE: Duration = Duration::from_millis(250);

/// What to discard, who does it and why.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscardIn {
    #[serde(default)]
    pub filter: DeadLetterFilter,
    pub reason: String,
    /// 1,000 when it is not given, which is the most.
    #[serde(default)]
    pub max_messages: Option<i64>,
    #[serde(skip)]
    pub discarded_by: String,
}

impl Broker {
    /// A page of dead letters without their payloads, from `after` (the `next` of the page before).
    ///
    /// A page may hold less than `limit` and still have a next one: a look at the table is bounded.
    pub async fn list_dead(
        &self,
        filter: &DeadLetterFilter,
        newest_first: bool,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<DeadPage> {
        let selection = filter.selection(&self.catalog())?;
        let order = if newest_first { Order::NewestFirst } else { Order::OldestFirst };
        let session = self.pool().get().await?;
        let from = after.map_or(order.start(), |id| id.0);
        let found = find(&session, &selection, order, from, limit.clamp(1, PAGE_MAX), LOOKS_OF_PAGE).await?;
        let letters = store::by_ids(&session, &found.ids, false).await?;
        Ok(DeadPage { letters: letters.into_iter().map(Into::into).collect(), next: found.next })
    }

    /// One dead letter whole, with the attempts to deliver it.
    pub async fn dead_letter(&self, id: DeadLetterId) -> Result<DeadLetterOut> {
        let session = self.pool().get().await?;
        let Some(letter) = store::by_ids(&session, &[id.0], true).await?.pop() else {
            return Err(Error::new(Code::NotFound, format!("there is no dead letter {id}"))
                .field("id")
                .hint("it may have been redriven, discarded or kept for long enough; see the archive"));
        };
        let attempts = match letter.event_id {
            None => Vec::new(),
            Some(event) => store::attempts(&session, event, letter.message_id, ATTEMPTS_MAX).await?,
        };
        let catalog = self.catalog();
        let mut letter = DeadLetterOut::from(letter);
        letter.attempts = Some(attempts.into_iter().map(|attempt| attempt_out(&catalog, attempt)).collect());
        Ok(letter)
    }

    /// How many dead letters there are by queue, category and code, of all queues or of one.
    pub async fn count_dead_letters(&self, queue: Option<&str>) -> Result<Vec<DeadCountOut>> {
        let catalog = self.catalog();
        let queue = queue.map(|name| catalog.queue(name)).transpose()?.map(|queue| queue.id.0);
        let session = self.pool().get().await?;
        Ok(out::counts(store::count(&session, queue, COUNTED_MAX).await?, COUNTED_MAX))
    }

    /// Dead letters whole, each a line of JSON, the oldest first; `limit` is at most 100 letters.
    pub async fn export_dead(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<ExportPage> {
        let selection = filter.selection(&self.catalog())?;
        let session = self.pool().get().await?;
        let order = Order::OldestFirst;
        let from = after.map_or(order.start(), |id| id.0);
        let limit = limit.clamp(1, EXPORT_PAGE_MAX);
        let found = find(&session, &selection, order, from, limit, LOOKS_OF_PAGE).await?;
        let mut lines = String::new();
        for letter in store::by_ids(&session, &found.ids, true).await? {
            lines.push_str(&DeadLetterOut::from(letter).to_line()?);
        }
        Ok(ExportPage { lines, next: found.next })
    }

    /// Moves the oldest letters that the filter selects to the archive; those that a redrive has taken stay.
    pub async fn discard_dead(&self, discard: &DiscardIn) -> Result<DiscardOut> {
        let max = filter::max_messages(discard.max_messages, REDRIVE_MESSAGES_MAX)?;
        if discard.reason.trim().is_empty() || discard.reason.len() > 500 {
            return Err(Error::new(Code::InvalidParameter, "the archive needs to know why")
                .field("reason")
                .expected("1 to 500 characters"));
        }
        let selection = &Selection { only_free: true, ..discard.filter.selection(&self.catalog())? };
        let key_seconds = self.options().key_ttl_seconds();
        let discarded = self
            .transact(|tx| async move {
                let found =
                    find(&tx, selection, Order::OldestFirst, Order::OldestFirst.start(), max, usize::MAX)
                        .await?;
                let reason = discard.reason.trim();
                let archived = store::archive(&tx, &found.ids, &discard.discarded_by, reason, key_seconds);
                Ok::<_, Abort>(archived.await?)
            })
            .await?;
        Ok(DiscardOut { discarded })
    }

    /// Moves letters that outlived their queue's retention of dead letters to the archive; `limit` at most.
    pub async fn sweep_expired_dead(&self, limit: i64) -> Result<u64> {
        let key_seconds = self.options().key_ttl_seconds();
        // A settlement may hold the event's row, and be stuck.
        let options = TransactionOptions {
            lock_timeout: Some(PATIENCE),
            attempts_max: 1,
            ..TransactionOptions::default()
        };
        self.transact_with(options, |tx| async move {
            Ok::<_, Abort>(store::sweep_expired(&tx, limit, key_seconds).await?)
        })
        .await
    }
}

/// What a search found, and from which id to go on if there is more to look at.
pub(crate) struct Found {
    pub(crate) ids: Vec<i64>,
    pub(crate) next: Option<i64>,
}

/// Searches for `limit` letters past the id `from`, in so many bounded looks at most.
pub(crate) async fn find(
    session: &Session,
    selection: &Selection,
    order: Order,
    from: i64,
    limit: usize,
    looks: usize,
) -> posthaste_store::Result<Found> {
    let mut ids = Vec::new();
    let mut from = from;
    // As few as may do at first: most filters select much of what there is.
    let mut look_at = (limit as i64 + 1).clamp(100, LOOK_AT);
    for _ in 0..looks {
        // One more than asked for tells whether there is a next page.
        let want = limit + 1 - ids.len();
        let matched = store::find(session, selection, order, from, look_at, want as i64).await?;
        ids.extend(matched.ids);
        if ids.len() > limit {
            ids.truncate(limit);
            let next = ids.last().copied();
            return Ok(Found { ids, next });
        }
        match matched.last_id {
            Some(last_id) if matched.looked_at == look_at => from = last_id,
            _ => return Ok(Found { ids, next: None }),
        }
        look_at = (look_at * 4).min(LOOK_AT);
    }
    Ok(Found { ids, next: Some(from) })
}
