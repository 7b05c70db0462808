//! Subjects: whom events are about, with their zone and their dates.

use jiff::Timestamp;
use posthaste_pg::driver::Row;
use serde_json::Value;

use crate::{Result, Session, sql};

#[derive(Clone, Debug, PartialEq)]
pub struct SubjectRow {
    pub id: String,
    pub zone: String,
    /// `{"birthday": "1990-03-15"}`.
    pub dates: Value,
    pub attributes: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a subject is made or changed to.
#[derive(Clone, Copy, Debug)]
pub struct SubjectWrite<'a> {
    pub id: &'a str,
    pub zone: &'a str,
    pub dates: &'a Value,
    pub attributes: &'a Value,
}

pub async fn get(session: &Session, id: &str) -> Result<Option<SubjectRow>> {
    let statement = session.prepare_cached(sql!("subject/get")).await?;
    session.query_opt(&statement, &[&id]).await?.as_ref().map(subject).transpose()
}

/// The subject, which nobody changes until the transaction ends.
pub async fn share(session: &Session, id: &str) -> Result<Option<SubjectRow>> {
    let statement = session.prepare_cached(sql!("subject/share")).await?;
    session.query_opt(&statement, &[&id]).await?.as_ref().map(subject).transpose()
}

/// The subject, locked to be changed.
pub async fn lock(session: &Session, id: &str) -> Result<Option<SubjectRow>> {
    let statement = session.prepare_cached(sql!("subject/lock")).await?;
    session.query_opt(&statement, &[&id]).await?.as_ref().map(subject).transpose()
}

pub async fn list(session: &Session, after: &str, limit: i64) -> Result<Vec<SubjectRow>> {
    let statement = session.prepare_cached(sql!("subject/list")).await?;
    session.query(&statement, &[&after, &limit]).await?.iter().map(subject).collect()
}

/// None when there is a subject of that id.
pub async fn insert(session: &Session, write: SubjectWrite<'_>) -> Result<Option<SubjectRow>> {
    let statement = session.prepare_cached(sql!("subject/insert")).await?;
    let SubjectWrite { id, zone, dates, attributes } = write;
    let row = session.query_opt(&statement, &[&id, &zone, &dates, &attributes]).await?;
    row.as_ref().map(subject).transpose()
}

/// None when there is no subject of that id.
pub async fn update(session: &Session, write: SubjectWrite<'_>) -> Result<Option<SubjectRow>> {
    let statement = session.prepare_cached(sql!("subject/update")).await?;
    let SubjectWrite { id, zone, dates, attributes } = write;
    let row = session.query_opt(&statement, &[&id, &zone, &dates, &attributes]).await?;
    row.as_ref().map(subject).transpose()
}

/// Removes a subject with its schedules; their events stay.
pub async fn delete(session: &Session, id: &str) -> Result<bool> {
    let statement = session.prepare_cached(sql!("subject/delete")).await?;
    Ok(session.execute(&statement, &[&id]).await? == 1)
}

fn subject(row: &Row) -> Result<SubjectRow> {
    Ok(SubjectRow {
        id: row.try_get("id")?,
        zone: row.try_get("zone")?,
        dates: row.try_get("dates")?,
        attributes: row.try_get("attributes")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
