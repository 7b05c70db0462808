//! `posthaste config`: what the configuration says, and everything that is wrong with it.
//!
//! Not for: applying it (`apply`), or reading it (see `crate::config`).

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::{self, Config as Loaded, Entry, Place};
use crate::output::{self, Format, Output, counted};

/// Look at the configuration: check, show, reference.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    Check(Check),
    Show(Show),
    Reference(Reference),
}

/// Say everything that is wrong with the configuration, at once.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste config check\n  \
    posthaste --config staging.toml config check && posthaste \\\n    \
    --config staging.toml apply")]
pub(crate) struct Check {}

/// Print every value of the configuration; secrets as ***.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste config show\n  \
    posthaste config show --origin\n  \
    posthaste config show server.listen")]
pub(crate) struct Show {
    /// Only the values whose keys begin so.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Say where each value came from.
    #[arg(long)]
    origin: bool,
    #[command(flatten)]
    output: Output,
}

/// Print every key with its default and its meaning, in Markdown.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste config reference | less")]
pub(crate) struct Reference {}

impl Config {
    pub(crate) fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        match self {
            Config::Check(_) => check(place)?,
            Config::Show(show) => show.run(place)?,
            Config::Reference(_) => output::text(&config::reference())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn check(place: &Place) -> anyhow::Result<()> {
    let config = Loaded::load(place, Vec::new())?;
    let declaration = &config.declaration;
    let what = config.file.as_ref().map_or_else(
        || "without a file, the defaults hold: they are valid".to_owned(),
        |file| format!("{} is valid", file.display()),
    );
    output::line(format!(
        "{what}: {}, {}, {}, {}",
        counted(declaration.types.len() as u64, "type"),
        counted(declaration.queues.len() as u64, "queue"),
        counted(declaration.endpoints.len() as u64, "endpoint"),
        counted(declaration.subscriptions.len() as u64, "subscription"),
    ))
}

impl Show {
    fn run(self, place: &Place) -> anyhow::Result<()> {
        let key = self.key.unwrap_or_default();
        let is_below = |entry: &Entry| {
            entry
                .key
                .strip_prefix(key.as_str())
                .is_some_and(|rest| key.is_empty() || rest.is_empty() || rest.starts_with('.'))
        };
        let entries: Vec<Entry> =
            Loaded::load(place, Vec::new())?.entries().into_iter().filter(is_below).collect();
        if entries.is_empty() {
            return Err(posthaste_base::Error::new(
                posthaste_base::Code::NotFound,
                format!("there is no value `{key}`"),
            )
            .field("key")
            .hint("`posthaste config show` lists all of them")
            .into());
        }
        if self.output.format == Format::Json {
            return self.output.list("values", &entries, &[]);
        }
        let mut rows = Vec::new();
        for entry in &entries {
            let mut row = vec![entry.key.clone(), "=".to_owned(), entry.value.to_string()];
            if self.origin {
                row.push(format!("# {}", entry.origin));
            }
            rows.push(row);
        }
        output::text(&output::aligned(&rows))
    }
}
