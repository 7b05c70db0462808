//! What a form of a statement locks, as rows that a person can read: whom, in which mode, on which versions.
//!
//! Not for: who that is in a given database (the other files of the model find out), and for the rows (`forms`).

use posthaste_report::LockMode;

pub use super::forms::FORMS;

/// Whom a form reaches, seen from what the statement names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// What the statement names.
    Named,
    /// Its partitions and the tables that inherit from it, at all depths.
    Descendants,
    /// The tables that inherit from it or are its partitions, one level down.
    Children,
    /// Its partitions at all depths, and not those that only inherit.
    Partitions,
    /// All its indexes.
    Indexes,
    /// The one index that is concerned.
    Index,
    /// Indexes of other tables that are read with them.
    OtherIndexes,
    /// The table that a foreign key refers to, with its partitions.
    Referenced,
    /// The index that a foreign key relies on.
    ReferencedIndex,
    /// Tables that refer to it with a foreign key.
    Referencing,
    /// What it is a partition of, or inherits from.
    Parent,
    /// The parent's indexes.
    ParentIndexes,
    /// The default partition beside it.
    Default,
    /// The partition that is attached or detached.
    Partition,
    /// Views and materialized views that go with it.
    Dependents,
    /// Tables with a column of that domain or type.
    Users,
    /// Sequences that belong to its columns.
    Sequences,
    /// Every table that it reads.
    Read,
    /// Every table that it writes.
    Written,
}

/// A mode, on the versions in which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub whom: Whom,
    pub mode: LockMode,
    pub from: u32,
    pub to: u32,
}

/// Whether a form may run in a transaction block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    Allowed,
    Refused,
    /// Refused from that version on.
    RefusedFrom(u32),
}

/// Where a row comes from. Every one is also measured by `tests/verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A chapter of PostgreSQL's documentation.
    Documentation(&'static str),
    /// Not documented: seen on servers.
    Measured,
}

/// One form of a statement.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// As an example: `ALTER TABLE t ADD COLUMN c type`.
    pub text: &'static str,
    pub rules: &'static [Rule],
    /// What is scanned or written anew, and when, for people; code computes it.
    pub work: &'static str,
    pub block: Block,
    /// The first version that knows the form.
    pub since: u32,
    pub source: Source,
}

/// The oldest and newest version that the model speaks of.
pub const OLDEST: u32 = 12;
pub const NEWEST: u32 = 18;

impl Form {
    /// The mode for them on that version; a newer server than is known is taken for the newest.
    pub fn mode(&self, whom: Whom, version: u32) -> Option<LockMode> {
        let version = version.clamp(OLDEST, NEWEST);
        let rule = self.rules.iter().find(|r| r.whom == whom && (r.from..=r.to).contains(&version))?;
        Some(rule.mode)
    }

    pub fn may_be_in_transaction(&self, version: u32) -> bool {
        match self.block {
            Block::Allowed => true,
            Block::Refused => false,
            Block::RefusedFrom(from) => version < from,
        }
    }
}

/// A mode on every version.
pub(super) const fn always(whom: Whom, mode: LockMode) -> Rule {
    Rule { whom, mode, from: OLDEST, to: NEWEST }
}

pub(super) const fn since(from: u32, whom: Whom, mode: LockMode) -> Rule {
    Rule { whom, mode, from, to: NEWEST }
}

pub(super) const fn until(to: u32, whom: Whom, mode: LockMode) -> Rule {
    Rule { whom, mode, from: OLDEST, to }
}

pub(super) const fn between(from: u32, to: u32, whom: Whom, mode: LockMode) -> Rule {
    Rule { whom, mode, from, to }
}

impl Whom {
    /// For people, in a table of modes.
    pub fn words(self) -> &'static str {
        match self {
            Whom::Named => "what is named",
            Whom::Descendants => "partitions and inheriting tables",
            Whom::Children => "direct partitions and inheriting tables",
            Whom::Partitions => "partitions",
            Whom::Indexes => "its indexes",
            Whom::Index => "the index",
            Whom::OtherIndexes => "indexes of the other table",
            Whom::Referenced => "the referenced table",
            Whom::ReferencedIndex => "the referenced index",
            Whom::Referencing => "referencing tables",
            Whom::Parent => "the parent",
            Whom::ParentIndexes => "the parent's indexes",
            Whom::Default => "the default partition",
            Whom::Partition => "the partition",
            Whom::Dependents => "views that go with it",
            Whom::Users => "tables that use it",
            Whom::Sequences => "its sequences",
            Whom::Read => "tables that are read",
            Whom::Written => "tables that are written",
        }
    }
}
