//! `posthaste archive`: plans that move old rows to where they are kept.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_care::archive::{self, Older, Request};

use crate::ask::talk;
use crate::command::integrity::table_name;
use crate::output::{self, Output};
use crate::visit::Address;

/// Move old rows to where they are kept, in batches that are proven before they commit: plan, show.
#[derive(Subcommand, Debug)]
pub(crate) enum Archive {
    Plan(Plan),
    Show(Show),
}

/// Count the rows that are to be moved, and make the plan. Nothing is moved.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste archive plan --database postgresql://app@db/shop --table public.deals --column closed_at --older-than '2 years' --into archive --out deals.toml\n  \
    posthaste archive plan --database postgresql://app@db/shop --table public.deals --where \"status = 'lost'\" --into archive --with-children\n  \
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
    posthaste archive show archive-deals-20260301-090000 --database postgresql://app@db/shop")]
pub(crate) struct Show {
    /// The plan's name.
    name: String,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

impl Archive {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Archive::Plan(command) => command.run().await?,
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
        let text = plan.to_toml()?;
        match &self.out {
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
}
