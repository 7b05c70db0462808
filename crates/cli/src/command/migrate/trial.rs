//! `posthaste migrate test`: ways back are tried before they are needed, on a throw-away server.
//!
//! Not for: the database itself, of which only the schema and the tool's table are read.

use std::process::ExitCode;

use clap::Args;
use posthaste_base::Error;
use posthaste_change::folder::{self, Folder, Kind, Migration, Tool};
use posthaste_change::history::State;
use posthaste_change::scratch::{Scratch, schema_of};
use posthaste_change::trial::{self, Outcome, Trial};
use posthaste_pg::Target;

use super::{Found, Which};
use crate::ask::talk;
use crate::config::Place;
use crate::failure::FINDINGS;
use crate::output::{self, Format, Output};

/// Try up, down and up again on a throw-away server: each way back must lead to where its migration began.
///
/// With a database, what is pending is tried on a copy of its schema, without rows; nothing there is changed. Without
/// one, or with --all, every migration is tried, from an empty database. The schemas are compared after each way, so
/// that a way back that leaves something behind is found before it is needed.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste migrate test migrations/\n  \
    posthaste migrate test migrations/ --database postgresql://app@db/shop\n  \
    posthaste migrate test migrations/ --all --format json")]
pub(crate) struct Test {
    #[command(flatten)]
    which: Which,
    /// Try all migrations from an empty database, and visit none.
    #[arg(long, conflicts_with = "database")]
    all: bool,
    #[command(flatten)]
    output: Output,
}

impl Test {
    pub(super) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        let target = if self.all { None } else { self.which.address.find()? };
        let trials = match target {
            Some(target) => self.pending(&target, place).await?,
            None => self.all(place).await?,
        };
        if trials.is_empty() {
            talk("nothing is pending");
        }
        if self.output.format == Format::Json {
            self.output.one("trials", &trials)?;
        } else if !trials.is_empty() {
            output::text(&human(&trials))?;
        }
        let is_trouble = trials.iter().any(|trial| trial.outcome.is_trouble());
        Ok(if is_trouble { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
    }

    async fn pending(&self, target: &Target, place: &Place) -> Result<Vec<Trial>, Error> {
        let Found { folder, status, .. } = self.which.read(target).await?;
        let pending: Vec<&str> = folder
            .migrations
            .iter()
            .zip(&status.migrations)
            .filter(|(_, entry)| matches!(entry.state, State::Pending | State::OutOfOrder | State::Failed))
            .map(|(migration, _)| migration.up.file.as_str())
            .collect();
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let schema = schema_of(target, place.pg_bin.as_deref()).await?;
        on_scratch(&folder, &schema, |migration| pending.contains(&migration.up.file.as_str()), place).await
    }

    async fn all(&self, place: &Place) -> Result<Vec<Trial>, Error> {
        let tool = match self.which.tool {
            Some(tool) => tool,
            None => folder::detect(&self.which.folder)?.first().copied().unwrap_or(Tool::Plain),
        };
        let folder = folder::read(&self.which.folder, tool)?;
        let baseline = folder.baseline();
        let is_wanted = |migration: &Migration| match baseline {
            Some(last) if migration.kind == Kind::Baseline => std::ptr::eq(last, migration),
            Some(last) => !folder.is_below(migration, last),
            None => true,
        };
        let base = folder.base.as_ref().map_or("", |base| base.text.as_str());
        on_scratch(&folder, base, is_wanted, place).await
    }
}

async fn on_scratch(
    folder: &Folder,
    schema: &str,
    is_wanted: impl Fn(&Migration) -> bool,
    place: &Place,
) -> Result<Vec<Trial>, Error> {
    let scratch = Scratch::start(place.pg_bin.as_deref()).await?;
    let tried = async {
        let start = scratch.load(schema).await?;
        trial::try_all(&scratch, &start, folder, is_wanted).await
    };
    let tried = tried.await;
    let removed = scratch.remove().await;
    let trials = tried?;
    removed?;
    Ok(trials)
}

fn human(trials: &[Trial]) -> String {
    let mut rows = vec![["VERSION", "NAME", "OUTCOME"].map(str::to_owned).to_vec()];
    rows.extend(trials.iter().map(|trial| {
        let cells = [trial.version.clone(), trial.name.clone(), trial.outcome.as_str().to_owned()];
        // A file's name may hold what a terminal takes for an order.
        cells.map(|cell| cell.replace(|c: char| c.is_control(), "?")).to_vec()
    }));
    let mut text = output::aligned(&rows);
    for trial in trials {
        for problem in &trial.problems {
            let problem = problem.replace(|c: char| c.is_control(), " ");
            text.push_str(&format!("\n{}: {problem}", trial.file));
        }
    }
    let count = |outcome| trials.iter().filter(|trial| trial.outcome == outcome).count();
    let trouble = trials.iter().filter(|trial| trial.outcome.is_trouble()).count();
    text.push_str(&format!(
        "{}\n{} passed, {} without a way back, {trouble} to mend\n",
        if trouble > 0 { "\n" } else { "" },
        count(Outcome::Passed),
        count(Outcome::NoWayBack),
    ));
    text
}
