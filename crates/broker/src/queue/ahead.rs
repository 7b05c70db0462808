//! What a node has claimed and nobody has asked for yet, and how much of it there should be.
//!
//! A consumer that settles and asks again would wait for the disk twice a round: for what it settles, and for its next
//! claim. So while consumers come back quickly, the next messages are claimed while they work. What is not asked for
//! soon goes back to the queue, and its receive does not count.
//!
//! Not for: claiming itself (`claim`).

use std::collections::VecDeque;
use std::time::Duration;

use posthaste_base::limits;
use tokio::time::Instant;

use super::Message;

/// How long a message is kept for whoever asks next. Its lease is longer by as much.
pub(super) const KEPT_FOR: Duration = Duration::from_millis(100);
/// A consumer that asks again within this time of the last answer keeps the queue busy.
const SOON: Duration = Duration::from_millis(50);
/// Questions in a row that came soon, before anything is claimed ahead of them.
const BUSY_AFTER: u32 = 16;
/// What one claim, and what one answer, may hold.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much of a smoothed figure is its newest sample.
const NEWEST: f64 = 0.25;

struct Kept {
    message: Message,
    until: Instant,
}

/// Messages of one visibility timeout, in the order in which they were claimed.
#[derive(Default)]
pub(super) struct Ahead {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Ahead {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether there is all that one answer may hold, or `max` messages.
    pub(super) fn is_enough(&self, max: usize) -> bool {
        self.len() >= max || self.bytes >= BYTES_MAX
    }

    pub(super) fn put(&mut self, messages: Vec<Message>, until: Instant) {
        self.bytes += messages.iter().map(bytes_of).sum::<usize>();
        self.kept.extend(messages.into_iter().map(|message| Kept { message, until }));
    }

    /// Takes up to `max` messages, and not many more bytes than one answer may hold.
    pub(super) fn take(&mut self, max: usize) -> Vec<Message> {
        let (mut taken, mut bytes) = (Vec::with_capacity(max.min(self.len())), 0);
        while taken.len() < max && bytes < BYTES_MAX {
            let Some(kept) = self.kept.pop_front() else { break };
            bytes += bytes_of(&kept.message);
            taken.push(kept.message);
        }
        self.bytes -= bytes;
        taken
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Message> {
        self.bytes = 0;
        self.kept.drain(..).map(|kept| kept.message).collect()
    }

    /// Takes what was kept for too long.
    pub(super) fn take_old(&mut self, now: Instant) -> Vec<Message> {
        let n_old = self.kept.iter().take_while(|kept| kept.until <= now).count();
        let old: Vec<Message> = self.kept.drain(..n_old).map(|kept| kept.message).collect();
        self.bytes -= old.iter().map(bytes_of).sum::<usize>();
        old
    }

    /// When the first one will have been kept for too long.
    pub(super) fn until(&self) -> Option<Instant> {
        self.kept.front().map(|kept| kept.until)
    }
}

fn bytes_of(message: &Message) -> usize {
    message.payload.len() + message.attributes.as_ref().map_or(0, String::len)
}

/// How quickly a queue's consumers of this node come back, and for how much.
pub(super) struct Demand {
    quick: u32,
    answered_at: Option<Instant>,
    /// Handed out since the last claim began.
    handed_out: usize,
    began_at: Option<Instant>,
    /// Messages a second that are handed out, smoothed; and how long a claim takes.
    rate: f64,
    claim_seconds: f64,
    largest_want: usize,
    /// The largest one of late.
    message_bytes: usize,
}

impl Default for Demand {
    fn default() -> Self {
        // Until messages are seen, they might be as large as they may be.
        let message_bytes = limits::PAYLOAD_BYTES_MAX;
        Self {
            quick: 0,
            answered_at: None,
            handed_out: 0,
            began_at: None,
            rate: 0.0,
            claim_seconds: 0.0,
            largest_want: 0,
            message_bytes,
        }
    }
}

impl Demand {
    pub(super) fn asked(&mut self, max: usize, now: Instant) {
        let is_soon = self.answered_at.is_some_and(|at| now.saturating_duration_since(at) < SOON);
        (self.quick, self.largest_want) = match is_soon {
            true => (self.quick.saturating_add(1), self.largest_want.max(max)),
            false => (0, max),
        };
    }

    pub(super) fn answered(&mut self, messages: &[Message], now: Instant) {
        self.answered_at = Some(now);
        self.handed_out += messages.len();
    }

    pub(super) fn claim_began(&mut self, now: Instant) {
        if let Some(began_at) = self.began_at.replace(now) {
            let seconds = now.saturating_duration_since(began_at).as_secs_f64().max(0.000_1);
            smooth(&mut self.rate, self.handed_out as f64 / seconds);
        }
        self.handed_out = 0;
    }

    pub(super) fn claim_ended(&mut self, messages: &[Message], took: Duration) {
        smooth(&mut self.claim_seconds, took.as_secs_f64());
        if let Some(largest) = messages.iter().map(bytes_of).max() {
            self.message_bytes = largest.max(self.message_bytes / 2);
        }
    }

    /// Nobody came for what was claimed ahead.
    pub(super) fn missed(&mut self) {
        self.quick = 0;
    }

    /// How many messages should be there before they are asked for: what is handed out in the time of two claims, and
    /// the largest question.
    pub(super) fn ahead(&self) -> usize {
        if self.quick < BUSY_AFTER {
            return 0;
        }
        let meanwhile = (2.0 * self.rate * self.claim_seconds).ceil() as usize;
        (meanwhile + self.largest_want).min(self.claim_max())
    }

    /// How many messages one claim may take.
    pub(super) fn claim_max(&self) -> usize {
        (BYTES_MAX / self.message_bytes.max(1)).clamp(1, limits::BATCH_MESSAGES_MAX)
    }
}

fn smooth(figure: &mut f64, sample: f64) {
    *figure += NEWEST * (sample - *figure);
}

#[cfg(test)]
mod tests {
    use posthaste_base::{LeaseId, MessageId, QueueId};
    use posthaste_store::queue::{Held, Xid};
    use posthaste_store::segment::Segment;

    use super::*;
    use crate::queue::Receipt;

    fn message(seq: i64, bytes: usize) -> Message {
        let segment = Segment::new(QueueId(1), 0);
        let held = Held { lease: LeaseId(1), xid: Xid(1), seq };
        Message {
            id: MessageId(seq),
            queue: segment.queue,
            receipt: Receipt { segment, held, receives: 1, tracked: false },
            receives: 1,
            sent_at: jiff::Timestamp::UNIX_EPOCH,
            subscription: None,
            attributes: None,
            payload: vec![0; bytes].into(),
            event: None,
        }
    }

    fn seqs(messages: &[Message]) -> Vec<i64> {
        messages.iter().map(|message| message.receipt.held.seq).collect()
    }

    #[test]
    fn messages_leave_in_order_or_when_they_are_old() {
        let now = Instant::now();
        let mut ahead = Ahead::default();
        ahead.put(vec![message(1, 8), message(2, 8), message(3, 8)], now + KEPT_FOR);
        ahead.put(vec![message(4, 8)], now + 2 * KEPT_FOR);
        assert_eq!(seqs(&ahead.take(2)), [1, 2]);
        assert!(ahead.take_old(now).is_empty());
        assert_eq!(ahead.until(), Some(now + KEPT_FOR));
        assert_eq!(seqs(&ahead.take_old(now + KEPT_FOR)), [3]);
        assert_eq!(seqs(&ahead.take_all()), [4]);
        assert!(ahead.is_empty() && ahead.bytes == 0);
    }

    #[test]
    fn one_answer_holds_so_many_bytes_and_at_least_one_message() {
        let now = Instant::now();
        let mut ahead = Ahead::default();
        ahead.put((0..3).map(|seq| message(seq, BYTES_MAX)).collect(), now);
        assert!(ahead.is_enough(100));
        assert_eq!(seqs(&ahead.take(100)), [0]);
        assert_eq!(seqs(&ahead.take(100)), [1]);
    }

    /// A consumer that asks for `max`, takes `pause` to settle, and comes again; each claim takes ten milliseconds.
    fn demand_of(rounds: u32, max: usize, pause: Duration) -> Demand {
        let (mut demand, mut now) = (Demand::default(), Instant::now());
        let answer: Vec<Message> = (0..max as i64).map(|seq| message(seq, 250)).collect();
        for _ in 0..rounds {
            demand.asked(max, now);
            demand.claim_began(now);
            now += Duration::from_millis(10);
            demand.claim_ended(&answer, Duration::from_millis(10));
            demand.answered(&answer, now);
            now += pause;
        }
        demand
    }

    #[test]
    fn only_who_comes_back_soon_again_and_again_is_claimed_for() {
        let soon = Duration::from_millis(10);
        assert_eq!(demand_of(BUSY_AFTER, 10, soon).ahead(), 0, "not yet");
        assert_eq!(demand_of(100, 10, 10 * soon).ahead(), 0, "not soon");
        let mut busy = demand_of(100, 10, soon);
        // Ten in twenty milliseconds: in the time of two claims another ten, beside those of the next question.
        assert!((18..=22).contains(&busy.ahead()), "{}", busy.ahead());
        busy.missed();
        assert_eq!(busy.ahead(), 0);
    }

    #[test]
    fn a_claim_is_small_while_messages_may_be_large() {
        let fitting = BYTES_MAX / limits::PAYLOAD_BYTES_MAX;
        assert_eq!(Demand::default().claim_max(), fitting);
        let mut demand = demand_of(100, 10, Duration::ZERO);
        assert_eq!(demand.claim_max(), limits::BATCH_MESSAGES_MAX);
        demand.claim_ended(&[message(1, limits::PAYLOAD_BYTES_MAX)], Duration::ZERO);
        assert_eq!(demand.claim_max(), fitting);
    }
}
