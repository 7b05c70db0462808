//! goose: `{version}_{name}.sql` with `-- +goose Up` and `-- +goose Down`; a transaction, unless the file says
//! `-- +goose NO TRANSACTION`.
//!
//! Source: `internal/sqlparser/parser.go`. Not for: migrations in Go.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool, environment, numbered};

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
        let filled = environment::fill(&text, |name| std::env::var(name).ok());
        for (line, problem) in &filled.problems {
            problems.doubt(&format!("{file}:{line}"), problem);
        }
        let (up, down) = Source::sections(Tool::Goose, file, &filled.text);
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
