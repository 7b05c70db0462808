//! From a migration to a rollout that runs: plans, gates, and the folders and tables of migration tools.
//!
//! Not for: our own schema, and for carrying plans out (see `runner`).

pub mod carry;
pub mod checksum;
pub mod fingerprint;
pub mod folder;
pub mod history;
pub mod job;
pub mod migrate;
pub mod outline;
pub mod plan;
pub mod prove;
pub mod scratch;
pub mod trial;
