//! Posthaste's own schema, and the only way to it: one `.sql` file a statement, one typed function over it.
//!
//! Every function takes a [`Session`], so that the same one serves alone and inside a transaction. Nothing is
//! decided here; callers say what to write.

pub mod attempt;
pub mod dead;
pub mod declare;
pub mod event;
pub mod key;
pub mod lead;
pub mod mode;
pub mod queue;
pub mod redrive;
pub mod schedule;
pub mod schema;
pub mod segment;
pub mod subject;

pub use posthaste_pg::{
    Error, Heard, Isolation, Listener, Pool, PoolOptions, Result, Session, Target, Transaction,
    TransactionError, TransactionOptions, Tx, transaction, transaction_with,
};

/// The text of a statement, by its area and name: `sql!("queue/claim")`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../sql/", $name, ".sql"))
    };
}
pub(crate) use sql;

/// Names of the settings that every session of ours has: our statements are lookups by index of a known
/// shape, so the planner is kept from changing its mind when a table was small (or unknown) at first.
pub const SESSION_SETTINGS: &[(&str, &str)] = &[
    ("jit", "off"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];
