//! What tests need: throw-away databases, servers that can be killed, a proxy that breaks connections,
//! receivers.
//!
//! Not for: anything but tests. No crate depends on this one but as a dev-dependency.

pub mod db;
pub mod proxy;
pub mod receiver;

/// The driver, for tests of crates that may not import it.
pub use posthaste_pg as pg;
