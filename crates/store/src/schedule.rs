//! Schedules, the occurrences that they wait for, and how events end.
//!
//! Locks are taken in one order by all who touch these tables: the subject, what waits, events, schedules.

use jiff::Timestamp;
use jiff::civil::Time;
use posthaste_pg::driver::Row;
use serde_json::Value;
use uuid::Uuid;

use crate::{Result, Session, sql};

#[derive(Clone, Debug)]
pub struct ScheduleRow {
    pub id: i64,
    pub name: Option<String>,
    pub event_type: String,
    pub subject: Option<String>,
    pub rule: Option<Value>,
    pub follows: Option<String>,
    /// None is the subject's.
    pub zone: Option<String>,
    pub at: Time,
    pub priority: Option<i16>,
    pub attributes: Value,
    pub payload: Value,
    pub status: String,
    pub event_id: Option<Uuid>,
    pub next_at: Option<Timestamp>,
    /// When the occurrence after that one is due, by the clock.
    pub following_at: Option<Timestamp>,
    pub occurrences: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub subject_zone: Option<String>,
    pub subject_dates: Option<Value>,
}

/// A schedule that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleWrite<'a> {
    pub name: Option<&'a str>,
    pub event_type: &'a str,
    pub subject: Option<&'a str>,
    pub rule: Option<&'a Value>,
    pub follows: Option<&'a str>,
    pub zone: Option<&'a str>,
    pub at: Time,
    pub priority: Option<i16>,
    pub attributes: &'a Value,
    pub payload: &'a Value,
}

/// What a schedule goes on with.
#[derive(Clone, Debug)]
pub struct Advance {
    pub id: i64,
    pub status: &'static str,
    pub event_id: Option<Uuid>,
    pub next_at: Option<Timestamp>,
    pub following_at: Option<Timestamp>,
    pub occurrences: i64,
}

impl Advance {
    /// An active schedule as it is.
    pub fn of(schedule: &ScheduleRow) -> Self {
        let &ScheduleRow { id, event_id, next_at, following_at, occurrences, .. } = schedule;
        Self { id, status: "active", event_id, next_at, following_at, occurrences }
    }
}

/// A schedule whose next occurrence's time has come, while the last one has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    pub id: i64,
    pub following_at: Timestamp,
    /// Whether the last one waits for the scheduler.
    pub is_waiting: bool,
    /// When the last one was published.
    pub published_at: Option<Timestamp>,
}

/// An event that waits, and where it goes.
#[derive(Clone, Debug)]
pub struct Move {
    pub event_id: Uuid,
    pub due_at: Timestamp,
    pub key: String,
}

/// How one message of a tracked event ended.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeRow {
    pub event_id: Uuid,
    pub message_id: i64,
    pub failed: bool,
}

/// An event whose last message has just ended.
#[derive(Clone, Debug)]
pub struct FinishedEvent {
    pub id: Uuid,
    pub event_type: String,
    pub subject: Option<String>,
    pub due_at: Timestamp,
    pub finished_at: Timestamp,
    pub failed: bool,
    pub schedule_id: Option<i64>,
    pub correlation_id: Option<String>,
    /// Of one that failed, as it is told.
    pub dead_letter: Option<Value>,
}

/// What decides whether an event can be cancelled.
#[derive(Clone, Debug)]
pub struct PendingEvent {
    pub id: Uuid,
    pub event_type: String,
    pub due_at: Timestamp,
    pub published_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub schedule_id: Option<i64>,
}

/// The id of the new schedule; none when there is one of that name.
pub async fn insert(session: &Session, write: ScheduleWrite<'_>) -> Result<Option<i64>> {
    let statement = session.prepare_cached(sql!("schedule/insert")).await?;
    let ScheduleWrite { name, event_type, subject, rule, follows, zone, at, priority, attributes, payload } =
        write;
    let row = session
        .query_opt(
            &statement,
            &[&name, &event_type, &subject, &rule, &follows, &zone, &at, &priority, &attributes, &payload],
        )
        .await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Those of the schedules that there are, in the order of their ids.
pub async fn get(session: &Session, ids: &[i64]) -> Result<Vec<ScheduleRow>> {
    let statement = session.prepare_cached(sql!("schedule/get")).await?;
    session.query(&statement, &[&ids]).await?.iter().map(schedule).collect()
}

pub async fn find(session: &Session, name: &str) -> Result<Option<i64>> {
    let statement = session.prepare_cached(sql!("schedule/find")).await?;
    let row = session.query_opt(&statement, &[&name]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

pub async fn list(session: &Session, after: i64, limit: i64) -> Result<Vec<ScheduleRow>> {
    let statement = session.prepare_cached(sql!("schedule/list")).await?;
    session.query(&statement, &[&after, &limit]).await?.iter().map(schedule).collect()
}

pub async fn list_of_subject(
    session: &Session,
    subject: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<ScheduleRow>> {
    let statement = session.prepare_cached(sql!("schedule/list_of_subject")).await?;
    session.query(&statement, &[&subject, &after, &limit]).await?.iter().map(schedule).collect()
}

/// The schedules of a subject that are active or paused, with the occurrence that each waits for.
pub async fn live_of_subject(
    session: &Session,
    subject: &str,
    limit: i64,
) -> Result<Vec<(i64, Option<Uuid>)>> {
    let statement = session.prepare_cached(sql!("schedule/live_of_subject")).await?;
    let rows = session.query(&statement, &[&subject, &limit]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Holds schedules until the transaction ends. Read them again afterwards: this may have waited.
pub async fn lock(session: &Session, ids: &[i64]) -> Result<()> {
    let statement = session.prepare_cached(sql!("schedule/lock")).await?;
    session.query(&statement, &[&ids]).await?;
    Ok(())
}

pub async fn advance(session: &Session, advances: &[Advance]) -> Result<()> {
    let statement = session.prepare_cached(sql!("schedule/advance")).await?;
    let ids: Vec<_> = advances.iter().map(|one| one.id).collect();
    let statuses: Vec<_> = advances.iter().map(|one| one.status).collect();
    let events: Vec<_> = advances.iter().map(|one| one.event_id).collect();
    let times: Vec<_> = advances.iter().map(|one| one.next_at).collect();
    let followings: Vec<_> = advances.iter().map(|one| one.following_at).collect();
    let occurrences: Vec<_> = advances.iter().map(|one| one.occurrences).collect();
    session.execute(&statement, &[&ids, &statuses, &events, &times, &followings, &occurrences]).await?;
    Ok(())
}

/// Schedules whose next occurrence's time comes in so many seconds, held by this transaction.
pub async fn sweep_following(session: &Session, seconds: f64, limit: i64) -> Result<Vec<Following>> {
    let statement = session.prepare_cached(sql!("schedule/sweep_following")).await?;
    let rows = session.query(&statement, &[&seconds, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Following {
                id: row.try_get("id")?,
                following_at: row.try_get("following_at")?,
                is_waiting: row.try_get("is_waiting")?,
                published_at: row.try_get("published_at")?,
            })
        })
        .collect()
}

/// Keeps the scheduler from taking these events; answers with those that it has not taken.
pub async fn hold_waiting(session: &Session, events: &[Uuid]) -> Result<Vec<Uuid>> {
    let statement = session.prepare_cached(sql!("schedule/hold_waiting")).await?;
    let rows = session.query(&statement, &[&events]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Takes back those of the events that still wait, and answers with them.
pub async fn withdraw(session: &Session, events: &[Uuid]) -> Result<Vec<Uuid>> {
    let statement = session.prepare_cached(sql!("schedule/withdraw")).await?;
    let rows = session.query(&statement, &[&events]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Moves those of the events that still wait.
pub async fn move_waiting(session: &Session, moves: &[Move]) -> Result<()> {
    let statement = session.prepare_cached(sql!("schedule/move")).await?;
    let events: Vec<_> = moves.iter().map(|one| one.event_id).collect();
    let times: Vec<_> = moves.iter().map(|one| one.due_at).collect();
    let keys: Vec<_> = moves.iter().map(|one| one.key.as_str()).collect();
    session.execute(&statement, &[&events, &times, &keys]).await?;
    Ok(())
}

/// Wakes the scheduler when this transaction commits.
pub async fn wake(session: &Session) -> Result<()> {
    let statement = session.prepare_cached(sql!("schedule/wake")).await?;
    session.execute(&statement, &[]).await?;
    Ok(())
}

/// Holds events until the transaction ends. The ids are to be in order and each there once.
pub async fn lock_events(session: &Session, events: &[Uuid]) -> Result<()> {
    let statement = session.prepare_cached(sql!("schedule/lock_events")).await?;
    session.query(&statement, &[&events]).await?;
    Ok(())
}

pub async fn insert_outcomes(session: &Session, outcomes: &[OutcomeRow]) -> Result<()> {
    let statement = session.prepare_cached(sql!("schedule/insert_outcomes")).await?;
    let events: Vec<_> = outcomes.iter().map(|one| one.event_id).collect();
    let messages: Vec<_> = outcomes.iter().map(|one| one.message_id).collect();
    let failed: Vec<_> = outcomes.iter().map(|one| one.failed).collect();
    session.execute(&statement, &[&events, &messages, &failed]).await?;
    Ok(())
}

/// Finishes those of the events whose messages have all ended, and answers with them.
pub async fn finish_events(session: &Session, events: &[Uuid]) -> Result<Vec<FinishedEvent>> {
    let statement = session.prepare_cached(sql!("schedule/finish_events")).await?;
    let rows = session.query(&statement, &[&events]).await?;
    rows.iter()
        .map(|row| {
            Ok(FinishedEvent {
                id: row.try_get("id")?,
                event_type: row.try_get("type")?,
                subject: row.try_get("subject")?,
                due_at: row.try_get("due_at")?,
                finished_at: row.try_get("finished_at")?,
                failed: row.try_get("failed")?,
                schedule_id: row.try_get("schedule_id")?,
                correlation_id: row.try_get("correlation_id")?,
                dead_letter: row.try_get("dead_letter")?,
            })
        })
        .collect()
}

pub async fn event(session: &Session, id: Uuid) -> Result<Option<PendingEvent>> {
    let statement = session.prepare_cached(sql!("schedule/event")).await?;
    let Some(row) = session.query_opt(&statement, &[&id]).await? else { return Ok(None) };
    Ok(Some(PendingEvent {
        id: row.try_get("id")?,
        event_type: row.try_get("type")?,
        due_at: row.try_get("due_at")?,
        published_at: row.try_get("published_at")?,
        cancelled_at: row.try_get("cancelled_at")?,
        schedule_id: row.try_get("schedule_id")?,
    }))
}

fn schedule(row: &Row) -> Result<ScheduleRow> {
    Ok(ScheduleRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        event_type: row.try_get("type")?,
        subject: row.try_get("subject")?,
        rule: row.try_get("rule")?,
        follows: row.try_get("follows")?,
        zone: row.try_get("zone")?,
        at: row.try_get("at")?,
        priority: row.try_get("priority")?,
        attributes: row.try_get("attributes")?,
        payload: row.try_get("payload")?,
        status: row.try_get("status")?,
        event_id: row.try_get("event_id")?,
        next_at: row.try_get("next_at")?,
        following_at: row.try_get("following_at")?,
        occurrences: row.try_get("occurrences")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        subject_zone: row.try_get("subject_zone")?,
        subject_dates: row.try_get("subject_dates")?,
    })
}
