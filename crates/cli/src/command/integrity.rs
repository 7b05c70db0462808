//! `posthaste integrity`: whether the data is true.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use posthaste_base::catalog::Name;
use posthaste_base::{Code, Error};
use posthaste_care::integrity::{self, Kind, Options, Progress, Rules};
use posthaste_pg::Target;

use crate::report::ReportOutput;
use crate::visit::Address;

/// Count the rows that break what the schema promises, and what it should promise: exactly, from the tables themselves.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste integrity --database postgresql://app@db/shop\n  \
    posthaste integrity --database postgresql://app@db/shop --only declared \\\n    \
    --only totals\n  \
    posthaste integrity --database postgresql://app@db/shop --rules rules.toml \\\n    \
    --format markdown\n  \
    # an estimate, from 1 % of the rows\n  \
    posthaste integrity --database postgresql://app@db/shop --sample 1")]
pub(crate) struct Integrity {
    #[command(flatten)]
    pub what: What,
    #[command(flatten)]
    output: ReportOutput,
}

/// What is looked at, and how gently.
#[derive(Args, Debug)]
pub(crate) struct What {
    #[command(flatten)]
    address: Address,
    /// Rules of your own: a TOML file, or a SQL file with one query. May be repeated.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Look for this kind of fault only; may be repeated.
    #[arg(long, value_enum, value_name = "KIND")]
    only: Vec<Only>,
    /// Look at this table only, as schema.table; may be repeated.
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
    /// Read only so many percent; the numbers are then estimates.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    sample: Option<f64>,
    /// How long a statement may wait for a lock.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    lock_timeout_ms: u32,
    /// How long a statement may run; tables are read in pieces that take far less.
    #[arg(long, value_name = "MS", default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(100..))]
    statement_timeout_ms: u32,
    /// Leave the server alone for so many times as long as each statement took; 0 is as fast as it goes.
    #[arg(long, value_name = "TIMES", default_value_t = 2.0)]
    rest: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Constraints that do not hold.
    Declared,
    /// Relations that nobody declared, and rows that point to nothing.
    Relations,
    /// Keys that nobody declared.
    Duplicates,
    /// Less than nothing, missing, blank.
    Values,
    /// In the wrong order, or in the future.
    Times,
    /// Totals against their items.
    Totals,
    /// Your own.
    Rules,
}

fn percent(text: &str) -> Result<f64, String> {
    let text = text.trim_end_matches('%');
    let percent = text.parse::<f64>().ok().filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent.ok_or_else(|| "expected a number above 0, up to 100".to_owned())
}

impl Integrity {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let outcome = self.what.check().await?;
        self.output.print(&outcome.report, &[])
    }
}

impl What {
    pub(crate) fn target(&self) -> Result<Target, Error> {
        self.address.target()
    }

    pub(crate) async fn check(&self) -> Result<integrity::Outcome, Error> {
        let options = self.options()?;
        let is_shown = io::stderr().is_terminal();
        let outcome = integrity::check(&self.target()?, &options, &|progress| {
            if is_shown {
                show(&progress);
            }
        })
        .await;
        if is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        outcome
    }

    fn options(&self) -> Result<Options, Error> {
        let kinds = self.only.iter().map(|only| match only {
            Only::Declared => Kind::Declared,
            Only::Relations => Kind::Relations,
            Only::Duplicates => Kind::Duplicates,
            Only::Values => Kind::Values,
            Only::Times => Kind::Times,
            Only::Totals => Kind::Totals,
            Only::Rules => Kind::Rules,
        });
        let rules = self.rules.iter().map(|path| read_rules(path));
        Ok(Options {
            kinds: kinds.collect(),
            tables: self.table.iter().map(|table| table_name(table, "--table")).collect::<Result<_, _>>()?,
            rules: rules.collect::<Result<_, _>>()?,
            sample_percent: self.sample,
            lock_timeout_ms: self.lock_timeout_ms,
            statement_timeout_ms: self.statement_timeout_ms,
            rest: self.rest,
            ..Options::default()
        })
    }
}

fn read_rules(path: &Path) -> Result<Rules, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(Code::InvalidFile, error.to_string()).field(name.clone()))?;
    Rules::parse(&name, &text)
}

/// `schema.table` as it is in the catalog; a name with a point in it is told by its first one.
pub(crate) fn table_name(text: &str, flag: &str) -> Result<Name, Error> {
    let parts = text.split_once('.').filter(|(schema, table)| !schema.is_empty() && !table.is_empty());
    let (schema, table) = parts.ok_or_else(|| {
        Error::new(Code::InvalidParameter, format!("`{text}` names no table"))
            .field(flag)
            .expected("SCHEMA.TABLE")
    })?;
    Ok(Name::new(schema, table))
}

fn show(progress: &Progress) {
    let percent = 100 * progress.done.min(progress.of) / progress.of.max(1);
    let name: String = progress.table.name.chars().filter(|c| !c.is_control()).collect();
    let _ = write!(io::stderr(), "\r\x1b[K{name}: {}, {percent} %", progress.what);
    let _ = io::stderr().flush();
}
