//! Makes plans of migrations: each with what its tool writes down, in the same transaction where there is one.
//!
//! So the tool agrees afterwards, and a kill leaves a migration applied and recorded, or neither. Not for: carrying
//! plans out (see `runner`), and for making a migration less dangerous (see the rollout planner).

use posthaste_base::quote::literal;
use posthaste_base::{Code, Error};
use posthaste_report::{Action, Phase, Plan, Step};

use crate::checksum;
use crate::folder::{Folder, Kind, Migration, Source, Tool};
use crate::history::{History, State, Status};
use crate::outline::{self, Part};

/// Of plans of migrations.
pub(crate) const KIND: &str = "migrate";

#[derive(Clone, Debug, Default)]
pub struct UpOptions {
    /// The last version to apply; all when there is none.
    pub to: Option<String>,
    pub allows_out_of_order: bool,
}

/// A plan that applies what is pending; none when nothing is.
pub fn up(
    folder: &Folder,
    history: &History,
    status: &Status,
    options: &UpOptions,
) -> Result<Option<Plan>, Error> {
    only_sql(folder.tool)?;
    if let Some(error) = status.trouble(options.allows_out_of_order) {
        return Err(error);
    }
    let mut wanted = Vec::new();
    let mut is_found = options.to.is_none();
    for (migration, entry) in folder.migrations.iter().zip(&status.migrations) {
        if matches!(entry.state, State::Pending | State::OutOfOrder) {
            wanted.push(migration);
        }
        if options.to.as_ref().is_some_and(|to| folder.is_version(migration, to)) {
            is_found = true;
            break;
        }
    }
    if !is_found {
        let to = options.to.as_deref().unwrap_or_default();
        return Err(no_version(to, "in the folder", folder.migrations.iter()));
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut phases = Vec::new();
    if !history.is_there {
        let statements = create(history);
        let step =
            Step::new("state-table", format!("make the table of {}", folder.tool), transaction(statements));
        phases.push(phase("state table", vec![step]));
    }
    for migration in &wanted {
        phases.push(forward(migration, folder, history)?);
    }
    let count = wanted.len();
    let title =
        format!("apply {count} migration{} of {}", if count == 1 { "" } else { "s" }, folder.path.display());
    Ok(Some(plan(title, phases)))
}

/// How far a folder is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// So many migrations, the last first.
    Steps(usize),
    /// To that version, which stays; `0` is the beginning.
    To(String),
}

/// A plan that takes the last migrations back; none when none is to be.
pub fn down(folder: &Folder, history: &History, status: &Status, back: &Back) -> Result<Option<Plan>, Error> {
    only_sql(folder.tool)?;
    if let Some(error) = status.trouble(true) {
        return Err(error);
    }
    let entries = folder.migrations.iter().zip(&status.migrations);
    let applied = entries.filter(|(migration, entry)| entry.is_recorded() && !migration.is_repeatable());
    let applied: Vec<&Migration> = applied.map(|(migration, _)| migration).collect();
    let first = first_to_go(folder, &applied, back)?;
    let mut phases = Vec::new();
    let mut notes = Vec::new();
    for (place, migration) in applied.iter().enumerate().skip(first).rev() {
        let Some(source) = &migration.down else {
            let message = format!("migration {} says no way back", migration.version);
            let next = "write a migration that goes on from here instead";
            let hint = match phases.is_empty() {
                true => next.to_owned(),
                false => {
                    format!("take back only what came after it, with `--to {}`, or {next}", migration.version)
                }
            };
            return Err(Error::new(Code::Conflict, message).field(migration.up.file.clone()).hint(hint));
        };
        if posthaste_review::is_empty(&source.text) {
            let file = &source.file;
            notes.push(format!(
                "the way back in {file} holds no statement: only {} changes",
                history.table.quoted()
            ));
        }
        let before = place.checked_sub(1).and_then(|place| applied.get(place)).copied();
        let statements = forget(migration, source, before, history);
        phases.push(steps(migration, source, statements, None, history)?);
    }
    let title = match (phases.len(), applied.last()) {
        (0, _) | (_, None) => return Ok(None),
        (1, Some(last)) => format!("take migration {} of {} back", last.version, folder.path.display()),
        (count, _) => format!("take {count} migrations of {} back", folder.path.display()),
    };
    Ok(Some(Plan { notes, ..plan(title, phases) }))
}

/// The place of the first that is taken back.
fn first_to_go(folder: &Folder, applied: &[&Migration], back: &Back) -> Result<usize, Error> {
    match back {
        // To take the last one back where there is none is nothing to do.
        Back::Steps(1) => Ok(applied.len().saturating_sub(1)),
        Back::Steps(count) => applied.len().checked_sub(*count).ok_or_else(|| {
            Error::new(
                Code::NotFound,
                format!("{} of the folder are applied, and not {count}", applied.len()),
            )
            .field("--steps")
            .hint("say fewer, or `--to 0` for all")
        }),
        Back::To(version) => {
            let stays = applied.iter().rposition(|migration| folder.is_version(migration, version));
            match stays {
                Some(place) => Ok(place + 1),
                None if version == "0" => Ok(0),
                None => Err(no_version(version, "applied", applied.iter().copied())),
            }
        }
    }
}

/// The nearest versions are the last ones.
fn no_version<'a>(
    version: &str,
    place: &str,
    there: impl DoubleEndedIterator<Item = &'a Migration>,
) -> Error {
    let mut last: Vec<&str> = there.rev().take(5).map(|migration| migration.version.as_str()).collect();
    last.reverse();
    let error = Error::new(Code::NotFound, format!("no version `{version}` is {place}")).field("--to");
    match last.is_empty() {
        true => error,
        false => error.expected(format!(
            "one of `posthaste migrate status`, of which the last are {}",
            last.join(", ")
        )),
    }
}

fn only_sql(tool: Tool) -> Result<(), Error> {
    match tool {
        Tool::Rails => {
            Err(Error::new(Code::Conflict, "migrations of Rails are Ruby, which only Rails can run")
                .hint("run `bin/rails db:migrate`"))
        }
        Tool::Psql | Tool::Atlas => Err(Error::new(
            Code::Conflict,
            format!("what {tool} applied is written down nowhere that is read"),
        )
        .hint("number the files (001_name.sql), or apply them with their own tool")),
        _ => Ok(()),
    }
}

fn plan(title: String, phases: Vec<Phase>) -> Plan {
    Plan {
        version: Plan::VERSION,
        title,
        kind: KIND.into(),
        database: String::new(),
        fingerprint: None,
        notes: Vec::new(),
        gates: Vec::new(),
        phases,
    }
}

fn phase(name: &str, steps: Vec<Step>) -> Phase {
    Phase {
        name: name.to_owned(),
        about: String::new(),
        compatible_with: String::new(),
        gates: Vec::new(),
        watch: Vec::new(),
        steps,
    }
}

fn transaction(statements: Vec<String>) -> Action {
    Action::Transaction { statements }
}

fn forward(migration: &Migration, folder: &Folder, history: &History) -> Result<Phase, Error> {
    let (begin, record) = record(migration, folder.tool, history);
    let place = folder.migrations.iter().position(|other| std::ptr::eq(other, migration));
    let before = place.and_then(|place| place.checked_sub(1)).and_then(|place| folder.migrations.get(place));
    let begin = (!begin.is_empty()).then(|| {
        let id = format!("{}-0", migration.version);
        let mut step = Step::new(id, format!("{}: begin", title(migration)), transaction(begin));
        // An abort before anything else is done leaves the tool's table as it was.
        step.undo = forget(migration, &migration.up, before, history);
        step
    });
    steps(migration, &migration.up, record, begin, history)
}

fn title(migration: &Migration) -> String {
    if migration.name.is_empty() {
        return migration.version.clone();
    }
    format!("{} {}", migration.version, migration.name)
}

/// The steps of one source. What is written down is part of its last transaction; `begin` is only needed where there
/// is more than one step, so that a failure between them is seen.
fn steps(
    migration: &Migration,
    source: &Source,
    record: Vec<String>,
    begin: Option<Step>,
    history: &History,
) -> Result<Phase, Error> {
    let parts = outline::parts(source)?;
    let name = title(migration);
    let id = |place: usize| format!("{}-{place}", migration.version);
    let mut steps: Vec<Step> = Vec::new();
    let is_one = parts.len() == 1 && !parts[0].is_alone;
    if !is_one {
        steps.extend(begin);
    }
    let count = parts.len();
    for (place, part) in (1..).zip(parts) {
        let title = if count == 1 { name.clone() } else { format!("{name}, part {place} of {count}") };
        steps.push(Step::new(id(place), title, action(part, history)));
    }
    match steps.last_mut().map(|step| &mut step.action) {
        Some(Action::Transaction { statements }) => statements.extend(record),
        _ => steps.push(Step::new(id(count + 1), format!("{name}: write down"), transaction(record))),
    }
    Ok(Phase { about: source.file.clone(), ..phase(&name, steps) })
}

fn action(part: Part, history: &History) -> Action {
    if !part.is_alone {
        return transaction(part.statements);
    }
    // An index is in the schema of its table, which is nearly always the first of the search path when none is said.
    let index = part.index.map(|(schema, name)| {
        let schema = schema.unwrap_or_else(|| history.current_schema.clone());
        posthaste_base::catalog::Name { schema, name }.quoted()
    });
    Action::Alone { statement: part.statements.into_iter().next().unwrap_or_default(), index }
}

/// A template without its header, and with its values.
fn filled(template: &str, history: &History, values: &[(&str, String)]) -> String {
    let lines = template.lines().filter(|line| !line.starts_with("--"));
    let mut text = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
    text = text.replace("{table}", &history.table.quoted());
    // Values may hold braces: each place is filled once, from the front.
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('{') {
        let value = values
            .iter()
            .find(|(name, _)| rest[at + 1..].strip_prefix(name).is_some_and(|r| r.starts_with('}')));
        filled.push_str(&rest[..at]);
        match value {
            Some((name, value)) => {
                filled.push_str(value);
                rest = &rest[at + name.len() + 2..];
            }
            None => {
                filled.push('{');
                rest = &rest[at + 1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Statements that make the tool's table as the tool makes it.
fn create(history: &History) -> Vec<String> {
    let templates: &[&str] = match history.tool {
        Tool::Plain => &[
            include_str!("../sql/history/plain/create_schema.sql"),
            include_str!("../sql/history/plain/create.sql"),
        ],
        Tool::Psql | Tool::Atlas => &[],
        Tool::GolangMigrate => &[include_str!("../sql/history/golang_migrate/create.sql")],
        Tool::Prisma => &[include_str!("../sql/history/prisma/create.sql")],
        Tool::Flyway => &[
            include_str!("../sql/history/flyway/create.sql"),
            include_str!("../sql/history/flyway/create_index.sql"),
        ],
        Tool::Sqlx => &[include_str!("../sql/history/sqlx/create.sql")],
        Tool::Diesel => &[include_str!("../sql/history/diesel/create.sql")],
        Tool::Dbmate | Tool::Rails => &[include_str!("../sql/history/dbmate/create.sql")],
        Tool::Goose => {
            &[include_str!("../sql/history/goose/create.sql"), include_str!("../sql/history/goose/begin.sql")]
        }
    };
    templates.iter().map(|template| filled(template, history, &[])).collect()
}

/// What the tool writes before a migration that is not one transaction, and what it writes after any.
fn record(migration: &Migration, tool: Tool, history: &History) -> (Vec<String>, Vec<String>) {
    let values = |is_dirty: bool| {
        let version = if migration.is_repeatable() { "null".to_owned() } else { literal(&migration.version) };
        vec![
            ("version", version),
            ("name", literal(&migration.name)),
            ("checksum", literal(&checksum::of(tool, migration).unwrap_or_default())),
            ("script", literal(&migration.up.file)),
            ("type", literal(if migration.kind == Kind::Baseline { "SQL_BASELINE" } else { "SQL" })),
            ("dirty", is_dirty.to_string()),
        ]
    };
    let of = |template: &str, is_dirty: bool| filled(template, history, &values(is_dirty));
    match tool {
        Tool::GolangMigrate => {
            let clear = include_str!("../sql/history/golang_migrate/clear.sql");
            let insert = include_str!("../sql/history/golang_migrate/record.sql");
            let set = |is_dirty| vec![of(clear, is_dirty), of(insert, is_dirty)];
            (set(true), set(false))
        }
        Tool::Psql | Tool::Atlas => (Vec::new(), Vec::new()),
        Tool::Plain => (Vec::new(), vec![of(include_str!("../sql/history/plain/record.sql"), false)]),
        Tool::Prisma => (Vec::new(), vec![of(include_str!("../sql/history/prisma/record.sql"), false)]),
        Tool::Flyway => (Vec::new(), vec![of(include_str!("../sql/history/flyway/record.sql"), false)]),
        Tool::Sqlx => (Vec::new(), vec![of(include_str!("../sql/history/sqlx/record.sql"), false)]),
        Tool::Diesel => (Vec::new(), vec![of(include_str!("../sql/history/diesel/record.sql"), false)]),
        Tool::Dbmate | Tool::Rails => {
            (Vec::new(), vec![of(include_str!("../sql/history/dbmate/record.sql"), false)])
        }
        Tool::Goose => (Vec::new(), vec![of(include_str!("../sql/history/goose/record.sql"), false)]),
    }
}

/// What the tool writes once a migration is taken back.
fn forget(
    migration: &Migration,
    source: &Source,
    before: Option<&Migration>,
    history: &History,
) -> Vec<String> {
    let values = |migration: &Migration| {
        vec![
            ("version", literal(&migration.version)),
            ("name", literal(&migration.name)),
            ("checksum", "null".to_owned()),
            ("script", literal(&source.file)),
            ("type", literal("UNDO_SQL")),
            ("dirty", "false".to_owned()),
        ]
    };
    let template = match history.tool {
        Tool::GolangMigrate => {
            let clear = include_str!("../sql/history/golang_migrate/clear.sql");
            let insert = include_str!("../sql/history/golang_migrate/record.sql");
            let mut statements = vec![filled(clear, history, &[])];
            statements.extend(before.map(|before| filled(insert, history, &values(before))));
            return statements;
        }
        Tool::Psql | Tool::Atlas => return Vec::new(),
        Tool::Plain => include_str!("../sql/history/plain/forget.sql"),
        Tool::Prisma => include_str!("../sql/history/prisma/forget.sql"),
        Tool::Flyway => include_str!("../sql/history/flyway/record.sql"),
        Tool::Sqlx => include_str!("../sql/history/sqlx/forget.sql"),
        Tool::Diesel => include_str!("../sql/history/diesel/forget.sql"),
        Tool::Dbmate | Tool::Rails => include_str!("../sql/history/dbmate/forget.sql"),
        Tool::Goose => include_str!("../sql/history/goose/forget.sql"),
    };
    vec![filled(template, history, &values(migration))]
}
