//! What is declared (topics, subscriptions, queues, endpoints), held in memory and refreshed when it changes.
//!
//! A catalog is immutable: a request works with the one it began with. Not for: anything that moves.

use std::collections::HashMap;
use std::sync::Arc;

use posthaste_base::{Code, EndpointId, Error, Priority, QueueId, Result, SubscriptionId};
use posthaste_engine::filter::Filter;
use posthaste_engine::schema::Schema;

/// Everything that is declared, by id and by name.
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
}

pub struct Topic {
    pub name: String,
    pub priority: Priority,
    pub schema: Option<Schema>,
    pub schema_json: Option<serde_json::Value>,
    pub declared: bool,
}

/// A queue's settings; seconds and milliseconds are in the names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueueSettings {
    pub visibility_seconds: u32,
    pub retention_seconds: u32,
    pub dead_retention_seconds: u32,
    pub max_receives: u16,
    pub delay_seconds: u32,
    pub batch: u32,
    pub reserved: u32,
    pub max_concurrency: u32,
    pub worker_timeout_seconds: u32,
    pub backoff_base_ms: u32,
    pub backoff_cap_ms: u32,
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

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub id: EndpointId,
    pub name: String,
    pub kind: EndpointKind,
    pub url: String,
    /// The newest first; more than one while a rotation overlaps. Already without those that ran out.
    pub secrets: Vec<posthaste_base::Secret>,
    pub settings: EndpointSettings,
    pub paused: bool,
    pub declared: bool,
    /// The breaker's state as the last node to see it change wrote it.
    pub breaker: Option<serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointSettings {
    pub timeout_ms: u32,
    /// Calls in flight at most, on each node: the bulkhead.
    pub max_in_flight: u32,
    /// Calls a second at most, on each node; none is no limit.
    pub rate_per_second: Option<f64>,
    pub rate_burst: u32,
    /// Messages of one call, for a function.
    pub batch: u32,
    pub headers: std::collections::BTreeMap<String, String>,
    pub breaker: posthaste_engine::breaker::Settings,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            timeout_ms: 10_000,
            max_in_flight: 32,
            rate_per_second: None,
            rate_burst: 10,
            batch: 10,
            headers: Default::default(),
            breaker: Default::default(),
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
    pub paused: bool,
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

    /// Whether anybody subscribes to `topic`.
    pub fn has_subscriber(&self, topic: &str) -> bool {
        self.subscriptions.get(topic).is_some_and(|subscriptions| !subscriptions.is_empty())
    }
}
