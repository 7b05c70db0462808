//! How events end: the last of an event's messages finishes it, and the schedule that it came from goes on.
//!
//! Whether a message is delivered for good or dead for good makes no difference to the schedule: the next
//! occurrence is made in the same transaction, so nothing stays in between (requirements, decisions 8 and 10). One
//! that takes longer than until the next is overtaken by it (see `schedule::onward`).
//! Not for: events that nobody asks about (see [`tracked`]); those have no end that is written down.

use std::collections::BTreeSet;

use jiff::Timestamp;
use posthaste_base::{Code, Error, EventId, MessageId, Result, ScheduleId};
use posthaste_store::schedule::{self as rows, FinishedEvent, OutcomeRow};
use posthaste_store::{Session, lead};
use serde::Serialize;
use uuid::Uuid;

use crate::schedule::{Next, Timing, make_in};
use crate::transact::Abort;
use crate::{Broker, Catalog, domain, route};

/// How one message of a tracked event ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) event_id: EventId,
    pub(crate) message_id: MessageId,
    pub(crate) failed: bool,
}

/// An event that was withdrawn before it was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventCancelled {
    pub id: EventId,
    /// The occurrence that its schedule made in its place.
    pub next: Option<EventId>,
    pub next_at: Option<Timestamp>,
}

/// Whether the end of an event has to be known: it belongs to a schedule, or somebody subscribes to ends.
///
/// What Posthaste publishes about ends has no end itself, or one would follow another for ever.
pub(crate) fn tracked(catalog: &Catalog, schedule_id: Option<ScheduleId>, event_type: &str) -> bool {
    if schedule_id.is_some() {
        return true;
    }
    let is_asked_for = || catalog.has_subscriber("EventCompleted") || catalog.has_subscriber("EventFailed");
    !route::is_domain_event(event_type) && is_asked_for()
}

/// Writes down how messages ended, in the transaction that settles them, and finishes the events whose last
/// messages these were. What was written down before for a message stays.
pub(crate) async fn finish_in(session: &Session, broker: &Broker, outcomes: &[Outcome]) -> Result<(), Abort> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let events: Vec<Uuid> = in_order(outcomes.iter().map(|outcome| outcome.event_id));
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|outcome| OutcomeRow {
            event_id: outcome.event_id.0,
            message_id: outcome.message_id.0,
            failed: outcome.failed,
        })
        .collect();
    // Before the outcomes go in: their foreign key would lock the events weakly and in any order, and two
    // transactions that then both want more would block each other.
    rows::lock_events(session, &events).await?;
    rows::insert_outcomes(session, &outcomes).await?;
    finish_locked_in(session, broker, &events).await
}

/// Finishes published events that became no message at all, because nobody subscribes to them.
pub(crate) async fn finish_unrouted_in(
    session: &Session,
    broker: &Broker,
    events: &[EventId],
) -> Result<(), Abort> {
    let events = in_order(events.iter().copied());
    rows::lock_events(session, &events).await?;
    finish_locked_in(session, broker, &events).await
}

impl Broker {
    /// Withdraws an event that is not due yet. If it is the occurrence of a schedule, the next one takes its place.
    pub async fn cancel_event(&self, id: EventId) -> Result<EventCancelled> {
        let cancelled = self.transact(|tx| async move { cancel_in(&tx, self, id).await }).await?;
        if cancelled.next.is_some() {
            self.ring_keeper();
        }
        Ok(cancelled)
    }
}

fn in_order(events: impl Iterator<Item = EventId>) -> Vec<Uuid> {
    events.map(|id| id.0).collect::<BTreeSet<_>>().into_iter().collect()
}

async fn finish_locked_in(session: &Session, broker: &Broker, events: &[Uuid]) -> Result<(), Abort> {
    let finished = rows::finish_events(session, events).await?;
    if finished.is_empty() {
        return Ok(());
    }
    for event in finished.iter().filter(|event| event.schedule_id.is_some()) {
        let metrics = &broker.inner.metrics.schedule;
        if event.failed { &metrics.occurrences_failed } else { &metrics.occurrences_ended }.increment(1);
    }
    let nexts = next_occurrences(session, &finished).await?;
    let catalog = broker.catalog();
    let announced = finished.iter().filter_map(|event| domain::finished(&catalog, event)).collect();
    make_in(session, broker, &nexts, announced).await
}

/// What follows the finished events in their schedules.
///
/// A schedule goes on from the event that it waits for and from no other: one that was redriven after its failure
/// finishes a second time, and the schedule has gone on long since.
async fn next_occurrences(session: &Session, finished: &[FinishedEvent]) -> Result<Vec<Next>, Abort> {
    let schedules: BTreeSet<i64> = finished.iter().filter_map(|event| event.schedule_id).collect();
    if schedules.is_empty() {
        return Ok(Vec::new());
    }
    let schedules: Vec<i64> = schedules.into_iter().collect();
    rows::lock(session, &schedules).await?;
    let mut nexts = Vec::new();
    for schedule in rows::get(session, &schedules).await? {
        let event = finished.iter().find(|event| Some(event.id) == schedule.event_id);
        let Some(event) = event.filter(|_| schedule.status == "active") else { continue };
        let after = event.finished_at.max(event.due_at);
        let expected_at = schedule.following_at;
        // A date of the subject may have come since.
        let is_last = expected_at.is_none() && schedule.rule.is_some();
        let next = |timing: Timing| if is_last { Ok(None) } else { timing.following(after, expected_at) };
        nexts.push(match Timing::of(&schedule).and_then(next) {
            Ok(due_at) => Next::at(schedule, due_at),
            // The message that was settled must not suffer for it.
            Err(error) => {
                tracing::error!(
                    schedule.id,
                    %error,
                    "schedule {} is paused: when it occurs next cannot be told", schedule.id
                );
                Next::paused(schedule)
            }
        });
    }
    Ok(nexts)
}

async fn cancel_in(session: &Session, broker: &Broker, id: EventId) -> Result<EventCancelled, Abort> {
    let not_found = || Error::new(Code::NotFound, format!("there is no event `{id}`")).field("id");
    let withdrawn = rows::withdraw(session, &[id.0]).await?;
    let event = rows::event(session, id.0).await?.ok_or_else(not_found)?;
    let mut cancelled = EventCancelled { id, next: None, next_at: None };
    if withdrawn.is_empty() {
        if event.cancelled_at.is_some() {
            return Ok(cancelled);
        }
        let error = Error::new(Code::Conflict, format!("event `{id}` is published already"))
            .field("id")
            .hint("what is in delivery cannot be called back");
        return Err(error.into());
    }
    let Some(schedule_id) = event.schedule_id else { return Ok(cancelled) };
    rows::lock(session, &[schedule_id]).await?;
    let Some(schedule) = rows::get(session, &[schedule_id]).await?.pop() else { return Ok(cancelled) };
    if schedule.status == "active" && schedule.event_id == Some(id.0) {
        let after = lead::database_now(session).await?.max(event.due_at);
        let due_at = Timing::of(&schedule)?.next_after(after)?;
        let next = Next::at(schedule, due_at);
        (cancelled.next, cancelled.next_at) = (next.event_id, next.due_at);
        make_in(session, broker, &[next], Vec::new()).await?;
    }
    Ok(cancelled)
}

#[cfg(test)]
mod tests;
