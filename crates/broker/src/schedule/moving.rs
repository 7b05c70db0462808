//! What a change of a subject does to its schedules: pending occurrences move, published ones stay as they are.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use posthaste_base::{EventId, Result, ScheduleId};
use posthaste_engine::zone;
use posthaste_store::schedule::{self as rows, Advance, Move, ScheduleRow};
use posthaste_store::subject::SubjectRow;
use posthaste_store::{Session, lead};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::SCHEDULES_PER_SUBJECT_MAX;
use super::occurrence::{Next, Timing, following_at, make_in, occurrence_key};
use crate::transact::Abort;
use crate::{Broker, domain};

/// A pending occurrence that a change of its subject moved; it is still the same event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    pub schedule: ScheduleId,
    pub event: EventId,
    /// None when it was made only now: the subject had no such date before.
    pub from: Option<Timestamp>,
    /// None when it was withdrawn: the subject has no such date any more, or the rule has ended.
    pub to: Option<Timestamp>,
}

/// An occurrence that stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotMoved {
    pub schedule: ScheduleId,
    pub event: EventId,
    pub reason: NotMovedReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NotMovedReason {
    /// It is published already. The next occurrence is made by what the subject is by then.
    InDelivery,
}

/// The schedules of one subject, held by this transaction as they are.
pub(crate) struct Held {
    /// Those that are active or paused.
    pub(crate) schedules: Vec<ScheduleRow>,
    /// Their occurrences that the scheduler has not taken, and cannot take now.
    pub(crate) waiting: HashSet<Uuid>,
}

impl Held {
    /// The caller holds the subject, so that no schedule is added.
    pub(crate) async fn of_subject(session: &Session, subject: &str) -> Result<Self, Abort> {
        // One more than may be made, for the sake of those made at the same time.
        let limit = 2 * SCHEDULES_PER_SUBJECT_MAX as i64;
        let live = rows::live_of_subject(session, subject, limit).await?;
        let known: Vec<Uuid> = live.iter().filter_map(|(_, event)| *event).collect();
        let mut waiting: HashSet<Uuid> = rows::hold_waiting(session, &known).await?.into_iter().collect();
        let ids: Vec<i64> = live.iter().map(|(id, _)| *id).collect();
        rows::lock(session, &ids).await?;
        let schedules = rows::get(session, &ids).await?;
        // An occurrence may have ended before its schedule was held; then the next one waits by now.
        let added: Vec<Uuid> =
            schedules.iter().filter_map(|one| one.event_id).filter(|event| !known.contains(event)).collect();
        if !added.is_empty() {
            waiting.extend(rows::hold_waiting(session, &added).await?);
        }
        Ok(Self { schedules, waiting })
    }
}

/// What a change of a subject came to.
#[derive(Default)]
pub(crate) struct Followed {
    pub(crate) moved: Vec<Moved>,
    pub(crate) not_moved: Vec<NotMoved>,
}

/// Lets the schedules of a subject follow its change, and publishes what changed. The subject is written already.
pub(crate) async fn follow_in(
    session: &Session,
    broker: &Broker,
    before: &SubjectRow,
    after: &SubjectRow,
) -> Result<Followed, Abort> {
    let changed = changed_dates(&before.dates, &after.dates);
    let has_moved = before.zone != after.zone;
    if changed.is_empty() && !has_moved {
        return Ok(Followed::default());
    }
    let held = Held::of_subject(session, &after.id).await?;
    let now = lead::database_now(session).await?;
    let old_zone = zone::parse(&before.zone)?;
    let mut plan = Plan::default();
    for schedule in held.schedules {
        let has_new_date = schedule.follows.as_ref().is_some_and(|name| changed.contains(name.as_str()));
        let has_new_zone = has_moved && schedule.zone.is_none();
        if schedule.status != "active" || !(has_new_date || has_new_zone) {
            continue;
        }
        let timing = Timing::of(&schedule)?;
        let is_waiting = schedule.event_id.is_some_and(|event| held.waiting.contains(&event));
        let in_delivery = schedule.event_id.is_some() && !is_waiting;
        // What is in delivery stays, and what follows it moves in its place: so it keeps its local day as well.
        let from = if in_delivery { schedule.following_at } else { schedule.next_at };
        let to = match from.filter(|_| !has_new_date) {
            Some(due_at) => timing.moved_from(&old_zone, due_at, now)?,
            // The last one is the last one wherever the subject is.
            None if in_delivery && schedule.rule.is_some() => None,
            None => timing.next_after(now)?,
        };
        plan.add(schedule, in_delivery, to);
    }
    let counts = (plan.followed.moved.len(), plan.followed.not_moved.len());
    let catalog = broker.catalog();
    let announce =
        |name: &str, from, to| domain::subject_changed(&catalog, name, &after.id, (from, to), counts);
    let mut announced = Vec::new();
    if has_moved {
        announced.extend(announce("UserTimezoneChanged", Some(&before.zone), Some(&after.zone)));
    }
    if changed.contains("birthday") {
        let birthday = |dates| Value::as_str(Value::get(dates, "birthday")?);
        announced.extend(announce("UserBirthdayChanged", birthday(&before.dates), birthday(&after.dates)));
    }
    rows::withdraw(session, &plan.withdrawn).await?;
    rows::move_waiting(session, &plan.moves).await?;
    rows::advance(session, &plan.advances).await?;
    broker.inner.metrics.schedule.occurrences_moved.increment(plan.moves.len() as u64);
    make_in(session, broker, &plan.nexts, announced).await?;
    rows::wake(session).await?;
    Ok(plan.followed)
}

/// What is to be written for all schedules of a subject, gathered so that each kind is one statement.
#[derive(Default)]
struct Plan {
    withdrawn: Vec<Uuid>,
    moves: Vec<Move>,
    advances: Vec<Advance>,
    nexts: Vec<Next>,
    followed: Followed,
}

impl Plan {
    fn add(&mut self, schedule: ScheduleRow, in_delivery: bool, to: Option<Timestamp>) {
        let id = ScheduleId(schedule.id);
        let from = schedule.next_at;
        match (schedule.event_id, to) {
            (Some(event), _) if in_delivery => {
                self.advances.push(Advance { following_at: to, ..Advance::of(&schedule) });
                let reason = NotMovedReason::InDelivery;
                self.followed.not_moved.push(NotMoved { schedule: id, event: EventId(event), reason });
            }
            (Some(event), Some(due_at)) => {
                if from == to {
                    return;
                }
                let key = occurrence_key(schedule.id, schedule.occurrences, due_at);
                self.moves.push(Move { event_id: event, due_at, key });
                let following_at = following_at(&schedule, due_at);
                self.advances.push(Advance { next_at: to, following_at, ..Advance::of(&schedule) });
                self.followed.moved.push(Moved { schedule: id, event: EventId(event), from, to });
            }
            (Some(event), None) => {
                self.withdrawn.push(event);
                self.nexts.push(Next::at(schedule, None));
                self.followed.moved.push(Moved { schedule: id, event: EventId(event), from, to });
            }
            (None, Some(_)) => {
                let next = Next::at(schedule, to);
                let event = next.event_id.expect("an occurrence with a time has an id");
                self.followed.moved.push(Moved { schedule: id, event, from: None, to });
                self.nexts.push(next);
            }
            (None, None) => {}
        }
    }
}

/// The names of the dates that are not the same in both.
fn changed_dates<'a>(before: &'a Value, after: &'a Value) -> BTreeSet<&'a str> {
    let names = |dates: &'a Value| dates.as_object().into_iter().flat_map(|dates| dates.keys());
    names(before)
        .chain(names(after))
        .map(String::as_str)
        .filter(|name| before.get(name) != after.get(name))
        .collect()
}
