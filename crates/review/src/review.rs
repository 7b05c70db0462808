//! A review: files in order, each on the state that the ones before it leave.
//!
//! Not for: reading files and databases, and for asking the probes.

mod pass;

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::thread;

use posthaste_base::catalog::Catalog;
use posthaste_report::{Location, Report, Skipped, Target};

use crate::baseline::{self, Baseline};
use crate::config::{Options, VERSIONS};
use crate::probe::{self, Answer, Probe};
use crate::queries::LoggedQuery;
use crate::rules::Found;
use crate::severity::duration;
use crate::state::State;
use crate::transaction::{Tool, Wrapping};
use pass::{Parsed, Pass};

/// A file to review.
#[derive(Clone, Debug, Default)]
pub struct File {
    pub path: String,
    pub text: String,
    /// Who runs it; by its marks and its name when nobody says.
    pub tool: Option<Tool>,
    /// What stands beside it: Diesel's `metadata.toml`, Flyway's `.conf`.
    pub settings: Option<String>,
    /// What its tool puts around it, where that is known better than by the text.
    pub wrapping: Option<Wrapping>,
    /// The script that goes back, when it is a file of its own.
    pub down: Option<String>,
    /// It is not reviewed: what it makes is there already. Where there is a catalog, that knows better.
    pub is_base: bool,
}

/// What was found, before it is a report: probes can still be answered.
#[derive(Clone, Debug)]
pub struct Review {
    items: Vec<Item>,
    skipped: Vec<Skipped>,
    target: Target,
    ignored: usize,
    /// Of all statements whose time is known.
    seconds: f64,
    longest: Option<(f64, Location)>,
    files: usize,
    statements: usize,
}

#[derive(Clone, Debug)]
struct Item {
    found: Found,
    /// For the fingerprint.
    statement: String,
}

/// Reviews files in order.
pub fn review(
    files: &[File],
    catalog: Option<&Catalog>,
    options: &Options,
    queries: &[LoggedQuery],
) -> Review {
    let mut state = State::new(catalog);
    let version =
        options.pg_version.or(catalog.map(|catalog| catalog.server.major()).filter(|version| *version > 0));
    let newest = *VERSIONS.end();
    let version = version.unwrap_or(newest).clamp(*VERSIONS.start(), newest);
    let mut review = Review {
        items: Vec::new(),
        skipped: skipped(catalog, files.iter().any(|file| file.is_base)),
        target: target(files, catalog),
        ignored: 0,
        seconds: 0.0,
        longest: None,
        files: files.iter().filter(|file| !file.is_base).count(),
        statements: 0,
    };
    let keeps_rollbacks = files.iter().any(|file| file.down.is_some());
    let mut chunks = files.chunks(AHEAD).peekable();
    let mut parsed = parse_all(chunks.peek().copied().unwrap_or_default(), options);
    while let Some(some) = chunks.next() {
        let next = chunks.peek().copied().unwrap_or_default();
        parsed = thread::scope(|scope| {
            let ahead = (!next.is_empty()).then(|| scope.spawn(|| parse_all(next, options)));
            for (file, parsed) in some.iter().zip(parsed) {
                if !file.is_base {
                    let mut pass =
                        Pass { file, state: &mut state, options, version, queries, keeps_rollbacks };
                    pass.run(parsed, &mut review);
                } else if catalog.is_none() {
                    parsed.apply(&mut state);
                }
                state.next_file();
            }
            ahead.map(joined).unwrap_or_default()
        });
    }
    review
}

/// So many files are parsed while those before them are reviewed: enough to share the work, and few to keep.
const AHEAD: usize = 32;

/// To parse is most of the work of a review, and depends on nothing, so that all processors share it.
fn parse_all<'a>(files: &'a [File], options: &Options) -> Vec<Parsed<'a>> {
    let parse = |files: &'a [File]| files.iter().map(|file| Parsed::of(file, options)).collect::<Vec<_>>();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(files.len());
    if threads < 2 {
        return parse(files);
    }
    thread::scope(|scope| {
        let parts = files.chunks(files.len().div_ceil(threads));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || parse(part))).collect();
        parts.into_iter().flat_map(joined).collect()
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn skipped(catalog: Option<&Catalog>, has_base: bool) -> Vec<Skipped> {
    let skip = |what: &str, why: &str| Skipped { what: what.to_owned(), why: why.to_owned() };
    match catalog {
        None if has_base => vec![skip("sizes and use of the tables", "only a dump of the schema was given")],
        None => vec![skip("sizes, types and use of the tables", "no database and no catalog was given")],
        Some(catalog) => catalog.unread.iter().map(|unread| skip("a part of the catalog", unread)).collect(),
    }
}

fn target(files: &[File], catalog: Option<&Catalog>) -> Target {
    let reviewed: Vec<&File> = files.iter().filter(|file| !file.is_base).collect();
    let name = match reviewed.as_slice() {
        [only] => only.path.clone(),
        files => format!("{} files", files.len()),
    };
    let version = catalog.map(|catalog| catalog.server.version_num).filter(|version| *version > 0);
    Target { name, server_version: version.map(|num| format!("{}.{}", num / 10_000, num % 10_000)) }
}

impl Review {
    /// Questions that would settle findings, each with a number for its answer.
    pub fn probes(&self) -> impl Iterator<Item = (usize, &Probe)> {
        self.items.iter().enumerate().filter_map(|(at, item)| Some((at, item.found.probe.as_ref()?)))
    }

    /// Takes the answers of probes: what the data does not bear out is gone.
    pub fn answer(&mut self, answers: impl IntoIterator<Item = (usize, Answer)>) {
        let mut gone = BTreeSet::new();
        for (at, answer) in answers {
            let Some(item) = self.items.get_mut(at) else { continue };
            let Some(probe) = item.found.probe.take() else { continue };
            if !probe::settle(&mut item.found.finding, &probe, answer) {
                gone.insert(at);
            }
        }
        let mut at = 0;
        self.items.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
    }

    /// Says what of that which was given is not looked at.
    pub fn skip(&mut self, skipped: Vec<Skipped>) {
        self.skipped.extend(skipped);
    }

    /// All that is there now, for `--write-baseline`.
    pub fn baseline(&self) -> Baseline {
        Baseline::of(self.items.iter().map(|item| (&item.found.finding, item.fingerprint())))
    }

    pub fn report(self, known: Option<&Baseline>) -> Report {
        let mut counts = known.map(Baseline::counts).unwrap_or_default();
        let before = self.items.len();
        let mut findings = Vec::new();
        for item in self.items {
            match counts.get_mut(item.fingerprint().as_str()) {
                Some(count) if *count > 0 => *count -= 1,
                _ => findings.push(item.found.finding),
            }
        }
        let in_baseline = before - findings.len();
        let mut report = Report::new("review", self.target, findings, self.skipped);
        let mut put =
            |name: &str, value: serde_json::Value| drop(report.summary.insert(name.to_owned(), value));
        put("files", self.files.into());
        put("statements", self.statements.into());
        put("ignored", self.ignored.into());
        put("baseline", in_baseline.into());
        if self.seconds >= 1.0 {
            put("seconds", crate::context::whole(self.seconds).into());
        }
        if let Some((seconds, place)) = self.longest.filter(|(seconds, _)| *seconds >= 1.0) {
            let place = format!("{}:{}", place.file, place.line);
            put("longest", format!("{place}, about {}", duration(seconds)).into());
        }
        report
    }
}

impl Item {
    fn fingerprint(&self) -> String {
        baseline::fingerprint(&self.found.finding, &self.statement)
    }
}
