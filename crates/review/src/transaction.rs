//! Which statements of a file share a transaction: by BEGIN and COMMIT, and by the way of the tool that runs it.
//!
//! A lock is held until its transaction ends, so that a brief statement with a long one after it is not brief.
//! Not for: how long that is (see `severity`), and for finding the files of a folder.

use std::ops::Range;

use crate::comment;

/// Who runs the files. Each sends a file in its own way, and has its own way to opt out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tool {
    /// `psql -f`: each statement by itself.
    #[default]
    Plain,
    GolangMigrate,
    Prisma,
    Flyway,
    Sqlx,
    Diesel,
    Dbmate,
    Goose,
    Rails,
    Atlas,
}

/// What is around the statements of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Each statement is sent and committed by itself.
    None,
    /// The tool begins a transaction before the first and commits after the last.
    File,
    /// The file is sent as one query: more than one statement in it are one transaction, which PostgreSQL makes.
    OneQuery,
}

/// What a statement means to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Begin,
    Commit,
    Rollback,
    Other,
}

/// Statements that share a transaction, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub statements: Range<usize>,
    /// The file begins it itself.
    pub is_explicit: bool,
    /// It ends in ROLLBACK, so that it changes nothing (and locks all the same).
    pub is_rolled_back: bool,
}

/// The transactions of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    all: Vec<Transaction>,
}

impl Tool {
    const ALL: [(Tool, &'static str); 10] = [
        (Tool::Plain, "plain"),
        (Tool::GolangMigrate, "golang-migrate"),
        (Tool::Prisma, "prisma"),
        (Tool::Flyway, "flyway"),
        (Tool::Sqlx, "sqlx"),
        (Tool::Diesel, "diesel"),
        (Tool::Dbmate, "dbmate"),
        (Tool::Goose, "goose"),
        (Tool::Rails, "rails"),
        (Tool::Atlas, "atlas"),
    ];

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(tool, _)| tool)
    }

    pub fn names() -> Vec<&'static str> {
        Self::ALL.into_iter().map(|(_, name)| name).collect()
    }

    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(tool, _)| *tool == self).map_or("plain", |(_, name)| name)
    }

    /// The tool that a file looks like: by the marks in it, or else by its path.
    pub fn of_file(path: &str, text: &str) -> Self {
        for (_, comment) in comment::comments(text) {
            for line in comment::words(comment) {
                if line.starts_with("+goose ") {
                    return Tool::Goose;
                } else if line.starts_with("migrate:up") {
                    return Tool::Dbmate;
                } else if line.starts_with("atlas:") {
                    return Tool::Atlas;
                } else if line.starts_with("no-transaction") {
                    return Tool::Sqlx;
                }
            }
        }
        let mut parts = path.rsplit(['/', '\\']);
        let name = parts.next().unwrap_or_default();
        let folder = parts.next().unwrap_or_default();
        let is_numbered = folder.starts_with(|c: char| c.is_ascii_digit()) && folder.contains(['_', '-']);
        let is_flyway = name.starts_with(['V', 'U', 'R']) && name.contains("__");
        match name {
            "migration.sql" if is_numbered => Tool::Prisma,
            "up.sql" | "down.sql" if is_numbered => Tool::Diesel,
            "structure.sql" => Tool::Rails,
            _ if is_flyway => Tool::Flyway,
            _ if name.ends_with(".up.sql") || name.ends_with(".down.sql") => Tool::GolangMigrate,
            _ => Tool::Plain,
        }
    }

    /// What the tool puts around this file. `settings` is the file beside it that says more: Diesel's
    /// `metadata.toml`, Flyway's `.conf`. `has_outsiders` is whether some statement must not be in a transaction.
    pub fn wrapping(self, text: &str, settings: Option<&str>, has_outsiders: bool) -> Wrapping {
        let says = |mark: &str| comment::comments(text).iter().any(|(_, text)| has_words(text, mark));
        let setting = |key: &str| settings.is_some_and(|settings| is_false(settings, key));
        match self {
            Tool::Plain | Tool::Rails => Wrapping::None,
            // Neither begins a transaction, and both send the whole file as one query.
            Tool::GolangMigrate | Tool::Prisma => Wrapping::OneQuery,
            // The mark must open the file; what is left is sent as one query.
            Tool::Sqlx if text.starts_with("-- no-transaction") => Wrapping::OneQuery,
            Tool::Diesel if setting("run_in_transaction") => Wrapping::OneQuery,
            Tool::Dbmate if says("migrate:up transaction:false") => Wrapping::OneQuery,
            // Goose and Atlas split the file, and send each statement by itself.
            Tool::Goose if says("+goose NO TRANSACTION") => Wrapping::None,
            Tool::Atlas if says("atlas:txmode none") => Wrapping::None,
            // Flyway looks for statements that must not be in a transaction, and then makes none.
            Tool::Flyway if has_outsiders || setting("executeInTransaction") => Wrapping::None,
            _ => Wrapping::File,
        }
    }
}

/// Whether a comment says these words, however many blanks are between them.
fn has_words(comment: &str, mark: &str) -> bool {
    comment::words(comment).any(|line| {
        let mut words = line.split_whitespace();
        let mut wanted = mark.split(' ');
        let first = wanted.next();
        words.next() == first
            && wanted.all(|wanted| words.clone().any(|word| word.eq_ignore_ascii_case(wanted)))
    })
}

/// Whether `key = false` is a line of a settings file.
fn is_false(settings: &str, key: &str) -> bool {
    settings.lines().filter_map(|line| line.split_once('=')).any(|(name, value)| {
        name.trim() == key && value.split('#').next().unwrap_or_default().trim().eq_ignore_ascii_case("false")
    })
}

impl Transactions {
    /// Of statements in order, under what the tool does.
    pub fn of(controls: &[Control], wrapping: Wrapping) -> Self {
        let is_one_query = wrapping == Wrapping::OneQuery && controls.len() > 1;
        let mut all = Vec::new();
        let mut open = match wrapping {
            Wrapping::File if !controls.is_empty() => Some((0, false)),
            _ if is_one_query => Some((0, false)),
            _ => None,
        };
        for (at, control) in controls.iter().enumerate() {
            match control {
                // Inside of a transaction it only warns; in an implicit one it makes the whole an explicit one.
                Control::Begin => open = Some((open.map_or(at, |(first, _)| first), true)),
                Control::Commit | Control::Rollback => {
                    if let Some((first, is_explicit)) = open.take() {
                        let is_rolled_back = *control == Control::Rollback;
                        all.push(Transaction { statements: first..at + 1, is_explicit, is_rolled_back });
                    }
                    if is_one_query && at + 1 < controls.len() {
                        open = Some((at + 1, false));
                    }
                }
                Control::Other => {}
            }
        }
        if let Some((first, is_explicit)) = open {
            all.push(Transaction { statements: first..controls.len(), is_explicit, is_rolled_back: false });
        }
        Self { all }
    }

    /// The transaction that a statement is in; none when it is its own.
    pub fn around(&self, statement: usize) -> Option<&Transaction> {
        self.all.iter().find(|transaction| transaction.statements.contains(&statement))
    }

    pub fn all(&self) -> &[Transaction] {
        &self.all
    }
}

/// The part of a file that goes forward, and the part that goes back, for tools that keep both in one file.
pub fn sections(text: &str) -> (Range<usize>, Option<Range<usize>>) {
    let mut up = 0..text.len();
    let mut down: Option<Range<usize>> = None;
    for (offset, comment) in comment::comments(text) {
        let says = |mark: &str| has_words(comment, mark);
        if says("+goose Down") || says("migrate:down") || says("migrate:rollback") {
            up.end = up.end.min(offset);
            down = Some(offset..text.len());
        } else if says("+goose Up") || says("migrate:up") {
            if let Some(down) = down.as_mut().filter(|down| down.end == text.len() && down.start < offset) {
                down.end = offset;
                up = offset..text.len();
            } else {
                up.start = offset;
            }
        }
    }
    (up, down)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `b` BEGIN, `c` COMMIT, `r` ROLLBACK, `.` anything else; expected is a letter for each statement's transaction.
    fn check(controls: &str, wrapping: Wrapping, expected: &str) {
        let controls: Vec<Control> = controls
            .chars()
            .map(|c| match c {
                'b' => Control::Begin,
                'c' => Control::Commit,
                'r' => Control::Rollback,
                _ => Control::Other,
            })
            .collect();
        let transactions = Transactions::of(&controls, wrapping);
        let letter = |at| {
            let found = transactions.all.iter().position(|t| t.statements.contains(&at));
            found.map_or('-', |index| char::from(b'A' + u8::try_from(index).unwrap()))
        };
        assert_eq!((0..controls.len()).map(letter).collect::<String>(), expected);
    }

    #[test]
    fn begin_and_commit_make_transactions() {
        check("...", Wrapping::None, "---");
        check(".b..c.b.r", Wrapping::None, "-AAAA-BBB");
        check(".b..", Wrapping::None, "-AAA");
        check("c.", Wrapping::None, "--");
    }

    #[test]
    fn wrapping_makes_one_transaction_until_the_file_commits_itself() {
        check("...", Wrapping::File, "AAA");
        check(".b.c.", Wrapping::File, "AAAA-");
    }

    #[test]
    fn one_query_is_a_transaction_when_it_has_more_than_one_statement() {
        check(".", Wrapping::OneQuery, "-");
        check("..", Wrapping::OneQuery, "AA");
        check("b.c.", Wrapping::OneQuery, "AAAB");
    }

    #[test]
    fn tools_are_known_by_their_marks_and_names() {
        let of = |path| Tool::of_file(path, "alter table a add b int;");
        assert_eq!(of("prisma/migrations/20240101000000_init/migration.sql"), Tool::Prisma);
        assert_eq!(of("samples/migration.sql"), Tool::Plain);
        assert_eq!(of("migrations/2024-01-01-000000_init/up.sql"), Tool::Diesel);
        assert_eq!(of("migrations/000001_init.up.sql"), Tool::GolangMigrate);
        assert_eq!(of("db/V1__init.sql"), Tool::Flyway);
        assert_eq!(Tool::of_file("1.sql", "-- +goose Up\n"), Tool::Goose);
        assert_eq!(Tool::of_file("1.sql", "-- migrate:up\n"), Tool::Dbmate);
        assert_eq!(Tool::of_file("1.sql", "select '-- +goose Up';"), Tool::Plain);
    }

    #[test]
    fn each_tool_has_its_way_out() {
        let check = |tool: Tool, text: &str, settings, expected| {
            assert_eq!(tool.wrapping(text, settings, false), expected, "{tool:?} {text}");
        };
        for (_, name) in Tool::ALL {
            assert_eq!(Tool::of(name).unwrap().as_str(), name);
        }
        check(Tool::Plain, "", None, Wrapping::None);
        check(Tool::Prisma, "", None, Wrapping::OneQuery);
        check(Tool::Sqlx, "", None, Wrapping::File);
        check(Tool::Sqlx, "-- no-transaction\n", None, Wrapping::OneQuery);
        check(Tool::Sqlx, "\n-- no-transaction\n", None, Wrapping::File);
        check(Tool::Dbmate, "-- migrate:up  transaction:false\n", None, Wrapping::OneQuery);
        check(Tool::Goose, "-- +goose NO TRANSACTION\n-- +goose Up\n", None, Wrapping::None);
        check(Tool::Goose, "-- +goose Up\n", None, Wrapping::File);
        check(Tool::Atlas, "-- atlas:txmode none\n", None, Wrapping::None);
        check(Tool::Diesel, "", Some("run_in_transaction = false\n"), Wrapping::OneQuery);
        check(Tool::Diesel, "", Some("run_in_transaction = true\n"), Wrapping::File);
        check(Tool::Flyway, "", Some("executeInTransaction=false\n"), Wrapping::None);
        assert_eq!(Tool::Flyway.wrapping("", None, true), Wrapping::None);
        assert_eq!(Tool::Flyway.wrapping("", None, false), Wrapping::File);
    }

    #[test]
    fn the_way_back_is_kept_apart() {
        let check = |text: &str, up: &str, down: Option<&str>| {
            let (up_range, down_range) = sections(text);
            assert_eq!(&text[up_range], up);
            assert_eq!(down_range.map(|range| &text[range]), down);
        };
        check("a;", "a;", None);
        check("-- +goose Up\na;\n-- +goose Down\nb;", "-- +goose Up\na;\n", Some("-- +goose Down\nb;"));
        check("-- migrate:up\na;\n-- migrate:down\nb;", "-- migrate:up\na;\n", Some("-- migrate:down\nb;"));
        check("-- migrate:down\nb;\n-- migrate:up\na;", "-- migrate:up\na;", Some("-- migrate:down\nb;\n"));
    }
}
