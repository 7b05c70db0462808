//! From a migration to a rollout that runs: plans, gates, and the folders and tables of migration tools.
//!
//! Not for: our own schema, and for carrying plans out (see `runner`).

pub mod job;
pub mod scratch;
