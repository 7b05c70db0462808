//! How many messages one answer may hold, so that neither a node nor its caller chokes on large ones.
//!
//! The answer ends before it is longer than `ANSWER_BYTES_MAX`. What is asked of a queue is bounded by the size that
//! its messages had the last time, so that little is claimed which then does not fit and is given back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use posthaste_base::QueueId;
use posthaste_base::limits::{ANSWER_BYTES_MAX, BATCH_MESSAGES_MAX};

/// Messages that are asked of a queue whose sizes nobody knows yet.
const UNKNOWN_MAX: usize = 100;

/// The mean size of each queue's messages, as they were received last by this node.
#[derive(Default)]
pub(crate) struct Sizes {
    known: Mutex<HashMap<QueueId, usize>>,
}

impl Sizes {
    /// How many of the messages that are wanted may be asked for.
    pub(crate) fn allow(&self, queue: QueueId, wanted: usize) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = known.get(&queue).map_or(UNKNOWN_MAX, |mean| ANSWER_BYTES_MAX / (*mean).max(1));
        wanted.min(fitting.clamp(1, BATCH_MESSAGES_MAX))
    }

    /// Takes in how large messages are, and answers with how many of them fit: one at least.
    pub(crate) fn fit(&self, queue: QueueId, sizes: impl ExactSizeIterator<Item = usize>) -> usize {
        let n = sizes.len();
        let (mut fitting, mut total) = (0, 0);
        for size in sizes {
            total += size;
            if fitting == 0 || total <= ANSWER_BYTES_MAX {
                fitting += 1;
            }
        }
        if let Some(mean) = total.checked_div(n) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(queue, mean);
        }
        fitting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_are_asked_for_in_small_numbers_and_small_ones_in_large() {
        let (sizes, queue) = (Sizes::default(), QueueId(1));
        assert_eq!((sizes.allow(queue, 10), sizes.allow(queue, 1_000)), (10, UNKNOWN_MAX));
        assert_eq!(sizes.fit(queue, [200_000; 100].into_iter()), 20);
        assert_eq!(sizes.allow(queue, 1_000), 20);
        assert_eq!(sizes.fit(queue, [100; 20].into_iter()), 20);
        assert_eq!(sizes.allow(queue, 1_000), 1_000);
        assert_eq!(sizes.allow(QueueId(2), 1_000), UNKNOWN_MAX, "of another queue nothing is known");
    }

    #[test]
    fn one_message_always_fits() {
        let (sizes, queue) = (Sizes::default(), QueueId(1));
        assert_eq!(sizes.fit(queue, [ANSWER_BYTES_MAX * 2; 2].into_iter()), 1);
        assert_eq!(sizes.allow(queue, 10), 1);
        assert_eq!(sizes.fit(queue, std::iter::empty::<usize>().collect::<Vec<_>>().into_iter()), 0);
    }
}
