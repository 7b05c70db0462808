//! goose: `{version}_{name}.sql` with `-- +goose Up` and `-- +goose Down`; a transaction, unless the file says
//! `-- +goose NO TRANSACTION`.
//!
//! Source: `internal/sqlparser/parser.go`. Not for: migrations in Go, and variables of the environment.

use super::listing::Listing;
use super::sections;
use super::{Migration, Order, Problems, Source, Wrapping, numbered};

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.has_line("-- +goose Up")
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for file in listing.files.iter().filter(|file| file.ends_with(".sql")) {
        let Some((version, rest)) = numbered(file, &['_']) else {
            problems.say(file, "does not begin with a number and `_`");
            continue;
        };
        let Ok(number) = version.parse::<i64>() else {
            problems.say(file, "has a number that is too large");
            continue;
        };
        let Some(text) = listing.text(file, problems) else { continue };
        let says = |mark: &str| {
            let marks = text.lines().filter_map(|line| line.trim().strip_prefix("--"));
            marks.map(str::trim).any(|line| line.eq_ignore_ascii_case(mark))
        };
        if says("+goose ENVSUB ON") {
            problems.say(file, "takes variables of the environment, which only goose fills in");
        }
        let wrapping = if says("+goose NO TRANSACTION") { Wrapping::Nothing } else { Wrapping::Transaction };
        let (up, down) = sections::split(file, &text, "+goose Up", "+goose Down");
        let Some(up) = up else {
            problems.say(file, "has no line `-- +goose Up`");
            continue;
        };
        migrations.push(Migration {
            version: number.to_string(),
            name: rest.strip_suffix(".sql").unwrap_or(rest).to_owned(),
            up: Source { wrapping, ..up.source },
            down: down.map(|down| Source { wrapping, ..down.source }),
            is_repeatable: false,
            order: Order { numbers: vec![number.unsigned_abs()], ..Order::default() },
        });
    }
    migrations
}
