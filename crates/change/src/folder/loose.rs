//! Files of SQL that no tool here applies: for psql, or of Atlas. They can be looked at, in the order of their names.
//!
//! Not for: applying them; what was applied is nowhere that is read.

use super::listing::Listing;
use super::{Kind, Migration, Order, Problems, Source, Tool};

/// The file in which Atlas keeps its sums.
pub(super) const ATLAS: &str = "atlas.sum";

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.nested.iter().any(|path| path.ends_with(".sql"))
}

pub(super) fn read(listing: &Listing, tool: Tool, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for path in listing.nested.iter().filter(|path| path.ends_with(".sql") && !goes_back(path)) {
        let Some(text) = listing.text(path, problems) else { continue };
        let down = path.strip_suffix(".up.sql").or_else(|| path.strip_suffix(".sql"));
        let down = down.map(|stem| format!("{stem}.down.sql")).filter(|down| listing.has(down));
        let down = down.and_then(|down| {
            let text = listing.text(&down, problems)?;
            Some(Source::whole(tool, &down, text, None))
        });
        migrations.push(Migration {
            version: path.clone(),
            name: String::new(),
            up: Source::whole(tool, path, text, None),
            down,
            kind: Kind::Once,
            order: Order { text: path.clone(), ..Order::default() },
        });
    }
    migrations
}

fn goes_back(path: &str) -> bool {
    path.ends_with(".down.sql") || path.rsplit('/').next() == Some("down.sql")
}
