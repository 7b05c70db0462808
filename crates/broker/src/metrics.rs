//! The broker's metrics, resolved once for each queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use posthaste_base::{Category, QueueId};
use posthaste_observe::{QueueMetrics, ScheduleMetrics};

use crate::Broker;
use crate::catalog::Queue;
use crate::queue::Depth;

#[derive(Default)]
pub(crate) struct Metrics {
    queues: Mutex<HashMap<QueueId, Arc<QueueMetrics>>>,
    pub(crate) schedule: ScheduleMetrics,
}

impl Broker {
    /// The metrics of a queue, for the worker as well.
    pub fn queue_metrics(&self, queue: &Queue) -> Arc<QueueMetrics> {
        let mut known = self.inner.metrics.queues.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.entry(queue.id).or_insert_with(|| Arc::new(QueueMetrics::new(&queue.name))).clone()
    }

    pub(crate) fn count_dead(&self, queue: QueueId, category: Category) {
        if let Some(queue) = self.catalog().queues.get(&queue) {
            self.queue_metrics(queue).dead(category);
        }
    }

    /// The scheduler published `events`; its lag is how late the oldest of them was.
    pub(crate) fn count_tick(
        &self,
        events: usize,
        took: Duration,
        oldest_due: Option<Timestamp>,
        now: Timestamp,
    ) {
        let metrics = &self.inner.metrics.schedule;
        metrics.tick(Some(events), took);
        let lag = oldest_due.map_or(0.0, |due_at| now.duration_since(due_at).as_secs_f64().max(0.0));
        metrics.lag_seconds.set(lag);
    }

    pub(crate) fn set_depth(&self, queue: &Queue, depth: &Depth) {
        let metrics = self.queue_metrics(queue);
        metrics.visible.set(depth.visible as f64);
        metrics.in_flight.set(depth.in_flight as f64);
        metrics.delayed.set(depth.delayed as f64);
        metrics.oldest_age_seconds.set(depth.oldest_age_seconds.unwrap_or(0.0));
    }
}
