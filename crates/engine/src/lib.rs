//! Pure decisions. Time, randomness and state come in as arguments; nothing here reads a clock, a socket or a
//! database, so every decision can be tested and repeated from its inputs.

pub mod backoff;
pub mod body;
pub mod breaker;
pub mod canonical;
pub mod due;
pub mod failure;
pub mod filter;
pub mod guard;
pub mod json;
pub mod recurrence;
pub mod schema;
pub mod triage;
pub mod zone;
