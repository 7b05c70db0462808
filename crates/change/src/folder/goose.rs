//! goose: `{version}_{name}.sql` with `-- +goose Up` and `-- +goose Down`; a transaction, unless the file says
//! `-- +goose NO TRANSACTION`.
//!
//! Source: `internal/sqlparser/parser.go`. Not for: migrations in Go, and variables of the environment.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool, numbered};

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.has_line("-- +goose Up")
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for file in listing.files.iter().filter(|file| file.ends_with(".sql")) {
        let Some((version, rest)) = numbered(file, &['_']) else {
            problems.doubt(file, "does not begin with a number and `_`");
            continue;
        };
        let Ok(number) = version.parse::<i64>() else {
            problems.say(file, "has a number that is too large");
            continue;
        };
        let Some(text) = listing.text(file, problems) else { continue };
        if let Some(line) = envsub(&text) {
            problems.say(
                &format!("{file}:{line}"),
                "`+goose ENVSUB ON` takes variables of the environment, which only goose fills in: write the values \
                 out in the statements, or run this one with goose",
            );
        }
        let (up, down) = Source::sections(Tool::Goose, file, &text);
        let Some(up) = up else {
            problems.say(file, "has no line `-- +goose Up`");
            continue;
        };
        migrations.push(Migration {
            version: number.to_string(),
            name: rest.strip_suffix(".sql").unwrap_or(rest).to_owned(),
            up,
            down,
            kind: Kind::Once,
            order: Order { numbers: vec![number.unsigned_abs()], ..Order::default() },
        });
    }
    migrations
}

/// The line that switches variables on.
fn envsub(text: &str) -> Option<usize> {
    let is_it = |line: &str| {
        let words: Vec<&str> = line.trim().trim_start_matches("--").split_whitespace().collect();
        line.trim_start().starts_with("--") && words.join(" ").eq_ignore_ascii_case("+goose ENVSUB ON")
    };
    text.lines().position(is_it).map(|at| at + 1)
}
