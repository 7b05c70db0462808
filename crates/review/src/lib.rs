//! Reviews migrations against a catalog: parser, lock model, rules, rollout planner. It gets the catalog as data.
//!
//! Not for: connections, and for running anything.

pub mod baseline;
mod comment;
pub mod config;
mod context;
pub mod difference;
mod encoding;
mod facts;
mod hint;
mod ignore;
mod lexeme;
mod link;
mod lower;
pub mod model;
mod parse;
mod probe;
mod queries;
mod review;
mod rollback;
pub mod rollout;
mod rows;
pub mod rules;
pub mod script;
mod severity;
pub mod simulate;
mod split;
mod state;
pub mod statement;
mod thin;
pub mod transaction;

pub use comment::is_empty;
pub use encoding::decode;
pub use parse::parse;
pub use probe::{Answer, Probe};
pub use queries::{LoggedQuery, read as read_queries};
pub use review::{File, Review, review};
pub use thin::{Thinned, thin};
