//! A schedule goes on by its clock: when the next occurrence's time comes and the last one has not ended, the next one
//! is made nevertheless. Otherwise one queue that nobody drains would keep a schedule from all its other subscribers.
//!
//! Not for: the common case, in which the end of an occurrence makes the next one (see `finish`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use posthaste_base::Result;
use posthaste_store::schedule::{self as rows, Advance, Following, ScheduleRow};
use posthaste_store::{Session, lead};

use super::occurrence::{Next, Timing, make_in};
use crate::Broker;
use crate::transact::Abort;

/// So much ahead of its time the next occurrence is made, so that it waits for that and is due on the dot.
pub(crate) const AHEAD: Duration = Duration::from_secs(1);
const BATCH: i64 = 200;

impl Broker {
    /// Makes the next occurrences, whose time comes now, of schedules whose last ones have not ended; answers with how
    /// many schedules were looked at: there may be more. What the keeper does.
    pub async fn go_on_by_the_clock(&self) -> Result<usize> {
        self.transact(|tx| async move { go_on_in(&tx, self).await }).await
    }
}

async fn go_on_in(session: &Session, broker: &Broker) -> Result<usize, Abort> {
    let following = rows::sweep_following(session, AHEAD.as_secs_f64(), BATCH).await?;
    if following.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = following.iter().map(|one| one.id).collect();
    let now = lead::database_now(session).await?;
    let soon = now.saturating_add(AHEAD).unwrap_or(now);
    let (mut nexts, mut later) = (Vec::new(), Vec::new());
    for schedule in rows::get(session, &ids).await? {
        let Some(one) = following.iter().find(|one| one.id == schedule.id) else { continue };
        match after_that(&schedule, one, soon) {
            Ok(Some(due_at)) if due_at <= soon => nexts.push(Next::at(schedule, Some(due_at))),
            Ok(following_at) => later.push(Advance { following_at, ..Advance::of(&schedule) }),
            Err(error) => {
                tracing::error!(
                    schedule.id,
                    %error,
                    "schedule {} is paused: when it occurs next cannot be told", schedule.id
                );
                nexts.push(Next::paused(schedule));
            }
        }
    }
    rows::advance(session, &later).await?;
    let made = nexts.iter().filter(|next| next.event_id.is_some());
    for next in made {
        broker.inner.metrics.schedule.occurrences_overtaken.increment(1);
        tracing::info!(
            schedule.id = next.schedule.id,
            "schedule {} goes on by its clock: the last occurrence has not ended",
            next.schedule.id
        );
    }
    make_in(session, broker, &nexts, Vec::new()).await?;
    Ok(ids.len())
}

/// The occurrence that follows the last one. Those that the last one, because it was late, has taken the place of are
/// skipped; and nothing follows one that is not published.
fn after_that(schedule: &ScheduleRow, one: &Following, soon: Timestamp) -> Result<Option<Timestamp>> {
    let due_at = schedule.next_at.unwrap_or(one.following_at);
    let after = if one.is_waiting { soon } else { one.published_at.unwrap_or(due_at).max(due_at) };
    Timing::of(schedule)?.following(after, Some(one.following_at))
}

/// How much earlier than that the keeper looks.
pub(crate) fn look_at(following_at: Timestamp) -> Timestamp {
    let ahead = SignedDuration::try_from(AHEAD).unwrap_or_default();
    following_at.saturating_sub(ahead).unwrap_or(following_at)
}
