//! What a caller says of a run: patience, pace, approvals, and how far a run may go on a database that is not ours.
//!
//! Not for: what a plan says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

#[derive(Clone)]
pub struct RunOptions {
    /// Who starts it, for the journal.
    pub started_by: String,
    /// Of the tables as they are now. A plan that has another one is refused.
    pub fingerprint: Option<String>,
    /// Names of approvals, and ids of steps that a person has done.
    pub approvals: BTreeSet<String>,
    /// Gates that are passed although they are closed, each with its reason.
    pub overrides: BTreeMap<String, String>,
    /// When the last backup was taken; the server does not know.
    pub backup_at: Option<Timestamp>,
    /// Steps that a crash left in doubt, and what a person found: whether they had been done.
    pub settled: BTreeMap<String, bool>,
    pub locks: LockBudget,
    pub pace: PaceLimits,
    pub throttle: ThrottleLimits,
    /// Ends sessions that are in the way for so long: cancels them first, terminates them if that does not help.
    pub cancel_blockers_after: Option<Duration>,
    /// How long a statement may take that only changes the catalog.
    pub brief: Duration,
    /// How long a statement may take that reads or writes a whole table.
    pub long: Duration,
    /// How long a server that went away is waited for.
    pub reconnect: Duration,
    /// How often it looks at what is wished, at who is in the way, and at progress.
    pub look_every: Duration,
    /// Becomes true when the process should end: the run then stops where it can go on later.
    pub stop: Option<watch::Receiver<bool>>,
    #[doc(hidden)]
    pub fault: Option<Fault>,
}

/// For tests of crashes: is called at every point at which one would matter, and answers whether to die there.
pub type Fault = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How long to wait for locks. No try is without a timeout, however many have failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LockBudget {
    /// The timeout of the first try, which is how long others may have to wait behind it.
    pub timeout_first: Duration,
    pub timeout_max: Duration,
    /// Of statements that block neither reads nor writes while they wait, such as CREATE INDEX CONCURRENTLY.
    pub timeout_harmless: Duration,
    /// The longest pause after the first try; it grows, and each pause is a random part of it.
    pub pause_first: Duration,
    pub pause_max: Duration,
    /// For all tries of one step, or of one batch, together.
    pub total: Duration,
}

/// How large and how long batches may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceLimits {
    /// What a batch should take.
    pub batch: Duration,
    pub rows_min: u32,
    pub rows_max: u32,
    /// How often the whole table is gone over when rows are left.
    pub passes_max: u32,
}

/// When a run waits or goes slower; none for a signal that does not matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottleLimits {
    /// Waits while a replica is further behind.
    pub replica_lag: Option<Duration>,
    pub replica_lag_bytes: Option<u64>,
    /// Waits while more WAL segments are not archived.
    pub archive_segments: Option<u64>,
    /// Goes slower while the server writes more WAL in a second.
    pub wal_bytes_per_s: Option<u64>,
    /// Goes slower while more of the table's rows are dead.
    pub dead_share: Option<f64>,
    /// Goes slower while an older snapshot keeps dead rows alive.
    pub oldest_snapshot: Option<Duration>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            started_by: String::new(),
            fingerprint: None,
            approvals: BTreeSet::new(),
            overrides: BTreeMap::new(),
            backup_at: None,
            settled: BTreeMap::new(),
            locks: LockBudget::default(),
            pace: PaceLimits::default(),
            throttle: ThrottleLimits::default(),
            cancel_blockers_after: None,
            brief: Duration::from_secs(30),
            long: Duration::from_secs(12 * 3600),
            reconnect: Duration::from_secs(300),
            look_every: Duration::from_secs(1),
            stop: None,
            fault: None,
        }
    }
}

impl Default for LockBudget {
    fn default() -> Self {
        Self {
            timeout_first: Duration::from_millis(100),
            timeout_max: Duration::from_secs(3),
            timeout_harmless: Duration::from_secs(600),
            pause_first: Duration::from_millis(500),
            pause_max: Duration::from_secs(30),
            total: Duration::from_secs(40 * 60),
        }
    }
}

impl Default for PaceLimits {
    fn default() -> Self {
        // Who wants a row of a batch waits for its end: no longer than for a lock.
        Self { batch: Duration::from_millis(100), rows_min: 10, rows_max: 200_000, passes_max: 5 }
    }
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self {
            replica_lag: Some(Duration::from_secs(10)),
            replica_lag_bytes: Some(256 << 20),
            archive_segments: Some(42),
            wal_bytes_per_s: None,
            dead_share: Some(0.5),
            oldest_snapshot: Some(Duration::from_secs(3600)),
        }
    }
}
