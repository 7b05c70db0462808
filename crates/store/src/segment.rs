//! The statements of one segment of a queue. Each queue has two segments, each with a log and a lease table of its
//! own, so the statements are templates with the tables' names to be filled in.
//!
//! Not for: anything that is the same for all queues; that is plain SQL.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use posthaste_base::QueueId;

use crate::sql;

/// One of the two halves of a queue: 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment {
    pub queue: QueueId,
    pub half: i16,
}

impl Segment {
    pub fn new(queue: QueueId, half: i16) -> Self {
        Self { queue, half: half & 1 }
    }

    pub fn other(self) -> Self {
        Self { queue: self.queue, half: 1 - self.half }
    }

    /// The number under which its claim lock is taken.
    pub fn number(self) -> i32 {
        self.queue.0 * 2 + i32::from(self.half)
    }
}

/// What a message's row gives; the same list wherever a message is read from a log.
const COLUMNS: &str = "m.xid, m.seq, coalesce(m.id, m.seq) as id, m.receives, m.tracked, m.sent_at, m.event_id, \
                       m.subscription_id, m.attributes, m.payload";

/// What a lease's own snapshot says of the messages ahead of the window.
const AS_CLAIMED: &str = "and pg_visible_in_snapshot(m.xid, s.now_snapshot)";

/// The statements of one segment, ready to be prepared.
pub(crate) struct SegmentSql {
    pub(crate) claim: String,
    pub(crate) depth: String,
    pub(crate) empty: String,
    pub(crate) empty_check: String,
    pub(crate) empty_lock: String,
    pub(crate) extend: String,
    pub(crate) find: String,
    pub(crate) give_back: String,
    pub(crate) kill: String,
    pub(crate) oldest: String,
    pub(crate) peek: String,
    pub(crate) publish: String,
    pub(crate) return_lease: String,
    /// `return_lease` where the other half takes new messages.
    pub(crate) return_lease_to_other: String,
    pub(crate) send: String,
    pub(crate) settle: String,
    pub(crate) size: String,
    pub(crate) sweep_deferred: String,
    pub(crate) sweep_expired: String,
}

/// The statements of `segment`, made once in the life of the process.
pub(crate) fn statements(segment: Segment) -> Arc<SegmentSql> {
    static KNOWN: Mutex<Option<HashMap<Segment, Arc<SegmentSql>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    known.get_or_insert_default().entry(segment).or_insert_with(|| Arc::new(SegmentSql::new(segment))).clone()
}

/// Every statement of a segment by its file's name: for the test that prepares them all.
pub fn all_statements(segment: Segment) -> Vec<(&'static str, String)> {
    let sql = SegmentSql::new(segment);
    vec![
        ("claim", sql.claim),
        ("depth", sql.depth),
        ("empty_check", sql.empty_check),
        ("extend", sql.extend),
        ("find", sql.find),
        ("give_back", sql.give_back),
        ("kill", sql.kill),
        ("oldest", sql.oldest),
        ("peek", sql.peek),
        ("publish", sql.publish),
        ("return_lease", sql.return_lease),
        ("send", sql.send),
        ("settle", sql.settle),
        ("size", sql.size),
        ("sweep_deferred", sql.sweep_deferred),
        ("sweep_expired", sql.sweep_expired),
    ]
}

impl SegmentSql {
    fn new(segment: Segment) -> Self {
        let fill = |template: &str, current: Segment| {
            let name = |table: &str, of: Segment| format!("{table}_{}_{}", of.queue, of.half);
            template
                .replace("{log}", &name("log", segment))
                .replace("{lease}", &name("lease", segment))
                .replace("{other_log}", &name("log", segment.other()))
                .replace("{current_log}", &name("log", current))
                .replace("{columns}", COLUMNS)
        };
        let here = |template: &str| fill(template, segment);
        // A lease holds what was there when it was claimed; everybody else sees what is there now.
        let held_by_lease = |template: &str| {
            template
                .replace("{window}", sql!("queue/window"))
                .replace("{limit}", "(select size from state)")
                .replace("{unless_later}", AS_CLAIMED)
        };
        let next = |template: &str| {
            let text = template.replace("{window}", sql!("queue/window"));
            here(&text.replace("{limit}", "$1").replace("{unless_later}", ""))
        };
        Self {
            claim: next(sql!("queue/claim")),
            depth: next(sql!("queue/depth")),
            empty: here(sql!("queue/empty")),
            empty_check: here(sql!("queue/empty_check")),
            empty_lock: here(sql!("queue/empty_lock")),
            extend: here(sql!("queue/extend")),
            find: here(sql!("queue/find")),
            give_back: here(sql!("queue/give_back")),
            kill: here(sql!("queue/kill")),
            oldest: here(sql!("queue/oldest")),
            peek: next(sql!("queue/peek")),
            publish: here(sql!("queue/publish")),
            return_lease: here(&held_by_lease(sql!("queue/return_lease"))),
            return_lease_to_other: fill(&held_by_lease(sql!("queue/return_lease")), segment.other()),
            send: here(sql!("queue/send")),
            settle: here(sql!("queue/settle")),
            size: here(sql!("queue/size")),
            sweep_deferred: here(sql!("queue/sweep_deferred")),
            sweep_expired: here(sql!("queue/sweep_expired")),
        }
    }
}
