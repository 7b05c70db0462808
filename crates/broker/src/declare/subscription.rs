//! Subscriptions one at a time: a topic, a filter, and a queue or an endpoint.
//!
//! They have no pause of their own (see [`crate::Catalog`]). Not for: routing (see `route`).

use jiff::Timestamp;
use posthaste_base::{Code, Error, Result};
use posthaste_store::Session;
use posthaste_store::declare::{self as rows, SubscriptionRow, SubscriptionWrite};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::topic::already;
use super::{check, there};
use crate::Broker;
use crate::route::priority_of_name;
use crate::transact::Abort;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionIn {
    pub name: String,
    /// Made by need.
    pub topic: String,
    #[serde(default)]
    pub filter: Option<Value>,
    /// This, or `endpoint`.
    #[serde(default)]
    pub queue: Option<String>,
    #[serde(default)]
    pub endpoint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubscriptionOut {
    pub name: String,
    pub topic: String,
    pub filter: Option<Value>,
    pub queue: Option<String>,
    pub endpoint: Option<String>,
    /// Whether the configuration file declares it; applying the file then undoes other changes.
    pub declared: bool,
    pub created_at: Timestamp,
}

/// What is not there stays as it is; a filter that is null goes away. A new destination replaces the old one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriptionPatch {
    #[serde(deserialize_with = "there")]
    pub filter: Option<Option<Value>>,
    pub queue: Option<String>,
    pub endpoint: Option<String>,
}

impl Broker {
    /// Subscriptions by name, after `after`; `limit` at most.
    pub async fn list_subscriptions(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SubscriptionOut>> {
        let connection = self.pool().get().await?;
        let found = rows::list_subscriptions(&connection, after.unwrap_or_default(), limit as i64).await?;
        Ok(found.into_iter().map(to_out).collect())
    }

    pub async fn get_subscription(&self, name: &str) -> Result<SubscriptionOut> {
        let connection = self.pool().get().await?;
        rows::get_subscription(&connection, name).await?.map(to_out).ok_or_else(|| not_found(name))
    }

    pub async fn create_subscription(&self, subscription: SubscriptionIn) -> Result<SubscriptionOut> {
        check::name(&subscription.name, "a subscription").map_err(|error| error.field("name"))?;
        check::topic(&subscription.topic).map_err(|error| error.field("topic"))?;
        subscription.filter.as_ref().map_or(Ok(()), check::filter)?;
        let wanted = &subscription;
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let (queue_id, endpoint_id) =
                    destination(&tx, wanted.queue.as_deref(), wanted.endpoint.as_deref()).await?;
                rows::ensure_topic(&tx, &wanted.topic, priority_of_name(&wanted.topic).rank()).await?;
                let write = SubscriptionWrite {
                    name: &wanted.name,
                    topic: &wanted.topic,
                    filter: wanted.filter.as_ref(),
                    queue_id,
                    endpoint_id,
                    declared: false,
                };
                if !rows::insert_subscription(&tx, write).await? {
                    return Err(already("subscription", &wanted.name).into());
                }
                rows::notify_catalog(&tx).await?;
                read(&tx, &wanted.name).await
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(to_out(row))
    }

    pub async fn update_subscription(&self, name: &str, patch: SubscriptionPatch) -> Result<SubscriptionOut> {
        patch.filter.iter().flatten().try_for_each(check::filter)?;
        let patch = &patch;
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let row = read(&tx, name).await?;
                let (queue_id, endpoint_id) = if patch.queue.is_some() || patch.endpoint.is_some() {
                    destination(&tx, patch.queue.as_deref(), patch.endpoint.as_deref()).await?
                } else {
                    (row.queue_id, row.endpoint_id)
                };
                let write = SubscriptionWrite {
                    name,
                    topic: &row.topic,
                    filter: patch.filter.as_ref().unwrap_or(&row.filter).as_ref(),
                    queue_id,
                    endpoint_id,
                    declared: row.declared,
                };
                rows::update_subscription(&tx, write).await?;
                rows::notify_catalog(&tx).await?;
                read(&tx, name).await
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(to_out(row))
    }

    /// Ends a subscription. Events from now on make no message for it.
    pub async fn delete_subscription(&self, name: &str) -> Result<()> {
        self.transact(|tx| async move {
            rows::lock(&tx).await?;
            if !rows::delete_subscription(&tx, name).await? {
                return Err(not_found(name).into());
            }
            rows::notify_catalog(&tx).await?;
            Ok::<_, Abort>(())
        })
        .await?;
        self.refresh_catalog().await
    }
}

async fn read(session: &Session, name: &str) -> Result<SubscriptionRow, Abort> {
    rows::get_subscription(session, name).await?.ok_or_else(|| not_found(name).into())
}

/// The ids of a queue or an endpoint, exactly one of which is named.
async fn destination(
    session: &Session,
    queue: Option<&str>,
    endpoint: Option<&str>,
) -> Result<(Option<i32>, Option<i32>), Abort> {
    match (queue, endpoint) {
        (Some(queue), None) => {
            check::pull_queue(queue)?;
            let row = rows::get_queue(session, queue).await?.ok_or_else(|| {
                Error::new(Code::UnknownQueue, format!("there is no queue `{queue}`")).field("queue")
            })?;
            Ok((Some(row.id), None))
        }
        (None, Some(endpoint)) => {
            let row = rows::get_endpoint(session, endpoint).await?.ok_or_else(|| {
                let message = format!("there is no endpoint `{endpoint}`");
                Error::new(Code::InvalidParameter, message).field("endpoint").hint("make the endpoint first")
            })?;
            Ok((None, Some(row.id)))
        }
        _ => Err(Error::new(Code::InvalidParameter, "a subscription leads to one queue or one endpoint")
            .field(if queue.is_some() { "endpoint" } else { "queue" })
            .expected("`queue` or `endpoint`")
            .into()),
    }
}

fn not_found(name: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no subscription `{name}`")).field("subscription")
}

fn to_out(row: SubscriptionRow) -> SubscriptionOut {
    SubscriptionOut {
        name: row.name,
        topic: row.topic,
        filter: row.filter,
        queue: row.queue,
        endpoint: row.endpoint,
        declared: row.declared,
        created_at: row.created_at,
    }
}
