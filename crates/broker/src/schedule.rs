//! Schedules: made, listed, paused, resumed and cancelled.
//!
//! A schedule has one occurrence at a time, which waits or is in delivery; when that has ended, the next one is
//! made in the same transaction (see `finish`), and when it has not, by the clock (see `onward`). Locks are taken in the order of `posthaste_store::schedule`.
//! Not for: when a rule occurs (see `occurrence`), or what a subject's change does to schedules (see `moving`).

mod input;
mod moving;
mod occurrence;
mod onward;

use jiff::{SignedDuration, Timestamp};
use posthaste_base::limits::DUE_AHEAD_DAYS_MAX;
use posthaste_base::{Code, Error, EventId, Priority, Result, ScheduleId};
use posthaste_store::schedule::{self as rows, ScheduleRow, ScheduleWrite};
use posthaste_store::subject::{self as subjects, SubjectRow};
use posthaste_store::{Session, lead};
use serde::Serialize;
use serde_json::Value;

pub use self::input::ScheduleIn;
pub(crate) use self::input::check_storable;
pub(crate) use self::moving::{Held, follow_in};
pub use self::moving::{Moved, NotMoved, NotMovedReason};
pub(crate) use self::occurrence::{Next, Timing, make_in};
pub(crate) use self::onward::look_at;
use crate::Broker;
use crate::transact::Abort;

/// Schedules of one subject that are active or paused: a change of the subject moves them all at once.
pub(crate) const SCHEDULES_PER_SUBJECT_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleOut {
    pub id: ScheduleId,
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub event_type: String,
    pub subject: Option<String>,
    pub rule: Option<Value>,
    /// The date of the subject that it follows.
    pub follows: Option<String>,
    /// The zone that it occurs in: its own, or the subject's.
    pub zone: String,
    pub has_own_zone: bool,
    /// The local time of day, where the rule names none.
    pub at: String,
    pub priority: Option<Priority>,
    pub attributes: Value,
    pub payload: Value,
    /// `active`, `paused`, `cancelled` or `finished`.
    pub status: String,
    /// The occurrence that waits or is in delivery.
    pub event_id: Option<EventId>,
    pub next_at: Option<Timestamp>,
    /// The same in the schedule's zone, as its subject sees it.
    pub next_local: Option<String>,
    /// How many occurrences were made.
    pub occurrences: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What pausing, resuming or cancelling did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleChange {
    pub schedule: ScheduleOut,
    /// The occurrence that waited and was taken back.
    pub withdrawn: Option<EventId>,
    /// The occurrence that could not be taken back, because it is published already.
    pub in_delivery: Option<EventId>,
}

/// What a schedule is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Pause,
    Resume,
    Cancel,
}

impl Broker {
    /// Makes a schedule and its first occurrence.
    pub async fn create_schedule(&self, schedule: ScheduleIn) -> Result<ScheduleOut> {
        let checked = input::check(schedule, &self.catalog(), self.options().strict_types)?;
        self.ensure_topic(&checked.event_type).await?;
        let checked = &checked;
        let row = self.transact(|tx| async move { create_in(&tx, self, checked).await }).await?;
        self.ring_keeper();
        Ok(to_out(row))
    }

    /// The schedule of this name or id.
    pub async fn get_schedule(&self, name_or_id: &str) -> Result<ScheduleOut> {
        let session = self.pool().get().await?;
        Ok(to_out(find(&session, name_or_id).await.map_err(Error::from)?))
    }

    /// Schedules in the order of their ids, or those of one subject, from after `after`.
    pub async fn list_schedules(
        &self,
        subject: Option<&str>,
        after: Option<ScheduleId>,
        limit: usize,
    ) -> Result<Vec<ScheduleOut>> {
        let session = self.pool().get().await?;
        let (after, limit) = (after.map_or(0, |id| id.0), limit as i64);
        let found = match subject {
            Some(subject) => rows::list_of_subject(&session, subject, after, limit).await?,
            None => rows::list(&session, after, limit).await?,
        };
        Ok(found.into_iter().map(to_out).collect())
    }

    /// Takes back what waits, and makes nothing more until [`Broker::resume_schedule`].
    pub async fn pause_schedule(&self, name_or_id: &str) -> Result<ScheduleChange> {
        self.order(name_or_id, Order::Pause).await
    }

    /// Goes on with the next occurrence from now; what would have been in the pause is skipped.
    pub async fn resume_schedule(&self, name_or_id: &str) -> Result<ScheduleChange> {
        self.order(name_or_id, Order::Resume).await
    }

    /// Takes back what waits, and ends the schedule.
    pub async fn cancel_schedule(&self, name_or_id: &str) -> Result<ScheduleChange> {
        self.order(name_or_id, Order::Cancel).await
    }

    async fn order(&self, name_or_id: &str, order: Order) -> Result<ScheduleChange> {
        let change = self.transact(|tx| async move { order_in(&tx, self, name_or_id, order).await }).await?;
        self.ring_keeper();
        Ok(change)
    }
}

async fn create_in(
    session: &Session,
    broker: &Broker,
    checked: &input::Checked,
) -> Result<ScheduleRow, Abort> {
    if let Some(subject) = &checked.subject {
        // Its zone and dates must be the same when the occurrence is there, so that a change sees it and moves it.
        let row = subjects::share(session, subject).await?;
        let row = row.ok_or_else(|| {
            Error::new(Code::NotFound, format!("there is no subject `{subject}`")).field("subject")
        })?;
        check_subject(session, &row, checked.follows.as_deref()).await?;
    }
    let write = ScheduleWrite {
        name: checked.name.as_deref(),
        event_type: &checked.event_type,
        subject: checked.subject.as_deref(),
        rule: checked.rule.as_ref(),
        follows: checked.follows.as_deref(),
        zone: checked.zone.as_deref(),
        at: checked.at,
        priority: checked.priority.map(Priority::rank),
        attributes: &checked.attributes,
        payload: &checked.payload,
    };
    let id = rows::insert(session, write).await?.ok_or_else(|| {
        let name = checked.name.as_deref().unwrap_or_default();
        Error::new(Code::Conflict, format!("there is a schedule `{name}` already")).field("name")
    })?;
    let row = read(session, id).await?;
    let now = lead::database_now(session).await?;
    let due_at = Timing::of(&row)?.next_after(now)?.ok_or_else(|| over(now))?;
    let latest = now.saturating_add(SignedDuration::from_hours(24 * DUE_AHEAD_DAYS_MAX));
    if latest.is_ok_and(|latest| due_at > latest) {
        let error =
            Error::new(Code::InvalidTime, format!("the first occurrence, {due_at}, is too far ahead"))
                .field("rule")
                .expected(format!("a time in the next {} years", DUE_AHEAD_DAYS_MAX / 365));
        return Err(error.into());
    }
    make_in(session, broker, &[Next::at(row, Some(due_at))], Vec::new()).await?;
    read(session, id).await
}

async fn check_subject(session: &Session, subject: &SubjectRow, follows: Option<&str>) -> Result<(), Abort> {
    let dates = subject.dates.as_object();
    if let Some(name) = follows
        && dates.is_none_or(|dates| !dates.contains_key(name))
    {
        let names: Vec<_> = dates.into_iter().flat_map(|dates| dates.keys()).map(String::as_str).collect();
        let expected = if names.is_empty() { "a subject with dates".into() } else { names.join(" or ") };
        let message = format!("the subject `{}` has no date `{name}`", subject.id);
        return Err(Error::new(Code::InvalidSchedule, message).field("follows").expected(expected).into());
    }
    let max = SCHEDULES_PER_SUBJECT_MAX;
    if rows::live_of_subject(session, &subject.id, max as i64).await?.len() >= max {
        let message = format!("the subject `{}` has {max} schedules already", subject.id);
        return Err(Error::new(Code::Conflict, message).field("subject").into());
    }
    Ok(())
}

async fn order_in(
    session: &Session,
    broker: &Broker,
    name_or_id: &str,
    order: Order,
) -> Result<ScheduleChange, Abort> {
    let id = find(session, name_or_id).await?.id;
    let (schedule, withdrawn) = match order {
        Order::Resume => (hold(session, id).await?, None),
        Order::Pause | Order::Cancel => withdraw_in(session, id).await?,
    };
    let mut change = ScheduleChange { schedule: to_out(schedule.clone()), withdrawn, in_delivery: None };
    let next = match (order, schedule.status.as_str()) {
        (Order::Pause, "active") => Next::paused(schedule),
        (Order::Cancel, "active" | "paused") => Next::cancelled(schedule),
        (Order::Resume, "paused") => {
            let now = lead::database_now(session).await?;
            let due_at = Timing::of(&schedule)?.next_after(now)?;
            Next::at(schedule, due_at)
        }
        (Order::Pause, "paused") | (Order::Resume, "active") | (Order::Cancel, "cancelled") => {
            return Ok(change);
        }
        (_, status) => {
            let message = format!("schedule `{name_or_id}` is {status}");
            return Err(Error::new(Code::Conflict, message).hint("make a new schedule").into());
        }
    };
    if withdrawn.is_none() && order != Order::Resume {
        change.in_delivery = next.schedule.event_id.map(EventId);
    }
    make_in(session, broker, &[next], Vec::new()).await?;
    change.schedule = to_out(read(session, id).await?);
    Ok(change)
}

/// Takes back the occurrence that a schedule waits for, and holds the schedule.
async fn withdraw_in(session: &Session, id: i64) -> Result<(ScheduleRow, Option<EventId>), Abort> {
    let mut schedule = read(session, id).await?;
    loop {
        let event = schedule.event_id;
        let withdrawn = match event {
            Some(event) => rows::withdraw(session, &[event]).await?.pop().map(EventId),
            None => None,
        };
        schedule = hold(session, id).await?;
        // The occurrence may have ended before the schedule was held. Then the next one waits by now, and since
        // the schedule is held there is no third.
        if schedule.event_id == event {
            return Ok((schedule, withdrawn));
        }
    }
}

/// Locks a schedule and reads it as it is then.
async fn hold(session: &Session, id: i64) -> Result<ScheduleRow, Abort> {
    rows::lock(session, &[id]).await?;
    read(session, id).await
}

async fn read(session: &Session, id: i64) -> Result<ScheduleRow, Abort> {
    let found = rows::get(session, &[id]).await?.pop();
    Ok(found.ok_or_else(|| unknown(&id.to_string()))?)
}

/// Names do not consist of digits alone, so a number is always an id.
async fn find(session: &Session, name_or_id: &str) -> Result<ScheduleRow, Abort> {
    let id = match name_or_id.bytes().all(|byte| byte.is_ascii_digit()) {
        true => name_or_id.parse().ok(),
        false => rows::find(session, name_or_id).await?,
    };
    read(session, id.ok_or_else(|| unknown(name_or_id))?).await
}

fn unknown(name_or_id: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no schedule `{name_or_id}`")).field("schedule")
}

fn over(now: Timestamp) -> Error {
    Error::new(Code::InvalidSchedule, format!("the rule does not occur after {now}"))
        .field("rule")
        .expected("a rule that still occurs")
}

fn to_out(row: ScheduleRow) -> ScheduleOut {
    let zone = Timing::of(&row).ok().map(|timing| timing.zone().clone());
    let next_local = row.next_at.zip(zone).map(|(at, zone)| at.to_zoned(zone).to_string());
    ScheduleOut {
        id: ScheduleId(row.id),
        name: row.name,
        event_type: row.event_type,
        subject: row.subject,
        rule: row.rule,
        follows: row.follows,
        has_own_zone: row.zone.is_some(),
        zone: row.zone.or(row.subject_zone).unwrap_or_else(|| "UTC".into()),
        at: row.at.to_string(),
        priority: row.priority.and_then(Priority::from_rank),
        attributes: row.attributes,
        payload: row.payload,
        status: row.status,
        event_id: row.event_id.map(EventId),
        next_at: row.next_at,
        next_local,
        occurrences: row.occurrences,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
