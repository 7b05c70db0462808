//! dbmate: `{version}_{name}.sql` with `-- migrate:up` and `-- migrate:down`; a transaction, unless a mark says
//! `transaction:false`.
//!
//! Source: `pkg/dbmate/migration.go` and `parser.go`.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool, numbered};

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.has_line("-- migrate:up")
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for file in listing.files.iter().filter(|file| file.ends_with(".sql")) {
        let Some((version, rest)) = numbered(file, &['_']) else {
            problems.doubt(file, "does not begin with a number and `_`");
            continue;
        };
        let Some(text) = listing.text(file, problems) else { continue };
        let (up, down) = Source::sections(Tool::Dbmate, file, &text);
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
            up,
            down,
            kind: Kind::Once,
            order: Order { numbers: vec![number], ..Order::default() },
        });
    }
    migrations
}
