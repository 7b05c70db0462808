//! Diesel: a folder a migration, `2026-01-01-000000_name/up.sql` and `down.sql`; a transaction, unless its
//! `metadata.toml` says `run_in_transaction = false`.
//!
//! Source: `diesel_migrations/src/file_based_migrations.rs` and `migrations_internals`.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool};

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.folders.iter().any(|folder| listing.has(&format!("{folder}/up.sql")))
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for folder in &listing.folders {
        let file = format!("{folder}/up.sql");
        if !listing.has(&file) {
            problems.doubt(folder, "holds no up.sql");
            continue;
        }
        // The version is what is before the first `_`, without its dashes.
        let (version, name) = folder.split_once('_').unwrap_or((folder, ""));
        let version = version.replace('-', "");
        if version.is_empty() || !version.chars().all(|c| c.is_ascii_digit()) {
            problems.doubt(folder, "does not begin with a number or a time and `_`");
            continue;
        }
        let settings = format!("{folder}/metadata.toml");
        let settings = if listing.has(&settings) { listing.text(&settings, problems) } else { None };
        let Some(text) = listing.text(&file, problems) else { continue };
        let source = |file: &str, text: String| Source::whole(Tool::Diesel, file, text, settings.as_deref());
        let down = format!("{folder}/down.sql");
        let down = if listing.has(&down) {
            listing.text(&down, problems).map(|text| source(&down, text))
        } else {
            None
        };
        migrations.push(Migration {
            name: name.to_owned(),
            up: source(&file, text),
            down,
            kind: Kind::Once,
            order: Order { text: version.clone(), ..Order::default() },
            version,
        });
    }
    migrations
}
