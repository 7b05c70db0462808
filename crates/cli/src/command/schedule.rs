//! `posthaste schedule`: what makes the next event of a series, in a subject's local time.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_base::limits::PAGE_MAX;
use posthaste_base::{Code, Error};
use posthaste_broker::{ScheduleIn, ScheduleOut};
use serde_json::{Value, json};

use super::event::read_payload;
use crate::ask::Consent;
use crate::config::Place;
use crate::database::with_broker;
use crate::output::Output;

/// Series of events: list, show, create, pause, resume, cancel.
#[derive(Subcommand, Debug)]
pub(crate) enum Schedule {
    List(List),
    Show(Show),
    Create(Box<Create>),
    Pause(Pause),
    Resume(Resume),
    Cancel(Cancel),
}

/// List schedules, by id.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  posthaste schedule list\n  posthaste schedule list --subject user-7"
)]
pub(crate) struct List {
    /// Only those of this subject.
    #[arg(long)]
    subject: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Show one schedule, with its next occurrence.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste schedule show standup")]
pub(crate) struct Show {
    /// The schedule's name or id.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Make a schedule and its first occurrence.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste schedule create --type BIRTHDAY --subject user-7 --follows birthday\n  \
    posthaste schedule create --name standup --type REMINDER \\\n    \
    --zone Europe/Berlin --cron '0 9 * * 1-5'\n  \
    posthaste schedule create --type REMINDER --subject user-7 \\\n    \
    --rrule 'FREQ=MONTHLY;BYMONTHDAY=-1' --from 2027-01-31T18:00\n  \
    posthaste schedule create --type REMINDER --zone UTC --once 2027-01-01T00:00")]
#[command(group = clap::ArgGroup::new("occurs").required(true))]
pub(crate) struct Create {
    /// Its name, by which it is found again.
    #[arg(long)]
    name: Option<String>,
    /// The type of its events.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: String,
    /// Whom they are about.
    #[arg(long)]
    subject: Option<String>,
    /// Every year on this date of the subject: birthday.
    #[arg(long, group = "occurs", requires = "subject", value_name = "DATE NAME")]
    follows: Option<String>,
    /// Every year on this day: 03-15.
    #[arg(long, group = "occurs", value_name = "MM-DD")]
    yearly: Option<String>,
    /// As a cron expression of five fields says.
    #[arg(long, group = "occurs")]
    cron: Option<String>,
    /// As an RRULE says, counted from --from.
    #[arg(long, group = "occurs", requires = "from")]
    rrule: Option<String>,
    /// The local time that an RRULE counts from.
    #[arg(long, requires = "rrule", value_name = "TIME")]
    from: Option<String>,
    /// Once, at this time.
    #[arg(long, group = "occurs", value_name = "TIME")]
    once: Option<String>,
    /// The time zone; without it, the subject's.
    #[arg(long)]
    zone: Option<String>,
    /// The local time of day, for rules of days alone; 09:00 when it is not given.
    #[arg(long, value_name = "HH:MM")]
    at: Option<String>,
    /// CRITICAL, HIGH, NORMAL or LOW; without it, the type's own.
    #[arg(long)]
    priority: Option<String>,
    /// The payload of its events as JSON, or @FILE.
    #[arg(long)]
    payload: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Take back what waits, and make nothing more until it is resumed.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste schedule pause standup")]
pub(crate) struct Pause {
    /// The schedule's name or id.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Go on with the next occurrence from now.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste schedule resume standup")]
pub(crate) struct Resume {
    /// The schedule's name or id.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Take back what waits, and end the schedule.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste schedule cancel standup --yes")]
pub(crate) struct Cancel {
    /// The schedule's name or id.
    name: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Schedule {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Schedule::List(list) => list.run(broker).await,
            Schedule::Show(show) => show.output.one("schedule", &broker.get_schedule(&show.name).await?),
            Schedule::Create(create) => {
                let output = create.output;
                output.one("schedule", &broker.create_schedule(create.into_schedule()?).await?)
            }
            Schedule::Pause(pause) => pause.output.one("change", &broker.pause_schedule(&pause.name).await?),
            Schedule::Resume(resume) => {
                resume.output.one("change", &broker.resume_schedule(&resume.name).await?)
            }
            Schedule::Cancel(cancel) => {
                broker.get_schedule(&cancel.name).await?;
                if cancel.consent.get(&format!("end the schedule `{}` for good", cancel.name))? {
                    cancel.output.one("change", &broker.cancel_schedule(&cancel.name).await?)?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, broker: &posthaste_broker::Broker) -> anyhow::Result<()> {
        let mut schedules: Vec<ScheduleOut> = Vec::new();
        loop {
            let after = schedules.last().map(|last| last.id);
            let found = broker.list_schedules(self.subject.as_deref(), after, PAGE_MAX).await?;
            let is_last = found.len() < PAGE_MAX;
            schedules.extend(found);
            if is_last {
                break;
            }
        }
        let columns = [
            ("ID", "id"),
            ("NAME", "name"),
            ("TYPE", "type"),
            ("SUBJECT", "subject"),
            ("STATUS", "status"),
            ("NEXT", "nextLocal"),
            ("ZONE", "zone"),
            ("OCCURRENCES", "occurrences"),
        ];
        self.output.list("schedules", &schedules, &columns)
    }
}

impl Create {
    fn into_schedule(self) -> Result<ScheduleIn, Error> {
        let rule = self.rule();
        let payload = match &self.payload {
            None => None,
            Some(text) => Some(serde_json::from_slice(&read_payload(text)?).map_err(|error| {
                Error::new(Code::InvalidEvent, format!("the payload is not JSON: {error}")).field("--payload")
            })?),
        };
        Ok(ScheduleIn {
            name: self.name,
            event_type: self.event_type,
            subject: self.subject,
            rule,
            follows: self.follows,
            zone: self.zone,
            at: self.at,
            priority: self.priority.map(|text| text.parse()).transpose()?,
            attributes: serde_json::Map::new(),
            payload,
        })
    }

    /// The rule as HTTP takes it; none where it follows a date.
    fn rule(&self) -> Option<Value> {
        if let Some(rrule) = &self.rrule {
            return Some(json!({"rrule": rrule, "from": self.from}));
        }
        let rules = [("yearly", &self.yearly), ("cron", &self.cron), ("once", &self.once)];
        rules.into_iter().find_map(|(name, rule)| Some(json!({name: rule.as_ref()?})))
    }
}
