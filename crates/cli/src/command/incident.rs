//! `posthaste incident`: what was seen and done, with times, and the report that it becomes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_care::incident::{Entry, Incident as Folder, Kind};

use crate::ask::talk;
use crate::command::operator;
use crate::output::{self, Output};

/// Keep what was seen and done in an incident, and make its report: start, note, attach, status, report, close.
#[derive(Subcommand, Debug)]
pub(crate) enum Incident {
    Start(Start),
    Note(Note),
    Attach(Attach),
    Status(Status),
    Report(Report),
    Close(Close),
}

/// Where incidents are kept.
#[derive(Args, Clone, Debug)]
struct Place {
    /// The folder of all incidents.
    #[arg(long, value_name = "FOLDER", default_value = "incidents")]
    folder: PathBuf,
}

/// Open an incident; what follows is noted in it.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste incident start 'Shop is slow' --symptom 'product search takes 9 s' \\\n    \
    --symptom 'orders are missing'")]
pub(crate) struct Start {
    /// What it is, in a few words.
    title: String,
    /// What users or monitors see; may be repeated.
    #[arg(long)]
    symptom: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// Write something down with the time.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste incident note 'index on products.name built' --kind action\n  \
    posthaste incident note 'integrity runs every night' --kind prevention")]
pub(crate) struct Note {
    /// What is to be remembered.
    text: String,
    /// What kind of note it is.
    #[arg(long, value_enum, default_value_t)]
    kind: NoteKind,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum NoteKind {
    #[default]
    Note,
    /// What users or monitors see.
    Symptom,
    /// What somebody did.
    Action,
    /// What keeps it from coming back.
    Prevention,
}

/// Keep a copy of a file: a report as JSON, a plan, or anything else. The first and the last report of a tool are compared.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste integrity --database URL --format json > found.json\n  \
    posthaste incident attach found.json\n  \
    posthaste incident attach mend.toml")]
pub(crate) struct Attach {
    /// The file.
    file: PathBuf,
    /// What there is to say of it.
    #[arg(long, default_value = "")]
    text: String,
    #[command(flatten)]
    place: Place,
}

/// Print what was written down so far.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste incident status")]
pub(crate) struct Status {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// Make the report: timeline, symptoms, findings before and after, what was done, what is left, prevention.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste incident report --format html --out report.html\n  \
    posthaste incident report 2026-03-01-090000-shop-is-slow")]
pub(crate) struct Report {
    /// The name of its folder; the open one without it.
    name: Option<String>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    #[default]
    Markdown,
    /// A page that stands alone, with bars for before and after.
    Html,
    /// One JSON document.
    Json,
}

/// End the incident that is open.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste incident close 'every page is under 100 ms again'")]
pub(crate) struct Close {
    /// How it ended.
    #[arg(default_value = "closed")]
    text: String,
    #[command(flatten)]
    place: Place,
}

impl Incident {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Incident::Start(start) => {
                let incident =
                    Folder::start(&start.place.folder, &start.title, &operator(), Timestamp::now())?;
                for symptom in start.symptom {
                    incident.add(entry(Kind::Symptom, symptom))?;
                }
                output::line(incident.folder().display())?;
            }
            Incident::Note(note) => {
                let kind = match note.kind {
                    NoteKind::Note => Kind::Note,
                    NoteKind::Symptom => Kind::Symptom,
                    NoteKind::Action => Kind::Action,
                    NoteKind::Prevention => Kind::Prevention,
                };
                Folder::current(&note.place.folder)?.add(entry(kind, note.text))?;
            }
            Incident::Attach(attach) => {
                let incident = Folder::current(&attach.place.folder)?;
                let kept = incident.attach(&attach.file, &attach.text, &operator(), Timestamp::now())?;
                talk(&kept.text);
            }
            Incident::Status(status) => {
                let entries = Folder::current(&status.place.folder)?.entries()?;
                let columns =
                    [("AT", "at"), ("KIND", "kind"), ("BY", "by"), ("TEXT", "text"), ("FILE", "attachment")];
                status.output.list("entries", &entries, &columns)?;
            }
            Incident::Report(report) => report.run()?,
            Incident::Close(close) => {
                let incident = Folder::current(&close.place.folder)?;
                incident.close(&close.place.folder, &close.text, &operator(), Timestamp::now())?;
                talk(&format!("closed: {}", incident.folder().display()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn entry(kind: Kind, text: String) -> Entry {
    Entry { at: Timestamp::now(), by: operator(), kind, text, attachment: None }
}

impl Report {
    fn run(self) -> anyhow::Result<()> {
        let incident = match &self.name {
            Some(name) => Folder::named(&self.place.folder, name)?,
            None => Folder::current(&self.place.folder)?,
        };
        let story = incident.story()?;
        let text = match self.format {
            Form::Markdown => story.to_markdown(),
            Form::Html => story.to_html(),
            Form::Json => format!("{}\n", serde_json::to_string_pretty(&story)?),
        };
        match &self.out {
            None => output::text(&text),
            Some(path) => Ok(std::fs::write(path, &text).map_err(|error| {
                Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
            })?),
        }
    }
}
