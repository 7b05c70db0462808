//! Numbered files: `001_name.sql` or `001-name.sql`, and `001_name.down.sql` for the way back.
//!
//! A file is a transaction, unless it opens with `-- no-transaction` or holds a statement that must not be in one.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool, numbered};

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.files.iter().any(|name| parts(name).is_some())
}

fn parts(file: &str) -> Option<(&str, &str)> {
    numbered(file.strip_suffix(".sql")?, &['_', '-'])
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for file in listing.files.iter().filter(|file| file.ends_with(".sql")) {
        let Some((version, name)) = parts(file) else {
            problems.doubt(file, "does not begin with a number and `_`");
            continue;
        };
        if name.ends_with(".down") {
            if !listing.has(&up_of(file)) {
                problems.say(file, &format!("goes back from {}, which is not there", up_of(file)));
            }
            continue;
        }
        let name = name.strip_suffix(".up").unwrap_or(name);
        let Ok(number) = version.parse() else {
            problems.say(file, "has a number that is too large");
            continue;
        };
        let Some(up) = source(listing, file, problems) else { continue };
        let stem = file.strip_suffix(".sql").unwrap_or(file);
        let down = format!("{}.down.sql", stem.strip_suffix(".up").unwrap_or(stem));
        let down = if listing.has(&down) { source(listing, &down, problems) } else { None };
        migrations.push(Migration {
            version: version.to_owned(),
            name: name.to_owned(),
            up,
            down,
            kind: Kind::Once,
            order: Order { numbers: vec![number], ..Order::default() },
        });
    }
    migrations
}

fn up_of(down: &str) -> String {
    down.replace(".down.sql", ".sql")
}

fn source(listing: &Listing, file: &str, problems: &mut Problems) -> Option<Source> {
    let text = listing.text(file, problems)?;
    Some(Source::whole(Tool::Plain, file, text, None))
}
