//! An incident as a folder: what was seen, said and done, with times, and the report that it becomes.
//!
//! Entries are only added, one JSON object a line, so that nothing is rewritten afterwards; reports and plans are kept as
//! they were. Not for: finding or mending anything.

mod page;
mod story;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_report::{Plan, Report, Severity};
use serde::{Deserialize, Serialize};

use crate::doctor::Snapshot;

pub use story::{Change, Story};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Started,
    /// What users or monitors saw.
    Symptom,
    Note,
    /// What somebody did.
    Action,
    /// What keeps it from coming back.
    Prevention,
    /// A report of `doctor`, `integrity` or `review` was attached.
    Report,
    Plan,
    /// How a plan was carried out.
    Run,
    /// Counters of a visit, which a later look subtracts.
    Snapshot,
    File,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub by: String,
    pub kind: Kind,
    pub text: String,
    /// The name of the file in the incident's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<String>,
}

/// One incident's folder.
#[derive(Clone, Debug)]
pub struct Incident {
    folder: PathBuf,
}

const LOG: &str = "log.jsonl";
/// Names the incident that is open, in the folder of all.
const CURRENT: &str = "current";

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
}

impl Incident {
    /// Opens a new incident in the folder of all, and makes it the current one.
    pub fn start(all: &Path, title: &str, by: &str, at: Timestamp) -> Result<Self, Error> {
        if let Ok(open) = Self::current(all) {
            let message = format!("the incident in `{}` is still open", open.folder.display());
            return Err(Error::new(Code::Conflict, message).hint("end it with `posthaste incident close`"));
        }
        if title.trim().is_empty() {
            return Err(Error::new(Code::InvalidParameter, "an incident needs a title").field("TITLE"));
        }
        let name = format!("{}-{}", at.strftime("%Y-%m-%d-%H%M%S"), slug(title));
        let folder = all.join(&name);
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        let incident = Self { folder };
        incident.add(Entry {
            at,
            by: by.into(),
            kind: Kind::Started,
            text: title.trim().into(),
            attachment: None,
        })?;
        let current = all.join(CURRENT);
        fs::write(&current, format!("{name}\n")).map_err(|error| failed(&current, &error))?;
        Ok(incident)
    }

    /// The one that is open.
    pub fn current(all: &Path) -> Result<Self, Error> {
        let none = || {
            Error::new(Code::NotFound, format!("no incident is open in `{}`", all.display()))
                .hint("open one with `posthaste incident start TITLE`; a closed one is named: `posthaste incident report NAME`")
        };
        let name = fs::read_to_string(all.join(CURRENT)).map_err(|_| none())?;
        Self::named(all, name.trim()).map_err(|_| none())
    }

    /// One by the name of its folder, open or closed.
    pub fn named(all: &Path, name: &str) -> Result<Self, Error> {
        let is_plain = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
        let folder = all.join(name);
        if !is_plain || !folder.join(LOG).is_file() {
            return Err(Error::new(
                Code::NotFound,
                format!("there is no incident `{name}` in `{}`", all.display()),
            ));
        }
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes an entry down before it answers.
    pub fn add(&self, entry: Entry) -> Result<(), Error> {
        let path = self.folder.join(LOG);
        let line =
            serde_json::to_string(&entry).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        // A line that a crash has cut must not take this one with it.
        let is_cut = fs::read(&path).is_ok_and(|content| !content.is_empty() && !content.ends_with(b"\n"));
        let start = if is_cut { "\n" } else { "" };
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            // One write, so that two who note at once do not mix their lines.
            file.write_all(format!("{start}{line}\n").as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| failed(&path, &error))
    }

    /// Keeps a copy of a file, and says what it is.
    pub fn attach(&self, path: &Path, text: &str, by: &str, at: Timestamp) -> Result<Entry, Error> {
        let content = fs::read(path).map_err(|error| failed(path, &error))?;
        let (kind, what) = describe(&content);
        let name = path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
        let kept = self.free_name(&name);
        let place = self.folder.join(&kept);
        let write = || {
            let mut file = File::create_new(&place)?;
            file.write_all(&content)?;
            file.sync_all()
        };
        write().map_err(|error| failed(&place, &error))?;
        let text = [text.trim(), what.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": ");
        let text = if text.is_empty() { name } else { text };
        let entry = Entry { at, by: by.into(), kind, text, attachment: Some(kept) };
        self.add(entry.clone())?;
        Ok(entry)
    }

    fn free_name(&self, name: &str) -> String {
        let is_free = |name: &String| !self.folder.join(name).exists() && name != LOG;
        let names =
            (1_u32..).map(|number| if number == 1 { name.to_owned() } else { format!("{number}-{name}") });
        names.into_iter().find(is_free).unwrap_or_else(|| name.to_owned())
    }

    /// Ends it: another one may be opened.
    pub fn close(&self, all: &Path, text: &str, by: &str, at: Timestamp) -> Result<(), Error> {
        self.add(Entry { at, by: by.into(), kind: Kind::Closed, text: text.into(), attachment: None })?;
        let current = all.join(CURRENT);
        match fs::remove_file(&current) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&current, &error)),
            _ => Ok(()),
        }
    }

    /// All entries, by their time. A line that was cut by a crash is left out.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let path = self.folder.join(LOG);
        let text = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
        let mut entries: Vec<Entry> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        entries.sort_by_key(|entry| entry.at);
        Ok(entries)
    }

    /// What happened, from the entries and what is attached to them.
    pub fn story(&self) -> Result<Story, Error> {
        let entries = self.entries()?;
        let mut reports = Vec::new();
        let mut plans = Vec::new();
        for entry in &entries {
            let Some(name) = &entry.attachment else { continue };
            let path = self.folder.join(name);
            let text = || fs::read_to_string(&path).map_err(|error| failed(&path, &error));
            match entry.kind {
                Kind::Report => {
                    let report: Report = serde_json::from_str(&text()?).map_err(|error| {
                        Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
                    })?;
                    reports.push((entry.at, report));
                }
                Kind::Plan => plans.push(Plan::from_toml(&text()?)?),
                _ => {}
            }
        }
        Ok(Story::of(entries, reports, plans))
    }
}

/// What a file is, and in a few words what it says.
fn describe(content: &[u8]) -> (Kind, String) {
    let text = String::from_utf8_lossy(content);
    if let Ok(report) = serde_json::from_str::<Report>(&text) {
        let of = |severity: Severity| {
            report.findings.iter().filter(|finding| finding.severity == severity).count()
        };
        let counts = Severity::ALL.into_iter().filter(|severity| of(*severity) > 0);
        let counts: Vec<String> = counts.map(|severity| format!("{} {severity}", of(severity))).collect();
        let found = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
        return (Kind::Report, format!("{} of {}: {found}", report.tool, report.target.name));
    }
    if let Ok(plan) = Plan::from_toml(&text) {
        return (Kind::Plan, format!("plan {} with {} steps", plan.title, plan.steps().count()));
    }
    if let Some(run) = describe_run(&text) {
        return (Kind::Run, run);
    }
    if let Ok(snapshot) = Snapshot::from_json(&text) {
        return (Kind::Snapshot, format!("counters of {}", snapshot.database));
    }
    (Kind::File, String::new())
}

/// What `posthaste runs show --format json` prints.
fn describe_run(text: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    let run = document.get("run")?;
    let word = |name: &str| run.get(name).and_then(serde_json::Value::as_str);
    let steps = run.get("steps")?.as_array()?;
    let done = steps.iter().filter(|step| step["state"] == "done").count();
    let rows: i64 = steps.iter().filter_map(|step| step["rows"].as_i64()).sum();
    let (from, to) = (time_of_day(word("startedAt")?), word("finishedAt").map(time_of_day));
    let until = to.map_or_else(String::new, |to| format!(" to {to}"));
    Some(format!(
        "run {} of {} is {}: {done} of {} steps done, {rows} rows changed in batches, from {from}{until}",
        run.get("id")?,
        word("title")?,
        word("state")?,
        steps.len()
    ))
}

/// `21:20:39` of `2026-11-21T21:20:39.5Z`.
fn time_of_day(time: &str) -> String {
    time.split('T').nth(1).unwrap_or(time).chars().take(8).collect()
}

/// A title as the name of a folder.
fn slug(title: &str) -> String {
    let letters = title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let words: String = letters.collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(40);
    if name.is_empty() { "incident".into() } else { name.trim_end_matches('-').to_owned() }
}

#[cfg(test)]
mod tests;
