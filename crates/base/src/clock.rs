//! The node's clock. Leases and due times are decided by the database's clock, not by this one; this one
//! stamps logs, paces waits and is an argument to pure decisions.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The system's time plus an offset that tests move: cheap to clone, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    pub fn system() -> Self {
        Self::default()
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::now()
            .saturating_add(SignedDuration::from_millis(self.offset_ms.load(Ordering::Relaxed)))
            .unwrap_or(Timestamp::MAX)
    }

    /// Moves this clock (and all its clones), as a broken system clock would.
    pub fn jump(&self, by: SignedDuration) {
        self.offset_ms.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}
