//! `posthaste doctor`: what is wrong with a database, worst first, and what could not be looked at.
//!
//! Not for: what the checks are (see `posthaste_care::doctor`), and changing anything: remedies are steps of plans.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use posthaste_base::{Code, Error};
use posthaste_care::doctor::{self, Change, Declared, Diagnosis, Options, Snapshot, Store};
use posthaste_pg::Target;
use posthaste_report::{Finding, Format, RenderOptions, Report, RuleText, Severity, render};

use crate::ask::talk;
use crate::failure;
use crate::output;
use crate::visit::Address;

/// Look at a database: sessions, queries, indexes, tables, partitions, replication, settings. Nothing is changed.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste doctor --database postgresql://doctor@db/shop\n  \
    posthaste doctor --only lock-chain,connections-near-limit\n  \
    posthaste doctor --snapshot before.json\n  \
    posthaste doctor --since before.json\n  \
    posthaste doctor --log rds_slowquery.log \\\n    \
    --insights performance_insights_snapshot.json")]
pub(crate) struct Doctor {
    #[command(flatten)]
    address: Address,
    /// Make only these checks.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    only: Vec<String>,
    /// How to print what is found.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Subtract the counters of this snapshot.
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Keep the counters as they are now in this file, for a later `--since`.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Look again and again, and print what changed.
    #[arg(long)]
    watch: bool,
    /// With `--watch`, how long to wait in between.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every_s: u64,
    /// With `--watch`, end after so many looks.
    #[arg(long, value_name = "COUNT")]
    rounds: Option<u64>,
    /// With `--watch`, the folder of the snapshots; without it, one for each database in the user's own.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// End with exit code 1 when a finding is this bad or worse.
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "high")]
    fail_on: Worst,
    /// Also read this log: PostgreSQL's, a slow log, or one of events. May be given again.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Also read this snapshot of load by statement. May be given again.
    #[arg(long, value_name = "FILE")]
    insights: Vec<PathBuf>,
    /// Also read this plan, as EXPLAIN (FORMAT JSON) prints it. May be given again.
    #[arg(long, value_name = "FILE")]
    plan: Vec<PathBuf>,
    /// Pools of the application and the size of the machine, as TOML.
    #[arg(long, value_name = "FILE")]
    pools: Option<PathBuf>,
    /// How long each statement may run.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    statement_timeout_ms: u32,
    /// Leave out what is well.
    #[arg(long, short)]
    quiet: bool,
    /// Print the checks, and look at nothing.
    #[arg(long)]
    list: bool,
}

/// So many findings are read on one page.
const FEW: usize = 5;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    #[default]
    Human,
    Json,
    Markdown,
    Html,
    Sarif,
    Github,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Worst {
    Critical,
    High,
    Medium,
    Low,
    Info,
    Never,
}

impl Doctor {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if self.list {
            let rows =
                doctor::checks().iter().map(|check| vec![check.code.to_owned(), check.title.to_owned()]);
            output::text(&output::aligned(&rows.collect::<Vec<_>>()))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.watch {
            return self.watch().await;
        }
        let mut findings = self.of_files()?;
        let (report, lines) = match self.target()? {
            Some(target) => {
                let Diagnosis { report, lines, snapshot } =
                    doctor::diagnose(&target, &self.options()?).await?;
                self.keep(&snapshot)?;
                findings.extend(report.findings);
                let mut whole = Report::new("doctor", report.target, findings, report.skipped);
                whole.summary.extend(
                    report
                        .summary
                        .into_iter()
                        .filter(|(name, _)| matches!(name.as_str(), "lines" | "milliseconds")),
                );
                (whole, lines)
            }
            None => {
                let looked = posthaste_report::Target { name: "files".into(), server_version: None };
                (Report::new("doctor", looked, findings, Vec::new()), Vec::new())
            }
        };
        self.print(&report, &lines)?;
        Ok(self.verdict(&report))
    }

    /// The database, unless only files were asked for.
    fn target(&self) -> Result<Option<Target>, Error> {
        let has_files = !(self.log.is_empty() && self.insights.is_empty() && self.plan.is_empty());
        if has_files && !self.watch && !self.address.is_named() {
            return Ok(None);
        }
        self.address.target().map(Some)
    }

    fn options(&self) -> Result<Options, Error> {
        let since = self.since.as_deref().map(|path| at(path, Snapshot::from_json(&text_of(path)?)));
        let declared = self.pools.as_deref().map(|path| at(path, Declared::from_toml(&text_of(path)?)));
        Ok(Options {
            only: self.only.clone(),
            statement_timeout_ms: self.statement_timeout_ms,
            since: since.transpose()?,
            declared: declared.transpose()?.unwrap_or_default(),
            ..Options::default()
        })
    }

    fn of_files(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for path in self.log.iter().chain(&self.insights) {
            findings.extend(doctor::log::read(&path.display().to_string(), &text_of(path)?)?);
        }
        for path in &self.plan {
            findings.extend(at(path, doctor::read_plan(&path.display().to_string(), &text_of(path)?))?);
        }
        Ok(findings)
    }

    fn keep(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let Some(path) = &self.snapshot else { return Ok(()) };
        std::fs::write(path, snapshot.to_json()).map_err(|error| unusable(path, error))
    }

    fn print(&self, report: &Report, lines: &[(&'static str, String)]) -> anyhow::Result<()> {
        let rules: Vec<RuleText> = doctor::checks()
            .iter()
            .map(|check| RuleText {
                code: check.code.into(),
                title: check.title.into(),
                ..RuleText::default()
            })
            .collect();
        let is_colored = failure::is_coloured(&std::io::stdout());
        let options = RenderOptions { is_colored, rules: &rules, ..RenderOptions::default() };
        output::text(&render(report, self.format.form(), &options))?;
        if self.quiet || !matches!(self.format, Form::Human) {
            return Ok(());
        }
        let is_well = |code: &str| !report.findings.iter().any(|finding| finding.code == code);
        let well: Vec<_> = lines.iter().filter(|(code, _)| is_well(code)).collect();
        if report.findings.len() <= FEW {
            if !well.is_empty() {
                output::text("\nNothing to say against:\n")?;
            }
            return well.iter().try_for_each(|(code, line)| output::line(format!("- {code}: {line}")));
        }
        let codes: Vec<&str> = well.iter().map(|(code, _)| *code).collect();
        if !codes.is_empty() {
            output::line(format!("\nNothing to say against {}", codes.join(", ")))?;
        }
        // The first page has scrolled away, and the last one is what somebody sees.
        output::text("\nThe worst of it, from the top:\n")?;
        report.findings.iter().take(FEW).try_for_each(|finding| {
            let message = finding.message.replace(char::is_control, " ");
            output::line(format!("- {} {}: {message}", finding.severity, finding.code))
        })
    }

    fn verdict(&self, report: &Report) -> ExitCode {
        let is_bad = |limit: Severity| report.worst().is_some_and(|worst| worst.is_at_least(limit));
        match self.fail_on.severity() {
            Some(limit) if is_bad(limit) => ExitCode::from(failure::FINDINGS),
            _ => ExitCode::SUCCESS,
        }
    }

    async fn watch(&self) -> anyhow::Result<ExitCode> {
        let target =
            self.target()?.ok_or_else(|| Error::new(Code::InvalidParameter, "no database was named"))?;
        let store = Store::open(&self.folder(&target))?;
        let mut before = store.last();
        let mut round = 0;
        loop {
            match doctor::diagnose(&target, &self.options()?).await {
                Ok(Diagnosis { report, snapshot, .. }) => {
                    store.keep(&snapshot)?;
                    match &before {
                        None => self.print(&report, &[])?,
                        Some(before) => print_changes(&doctor::changes(before, &snapshot))?,
                    }
                    before = Some(snapshot);
                }
                // A database that is away for a while is what one watches for.
                Err(error) => talk(&format!("{}: {error}", jiff::Timestamp::now().strftime("%FT%TZ"))),
            }
            round += 1;
            if self.rounds.is_some_and(|rounds| round >= rounds) {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(self.every_s)) => {}
                _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
            }
        }
    }

    fn folder(&self, target: &Target) -> PathBuf {
        if let Some(folder) = &self.store {
            return folder.clone();
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
        let name: String =
            target.redacted().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        state.unwrap_or_else(std::env::temp_dir).join("posthaste/doctor").join(name)
    }
}

fn print_changes(changes: &[Change]) -> anyhow::Result<()> {
    let time = jiff::Timestamp::now().strftime("%FT%TZ").to_string();
    if changes.is_empty() {
        talk(&format!("{time} nothing changed"));
    }
    changes.iter().try_for_each(|change| {
        let line = match change {
            Change::New(known) => format!("+ {} {}: {}", known.severity, known.code, known.message),
            Change::Gone(known) => format!("- {} {}: {}", known.severity, known.code, known.message),
            Change::Moved { from, to } => {
                format!("~ {} to {} {}: {}", from.severity, to.severity, to.code, to.message)
            }
            Change::Number(text) => format!("  {text}"),
        };
        output::line(format!("{time} {}", line.replace(char::is_control, " ")))
    })
}

fn text_of(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
}

/// The file that an error is about.
fn at<T>(path: &Path, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|error| error.field(path.display().to_string()))
}

impl Form {
    fn form(self) -> Format {
        match self {
            Form::Human => Format::Human,
            Form::Json => Format::Json,
            Form::Markdown => Format::Markdown,
            Form::Html => Format::Html,
            Form::Sarif => Format::Sarif,
            Form::Github => Format::Github,
        }
    }
}

impl Worst {
    fn severity(self) -> Option<Severity> {
        match self {
            Worst::Critical => Some(Severity::Critical),
            Worst::High => Some(Severity::High),
            Worst::Medium => Some(Severity::Medium),
            Worst::Low => Some(Severity::Low),
            Worst::Info => Some(Severity::Info),
            Worst::Never => None,
        }
    }
}
