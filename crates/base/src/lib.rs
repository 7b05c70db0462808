//! What every crate may know: ids, words, limits, the clock, and errors with a stable code.
//!
//! Not for: anything that knows of tokio, PostgreSQL, HTTP or the command line.

pub mod catalog;
mod category;
mod clock;
mod code;
mod error;
mod id;
pub mod limits;
mod priority;
pub mod quote;
mod secret;

pub use category::Category;
pub use clock::Clock;
pub use code::Code;
pub use error::{Error, Result, Violation};
pub use id::{
    AttemptId, DeadLetterId, EndpointId, EventId, LeaseId, MessageId, QueueId, RedriveId, ScheduleId,
    SubscriptionId,
};
pub use priority::Priority;
pub use secret::Secret;
