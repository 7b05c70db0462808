//! `posthaste review`: what a migration would do to a database, before it does.
//!
//! Not for: the rules (see `posthaste_review`), nor the folders of migration tools and their state tables.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use posthaste_base::catalog::Catalog;
use posthaste_base::{Code, Error};
use posthaste_pg::Visit;
use posthaste_pg::catalog::{self as reader, CatalogOptions};
use posthaste_report::RuleText;
use posthaste_review::baseline::Baseline;
use posthaste_review::config::{Config, Options};
use posthaste_review::transaction::Tool;
use posthaste_review::{Answer, File, LoggedQuery, Review as Reviewed};

use crate::ask::talk;
use crate::command::catalog::load;
use crate::config::Place;
use crate::report::ReportOutput;
use crate::visit::Visited;

/// Review migrations: what they lock, read, rewrite and break, against the database that is there.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste review migrations/ --database postgresql://app@db/shop\n  \
    posthaste review 0042.sql --catalog catalog.json --format github\n  \
    posthaste review migrations/ --write-baseline baseline.json\n  \
    posthaste review 0042.sql --queries insights.json --fail-on medium")]
pub(crate) struct Review {
    /// Files of SQL, or folders of them, in the order in which they will run.
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    /// The database to review against: its catalog is read, and questions to the data are asked under a limit.
    #[arg(long, value_name = "URL", conflicts_with = "catalog")]
    database: Option<String>,
    /// A file that `posthaste catalog export` wrote, in place of a database.
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Ask no question to the data, only read the catalog.
    #[arg(long)]
    no_probes: bool,
    /// Watch the counters for so long, to tell how much is written in a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=600))]
    watch_s: u32,
    /// The server's major version, where no database and no catalog says it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(12..=18))]
    pg_version: Option<u32>,
    /// Who runs the files: plain, golang-migrate, prisma, flyway, sqlx, diesel, dbmate, goose, rails or atlas.
    #[arg(long, value_name = "TOOL", value_parser = tool)]
    tool: Option<Tool>,
    /// Findings that this file has are known, and not told again.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write all findings to this file, as known ones for later.
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// Queries that run already: a Performance Insights snapshot, or a list of objects with `query` as JSON, or SQL.
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    #[command(flatten)]
    output: ReportOutput,
}

impl Review {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        let mut options = options(place)?;
        options.pg_version = self.pg_version.or(options.pg_version);
        options.tool = self.tool.or(options.tool);
        let files = read_files(&self.paths)?;
        let queries = match &self.queries {
            Some(path) => posthaste_review::read_queries(&path.display().to_string(), &read(path)?)?,
            None => Vec::new(),
        };
        let baseline = self.baseline.as_deref().map(|path| Baseline::from_json(&read(path)?)).transpose()?;

        let mut visit = None;
        let catalog = match (&self.database, &self.catalog) {
            (Some(database), _) => {
                let (opened, catalog) = self.look(database).await?;
                visit = Some(opened);
                Some(catalog)
            }
            (None, Some(path)) => Some(load(path)?),
            (None, None) => None,
        };
        let mut review = judge(files, catalog, options, queries).await?;
        if let Some(visit) = visit {
            if !self.no_probes {
                ask(&visit, &mut review).await;
            }
            visit.close().await;
        }
        if let Some(path) = &self.write_baseline {
            write(path, &review.baseline().to_json())?;
            talk(&format!("the baseline is in {}", path.display()));
            return Ok(ExitCode::SUCCESS);
        }
        self.output.print(&review.report(baseline.as_ref()), &rules())
    }

    async fn look(&self, database: &str) -> Result<(Visit, Catalog), Error> {
        let visited =
            Visited { database: database.to_owned(), lock_timeout_ms: 100, statement_timeout_ms: 15_000 };
        let visit = visited.read_only("review").await?;
        let options = CatalogOptions { watch_ms: self.watch_s * 1_000, ..CatalogOptions::default() };
        let catalog = reader::read(&visit, &options).await?;
        Ok((visit, catalog))
    }
}

/// Reviewing is work for a processor, of which the runtime must not be held up.
async fn judge(
    files: Vec<File>,
    catalog: Option<Catalog>,
    options: Options,
    queries: Vec<LoggedQuery>,
) -> anyhow::Result<Reviewed> {
    let review = move || posthaste_review::review(&files, catalog.as_ref(), &options, &queries);
    Ok(tokio::task::spawn_blocking(review).await?)
}

/// Asks what would settle findings. What cannot be answered in time stays as it was, and says so.
async fn ask(visit: &Visit, review: &mut Reviewed) {
    let probes: Vec<(usize, String)> = review.probes().map(|(at, probe)| (at, probe.sql.clone())).collect();
    let mut answers = Vec::with_capacity(probes.len());
    for (at, sql) in probes {
        let answer = match visit.query(sql.as_str(), &[]).await {
            Ok(rows) => match rows.first().map(|row| row.try_get::<_, bool>(0)) {
                Some(Ok(true)) => Answer::Yes,
                Some(Ok(false)) => Answer::No,
                _ => Answer::Unknown("the answer could not be read".to_owned()),
            },
            Err(error) => Answer::Unknown(error.to_string()),
        };
        answers.push((at, answer));
    }
    review.answer(answers);
}

/// What `[review]` of the configuration says. The other sections are not read here.
fn options(place: &Place) -> Result<Options, Error> {
    let path = match &place.config {
        Some(path) => path.clone(),
        None if Path::new("posthaste.toml").exists() => PathBuf::from("posthaste.toml"),
        None => return Ok(Options::default()),
    };
    let wrong = |error: &toml::de::Error| {
        Error::new(Code::InvalidConfig, error.message().to_owned())
            .field(format!("{}: review", path.display()))
    };
    let mut table: toml::Table = read(&path)?.parse().map_err(|error| wrong(&error))?;
    match table.remove("review") {
        Some(section) => section.try_into::<Config>().map_err(|error| wrong(&error))?.options(),
        None => Ok(Options::default()),
    }
}

fn tool(name: &str) -> Result<Tool, String> {
    Tool::of(name).ok_or_else(|| format!("expected one of {}", Tool::names().join(", ")))
}

/// Files as they are named; of a folder all that goes forward, by name.
fn read_files(paths: &[PathBuf]) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut found = Vec::new();
            list(path, &mut found)?;
            found.sort();
            for path in &found {
                if !goes_back(path) {
                    files.push(file(path)?);
                }
            }
            if found.is_empty() {
                return Err(Error::new(Code::InvalidFile, "the folder has no file of SQL")
                    .field(path.display().to_string())
                    .expected("files whose names end in `.sql`"));
            }
        } else {
            files.push(file(path)?);
        }
    }
    Ok(files)
}

fn list(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if path.is_dir() {
            list(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a file is the way back of another one.
fn goes_back(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "down.sql" || name.ends_with(".down.sql") || (name.starts_with('U') && name.contains("__"))
}

/// A file with what stands beside it: its way back, and the settings of its tool.
fn file(path: &Path) -> Result<File, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = |other: &str| std::fs::read(path.with_file_name(other)).ok();
    let down = if name == "up.sql" {
        beside("down.sql")
    } else if let Some(stem) = name.strip_suffix(".up.sql") {
        beside(&format!("{stem}.down.sql"))
    } else if let Some(rest) = name.strip_prefix('V').filter(|rest| rest.contains("__")) {
        beside(&format!("U{rest}"))
    } else {
        None
    };
    let settings = if name == "up.sql" { beside("metadata.toml") } else { beside(&format!("{name}.conf")) };
    let text_of = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| decoded(path, &bytes).ok());
    Ok(File {
        path: path.display().to_string(),
        text: read(path)?,
        tool: None,
        settings: text_of(settings),
        down: text_of(down),
    })
}

fn read(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    decoded(path, &bytes)
}

fn decoded(path: &Path, bytes: &[u8]) -> Result<String, Error> {
    let text = posthaste_review::decode(bytes);
    text.map(str::to_owned).map_err(|error| {
        Error::new(Code::InvalidFile, format!("line {}: {}", error.line, error.message))
            .field(path.display().to_string())
            .hint(error.hint.unwrap_or_else(|| "save it as UTF-8".to_owned()))
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::InvalidFile, error.to_string())
        .field(path.display().to_string())
        .expected("a file of SQL, or a folder of them")
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|error| {
        Error::new(Code::InvalidFile, error.to_string())
            .field(path.display().to_string())
            .expected("a file that can be written")
    })
}

/// For the forms that explain what was found.
fn rules() -> Vec<RuleText> {
    let text = |code: &str| {
        let (title, help) = posthaste_review::rules::explain(code)?;
        Some(RuleText { code: code.to_owned(), title: title.to_owned(), help: help.to_owned(), link: None })
    };
    posthaste_review::rules::codes().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_back_are_known_by_their_names() {
        let check = |name: &str, expected| assert_eq!(goes_back(Path::new(name)), expected, "{name}");
        check("a/down.sql", true);
        check("a/0001_x.down.sql", true);
        check("a/U1__x.sql", true);
        check("a/users.sql", false);
        check("a/V1__x.sql", false);
        check("a/0001_x.up.sql", false);
    }
}
