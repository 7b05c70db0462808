//! What is declared (topics, subscriptions, queues, endpoints), held in memory and refreshed when it changes.
//!
//! A catalog is immutable: a request works with the one it began with. Not for: anything that moves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use posthaste_base::{Code, EndpointId, Error, Priority, QueueId, Result, SubscriptionId};
use posthaste_engine::filter::Filter;
use posthaste_engine::schema::Schema;
use posthaste_engine::{breaker, guard};

use crate::SealedSecret;

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
    /// By topic, in the order of their ids.
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

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub id: EndpointId,
    pub name: String,
    pub kind: EndpointKind,
    pub url: String,
    /// The newest first; more than one while a rotation overlaps. Already without those that ran out.
    pub secrets: Vec<SealedSecret>,
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
    /// Sent with every call.
    pub headers: BTreeMap<String, String>,
    /// What a webhook is sent instead of the payload: see `posthaste_engine::body`.
    pub body: Option<serde_json::Value>,
    /// Bulkhead, rate limit and breaker, on each node.
    pub guard: guard::Settings,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            timeout_ms: 10_000,
            batch: 10,
            headers: BTreeMap::new(),
            body: None,
            guard: guard::Settings::default(),
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FlatSettings {
    timeout_ms: u32,
    batch: u32,
    headers: BTreeMap<String, String>,
    body: Option<serde_json::Value>,
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
        let FlatSettings { timeout_ms, batch, headers, body, in_flight_max, rate, breaker } = flat;
        Self { timeout_ms, batch, headers, body, guard: guard::Settings { in_flight_max, rate, breaker } }
    }
}

impl From<EndpointSettings> for FlatSettings {
    fn from(settings: EndpointSettings) -> Self {
        let EndpointSettings { timeout_ms, batch, headers, body, guard } = settings;
        let guard::Settings { in_flight_max, rate, breaker } = guard;
        Self { timeout_ms, batch, headers, body, in_flight_max, rate, breaker }
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

impl Catalog {
    pub fn queue(&self, name: &str) -> Result<&Arc<Queue>> {
        self.queue_ids.get(name).and_then(|id| self.queues.get(id)).ok_or_else(|| {
            let mut names: Vec<_> = self.queue_ids.keys().map(String::as_str).collect();
            names.sort_unstable();
            Error::new(Code::UnknownQueue, format!("there is no queue `{name}`"))
                .field("queue")
                .expected(format!("one of {}", names.join(", ")))
        })
    }

    pub fn endpoint(&self, name: &str) -> Result<&Arc<Endpoint>> {
        self.endpoint_ids.get(name).and_then(|id| self.endpoints.get(id)).ok_or_else(|| {
            Error::new(Code::NotFound, format!("there is no endpoint `{name}`")).field("endpoint")
        })
    }

    /// The queue that deliveries of this priority go through.
    pub fn priority_queue(&self, priority: Priority) -> Result<&Arc<Queue>> {
        self.queue(priority.queue_name())
    }

    /// The queues that an event of this type and priority may go to, each once.
    pub fn queues_of(&self, event_type: &str, priority: Priority) -> Vec<QueueId> {
        let mut queues: Vec<QueueId> = Vec::new();
        for subscription in self.subscriptions.get(event_type).into_iter().flatten() {
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
        self.topics.get(event_type).is_some_and(|topic| !topic.by_need) || self.has_subscriber(event_type)
    }

    /// Whether anybody subscribes to `topic`.
    pub fn has_subscriber(&self, topic: &str) -> bool {
        self.subscriptions.get(topic).is_some_and(|subscriptions| !subscriptions.is_empty())
    }
}
