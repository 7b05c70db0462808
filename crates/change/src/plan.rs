//! A rollout, from a migration and a database: made by the planner, proven on scratch copies, reviewed like any file.
//!
//! Not for: the routes themselves (see `posthaste_review::rollout`).

use std::path::Path;

use posthaste_base::catalog::Catalog;
use posthaste_base::{Code, Error, Result, Violation};
use posthaste_report::Plan;
use posthaste_review::rollout::{Refusal, RolloutOptions, rollout};
use posthaste_review::script::Script;

use crate::prove::{Proof, prove};
use crate::scratch::Scratch;

/// A migration, read from a file.
pub struct Migration {
    /// For messages.
    pub name: String,
    pub text: String,
    pub script: Script,
}

impl Migration {
    /// Parses it; every place that is not understood is listed.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let text = posthaste_review::decode(bytes)
            .map_err(|problem| Error::new(Code::InvalidFile, problem.to_string()).field(name))?
            .to_owned();
        let script = posthaste_review::parse(&text);
        if script.errors.is_empty() {
            return Ok(Self { name: name.to_owned(), text, script });
        }
        let violations = script.errors.iter().map(|error| Violation {
            pointer: format!("{name}:{}:{}", error.line, error.column),
            message: match &error.hint {
                Some(hint) => format!("{} ({hint})", error.message),
                None => error.message.clone(),
            },
        });
        Err(Error::new(Code::InvalidFile, format!("`{name}` is not all SQL that PostgreSQL knows"))
            .field(name)
            .violations(violations.collect()))
    }
}

/// A plan, what in it has no online way, and whether it was proven.
pub struct Planned {
    pub plan: Plan,
    /// What has no online way: a step that says so, or left out.
    pub refusals: Vec<Refusal>,
    pub proof: Option<Proof>,
}

/// Makes the plan of a migration for the database whose catalog that is. `version` is the server's major version, for
/// a catalog that does not know it.
pub fn plan(migration: &Migration, catalog: &Catalog, title: &str, version: u32) -> Planned {
    let options = RolloutOptions { title: title.to_owned(), version };
    let made = rollout(&migration.script, &migration.text, catalog, &options);
    let mut plan = made.plan;
    plan.fingerprint = Some(crate::fingerprint::of_plan(catalog, &plan));
    Planned { plan, refusals: made.refusals, proof: None }
}

impl Planned {
    /// Whether every statement of the migration is in it.
    pub fn is_whole(&self) -> bool {
        self.refusals.iter().all(|refusal| refusal.step.is_some())
    }

    /// Tries it on a throw-away server. A plan that is not whole ends elsewhere, and only its undo is proven.
    pub async fn prove(&mut self, migration: &Migration, schema: &str, bin: Option<&Path>) -> Result<()> {
        let scratch = Scratch::start(bin).await?;
        let proof = match scratch.load(schema).await {
            Ok(schema) => prove(&scratch, &schema, &migration.script, &self.plan).await,
            Err(error) => Err(error),
        };
        let removed = scratch.remove().await;
        let proof = proof.map_err(|error| match error.code() {
            Code::PlanNotProven => error.field(&migration.name),
            _ => error,
        })?;
        removed?;
        self.proof = Some(proof);
        Ok(())
    }
}
