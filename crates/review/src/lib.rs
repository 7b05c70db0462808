//! Reviews migrations against a catalog: parser, lock model, rules, rollout planner. It gets the catalog as data.
//!
//! Not for: connections, and for running anything.

pub mod difference;
mod encoding;
mod hint;
mod lexeme;
mod lower;
pub mod model;
mod parse;
pub mod rollout;
pub mod script;
mod split;
pub mod statement;

pub use encoding::decode;
pub use parse::parse;
