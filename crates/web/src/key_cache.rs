//! What the key store answered, kept for half a minute: a request with a known key waits for nothing.
//!
//! Not for: deciding whether a key is good, which is done anew for each request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::key::{KeyHash, KeyRecord};

/// How long an answer of the store is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// How long others go on with the old answer while one caller asks for a new one.
const REFRESHING: Duration = Duration::from_secs(2);
const KNOWN_MAX: usize = 10_000;
const UNKNOWN_MAX: usize = 10_000;

/// Answers of the store. Unknown keys are kept apart, so that guesses cannot push out keys that are good.
#[derive(Default)]
pub(crate) struct KeyCache {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    known: HashMap<KeyHash, (Arc<KeyRecord>, Instant)>,
    unknown: HashMap<KeyHash, Instant>,
}

impl KeyCache {
    /// `None` when the store must be asked. Of several callers with a key that has just run out, one asks.
    pub(crate) fn get(&self, hash: &KeyHash, now: Instant) -> Option<Option<Arc<KeyRecord>>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, until)) = entries.known.get_mut(hash) {
            if now < *until {
                return Some(Some(key.clone()));
            }
            *until = now + REFRESHING;
            return None;
        }
        entries.unknown.get(hash).is_some_and(|until| now < *until).then_some(None)
    }

    pub(crate) fn put(&self, hash: KeyHash, found: Option<Arc<KeyRecord>>, now: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now + BELIEVED;
        match found {
            Some(key) => {
                entries.unknown.remove(&hash);
                if entries.known.len() >= KNOWN_MAX {
                    entries.known.clear();
                }
                entries.known.insert(hash, (key, until));
            }
            None => {
                entries.known.remove(&hash);
                if entries.unknown.len() >= UNKNOWN_MAX {
                    entries.unknown.clear();
                }
                entries.unknown.insert(hash, until);
            }
        }
    }

    pub(crate) fn clear(&self) {
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = Entries::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scopes;

    fn record() -> Arc<KeyRecord> {
        let name = "shop".to_owned();
        Arc::new(KeyRecord { id: 1, name, scopes: Scopes::all(), rate: None, expires_at: None })
    }

    #[test]
    fn answers_are_believed_for_a_while_and_one_caller_refreshes() {
        let (cache, start) = (KeyCache::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let key = record();
        cache.put([1; 32], Some(key.clone()), start);
        cache.put([2; 32], None, start);
        assert_eq!(cache.get(&[1; 32], after(29)), Some(Some(key.clone())));
        assert_eq!(cache.get(&[2; 32], after(29)), Some(None));
        assert_eq!(cache.get(&[2; 32], after(30)), None);
        assert_eq!(cache.get(&[1; 32], after(30)), None, "the first one asks");
        assert_eq!(cache.get(&[1; 32], after(31)), Some(Some(key)), "the others go on");
        assert_eq!(cache.get(&[1; 32], after(33)), None);
        cache.put([1; 32], None, after(33));
        assert_eq!(cache.get(&[1; 32], after(34)), Some(None), "a revoked key ends");
        cache.clear();
        assert_eq!(cache.get(&[1; 32], after(34)), None);
    }

    #[test]
    fn guesses_take_bounded_memory_and_push_out_no_good_key() {
        let (cache, now) = (KeyCache::default(), Instant::now());
        cache.put([255; 32], Some(record()), now);
        for n in 0..UNKNOWN_MAX as u32 + 10 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            cache.put(hash, None, now);
        }
        assert!(cache.entries.lock().unwrap().unknown.len() <= UNKNOWN_MAX);
        assert!(cache.get(&[255; 32], now).flatten().is_some());
    }
}
