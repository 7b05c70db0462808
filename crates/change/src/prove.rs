//! Proves a plan before it runs: on scratch copies of the schema it must end where the migration ends, and its undo
//! must lead back to where it began.
//!
//! Not for: what it costs (see `posthaste_review::rollout`), and for data; the copies hold no row.

use std::collections::BTreeMap;

use posthaste_base::catalog::{Catalog, Name};
use posthaste_base::{Code, Error, Result};
use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_report::{Action, BATCH, Plan, Step};
use posthaste_review::difference::{Difference, DifferenceKind, difference};
use posthaste_review::script::Script;

use crate::scratch::Scratch;

/// What came out of the trial.
#[derive(Debug)]
pub struct Proof {
    /// Where the plan's end is not the migration's.
    pub end: Vec<Difference>,
    /// Where what is there after the undo is not what was there before.
    pub undo: Vec<Difference>,
    /// The steps that were taken back; what follows them cannot be.
    pub undone_steps: Vec<String>,
}

impl Proof {
    pub fn holds(&self) -> bool {
        self.end.is_empty() && self.undo.is_empty()
    }
}

/// Tries the migration and its plan on copies of a database that holds the schema.
pub async fn prove(scratch: &Scratch, schema: &Target, migration: &Script, plan: &Plan) -> Result<Proof> {
    let before = catalog_of(schema).await?;
    let wanted = scratch.copy_of(schema).await?;
    run_migration(&wanted, migration).await?;
    let reached = scratch.copy_of(schema).await?;
    run_steps(&reached, plan.steps()).await?;
    let mut end = difference(&catalog_of(&wanted).await?, &catalog_of(&reached).await?);
    end.extend(other_grants(&wanted, &reached).await?);

    let steps: Vec<&Step> = plan.steps().take_while(|step| can_be_undone(step)).collect();
    let back = scratch.copy_of(schema).await?;
    run_steps(&back, steps.iter().copied()).await?;
    run_undo(&back, &steps).await?;
    let mut undo = difference(&before, &catalog_of(&back).await?);
    undo.extend(other_grants(schema, &back).await?);
    Ok(Proof { end, undo, undone_steps: steps.iter().map(|step| step.id.clone()).collect() })
}

/// Up, down, up: the end must be the same both times, and what is there in between what was there before.
pub async fn round_trip(
    scratch: &Scratch,
    schema: &Target,
    up: &Script,
    down: &Script,
) -> Result<Vec<Difference>> {
    let before = catalog_of(schema).await?;
    let target = scratch.copy_of(schema).await?;
    run_migration(&target, up).await?;
    let first = catalog_of(&target).await?;
    run_migration(&target, down).await?;
    let mut differences = difference(&before, &catalog_of(&target).await?);
    run_migration(&target, up).await?;
    differences.extend(difference(&first, &catalog_of(&target).await?));
    Ok(differences)
}

fn can_be_undone(step: &Step) -> bool {
    step.needs_no_undo || !step.undo.is_empty()
}

async fn run_migration(target: &Target, script: &Script) -> Result<()> {
    let visit = visit(target).await?;
    for located in &script.statements {
        visit.batch_execute(&located.text).await.map_err(|error| {
            let place = format!("line {}, column {}", located.line, located.column);
            failed(&format!("the migration itself fails at {place}"), error)
                .hint("correct the migration at that place: it fails on this schema, whoever runs it")
        })?;
    }
    visit.close().await;
    Ok(())
}

async fn run_steps(target: &Target, steps: impl Iterator<Item = &Step>) -> Result<()> {
    let visit = visit(target).await?;
    for step in steps {
        let what = format!("step {} of the plan fails on a copy of the schema", step.id);
        let statements: Vec<&str> = match &step.action {
            Action::Transaction { statements } => statements.iter().map(String::as_str).collect(),
            Action::Alone { statement, .. } => vec![statement],
            Action::Batches(batches) => batches.statements.iter().map(String::as_str).collect(),
            // There is no row to check, and nobody to ask.
            Action::Check { .. } | Action::Manual { .. } => continue,
        };
        let is_block = matches!(step.action, Action::Transaction { .. });
        run_all(&visit, &statements, is_block).await.map_err(|error| failed(&what, error))?;
    }
    visit.close().await;
    Ok(())
}

/// Undo statements go one by one, for some of them stand outside of a transaction.
async fn run_undo(target: &Target, steps: &[&Step]) -> Result<()> {
    let visit = visit(target).await?;
    for step in steps.iter().rev() {
        let statements: Vec<&str> = step.undo.iter().map(String::as_str).collect();
        let what = format!("the undo of step {} fails on a copy of the schema", step.id);
        run_all(&visit, &statements, false).await.map_err(|error| failed(&what, error))?;
    }
    visit.close().await;
    Ok(())
}

async fn run_all(visit: &Visit, statements: &[&str], is_block: bool) -> Result<(), posthaste_pg::Error> {
    if is_block {
        visit.batch_execute("begin").await?;
    }
    for statement in statements {
        visit.batch_execute(&statement.replace(BATCH, "true")).await?;
    }
    if is_block {
        visit.batch_execute("commit").await?;
    }
    Ok(())
}

fn failed(what: &str, error: posthaste_pg::Error) -> Error {
    let error = Error::from(error);
    let failed = Error::new(Code::PlanNotProven, format!("{what}: {}", error.message()));
    match error.cause() {
        Some(cause) => failed.caused_by(cause),
        None => failed,
    }
}

/// What is on both sides, with other owners or other grants; the catalog does not hold these.
async fn other_grants(first: &Target, second: &Target) -> Result<Vec<Difference>> {
    let (first, second) = (grants_of(first).await?, grants_of(second).await?);
    let changed = first.into_iter().filter_map(|(what, from)| {
        let to = second.get(&what).filter(|to| **to != from)?.clone();
        Some(Difference { what, kind: DifferenceKind::Changed { from, to } })
    });
    Ok(changed.collect())
}

/// Of each table, view and sequence: its owner, and who may do what with it.
async fn grants_of(target: &Target) -> Result<BTreeMap<String, String>> {
    let visit = visit(target).await?;
    let rows = visit.query(include_str!("../sql/scratch/grants.sql"), &[]).await?;
    visit.close().await;
    let grants = rows.iter().map(|row| {
        let text = |column: &str| row.try_get::<_, String>(column).map_err(posthaste_pg::Error::from);
        let name = Name::new(text("schema")?, text("name")?);
        let grants = [text("owner")?, text("grants")?, text("column_grants")?].join(" ");
        Ok((format!("owner and grants of {}", name.quoted()), grants.trim_end().to_owned()))
    });
    grants.collect()
}

async fn catalog_of(target: &Target) -> Result<Catalog> {
    let visit = visit(target).await?;
    let options = CatalogOptions { has_server_functions: false, watch_ms: 0 };
    let catalog = read(&visit, &options).await?;
    visit.close().await;
    Ok(catalog)
}

async fn visit(target: &Target) -> Result<Visit> {
    let mut options = VisitOptions::named("posthaste plan");
    // On a server of our own nobody is in the way; what takes long is the statement itself.
    options.lock_timeout_ms = 10_000;
    options.statement_timeout_ms = 120_000;
    Ok(Visit::connect(target, options).await?)
}
