//! The diagnosis of a database: every check over one guarded connection, what was found, what could not be looked at.
//!
//! Made for the worst hour: no statement waits behind a lock queue, each has its own limit, and one that fails takes
//! nothing else with it. Not for: what the checks look for (see `checks`), reading data (see `integrity`), and
//! changing anything: a remedy is a step of a plan.

mod capacity;
mod check;
mod diagnose;
mod facts;
pub mod log;
pub(crate) mod plan_reading;
pub(crate) mod remedy;
mod snapshot;
mod together;
mod visitor;
mod watch;
mod wording;

pub(crate) use capacity::Pool;
pub use capacity::{Declared, capacity_units};
pub use check::{Check, checks};
pub(crate) use check::{INDEX_OID, Judge, Needs, Outcome, Rows, Told, index, table};
pub use diagnose::{Diagnosis, Options, diagnose};
pub(crate) use facts::Facts;
pub use facts::Thresholds;
pub use plan_reading::read_plan;
pub use snapshot::Snapshot;
pub(crate) use visitor::{Unseen, Visitor};
pub use watch::{Change, Store, changes};
pub(crate) use wording::{bytes, counted, duration, percent, shortened};
