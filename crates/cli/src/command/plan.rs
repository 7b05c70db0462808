//! `posthaste plan`: a migration becomes a rollout that disturbs nobody, proven before anybody runs it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use posthaste_base::catalog::Catalog;
use posthaste_base::{Code, Error};
use posthaste_change::job::Job;
use posthaste_change::plan::{Migration, Planned, plan};
use posthaste_change::scratch;
use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_report::plan_markdown;
use posthaste_review::rollout::compare;
use serde_json::json;

use crate::ask::talk;
use crate::command::catalog::{load, write};
use crate::failure::FINDINGS;
use crate::output;
use crate::visit::{Address, glance};

/// Turn a migration into a rollout in phases, which can be read, edited, kept in version control, and run.
///
/// The plan is proven on throw-away copies of the schema: it ends where the migration ends, and its undo leads back.
/// A statement without an online way is a step that says so, with what the outage costs, behind a step that only
/// `posthaste run --approve` answers; then the exit code is that of findings.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste plan 0042_users.sql --database postgresql://app@db/shop \\\n    \
    --out 0042.plan.toml\n  \
    posthaste plan 0042_users.sql --catalog catalog.json --schema schema.sql \\\n    \
    --format markdown\n  \
    posthaste run 0042.plan.toml --database postgresql://app@db/shop")]
pub(crate) struct Plan {
    /// The migration.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    address: Address,
    /// A file that `catalog export` wrote, where the database cannot be reached.
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    catalog: Option<PathBuf>,
    /// The schema as a script, for the proof; without it `pg_dump` asks the database for it.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Do not try the plan on a throw-away server first.
    #[arg(long)]
    no_proof: bool,
    /// Where PostgreSQL's programs are, for the proof.
    #[arg(long, value_name = "FOLDER")]
    pg_bin: Option<PathBuf>,
    /// What the plan is called; the file's name when not given.
    #[arg(long)]
    title: Option<String>,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to write the plan.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// For `--format kubernetes`: the image that has `posthaste`.
    #[arg(long, value_name = "IMAGE", default_value = "posthaste:latest")]
    image: String,
    /// For `--format kubernetes`: the Secret whose DATABASE_URL is the database's address.
    #[arg(long, value_name = "NAME", default_value = "posthaste-database")]
    secret: String,
}

/// How the plan is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// The file that `posthaste run` takes.
    #[default]
    Toml,
    /// A page for people: checklist, phases, locks, way back.
    Markdown,
    /// One document with the plan, what is not in it, and the proof.
    Json,
    /// A Job that carries it out once.
    Kubernetes,
}

impl Plan {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.file.display().to_string();
        let bytes = std::fs::read(&self.file)
            .map_err(|error| Error::new(Code::InvalidFile, error.to_string()).field(name.clone()))?;
        let migration = Migration::parse(&name, &bytes)?;
        let catalog = self.read_catalog().await?;
        let stem = self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let title = self.title.clone().or(stem).unwrap_or(name);
        let mut planned = plan(&migration, &catalog, &title, NEWEST);
        self.prove(&mut planned, &migration, &catalog).await?;
        say(&planned);
        let text = self.text(&planned)?;
        match &self.out {
            None => output::text(&text)?,
            Some(path) => write(path, &text)?,
        }
        let is_clean = planned.refusals.is_empty();
        Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
    }

    async fn read_catalog(&self) -> Result<Catalog, Error> {
        match &self.catalog {
            Some(path) => load(path),
            None => {
                let visit = glance(&self.address.target()?, "plan").await?;
                let catalog = read(&visit, &CatalogOptions::default()).await?;
                visit.close().await;
                Ok(catalog)
            }
        }
    }

    /// A plan that does not end where the migration ends is refused. One with statements missing cannot.
    async fn prove(
        &self,
        planned: &mut Planned,
        migration: &Migration,
        catalog: &Catalog,
    ) -> Result<(), Error> {
        if self.no_proof {
            talk("not proven: left out as asked");
            say_ends(planned, migration, catalog);
            return Ok(());
        }
        let Some(schema) = self.read_schema().await? else {
            talk("not proven: a catalog's file is no schema; give one with `--schema FILE`");
            say_ends(planned, migration, catalog);
            return Ok(());
        };
        planned.prove(migration, &schema, self.pg_bin.as_deref()).await?;
        let Some(proof) = &planned.proof else { return Ok(()) };
        let wrong = if planned.is_whole() { &proof.end } else { &Vec::new() };
        if wrong.is_empty() && proof.undo.is_empty() {
            talk(&format!("proven: {}", describe(planned)));
            return Ok(());
        }
        let list = |differences: &[posthaste_review::difference::Difference]| {
            differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let message = match (wrong.is_empty(), proof.undo.is_empty()) {
            (false, _) => format!("the plan does not end where the migration ends: {}", list(wrong)),
            _ => format!("the plan's undo does not lead back: {}", list(&proof.undo)),
        };
        Err(Error::new(Code::PlanNotProven, message))
    }

    async fn read_schema(&self) -> Result<Option<String>, Error> {
        match (&self.schema, &self.catalog) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
                })?;
                Ok(Some(text))
            }
            (None, None) => {
                let target = self.address.target()?;
                Ok(Some(scratch::schema_of(&target, self.pg_bin.as_deref()).await?))
            }
            (None, Some(_)) => Ok(None),
        }
    }

    fn text(&self, planned: &Planned) -> Result<String, Error> {
        match self.format {
            Form::Toml => planned.plan.to_toml(),
            Form::Markdown => Ok(plan_markdown(&planned.plan)),
            Form::Json => Ok(format!("{:#}\n", document(planned))),
            Form::Kubernetes => {
                let name = manifest_name(&planned.plan.title);
                let file = self.out.as_deref().unwrap_or(Path::new("job.yaml")).display().to_string();
                let job = Job { name, image: self.image.clone(), secret: self.secret.clone(), file };
                job.manifest(&planned.plan)
            }
        }
    }
}

/// The newest version of the server, for a catalog that does not say its own.
const NEWEST: u32 = 18;

/// Without a server, where both ends are by the catalog alone.
fn say_ends(planned: &Planned, migration: &Migration, catalog: &Catalog) {
    if !planned.is_whole() {
        return;
    }
    match compare(&migration.script, &planned.plan, catalog) {
        Ok(differences) if differences.is_empty() => {
            talk("by the catalog alone, it ends where the migration ends");
        }
        Ok(differences) => {
            let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
            talk(&format!(
                "by the catalog alone, it does not end where the migration ends: {}",
                all.join("; ")
            ));
        }
        Err(why) => talk(&format!("where it ends is not known without a server: {why}")),
    }
}

fn say(planned: &Planned) {
    for note in &planned.plan.notes {
        talk(&format!("note: {note}"));
    }
    for refusal in planned.refusals.iter().filter(|refusal| refusal.step.is_none()) {
        talk(&format!("not in the plan: {} in line {}: {}", refusal.keyword, refusal.line, refusal.why));
    }
    let steps = planned.plan.steps().count();
    let phases: Vec<String> =
        planned.plan.phases.iter().map(|phase| format!("{} {}", phase.name, phase.steps.len())).collect();
    talk(&format!("{}: {}", output::counted(steps as u64, "step"), phases.join(", ")));
}

fn describe(planned: &Planned) -> String {
    let undone = planned.proof.as_ref().map_or(0, |proof| proof.undone_steps.len());
    let steps = planned.plan.steps().count();
    let back = if undone == steps {
        "its undo leads back to the start".to_owned()
    } else {
        format!("its first {undone} of {steps} steps can be taken back")
    };
    if planned.is_whole() { format!("it ends where the migration ends, and {back}") } else { back }
}

fn document(planned: &Planned) -> serde_json::Value {
    let refusals: Vec<_> = planned
        .refusals
        .iter()
        .map(|refusal| {
            json!({
                "statement": refusal.statement,
                "line": refusal.line,
                "keyword": refusal.keyword,
                "why": refusal.why,
                "step": refusal.step,
                "locks": refusal.outage.locks,
                "outage_bytes": refusal.outage.bytes,
                "outage_seconds": refusal.outage.seconds,
                "is_rate_measured": refusal.outage.is_rate_measured,
            })
        })
        .collect();
    let proof = planned
        .proof
        .as_ref()
        .map(|proof| json!({ "holds": proof.holds(), "undone_steps": proof.undone_steps }));
    json!({ "version": 1, "tool": "plan", "plan": planned.plan, "refusals": refusals, "proof": proof })
}

/// What Kubernetes takes as a name, from the plan's title.
fn manifest_name(title: &str) -> String {
    let plain: String =
        title.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let cut: String = plain.trim_matches('-').chars().take(50).collect();
    format!("posthaste-{}", cut.trim_matches('-'))
}
