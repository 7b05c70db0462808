//! The tools that run migrations: how each is known by a file, which part of it goes forward, and what it puts around
//! the statements.
//!
//! This is the one place that knows. Not for: whole folders and the tables of what was applied (see
//! `posthaste_change`).

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use posthaste_base::{Code, Error};
use serde::Serialize;

use crate::config::VERSIONS;
use crate::statement::Located;

/// Who runs the files. Each sends a file in its own way, and has its own way to opt out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// `psql -f`, for a file that is of no other tool.
    #[default]
    Psql,
    /// Numbered files, which `posthaste migrate` applies.
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
    Atlas,
}

/// What is around the statements of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrapping {
    /// The tool begins a transaction before the first and commits after the last.
    Transaction,
    /// The file is sent as one query: more than one statement in it are one transaction, which PostgreSQL makes.
    OneQuery,
    /// Each statement is sent and committed by itself.
    Nothing,
}

/// A part of a file that goes forward, or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    pub range: Range<usize>,
    /// What stands behind the mark that opens it, in the same line.
    pub options: &'a str,
}

/// The parts of a file. Where a tool keeps no parts, all of it goes forward.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections<'a> {
    pub up: Option<Section<'a>>,
    pub down: Option<Section<'a>>,
}

impl Tool {
    pub const ALL: [Tool; 11] = [
        Tool::Psql,
        Tool::Plain,
        Tool::GolangMigrate,
        Tool::Prisma,
        Tool::Flyway,
        Tool::Sqlx,
        Tool::Diesel,
        Tool::Dbmate,
        Tool::Goose,
        Tool::Rails,
        Tool::Atlas,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Tool::Psql => "psql",
            Tool::Plain => "plain",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Prisma => "prisma",
            Tool::Flyway => "flyway",
            Tool::Sqlx => "sqlx",
            Tool::Diesel => "diesel",
            Tool::Dbmate => "dbmate",
            Tool::Goose => "goose",
            Tool::Rails => "rails",
            Tool::Atlas => "atlas",
        }
    }

    pub fn names() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::as_str).collect()
    }

    /// The tool that a file looks like: by the marks in it, or else by its path.
    pub fn of_file(path: &str, text: &str) -> Self {
        for (_, mark) in marks(text) {
            if mark.starts_with("+goose ") {
                return Tool::Goose;
            } else if mark.starts_with("migrate:up") {
                return Tool::Dbmate;
            } else if mark.starts_with("atlas:") {
                return Tool::Atlas;
            }
        }
        let mut parts = path.rsplit(['/', '\\']);
        let name = parts.next().unwrap_or_default();
        let folder = parts.next().unwrap_or_default();
        let is_numbered = folder.starts_with(|c: char| c.is_ascii_digit()) && folder.contains(['_', '-']);
        let is_flyway = name.starts_with(['V', 'U', 'R', 'B']) && name.contains("__");
        match name {
            "migration.sql" if is_numbered => Tool::Prisma,
            "up.sql" | "down.sql" if is_numbered => Tool::Diesel,
            "structure.sql" => Tool::Rails,
            _ if is_flyway => Tool::Flyway,
            _ if name.ends_with(".up.sql") || name.ends_with(".down.sql") => Tool::GolangMigrate,
            _ if begins_with_number(name) => Tool::Plain,
            _ => Tool::Psql,
        }
    }

    /// The parts of a file, by the lines that open them.
    pub fn sections(self, text: &str) -> Sections<'_> {
        let (up, down) = match self {
            Tool::Goose => ("+goose Up", "+goose Down"),
            Tool::Dbmate => ("migrate:up", "migrate:down"),
            _ => return Sections { up: Some(Section { range: 0..text.len(), options: "" }), down: None },
        };
        let mut sections = Sections::default();
        let mut open: Option<bool> = None;
        for (offset, mark) in marks(text) {
            let Some((is_up, options)) = [(true, up), (false, down)]
                .into_iter()
                .find_map(|(is_up, word)| Some((is_up, behind(mark, word)?)))
            else {
                continue;
            };
            sections.close(open.take(), offset);
            let place = if is_up { &mut sections.up } else { &mut sections.down };
            if place.is_none() {
                *place = Some(Section { range: offset..text.len(), options });
                open = Some(is_up);
            }
        }
        sections
    }

    /// What the tool puts around a section of a file. `has_outsiders` is whether some statement must not be in a
    /// transaction, which only some tools look for.
    pub fn wrapping(
        self,
        text: &str,
        options: &str,
        settings: Option<&str>,
        has_outsiders: impl FnOnce() -> bool,
    ) -> Wrapping {
        let said = self.said_wrapping(text, options, settings);
        said.unwrap_or_else(|| Wrapping::of_outsiders(has_outsiders()))
    }

    /// As `wrapping`; none where the statements decide. `options` are those of the section; `settings` is the file
    /// beside it that says more: Diesel's `metadata.toml`, Flyway's `.conf`.
    pub fn said_wrapping(self, text: &str, options: &str, settings: Option<&str>) -> Option<Wrapping> {
        let says = |mark: &str| marks(text).any(|(_, line)| has_words(line, mark));
        let is_off = |key: &str| settings.is_some_and(|settings| is_false(settings, key));
        Some(match self {
            Tool::Psql | Tool::Rails => Wrapping::Nothing,
            // Neither begins a transaction, and both send the whole file as one query.
            Tool::GolangMigrate | Tool::Prisma => Wrapping::OneQuery,
            // The mark must open the file; what is left is sent as one query.
            Tool::Sqlx if text.starts_with("-- no-transaction") => Wrapping::OneQuery,
            Tool::Diesel if is_off("run_in_transaction") => Wrapping::OneQuery,
            Tool::Dbmate if options.split_whitespace().any(|option| option == "transaction:false") => {
                Wrapping::OneQuery
            }
            // Goose and Atlas split the file, and send each statement by itself.
            Tool::Goose if says("+goose NO TRANSACTION") => Wrapping::Nothing,
            Tool::Atlas if says("atlas:txmode none") => Wrapping::Nothing,
            Tool::Plain if opens_with(text, "no-transaction") => Wrapping::Nothing,
            // Both look for statements that must not be in a transaction, and then make none.
            Tool::Flyway if is_off("executeInTransaction") => Wrapping::Nothing,
            Tool::Flyway | Tool::Plain => return None,
            _ => Wrapping::Transaction,
        })
    }
}

impl Wrapping {
    /// What those tools do that look for statements which must not be in a transaction.
    pub fn of_outsiders(has_outsiders: bool) -> Self {
        if has_outsiders { Self::Nothing } else { Self::Transaction }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tool {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == word).ok_or_else(|| {
            Error::new(Code::InvalidParameter, format!("`{word}` is no tool that is known"))
                .expected(format!("one of {}", Self::names().join(", ")))
        })
    }
}

impl Sections<'_> {
    /// Ends the section that was open, where the next mark stands.
    fn close(&mut self, open: Option<bool>, offset: usize) {
        let section = match open {
            Some(true) => &mut self.up,
            Some(false) => &mut self.down,
            None => return,
        };
        if let Some(section) = section {
            section.range.end = offset;
        }
    }
}

/// Whether a statement must not be in a transaction. That does not depend on what is there.
pub fn stands_alone(located: &Located) -> bool {
    let nothing = posthaste_base::catalog::Catalog::default();
    !crate::model::effects(&located.statement, &nothing, *VERSIONS.end()).may_be_in_transaction
}

/// Lines that are comments, which is where tools look for their marks: where each line begins, and what it says.
fn marks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let here = offset;
        offset += line.len();
        let mark = line.trim_start_matches('\u{feff}').trim_start().strip_prefix("--")?;
        Some((here, mark.trim()))
    })
}

/// What stands behind a mark, if the line is that mark.
fn behind<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.get(..mark.len()).filter(|start| start.eq_ignore_ascii_case(mark))?;
    let rest = &line[mark.len()..];
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest.trim())
}

/// Whether a line says these words, however many blanks are between them.
fn has_words(line: &str, mark: &str) -> bool {
    let mut words = line.split_whitespace();
    mark.split(' ').all(|wanted| words.next().is_some_and(|word| word.eq_ignore_ascii_case(wanted)))
}

/// Whether the first comments of a text, before anything else, have a line of these words.
fn opens_with(text: &str, mark: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with("--"))
        .any(|line| line.trim_start_matches('-').trim() == mark)
}

/// Whether `key = false` is a line of a settings file.
fn is_false(settings: &str, key: &str) -> bool {
    settings.lines().filter_map(|line| line.split_once('=')).any(|(name, value)| {
        name.trim() == key && value.split('#').next().unwrap_or_default().trim().eq_ignore_ascii_case("false")
    })
}

/// `001_name.sql`, `001-name.sql`.
fn begins_with_number(name: &str) -> bool {
    let rest = name.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < name.len() && rest.starts_with(['_', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_known_by_their_marks_and_names() {
        let of = |path| Tool::of_file(path, "alter table a add b int;");
        assert_eq!(of("prisma/migrations/20240101000000_init/migration.sql"), Tool::Prisma);
        assert_eq!(of("samples/migration.sql"), Tool::Psql);
        assert_eq!(of("migrations/0042_more.sql"), Tool::Plain);
        assert_eq!(of("migrations/2024-01-01-000000_init/up.sql"), Tool::Diesel);
        assert_eq!(of("migrations/000001_init.up.sql"), Tool::GolangMigrate);
        assert_eq!(of("db/V1__init.sql"), Tool::Flyway);
        assert_eq!(Tool::of_file("1.sql", "-- +goose Up\n"), Tool::Goose);
        assert_eq!(Tool::of_file("1.sql", "-- migrate:up\n"), Tool::Dbmate);
        assert_eq!(Tool::of_file("1.sql", "select '-- +goose Up';"), Tool::Psql);
    }

    #[test]
    fn each_tool_has_its_way_out() {
        let check = |tool: Tool, text: &str, settings, expected| {
            let options = tool.sections(text).up.map_or("", |up| up.options);
            assert_eq!(tool.wrapping(text, options, settings, || false), expected, "{tool:?} {text}");
        };
        for tool in Tool::ALL {
            assert_eq!(tool.as_str().parse::<Tool>().unwrap(), tool);
        }
        check(Tool::Psql, "", None, Wrapping::Nothing);
        check(Tool::Rails, "", None, Wrapping::Nothing);
        check(Tool::Plain, "select 1;", None, Wrapping::Transaction);
        check(Tool::Plain, "-- about\n-- no-transaction\nselect 1;", None, Wrapping::Nothing);
        check(Tool::Plain, "select 1;\n-- no-transaction\n", None, Wrapping::Transaction);
        check(Tool::GolangMigrate, "", None, Wrapping::OneQuery);
        check(Tool::Prisma, "", None, Wrapping::OneQuery);
        check(Tool::Sqlx, "", None, Wrapping::Transaction);
        check(Tool::Sqlx, "-- no-transaction\n", None, Wrapping::OneQuery);
        check(Tool::Sqlx, "\n-- no-transaction\n", None, Wrapping::Transaction);
        check(Tool::Dbmate, "-- migrate:up\n", None, Wrapping::Transaction);
        check(Tool::Dbmate, "-- migrate:up  transaction:false\n", None, Wrapping::OneQuery);
        check(
            Tool::Dbmate,
            "-- migrate:up\n-- migrate:down transaction:false\n",
            None,
            Wrapping::Transaction,
        );
        check(Tool::Goose, "-- +goose NO TRANSACTION\n-- +goose Up\n", None, Wrapping::Nothing);
        check(Tool::Goose, "-- +goose Up\n", None, Wrapping::Transaction);
        check(Tool::Atlas, "", None, Wrapping::Transaction);
        check(Tool::Atlas, "-- atlas:txmode none\n", None, Wrapping::Nothing);
        check(Tool::Diesel, "", None, Wrapping::Transaction);
        check(Tool::Diesel, "", Some("run_in_transaction = false # why\n"), Wrapping::OneQuery);
        check(Tool::Diesel, "", Some("run_in_transaction = true\n"), Wrapping::Transaction);
        check(Tool::Flyway, "", None, Wrapping::Transaction);
        check(Tool::Flyway, "", Some("executeInTransaction=false\n"), Wrapping::Nothing);
    }

    #[test]
    fn some_tools_look_for_what_must_stand_alone() {
        for tool in Tool::ALL {
            let expected = match tool {
                Tool::Flyway | Tool::Plain | Tool::Psql | Tool::Rails => Wrapping::Nothing,
                Tool::GolangMigrate | Tool::Prisma => Wrapping::OneQuery,
                _ => Wrapping::Transaction,
            };
            assert_eq!(tool.wrapping("", "", None, || true), expected, "{tool}");
        }
        for (text, expected) in [
            ("create index concurrently i on t (a)", true),
            ("reindex index concurrently i", true),
            ("drop index concurrently i", true),
            ("alter table t detach partition p concurrently", true),
            ("vacuum t", true),
            ("alter system set work_mem = '1MB'", true),
            ("create database d", true),
            ("create index i on t (a)", false),
            ("alter type e add value 'a'", false),
        ] {
            assert_eq!(stands_alone(&crate::parse(text).statements[0]), expected, "{text}");
        }
    }

    #[test]
    fn the_way_back_is_kept_apart() {
        let check = |tool: Tool, text: &str, up: Option<&str>, down: Option<&str>| {
            let sections = tool.sections(text);
            let of = |section: Option<Section<'_>>| section.map(|section| text[section.range].to_owned());
            assert_eq!(of(sections.up).as_deref(), up);
            assert_eq!(of(sections.down).as_deref(), down);
        };
        check(Tool::Psql, "a;\n-- +goose Down\nb;", Some("a;\n-- +goose Down\nb;"), None);
        check(Tool::Goose, "a;", None, None);
        check(
            Tool::Goose,
            "x\n-- +goose up\na;\n-- +goose Down\nb;",
            Some("-- +goose up\na;\n"),
            Some("-- +goose Down\nb;"),
        );
        check(
            Tool::Dbmate,
            "-- migrate:down\nb;\n-- migrate:up\na;",
            Some("-- migrate:up\na;"),
            Some("-- migrate:down\nb;\n"),
        );
        check(Tool::Dbmate, "-- migrate:upward\na;", None, None);
    }
}
