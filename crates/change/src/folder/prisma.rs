//! Prisma Migrate: a folder a migration, `20260101000000_name/migration.sql`, sent as one query; there is no way back.
//!
//! Source: `schema-engine/connectors/schema-connector/src/migrations_directory.rs`.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool, numbered};

const FILE: &str = "migration.sql";

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.folders.iter().any(|folder| listing.has(&format!("{folder}/{FILE}")))
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for folder in &listing.folders {
        let file = format!("{folder}/{FILE}");
        if !listing.has(&file) {
            problems.doubt(folder, "holds no migration.sql");
            continue;
        }
        let Some((_, name)) = numbered(folder, &['_']) else {
            problems.doubt(folder, "does not begin with a time and `_`");
            continue;
        };
        let Some(text) = listing.text(&file, problems) else { continue };
        let down = format!("{folder}/down.sql");
        let down = if listing.has(&down) {
            listing.text(&down, problems).map(|text| source(&down, text))
        } else {
            None
        };
        migrations.push(Migration {
            version: folder.clone(),
            name: name.to_owned(),
            up: source(&file, text),
            down,
            kind: Kind::Once,
            // In the order of names, as the tool reads them.
            order: Order { text: folder.clone(), ..Order::default() },
        });
    }
    migrations
}

fn source(file: &str, text: String) -> Source {
    Source::whole(Tool::Prisma, file, text, None)
}
