//! golang-migrate: `{version}_{title}.up.sql` and `.down.sql`, each sent as one query.
//!
//! Source: the tool's `source/parse.go` and `database/postgres`. Not for: its other databases and sources.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool, numbered};

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.files.iter().any(|name| name.ends_with(".up.sql") && numbered(name, &['_']).is_some())
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for file in listing.files.iter().filter(|file| file.ends_with(".sql")) {
        let Some((version, rest)) = numbered(file, &['_']) else {
            problems.doubt(file, "does not begin with a number and `_`");
            continue;
        };
        let Ok(number) = version.parse::<u64>() else {
            problems.say(file, "has a number that is too large");
            continue;
        };
        if let Some(stem) = file.strip_suffix(".down.sql") {
            if !listing.has(&format!("{stem}.up.sql")) {
                problems.say(file, "goes back, and there is no file of that name that goes forward");
            }
            continue;
        }
        let Some(name) = rest.strip_suffix(".up.sql") else {
            problems.doubt(file, "ends neither in .up.sql nor in .down.sql");
            continue;
        };
        let Some(up) = source(listing, file, problems) else { continue };
        let down = file.replace(".up.sql", ".down.sql");
        let down = if listing.has(&down) { source(listing, &down, problems) } else { None };
        migrations.push(Migration {
            version: number.to_string(),
            name: name.to_owned(),
            up,
            down,
            kind: Kind::Once,
            order: Order { numbers: vec![number], ..Order::default() },
        });
    }
    migrations
}

fn source(listing: &Listing, file: &str, problems: &mut Problems) -> Option<Source> {
    let text = listing.text(file, problems)?;
    Some(Source::whole(Tool::GolangMigrate, file, text, None))
}
