//! What the broker should do, in memory: one entry a message, and what may become of it.
//!
//! Time is in half steps of 500 s. The clock stands on even ones and everything ends on odd ones, so that the seconds
//! which a run itself takes decide nothing.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_broker::Receipt;
use uuid::Uuid;

pub(crate) const HALF_STEP_SECONDS: u32 = 500;
pub(crate) const QUEUES: [QueueRules; 2] = [
    QueueRules { name: "long", receives_max: 3, retention: 399 },
    QueueRules { name: "short", receives_max: 2, retention: 15 },
];

pub(crate) struct QueueRules {
    pub(crate) name: &'static str,
    pub(crate) receives_max: u32,
    pub(crate) retention: i64,
}

/// So many steps, less a half.
pub(crate) fn half_steps(steps: i64) -> i64 {
    2 * steps - 1
}

pub(crate) fn seconds(half_steps: i64) -> u32 {
    u32::try_from(half_steps).expect("a duration") * HALF_STEP_SECONDS
}

/// What names a message before its id is known: an event becomes one in each queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Direct(i64),
    OfEvent(Uuid, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In which half of the queue, and by which operation it came there.
    Visible {
        half: i16,
        since: usize,
    },
    Held,
    Delayed {
        until: i64,
    },
    Dead,
    Settled,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) queue: usize,
    pub(crate) state: State,
    pub(crate) receives: u32,
    pub(crate) sent_at: i64,
    pub(crate) payload: String,
    /// Known once it was seen.
    pub(crate) id: Option<i64>,
}

/// A receipt that was handed out. It is live until its message ended the lease, one way or another.
pub(crate) struct Hold {
    pub(crate) receipt: Receipt,
    pub(crate) key: Key,
    pub(crate) lease: String,
    pub(crate) is_live: bool,
    /// It ended by settling. Doing that again may be answered like the first time, as long as the lease is open.
    pub(crate) is_settled: bool,
}

pub(crate) struct Lease {
    pub(crate) queue: usize,
    pub(crate) expires_at: i64,
    pub(crate) extended: BTreeMap<Key, i64>,
}

pub(crate) struct Waiting {
    pub(crate) due_at: i64,
    pub(crate) event: Uuid,
    pub(crate) payload: String,
    pub(crate) queues: Vec<usize>,
}

#[derive(Default)]
pub(crate) struct Oracle {
    pub(crate) now: i64,
    pub(crate) operation: usize,
    pub(crate) entries: BTreeMap<Key, Entry>,
    pub(crate) holds: Vec<Hold>,
    pub(crate) leases: BTreeMap<String, Lease>,
    pub(crate) waiting: Vec<Waiting>,
    /// By idempotency key: what it was used for.
    pub(crate) events: BTreeMap<u8, (Uuid, u8)>,
    /// The half of each queue that takes new messages.
    pub(crate) current: [i16; 2],
}

/// Disjoint, as `Depth` is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: usize,
    pub(crate) in_flight: usize,
    pub(crate) delayed: usize,
    pub(crate) dead: usize,
}

impl Oracle {
    pub(crate) fn add(&mut self, key: Key, queue: usize, payload: String, state: State) {
        let id = match key {
            Key::Direct(id) => Some(id),
            Key::OfEvent(..) => None,
        };
        let entry = Entry { queue, state, receives: 0, sent_at: self.now, payload, id };
        assert!(self.entries.insert(key, entry).is_none(), "{key:?} was there before");
    }

    pub(crate) fn counts(&self, queue: usize) -> Counts {
        let of_state = |is: fn(&State) -> bool| {
            self.entries.values().filter(|entry| entry.queue == queue && is(&entry.state)).count()
        };
        let is_running = |hold: &&Hold| {
            let lease = &self.leases[&hold.lease];
            hold.is_live && lease.queue == queue && lease.expires_at > self.now
        };
        Counts {
            visible: of_state(|state| matches!(state, State::Visible { .. })),
            in_flight: self.holds.iter().filter(is_running).count(),
            delayed: of_state(|state| matches!(state, State::Delayed { .. })),
            dead: of_state(|state| *state == State::Dead),
        }
    }

    /// Whether a message has been in its queue for too long to be given out.
    pub(crate) fn is_expired(&self, entry: &Entry) -> bool {
        self.now - entry.sent_at > QUEUES[entry.queue].retention
    }

    /// The messages that a consumer may get now, with where they are.
    pub(crate) fn visible(&self, queue: usize) -> impl Iterator<Item = (Key, i16, usize)> {
        self.entries.iter().filter_map(move |(key, entry)| match entry.state {
            State::Visible { half, since } if entry.queue == queue && !self.is_expired(entry) => {
                Some((*key, half, since))
            }
            _ => None,
        })
    }

    pub(crate) fn take(&mut self, key: Key, receipt: Receipt, expires_at: i64) {
        let text = receipt.to_string();
        let lease = text.splitn(4, '-').take(3).collect::<Vec<_>>().join("-");
        let queue = self.entries[&key].queue;
        self.leases.entry(lease.clone()).or_insert(Lease { queue, expires_at, extended: BTreeMap::new() });
        self.entries.get_mut(&key).expect("it is known").state = State::Held;
        self.holds.push(Hold { receipt, key, lease, is_live: true, is_settled: false });
    }

    /// Ends a live receipt: the message goes on to `state`, or dies when that counts and it has no receives left.
    pub(crate) fn end(&mut self, hold: usize, state: State, counts: bool) {
        let hold = &mut self.holds[hold];
        assert!(std::mem::replace(&mut hold.is_live, false), "the receipt is live");
        hold.is_settled = state == State::Settled;
        let entry = self.entries.get_mut(&hold.key).expect("it is known");
        entry.receives += u32::from(counts);
        let is_over = counts && entry.receives >= QUEUES[entry.queue].receives_max;
        let comes_back = matches!(state, State::Visible { .. } | State::Delayed { .. });
        entry.state = if is_over && comes_back { State::Dead } else { state };
    }

    /// Ends the leases that have run out; answers with how many messages that concerns.
    pub(crate) fn sweep(&mut self, queue: usize) -> usize {
        let (now, half, since) = (self.now, self.current[queue], self.operation);
        let mut ended = Vec::new();
        for (name, lease) in self.leases.iter_mut() {
            if lease.queue != queue || lease.expires_at > now {
                continue;
            }
            lease.extended.retain(|_, until| *until > now);
            let holds = self.holds.iter().enumerate().filter(|(_, hold)| hold.is_live && hold.lease == *name);
            ended.extend(
                holds.filter(|(_, hold)| !lease.extended.contains_key(&hold.key)).map(|(place, _)| place),
            );
            // Without extended messages it has ended, and is not looked at again.
            lease.expires_at = lease.extended.values().min().copied().unwrap_or(i64::MAX);
        }
        for hold in &ended {
            self.end(*hold, State::Visible { half, since }, true);
        }
        ended.len()
    }

    pub(crate) fn promote(&mut self, queue: usize) -> usize {
        let (now, half, since) = (self.now, self.current[queue], self.operation);
        let mut moved = 0;
        for entry in self.entries.values_mut().filter(|entry| entry.queue == queue) {
            if matches!(entry.state, State::Delayed { until } if until <= now) {
                entry.state = State::Visible { half, since };
                moved += 1;
            }
        }
        moved
    }

    /// What the dead letters of a queue should be.
    pub(crate) fn dead(&self, queue: usize) -> BTreeSet<Key> {
        let dead = self.entries.iter().filter(|(_, one)| one.queue == queue && one.state == State::Dead);
        dead.map(|(key, _)| *key).collect()
    }

    pub(crate) fn has_unfinished(&self) -> bool {
        let is_over = |entry: &Entry| matches!(entry.state, State::Dead | State::Settled);
        !self.waiting.is_empty() || !self.entries.values().all(is_over)
    }
}
