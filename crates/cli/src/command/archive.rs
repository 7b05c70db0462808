//! `posthaste archive`: plans that move old rows to where they are kept.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_care::archive::{self, Form, Older, Request, Writing};
use posthaste_report::Plan as Data;

use crate::ask::{Consent, talk};
use crate::command::integrity::table_name;
use crate::output::{self, Output};
use crate::visit::Address;

/// Move old rows to where they are kept, in batches that are proven before they commit: plan, show, export, import, restore.
#[derive(Subcommand, Debug)]
pub(crate) enum Archive {
    Plan(Plan),
    Show(Show),
    Export(Export),
    Import(Import),
    Restore(Restore),
}

/// Count the rows that are to be moved, and make the plan. Nothing is moved.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste archive plan --database postgresql://app@db/shop \\\n    \
    --table public.deals --column closed_at --older-than '2 years' \\\n    \
    --into archive --out deals.toml\n  \
    posthaste archive plan --database postgresql://app@db/shop \\\n    \
    --table public.deals --where \"status = 'lost'\" --into archive \\\n    \
    --with-children\n  \
    posthaste run deals.toml --database postgresql://app@db/shop")]
pub(crate) struct Plan {
    #[command(flatten)]
    address: Address,
    /// The table whose rows are moved, as schema.table.
    #[arg(long)]
    table: String,
    /// The time by which rows are old.
    #[arg(long, requires = "older_than")]
    column: Option<String>,
    /// Move rows that are older, as an interval such as `2 years`.
    #[arg(long, value_name = "INTERVAL", requires = "column")]
    older_than: Option<String>,
    /// Move only rows for which this is true: a condition in SQL.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// The schema of the archive; its tables are made like those whose rows they take.
    #[arg(long, value_name = "SCHEMA")]
    into: String,
    /// Move the rows that point to them, too, before them.
    #[arg(long)]
    with_children: bool,
    /// What the plan is called.
    #[arg(long)]
    name: Option<String>,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Show what a plan has moved so far, with the checksums of what was put down.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste archive show archive-deals-20260301-090000 \\\n    \
    --database postgresql://app@db/shop")]
pub(crate) struct Show {
    /// The plan's name.
    name: String,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

/// Write what a plan has archived to CSV or Parquet files. A file is read again from the disk, and what it holds is proven.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste archive export archive-deals-20260301-090000 --to /archive \\\n    \
    --database postgresql://app@db/shop\n  \
    posthaste archive export archive-deals-20260301-090000 --to /archive \\\n    \
    --as parquet --drop --yes")]
pub(crate) struct Export {
    /// The plan's name.
    name: String,
    /// The folder; the files are in one of the plan's name in it.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// What the files are.
    #[arg(long = "as", value_enum, value_name = "FORM", default_value_t)]
    form: FileForm,
    /// Drop the archive's tables whose rows are proven to be in their file.
    #[arg(long)]
    drop: bool,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FileForm {
    /// Texts in quotes, NULL without, as COPY reads them.
    #[default]
    Csv,
    /// Columns with their types, uncompressed.
    Parquet,
}

/// Read files that `export` wrote into the archive's tables again.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste archive import archive-deals-20260301-090000 \\\n    \
    --database postgresql://app@db/shop")]
pub(crate) struct Import {
    /// The plan's name.
    name: String,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

/// Make the plan that brings archived rows back to where they were. Nothing is moved.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste archive restore archive-deals-20260301-090000 \\\n    \
    --database postgresql://app@db/shop --out back.toml\n  \
    posthaste run back.toml --database postgresql://app@db/shop")]
pub(crate) struct Restore {
    /// The plan that has moved the rows.
    of: String,
    #[command(flatten)]
    address: Address,
    /// Bring back only rows for which this is true, in each of the archive's tables: a condition in SQL.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// What the plan is called.
    #[arg(long)]
    name: Option<String>,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Archive {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Archive::Plan(command) => command.run().await?,
            Archive::Export(command) => command.run().await?,
            Archive::Import(command) => {
                let filed = archive::import(&command.address.target()?, &command.name).await?;
                command.output.list("archives", &filed, &FILED)?;
            }
            Archive::Restore(command) => command.run().await?,
            Archive::Show(command) => {
                let moved = archive::moved(&command.address.target()?, &command.name).await?;
                let columns =
                    [("TABLE", "table"), ("ARCHIVE", "archive"), ("ROWS", "rows"), ("CHECKSUM", "checksum")];
                command.output.list("moved", &moved, &columns)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Plan {
    async fn run(self) -> anyhow::Result<()> {
        let table = table_name(&self.table, "--table")?;
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let request = Request {
            name: self.name.clone().unwrap_or_else(|| format!("archive-{}-{time}", table.name)),
            table,
            older: self.column.zip(self.older_than).map(|(column, than)| Older { column, than }),
            condition: self.condition,
            into: self.into,
            with_children: self.with_children,
        };
        let plan = archive::plan(&self.address.target()?, &request).await?;
        write(&plan, self.out.as_deref())
    }
}

const FILED: [(&str, &str); 5] = [
    ("TABLE", "table"),
    ("ARCHIVE", "archive"),
    ("ROWS", "rows"),
    ("FILE", "file"),
    ("TABLE IS KEPT", "isKept"),
];

impl Export {
    async fn run(self) -> anyhow::Result<()> {
        let target = self.address.target()?;
        let folder = self.to.display();
        let what = match self.drop {
            true => format!("write the archive of `{}` to {folder}, and drop its tables", self.name),
            false => format!("write the archive of `{}` to {folder}", self.name),
        };
        if !self.consent.get(&what)? {
            return Ok(());
        }
        let form = match self.form {
            FileForm::Csv => Form::Csv,
            FileForm::Parquet => Form::Parquet,
        };
        let writing = Writing { plan: &self.name, folder: &self.to, form, drops: self.drop };
        let filed = archive::export(&target, &writing, &|_| false).await?;
        self.output.list("files", &filed, &FILED)
    }
}

impl Restore {
    async fn run(self) -> anyhow::Result<()> {
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let name = self.name.unwrap_or_else(|| format!("restore-{}-{time}", self.of));
        let request = archive::Restore { name, of: self.of, condition: self.condition };
        let plan = archive::restore(&self.address.target()?, &request).await?;
        write(&plan, self.out.as_deref())
    }
}

fn write(plan: &Data, out: Option<&Path>) -> anyhow::Result<()> {
    let text = plan.to_toml()?;
    match out {
        None => output::text(&text)?,
        Some(path) => std::fs::write(path, &text).map_err(|error| {
            Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
        })?,
    }
    for note in &plan.notes {
        talk(note);
    }
    Ok(())
}
