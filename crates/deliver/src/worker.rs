//! The worker: takes messages from the priority queues and delivers each to its subscription's endpoint.
//!
//! Every queue has attempts of its own (reserved), and may use free ones that all share; a queue's attempts never
//! wait for another queue's. Not for: pull queues, which their consumers empty.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use posthaste_base::{Category, QueueId, Result};
use posthaste_broker::{Broker, Catalog, Destination, EndpointKind, Message, Queue, Settlement};
use posthaste_engine::failure::Failure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::attempt::{Shared, priority_queues};
use crate::function::ANSWER_BYTES_MAX;
use crate::gate::{Gate, Gates};
use crate::{Client, ClientOptions};

/// How long one receive waits for messages; nothing depends on it.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);
/// The pause after a receive that failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// Messages of one receive.
const RECEIVE_MAX: usize = 500;

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
    pub fn start(broker: Broker, options: WorkerOptions, shutdown: CancellationToken) -> Result<JoinHandle<()>> {
        let client = Client::new(options.client)?;
        let shared = Shared { function_client: client.keeping(ANSWER_BYTES_MAX), client, broker };
        let crew = Arc::new(Crew {
            places: Places::new(&shared.broker.catalog(), options.attempts_max),
            shared,
            gates: Gates::default(),
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
    drain: Duration,
    /// Cancelled when attempts must be given up.
    cut: CancellationToken,
}

/// Attempts that may run: reserved ones of each queue, and those that all share.
struct Places {
    reserved: HashMap<String, Arc<Semaphore>>,
    shared: Arc<Semaphore>,
}

/// A message with where it goes.
enum Load {
    Webhook(Arc<Gate>, Message),
    Function(Arc<Gate>, Vec<Message>),
    Nowhere(Message),
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
            let places = tokio::select! {
                places = self.places.take(name, wanted) => places,
                () = shutdown.cancelled() => break,
            };
            let visibility = queue.settings.visibility_seconds;
            let receive = self.shared.broker.receive_from(queue.id, places.len(), visibility, RECEIVE_WAIT);
            // Not cut off in the middle: what was claimed is ours, and is given back below.
            let received = tokio::select! {
                received = receive => received,
                () = shutdown.cancelled() => break,
            };
            match received {
                Ok(messages) => self.clone().start_attempts(&mut attempts, &queue, messages, places),
                Err(error) => {
                    tracing::debug!(%error, queue.name = name, "receiving failed; tried again soon");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                        () = shutdown.cancelled() => {}
                    }
                }
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    fn start_attempts(
        self: Arc<Self>,
        attempts: &mut JoinSet<()>,
        queue: &Arc<Queue>,
        messages: Vec<Message>,
        mut places: Vec<OwnedSemaphorePermit>,
    ) {
        let catalog = self.shared.broker.catalog();
        for load in self.sort(&catalog, messages) {
            let n = match &load {
                Load::Function(_, messages) => messages.len(),
                Load::Webhook(..) | Load::Nowhere(_) => 1,
            };
            let places: Vec<_> = places.drain(..n.min(places.len())).collect();
            let (crew, queue) = (self.clone(), queue.clone());
            attempts.spawn(async move {
                crew.carry(&queue, load).await;
                drop(places);
            });
        }
    }

    /// Finds each message's endpoint; those of one function go together.
    fn sort(&self, catalog: &Catalog, messages: Vec<Message>) -> Vec<Load> {
        let now_ms = self.shared.now_ms();
        let mut loads = Vec::with_capacity(messages.len());
        let mut batches: HashMap<i32, (Arc<Gate>, usize, Vec<Message>)> = HashMap::new();
        for message in messages {
            let endpoint = message
                .subscription
                .and_then(|id| catalog.subscriptions_by_id.get(&id))
                .and_then(|subscription| match subscription.destination {
                    Destination::Endpoint(id) => catalog.endpoints.get(&id),
                    Destination::Queue(_) => None,
                });
            let Some(endpoint) = endpoint else {
                loads.push(Load::Nowhere(message));
                continue;
            };
            let gate = self.gates.of(endpoint, now_ms);
            match endpoint.kind {
                EndpointKind::Webhook => loads.push(Load::Webhook(gate, message)),
                EndpointKind::Function => {
                    let batch_max = endpoint.settings.batch.max(1) as usize;
                    let (gate, _, batch) =
                        batches.entry(endpoint.id.0).or_insert_with(|| (gate, batch_max, Vec::new()));
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
            Load::Webhook(_, message) | Load::Nowhere(message) => vec![message.receipt],
            Load::Function(_, messages) => messages.iter().map(|message| message.receipt).collect(),
        };
        let deliver = async {
            match &load {
                Load::Webhook(gate, message) => vec![self.shared.deliver(gate, queue, message).await],
                Load::Function(gate, messages) => self.shared.deliver_batch(gate, queue, messages).await,
                Load::Nowhere(message) => vec![Settlement::dead(message.receipt, &nowhere())],
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
    async fn settle(&self, queue: QueueId, settlements: Vec<Settlement>) {
        for pause_ms in [0, 100, 500, 2_000, 5_000] {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            match self.shared.broker.conclude(settlements.clone()).await {
                Ok(results) => {
                    let unsettled = results.iter().filter_map(|result| result.as_ref().err()).next();
                    match unsettled {
                        None => return,
                        Some(error) if error.code() == posthaste_base::Code::LeaseLost => {
                            tracing::info!(queue.id = queue.0, %error, "a message was settled too late and comes again");
                            return;
                        }
                        Some(error) => tracing::debug!(%error, "settling failed; tried again"),
                    }
                }
                Err(error) => tracing::debug!(%error, "settling failed; tried again"),
            }
        }
        tracing::warn!(queue.id = queue.0, "messages could not be settled; they come again when their lease runs out");
    }
}

impl Places {
    fn new(catalog: &Catalog, attempts_max: u32) -> Self {
        let mut left = attempts_max as usize;
        let mut reserved = HashMap::new();
        for name in priority_queues() {
            let wanted = catalog.queue(name).map_or(0, |queue| queue.settings.reserved as usize);
            let own = wanted.min(left);
            left -= own;
            reserved.insert(name.to_owned(), Arc::new(Semaphore::new(own)));
        }
        // At least one is shared, or a queue without reserved ones would never move.
        Self { reserved, shared: Arc::new(Semaphore::new(left.max(1))) }
    }

    /// Takes at least one place and up to `wanted`: the queue's own first, then shared ones.
    async fn take(&self, queue: &str, wanted: usize) -> Vec<OwnedSemaphorePermit> {
        let own = self.reserved.get(queue);
        let mut places = Vec::with_capacity(wanted);
        let mut take_free = |from: &Arc<Semaphore>| {
            while places.len() < wanted
                && let Ok(place) = from.clone().try_acquire_owned()
            {
                places.push(place);
            }
        };
        if let Some(own) = own {
            take_free(own);
        }
        take_free(&self.shared);
        if places.is_empty() {
            let shared = self.shared.clone().acquire_owned();
            let place = match own {
                Some(own) => tokio::select! {
                    place = own.clone().acquire_owned() => place,
                    place = shared => place,
                },
                None => shared.await,
            };
            places.extend(place.ok());
        }
        places
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
