//! Reviews migrations against a catalog: parser, lock model, rules, rollout planner. It gets the catalog as data.
//!
//! Not for: connections, and for running anything.

pub mod script;
pub mod statement;
