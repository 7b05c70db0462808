//! Rails: `structure.sql`, the dump of the schema, which ends with the versions that are in it.
//!
//! Not for: the migrations themselves, which are Ruby.

use super::listing::Listing;
use super::{Base, Problems};

const FILE: &str = "structure.sql";

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.has(FILE)
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Option<Base> {
    if !listing.has(FILE) {
        problems.say(FILE, "is not there");
        return None;
    }
    let text = listing.text(FILE, problems)?;
    let versions = versions(&text);
    Some(Base { file: FILE.to_owned(), text, versions })
}

/// The values of `INSERT INTO "schema_migrations" (version) VALUES ...`, in order.
fn versions(text: &str) -> Vec<String> {
    let mark = "\"schema_migrations\" (version) VALUES";
    let Some(at) = text.find(mark) else { return Vec::new() };
    let list = text[at + mark.len()..].split(';').next().unwrap_or_default();
    let mut versions: Vec<String> = list
        .split(['(', ')', ','])
        .filter_map(|part| part.trim().strip_prefix('\'')?.strip_suffix('\''))
        .map(str::to_owned)
        .collect();
    versions.sort();
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_end_of_a_dump() {
        let text = "create table a ();\nINSERT INTO \"schema_migrations\" (version) VALUES\n('20260102'),\n('20260101');\n";
        assert_eq!(versions(text), ["20260101", "20260102"]);
        assert_eq!(versions("create table a ();"), [""; 0]);
    }
}
