//! `posthaste subject`: whom events are about, with their zones and dates.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_base::{Code, Error};
use posthaste_broker::{SubjectChange, SubjectIn, SubjectPatch};

use super::all_by_name;
use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::database::with_broker;
use crate::output::Output;

/// Whom events are about: list, show, put, remove.
#[derive(Subcommand, Debug)]
pub(crate) enum Subject {
    List(List),
    Show(Show),
    Put(Put),
    Remove(Remove),
}

/// Make a subject, or change its zone or dates; what is pending moves, and is listed.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste subject put user-7 --zone Europe/Berlin --date birthday=1990-03-15\n  \
    posthaste subject put user-7 --zone America/New_York       # its dates stay")]
pub(crate) struct Put {
    /// The subject's id.
    id: String,
    /// Its time zone: an IANA name.
    #[arg(long)]
    zone: Option<String>,
    /// A date of its own; may be repeated. Without a value, it is removed.
    #[arg(long = "date", value_name = "NAME=DATE")]
    dates: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Show one subject.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste subject show user-7")]
pub(crate) struct Show {
    /// The subject's id.
    id: String,
    #[command(flatten)]
    output: Output,
}

/// List subjects, by id.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste subject list")]
pub(crate) struct List {
    #[command(flatten)]
    output: Output,
}

/// Remove a subject with its schedules, and take back what waits.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste subject remove user-7 --yes")]
pub(crate) struct Remove {
    /// The subject's id.
    id: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Subject {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Subject::Put(put) => {
                let change = put.change(broker).await?;
                for moved in &change.moved {
                    let to = moved.to.map_or("withdrawn".into(), |to| format!("moved to {to:.0}"));
                    talk(&format!("event {} of schedule {}: {to}", moved.event, moved.schedule));
                }
                for kept in &change.not_moved {
                    talk(&format!("event {} of schedule {} could not be moved", kept.event, kept.schedule));
                }
                put.output.one("subject", &change)
            }
            Subject::Show(get) => get.output.one("subject", &broker.get_subject(&get.id).await?),
            Subject::List(list) => {
                let page =
                    async |after: Option<String>, limit| broker.list_subjects(after.as_deref(), limit).await;
                let subjects = all_by_name(page, |subject| &subject.id).await?;
                let columns = [("ID", "id"), ("ZONE", "zone"), ("DATES", "dates"), ("UPDATED", "updatedAt")];
                list.output.list("subjects", &subjects, &columns)
            }
            Subject::Remove(delete) => {
                broker.get_subject(&delete.id).await?;
                if delete.consent.get(&format!("remove the subject `{}` and its schedules", delete.id))? {
                    delete.output.one("removed", &broker.delete_subject(&delete.id).await?)?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Put {
    async fn change(&self, broker: &posthaste_broker::Broker) -> anyhow::Result<SubjectChange> {
        let mut dates = BTreeMap::new();
        for date in &self.dates {
            let (name, value) = date.split_once('=').ok_or_else(|| {
                Error::new(Code::InvalidParameter, format!("`{date}` is not a date with a name"))
                    .field("--date")
                    .expected("NAME=DATE, such as `birthday=1990-03-15`")
            })?;
            dates.insert(name.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty()));
        }
        let is_known = match broker.get_subject(&self.id).await {
            Ok(_) => true,
            Err(error) if error.code() == Code::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        if is_known {
            let patch = SubjectPatch { zone: self.zone.clone(), dates, ..SubjectPatch::default() };
            return Ok(broker.patch_subject(&self.id, patch).await?);
        }
        let zone = self.zone.clone().ok_or_else(|| {
            Error::new(Code::InvalidParameter, "a new subject needs a time zone")
                .field("--zone")
                .expected("an IANA name such as `Europe/Berlin`")
        })?;
        let dates = dates.into_iter().filter_map(|(name, date)| Some((name, date?))).collect();
        Ok(broker.put_subject(&self.id, SubjectIn { zone, dates, ..SubjectIn::default() }).await?)
    }
}
