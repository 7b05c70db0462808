//! `posthaste subscription`: which topics lead where.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_base::{Code, Error};
use posthaste_broker::SubscriptionIn;

use super::all_by_name;
use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::database::with_broker;
use crate::output::Output;

/// Look at subscriptions and change them: list, show, add, remove.
#[derive(Subcommand, Debug)]
pub(crate) enum Subscription {
    List(List),
    Show(Show),
    Add(Add),
    Remove(Remove),
}

/// List all subscriptions.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste subscription list")]
pub(crate) struct List {
    #[command(flatten)]
    output: Output,
}

/// Show one subscription, with its filter.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste subscription show paid-orders")]
pub(crate) struct Show {
    /// The subscription's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Send the events of a topic to an endpoint or a queue.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste subscription add orders-to-shop --topic order --endpoint shop\n  \
    posthaste subscription add large-orders --topic order --queue review \\\n    \
    --filter '{\"payload\": {\"amount\": [{\"numeric\": [\">\", 1000]}]}}'")]
#[command(group = clap::ArgGroup::new("destination").required(true))]
pub(crate) struct Add {
    /// The subscription's name.
    name: String,
    /// The topic, which is the event type.
    #[arg(long)]
    topic: String,
    /// The endpoint that events go to.
    #[arg(long, group = "destination")]
    endpoint: Option<String>,
    /// The queue that events go to.
    #[arg(long, group = "destination")]
    queue: Option<String>,
    /// A filter policy, as JSON: only events that it matches pass.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Remove a subscription. What it has brought into queues already stays there.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste subscription remove large-orders --yes")]
pub(crate) struct Remove {
    /// The subscription's name.
    name: String,
    #[command(flatten)]
    consent: Consent,
}

impl Subscription {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Subscription::List(list) => {
                let page = async |after: Option<String>, limit| {
                    broker.list_subscriptions(after.as_deref(), limit).await
                };
                let found = all_by_name(page, |subscription| &subscription.name).await?;
                let columns = [
                    ("NAME", "name"),
                    ("TOPIC", "topic"),
                    ("ENDPOINT", "endpoint"),
                    ("QUEUE", "queue"),
                    ("FILTER", "filter"),
                ];
                list.output.list("subscriptions", &found, &columns)
            }
            Subscription::Show(show) => {
                show.output.one("subscription", &broker.get_subscription(&show.name).await?)
            }
            Subscription::Add(add) => {
                let filter = add.filter.as_deref().map(parse_filter).transpose()?;
                let (name, topic) = (add.name, add.topic);
                let new = SubscriptionIn { name, topic, filter, queue: add.queue, endpoint: add.endpoint };
                add.output.one("subscription", &broker.create_subscription(new).await?)
            }
            Subscription::Remove(remove) => {
                broker.get_subscription(&remove.name).await?;
                if remove.consent.get(&format!("remove the subscription `{}`", remove.name))? {
                    broker.delete_subscription(&remove.name).await?;
                    talk(&format!("removed the subscription `{}`", remove.name));
                }
                Ok(())
            }
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn parse_filter(text: &str) -> Result<serde_json::Value, Error> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(Code::InvalidFilter, format!("the filter is not JSON: {error}"))
            .field("--filter")
            .expected("an object such as `{\"payload\": {\"amount\": [{\"numeric\": [\">\", 100]}]}}`")
    })
}
