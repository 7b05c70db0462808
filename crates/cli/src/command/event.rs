//! `posthaste event`: hands in an event, follows it, withdraws it.

use std::io::Read as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_base::limits::PAYLOAD_BYTES_MAX;
use posthaste_base::{Code, Error, EventId};
use posthaste_broker::{Broker, EventIn, Payload};
use posthaste_engine::due::parse_due;

use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::database::with_broker;
use crate::output::Output;

/// Hand in events, follow them, withdraw them: publish, show, cancel.
#[derive(Subcommand, Debug)]
pub(crate) enum Event {
    Publish(Publish),
    Show(Show),
    Cancel(Cancel),
}

/// Accept one event. When this returns, it is durable.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste event publish '{\"orderId\": \"test-123\", \"amount\": 42.50}'\n  \
    posthaste event publish --type reminder \\\n    \
    --due '2027-03-01T09:00 Europe/Berlin' @reminder.json\n  \
    echo '{\"n\": 1}' | posthaste event publish --type ping --key ping-1 -")]
pub(crate) struct Publish {
    /// The payload as JSON, @FILE, or - for standard input.
    payload: String,
    /// The event's type; without it, the configured default.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The idempotency key; without it, the hash of the content.
    #[arg(long)]
    key: Option<String>,
    /// Whom the event is about.
    #[arg(long)]
    subject: Option<String>,
    /// CRITICAL, HIGH, NORMAL or LOW; without it, the type's own.
    #[arg(long)]
    priority: Option<String>,
    /// When: an instant, or a local time with a zone; without it, now.
    #[arg(long, value_name = "TIME")]
    due: Option<String>,
    /// An attribute that filters and receivers see; may be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Show an event: how far it has come, its messages and attempts.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste event show 0192f0c1-7a3e-7c2b-9d56-0a1b2c3d4e5f\n  \
    posthaste event show --key order-7")]
pub(crate) struct Show {
    /// The event's id.
    #[arg(required_unless_present = "key")]
    id: Option<String>,
    /// Its idempotency key, instead of its id.
    #[arg(long, conflicts_with = "id")]
    key: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Withdraw an event that is not due yet.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  posthaste event cancel 0192f0c1-7a3e-7c2b-9d56-0a1b2c3d4e5f --yes"
)]
pub(crate) struct Cancel {
    /// The event's id.
    id: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Event {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Event::Publish(publish) => publish.run(broker).await,
            Event::Show(show) => {
                let event = match &show.key {
                    Some(key) => broker.event_of_key(key).await?,
                    None => broker.show_event(show.id.unwrap_or_default().parse()?).await?,
                };
                show.output.one("event", &event)
            }
            Event::Cancel(cancel) => {
                let id: EventId = cancel.id.parse()?;
                if cancel.consent.get(&format!("withdraw the event {id}"))? {
                    let cancelled = broker.cancel_event(id).await?;
                    talk(&format!("withdrawn: {id}"));
                    cancel.output.one("event", &cancelled)?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Publish {
    async fn run(self, broker: &Broker) -> anyhow::Result<()> {
        let payload = Payload::json(read_payload(&self.payload)?.into())?;
        let mut event = EventIn::of(payload);
        event.event_type = self.event_type;
        event.key = self.key;
        event.subject = self.subject;
        event.priority = self
            .priority
            .map(|text| text.parse())
            .transpose()
            .map_err(|error: Error| error.field("--priority"))?;
        event.due = self.due.as_deref().map(parse_due).transpose().map_err(|error| error.field("--due"))?;
        for attribute in self.attributes {
            let (name, value) = attribute.split_once('=').ok_or_else(|| {
                Error::new(Code::InvalidParameter, format!("`{attribute}` is not an attribute"))
                    .field("--attribute")
                    .expected("NAME=VALUE")
            })?;
            event.attributes.insert(name.to_owned(), value.into());
        }
        let published = broker.publish(event).await?;
        if published.duplicate {
            talk("the same event was accepted before; nothing happens twice");
        }
        self.output.one("event", &published)
    }
}

/// A text as it is given, from `@FILE`, or from standard input for `-`. More than a payload may have is not read.
pub(super) fn read_payload(text: &str) -> Result<Vec<u8>, Error> {
    let most = PAYLOAD_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let (name, read) = match text.strip_prefix('@') {
        Some(path) => {
            (path, std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)))
        }
        None if text == "-" => ("standard input", std::io::stdin().lock().take(most).read_to_end(&mut bytes)),
        None => return Ok(text.as_bytes().to_vec()),
    };
    read.map_err(|error| {
        Error::new(Code::InvalidFile, format!("failed to read `{name}`: {error}")).expected("a JSON payload")
    })?;
    Ok(bytes)
}
