//! The worker: takes messages from the priority queues and delivers each to its subscription's endpoint.
//!
//! A message whose endpoint is not known dies, but only when the catalog was read again for it. Not for: how many
//! attempts may run (see `places`), or pull queues, which their consumers empty.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthaste_base::{Category, Code, QueueId, Result, SubscriptionId};
use posthaste_broker::{Broker, Catalog, Destination, Endpoint, EndpointKind, Message, Queue, Settlement};
use posthaste_engine::failure::Failure;
use posthaste_observe::{CorrelationId, correlation, span};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use crate::attempt::{self, Shared, Time, priority_queues, record_receive};
use crate::function::put_off_alone;
use crate::gate::{Gate, Gates};
use crate::places::Places;
use crate::verdict::ANSWER_BYTES_MAX;
use crate::window::{Batch, Windows};
use crate::{Client, ClientOptions};

/// How long one receive waits for messages; nothing depends on it.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);
/// The pause after a receive that failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// How often guards' clock is set by the database's.
const TIME_ASKED_EVERY: Duration = Duration::from_secs(60);
/// How long messages stay away whose endpoint could not be looked up.
const UNKNOWN_MS: i64 = 1_000;
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
    pub fn start(
        broker: Broker,
        options: WorkerOptions,
        shutdown: CancellationToken,
    ) -> Result<JoinHandle<()>> {
        let client = Client::new(options.client)?;
        Ok(tokio::spawn(async move {
            let Some(now_ms) = database_now_ms(&broker, &shutdown).await else { return };
            let shared = Shared {
                function_client: client.keeping(ANSWER_BYTES_MAX),
                client,
                time: Time::new(now_ms),
                broker,
            };
            let crew = Arc::new(Crew {
                places: Places::new(&shared.broker.catalog(), options.attempts_max),
                shared,
                gates: Gates::default(),
                gone: Mutex::default(),
                drain: options.drain,
                cut: CancellationToken::new(),
                shutdown,
            });
            tokio::select! {
                () = crew.clone().run() => {}
                () = crew.keep_time() => {}
            }
        }))
    }
}

/// The database's time, which is waited for as long as there is none: nothing can be received either. None when the
/// worker is to stop.
async fn database_now_ms(broker: &Broker, shutdown: &CancellationToken) -> Option<i64> {
    loop {
        match shutdown.run_until_cancelled(broker.database_now()).await? {
            Ok(now) => return Some(now.as_millisecond()),
            Err(error) => tracing::debug!(%error, "the database did not tell its time; asked again soon"),
        }
        shutdown.run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_ERROR)).await?;
    }
}

struct Crew {
    shared: Shared,
    gates: Gates,
    places: Places,
    /// Subscriptions that were not there when the catalog was read for their sake; ids are not used again.
    gone: Mutex<HashSet<SubscriptionId>>,
    drain: Duration,
    /// Cancelled when nothing more is to be begun.
    shutdown: CancellationToken,
    /// Cancelled when attempts must be given up.
    cut: CancellationToken,
}

/// A message with where it goes.
enum Load {
    Webhook(Arc<Gate>, Message),
    Function(Batch),
    Nowhere(Message),
    /// The catalog could not be asked.
    Unknown(Message),
}

impl From<Batch> for Load {
    fn from(batch: Batch) -> Self {
        Self::Function(batch)
    }
}

impl Load {
    /// What its log lines are found by. A batch has many, so it has none.
    fn correlation(&self) -> Option<CorrelationId> {
        let (Self::Webhook(_, message) | Self::Nowhere(message) | Self::Unknown(message)) = self else {
            return None;
        };
        attempt::correlation(message)
    }
}

impl Crew {
    /// Follows the database's clock, which may be stepped; and this node's stands while its machine is suspended.
    async fn keep_time(&self) {
        loop {
            tokio::time::sleep(TIME_ASKED_EVERY).await;
            match self.shared.broker.database_now().await {
                Ok(now) => self.shared.time.set(now.as_millisecond()),
                Err(error) => {
                    tracing::debug!(%error, "the database did not tell its time; asked again later")
                }
            }
        }
    }

    async fn run(self: Arc<Self>) {
        let shutdown = &self.shutdown;
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
        self.shared.broker.give_back_ahead().await;
    }

    /// Takes messages of one queue as long as there are places for them, and waits for the last at the end.
    async fn dispatch(self: Arc<Self>, name: &'static str, shutdown: CancellationToken) {
        let mut attempts = JoinSet::new();
        let mut windows = Windows::default();
        let mut may_have_more = false;
        while !shutdown.is_cancelled() {
            while attempts.try_join_next().is_some() {}
            let catalog = self.shared.broker.catalog();
            let Ok(queue) = catalog.queue(name).cloned() else { break };
            self.start_all(&mut attempts, &queue, windows.ended(), Vec::new());
            let limit = (queue.settings.max_concurrency * queue.settings.batch).max(1) as usize;
            if attempts.len() >= limit {
                windows.unless_ended(attempts.join_next()).await;
                continue;
            }
            let wanted = (limit - attempts.len()).min(RECEIVE_MAX);
            let take = windows.unless_ended(self.places.take(name, wanted, may_have_more));
            let Some(taken) = shutdown.run_until_cancelled(take).await else { break };
            let Some(places) = taken else { continue };
            let wait = if may_have_more { Duration::ZERO } else { windows.left(RECEIVE_WAIT) };
            let visibility = queue.settings.visibility_seconds;
            let received =
                self.shared.broker.receive_from(queue.id, places.len(), visibility, wait, &shutdown).await;
            match received {
                Ok(messages) => {
                    may_have_more = messages.len() >= places.len();
                    if span::is_on() {
                        messages.iter().for_each(|one| record_receive(&self.shared.broker, &queue, one));
                    }
                    let known = self.know_all(&messages).await;
                    let loads = self.sort(known.as_deref(), &queue, messages, &mut windows);
                    self.start_all(&mut attempts, &queue, loads, places);
                }
                Err(error) => {
                    tracing::debug!(%error, queue.name = name, "receiving failed; tried again soon");
                    shutdown.run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_ERROR)).await;
                }
            }
        }
        // What was collected is delivered at once: nothing more will come to it.
        if let Ok(queue) = self.shared.broker.catalog().queue(name).cloned() {
            self.start_all(&mut attempts, &queue, windows.end(), Vec::new());
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

    /// Starts to deliver loads, each with the places that it takes of those that are there.
    fn start_all(
        self: &Arc<Self>,
        attempts: &mut JoinSet<()>,
        queue: &Arc<Queue>,
        loads: Vec<impl Into<Load>>,
        mut places: Vec<OwnedSemaphorePermit>,
    ) {
        for load in loads {
            let load = load.into();
            let n = match &load {
                Load::Function(batch) => batch.messages.len(),
                Load::Webhook(..) | Load::Nowhere(_) | Load::Unknown(_) => 1,
            };
            let places: Vec<_> = places.drain(..n.min(places.len())).collect();
            let (crew, queue) = (self.clone(), queue.clone());
            let metrics = self.shared.broker.queue_metrics(&queue);
            metrics.busy.increment(n as f64);
            let correlation = load.correlation();
            attempts.spawn(async move {
                let carried = crew.carry(&queue, load, places);
                match correlation {
                    Some(id) => correlation::scope(id, carried).await,
                    None => carried.await,
                }
                metrics.busy.decrement(n as f64);
            });
        }
    }

    /// Finds each message's endpoint; those of one function go together, when there are enough of them or its window
    /// ends. They come last: what others have brought to a call takes the places that are left.
    fn sort(
        &self,
        catalog: Option<&Catalog>,
        queue: &Queue,
        messages: Vec<Message>,
        windows: &mut Windows,
    ) -> Vec<Load> {
        let Some(catalog) = catalog else { return messages.into_iter().map(Load::Unknown).collect() };
        let now_ms = self.shared.now_ms();
        let mut loads = Vec::with_capacity(messages.len());
        let mut batches = Vec::new();
        for message in messages {
            let Some(endpoint) = endpoint_of(catalog, message.subscription) else {
                loads.push(Load::Nowhere(message));
                continue;
            };
            let gate = self.gates.of(&self.shared.broker, endpoint, now_ms);
            match endpoint.kind {
                EndpointKind::Webhook => loads.push(Load::Webhook(gate, message)),
                EndpointKind::Function => windows.add(gate, &queue.settings, message, &mut batches),
            }
        }
        batches.extend(windows.ended());
        loads.extend(batches.into_iter().map(Load::Function));
        loads
    }

    /// Delivers a load and settles it. When attempts are cut off, gives back what is not done.
    async fn carry(&self, queue: &Queue, load: Load, places: Vec<OwnedSemaphorePermit>) {
        let settlement = match &load {
            Load::Webhook(gate, message) => {
                self.unless_cut(message, self.shared.deliver(gate, queue, message)).await
            }
            Load::Function(batch) => return self.carry_batch(queue, batch, places).await,
            Load::Nowhere(message) => Settlement::dead(message.receipt, &nowhere()),
            Load::Unknown(message) => Settlement::deferred(message.receipt, UNKNOWN_MS),
        };
        self.settle(queue.id, vec![settlement]).await;
    }

    /// The same for a batch. What is called for alone after it is settled as it comes: a node that dies in the middle
    /// repeats one call, and not all.
    async fn carry_batch(&self, queue: &Queue, batch: &Batch, mut places: Vec<OwnedSemaphorePermit>) {
        if places.is_empty() {
            // Collected without one.
            let take = timeout_at(batch.latest, self.places.take(&queue.name, 1, true));
            places = self.cut.run_until_cancelled(take).await.and_then(Result::ok).unwrap_or_default();
        }
        if places.is_empty() {
            return self.settle(queue.id, batch.put_off(0)).await;
        }
        let deliver = self.shared.deliver_batch(queue, batch);
        let Some(ended) = self.cut.run_until_cancelled(deliver).await else {
            return self.settle(queue.id, batch.messages.iter().map(cut_off).collect()).await;
        };
        self.settle(queue.id, ended.settlements).await;
        let mut left = ended.refused.into_iter();
        while !self.shutdown.is_cancelled() {
            let Some(message) = left.next() else { return };
            let alone = self.shared.deliver_alone(&batch.gate, queue, message, ended.until);
            let settlement = self.unless_cut(message, alone).await;
            self.settle(queue.id, vec![settlement]).await;
        }
        self.settle(queue.id, left.map(|message| put_off_alone(&batch.gate, message, 0)).collect()).await;
    }

    async fn unless_cut(&self, message: &Message, deliver: impl Future<Output = Settlement>) -> Settlement {
        self.cut.run_until_cancelled(deliver).await.unwrap_or_else(|| cut_off(message))
    }

    /// Settles, again while the database is away: the lease runs out in the end, and then the message comes again.
    async fn settle(&self, queue: QueueId, mut settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
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

/// It may have arrived, so this receive counts.
fn cut_off(message: &Message) -> Settlement {
    Settlement::retry(message.receipt, 0)
}

fn nowhere() -> Failure {
    Failure {
        category: Category::Permanent,
        code: "no-endpoint".into(),
        message: "the message's subscription or endpoint was removed".into(),
        retry_after_ms: None,
    }
}
