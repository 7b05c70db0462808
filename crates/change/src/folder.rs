//! Reads the folders of migration tools into one ordered list of migrations.
//!
//! Each tool has a file of its own: how it names files, what it puts around their statements, and how a file opts
//! out. Everything that is wrong with a folder is said at once. Not for: what a database has of them (`history`).

mod dbmate;
mod diesel;
mod flyway;
mod golang_migrate;
mod goose;
mod listing;
mod plain;
mod prisma;
mod rails;
mod sections;
mod sqlx;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use posthaste_base::{Code, Error, Violation};
use serde::Serialize;

use listing::Listing;

/// Who made a folder, and keeps a table of what was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Numbered files; Posthaste itself keeps the table.
    Plain,
    GolangMigrate,
    Prisma,
    Flyway,
    Sqlx,
    Diesel,
    Dbmate,
    Goose,
    /// Only its dump of the schema: the migrations themselves are Ruby.
    Rails,
}

/// What a tool puts around the statements of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrapping {
    /// All statements are one transaction.
    Transaction,
    /// The file is one query: PostgreSQL makes a transaction of more than one statement.
    OneQuery,
    /// Each statement by itself.
    Nothing,
}

/// A text to run, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Below the folder.
    pub file: String,
    pub text: String,
    /// Where the text begins in its file, from 1.
    pub first_line: u32,
    pub wrapping: Wrapping,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// As the tool's table has it.
    pub version: String,
    /// What it does, in the tool's words.
    pub name: String,
    pub up: Source,
    pub down: Option<Source>,
    /// Applied again whenever it changed, after all others.
    pub is_repeatable: bool,
    order: Order,
}

/// Numbers of a version, for tools that count; the text decides what they leave open.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    is_repeatable: bool,
    numbers: Vec<u64>,
    text: String,
}

#[derive(Clone, Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub tool: Tool,
    /// In the order in which they are applied.
    pub migrations: Vec<Migration>,
    /// A schema from which the migrations go on.
    pub base: Option<Base>,
}

/// A dump of a schema, with the versions that it says are in it.
#[derive(Clone, Debug)]
pub struct Base {
    pub file: String,
    pub text: String,
    pub versions: Vec<String>,
}

impl Tool {
    pub const ALL: [Tool; 9] = [
        Tool::Plain,
        Tool::GolangMigrate,
        Tool::Prisma,
        Tool::Flyway,
        Tool::Sqlx,
        Tool::Diesel,
        Tool::Dbmate,
        Tool::Goose,
        Tool::Rails,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Tool::Plain => "plain",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Prisma => "prisma",
            Tool::Flyway => "flyway",
            Tool::Sqlx => "sqlx",
            Tool::Diesel => "diesel",
            Tool::Dbmate => "dbmate",
            Tool::Goose => "goose",
            Tool::Rails => "rails",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Tool {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == word).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|tool| tool.as_str()).collect();
            Error::new(Code::InvalidParameter, format!("`{word}` is no tool that is known"))
                .expected(format!("one of {}", known.join(", ")))
        })
    }
}

impl Folder {
    /// Whether a migration's version is not above that one, which need not be in the folder.
    pub(crate) fn is_up_to(&self, migration: &Migration, version: &str) -> bool {
        let numbers: Option<Vec<u64>> = version.split('.').map(|number| number.parse().ok()).collect();
        match numbers {
            Some(numbers) if !migration.is_repeatable => migration.order.numbers <= numbers,
            _ => false,
        }
    }
}

/// Which tools the folder may be of, the likeliest first. Some name their files alike: then the table in the
/// database decides.
pub fn detect(path: &Path) -> Result<Vec<Tool>, Error> {
    let listing = Listing::read(path)?;
    let found: Vec<Tool> = [
        (Tool::Prisma, prisma::is_like(&listing)),
        (Tool::Diesel, diesel::is_like(&listing)),
        (Tool::Goose, goose::is_like(&listing)),
        (Tool::Dbmate, dbmate::is_like(&listing)),
        (Tool::Flyway, flyway::is_like(&listing)),
        (Tool::Sqlx, sqlx::is_like(&listing) && listing.is_beside("Cargo.toml")),
        (Tool::GolangMigrate, golang_migrate::is_like(&listing)),
        (Tool::Plain, plain::is_like(&listing)),
        (Tool::Sqlx, sqlx::is_like(&listing) && !listing.is_beside("Cargo.toml")),
        (Tool::Rails, rails::is_like(&listing)),
    ]
    .into_iter()
    .filter_map(|(tool, is_like)| is_like.then_some(tool))
    .collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::new(Code::InvalidFile, "it holds no migrations of any tool that is known")
            .field(path.display().to_string())
            .expected("numbered .sql files, or the folder of a migration tool")),
    }
}

/// Reads the folder as that tool does.
pub fn read(path: &Path, tool: Tool) -> Result<Folder, Error> {
    let listing = Listing::read(path)?;
    let mut problems = Problems::default();
    let mut base = None;
    let mut migrations = match tool {
        Tool::Plain => plain::read(&listing, &mut problems),
        Tool::GolangMigrate => golang_migrate::read(&listing, &mut problems),
        Tool::Prisma => prisma::read(&listing, &mut problems),
        Tool::Flyway => flyway::read(&listing, &mut problems),
        Tool::Sqlx => sqlx::read(&listing, &mut problems),
        Tool::Diesel => diesel::read(&listing, &mut problems),
        Tool::Dbmate => dbmate::read(&listing, &mut problems),
        Tool::Goose => goose::read(&listing, &mut problems),
        Tool::Rails => {
            base = rails::read(&listing, &mut problems);
            Vec::new()
        }
    };
    migrations.sort_by(|a, b| a.order.cmp(&b.order));
    check_versions(&migrations, tool, &mut problems);
    for migration in &migrations {
        if posthaste_review::parse(&migration.up.text).statements.is_empty() {
            problems.say(&migration.up.file, "holds no statement");
        }
    }
    problems.into_result(path)?;
    Ok(Folder { path: path.to_owned(), tool, migrations, base })
}

fn check_versions(migrations: &[Migration], tool: Tool, problems: &mut Problems) {
    let mut seen: BTreeMap<(bool, &[u64], &str), &Migration> = BTreeMap::new();
    for migration in migrations {
        // Tools that count know a version by its number, however it is written.
        let text = if migration.order.numbers.is_empty() { migration.version.as_str() } else { "" };
        let key = (migration.is_repeatable, migration.order.numbers.as_slice(), text);
        if let Some(first) = seen.insert(key, migration) {
            let message = format!("has the version {} of {}", migration.version, first.up.file);
            problems.say(&migration.up.file, &message);
        }
    }
    if matches!(tool, Tool::Plain | Tool::GolangMigrate | Tool::Sqlx | Tool::Goose | Tool::Dbmate) {
        let numbers: Vec<u64> = migrations.iter().filter_map(|m| m.order.numbers.first().copied()).collect();
        for gap in gaps(&numbers) {
            let after = migrations.iter().rev().find(|m| m.order.numbers.first().is_some_and(|n| *n < gap));
            let file = after.map_or("", |migration| migration.up.file.as_str());
            problems.say(file, &format!("is followed by no version {gap}, though later ones are there"));
        }
    }
}

/// Numbers that are missing where migrations are counted one by one; times and tens are no counting.
fn gaps(numbers: &[u64]) -> Vec<u64> {
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return Vec::new() };
    let missing = (last - first + 1).saturating_sub(numbers.len() as u64);
    if *last >= 1_000_000 || missing >= numbers.len() as u64 {
        return Vec::new();
    }
    (*first..=*last).filter(|number| numbers.binary_search(number).is_err()).collect()
}

/// What is wrong with a folder, by file.
#[derive(Debug, Default)]
struct Problems(Vec<Violation>);

impl Problems {
    fn say(&mut self, file: &str, message: &str) {
        self.0.push(Violation { pointer: file.to_owned(), message: message.to_owned() });
    }

    fn into_result(self, path: &Path) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::InvalidFile, "the folder cannot be read as migrations")
            .field(path.display().to_string())
            .violations(self.0))
    }
}

/// The number that a name begins with, and what follows behind the first of these letters.
fn numbered<'a>(name: &'a str, separators: &[char]) -> Option<(&'a str, &'a str)> {
    let end = name.find(|c: char| !c.is_ascii_digit())?;
    let rest = name[end..].strip_prefix(separators)?;
    (end > 0 && !rest.is_empty()).then_some((&name[..end], rest))
}

/// Whether the first comments of a text, before anything else, have a line of these words.
fn opens_with_mark(text: &str, mark: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with("--"))
        .any(|line| line.trim_start_matches('-').trim() == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counted_versions_have_gaps() {
        assert_eq!(gaps(&[1, 2, 4]), [3]);
        assert_eq!(gaps(&[1, 2, 3]), [0; 0]);
        assert_eq!(gaps(&[10, 20, 30]), [0; 0]);
        assert_eq!(gaps(&[20260101, 20260102, 20260104]), [0; 0]);
        assert_eq!(gaps(&[]), [0; 0]);
    }

    #[test]
    fn numbers_begin_names() {
        assert_eq!(numbered("001_init", &['_']), Some(("001", "init")));
        assert_eq!(numbered("1-init", &['_', '-']), Some(("1", "init")));
        for name in ["init", "1", "1_", "_a", "1.a"] {
            assert_eq!(numbered(name, &['_']), None, "{name}");
        }
    }
}
