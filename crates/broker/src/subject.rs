//! Subjects: whom events are about. A change of zone or dates moves what is pending, and says what it moved.
//!
//! Not for: how an occurrence is moved (see `schedule::moving`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use posthaste_base::limits::{KEY_BYTES_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use posthaste_base::{Code, Error, EventId, Result};
use posthaste_engine::{due, zone};
use posthaste_store::subject::{self as rows, SubjectRow, SubjectWrite};
use posthaste_store::{Session, schedule};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Broker;
use crate::schedule::{Held, Moved, NotMoved, check_storable, follow_in};
use crate::transact::Abort;

const DATES_MAX: usize = 100;

/// A subject as a caller describes it, whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectIn {
    /// An IANA name such as `Europe/Berlin`.
    pub zone: String,
    /// Such as `{"birthday": "1990-03-15"}`.
    #[serde(default)]
    pub dates: BTreeMap<String, String>,
    /// Whatever else is known of the subject.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// What is to be changed; everything else stays. A date or an attribute that is null is removed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectPatch {
    #[serde(default)]
    pub zone: Option<String>,
    #[serde(default)]
    pub dates: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectOut {
    pub id: String,
    pub zone: String,
    pub dates: Value,
    pub attributes: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A subject that was made or changed, and what became of its pending events.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectChange {
    pub subject: SubjectOut,
    pub created: bool,
    pub moved: Vec<Moved>,
    pub not_moved: Vec<NotMoved>,
}

/// A subject that was removed with its schedules.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectRemoved {
    /// The occurrences that waited and were taken back.
    pub withdrawn: Vec<EventId>,
    /// Those that will still be delivered.
    pub in_delivery: Vec<EventId>,
}

/// What a subject is to be, checked and in the form that is stored.
struct Wanted {
    zone: String,
    dates: Value,
    attributes: Value,
}

impl Broker {
    /// Makes a subject, or makes it what `subject` says. What is pending moves in the same transaction.
    pub async fn put_subject(&self, id: &str, subject: SubjectIn) -> Result<SubjectChange> {
        check_id(id)?;
        let wanted = &check(subject)?;
        let change = self.transact(|tx| async move { put_in(&tx, self, id, wanted).await }).await?;
        self.ring_keeper();
        Ok(change)
    }

    /// Changes parts of a subject. What is pending moves in the same transaction.
    pub async fn patch_subject(&self, id: &str, patch: SubjectPatch) -> Result<SubjectChange> {
        let patch = &patch;
        let change = self.transact(|tx| async move { patch_in(&tx, self, id, patch).await }).await?;
        self.ring_keeper();
        Ok(change)
    }

    pub async fn get_subject(&self, id: &str) -> Result<SubjectOut> {
        let session = self.pool().get().await?;
        rows::get(&session, id).await?.map(to_out).ok_or_else(|| unknown(id))
    }

    /// Subjects in the order of their ids, from after `after`.
    pub async fn list_subjects(&self, after: Option<&str>, limit: usize) -> Result<Vec<SubjectOut>> {
        let session = self.pool().get().await?;
        let found = rows::list(&session, after.unwrap_or_default(), limit as i64).await?;
        Ok(found.into_iter().map(to_out).collect())
    }

    /// Removes a subject and its schedules, and takes back what waits. Events that were made stay.
    pub async fn delete_subject(&self, id: &str) -> Result<SubjectRemoved> {
        self.transact(|tx| async move { delete_in(&tx, id).await }).await
    }
}

async fn put_in(
    session: &Session,
    broker: &Broker,
    id: &str,
    wanted: &Wanted,
) -> Result<SubjectChange, Abort> {
    loop {
        if let Some(row) = rows::insert(session, wanted.write(id)).await? {
            let subject = to_out(row);
            return Ok(SubjectChange { subject, created: true, moved: Vec::new(), not_moved: Vec::new() });
        }
        // It may have been removed since.
        if let Some(before) = rows::lock(session, id).await? {
            return change_in(session, broker, &before, wanted).await;
        }
    }
}

async fn patch_in(
    session: &Session,
    broker: &Broker,
    id: &str,
    patch: &SubjectPatch,
) -> Result<SubjectChange, Abort> {
    let before = rows::lock(session, id).await?.ok_or_else(|| unknown(id))?;
    let wanted = patched(&before, patch)?;
    change_in(session, broker, &before, &wanted).await
}

async fn change_in(
    session: &Session,
    broker: &Broker,
    before: &SubjectRow,
    wanted: &Wanted,
) -> Result<SubjectChange, Abort> {
    let after = rows::update(session, wanted.write(&before.id)).await?.ok_or_else(|| unknown(&before.id))?;
    let followed = follow_in(session, broker, before, &after).await?;
    Ok(SubjectChange {
        subject: to_out(after),
        created: false,
        moved: followed.moved,
        not_moved: followed.not_moved,
    })
}

async fn delete_in(session: &Session, id: &str) -> Result<SubjectRemoved, Abort> {
    rows::lock(session, id).await?.ok_or_else(|| unknown(id))?;
    let held = Held::of_subject(session, id).await?;
    let waiting: Vec<_> = held.waiting.iter().copied().collect();
    let withdrawn = schedule::withdraw(session, &waiting).await?;
    let published =
        held.schedules.iter().filter_map(|one| one.event_id).filter(|event| !held.waiting.contains(event));
    let in_delivery = published.map(EventId).collect();
    rows::delete(session, id).await?;
    Ok(SubjectRemoved { withdrawn: withdrawn.into_iter().map(EventId).collect(), in_delivery })
}

impl Wanted {
    fn write<'a>(&'a self, id: &'a str) -> SubjectWrite<'a> {
        SubjectWrite { id, zone: &self.zone, dates: &self.dates, attributes: &self.attributes }
    }
}

fn patched(before: &SubjectRow, patch: &SubjectPatch) -> Result<Wanted> {
    let stored: BTreeMap<String, String> = serde_json::from_value(before.dates.clone()).unwrap_or_default();
    let mut subject = SubjectIn {
        zone: patch.zone.clone().unwrap_or_else(|| before.zone.clone()),
        dates: stored,
        attributes: before.attributes.as_object().cloned().unwrap_or_default(),
    };
    for (name, date) in &patch.dates {
        match date {
            Some(date) => subject.dates.insert(name.clone(), date.clone()),
            None => subject.dates.remove(name),
        };
    }
    for (name, value) in &patch.attributes {
        match value {
            Value::Null => subject.attributes.remove(name),
            value => subject.attributes.insert(name.clone(), value.clone()),
        };
    }
    check(subject)
}

fn check(subject: SubjectIn) -> Result<Wanted> {
    let zone = zone::parse(&subject.zone).map_err(|error| error.field("zone"))?;
    if subject.dates.len() > DATES_MAX {
        let message = format!("the subject has {} dates", subject.dates.len());
        let error = Error::new(Code::InvalidParameter, message).field("dates");
        return Err(error.expected(format!("at most {DATES_MAX}")));
    }
    let mut dates = Map::new();
    for (name, text) in subject.dates {
        let field = format!("dates.{name}");
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(Error::new(Code::InvalidParameter, "a date has a name that is not allowed")
                .field("dates")
                .expected(format!("1 to {NAME_BYTES_MAX} bytes without control characters")));
        }
        let date = due::parse_date(&text).map_err(|error| error.field(field))?;
        dates.insert(name, date.to_string().into());
    }
    let attributes = Value::Object(subject.attributes);
    if attributes.to_string().len() > PAYLOAD_BYTES_MAX {
        return Err(Error::new(Code::PayloadTooLarge, "the attributes are too large")
            .field("attributes")
            .expected(format!("at most {PAYLOAD_BYTES_MAX} bytes")));
    }
    check_storable("attributes", &attributes)?;
    Ok(Wanted { zone: zone::name(&zone).to_owned(), dates: Value::Object(dates), attributes })
}

fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > KEY_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(Error::new(Code::InvalidParameter, "the id of the subject is not allowed")
            .field("id")
            .expected(format!("1 to {KEY_BYTES_MAX} bytes without control characters")));
    }
    Ok(())
}

fn unknown(id: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no subject `{id}`")).field("id")
}

fn to_out(row: SubjectRow) -> SubjectOut {
    let SubjectRow { id, zone, dates, attributes, created_at, updated_at } = row;
    SubjectOut { id, zone, dates, attributes, created_at, updated_at }
}
