//! The rows of the lock model, by area.
//!
//! Not for: what they reach in a given database.

pub(super) mod alter_table;
pub(super) mod objects;
pub(super) mod partitions;
pub(super) mod rows;
pub(super) mod upkeep;

use super::form::{Block, Form, OLDEST, Rule, Source};

/// Every row, by the heading under which people find it.
pub const FORMS: &[(&str, &[&Form])] = &[
    ("ALTER TABLE: columns", alter_table::COLUMNS),
    ("ALTER TABLE: constraints", alter_table::CONSTRAINTS),
    ("ALTER TABLE: the table", alter_table::TABLE),
    ("Partitions and inheritance", partitions::FORMS),
    ("Indexes", upkeep::INDEXES),
    ("Upkeep", upkeep::UPKEEP),
    ("CREATE and DROP", objects::CREATE_AND_DROP),
    ("Other objects", objects::OTHERS),
    ("Rows", rows::FORMS),
];

const CHAPTER: Source = Source::Documentation("Explicit Locking");
const ALTER_TABLE: Source = Source::Documentation("ALTER TABLE");

/// A form that has been there from the oldest version on, may run in a transaction block, and reads no rows.
const fn form(text: &'static str, rules: &'static [Rule], source: Source) -> Form {
    Form { text, rules, work: "", block: Block::Allowed, since: OLDEST, source }
}

const fn working(text: &'static str, rules: &'static [Rule], work: &'static str, source: Source) -> Form {
    Form { text, rules, work, block: Block::Allowed, since: OLDEST, source }
}
