//! Triage as it is printed: groups by cause, what to do about each, in which order and how fast, and what does
//! not fit together.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use posthaste_base::{Code, Error};
use posthaste_broker::{Broker, GroupRedrive, TriageOut, triage_file};
use posthaste_engine::triage::{Action, Group};
use serde_json::Value;

use crate::failure::FINDINGS;
use crate::output::{self, Format, Output, counted};

/// Longer ones name letter after letter; the JSON has them.
const COMMAND_BYTES_MAX: usize = 200;

/// Sort dead letters by cause, and say what to do about each group.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  \
    posthaste dlq triage\n  \
    posthaste dlq triage --queue critical --format json\n  \
    # a cloud queue's export; needs no database\n  \
    posthaste dlq triage --file sqs_dlq_messages.json",
    after_long_help = "Ends with 1 when there are dead letters, and with 0 when there are none."
)]
pub(crate) struct Triage {
    /// Of this queue only.
    #[arg(long, conflicts_with = "file")]
    queue: Option<String>,
    /// Read an export instead: JSON, or a line of JSON for each letter.
    #[arg(long)]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Triage {
    pub(super) async fn run(self, broker: &Broker) -> anyhow::Result<ExitCode> {
        self.print(&broker.triage_dead(self.queue.as_deref()).await?)
    }

    pub(super) fn of_file(&self, path: &Path) -> anyhow::Result<ExitCode> {
        self.print(&triage_file(&read(path)?)?)
    }

    fn print(&self, sorted: &TriageOut) -> anyhow::Result<ExitCode> {
        match self.output.format {
            Format::Json => self.output.one("triage", sorted)?,
            Format::Human => output::text(&text(sorted))?,
        }
        let has_letters = sorted.triage.letters > 0;
        Ok(if has_letters { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
    }
}

/// A whole JSON document, or JSON lines as `posthaste dlq export` prints them.
fn read(path: &Path) -> Result<Value, Error> {
    let wrong = |what: String| {
        Error::new(Code::InvalidFile, format!("`{}` {what}", path.display()))
            .field("--file")
            .expected("a JSON export of dead letters, or JSON lines")
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    match serde_json::from_str(&text) {
        Ok(document) => Ok(document),
        Err(error) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str);
            let lines = lines.collect::<Result<Vec<Value>, _>>();
            lines.map(Value::Array).map_err(|_| wrong(format!("is not JSON: {error}")))
        }
    }
}

/// The report for people.
pub(crate) fn text(sorted: &TriageOut) -> String {
    let triage = &sorted.triage;
    let mut text = String::new();
    if triage.letters == 0 {
        return "there are no dead letters\n".to_owned();
    }
    let partial = if sorted.is_partial { "the newest " } else { "" };
    let letters = counted(triage.letters as u64, "dead letter");
    let _ = writeln!(text, "{partial}{letters}, {}\n", counted(triage.groups.len() as u64, "cause"));
    for group in &triage.groups {
        let redrive =
            sorted.redrives.iter().find(|of| of.cause == group.cause && of.category == group.category);
        write_group(&mut text, group, redrive);
    }
    if !triage.repeat_risks.is_empty() {
        text.push_str("\nrepeat only to receivers that recognise repeats\n");
        for risk in &triage.repeat_risks {
            let _ = writeln!(text, "  {} ({}): {}", risk.event_type, risk.count, risk.reason);
        }
    }
    if !triage.duplicates.is_empty() {
        text.push_str("\nthe same key more than once\n");
        for duplicate in &triage.duplicates {
            let _ = writeln!(text, "  {}: {}", duplicate.key, duplicate.message_ids.join(", "));
        }
    }
    if !triage.inconsistencies.is_empty() {
        text.push_str("\ndoes not fit together\n");
        for found in &triage.inconsistencies {
            let _ = writeln!(text, "  {}: {}", found.kind, found.message);
        }
    }
    text
}

fn write_group(text: &mut String, group: &Group, redrive: Option<&GroupRedrive>) {
    let action = word(group.action);
    let _ = writeln!(
        text,
        "{action:<9}  {:>5}  {}  [{}]  confidence {}",
        group.count,
        group.cause,
        group.category,
        format!("{:?}", group.confidence).to_lowercase()
    );
    let _ = writeln!(text, "           {}", group.reason);
    if let Some(pace) = &group.redrive {
        let _ = writeln!(
            text,
            "           order {}: first {} to see, then {} at a time, {} a second, jitter {} s; about {} s; {}",
            pace.position,
            pace.canary,
            pace.batch,
            pace.per_second,
            pace.jitter_seconds,
            pace.seconds_about,
            pace.reason
        );
    }
    if let Some(command) = redrive.and_then(command) {
        let _ = writeln!(text, "           {command}");
    }
    let types: Vec<_> = group.event_types.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    if !types.is_empty() {
        let _ = writeln!(text, "           types: {}", types.join(", "));
    }
    let shown: Vec<_> = group.message_ids.iter().take(10).map(String::as_str).collect();
    let more = if group.message_ids.len() > shown.len() { ", ..." } else { "" };
    let _ = writeln!(text, "           letters: {}{more}", shown.join(", "));
}

/// The command that redrives a group; none if it would be too long to be one.
fn command(redrive: &GroupRedrive) -> Option<String> {
    let filter = &redrive.filter;
    let ids = filter.ids.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let flags = [
        ("queue", filter.queue.clone()),
        ("error-type", filter.error_type.clone()),
        ("id", (!ids.is_empty()).then_some(ids)),
        ("max-messages", Some(redrive.max_messages.to_string())),
        ("jitter-seconds", Some(redrive.per_message_delay_jitter.to_string())),
        ("rate-per-second", Some(redrive.rate_per_second.to_string())),
    ];
    let mut command = "posthaste dlq redrive".to_owned();
    for (flag, value) in flags {
        if let Some(value) = value {
            let _ = write!(command, " --{flag} {value}");
        }
    }
    (command.len() <= COMMAND_BYTES_MAX).then_some(command)
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Redrive => "redrive",
        Action::FixFirst => "fix first",
        Action::Transform => "transform",
        Action::Discard => "discard",
    }
}
