//! Newtypes for every id, so that one never stands for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Code, Error};

/// An event's id: a UUID of version 7, so ids sort by the time they were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl EventId {
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text).map(Self).map_err(|_| {
            Error::new(Code::InvalidParameter, format!("`{text}` is not an event id")).expected("a UUID")
        })
    }
}

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident, $repr:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self).map_err(|_| {
                    Error::new(Code::InvalidParameter, format!("`{text}` is not an id")).expected("a whole number")
                })
            }
        }
    };
}

numeric_id!(/// A message's id: the same through every retry and redrive.
    MessageId, i64);
numeric_id!(/// A queue's id.
    QueueId, i32);
numeric_id!(/// A subscription's id.
    SubscriptionId, i32);
numeric_id!(/// An endpoint's id.
    EndpointId, i32);
numeric_id!(/// A schedule's id.
    ScheduleId, i64);
numeric_id!(/// A lease's id; unique within its queue.
    LeaseId, i64);
numeric_id!(/// An attempt's id.
    AttemptId, i64);
numeric_id!(/// A dead letter's id.
    DeadLetterId, i64);
numeric_id!(/// A redrive run's id.
    RedriveId, i64);
