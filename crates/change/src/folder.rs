//! Reads the folders of migration tools into one ordered list of migrations.
//!
//! Each tool has a file of its own: how it names files, what it puts around their statements, and how a file opts
//! out. Everything that is wrong with a folder is said at once. Not for: what a database has of them (`history`).

mod dbmate;
mod diesel;
mod environment;
mod flyway;
mod golang_migrate;
mod goose;
mod listing;
mod loose;
mod placeholder;
mod plain;
mod prisma;
mod rails;
mod sqlx;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use posthaste_base::{Code, Error, Violation};
pub use posthaste_review::transaction::{Tool, Wrapping};

use listing::Listing;
use posthaste_review::transaction::Section;

use crate::outline;

/// A text to run, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Below the folder.
    pub file: String,
    pub text: String,
    /// Where the text begins in its file, from 1.
    pub first_line: u32,
    /// What the tool puts around it, where its statements do not decide that (see [`Source::wrapping`]).
    pub wrapping: Option<Wrapping>,
    /// The text as it was before the tool filled it in, where that makes a difference.
    pub raw: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// As the tool's table has it.
    pub version: String,
    /// What it does, in the tool's words.
    pub name: String,
    pub up: Source,
    pub down: Option<Source>,
    pub kind: Kind,
    order: Order,
}

/// When a migration is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Once,
    /// Again whenever it changed, after all others.
    Repeatable,
    /// In place of all up to its version, on a database where nothing was applied yet.
    Baseline,
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
    /// What may be meant, and is no way to apply anything: gaps, names that are no version, files that say nothing.
    pub doubts: Vec<Violation>,
}

/// A dump of a schema, with the versions that it says are in it.
#[derive(Clone, Debug)]
pub struct Base {
    pub file: String,
    pub text: String,
    pub versions: Vec<String>,
}

impl Migration {
    pub fn is_repeatable(&self) -> bool {
        self.kind == Kind::Repeatable
    }
}

impl Folder {
    /// Whether a migration's version is not above that one, which need not be in the folder.
    pub(crate) fn is_up_to(&self, migration: &Migration, version: &str) -> bool {
        let numbers: Option<Vec<u64>> = version.split('.').map(|number| number.parse().ok()).collect();
        match numbers {
            Some(numbers) if !migration.is_repeatable() => migration.order.numbers <= numbers,
            _ => false,
        }
    }

    /// Whether that is how the migration's version may be written: tools that count know it by its number.
    pub(crate) fn is_version(&self, migration: &Migration, version: &str) -> bool {
        let mut numbers: Vec<u64> = version.split('.').filter_map(|number| number.parse().ok()).collect();
        let is_number = numbers.len() == version.split('.').count();
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        migration.version == version
            || (is_number && !migration.is_repeatable() && migration.order.numbers == numbers)
    }

    /// Refuses what may be meant and may not.
    pub fn sure(self) -> Result<Self, Error> {
        match self.doubts.is_empty() {
            true => Ok(self),
            false => Err(refusal(&self.path).violations(self.doubts)),
        }
    }

    /// The baseline that a database would begin with where nothing was applied: the last one.
    pub fn baseline(&self) -> Option<&Migration> {
        self.migrations.iter().rfind(|migration| migration.kind == Kind::Baseline)
    }

    /// Whether that migration comes before a baseline, which has what it makes.
    pub fn is_below(&self, migration: &Migration, baseline: &Migration) -> bool {
        migration.kind != Kind::Repeatable
            && !std::ptr::eq(migration, baseline)
            && migration.order.numbers <= baseline.order.numbers
    }
}

/// Which tools the folder may be of, the likeliest first. Some name their files alike: then the table in the
/// database decides. Files of SQL without any order are for psql.
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
        (Tool::Atlas, listing.has(loose::ATLAS)),
    ]
    .into_iter()
    .filter_map(|(tool, is_like)| is_like.then_some(tool))
    .collect();
    match found.is_empty() {
        false => Ok(found),
        true if loose::is_like(&listing) => Ok(vec![Tool::Psql]),
        true => Err(Error::new(Code::InvalidFile, "it holds no migrations of any tool that is known")
            .field(path.display().to_string())
            .expected("files of SQL, or the folder of a migration tool")),
    }
}

/// Reads the folder as that tool does, to apply what is in it: doubts are refused too.
pub fn read(path: &Path, tool: Tool) -> Result<Folder, Error> {
    look(path, tool)?.sure()
}

/// Reads the folder as that tool does, to look at what is in it.
pub fn look(path: &Path, tool: Tool) -> Result<Folder, Error> {
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
        Tool::Psql | Tool::Atlas => loose::read(&listing, tool, &mut problems),
        Tool::Rails => {
            base = rails::read(&listing, &mut problems);
            Vec::new()
        }
    };
    migrations.sort_by(|a, b| a.order.cmp(&b.order));
    check_versions(&migrations, tool, &mut problems);
    for migration in &migrations {
        if posthaste_review::is_empty(&migration.up.text) {
            problems.doubt(&migration.up.file, "holds no statement: write one, or remove the file");
        }
    }
    if problems.refused.is_empty() {
        return Ok(Folder { path: path.to_owned(), tool, migrations, base, doubts: problems.doubts });
    }
    problems.refused.append(&mut problems.doubts);
    let error = refusal(path).violations(problems.refused);
    let others = detect(path).unwrap_or_default();
    if others.is_empty() || others.contains(&tool) {
        return Err(error);
    }
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    Err(error.hint(format!(
        "by its files it is no folder of {tool}: try `--tool {}`",
        others.join("` or `--tool ")
    )))
}

fn refusal(path: &Path) -> Error {
    Error::new(Code::InvalidFile, "the folder cannot be read as migrations").field(path.display().to_string())
}

fn check_versions(migrations: &[Migration], tool: Tool, problems: &mut Problems) {
    let mut seen: BTreeMap<(&str, &[u64], &str), &Migration> = BTreeMap::new();
    for migration in migrations {
        // Tools that count know a version by its number, however it is written.
        let text = if migration.order.numbers.is_empty() { migration.version.as_str() } else { "" };
        let kind = match migration.kind {
            Kind::Once => "once",
            Kind::Repeatable => "repeatable",
            Kind::Baseline => "baseline",
        };
        let key = (kind, migration.order.numbers.as_slice(), text);
        if let Some(first) = seen.insert(key, migration) {
            let message = format!(
                "has the version {} of {}: give the one that is not applied yet another",
                migration.version, first.up.file
            );
            problems.say(&migration.up.file, &message);
        }
    }
    if matches!(tool, Tool::Plain | Tool::GolangMigrate | Tool::Sqlx | Tool::Goose | Tool::Dbmate) {
        let numbers: Vec<u64> = migrations.iter().filter_map(|m| m.order.numbers.first().copied()).collect();
        for gap in gaps(&numbers) {
            let after = migrations.iter().rev().find(|m| m.order.numbers.first().is_some_and(|n| *n < gap));
            let file = after.map_or("", |migration| migration.up.file.as_str());
            let message = format!(
                "is followed by no version {gap}, though later ones are there: add it, or number those behind it anew"
            );
            problems.doubt(file, &message);
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
struct Problems {
    refused: Vec<Violation>,
    doubts: Vec<Violation>,
}

impl Problems {
    /// The folder cannot be read.
    fn say(&mut self, file: &str, message: &str) {
        self.refused.push(Violation { pointer: file.to_owned(), message: message.to_owned() });
    }

    /// It can be read, and may not be what was meant.
    fn doubt(&mut self, file: &str, message: &str) {
        self.doubts.push(Violation { pointer: file.to_owned(), message: message.to_owned() });
    }
}

impl Source {
    /// What the tool puts around it.
    pub fn wrapping(&self) -> Wrapping {
        self.wrapping.unwrap_or_else(|| Wrapping::of_outsiders(outline::has_outsider(&self.text)))
    }

    /// A file that goes one way as a whole.
    fn whole(tool: Tool, file: &str, text: String, settings: Option<&str>) -> Self {
        let wrapping = tool.said_wrapping(&text, "", settings);
        Self { file: file.to_owned(), text, first_line: 1, wrapping, raw: None }
    }

    /// The two sections of a file, as far as they are there.
    fn sections(tool: Tool, file: &str, text: &str) -> (Option<Self>, Option<Self>) {
        let sections = tool.sections(text);
        let source = |section: Section<'_>| Self {
            wrapping: tool.said_wrapping(text, section.options, None),
            file: file.to_owned(),
            first_line: u32::try_from(text[..section.range.start].matches('\n').count() + 1)
                .unwrap_or(u32::MAX),
            text: text[section.range].to_owned(),
            raw: Some(text.to_owned()),
        };
        (sections.up.map(source), sections.down.map(source))
    }
}

/// The number that a name begins with, and what follows behind the first of these letters.
fn numbered<'a>(name: &'a str, separators: &[char]) -> Option<(&'a str, &'a str)> {
    let end = name.find(|c: char| !c.is_ascii_digit())?;
    let rest = name[end..].strip_prefix(separators)?;
    (end > 0 && !rest.is_empty()).then_some((&name[..end], rest))
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
