//! Collecting messages for functions: until they fill a call, or the function's window ends (requirements, D23).
//!
//! What is collected is leased already, so a window ends well before the leases do, and it takes no places of the
//! worker's: a function that collects delays nobody else. What it holds is less than one call. Not for: the call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use posthaste_base::EndpointId;
use posthaste_base::limits::PAYLOAD_BYTES_MAX;
use posthaste_broker::{Message, QueueSettings, Settlement};
use tokio::time::{Instant, timeout_at};

use crate::gate::Gate;

/// A call carries less than its batch where the payloads are large (requirements, A8).
const CALL_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;
/// What a lease has left, beside the worker's timeout, when a call begins at the latest.
const SETTLE: Duration = Duration::from_secs(5);

/// Messages for one call to a function.
pub(crate) struct Batch {
    pub(crate) gate: Arc<Gate>,
    pub(crate) messages: Vec<Message>,
    /// When the call may begin at the latest; after that it might still run when the leases have ended.
    pub(crate) latest: Instant,
    /// One message, which nothing may be added to: see `Gate::send_alone`.
    pub(crate) is_alone: bool,
}

impl Batch {
    /// Its messages come again after a delay; none was tried.
    pub(crate) fn put_off(&self, delay_ms: i64) -> Vec<Settlement> {
        self.keep_alone();
        self.messages.iter().map(|one| Settlement::deferred(one.receipt, delay_ms)).collect()
    }

    /// A message that was to go alone and did not go is to go alone when it comes again.
    pub(crate) fn keep_alone(&self) {
        if self.is_alone {
            self.messages.iter().for_each(|one| self.gate.send_alone(one.id));
        }
    }
}

struct Window {
    batch: Batch,
    n_bytes: usize,
    ends_at: Instant,
}

/// The open windows of one queue's messages, by function.
#[derive(Default)]
pub(crate) struct Windows {
    open: HashMap<EndpointId, Window>,
}

impl Windows {
    /// Takes a message in that was received a moment ago, and puts what is full by it into `full`.
    pub(crate) fn add(
        &mut self,
        gate: Arc<Gate>,
        queue: &QueueSettings,
        message: Message,
        full: &mut Vec<Batch>,
    ) {
        let endpoint = gate.id;
        if gate.goes_alone(message.id) {
            let latest = latest(queue);
            return full.push(Batch { gate, messages: vec![message], latest, is_alone: true });
        }
        let settings = &gate.destination().declared.settings;
        let (batch_max, window_seconds) = (settings.batch.max(1) as usize, settings.batch_window_seconds);
        let attributes = message.event.as_ref().and_then(|event| event.attributes.as_ref());
        let n_bytes = message.payload.len() + attributes.map_or(0, String::len);
        if self.open.get(&endpoint).is_some_and(|window| window.n_bytes + n_bytes > CALL_BYTES_MAX) {
            full.extend(self.close(endpoint));
        }
        let window = self.open.entry(endpoint).or_insert_with(|| {
            // A queue may have been changed since the endpoint was declared.
            let seconds = window_seconds.min(queue.window_seconds_max());
            let batch = Batch { gate, messages: Vec::new(), latest: latest(queue), is_alone: false };
            Window { batch, n_bytes: 0, ends_at: Instant::now() + Duration::from_secs(seconds.into()) }
        });
        window.batch.messages.push(message);
        window.n_bytes += n_bytes;
        if window.batch.messages.len() >= batch_max {
            full.extend(self.close(endpoint));
        }
    }

    /// What was collected by the windows that have ended.
    pub(crate) fn ended(&mut self) -> Vec<Batch> {
        let now = Instant::now();
        let ended = self.open.iter().filter(|(_, window)| window.ends_at <= now).map(|(id, _)| *id);
        let ended: Vec<_> = ended.collect();
        ended.into_iter().filter_map(|endpoint| self.close(endpoint)).collect()
    }

    /// Ends all windows.
    pub(crate) fn end(&mut self) -> Vec<Batch> {
        self.open.drain().map(|(_, window)| window.batch).collect()
    }

    /// How long until the next window ends; `most` if that is sooner.
    pub(crate) fn left(&self, most: Duration) -> Duration {
        let left = self.next().map(|at| at.saturating_duration_since(Instant::now()));
        left.map_or(most, |left| left.min(most))
    }

    /// Waits for something, unless a window ends first.
    pub(crate) async fn unless_ended<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        match self.next() {
            Some(at) => timeout_at(at, wait).await.ok(),
            None => Some(wait.await),
        }
    }

    fn next(&self) -> Option<Instant> {
        self.open.values().map(|window| window.ends_at).min()
    }

    fn close(&mut self, endpoint: EndpointId) -> Option<Batch> {
        self.open.remove(&endpoint).map(|window| window.batch)
    }
}

/// When a call for messages that were received now may begin at the latest.
fn latest(queue: &QueueSettings) -> Instant {
    let lease = Duration::from_secs(queue.visibility_seconds.into());
    let work = Duration::from_secs(queue.worker_timeout_seconds.into());
    Instant::now() + lease.saturating_sub(work + SETTLE)
}
