//! The worker: takes messages from the priority queues and delivers each to its subscription's endpoint.
//!
//! A message whose endpoint is not known dies, but only when the catalog was read again for it. Not for: how many
//! attempts may run (see `places`), or pull queues, which their consumers empty.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthaste_base::limits::PAYLOAD_BYTES_MAX;
use posthaste_base::{Category, Code, QueueId, Result, SubscriptionId};
use posthaste_broker::{Broker, Catalog, Destination, Endpoint, EndpointKind, Message, Queue, Settlement};
use posthaste_engine::failure::Failure;
use posthaste_observe::{CorrelationId, TraceParent, correlation};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::attempt::{Shared, priority_queues};
use crate::function::ANSWER_BYTES_MAX;
use crate::gate::{Gate, Gates};
use crate::places::Places;
use crate::{Client, ClientOptions};

/// How long one receive waits for messages; nothing depends on it.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);
/// The pause after a receive that failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// How long messages stay away whose endpoint could not be looked up.
const UNKNOWN_MS: i64 = 1_000;
/// Messages of one receive.
const RECEIVE_MAX: usize = 500;
/// A call to a function carries less than its batch where the payloads are large (requirements, A8).
const CALL_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;

#[derive(Clone, Debug)]
pub struct WorkerOptions {
    pub client: ClientOptions,
    /// Attempts at a time in this node, over all queues (requirements, D18).
    pub attempts_max: u32,
    /// How long attempts may finish after a stop before they are given back.
    pub drain: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { client: ClientOptions::default(), attempts_max: 1_000, drain: Duration::from_secs(20) }
    }
}

/// Delivers until it is told to stop.
pub struct Worker;

impl Worker {
    /// Starts the worker of this node. After `shutdown` it takes no more, and ends when what it had is settled or
    /// given back.
    pub fn start(
        broker: Broker,
        options: WorkerOptions,
        shutdown: CancellationToken,
    ) -> Result<JoinHandle<()>> {
        let client = Client::new(options.client)?;
        let shared = Shared {
            function_client: client.keeping(ANSWER_BYTES_MAX),
            client,
            started: std::time::Instant::now(),
            started_ms: broker.clock().now().as_millisecond(),
            broker,
        };
        let crew = Arc::new(Crew {
            places: Places::new(&shared.broker.catalog(), options.attempts_max),
            shared,
            gates: Gates::default(),
            gone: Mutex::default(),
            drain: options.drain,
            cut: CancellationToken::new(),
        });
        Ok(tokio::spawn(crew.run(shutdown)))
    }
}

struct Crew {
    shared: Shared,
    gates: Gates,
    places: Places,
    /// Subscriptions that were not there when the catalog was read for their sake; ids are not used again.
    gone: Mutex<HashSet<SubscriptionId>>,
    drain: Duration,
    /// Cancelled when attempts must be given up.
    cut: CancellationToken,
}

/// A message with where it goes.
enum Load {
    Webhook(Arc<Gate>, Message),
    Function(Arc<Gate>, Vec<Message>),
    Nowhere(Message),
    /// The catalog could not be asked.
    Unknown(Message),
}

impl Load {
    /// What its log lines are found by: the id that its event came with. A batch has many, so it has none.
    fn correlation(&self) -> Option<CorrelationId> {
        let (Self::Webhook(_, message) | Self::Nowhere(message) | Self::Unknown(message)) = self else {
            return None;
        };
        let id = message.event.as_ref()?.correlation_id.as_deref()?;
        // A whole `traceparent` is known by its trace.
        let trace = TraceParent::parse(id.as_bytes()).map(CorrelationId::of_trace);
        trace.or_else(|| CorrelationId::parse(id.as_bytes()))
    }
}

impl Crew {
    async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut dispatchers = JoinSet::new();
        for name in priority_queues() {
            dispatchers.spawn(self.clone().dispatch(name, shutdown.clone()));
        }
        let drained = async { while dispatchers.join_next().await.is_some() {} };
        tokio::pin!(drained);
        tokio::select! {
            () = &mut drained => return,
            () = shutdown.cancelled() => {}
        }
        if tokio::time::timeout(self.drain, &mut drained).await.is_err() {
            self.cut.cancel();
            drained.await;
        }
    }

    /// Takes messages of one queue as long as there are places for them, and waits for the last at the end.
    async fn dispatch(self: Arc<Self>, name: &'static str, shutdown: CancellationToken) {
        let mut attempts = JoinSet::new();
        let mut may_have_more = false;
        while !shutdown.is_cancelled() {
            while attempts.try_join_next().is_some() {}
            let catalog = self.shared.broker.catalog();
            let Ok(queue) = catalog.queue(name).cloned() else { break };
            let limit = (queue.settings.max_concurrency * queue.settings.batch).max(1) as usize;
            if attempts.len() >= limit {
                attempts.join_next().await;
                continue;
            }
            let wanted = (limit - attempts.len()).min(RECEIVE_MAX);
            let taken = shutdown.run_until_cancelled(self.places.take(name, wanted, may_have_more)).await;
            let Some(places) = taken else { break };
            let wait = if may_have_more { Duration::ZERO } else { RECEIVE_WAIT };
            let visibility = queue.settings.visibility_seconds;
            let received =
                self.shared.broker.receive_from(queue.id, places.len(), visibility, wait, &shutdown).await;
            match received {
                Ok(messages) => {
                    may_have_more = messages.len() >= places.len();
                    let known = self.know_all(&messages).await;
                    self.clone().start_attempts(&mut attempts, &queue, known.as_deref(), messages, places);
                }
                Err(error) => {
                    tracing::debug!(%error, queue.name = name, "receiving failed; tried again soon");
                    shutdown.run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_ERROR)).await;
                }
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    /// A catalog that knows the subscriptions of all messages, or knows that they are gone. None when it could not
    /// be read: another node may have made a subscription a moment ago, and its messages must not die for that.
    async fn know_all(&self, messages: &[Message]) -> Option<Arc<Catalog>> {
        let catalog = self.shared.broker.catalog();
        let is_missing = |catalog: &Catalog, id: &SubscriptionId| {
            endpoint_of(catalog, Some(*id)).is_none() && !self.gone().contains(id)
        };
        let ids: HashSet<_> = messages.iter().filter_map(|message| message.subscription).collect();
        if !ids.iter().any(|id| is_missing(&catalog, id)) {
            return Some(catalog);
        }
        self.shared.broker.refresh_catalog().await.ok()?;
        let catalog = self.shared.broker.catalog();
        let missing: Vec<_> = ids.into_iter().filter(|id| is_missing(&catalog, id)).collect();
        self.gone().extend(missing);
        Some(catalog)
    }

    fn gone(&self) -> std::sync::MutexGuard<'_, HashSet<SubscriptionId>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_attempts(
        self: Arc<Self>,
        attempts: &mut JoinSet<()>,
        queue: &Arc<Queue>,
        catalog: Option<&Catalog>,
        messages: Vec<Message>,
        mut places: Vec<OwnedSemaphorePermit>,
    ) {
        for load in self.sort(catalog, messages) {
            let n = match &load {
                Load::Function(_, messages) => messages.len(),
                Load::Webhook(..) | Load::Nowhere(_) | Load::Unknown(_) => 1,
            };
            let places: Vec<_> = places.drain(..n.min(places.len())).collect();
            let (crew, queue) = (self.clone(), queue.clone());
            let metrics = self.shared.broker.queue_metrics(&queue);
            metrics.busy.increment(n as f64);
            let correlation = load.correlation();
            attempts.spawn(async move {
                let carried = crew.carry(&queue, load);
                match correlation {
                    Some(id) => correlation::scope(id, carried).await,
                    None => carried.await,
                }
                metrics.busy.decrement(n as f64);
                drop(places);
            });
        }
    }

    /// Finds each message's endpoint; those of one function go together.
    fn sort(&self, catalog: Option<&Catalog>, messages: Vec<Message>) -> Vec<Load> {
        let Some(catalog) = catalog else { return messages.into_iter().map(Load::Unknown).collect() };
        let now_ms = self.shared.now_ms();
        let mut loads = Vec::with_capacity(messages.len());
        let mut batches: HashMap<i32, (Arc<Gate>, usize, Vec<Message>)> = HashMap::new();
        let n_bytes = |batch: &[Message]| batch.iter().map(|message| message.payload.len()).sum::<usize>();
        for message in messages {
            let Some(endpoint) = endpoint_of(catalog, message.subscription) else {
                loads.push(Load::Nowhere(message));
                continue;
            };
            let gate = self.gates.of(&self.shared.broker, endpoint, now_ms);
            match endpoint.kind {
                EndpointKind::Webhook => loads.push(Load::Webhook(gate, message)),
                EndpointKind::Function => {
                    let batch_max = endpoint.settings.batch.max(1) as usize;
                    let (gate, _, batch) =
                        batches.entry(endpoint.id.0).or_insert_with(|| (gate, batch_max, Vec::new()));
                    if !batch.is_empty() && n_bytes(batch) + message.payload.len() > CALL_BYTES_MAX {
                        loads.push(Load::Function(gate.clone(), std::mem::take(batch)));
                    }
                    batch.push(message);
                    if batch.len() >= batch_max {
                        loads.push(Load::Function(gate.clone(), std::mem::take(batch)));
                    }
                }
            }
        }
        let rest = batches.into_values().filter(|(_, _, batch)| !batch.is_empty());
        loads.extend(rest.map(|(gate, _, batch)| Load::Function(gate, batch)));
        loads
    }

    /// Delivers a load and settles it. When attempts are cut off, gives back what is not done.
    async fn carry(&self, queue: &Queue, load: Load) {
        let receipts: Vec<_> = match &load {
            Load::Webhook(_, message) | Load::Nowhere(message) | Load::Unknown(message) => {
                vec![message.receipt]
            }
            Load::Function(_, messages) => messages.iter().map(|message| message.receipt).collect(),
        };
        let deliver = async {
            match &load {
                Load::Webhook(gate, message) => vec![self.shared.deliver(gate, queue, message).await],
                Load::Function(gate, messages) => self.shared.deliver_batch(gate, queue, messages).await,
                Load::Nowhere(message) => vec![Settlement::dead(message.receipt, &nowhere())],
                Load::Unknown(message) => vec![Settlement::deferred(message.receipt, UNKNOWN_MS)],
            }
        };
        let settlements = tokio::select! {
            settlements = deliver => settlements,
            // It may have arrived, so this receive counts.
            () = self.cut.cancelled() => receipts.into_iter().map(|receipt| Settlement::retry(receipt, 0)).collect(),
        };
        self.settle(queue.id, settlements).await;
    }

    /// Settles, again while the database is away: the lease runs out in the end, and then the message comes again.
    async fn settle(&self, queue: QueueId, mut settlements: Vec<Settlement>) {
        for pause_ms in [0, 100, 500, 2_000, 5_000] {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            let results = match self.shared.broker.conclude(settlements.clone()).await {
                Ok(results) => results,
                Err(error) => settlements.iter().map(|_| Err(error.clone())).collect(),
            };
            let mut unsettled = Vec::new();
            for (settlement, result) in settlements.into_iter().zip(results) {
                match result {
                    Ok(()) => {}
                    Err(error) if error.code() == Code::LeaseLost => {
                        tracing::info!(queue.id = queue.0, %error, "a message was settled too late");
                    }
                    Err(error) => {
                        tracing::debug!(%error, "settling failed; tried again");
                        unsettled.push(settlement.again());
                    }
                }
            }
            if unsettled.is_empty() {
                return;
            }
            settlements = unsettled;
        }
        tracing::warn!(
            queue.id = queue.0,
            "messages could not be settled; they come again when their lease runs out"
        );
    }
}

fn endpoint_of(catalog: &Catalog, subscription: Option<SubscriptionId>) -> Option<&Arc<Endpoint>> {
    match catalog.subscriptions_by_id.get(&subscription?)?.destination {
        Destination::Endpoint(id) => catalog.endpoints.get(&id),
        Destination::Queue(_) => None,
    }
}

fn nowhere() -> Failure {
    Failure {
        category: Category::Permanent,
        code: "no-endpoint".into(),
        message: "the message's subscription or endpoint was removed".into(),
        retry_after_ms: None,
    }
}
