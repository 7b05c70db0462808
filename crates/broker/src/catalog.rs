//! What is declared (topics, subscriptions, queues, endpoints), held in memory and refreshed when it changes.
//!
//! A catalog is immutable: a request works with the one it began with. Not for: anything that moves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use posthaste_base::{Code, EndpointId, Error, Priority, QueueId, Result, SubscriptionId};
use posthaste_engine::filter::Filter;
use posthaste_engine::schema::Schema;
use posthaste_engine::{breaker, guard};

use crate::SealedSecret;
use crate::route::is_domain_event;

/// What stands for all topics, in a subscription.
pub(crate) const EVERY_TOPIC: &str = "*";

/// Everything that is declared, by id and by name.
///
/// A subscription has no pause: a paused one would either lose events or be a second queue. To hold messages
/// back, pause the queue or the endpoint that they go to.
#[derive(Clone, Default)]
pub struct Catalog {
    pub topics: HashMap<String, Arc<Topic>>,
    pub queues: HashMap<QueueId, Arc<Queue>>,
    pub queue_ids: HashMap<String, QueueId>,
    pub endpoints: HashMap<EndpointId, Arc<Endpoint>>,
    pub endpoint_ids: HashMap<String, EndpointId>,
    /// By topic, in the order of their ids; see `subscribers`.
    pub subscriptions: HashMap<String, Vec<Arc<Subscription>>>,
    pub subscriptions_by_id: HashMap<SubscriptionId, Arc<Subscription>>,
    /// What goes wrong on purpose, when failure modes are enabled and one is switched on.
    pub failure_mode: Option<crate::FailureMode>,
}

pub struct Topic {
    pub name: String,
    pub priority: Priority,
    pub schema: Option<Schema>,
    pub schema_json: Option<serde_json::Value>,
    /// Nobody asked for it: an event or a schedule of this type came.
    pub by_need: bool,
    pub declared: bool,
}

/// A queue's settings; seconds and milliseconds are in the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    pub visibility_seconds: u32,
    pub retention_seconds: u32,
    pub dead_retention_seconds: u32,
    pub max_receives: u16,
    /// How long a message waits before it can be received, when the sender says nothing.
    pub delay_seconds: u32,
    /// Messages that a worker takes at a time.
    pub batch: u32,
    /// Workers' places that no other queue may use.
    pub reserved: u32,
    pub max_concurrency: u32,
    pub worker_timeout_seconds: u32,
    pub backoff_base_ms: u32,
    pub backoff_cap_ms: u32,
}

/// What a lease has left, beside the worker's timeout, when messages have been collected for a function.
const WINDOW_MARGIN_SECONDS: u32 = 10;
const HOUR_SECONDS: u32 = 3600;
const DAY_SECONDS: u32 = 24 * HOUR_SECONDS;

impl QueueSettings {
    /// What the queue of a priority has unless it is declared otherwise (requirements, D3 to D6, decision 2).
    pub fn of_priority(priority: Priority) -> Self {
        let (worker_timeout_seconds, retention_seconds, max_receives, batch, reserved, max_concurrency) =
            match priority {
                Priority::Critical => (60, 24 * HOUR_SECONDS, 3, 5, 100, 20),
                Priority::High => (90, 48 * HOUR_SECONDS, 3, 10, 50, 10),
                Priority::Normal => (120, 72 * HOUR_SECONDS, 5, 10, 100, 20),
                Priority::Low => (180, 7 * DAY_SECONDS, 5, 20, 0, 50),
            };
        Self {
            visibility_seconds: worker_timeout_seconds + posthaste_base::limits::VISIBILITY_MARGIN_SECONDS,
            retention_seconds,
            dead_retention_seconds: 14 * DAY_SECONDS,
            max_receives,
            delay_seconds: 0,
            batch,
            reserved,
            max_concurrency,
            worker_timeout_seconds,
            backoff_base_ms: 1_000,
            backoff_cap_ms: 300_000,
        }
    }

    /// What a queue of this name has unless it is declared otherwise: a priority's own, or as for NORMAL.
    pub fn of_name(name: &str) -> Self {
        let priority = Priority::ALL.into_iter().find(|priority| priority.queue_name() == name);
        Self::of_priority(priority.unwrap_or(Priority::Normal))
    }

    /// How long messages may be collected before a call, so that it still ends well before their leases do.
    pub fn window_seconds_max(&self) -> u32 {
        self.visibility_seconds
            .saturating_sub(self.worker_timeout_seconds.saturating_add(WINDOW_MARGIN_SECONDS))
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self::of_priority(Priority::Normal)
    }
}

#[derive(Clone, Debug)]
pub struct Queue {
    pub id: QueueId,
    pub name: String,
    pub settings: QueueSettings,
    pub paused: bool,
    pub declared: bool,
    /// The segment that took new messages when the catalog was read.
    pub segment: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// One POST a message.
    Webhook,
    /// One POST for up to N messages; the answer names the ids that failed.
    Function,
}

impl EndpointKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Function => "function",
        }
    }

    pub(crate) fn from_column(text: &str) -> Option<Self> {
        [Self::Webhook, Self::Function].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a body of an endpoint's own form is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyType {
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// A secret that calls to an endpoint are signed with.
#[derive(Clone, Debug)]
pub struct EndpointSecret {
    pub sealed: SealedSecret,
    /// Until when it is good; None until another one takes its place.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub id: EndpointId,
    pub name: String,
    pub kind: EndpointKind,
    pub url: String,
    /// The newest first; more than one while a rotation overlaps. Without those that had run out when they were read.
    pub secrets: Vec<EndpointSecret>,
    pub settings: EndpointSettings,
    pub paused: bool,
    pub declared: bool,
    /// The breaker's state as the last node to see it change wrote it.
    pub breaker: Option<serde_json::Value>,
}

/// An endpoint's settings. As data they are flat: `in_flight_max`, `rate` and `breaker` stand beside the others.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(from = "FlatSettings", into = "FlatSettings")]
pub struct EndpointSettings {
    pub timeout_ms: u32,
    /// Messages of one call, for a function.
    pub batch: u32,
    /// How long a function's messages are collected before a call, unless they fill it sooner.
    pub batch_window_seconds: u32,
    /// Sent with every call.
    pub headers: BTreeMap<String, String>,
    /// What a webhook is sent instead of the payload: see `posthaste_engine::body`.
    pub body: Option<serde_json::Value>,
    pub body_type: BodyType,
    /// Bulkhead, rate limit and breaker, on each node.
    pub guard: guard::Settings,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            timeout_ms: 10_000,
            batch: 10,
            batch_window_seconds: 0,
            headers: BTreeMap::new(),
            body: None,
            body_type: BodyType::Json,
            guard: guard::Settings::default(),
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FlatSettings {
    timeout_ms: u32,
    batch: u32,
    batch_window_seconds: u32,
    headers: BTreeMap<String, String>,
    body: Option<serde_json::Value>,
    body_type: BodyType,
    in_flight_max: u32,
    rate: Option<guard::Rate>,
    breaker: breaker::Settings,
}

impl Default for FlatSettings {
    fn default() -> Self {
        EndpointSettings::default().into()
    }
}

impl From<FlatSettings> for EndpointSettings {
    fn from(flat: FlatSettings) -> Self {
        let FlatSettings { timeout_ms, batch, batch_window_seconds, headers, body, body_type, .. } = flat;
        let FlatSettings { in_flight_max, rate, breaker, .. } = flat;
        let guard = guard::Settings { in_flight_max, rate, breaker };
        Self { timeout_ms, batch, batch_window_seconds, headers, body, body_type, guard }
    }
}

impl From<EndpointSettings> for FlatSettings {
    fn from(settings: EndpointSettings) -> Self {
        let EndpointSettings { timeout_ms, batch, batch_window_seconds, headers, body, body_type, guard } =
            settings;
        let guard::Settings { in_flight_max, rate, breaker } = guard;
        Self {
            timeout_ms,
            batch,
            batch_window_seconds,
            headers,
            body,
            body_type,
            in_flight_max,
            rate,
            breaker,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Queue(QueueId),
    Endpoint(EndpointId),
}

pub struct Subscription {
    pub id: SubscriptionId,
    pub name: String,
    pub topic: String,
    pub filter: Option<Filter>,
    pub filter_json: Option<serde_json::Value>,
    pub destination: Destination,
    pub declared: bool,
}

/// Names to choose from: a listing has more than these.
fn one_of<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> String {
    const NAMES_MAX: usize = 20;
    let mut names: Vec<_> = names.map(String::as_str).collect();
    names.sort_unstable();
    match names.len() {
        0 => format!("the name of one; there is no {what} yet"),
        1..=NAMES_MAX => format!("one of {}", names.join(", ")),
        n => format!("one of {} ({n} in all)", names[..NAMES_MAX].join(", ")),
    }
}

impl Catalog {
    pub fn queue(&self, name: &str) -> Result<&Arc<Queue>> {
        self.queue_ids.get(name).and_then(|id| self.queues.get(id)).ok_or_else(|| {
            Error::new(Code::UnknownQueue, format!("there is no queue `{name}`"))
                .field("queue")
                .expected(one_of("queue", self.queue_ids.keys()))
        })
    }

    pub fn endpoint(&self, name: &str) -> Result<&Arc<Endpoint>> {
        self.endpoint_ids.get(name).and_then(|id| self.endpoints.get(id)).ok_or_else(|| {
            Error::new(Code::NotFound, format!("there is no endpoint `{name}`"))
                .field("endpoint")
                .expected(one_of("endpoint", self.endpoint_ids.keys()))
        })
    }

    /// The queue that deliveries of this priority go through.
    pub fn priority_queue(&self, priority: Priority) -> Result<&Arc<Queue>> {
        self.queue(priority.queue_name())
    }

    /// The queues that an event of this type and priority may go to, each once.
    pub fn queues_of(&self, event_type: &str, priority: Priority) -> Vec<QueueId> {
        let mut queues: Vec<QueueId> = Vec::new();
        for subscription in self.subscribers(event_type) {
            let queue = match subscription.destination {
                Destination::Queue(queue) => Some(queue),
                Destination::Endpoint(_) => self.priority_queue(priority).ok().map(|queue| queue.id),
            };
            queues.extend(queue.filter(|queue| !queues.contains(queue)));
        }
        queues
    }

    /// How long a message may be anywhere before it is dropped or dies, in seconds.
    pub fn retention_seconds_max(&self) -> u32 {
        self.queues.values().map(|queue| queue.settings.retention_seconds).max().unwrap_or(0)
    }

    /// Whether somebody has asked for this type: in the configuration, over HTTP, or by a subscription.
    pub fn is_known_type(&self, event_type: &str) -> bool {
        let is_named = || self.subscribers(event_type).iter().any(|one| one.topic == event_type);
        self.topics.get(event_type).is_some_and(|topic| !topic.by_need) || is_named()
    }

    /// Whether anybody subscribes to `topic`.
    pub fn has_subscriber(&self, topic: &str) -> bool {
        !self.subscribers(topic).is_empty()
    }

    /// Who may get events of this type. Posthaste's own are for those who name them: what is said of an event's end
    /// is not one of the events that somebody wants all of.
    pub fn subscribers(&self, event_type: &str) -> &[Arc<Subscription>] {
        let all = || self.subscriptions.get(EVERY_TOPIC).filter(|_| !is_domain_event(event_type));
        self.subscriptions.get(event_type).or_else(all).map_or(&[], Vec::as_slice)
    }

    /// Takes subscriptions in: those to every topic are among those of each.
    pub(crate) fn subscribe(&mut self, subscriptions: impl IntoIterator<Item = Arc<Subscription>>) {
        for subscription in subscriptions {
            self.subscriptions_by_id.insert(subscription.id, subscription.clone());
            self.subscriptions.entry(subscription.topic.clone()).or_default().push(subscription);
        }
        let every = self.subscriptions.get(EVERY_TOPIC).cloned().unwrap_or_default();
        for (topic, named) in &mut self.subscriptions {
            if topic != EVERY_TOPIC && !is_domain_event(topic) {
                named.extend(every.iter().cloned());
            }
            named.sort_by_key(|subscription| subscription.id);
        }
    }
}
