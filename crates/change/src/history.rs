//! What a database says was applied, from the table that each tool keeps, beside the files of the folder.
//!
//! Not for: changing either. Applying and taking back are in `migrate`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use posthaste_base::catalog::Name;
use posthaste_base::{Code, Error};
use posthaste_pg::Visit;
use serde::Serialize;

use crate::checksum;
use crate::folder::{Folder, Kind, Migration, Tool};

/// Of what counts as applied and was written down nowhere.
const BELOW: &str = "below the baseline";

/// A tool's table, as it was found.
#[derive(Clone, Debug)]
pub struct History {
    pub tool: Tool,
    /// Where it is, or would be made.
    pub table: Name,
    pub is_there: bool,
    /// Of the session that looked: where names without a schema are made.
    pub current_schema: String,
    /// The last that was written of each version.
    records: BTreeMap<String, Record>,
    /// Versions up to this one count as applied, for tools that keep only one, or that began with a baseline.
    applied_up_to: Option<String>,
}

#[derive(Clone, Debug)]
struct Record {
    name: Option<String>,
    checksum: Option<String>,
    applied_at: Option<Timestamp>,
    is_failed: bool,
    is_baseline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Applied,
    Pending,
    /// Not applied, though a later one is.
    OutOfOrder,
    /// Applied, and another text now.
    Edited,
    /// Begun, and not ended: the tool calls it dirty or failed.
    Failed,
    /// Applied, and its file is gone.
    Missing,
    /// Neither applied nor to be applied: a baseline has its place, or it is a baseline that has none.
    Unneeded,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    pub version: String,
    pub name: String,
    pub state: State,
    pub file: Option<String>,
    pub applied_at: Option<Timestamp>,
    pub note: Option<String>,
}

/// A folder beside a database.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub tool: Tool,
    /// The tool's table; not there before the first migration.
    pub table: Option<String>,
    /// In the order of the folder; those without a file last.
    pub migrations: Vec<Entry>,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Pending => "pending",
            State::OutOfOrder => "out of order",
            State::Edited => "edited",
            State::Failed => "failed",
            State::Missing => "missing",
            State::Unneeded => "unneeded",
        }
    }

    /// Whether nothing may be applied before a person has looked.
    pub fn is_trouble(self) -> bool {
        !matches!(self, State::Applied | State::Pending | State::Unneeded)
    }
}

impl History {
    /// Whether nothing was ever applied.
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.applied_up_to.is_none()
    }
}

/// The table of a tool, and its columns: another tool's of the same name has others.
fn table_of(tool: Tool) -> Option<(&'static str, &'static [&'static str])> {
    let table: (_, &[_]) = match tool {
        Tool::Plain => ("posthaste_change.migration", &["version", "name", "checksum", "applied_at"]),
        Tool::GolangMigrate => ("schema_migrations", &["version", "dirty"]),
        Tool::Prisma => {
            ("_prisma_migrations", &["migration_name", "checksum", "finished_at", "rolled_back_at"])
        }
        Tool::Flyway => {
            ("flyway_schema_history", &["installed_rank", "version", "checksum", "type", "success"])
        }
        Tool::Sqlx => ("_sqlx_migrations", &["version", "description", "success", "checksum"]),
        Tool::Diesel => ("__diesel_schema_migrations", &["version", "run_on"]),
        Tool::Dbmate | Tool::Rails => ("schema_migrations", &["version"]),
        Tool::Goose => ("goose_db_version", &["id", "version_id", "is_applied", "tstamp"]),
        Tool::Psql | Tool::Atlas => return None,
    };
    Some(table)
}

fn read_sql(tool: Tool) -> &'static str {
    match tool {
        // Neither has a table that is found.
        Tool::Psql | Tool::Atlas | Tool::Plain => include_str!("../sql/history/plain/read.sql"),
        Tool::GolangMigrate => include_str!("../sql/history/golang_migrate/read.sql"),
        Tool::Prisma => include_str!("../sql/history/prisma/read.sql"),
        Tool::Flyway => include_str!("../sql/history/flyway/read.sql"),
        Tool::Sqlx => include_str!("../sql/history/sqlx/read.sql"),
        Tool::Diesel => include_str!("../sql/history/diesel/read.sql"),
        Tool::Dbmate => include_str!("../sql/history/dbmate/read.sql"),
        Tool::Goose => include_str!("../sql/history/goose/read.sql"),
        Tool::Rails => include_str!("../sql/history/rails/read.sql"),
    }
}

/// Of tools that name their files alike, the one whose table is there; else the first.
pub async fn choose(visit: &Visit, candidates: &[Tool]) -> Result<Option<Tool>, Error> {
    for tool in candidates {
        if find(visit, *tool).await?.is_ok_and(|history| history.is_there) {
            return Ok(Some(*tool));
        }
    }
    Ok(candidates.first().copied())
}

/// Reads the tool's table, which need not be there.
pub async fn read(visit: &Visit, tool: Tool) -> Result<History, Error> {
    let mut history = find(visit, tool).await??;
    if !history.is_there {
        return Ok(history);
    }
    let sql = read_sql(tool).replace("{table}", &history.table.quoted());
    for row in visit.query(&sql, &[]).await? {
        let get = |column: &str| row.try_get::<_, Option<String>>(column).map_err(posthaste_pg::Error::from);
        let Some(version) = get("version")? else { continue };
        let applied_at = row.try_get("applied_at").map_err(posthaste_pg::Error::from)?;
        let state = get("state")?.unwrap_or_default();
        let is_baseline = state == "baseline";
        if is_baseline || tool == Tool::GolangMigrate {
            history.applied_up_to = Some(version.clone());
        }
        let is_failed = state == "failed";
        match state.as_str() {
            "undone" => drop(history.records.remove(&version)),
            // A script that was applied is kept as one, to be compared.
            "baseline" if get("checksum")?.is_none() => {}
            _ => {
                let (name, checksum) = (get("name")?, get("checksum")?);
                history
                    .records
                    .insert(version, Record { name, checksum, applied_at, is_failed, is_baseline });
            }
        }
    }
    Ok(history)
}

/// Where the table is; the inner error is about a table of that name that is not the tool's, or not to be read.
async fn find(visit: &Visit, tool: Tool) -> Result<Result<History, Error>, Error> {
    let Some((name, columns)) = table_of(tool) else {
        let message = format!("what {tool} applied is written down nowhere that is read");
        return Ok(Err(Error::new(Code::MigrationsDisagree, message)
            .hint("number the files (001_name.sql), or apply them with their own tool")));
    };
    let row = visit.query_one(include_str!("../sql/history/find.sql"), &[&name]).await?;
    let get = |column: &str| row.try_get::<_, Option<String>>(column).map_err(posthaste_pg::Error::from);
    let (found_schema, found_name) = (get("schema")?, get("name")?);
    let table = match (found_schema, found_name) {
        (Some(schema), Some(name)) => Some(Name { schema, name }),
        _ => None,
    };
    let is_there = table.is_some();
    let current_schema = get("current_schema")?.unwrap_or_else(|| "public".into());
    let table = match (table, name.split_once('.')) {
        (Some(table), _) => table,
        (None, Some((schema, name))) => Name::new(schema, name),
        (None, None) => Name::new(current_schema.clone(), name),
    };
    if is_there {
        let found: Vec<String> = row.try_get("columns").map_err(posthaste_pg::Error::from)?;
        // Only golang-migrate's has the second column.
        let is_others = matches!(tool, Tool::Dbmate | Tool::Rails) && found.iter().any(|c| c == "dirty");
        if is_others || columns.iter().any(|column| !found.iter().any(|other| other == column)) {
            let message = format!("the table {} is not one of {tool}", table.quoted());
            return Ok(Err(Error::new(Code::MigrationsDisagree, message)
                .expected(format!("the columns {}", columns.join(", ")))
                .hint("say with --tool which tool the folder is of")));
        }
        let is_readable: bool = row.try_get("is_readable").map_err(posthaste_pg::Error::from)?;
        if !is_readable {
            let message = format!("the role may not read {}", table.quoted());
            return Ok(Err(Error::new(Code::MissingRight, message).hint("grant SELECT on it")));
        }
    }
    let (records, applied_up_to) = (BTreeMap::new(), None);
    Ok(Ok(History { tool, table, is_there, current_schema, records, applied_up_to }))
}

/// The folder beside the database.
pub fn compare(folder: &Folder, history: &History) -> Status {
    let mut left = history.records.clone();
    if history.tool == Tool::GolangMigrate {
        // It keeps the last version alone; those before it have none.
        left.retain(|version, _| !folder.migrations.iter().any(|m| m.version == *version));
    }
    let mut migrations: Vec<Entry> =
        folder.migrations.iter().map(|migration| entry(migration, folder, history, &mut left)).collect();
    if let Some(base) = &folder.base {
        migrations.extend(base.versions.iter().map(|version| {
            let state = if left.remove(version).is_some() { State::Applied } else { State::Pending };
            let file = Some(base.file.clone());
            Entry { version: version.clone(), name: String::new(), state, file, applied_at: None, note: None }
        }));
    }
    // Repeatable ones come after all others, and come before none.
    let is_repeatable = |place: usize| folder.migrations.get(place).is_some_and(Migration::is_repeatable);
    let is_later = |(place, entry): (usize, &Entry)| is_applied(entry.state) && !is_repeatable(place);
    let applied = migrations.iter().enumerate().filter(|found| is_later(*found)).map(|(place, _)| place);
    let last = applied.max().unwrap_or(0);
    for (place, entry) in migrations.iter_mut().enumerate() {
        if place < last && entry.state == State::Pending && !is_repeatable(place) {
            entry.state = State::OutOfOrder;
            entry.note = Some("a later one is applied".into());
        }
    }
    migrations.extend(left.into_iter().map(|(version, record)| Entry {
        version,
        name: record.name.unwrap_or_default(),
        state: if record.is_failed { State::Failed } else { State::Missing },
        file: None,
        applied_at: record.applied_at,
        note: Some("its file is not in the folder".into()),
    }));
    let table = history.is_there.then(|| history.table.quoted());
    Status { tool: history.tool, table, migrations }
}

/// Whether a baseline is what an empty database begins with.
fn is_first(migration: &Migration, folder: &Folder, history: &History) -> bool {
    history.is_empty() && folder.baseline().is_some_and(|baseline| std::ptr::eq(baseline, migration))
}

/// Whether an empty database begins with a baseline that comes after that migration.
fn is_replaced(migration: &Migration, folder: &Folder, history: &History) -> bool {
    history.is_empty() && folder.baseline().is_some_and(|baseline| folder.is_below(migration, baseline))
}

fn is_applied(state: State) -> bool {
    matches!(state, State::Applied | State::Edited | State::Failed)
}

fn entry(
    migration: &Migration,
    folder: &Folder,
    history: &History,
    left: &mut BTreeMap<String, Record>,
) -> Entry {
    left.remove(&migration.version);
    // A baseline and a migration may be of one version, and each is written down as what it is.
    let is_same = |record: &&Record| record.is_baseline == (migration.kind == Kind::Baseline);
    let record = history.records.get(&migration.version).filter(is_same);
    let kept = record.and_then(|record| record.checksum.as_deref());
    let is_edited = kept.is_some_and(|kept| !checksum::agrees(folder.tool, migration, kept));
    let is_below = record.is_none()
        && history.applied_up_to.as_ref().is_some_and(|last| folder.is_up_to(migration, last));
    let (state, note) = match record {
        None if is_below && history.tool == Tool::GolangMigrate => (State::Applied, None),
        None if is_below => (State::Applied, Some(BELOW)),
        None if migration.kind == Kind::Baseline && !is_first(migration, folder, history) => {
            (State::Unneeded, Some("a baseline is for a database where nothing was applied"))
        }
        None if is_replaced(migration, folder, history) => {
            (State::Unneeded, Some("the baseline has what it makes"))
        }
        None => (State::Pending, None),
        Some(record) if record.is_failed => (State::Failed, Some("it was begun and did not end")),
        Some(_) if is_edited && migration.is_repeatable() => {
            (State::Pending, Some("changed since it was applied"))
        }
        Some(_) if is_edited => (State::Edited, Some("its text is another one than was applied")),
        Some(_) => (State::Applied, None),
    };
    Entry {
        version: migration.version.clone(),
        name: migration.name.clone(),
        state,
        file: Some(migration.up.file.clone()),
        applied_at: record.and_then(|record| record.applied_at),
        note: note.map(str::to_owned),
    }
}

impl Entry {
    /// Whether it was applied by itself, and not counted in with a baseline.
    pub(crate) fn is_recorded(&self) -> bool {
        self.state == State::Applied && self.note.as_deref() != Some(BELOW)
    }
}

impl Status {
    pub fn of(&self, state: State) -> impl Iterator<Item = &Entry> {
        self.migrations.iter().filter(move |entry| entry.state == state)
    }

    /// Why nothing may be applied, if so.
    pub fn trouble(&self, allows_out_of_order: bool) -> Option<Error> {
        let problems: Vec<_> = self
            .migrations
            .iter()
            .filter(|entry| entry.state.is_trouble())
            .filter(|entry| !(allows_out_of_order && entry.state == State::OutOfOrder))
            .map(|entry| posthaste_base::Violation {
                pointer: entry.version.clone(),
                message: {
                    let note = entry.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                    let file = entry.file.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
                    format!("{}{note}{file}", entry.state.as_str())
                },
            })
            .collect();
        if problems.is_empty() {
            return None;
        }
        let has = |state: State| self.of(state).next().is_some();
        let states = [State::Failed, State::Edited, State::Missing, State::OutOfOrder];
        let ways = states
            .into_iter()
            .filter(|state| has(*state) && !(allows_out_of_order && *state == State::OutOfOrder));
        let ways: Vec<String> = ways.map(|state| self.way_out(state)).collect();
        let table = self.table.as_deref().unwrap_or("the database");
        let message = format!("the folder and {table} disagree about what was applied");
        Some(Error::new(Code::MigrationsDisagree, message).hint(ways.join("; ")).violations(problems))
    }

    /// What a person does about it, and with what: nothing here judges what a failure left behind.
    fn way_out(&self, state: State) -> String {
        let table = self.table.as_deref().unwrap_or("the tool's table");
        match (state, self.tool) {
            (State::Failed, tool) => {
                let tell = match tool {
                    Tool::GolangMigrate => "`migrate force VERSION` (the last version that is whole)".to_owned(),
                    Tool::Prisma => "`prisma migrate resolve`".to_owned(),
                    Tool::Flyway => "`flyway repair`".to_owned(),
                    _ => format!("a correction of its row in {table}"),
                };
                format!("failed: take back by hand what it left behind, or finish it, then settle it with {tell}")
            }
            (State::Edited, Tool::Flyway) => {
                "edited: put back the text that was applied and write the change as a new migration, or take the new \
                 text over with `flyway repair`"
                    .to_owned()
            }
            (State::Edited, _) => {
                "edited: put back the text that was applied, and write the change as a new migration".to_owned()
            }
            (State::Missing, _) => "missing: bring its file back, from version control or from who applied it".to_owned(),
            _ => "out of order: apply it all the same with `--allow-out-of-order`, or give it a later version".to_owned(),
        }
    }
}
