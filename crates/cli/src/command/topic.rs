//! `posthaste topic`: event types as the nodes know them, declared or made by need.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::all_by_name;
use crate::config::Place;
use crate::database::with_broker;
use crate::output::Output;

/// Look at topics, of which each event type is one: list, show.
#[derive(Subcommand, Debug)]
pub(crate) enum Topic {
    List(List),
    Show(Show),
}

/// List all topics.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste topic list")]
pub(crate) struct List {
    #[command(flatten)]
    output: Output,
}

/// Show one topic, with its schema.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste topic show order --format json")]
pub(crate) struct Show {
    /// The topic's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

impl Topic {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Topic::List(list) => {
                let page =
                    async |after: Option<String>, limit| broker.list_topics(after.as_deref(), limit).await;
                let topics = all_by_name(page, |topic| &topic.name).await?;
                let columns = [("NAME", "name"), ("PRIORITY", "priority"), ("DECLARED", "declared")];
                list.output.list("topics", &topics, &columns)
            }
            Topic::Show(show) => show.output.one("topic", &broker.get_topic(&show.name).await?),
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}
