//! dbmate: `{version}_{name}.sql` with `-- migrate:up` and `-- migrate:down`; a transaction, unless a mark says
//! `transaction:false`.
//!
//! Source: `pkg/dbmate/migration.go` and `parser.go`.

use super::listing::Listing;
use super::sections::{self, Section};
use super::{Migration, Order, Problems, Source, Wrapping, numbered};

const UP: &str = "migrate:up";
const DOWN: &str = "migrate:down";

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.has_line("-- migrate:up")
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for file in listing.files.iter().filter(|file| file.ends_with(".sql")) {
        let Some((version, rest)) = numbered(file, &['_']) else {
            problems.say(file, "does not begin with a number and `_`");
            continue;
        };
        let Some(text) = listing.text(file, problems) else { continue };
        let (up, down) = sections::split(file, &text, UP, DOWN);
        let Some(up) = up else {
            problems.say(file, "has no line `-- migrate:up`");
            continue;
        };
        let Ok(number) = version.parse() else {
            problems.say(file, "has a number that is too large");
            continue;
        };
        migrations.push(Migration {
            version: version.to_owned(),
            name: rest.strip_suffix(".sql").unwrap_or(rest).to_owned(),
            up: source(up),
            down: down.map(source),
            is_repeatable: false,
            order: Order { numbers: vec![number], ..Order::default() },
        });
    }
    migrations
}

fn source(section: Section) -> Source {
    let is_alone = section.options.split_whitespace().any(|option| option == "transaction:false");
    let wrapping = if is_alone { Wrapping::OneQuery } else { Wrapping::Transaction };
    Source { wrapping, ..section.source }
}
