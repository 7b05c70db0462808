//! `posthaste migrate`: a folder of migrations beside a database, applied and taken back as the folder's own tool
//! would, and written down in that tool's own table.
//!
//! Not for: whether a migration is dangerous (`posthaste review`), nor for making it less so (`posthaste plan`).

mod page;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_base::{Code, Error};
use posthaste_change::carry::{carry_out, way_on};
use posthaste_change::folder::{self, Folder, Tool};
use posthaste_change::history::{self, History, State, Status as Compared};
use posthaste_change::migrate::{self, Back, UpOptions};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_report::Plan;

use super::run::{How, Teller, show_end};
use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::failure::FINDINGS;
use crate::output::{self, Format, Output};
use crate::visit::Address;

/// Apply a folder of migrations, take the last ones back, or try both first: status, up, down, test.
#[derive(Subcommand, Debug)]
pub(crate) enum Migrate {
    Status(Status),
    Up(Up),
    Down(Down),
    Test(trial::Test),
}

/// Show what of a folder is applied, pending, edited since, failed half-way, or lost.
///
/// Reads plain folders and those of golang-migrate, Prisma, Flyway, sqlx, Diesel, dbmate, goose, and Rails' structure.sql.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste migrate status migrations/ --database postgresql://app@db/shop\n  \
    posthaste migrate status db/migrate --tool dbmate \\\n    \
    --database postgresql://app@db/shop --format json")]
pub(crate) struct Status {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
}

/// Apply what is pending, with short lock timeouts and retries, and write it down as the folder's tool does.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste migrate up migrations/ --database postgresql://app@db/shop --dry-run\n  \
    posthaste migrate up migrations/ --database postgresql://app@db/shop \\\n    \
    --to 20260301 --yes")]
pub(crate) struct Up {
    #[command(flatten)]
    which: Which,
    /// The last version to apply.
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Also apply migrations that come before one that is applied.
    #[arg(long)]
    allow_out_of_order: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// Take the last migration back, or several, each by its own way back.
///
/// Each is taken back and forgotten in one transaction where it can be, the last first. Where one of them says no way
/// back, none is taken back.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste migrate down migrations/ --database postgresql://app@db/shop \\\n    \
    --dry-run\n  \
    posthaste migrate down migrations/ --database postgresql://app@db/shop \\\n    \
    --to 20260301 --yes")]
pub(crate) struct Down {
    #[command(flatten)]
    which: Which,
    /// How many migrations to take back.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// The version that stays as the last one; 0 takes all back.
    #[arg(long, value_name = "VERSION", conflicts_with = "steps")]
    to: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// Which migrations, and of which database.
#[derive(Args, Clone, Debug)]
struct Which {
    /// The folder of migrations.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The tool that it is of; without it, by its files and by the table in the database.
    #[arg(long, value_name = "TOOL", value_parser = tool)]
    tool: Option<Tool>,
    #[command(flatten)]
    address: Address,
}

pub(crate) fn tool(word: &str) -> Result<Tool, String> {
    word.parse().map_err(|error: Error| error.to_string())
}

impl Migrate {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        match self {
            Migrate::Status(command) => command.run().await,
            Migrate::Up(command) => command.run().await,
            Migrate::Down(command) => command.run().await,
            Migrate::Test(command) => command.run(place).await,
        }
    }
}

/// The folder beside the database.
struct Found {
    folder: Folder,
    history: History,
    status: Compared,
}

impl Which {
    /// To apply something: what may not be meant is refused.
    async fn read(&self, target: &Target) -> Result<Found, Error> {
        let found = self.look(target).await?;
        Ok(Found { folder: found.folder.sure()?, ..found })
    }

    async fn look(&self, target: &Target) -> Result<Found, Error> {
        // What is wrong with the folder is said before anything is connected to.
        let candidates = match self.tool {
            Some(tool) => vec![tool],
            None => folder::detect(&self.folder)?,
        };
        let options = VisitOptions::named("posthaste migrate").read_only();
        let visit = Visit::connect(target, options).await?;
        let tool = history::choose(&visit, &candidates).await?.unwrap_or(Tool::Plain);
        if self.tool.is_none() && candidates.len() > 1 {
            talk(&format!("read as a folder of {tool}; `--tool` names another one"));
        }
        let folder = folder::look(&self.folder, tool)?;
        let history = history::read(&visit, tool).await?;
        visit.close().await;
        let status = history::compare(&folder, &history);
        Ok(Found { folder, history, status })
    }
}

impl Status {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let found = self.which.look(&self.which.address.target()?).await?;
        for doubt in &found.folder.doubts {
            talk(&format!("{}: {}", doubt.pointer, doubt.message));
        }
        if self.output.format == Format::Json {
            self.output.one("migrations", &found.status)?;
        } else {
            output::text(&human(&found.status))?;
        }
        if found.status.of(State::Failed).next().is_some()
            && let Some(way) = way_on(&self.which.address.target()?).await?
        {
            talk(&way);
        }
        let is_trouble = found.status.migrations.iter().any(|entry| entry.state.is_trouble());
        Ok(if is_trouble { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
    }
}

fn human(status: &Compared) -> String {
    let heading = ["VERSION", "NAME", "STATE", "APPLIED", "NOTE"].map(str::to_owned).to_vec();
    let rows = status.migrations.iter().map(|entry| {
        let applied = entry.applied_at.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"));
        let note = entry.note.clone().unwrap_or_default();
        let cells =
            [entry.version.clone(), entry.name.clone(), entry.state.as_str().to_owned(), applied, note];
        // A file's name may hold what a terminal takes for an order.
        cells.map(|cell| cell.replace(|c: char| c.is_control(), "?")).to_vec()
    });
    let mut text = output::aligned(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
    let of = |state| status.of(state).count();
    let (applied, pending) = (of(State::Applied), of(State::Pending));
    let trouble = status.migrations.len() - applied - pending;
    let table = status.table.as_deref().unwrap_or("no table yet");
    text.push_str(&format!("\n{} ({table}): {applied} applied, {pending} pending", status.tool));
    if trouble > 0 {
        text.push_str(&format!(", {trouble} to look at"));
    }
    text.push('\n');
    text
}

impl Up {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let Found { folder, history, status } = self.which.read(&self.which.address.target()?).await?;
        let options = UpOptions { to: self.to.clone(), allows_out_of_order: self.allow_out_of_order };
        let made = migrate::up(&folder, &history, &status, &options);
        match explained(made, &self.which.address).await? {
            None => {
                talk("nothing is pending");
                Ok(ExitCode::SUCCESS)
            }
            Some(plan) => carry(&plan, &self.which.address, &self.how, self.consent, self.output).await,
        }
    }
}

impl Down {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let Found { folder, history, status } = self.which.read(&self.which.address.target()?).await?;
        let back = self.to.clone().map_or(Back::Steps(usize::from(self.steps)), Back::To);
        let made = migrate::down(&folder, &history, &status, &back);
        match explained(made, &self.which.address).await? {
            None => {
                talk("nothing is to be taken back");
                Ok(ExitCode::SUCCESS)
            }
            Some(plan) => carry(&plan, &self.which.address, &self.how, self.consent, self.output).await,
        }
    }
}

/// A migration that a run of ours left half done is for that run to end, and not for its tool.
async fn explained(made: Result<Option<Plan>, Error>, address: &Address) -> Result<Option<Plan>, Error> {
    let error = match made {
        Err(error) if error.code() == Code::MigrationsDisagree => error,
        other => return other,
    };
    Err(match way_on(&address.target()?).await? {
        Some(way) => error.hint(way),
        None => error,
    })
}

async fn carry(
    plan: &Plan,
    address: &Address,
    how: &How,
    consent: Consent,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let target = address.target()?;
    if consent.dry_run {
        output::text(&page::script(plan))?;
    }
    plan.notes.iter().for_each(|note| talk(note));
    if !consent.get(&format!("{} in database {}", plan.title, target.database()))? {
        return Ok(ExitCode::SUCCESS);
    }
    let run = carry_out(&target, plan, how.options(), Teller::default().observer()).await?;
    show_end(&run, output)
}
