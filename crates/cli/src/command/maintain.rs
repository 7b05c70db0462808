//! `posthaste maintain`: what is due is planned, done and reported.
//!
//! Not for: what is due (see `posthaste_care::maintain`), and for carrying a plan out (see `run`).

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_care::maintain::{self, Options};
use posthaste_pg::Target;
use posthaste_report::{Format, Plan as Data, RenderOptions, RunState, plan_markdown, render};

use crate::ask::{Consent, talk};
use crate::command::run::{How, Teller};
use crate::output::{self, Output};
use crate::visit::Address;

/// Do what is due: ANALYZE, VACUUM, indexes that are mostly empty, leftovers of builds that were killed.
#[derive(Subcommand, Debug)]
pub(crate) enum Maintain {
    Plan(Plan),
    Run(Run),
    Report(Report),
}

/// When something is due.
#[derive(Args, Clone, Debug)]
pub(crate) struct Schedule {
    /// Analyse a table that changed, so many hours after the last time.
    #[arg(long, value_name = "HOURS", default_value_t = 24.0)]
    analyze_every_h: f64,
    /// Vacuum a table that has dead rows, so many hours after the last time.
    #[arg(long, value_name = "HOURS", default_value_t = 168.0)]
    vacuum_every_h: f64,
    /// Vacuum a table that has more dead rows, whenever it was vacuumed.
    #[arg(long, value_name = "ROWS", default_value_t = 100_000)]
    dead_rows_max: i64,
    /// Build no index anew.
    #[arg(long)]
    no_reindex: bool,
    /// Begin steps only between these times of day, such as `22:00-04:00`.
    #[arg(long, value_name = "FROM-TO", value_parser = window)]
    window: Option<(String, String)>,
    /// The time zone of the window.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
}

/// Make a plan of what is due. Nothing is changed.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste maintain plan --database postgresql://app@db/shop --out tonight.toml\n  \
    posthaste run tonight.toml --database postgresql://app@db/shop")]
pub(crate) struct Plan {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    schedule: Schedule,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Plan what is due and do it: once, for cron or Kubernetes, or again and again.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste maintain run --database postgresql://app@db/shop --dry-run\n  \
    posthaste maintain run --yes --window 22:00-04:00 --zone Europe/Berlin\n  \
    posthaste maintain run --yes --every-s 3600")]
pub(crate) struct Run {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    schedule: Schedule,
    #[command(flatten)]
    how: How,
    /// Do it again and again, with so many seconds in between.
    #[arg(long, value_name = "SECONDS", requires = "yes", value_parser = clap::value_parser!(u64).range(1..))]
    every_s: Option<u64>,
    /// With `--every-s`, end after so many times.
    #[arg(long, value_name = "COUNT", requires = "every_s")]
    rounds: Option<u64>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// Report the largest tables with what is due, and what is worth a look each month or quarter.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste maintain report --database postgresql://app@db/shop\n  \
    posthaste maintain report --period monthly --format json")]
pub(crate) struct Report {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    schedule: Schedule,
    /// What is looked at: the tables alone, or also slow statements and unused indexes, or indexes, keys that run
    /// out, archiving, settings and capacity.
    #[arg(long, value_enum, default_value = "tables")]
    period: Period,
    /// How many tables.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Period {
    Tables,
    Monthly,
    Quarterly,
}

fn window(text: &str) -> Result<(String, String), String> {
    let is_time = |time: &str| time.parse::<jiff::civil::Time>().is_ok();
    match text.split_once('-') {
        Some((from, to)) if is_time(from) && is_time(to) => Ok((from.to_owned(), to.to_owned())),
        _ => Err("two times of day, such as `22:00-04:00`".to_owned()),
    }
}

impl Schedule {
    fn options(&self) -> Options {
        Options {
            name: format!("maintenance-{}", Timestamp::now().strftime("%Y%m%d-%H%M%S")),
            analyze_every_s: self.analyze_every_h * 3_600.0,
            vacuum_every_s: self.vacuum_every_h * 3_600.0,
            dead_rows_max: self.dead_rows_max,
            reindexes: !self.no_reindex,
            window: self.window.clone().map(|(from, to)| (from, to, self.zone.clone())),
            ..Options::default()
        }
    }
}

impl Maintain {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Maintain::Plan(command) => command.run().await?,
            Maintain::Run(command) => return command.run().await,
            Maintain::Report(command) => command.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Plan {
    async fn run(self) -> anyhow::Result<()> {
        let plan = maintain::plan(&self.address.target()?, &self.schedule.options()).await?;
        let text = plan.to_toml()?;
        match &self.out {
            None => output::text(&text)?,
            Some(path) => std::fs::write(path, &text).map_err(|error| {
                Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
            })?,
        }
        talk(&said(&plan));
        Ok(())
    }
}

fn said(plan: &Data) -> String {
    match plan.steps().count() as u64 {
        0 => "nothing is due".to_owned(),
        steps => format!("{} due", output::counted(steps, "step")),
    }
}

impl Run {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let target = self.address.target()?;
        let mut rounds = 0;
        loop {
            let ended = self.once(&target).await;
            rounds += 1;
            let Some(every_s) = self.every_s.filter(|_| self.rounds.is_none_or(|most| rounds < most)) else {
                return ended;
            };
            // What fails now, such as a window that is closed, is tried again next time.
            if let Err(error) = ended {
                talk(&format!("{error}"));
            }
            tokio::time::sleep(Duration::from_secs(every_s)).await;
        }
    }

    async fn once(&self, target: &Target) -> anyhow::Result<ExitCode> {
        self.give_up_old(target).await?;
        let plan = maintain::plan(target, &self.schedule.options()).await?;
        if plan.steps().count() == 0 {
            talk("nothing is due");
            return Ok(ExitCode::SUCCESS);
        }
        if self.consent.dry_run {
            output::text(&plan_markdown(&plan))?;
        }
        let steps = output::counted(plan.steps().count() as u64, "step");
        if !self.consent.get(&format!("carry out {steps} in database {}", target.database()))? {
            return Ok(ExitCode::SUCCESS);
        }
        let run =
            posthaste_runner::run(target, &plan, self.how.options(), Teller::default().observer()).await?;
        super::run::show_end(&run, self.output)
    }

    /// One that was killed or stopped is given up with what it left behind: what is still due is planned again.
    async fn give_up_old(&self, target: &Target) -> anyhow::Result<()> {
        if self.consent.dry_run {
            return Ok(());
        }
        for run in posthaste_runner::list(target, 20).await? {
            let is_left = matches!(
                run.state,
                RunState::Interrupted | RunState::Stopped | RunState::Failed | RunState::Aborting
            );
            if run.kind == "maintenance" && is_left {
                talk(&format!("run {} was not finished: what is still due is planned again", run.id));
                posthaste_runner::abort(target, run.id, self.how.options(), Teller::default().observer())
                    .await?;
            }
        }
        Ok(())
    }
}

impl Report {
    async fn run(self) -> anyhow::Result<()> {
        let target = self.address.target()?;
        let options = self.schedule.options();
        let mut tables = maintain::tables(&target, &options).await?;
        tables.truncate(self.limit);
        let columns = [
            ("SCHEMA", "schema"),
            ("TABLE", "table"),
            ("BYTES", "bytes"),
            ("INDEX BYTES", "indexBytes"),
            ("LIVE", "liveRows"),
            ("DEAD", "deadRows"),
            ("CHANGED", "modifiedRows"),
            ("DUE", "due"),
        ];
        let period = match self.period {
            Period::Tables => return self.output.list("tables", &tables, &columns),
            Period::Monthly => maintain::Period::Monthly,
            Period::Quarterly => maintain::Period::Quarterly,
        };
        let report = maintain::report(&target, &options, period).await?;
        if self.output.format == output::Format::Json {
            return self
                .output
                .one("maintenance", &serde_json::json!({ "tables": tables, "report": report }));
        }
        self.output.list("tables", &tables, &columns)?;
        output::text(&render(&report, Format::Human, &RenderOptions::default()))
    }
}
