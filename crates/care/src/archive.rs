//! Rows that are old go to where they are kept: in batches, children first, each batch proven before it commits.
//!
//! A batch holds its rows, moves what points to them and then themselves, and commits only when the counts and
//! checksums of what was taken and of what was put down are the same. Nothing is deleted by a cascade.
//! Not for: carrying it out (see `runner`), and for whole partitions, which are detached.

mod csv;
mod family;
mod file;
mod parquet;
mod restore;

use posthaste_base::catalog::{Catalog, Name, Relation, RelationKind};
use posthaste_base::{Code, Error, quote};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_report::{Action, Batches, Effect, Estimate, Lock, LockMode, Phase, Plan, Step};
use serde::Serialize;

use crate::integrity::tables::{Table, Tables};
use crate::integrity::types::Family;
use crate::template::fill;
use crate::visiting::{cell, read_rows, reader, with_catalog};
use family::{Member, family};
pub use file::{Fault, Filed, Form, Writing, export, import};
pub use restore::{Restore, restore};

/// What is to be moved, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the plan is called, in what proves it too.
    pub name: String,
    pub table: Name,
    /// Rows of which this column is older than `before`.
    pub older: Option<Older>,
    /// Only rows for which this is true, too.
    pub condition: Option<String>,
    /// The schema in which the archive's tables are; they have the names of their tables.
    pub into: String,
    /// Whether rows that point to those that go are moved with them.
    pub with_children: bool,
}

#[derive(Clone, Debug)]
pub struct Older {
    pub column: String,
    /// As PostgreSQL reads an interval, such as `2 years`.
    pub than: String,
}

/// What a plan has moved of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub table: String,
    pub archive: String,
    pub rows: i64,
    pub put: i64,
    pub checksum: String,
}

/// Visits the database, looks at what would be moved, and makes the plan.
pub async fn plan(target: &Target, request: &Request) -> Result<Plan, Error> {
    let (visit, catalog) = visit(target).await?;
    let plan = plan_on(&visit, &catalog, request).await;
    visit.close().await;
    plan
}

/// Tables are counted, which takes its time.
async fn visit(target: &Target) -> Result<(Visit, Catalog), Error> {
    let options = VisitOptions {
        statement_timeout_ms: 600_000,
        ..VisitOptions::named("posthaste archive").read_only()
    };
    with_catalog(target, options).await
}

async fn plan_on(visit: &Visit, catalog: &Catalog, request: &Request) -> Result<Plan, Error> {
    let tables = Tables::of(catalog);
    let table = tables.find(&request.table).ok_or_else(|| {
        Error::new(Code::NotFound, format!("there is no table {}", request.table.quoted())).field("--table")
    })?;
    if table.primary_key().is_none() {
        let message = format!("{} has no primary key, by which batches could go", request.table.quoted());
        return Err(Error::new(Code::InvalidParameter, message).field("--table"));
    }
    let condition = condition(visit, table, request).await?;
    let members = family(&tables, table, &condition)?;
    let moved = if request.with_children { members.as_slice() } else { &members[members.len() - 1..] };
    let mut rows = Vec::new();
    for member in &members {
        rows.push(count(visit, member).await?);
    }
    if !request.with_children {
        refuse_children(&members, &rows)?;
    }
    for member in moved {
        fits(catalog, member.table, &archive(request, member.table))?;
    }
    let counted = moved.iter().zip(&rows[rows.len() - moved.len()..]);
    let notes = counted.map(|(member, rows)| {
        format!(
            "{rows} rows of {} go to {}.",
            member.table.name().quoted(),
            archive(request, member.table).quoted()
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
            phase("prepare", "Tables for what is archived.", vec![prepare(request, moved)]),
            phase(
                "archive",
                "Batches, each proven before it commits.",
                vec![batches(request, table, moved, &members, &rows)],
            ),
            phase(
                "space",
                "Space is given back, and tables are counted anew.",
                moved.iter().map(|m| vacuum(m.table)).collect(),
            ),
        ],
    })
}

fn phase(name: &str, about: &str, steps: Vec<Step>) -> Phase {
    let compatible_with = String::new();
    Phase {
        name: name.into(),
        about: about.into(),
        compatible_with,
        gates: Vec::new(),
        watch: Vec::new(),
        steps,
    }
}

/// The condition with a fixed time in it, so that a plan means the same whenever it runs. The server reads it first.
async fn condition(visit: &Visit, table: &Table<'_>, request: &Request) -> Result<String, Error> {
    let mut parts = Vec::new();
    if let Some(older) = &request.older {
        let column = table.column(&older.column).filter(|col| col.family.is_time()).ok_or_else(|| {
            let message =
                format!("{} has no column `{}` that is a time", request.table.quoted(), older.column);
            Error::new(Code::InvalidParameter, message).field("--column")
        })?;
        let sql = include_str!("../sql/archive/cutoff.sql");
        let row = visit.query_one(sql, &[&older.than]).await.map_err(|error| {
            let message = error.db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
            Error::new(Code::InvalidParameter, message)
                .field("--older-than")
                .expected("an interval such as `2 years`")
        })?;
        let (name, kind) = match column.family {
            Family::TimestampTz => ("zoned", "timestamptz"),
            Family::Date => ("local", "timestamp::date"),
            _ => ("local", "timestamp"),
        };
        let cutoff: String = cell(&row, name)?;
        parts.push(format!("t.{} < {}::{kind}", quote::identifier(&older.column), quote::literal(&cutoff)));
    }
    parts.extend(request.condition.as_ref().map(|condition| format!("({condition})")));
    if parts.is_empty() {
        return Err(Error::new(Code::InvalidParameter, "nothing says which rows are to be moved")
            .field("--older-than")
            .expected("`--older-than` with `--column`, or `--where`"));
    }
    let condition = parts.join(" and ");
    let sql =
        fill(include_str!("../sql/archive/count.sql"), &[("from", &table.from()), ("condition", &condition)]);
    if let Err(error) = visit.prepare(&sql).await {
        let message = error.db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
        return Err(Error::new(Code::InvalidParameter, message).field("--where"));
    }
    Ok(condition)
}

async fn count(visit: &Visit, member: &Member<'_, '_>) -> Result<i64, Error> {
    let sql = fill(
        include_str!("../sql/archive/count.sql"),
        &[("from", &member.table.from()), ("condition", &member.condition("true"))],
    );
    cell(&visit.query_one(&sql, &[]).await?, "rows")
}

/// Rows that point to those that go would be deleted by a cascade, or would stop the plan half way.
fn refuse_children(members: &[Member<'_, '_>], rows: &[i64]) -> Result<(), Error> {
    let children = &members[..members.len() - 1];
    let hit: Vec<String> = children
        .iter()
        .zip(rows)
        .filter(|(_, rows)| **rows > 0)
        .map(|(member, rows)| {
            let what = match member.on_delete.as_str() {
                "c" => "would be deleted with them, unarchived",
                "n" | "d" => "would lose what they point to",
                _ => "point to them and keep them from going",
            };
            format!("{rows} rows of {} {what}", member.table.name().quoted())
        })
        .collect();
    if hit.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::GateClosed, hit.join("; "))
        .hint("move them too, with `--with-children`, or narrow the condition"))
}

fn archive(request: &Request, table: &Table<'_>) -> Name {
    let own = table.name();
    // Tables of the same name in two schemas do not meet in the archive.
    let is_own_schema = own.schema == request.table.schema;
    let name = if is_own_schema { own.name.clone() } else { format!("{}_{}", own.schema, own.name) };
    Name::new(&request.into, name)
}

/// What does not depend on other columns of the row.
fn stored<'t>(table: &'t Table<'_>) -> Vec<&'t str> {
    let is_stored = |generated: Option<&str>| generated.is_none_or(str::is_empty);
    let columns = table.columns.iter().filter(|col| is_stored(col.column.generated.as_deref()));
    columns.map(|col| col.column.name.as_str()).collect()
}

/// An archive that is there already must be able to take the rows.
fn fits(catalog: &Catalog, table: &Table<'_>, archive: &Name) -> Result<(), Error> {
    if archive == table.name() {
        return Err(Error::new(Code::InvalidParameter, "the archive is the table itself").field("--into"));
    }
    let Some(there) = catalog.relation(Some(&archive.schema), &archive.name) else { return Ok(()) };
    let wrong = |what: String| {
        Error::new(
            Code::Conflict,
            format!("{} cannot take rows of {}: {what}", archive.quoted(), table.name().quoted()),
        )
        .hint("alter it, or name another schema with `--into`")
    };
    if !matches!(there.kind, RelationKind::Table | RelationKind::PartitionedTable) {
        return Err(wrong("it is no table".into()));
    }
    for name in stored(table) {
        let of = |relation: &Relation| {
            relation.columns.iter().find(|column| column.name == name).map(|column| column.type_name.clone())
        };
        match (of(table.relation), of(there)) {
            (_, None) => return Err(wrong(format!("it has no column `{name}`"))),
            (Some(one), Some(other)) if one != other => {
                return Err(wrong(format!("its column `{name}` is {other} and not {one}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn prepare(request: &Request, moved: &[Member<'_, '_>]) -> Step {
    let schema = |name: &str| {
        fill(include_str!("../sql/archive/create_schema.sql"), &[("name", &quote::identifier(name))])
    };
    let mut statements = vec![
        schema("posthaste_archive"),
        fill(include_str!("../sql/archive/create_moved.sql"), &[]),
        fill(include_str!("../sql/archive/create_moved_index.sql"), &[]),
        schema(&request.into),
    ];
    statements.extend(moved.iter().map(|member| {
        let values =
            [("archive", archive(request, member.table).quoted()), ("table", member.table.name().quoted())];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        fill(include_str!("../sql/archive/create_archive.sql"), &values)
    }));
    let mut step =
        Step::new("prepare", "make the tables for what is archived", Action::Transaction { statements });
    step.needs_no_undo = true;
    step
}

fn batches(
    request: &Request,
    table: &Table<'_>,
    moved: &[Member<'_, '_>],
    members: &[Member<'_, '_>],
    rows: &[i64],
) -> Step {
    let own = &members[members.len() - 1];
    // Rows that came to point to one that is to go keep it, where they are not moved.
    let left_behind = if request.with_children { String::new() } else { family::childless(members) };
    let condition = format!("{}{left_behind}", own.condition("true"));
    let hold = [("from", table.from()), ("condition", condition.clone()), ("batch", "{batch}".into())];
    let hold = hold.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut statements = vec![fill(include_str!("../sql/archive/hold.sql"), &hold)];
    statements.extend(moved.iter().map(|member| move_rows(request, member, &left_behind)));
    let plan = quote::literal(&request.name);
    let archive = archive(request, table).quoted();
    let archive_name = quote::literal(&archive);
    let prove = [
        ("plan", plan.as_str()),
        ("tables", &moved.len().to_string()),
        ("archive", &archive),
        ("archive_name", &archive_name),
        ("batch", "{batch}"),
    ];
    let left = [("from", table.from()), ("condition", condition)];
    let left = left.each_ref().map(|(name, value)| (*name, value.as_str()));
    let key = table.primary_key().map(<[String]>::to_vec).unwrap_or_default();
    let mut batches = Batches::new(&request.table.schema, &request.table.name, key);
    batches.alias = Some("t".into());
    batches.statements = statements;
    batches.prove = Some(fill(include_str!("../sql/archive/prove.sql"), &prove));
    batches.left = Some(fill(include_str!("../sql/archive/count.sql"), &left));
    let title = format!("move rows of {}", request.table.quoted());
    let mut step = Step::new("move", title, Action::Batches(batches));
    step.effect = Effect::Scan;
    step.locks =
        moved.iter().map(|member| Lock::table(member.table.name(), LockMode::RowExclusive)).collect();
    step.estimate = Some(Estimate {
        bytes: None,
        rows: rows.last().and_then(|rows| u64::try_from(*rows).ok()),
        seconds: None,
    });
    step
}

fn move_rows(request: &Request, member: &Member<'_, '_>, left_behind: &str) -> String {
    let names = stored(member.table);
    let chosen: Vec<String> = names.iter().map(|name| format!("t.{}", quote::identifier(name))).collect();
    let is_own = member.on_delete.is_empty();
    let condition = format!("{}{}", member.condition("{batch}"), if is_own { left_behind } else { "" });
    let archive = archive(request, member.table);
    let values = [
        ("from", member.table.from()),
        ("condition", condition),
        ("chosen", chosen.join(", ")),
        ("columns", quote::identifiers(&names)),
        ("archive", archive.quoted()),
        ("plan", quote::literal(&request.name)),
        ("relation", quote::literal(&member.table.name().quoted())),
        ("archive_name", quote::literal(&archive.quoted())),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    fill(include_str!("../sql/archive/move.sql"), &values)
}

fn vacuum(table: &Table<'_>) -> Step {
    let statement = fill(include_str!("../sql/archive/vacuum.sql"), &[("table", &table.name().quoted())]);
    let id = format!("space-{}-{}", table.name().schema, table.name().name);
    let mut step = Step::new(
        id,
        format!("give the space of {} back", table.name().quoted()),
        Action::Alone { statement, index: None },
    );
    step.effect = Effect::Scan;
    step.locks = vec![Lock::table(table.name(), LockMode::ShareUpdateExclusive)];
    step.needs_no_undo = true;
    step
}

/// What a plan has moved so far, and the proof of it.
pub async fn moved(target: &Target, plan: &str) -> Result<Vec<Moved>, Error> {
    let visit = reader(target, "posthaste archive").await?;
    moved_on(&visit, plan).await
}

async fn moved_on(visit: &Visit, plan: &str) -> Result<Vec<Moved>, Error> {
    let rows = visit.query(include_str!("../sql/archive/totals.sql"), &[&plan]).await?;
    read_rows(&rows, |row| {
        Ok(Moved {
            table: row.try_get("relation")?,
            archive: row.try_get("archive")?,
            rows: row.try_get("rows")?,
            put: row.try_get("put")?,
            checksum: row.try_get("checksum")?,
        })
    })
}
