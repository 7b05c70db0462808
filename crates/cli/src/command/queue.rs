//! `posthaste queue`: what is in queues, and pulling messages by hand.
//!
//! Not for: dead letters (`dlq`).

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use posthaste_broker::{Broker, Depth, Message, PayloadOut, Peeked, QueueOut, SendIn};
use serde::Serialize;

use super::{all_by_name, event::read_payload};
use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::database::with_broker;
use crate::output::{Output, counted};

/// Look into queues and act on them: list, show, peek, receive, send, purge, pause, resume.
#[derive(Subcommand, Debug)]
pub(crate) enum Queue {
    List(List),
    Show(Show),
    Peek(Peek),
    Receive(Receive),
    Send(Send),
    Purge(Purge),
    Pause(Pause),
    Resume(Resume),
}

/// List all queues: how much waits, is under way and is delayed, and how old the oldest is.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste queue list\n  posthaste queue list --format json")]
pub(crate) struct List {
    #[command(flatten)]
    output: Output,
}

/// Show one queue, with its settings.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste queue show critical")]
pub(crate) struct Show {
    /// The queue's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Look at the next messages without receiving them.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste queue peek review --max 3")]
pub(crate) struct Peek {
    /// The queue's name.
    name: String,
    /// How many messages at most.
    #[arg(long, default_value_t = 10)]
    max: usize,
    #[command(flatten)]
    output: Output,
}

/// Receive messages under a lease; they come back unless they are settled.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste queue receive review --max 10 --settle\n  \
    posthaste queue receive review --wait-seconds 20 --visibility-seconds 300")]
pub(crate) struct Receive {
    /// The queue's name.
    name: String,
    /// How many messages at most.
    #[arg(long, default_value_t = 1)]
    max: usize,
    /// How long to wait for the first one.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=20))]
    wait_seconds: u64,
    /// How long the lease lasts; without it, as long as the queue says.
    #[arg(long)]
    visibility_seconds: Option<u32>,
    /// Settle what was received, after it was printed.
    #[arg(long)]
    settle: bool,
    #[command(flatten)]
    output: Output,
}

/// Send one message to a queue.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste queue send review '{\"id\": 7}' --delay-seconds 60")]
pub(crate) struct Send {
    /// The queue's name.
    name: String,
    /// The payload as it is, @FILE, or - for standard input.
    payload: String,
    /// How long until it can be received.
    #[arg(long, allow_negative_numbers = true)]
    delay_seconds: Option<u32>,
    #[command(flatten)]
    output: Output,
}

/// Remove what can be received from a queue, for good. What is in flight or delayed stays, and so do dead letters.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  posthaste queue purge review --dry-run\n  posthaste queue purge review --yes"
)]
pub(crate) struct Purge {
    /// The queue's name.
    name: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// Let nobody receive from a queue until it is resumed. It still takes messages.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste queue pause low")]
pub(crate) struct Pause {
    /// The queue's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Let a queue that was paused be received from again.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste queue resume low")]
pub(crate) struct Resume {
    /// The queue's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct QueueShown {
    #[serde(flatten)]
    queue: QueueOut,
    depth: Depth,
}

/// A message as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageShown {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    receives: u32,
    sent_at: Timestamp,
    event_id: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    #[serde(flatten)]
    payload: PayloadOut,
}

impl Queue {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Queue::List(list) => list.run(broker).await,
            Queue::Show(show) => {
                let queue = broker.get_queue(&show.name).await?;
                let depth = broker.depth(&show.name).await?;
                show.output.one("queue", &QueueShown { queue, depth })
            }
            Queue::Peek(peek) => {
                let found = broker.peek(&peek.name, peek.max).await?;
                let found: Vec<_> = found.into_iter().map(MessageShown::peeked).collect();
                peek.output.list("messages", &found, MESSAGE_COLUMNS)
            }
            Queue::Receive(receive) => receive.run(broker).await,
            Queue::Send(send) => {
                let payload = read_payload(&send.payload)?.into();
                let message = SendIn { payload, attributes: None, delay_seconds: send.delay_seconds };
                let ids = broker.send(&send.name, vec![message]).await?;
                send.output.one("message", &serde_json::json!({"queue": send.name, "id": ids.first()}))
            }
            Queue::Purge(purge) => {
                let depth = broker.depth(&purge.name).await?;
                let least = if depth.is_exact { "" } else { "at least " };
                let count = counted(depth.visible, "message");
                let what = format!("remove {least}{count} of the queue `{}` for good", purge.name);
                if purge.consent.get(&what)? {
                    let purged = broker.purge(&purge.name).await?;
                    talk(&format!("purged `{}`", purge.name));
                    purge
                        .output
                        .one("purged", &serde_json::json!({"queue": purge.name, "messages": purged}))?;
                }
                Ok(())
            }
            Queue::Pause(pause) => pause.output.one("queue", &broker.pause_queue(&pause.name).await?),
            Queue::Resume(resume) => resume.output.one("queue", &broker.resume_queue(&resume.name).await?),
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, broker: &Broker) -> anyhow::Result<()> {
        let page = async |after: Option<String>, limit| broker.list_queues(after.as_deref(), limit).await;
        let mut shown = Vec::new();
        for queue in all_by_name(page, |queue| &queue.name).await? {
            let depth = broker.depth(&queue.name).await?;
            shown.push(QueueShown { queue, depth });
        }
        let columns = [
            ("NAME", "name"),
            ("VISIBLE", "depth.visible"),
            ("IN FLIGHT", "depth.inFlight"),
            ("DELAYED", "depth.delayed"),
            ("OLDEST (S)", "depth.oldestAgeSeconds"),
            ("EXACT", "depth.isExact"),
            ("PAUSED", "paused"),
        ];
        self.output.list("queues", &shown, &columns)
    }
}

impl Receive {
    async fn run(self, broker: &Broker) -> anyhow::Result<()> {
        let wait = Duration::from_secs(self.wait_seconds);
        let messages = broker.receive(&self.name, self.max, self.visibility_seconds, wait).await?;
        let receipts: Vec<_> = messages.iter().map(|message| message.receipt).collect();
        let shown: Vec<_> = messages.into_iter().map(MessageShown::received).collect();
        self.output.list("messages", &shown, MESSAGE_COLUMNS)?;
        if self.settle {
            for settled in broker.settle(receipts).await? {
                settled?;
            }
        } else if !shown.is_empty() {
            talk("these come back when their lease runs out; `--settle` settles them");
        }
        Ok(())
    }
}

const MESSAGE_COLUMNS: &[crate::output::Column] = &[
    ("ID", "id"),
    ("RECEIVES", "receives"),
    ("SENT", "sentAt"),
    ("TYPE", "type"),
    ("EVENT", "eventId"),
    ("PAYLOAD", "payload"),
];

impl MessageShown {
    fn received(message: Message) -> Self {
        let event = message.event;
        Self {
            id: message.id.to_string(),
            receipt: Some(message.receipt.to_string()),
            receives: message.receives,
            sent_at: message.sent_at,
            event_id: event.as_ref().map(|event| event.id.to_string()),
            event_type: event.map(|event| event.event_type),
            payload: PayloadOut::of(&message.payload),
        }
    }

    fn peeked(message: Peeked) -> Self {
        Self {
            id: message.id.to_string(),
            receipt: None,
            receives: message.receives,
            sent_at: message.sent_at,
            event_id: message.event_id.map(|id| id.to_string()),
            event_type: message.event_type,
            payload: PayloadOut::of(&message.payload),
        }
    }
}
