//! A node in a test: everything that delivers, over a database of its own, with one receiver beside it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use posthaste_base::{Clock, EventId};
use posthaste_broker::{
    AttemptOut, Broker, BrokerOptions, DeadLetterFilter, DeadLetterOut, Declaration, Depth, EventIn,
    EventOut, EventStatus, Payload, PublishOut, SealKey,
};
use posthaste_deliver::{AddressPolicy, ClientOptions, Worker, WorkerOptions};
use posthaste_testkit::db::TestDb;
use posthaste_testkit::receiver::{Received, Receiver};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes; only a test that fails waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The usual declaration: `order` goes to `/shop`, and what fails is tried again soon. Tables can be added to it.
pub(crate) const ORDERS: &str = r#"
    [types.order]
    priority = "NORMAL"
    [queues.normal]
    max_receives = 3
    backoff_base_ms = 20
    backoff_cap_ms = 60
    [subscriptions.orders]
    topic = "order"
    endpoint = "shop"
    [endpoints.shop]
    url = "{receiver}/shop"
"#;

pub(crate) struct PostOffice {
    pub(crate) db: TestDb,
    pub(crate) broker: Broker,
    pub(crate) receiver: Receiver,
    worker: Option<Running>,
    ground: Running,
}

/// Tasks, and what ends them.
struct Running {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What workers of tests are: quick to stop, and allowed to call this host.
pub(crate) fn options() -> WorkerOptions {
    let policy = AddressPolicy::parse(&["127.0.0.0/8"]).unwrap();
    let inner: IpAddr = "10.1.2.3".parse().unwrap();
    let names = BTreeMap::from([("inner.example".to_owned(), vec![inner])]);
    WorkerOptions {
        client: ClientOptions { policy, names, ..ClientOptions::default() },
        drain: LONG,
        ..WorkerOptions::default()
    }
}

pub(crate) async fn open_broker(db: &TestDb, failure_modes: bool) -> Broker {
    // All nodes of a test have one key.
    static KEY: OnceLock<SealKey> = OnceLock::new();
    let key = KEY.get_or_init(|| SealKey::parse(&SealKey::generate().unwrap()).unwrap());
    let options = BrokerOptions { failure_modes, seal_key: Some(key.clone()), ..BrokerOptions::default() };
    Broker::open(db.pool.clone(), options, Clock::system()).await.expect("a broker")
}

impl PostOffice {
    /// With `{receiver}` in the declaration put right, and a worker at work.
    pub(crate) async fn open(declaration: &str) -> Self {
        let mut office = Self::without_worker(declaration).await;
        office.start_worker(options());
        office
    }

    pub(crate) async fn without_worker(declaration: &str) -> Self {
        let (db, receiver) = (TestDb::posthaste().await, Receiver::start().await.unwrap());
        let broker = open_broker(&db, true).await;
        let text = declaration.replace("{receiver}", &receiver.url(""));
        let declaration = Declaration::parse(&text).expect("a declaration");
        broker.apply(&declaration).await.expect("an applied declaration");
        let stop = CancellationToken::new();
        let (keeper, listener) = (broker.clone(), broker.clone());
        let (first, second) = (stop.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(async move { keeper.run_keeper(first).await }),
            tokio::spawn(async move { listener.run_listener(second).await }),
        ];
        Self { db, broker, receiver, worker: None, ground: Running { stop, tasks } }
    }

    pub(crate) fn start_worker(&mut self, options: WorkerOptions) {
        let stop = CancellationToken::new();
        let worker = Worker::start(self.broker.clone(), options, stop.clone()).expect("a worker");
        self.worker = Some(Running { stop, tasks: vec![worker] });
    }

    /// Tells the worker to stop, and waits until it has.
    pub(crate) async fn stop_worker(&mut self) {
        let mut worker = self.worker.take().expect("a worker that runs");
        worker.stop.cancel();
        let ended = worker.tasks.pop().expect("one task");
        tokio::time::timeout(LONG, ended).await.expect("the worker to stop").expect("no panic");
    }

    /// Stops the keeper too: nothing comes back any more.
    pub(crate) async fn stop_ground(&mut self) {
        self.ground.stop.cancel();
        for task in self.ground.tasks.drain(..) {
            task.await.expect("no panic");
        }
    }

    /// Publishes an event of this type; each is another one.
    pub(crate) async fn publish(&self, event_type: &str) -> PublishOut {
        self.publish_as(event_type, |_| {}).await
    }

    pub(crate) async fn publish_many(&self, event_type: &str, count: usize) -> Vec<EventId> {
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(self.publish(event_type).await.id);
        }
        ids
    }

    pub(crate) async fn publish_as(&self, event_type: &str, adjust: impl FnOnce(&mut EventIn)) -> PublishOut {
        let text = format!(r#"{{"number": "{}"}}"#, EventId::generate());
        let mut event = EventIn::of(Payload::json(text.into()).unwrap());
        event.event_type = Some(event_type.into());
        adjust(&mut event);
        self.broker.publish(event).await.expect("an accepted event")
    }

    /// Waits until every message of the event is delivered or dead.
    pub(crate) async fn ended(&self, id: EventId) -> EventOut {
        let is_ended = async || {
            let event = self.broker.show_event(id).await.expect("the event");
            matches!(event.status, EventStatus::Completed | EventStatus::Failed).then_some(event)
        };
        until("the event to end", is_ended).await
    }

    pub(crate) async fn delivered(&self, id: EventId) -> EventOut {
        let event = self.ended(id).await;
        assert_eq!(event.status, EventStatus::Completed, "{:?}", event.attempts);
        event
    }

    pub(crate) async fn all_delivered(&self, ids: &[EventId]) {
        for id in ids {
            self.delivered(*id).await;
        }
    }

    /// The one dead letter of an event that has failed.
    pub(crate) async fn died(&self, id: EventId) -> (DeadLetterOut, Vec<AttemptOut>) {
        let event = self.ended(id).await;
        assert_eq!(event.status, EventStatus::Failed, "{:?}", event.attempts);
        let mut letters = self.letters().await;
        letters.retain(|letter| letter.event_id == Some(id));
        assert_eq!(letters.len(), 1, "{letters:?}");
        (letters.remove(0), event.attempts)
    }

    pub(crate) async fn letters(&self) -> Vec<DeadLetterOut> {
        let page = self.broker.list_dead(&DeadLetterFilter::default(), false, None, 100).await;
        page.expect("dead letters").letters
    }

    /// How much is in the queue, in flight and delayed included.
    pub(crate) async fn depth(&self, queue: &str) -> Depth {
        self.broker.depth(queue).await.expect("a depth")
    }

    /// Waits until nothing is left in a queue.
    pub(crate) async fn emptied(&self, queue: &str) {
        let is_empty = async || {
            let depth = self.depth(queue).await;
            (depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
        };
        until("the queue to be empty", is_empty).await
    }

    /// Requests of one path, oldest first.
    pub(crate) fn calls(&self, path: &str) -> Vec<Received> {
        let mut requests = self.receiver.requests();
        requests.retain(|request| request.path == path);
        requests
    }

    pub(crate) async fn sql(&self, statement: &str) {
        self.db.pool.get().await.unwrap().batch_execute(statement).await.expect("a statement");
    }

    /// Makes the leases of a queue shorter than a declaration may.
    pub(crate) async fn shorten_leases(&self, queue: &str, seconds: u32) {
        self.sql(&format!(
            "update posthaste.queue set visibility_seconds = {seconds} where name = '{queue}'"
        ))
        .await;
        self.broker.refresh_catalog().await.unwrap();
    }
}

/// Looks until there is an answer.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
