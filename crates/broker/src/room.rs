//! Whether the database had room for the events that came last. What a health check can write is so little that it
//! finds room where events find none.
//!
//! Not for: how much room there is, which only the database's host knows.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use posthaste_base::{Code, Error, Result};

/// For so long after a refusal the node is not ready; then events may show whether there is room again.
const HOLDS_FOR: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Room(Mutex<Option<(Instant, Error)>>);

impl Room {
    /// Remembers how the last attempt to accept events ended.
    pub(crate) fn note(&self, accepted: &Result<()>, now: Instant) {
        match accepted {
            Ok(_) => *self.last() = None,
            Err(error) if error.code() == Code::DatabaseFull => *self.last() = Some((now, error.clone())),
            Err(_) => {}
        }
    }

    pub(crate) fn check(&self, now: Instant) -> Result<()> {
        match &*self.last() {
            Some((at, error)) if now.duration_since(*at) < HOLDS_FOR => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<(Instant, Error)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_room_until_an_event_is_accepted_or_time_has_passed() {
        let (room, now) = (Room::default(), Instant::now());
        let full = || Err::<(), _>(Error::new(Code::DatabaseFull, "the disk is full"));
        let is_ready = |room: &Room, after: Duration| room.check(now + after).is_ok();
        assert!(is_ready(&room, Duration::ZERO));
        room.note(&full(), now);
        assert!(!is_ready(&room, Duration::from_secs(4)));
        assert!(is_ready(&room, HOLDS_FOR));
        room.note(&Err::<(), _>(Error::new(Code::Timeout, "slow")), now);
        assert!(!is_ready(&room, Duration::ZERO));
        room.note(&Ok(()), now);
        assert!(is_ready(&room, Duration::ZERO));
    }
}
