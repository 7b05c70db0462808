//! Reading the catalog from the database, and making topics by need.
//!
//! Not for: changing anything else that is declared.

use std::sync::Arc;
use std::time::Duration;

use posthaste_base::{EndpointId, Error, Priority, QueueId, Result, SubscriptionId};
use posthaste_engine::filter::Filter;
use posthaste_engine::schema::Schema;
use posthaste_store::declare::{
    self as rows, EndpointRow, QueueColumns, QueueRow, SubscriptionRow, TopicRow,
};
use posthaste_store::mode::{self, ModeRow};
use posthaste_store::{Isolation, Session, TransactionOptions};
use serde_json::Value;

use super::check;
use crate::mode::from_row;
use crate::route::priority_of_name;
use crate::transact::Abort;
use crate::{
    Broker, Catalog, Destination, Endpoint, EndpointKind, EndpointSecret, EndpointSettings, Queue,
    QueueSettings, SealedSecret, Subscription, Topic,
};

/// More than this of one kind is not read; it is said in the log.
pub(super) const ROWS_MAX: i64 = 100_000;

/// As many messages of each queue are looked at for those of an endpoint that was resumed.
const WOKEN_MAX: i64 = 5_000;
/// By then every call that saw the endpoint paused has been put off.
const WAKE_AGAIN: Duration = Duration::from_secs(3);

/// The endpoints that were paused and are not any more.
fn resumed(old: &Catalog, new: &Catalog) -> Vec<i32> {
    let was_paused = |id| old.endpoints.get(id).is_some_and(|old| old.paused);
    let resumed = new.endpoints.iter().filter(|(id, new)| !new.paused && was_paused(*id));
    resumed.map(|(id, _)| id.0).collect()
}

/// Everything that is declared, as one snapshot shows it.
pub(super) struct Stored {
    pub(super) topics: Vec<TopicRow>,
    pub(super) queues: Vec<QueueRow>,
    pub(super) endpoints: Vec<EndpointRow>,
    pub(super) subscriptions: Vec<SubscriptionRow>,
}

impl Broker {
    /// Reads what is declared and takes it for the catalog from now on. What is stored but broken is left out
    /// and named in the log.
    pub async fn refresh_catalog(&self) -> Result<()> {
        let options = TransactionOptions {
            isolation: Isolation::RepeatableRead,
            read_only: true,
            ..TransactionOptions::default()
        };
        let _turn = self.inner.refresh_turn.lock().await;
        let (stored, mode) = self
            .transact_with(options, |tx| async move {
                let stored = read(&tx).await?;
                let mode = mode::get(&tx).await?;
                Ok::<_, Abort>((stored, mode))
            })
            .await?;
        let mut catalog = compile(stored);
        catalog.failure_mode = self.active_mode(mode);
        let resumed = resumed(&self.catalog(), &catalog);
        *self.inner.catalog.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(catalog);
        if !resumed.is_empty() {
            // By each node that learns of it, and twice: what was under way may be put off once more.
            let broker = self.clone();
            tokio::spawn(async move {
                broker.wake(&resumed).await;
                tokio::time::sleep(WAKE_AGAIN).await;
                broker.wake(&resumed).await;
            });
        }
        Ok(())
    }

    /// Lets what waits for endpoints come at once; what this does not reach comes by itself.
    async fn wake(&self, endpoints: &[i32]) {
        let catalog = self.catalog();
        let queues = Priority::ALL.iter().filter_map(|priority| catalog.priority_queue(*priority).ok());
        let queues: Vec<i32> = queues.map(|queue| queue.id.0).collect();
        let woken = async {
            let session = self.pool().get().await.map_err(Error::from)?;
            Ok::<_, Error>(rows::wake_endpoints(&session, endpoints, &queues, WOKEN_MAX).await?)
        };
        match woken.await {
            Ok(_) => self.ring_keeper(),
            Err(error) => tracing::debug!(%error, "what waits for a resumed endpoint comes later"),
        }
    }

    /// Makes the topic `name` unless there is one. Cheap when the catalog knows it.
    pub async fn ensure_topic(&self, name: &str) -> Result<()> {
        if self.catalog().topics.contains_key(name) {
            return Ok(());
        }
        check::name(name, "an event type").map_err(|error| error.field("type"))?;
        let is_new = {
            let connection = self.pool().get().await?;
            rows::ensure_topic(&connection, name, priority_of_name(name).rank()).await?
        };
        if is_new {
            tracing::info!(topic.name = name, "topic `{name}` made by need");
        }
        self.refresh_catalog().await
    }

    fn active_mode(&self, row: Option<ModeRow>) -> Option<crate::FailureMode> {
        row.filter(|_| self.options().failure_modes).and_then(from_row).filter(|mode| mode.is_on())
    }
}

/// Reads all declarations; consistent when the transaction is.
pub(super) async fn read(session: &Session) -> posthaste_store::Result<Stored> {
    let stored = Stored {
        topics: rows::list_topics(session, "", ROWS_MAX).await?,
        queues: rows::list_queues(session, "", ROWS_MAX).await?,
        endpoints: rows::list_endpoints(session, "", ROWS_MAX).await?,
        subscriptions: rows::list_subscriptions(session, "", ROWS_MAX).await?,
    };
    for (what, n_rows) in [
        ("topics", stored.topics.len()),
        ("queues", stored.queues.len()),
        ("endpoints", stored.endpoints.len()),
        ("subscriptions", stored.subscriptions.len()),
    ] {
        if n_rows as i64 == ROWS_MAX {
            tracing::error!("there are more than {ROWS_MAX} {what}; the rest is not known to this node");
        }
    }
    Ok(stored)
}

fn compile(stored: Stored) -> Catalog {
    let mut catalog = Catalog::default();
    for row in stored.topics {
        catalog.topics.insert(row.name.clone(), Arc::new(topic(row)));
    }
    for row in stored.queues {
        let queue = Arc::new(queue(row));
        catalog.queue_ids.insert(queue.name.clone(), queue.id);
        catalog.queues.insert(queue.id, queue);
    }
    for row in stored.endpoints {
        let Some(endpoint) = endpoint(row).map(Arc::new) else { continue };
        catalog.endpoint_ids.insert(endpoint.name.clone(), endpoint.id);
        catalog.endpoints.insert(endpoint.id, endpoint);
    }
    catalog.subscribe(stored.subscriptions.into_iter().filter_map(subscription).map(Arc::new));
    catalog
}

fn topic(row: TopicRow) -> Topic {
    let schema = row.schema.as_ref().and_then(|schema| {
        Schema::compile(&row.name, schema)
            .inspect_err(|error| {
                tracing::error!(topic.name = row.name, "schema of topic `{}` is left out: {error}", row.name);
            })
            .ok()
    });
    Topic {
        priority: priority_of_rank(row.priority),
        schema,
        schema_json: row.schema,
        by_need: row.by_need,
        declared: row.declared,
        name: row.name,
    }
}

pub(super) fn priority_of_rank(rank: i16) -> Priority {
    Priority::from_rank(rank).unwrap_or(Priority::Low)
}

fn queue(row: QueueRow) -> Queue {
    Queue {
        id: QueueId(row.id),
        settings: settings_of(&row.columns),
        name: row.name,
        paused: row.paused,
        declared: row.declared,
        segment: row.segment,
    }
}

fn endpoint(row: EndpointRow) -> Option<Endpoint> {
    let (kind, settings) = endpoint_parts(&row)?;
    Some(Endpoint {
        id: EndpointId(row.id),
        kind,
        url: row.url,
        secrets: secrets_of(&row.secrets),
        settings,
        name: row.name,
        paused: row.paused,
        declared: row.declared,
        breaker: row.breaker,
    })
}

/// An endpoint's kind and settings. Settings that cannot be read are the defaults: a call with those is better
/// than none.
pub(super) fn endpoint_parts(row: &EndpointRow) -> Option<(EndpointKind, EndpointSettings)> {
    let name = &row.name;
    let Some(kind) = EndpointKind::from_column(&row.kind) else {
        tracing::error!(endpoint.name = name, "endpoint `{name}` is left out: its kind is not known");
        return None;
    };
    let settings = serde_json::from_value(row.settings.clone()).unwrap_or_else(|error| {
        tracing::error!(endpoint.name = name, "settings of endpoint `{name}` are left out: {error}");
        EndpointSettings::default()
    });
    Some((kind, settings))
}

/// The secrets of an endpoint's column.
pub(super) fn secrets_of(column: &Value) -> Vec<EndpointSecret> {
    let entries = column.as_array().into_iter().flatten();
    entries
        .filter_map(|entry| {
            let until = entry.get("until").and_then(Value::as_str).and_then(|until| until.parse().ok());
            Some(EndpointSecret { sealed: SealedSecret(entry.get("secret")?.as_str()?.to_owned()), until })
        })
        .collect()
}

fn subscription(row: SubscriptionRow) -> Option<Subscription> {
    let name = &row.name;
    let filter = match row.filter.as_ref().map(Filter::parse).transpose() {
        Ok(filter) => filter,
        Err(error) => {
            tracing::error!(subscription.name = name, "subscription `{name}` is left out: {error}");
            return None;
        }
    };
    let destination = match (row.queue_id, row.endpoint_id) {
        (Some(queue), _) => Destination::Queue(QueueId(queue)),
        (None, Some(endpoint)) => Destination::Endpoint(EndpointId(endpoint)),
        (None, None) => return None,
    };
    Some(Subscription {
        id: SubscriptionId(row.id),
        name: row.name,
        topic: row.topic,
        filter,
        filter_json: row.filter,
        destination,
        declared: row.declared,
    })
}

pub(super) fn settings_of(columns: &QueueColumns) -> QueueSettings {
    let unsigned = |value: i32| u32::try_from(value).unwrap_or_default();
    QueueSettings {
        visibility_seconds: unsigned(columns.visibility_seconds),
        retention_seconds: unsigned(columns.retention_seconds),
        dead_retention_seconds: unsigned(columns.dead_retention_seconds),
        max_receives: u16::try_from(columns.max_receives).unwrap_or_default(),
        delay_seconds: unsigned(columns.delay_seconds),
        batch: unsigned(columns.batch),
        reserved: unsigned(columns.reserved),
        max_concurrency: unsigned(columns.max_concurrency),
        worker_timeout_seconds: unsigned(columns.worker_timeout_seconds),
        backoff_base_ms: unsigned(columns.backoff_base_ms),
        backoff_cap_ms: unsigned(columns.backoff_cap_ms),
    }
}

/// The other way round; the settings were checked, so they fit.
pub(super) fn columns_of(settings: &QueueSettings) -> QueueColumns {
    let signed = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    QueueColumns {
        visibility_seconds: signed(settings.visibility_seconds),
        retention_seconds: signed(settings.retention_seconds),
        dead_retention_seconds: signed(settings.dead_retention_seconds),
        max_receives: i16::try_from(settings.max_receives).unwrap_or(i16::MAX),
        delay_seconds: signed(settings.delay_seconds),
        batch: signed(settings.batch),
        reserved: signed(settings.reserved),
        max_concurrency: signed(settings.max_concurrency),
        worker_timeout_seconds: signed(settings.worker_timeout_seconds),
        backoff_base_ms: signed(settings.backoff_base_ms),
        backoff_cap_ms: signed(settings.backoff_cap_ms),
    }
}
