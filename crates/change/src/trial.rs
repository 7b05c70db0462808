//! Up, down, up: each migration and its way back are tried on a throw-away server before anybody needs them.
//!
//! The statements go as the folder's tool sends them, and the schemas in between are compared. Not for: rows that are
//! there already, since the copies hold none but those that the migrations write.

use posthaste_base::Error;
use posthaste_base::catalog::Catalog;
use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_review::difference::difference;
use serde::Serialize;

use crate::folder::{Folder, Migration, Source};
use crate::outline;
use crate::scratch::Scratch;

/// What came out of one migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    pub version: String,
    pub name: String,
    pub file: String,
    pub outcome: Outcome,
    /// What differs or fails, one line each.
    pub problems: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It leads back to where it began, and again to where it ended.
    Passed,
    /// There is none to try. It was applied, for those that follow.
    NoWayBack,
    /// The schema after the way back is not the one before, or the second end is not the first.
    Differs,
    /// A statement was refused.
    Failed,
    /// One before it could not be applied.
    NotTried,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::NoWayBack => "no way back",
            Outcome::Differs => "differs",
            Outcome::Failed => "failed",
            Outcome::NotTried => "not tried",
        }
    }

    pub fn is_trouble(self) -> bool {
        matches!(self, Outcome::Differs | Outcome::Failed | Outcome::NotTried)
    }
}

/// Tries migrations in their order, each on what those before it left of a schema.
pub async fn try_all(
    scratch: &Scratch,
    schema: &Target,
    folder: &Folder,
    wanted: impl Fn(&Migration) -> bool,
) -> Result<Vec<Trial>, Error> {
    let mut trials = Vec::new();
    let mut at = Some(schema.clone());
    for migration in folder.migrations.iter().filter(|migration| wanted(migration)) {
        let (outcome, problems) = match at.take() {
            None => (Outcome::NotTried, vec!["one before it could not be applied".to_owned()]),
            Some(start) => {
                let (outcome, problems, end) = try_one(scratch, &start, migration).await?;
                at = end;
                (outcome, problems)
            }
        };
        trials.push(Trial {
            version: migration.version.clone(),
            name: migration.name.clone(),
            file: migration.up.file.clone(),
            outcome,
            problems,
        });
    }
    Ok(trials)
}

/// What came of a migration, and the database that those after it go on from.
async fn try_one(
    scratch: &Scratch,
    start: &Target,
    migration: &Migration,
) -> Result<(Outcome, Vec<String>, Option<Target>), Error> {
    let applied = scratch.copy_of(start).await?;
    if let Err(error) = carry_out(&applied, &migration.up).await? {
        return Ok((Outcome::Failed, vec![format!("up: {error}")], None));
    }
    let Some(down) = &migration.down else { return Ok((Outcome::NoWayBack, Vec::new(), Some(applied))) };
    // The way back gets a copy of its own: those that follow go on from here, whatever comes of it.
    let trip = scratch.copy_of(&applied).await?;
    if let Err(error) = carry_out(&trip, down).await? {
        return Ok((Outcome::Failed, vec![format!("down: {error}")], Some(applied)));
    }
    let mut problems = compare("after up and down", start, &trip).await?;
    match carry_out(&trip, &migration.up).await? {
        Err(error) => problems.push(format!("up again: {error}")),
        Ok(()) => problems.extend(compare("after up, down and up", &applied, &trip).await?),
    }
    let outcome = if problems.is_empty() { Outcome::Passed } else { Outcome::Differs };
    Ok((outcome, problems, Some(applied)))
}

/// Sends a source as its tool does. The inner error is that of a statement.
async fn carry_out(target: &Target, source: &Source) -> Result<Result<(), String>, Error> {
    let parts = match outline::parts(source) {
        Ok(parts) => parts,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let visit = open(target).await?;
    let mut outcome = Ok(());
    for part in parts {
        let mut statements: Vec<&str> = part.statements.iter().map(String::as_str).collect();
        if !part.is_alone {
            statements.insert(0, "begin");
            statements.push("commit");
        }
        for statement in statements {
            if let Err(error) = visit.batch_execute(statement).await {
                let error = Error::from(error);
                let cause = error.cause().map_or_else(|| error.message().to_owned(), str::to_owned);
                outcome = Err(format!("{}: {cause}", first_line(statement)));
                break;
            }
        }
        if outcome.is_err() {
            break;
        }
    }
    visit.close().await;
    Ok(outcome)
}

fn first_line(statement: &str) -> String {
    let mut lines = statement.trim().lines();
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() { format!("{first} ...") } else { first }
}

async fn compare(when: &str, wanted: &Target, found: &Target) -> Result<Vec<String>, Error> {
    let differences = difference(&catalog_of(wanted).await?, &catalog_of(found).await?);
    Ok(differences.iter().map(|difference| format!("{when}: {difference}")).collect())
}

async fn catalog_of(target: &Target) -> Result<Catalog, Error> {
    let visit = open(target).await?;
    let catalog = read(&visit, &CatalogOptions { has_server_functions: false, watch_ms: 0 }).await?;
    visit.close().await;
    Ok(catalog)
}

async fn open(target: &Target) -> Result<Visit, Error> {
    let mut options = VisitOptions::named("posthaste migrate test");
    // On a server of our own nobody is in the way; what takes long is the statement itself.
    options.lock_timeout_ms = 10_000;
    options.statement_timeout_ms = 120_000;
    Ok(Visit::connect(target, options).await?)
}
