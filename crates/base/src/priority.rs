//! How urgent an event is; each priority has its own queue.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Code, Error};

/// Ordered by urgency: `Critical` is the smallest, so that sorting puts it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    Critical,
    High,
    Normal,
    Low,
}

impl Priority {
    pub const ALL: [Priority; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Normal => "NORMAL",
            Self::Low => "LOW",
        }
    }

    /// The number under which the database keeps it: 0 is the most urgent.
    pub fn rank(self) -> i16 {
        self as i16
    }

    pub fn from_rank(rank: i16) -> Option<Self> {
        usize::try_from(rank).ok().and_then(|rank| Self::ALL.get(rank).copied())
    }

    /// The name of the queue that this priority is delivered through.
    pub fn queue_name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = Error;

    /// Reads a priority without regard to case.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|priority| priority.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::new(Code::InvalidParameter, format!("`{text}` is not a priority"))
                .expected("CRITICAL, HIGH, NORMAL or LOW")
        })
    }
}
