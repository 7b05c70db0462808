//! The way back from an archive: a plan that moves its rows to where they were, in batches, each proven.
//!
//! What others point to comes first. Identity values are kept, and generated columns are computed again. Not for:
//! archives that are only in a file (see `file`, which reads them into tables first).

use posthaste_base::catalog::{Catalog, Name};
use posthaste_base::{Code, Error, quote};
use posthaste_pg::{Target, Visit};
use posthaste_report::{Action, Batches, Effect, Estimate, Lock, LockMode, Plan, Step};

use super::{phase, stored, vacuum};
use crate::integrity::tables::{Table, Tables};
use crate::template::fill;
use crate::visiting::{cell, says};

/// What is brought back.
#[derive(Clone, Debug)]
pub struct Restore {
    /// What the plan of the way back is called.
    pub name: String,
    /// The plan that has moved the rows.
    pub of: String,
    /// Only rows for which this is true; all of its archives when none.
    pub condition: Option<String>,
}

/// The rows of one archive, and where they belong.
struct Return<'c, 'a> {
    table: &'c Table<'a>,
    archive: &'c Table<'a>,
    rows: i64,
}

/// Looks at the archives of a plan, and makes the plan of the way back.
pub async fn restore(target: &Target, request: &Restore) -> Result<Plan, Error> {
    let (visit, catalog) = super::visit(target).await?;
    let plan = plan_on(&visit, &catalog, request).await;
    visit.close().await;
    plan
}

async fn plan_on(visit: &Visit, catalog: &Catalog, request: &Restore) -> Result<Plan, Error> {
    if !says(visit, include_str!("../../sql/archive/is_moved.sql"), "is_moved").await? {
        return Err(super::file::nothing(&request.of));
    }
    let moved = super::moved_on(visit, &request.of).await?;
    if moved.is_empty() {
        return Err(super::file::nothing(&request.of));
    }
    let tables = Tables::of(catalog);
    let mut returns = Vec::new();
    // Children went first: they come back last.
    for one in moved.iter().rev() {
        let find = |quoted: &str| {
            super::file::find(catalog, quoted).and_then(|relation| tables.find(&relation.name))
        };
        let gone = |what: &str, hint: &str| {
            Error::new(Code::NotFound, format!("{what} is not there")).hint(hint.to_owned())
        };
        let table = find(&one.table).ok_or_else(|| gone(&one.table, "make the table again first"))?;
        let archive = find(&one.archive).ok_or_else(|| {
            gone(&one.archive, "if it was exported to a file, `posthaste archive import` reads it again")
        })?;
        let condition = request.condition.as_deref().unwrap_or("true");
        let sql = fill(
            include_str!("../../sql/archive/count.sql"),
            &[("from", &archive.from()), ("condition", condition)],
        );
        let rows: i64 = cell(&visit.query_one(&sql, &[]).await?, "rows")?;
        if request.condition.is_none() && rows > one.put {
            let message = format!(
                "{} holds {rows} rows, and plan `{}` has put {} there",
                one.archive, request.of, one.put
            );
            return Err(Error::new(Code::Conflict, message)
                .hint("say with `--where` which of them come back; `--where true` for all"));
        }
        returns.push(Return { table, archive, rows });
    }
    let condition = request.condition.as_deref().unwrap_or("true");
    let notes = returns.iter().map(|one| {
        format!(
            "{} rows of {} come back to {}.",
            one.rows,
            one.archive.name().quoted(),
            one.table.name().quoted()
        )
    });
    Ok(Plan {
        version: Plan::VERSION,
        title: request.name.clone(),
        kind: "archive".into(),
        database: catalog.server.database.clone(),
        fingerprint: None,
        notes: notes.collect(),
        gates: Vec::new(),
        phases: vec![
            phase(
                "restore",
                "Batches, each proven before it commits; what others point to comes first.",
                returns.iter().enumerate().map(|(at, one)| one.step(at, &request.name, condition)).collect(),
            ),
            phase("space", "Tables are counted anew.", returns.iter().map(|one| vacuum(one.table)).collect()),
        ],
    })
}

impl Return<'_, '_> {
    fn step(&self, at: usize, plan: &str, condition: &str) -> Step {
        let names = stored(self.table);
        let chosen: Vec<String> = names.iter().map(|name| format!("t.{}", quote::identifier(name))).collect();
        let (table, archive) = (self.table.name().quoted(), self.archive.name().quoted());
        let from = self.archive.from();
        let values = [
            ("from", from.clone()),
            ("condition", format!("({condition}) and {{batch}}")),
            ("chosen", chosen.join(", ")),
            ("columns", quote::identifiers(&names)),
            ("archive", table.clone()),
            ("plan", quote::literal(plan)),
            ("relation", quote::literal(&archive)),
            ("archive_name", quote::literal(&table)),
            ("batch", "{batch}".into()),
            ("tables", "1".into()),
        ];
        let mut values: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let move_rows = fill(include_str!("../../sql/archive/move.sql"), &values);
        let prove = fill(include_str!("../../sql/archive/prove_back.sql"), &values);
        values.retain(|(name, _)| *name != "condition");
        values.push(("condition", condition));
        let hold = fill(include_str!("../../sql/archive/hold.sql"), &values);
        let key = self.archive.primary_key().map(<[String]>::to_vec).unwrap_or_default();
        let own: &Name = self.archive.name();
        let mut batches = Batches::new(&own.schema, &own.name, key);
        batches.alias = Some("t".into());
        batches.statements = vec![hold, move_rows];
        batches.prove = Some(prove);
        batches.left = Some(fill(include_str!("../../sql/archive/count.sql"), &values));
        let mut step = Step::new(
            format!("restore-{}", at + 1),
            format!("bring rows back to {table}"),
            Action::Batches(batches),
        );
        step.effect = Effect::Scan;
        step.locks =
            [self.table, self.archive].map(|table| Lock::table(table.name(), LockMode::RowExclusive)).into();
        step.estimate = Some(Estimate { bytes: None, rows: u64::try_from(self.rows).ok(), seconds: None });
        step
    }
}
