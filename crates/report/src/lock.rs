//! PostgreSQL's table locks, and which of them conflict.
//!
//! Source: "Table-Level Locks" in the chapter "Concurrency Control" of PostgreSQL's documentation.

use std::fmt;

use posthaste_base::catalog::Name;
use serde::{Deserialize, Serialize};

/// From the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockMode {
    #[serde(rename = "ACCESS SHARE")]
    AccessShare,
    #[serde(rename = "ROW SHARE")]
    RowShare,
    #[serde(rename = "ROW EXCLUSIVE")]
    RowExclusive,
    #[serde(rename = "SHARE UPDATE EXCLUSIVE")]
    ShareUpdateExclusive,
    #[serde(rename = "SHARE")]
    Share,
    #[serde(rename = "SHARE ROW EXCLUSIVE")]
    ShareRowExclusive,
    #[serde(rename = "EXCLUSIVE")]
    Exclusive,
    #[serde(rename = "ACCESS EXCLUSIVE")]
    AccessExclusive,
}

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Locked {
    Table(String),
    Index(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lock {
    pub schema: String,
    #[serde(flatten)]
    pub on: Locked,
    pub mode: LockMode,
}

impl LockMode {
    pub const ALL: [LockMode; 8] = [
        LockMode::AccessShare,
        LockMode::RowShare,
        LockMode::RowExclusive,
        LockMode::ShareUpdateExclusive,
        LockMode::Share,
        LockMode::ShareRowExclusive,
        LockMode::Exclusive,
        LockMode::AccessExclusive,
    ];

    /// As `LOCK TABLE` and the documentation write it.
    pub fn as_str(self) -> &'static str {
        match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// As `pg_locks.mode` writes it.
    pub fn of_pg_locks(text: &str) -> Option<Self> {
        let spaced = |mode: &LockMode| mode.as_str().replace(' ', "").to_lowercase() + "lock";
        Self::ALL.into_iter().find(|mode| spaced(mode) == text.to_lowercase())
    }

    pub fn conflicts_with(self, other: LockMode) -> bool {
        use LockMode::*;
        let (weak, strong) = if self <= other { (self, other) } else { (other, self) };
        match (weak, strong) {
            (AccessShare, _) => strong == AccessExclusive,
            (RowShare, _) => strong >= Exclusive,
            (RowExclusive, RowExclusive | ShareUpdateExclusive) => false,
            (Share, Share) => false,
            _ => true,
        }
    }

    /// Whether INSERT, UPDATE and DELETE wait for it.
    pub fn blocks_writes(self) -> bool {
        self.conflicts_with(LockMode::RowExclusive)
    }

    /// Whether SELECT waits for it.
    pub fn blocks_reads(self) -> bool {
        self.conflicts_with(LockMode::AccessShare)
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Lock {
    pub fn table(name: &Name, mode: LockMode) -> Self {
        Self { schema: name.schema.clone(), on: Locked::Table(name.name.clone()), mode }
    }

    pub fn index(name: &Name, mode: LockMode) -> Self {
        Self { schema: name.schema.clone(), on: Locked::Index(name.name.clone()), mode }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the documentation, a row a mode, `x` for a conflict.
    #[test]
    fn modes_conflict_as_the_documentation_says() {
        let rows =
            [".......x", "......xx", "....xxxx", "...xxxxx", "..xx.xxx", "..xxxxxx", ".xxxxxxx", "xxxxxxxx"];
        for (mode, row) in LockMode::ALL.into_iter().zip(rows) {
            for (other, cell) in LockMode::ALL.into_iter().zip(row.chars()) {
                assert_eq!(mode.conflicts_with(other), cell == 'x', "{mode} with {other}");
            }
        }
        assert_eq!(LockMode::of_pg_locks("ShareRowExclusiveLock"), Some(LockMode::ShareRowExclusive));
    }
}
