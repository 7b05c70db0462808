//! `posthaste review`: what a migration would do to a database, before it does.
//!
//! Not for: the rules (see `posthaste_review`).

mod files;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use posthaste_base::catalog::Catalog;
use posthaste_base::{Code, Error};
use posthaste_pg::catalog::{self as reader, CatalogOptions};
use posthaste_pg::{Target, Visit};
use posthaste_report::RuleText;
use posthaste_review::baseline::Baseline;
use posthaste_review::config::{Config, Options};
use posthaste_review::transaction::Tool;
use posthaste_review::{Answer, File, LoggedQuery, Review as Reviewed};

use crate::ask::talk;
use crate::command::catalog::load;
use crate::config::Place;
use crate::report::ReportOutput;
use crate::visit::{Address, glance};

/// Review migrations: what they lock, read, rewrite and break, against the database that is there.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste review migrations/ --database postgresql://app@db/shop\n  \
    posthaste review 0042.sql --catalog catalog.json --format github\n  \
    posthaste review 0042.sql --schema db/structure.sql\n  \
    posthaste review migrations/ --write-baseline baseline.json\n  \
    posthaste review 0042.sql --queries insights.json --fail-on medium")]
pub(crate) struct Review {
    /// Files of SQL, or folders of migration tools, in the order in which they will run.
    ///
    /// Of a folder all that its tool would apply is reviewed, as the tool would run it; with a database, only what is not
    /// applied yet.
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    address: Address,
    /// A file that `posthaste catalog export` wrote, in place of a database.
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    catalog: Option<PathBuf>,
    /// A dump of the schema that is there (`pg_dump -s`, Rails' structure.sql), in place of both: sizes stay unknown.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["database", "catalog"])]
    schema: Option<PathBuf>,
    /// Look at no database, also where the environment names one.
    #[arg(long, conflicts_with = "database")]
    offline: bool,
    /// Ask no question to the data, only read the catalog.
    #[arg(long)]
    no_probes: bool,
    /// Watch the counters for so long, to tell how much is written in a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=600))]
    watch_s: u32,
    /// The server's major version, where no database and no catalog says it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(12..=18))]
    pg_version: Option<u32>,
    /// Who runs the files: psql, plain, golang-migrate, prisma, flyway, sqlx, diesel, dbmate, goose, rails or atlas.
    ///
    /// Without it, by their marks and names, and by the table in the database. Numbered files are `plain`, which
    /// `posthaste migrate` applies: each in a transaction; other files are for psql, statement by statement.
    #[arg(long, value_name = "TOOL", value_parser = crate::command::migrate::tool)]
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
        let fail_on = options.fail_on;
        let queries = match &self.queries {
            Some(path) => posthaste_review::read_queries(&path.display().to_string(), &files::text(path)?)?,
            None => Vec::new(),
        };
        let baseline =
            self.baseline.as_deref().map(|path| Baseline::from_json(&files::text(path)?)).transpose()?;

        let mut visit = None;
        let mut catalog = self.catalog.as_deref().map(load).transpose()?;
        if let Some(target) = self.target()? {
            // What is wrong with the files is said before anything is connected to.
            files::check(&self.paths)?;
            let (opened, read) = self.look(&target).await?;
            visit = Some(opened);
            catalog = Some(read);
        }
        let mut given = files::read(&self.paths, options.tool, visit.as_ref()).await?;
        if let Some(path) = &self.schema {
            given.files.insert(0, files::base(path)?);
        }
        let mut review = judge(given.files, catalog, options, queries).await?;
        review.skip(given.skipped);
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
        self.output.unless_said(fail_on).print(&review.report(baseline.as_ref()), &rules())
    }

    /// The database, unless something else stands in its place.
    fn target(&self) -> Result<Option<Target>, Error> {
        if self.offline || self.catalog.is_some() || self.schema.is_some() {
            return Ok(None);
        }
        self.address.find()
    }

    async fn look(&self, target: &Target) -> Result<(Visit, Catalog), Error> {
        let visit = glance(target, "review").await?;
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
    let mut table: toml::Table = files::text(&path)?.parse().map_err(|error| wrong(&error))?;
    match table.remove("review") {
        Some(section) => section.try_into::<Config>().map_err(|error| wrong(&error))?.options(),
        None => Ok(Options::default()),
    }
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
