//! The broker's metrics, resolved once for each queue.
//!
//! What is counted inside a transaction is counted when it is written: one that the database makes run again counts
//! again. Depths are measured now and then by the node that keeps the schedule, the others show none.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use posthaste_base::{Category, Code, QueueId, Result};
use posthaste_observe::{IngestMetrics, QueueMetrics, ScheduleMetrics, Source};

use crate::catalog::Queue;
use crate::queue::depth_of;
use crate::{Accepted, Broker, Depth};

#[derive(Default)]
pub(crate) struct Metrics {
    queues: Mutex<HashMap<QueueId, Arc<QueueMetrics>>>,
    pub(crate) schedule: ScheduleMetrics,
    ingest: IngestMetrics,
}

/// How leases ended that were settled together, by queue.
#[derive(Default)]
pub(crate) struct Ends {
    by_queue: BTreeMap<QueueId, (u64, u64)>,
}

impl Ends {
    pub(crate) fn acknowledged(&mut self, queue: QueueId) {
        self.by_queue.entry(queue).or_default().0 += 1;
    }

    pub(crate) fn returned(&mut self, queue: QueueId) {
        self.by_queue.entry(queue).or_default().1 += 1;
    }
}

impl Broker {
    /// The metrics of a queue, for the worker as well.
    pub fn queue_metrics(&self, queue: &Queue) -> Arc<QueueMetrics> {
        let mut known = self.inner.metrics.queues.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.entry(queue.id).or_insert_with(|| Arc::new(QueueMetrics::new(&queue.name))).clone()
    }

    /// Measures what is in all queues and in their dead letter queues, for the gauges.
    pub async fn measure_queues(&self) -> Result<()> {
        let mut dead: HashMap<String, i64> = HashMap::new();
        for count in self.count_dead_letters(None).await? {
            *dead.entry(count.queue).or_default() += count.count;
        }
        for queue in self.catalog().queues.values() {
            let depth = depth_of(self, queue.id).await?;
            self.show_depth(queue, &depth, dead.remove(&queue.name).unwrap_or(0));
        }
        Ok(())
    }

    /// Shows nothing in any queue, because another node measures now.
    pub(crate) fn forget_depths(&self) {
        for queue in self.catalog().queues.values() {
            self.show_depth(queue, &Depth::default(), 0);
        }
    }

    fn show_depth(&self, queue: &Queue, depth: &Depth, dead: i64) {
        let metrics = self.queue_metrics(queue);
        metrics.visible.set(depth.visible as f64);
        metrics.in_flight.set(depth.in_flight as f64);
        metrics.delayed.set(depth.delayed as f64);
        metrics.oldest_age_seconds.set(depth.oldest_age_seconds.unwrap_or(0.0));
        metrics.dead_letters.set(dead as f64);
    }

    pub(crate) fn count_dead(&self, queue: QueueId, category: Category) {
        self.with_queue(queue, |metrics| metrics.dead(category));
    }

    pub(crate) fn count_sent(&self, queue: QueueId, messages: usize) {
        self.with_queue(queue, |metrics| metrics.sent.increment(messages as u64));
    }

    pub(crate) fn count_expired(&self, queue: QueueId, messages: usize) {
        self.with_queue(queue, |metrics| metrics.expired.increment(messages as u64));
    }

    pub(crate) fn count_ends(&self, ends: &Ends) {
        for (queue, (acknowledged, returned)) in &ends.by_queue {
            self.with_queue(*queue, |metrics| {
                metrics.acknowledged.increment(*acknowledged);
                metrics.returned.increment(*returned);
            });
        }
    }

    pub(crate) fn count_accepted(&self, source: Source, events: usize) {
        self.inner.metrics.ingest.accepted(source, events);
    }

    /// What was handed in under a key that was known, whoever did it.
    pub(crate) fn count_known(&self, accepted: &Accepted) {
        let metrics = &self.inner.metrics.ingest;
        match accepted {
            Accepted::New { .. } => {}
            Accepted::Duplicate { .. } => metrics.duplicates.increment(1),
            Accepted::Conflict { .. } => metrics.conflicts.increment(1),
        }
    }

    pub(crate) fn count_refused(&self, code: Code) {
        self.inner.metrics.ingest.refused(code);
    }

    /// A round of the scheduler published `events`, the latest of them so long after it was due.
    pub(crate) fn count_tick(&self, events: usize, took: Duration, lag: Duration) {
        let metrics = &self.inner.metrics.schedule;
        metrics.tick(Some(events), took);
        metrics.lag_seconds.set(lag.as_secs_f64());
    }

    fn with_queue(&self, queue: QueueId, record: impl FnOnce(&QueueMetrics)) {
        if let Some(queue) = self.catalog().queues.get(&queue) {
            record(&self.queue_metrics(queue));
        }
    }
}

/// How late what was due at `due_at` is.
pub(crate) fn lag(due_at: Option<Timestamp>, now: Timestamp) -> Duration {
    due_at.and_then(|due_at| Duration::try_from(now.duration_since(due_at)).ok()).unwrap_or_default()
}
