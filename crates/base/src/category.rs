//! Why an attempt failed, in five categories. The category comes from what happened, never from a guess at
//! ingest (requirements, decision 12).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Code, Error};

/// The class of a failed attempt, which steers whether it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Category {
    /// The message itself is wrong: another try gives the same answer.
    Validation,
    /// The other side is unwell for now: another try may well succeed.
    Transient,
    /// The other side refused for good, or what the message is about is gone.
    Permanent,
    /// No answer in time: the effect may or may not have happened.
    Timeout,
    /// The consumer failed while it worked on the message.
    Processing,
}

impl Category {
    pub const ALL: [Category; 5] =
        [Self::Validation, Self::Transient, Self::Permanent, Self::Timeout, Self::Processing];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "VALIDATION",
            Self::Transient => "TRANSIENT",
            Self::Permanent => "PERMANENT",
            Self::Timeout => "TIMEOUT",
            Self::Processing => "PROCESSING",
        }
    }

    /// Whether trying again, unchanged, can help.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Timeout | Self::Processing)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Category {
    type Err = Error;

    /// Reads a category without regard to case.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|category| category.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::new(Code::InvalidParameter, format!("`{text}` is not a failure category"))
                .expected("VALIDATION, TRANSIENT, PERMANENT, TIMEOUT or PROCESSING")
        })
    }
}
