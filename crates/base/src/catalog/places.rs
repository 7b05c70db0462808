//! Where in the list of relations a name was found last, so that it need not be searched for each time.
//!
//! Nothing has to be told when the list changes: what is found at a place is held against the name. Not for: what is
//! not there, which takes a search.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Relation, is_same};

/// More than the tables that the files of one review are about, and few bytes.
const SLOTS: usize = 4096;

/// A copy of a catalog begins with none.
#[derive(Default)]
pub struct Places(OnceLock<Vec<AtomicU32>>);

/// What was asked before is no part of what a catalog says.
impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

impl Clone for Places {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Places {
    pub(super) fn find(&self, relations: &[Relation], schema: &str, name: &str) -> Option<usize> {
        let slots = self.0.get_or_init(|| (0..SLOTS).map(|_| AtomicU32::new(0)).collect());
        let slot = &slots[hash(schema, name) % SLOTS];
        let is_it = |one: &Relation| is_same(&one.name.name, name) && one.name.schema == schema;
        let last = slot.load(Ordering::Relaxed) as usize;
        if relations.get(last).is_some_and(is_it) {
            return Some(last);
        }
        let found = relations.iter().position(is_it)?;
        slot.store(u32::try_from(found).unwrap_or_default(), Ordering::Relaxed);
        Some(found)
    }
}

/// FNV-1a: names are short.
fn hash(schema: &str, name: &str) -> usize {
    let bytes = schema.bytes().chain(name.bytes());
    let mixed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(mixed >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Catalog, Name, Relation};

    #[test]
    fn a_name_is_found_wherever_it_went() {
        let relation = |schema: &str, name: &str, oid| Relation {
            oid,
            name: Name::new(schema, name),
            ..Relation::default()
        };
        let mut catalog = Catalog {
            relations: vec![
                relation("public", "a", 1),
                relation("other", "a", 2),
                relation("public", "b", 3),
            ],
            search_path: vec!["public".to_owned(), "other".to_owned()],
            ..Catalog::default()
        };
        let check = |catalog: &Catalog, schema: Option<&str>, name: &str, oid: Option<u32>| {
            for _ in 0..2 {
                assert_eq!(catalog.relation(schema, name).map(|one| one.oid), oid, "{schema:?} {name}");
            }
        };
        check(&catalog, None, "a", Some(1));
        check(&catalog, Some("other"), "a", Some(2));
        check(&catalog, None, "b", Some(3));
        catalog.relations.remove(0);
        check(&catalog, None, "a", Some(2));
        check(&catalog, None, "b", Some(3));
        catalog.relations[1].name.name = "c".to_owned();
        check(&catalog, None, "b", None);
        check(&catalog, None, "c", Some(3));
        catalog.relations.push(relation("public", "b", 4));
        check(&catalog.clone(), None, "b", Some(4));
    }
}
