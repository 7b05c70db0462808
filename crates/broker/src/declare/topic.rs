//! Topics one at a time: an event type with its priority and its schema.
//!
//! Not for: topics that are made by need (see `refresh`).

use jiff::Timestamp;
use posthaste_base::{Code, Error, Priority, Result};
use posthaste_store::declare::{self as rows, TopicRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refresh::priority_of_rank;
use super::{check, priority_of_any_case, there};
use crate::Broker;
use crate::route::priority_of_name;
use crate::transact::Abort;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicIn {
    pub name: String,
    /// None is what the name stands for.
    #[serde(default, deserialize_with = "priority_of_any_case")]
    pub priority: Option<Priority>,
    /// A JSON Schema that payloads must satisfy; none lets every JSON through.
    #[serde(default)]
    pub schema: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopicOut {
    pub name: String,
    pub priority: Priority,
    pub schema: Option<Value>,
    /// Whether the configuration file declares it; applying the file then undoes other changes.
    pub declared: bool,
    pub created_at: Timestamp,
}

/// What is not there stays as it is; a schema that is null goes away.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicPatch {
    #[serde(deserialize_with = "priority_of_any_case")]
    pub priority: Option<Priority>,
    #[serde(deserialize_with = "there")]
    pub schema: Option<Option<Value>>,
}

impl Broker {
    /// Topics by name, after `after`; `limit` at most.
    pub async fn list_topics(&self, after: Option<&str>, limit: usize) -> Result<Vec<TopicOut>> {
        let connection = self.pool().get().await?;
        let found = rows::list_topics(&connection, after.unwrap_or_default(), limit as i64).await?;
        Ok(found.into_iter().map(to_out).collect())
    }

    pub async fn get_topic(&self, name: &str) -> Result<TopicOut> {
        let connection = self.pool().get().await?;
        rows::get_topic(&connection, name).await?.map(to_out).ok_or_else(|| not_found(name))
    }

    pub async fn create_topic(&self, topic: TopicIn) -> Result<TopicOut> {
        check::name(&topic.name, "a topic").map_err(|error| error.field("name"))?;
        topic.schema.as_ref().map_or(Ok(()), |schema| check::schema(&topic.name, schema))?;
        let topic = &topic;
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let rank = topic.priority.unwrap_or_else(|| priority_of_name(&topic.name)).rank();
                let row = rows::insert_topic(&tx, &topic.name, rank, topic.schema.as_ref(), false).await?;
                rows::notify_catalog(&tx).await?;
                Ok::<_, Abort>(row)
            })
            .await?
            .ok_or_else(|| already("topic", &topic.name))?;
        self.refresh_catalog().await?;
        Ok(to_out(row))
    }

    pub async fn update_topic(&self, name: &str, patch: TopicPatch) -> Result<TopicOut> {
        patch.schema.iter().flatten().try_for_each(|schema| check::schema(name, schema))?;
        let patch = &patch;
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let row = rows::get_topic(&tx, name).await?.ok_or_else(|| not_found(name))?;
                let rank = patch.priority.map_or(row.priority, Priority::rank);
                let schema = patch.schema.as_ref().unwrap_or(&row.schema).as_ref();
                let row = rows::update_topic(&tx, name, rank, schema, row.declared).await?;
                rows::notify_catalog(&tx).await?;
                row.ok_or_else(|| not_found(name).into())
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(to_out(row))
    }

    /// Removes a topic that nobody subscribes to. It comes back, by need, with the next event of its type.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        self.transact(|tx| async move {
            rows::lock(&tx).await?;
            if !rows::delete_topic(&tx, name).await? {
                return Err(match rows::subscription_of_topic(&tx, name).await? {
                    Some(by) => in_use("topic", name, &format!("subscription `{by}` is to it")).into(),
                    None => not_found(name).into(),
                });
            }
            rows::notify_catalog(&tx).await?;
            Ok::<_, Abort>(())
        })
        .await?;
        self.refresh_catalog().await
    }
}

pub(super) fn already(what: &str, name: &str) -> Error {
    Error::new(Code::Conflict, format!("there is already a {what} `{name}`"))
        .field("name")
        .hint("change it, or choose another name")
}

pub(super) fn in_use(what: &str, name: &str, reason: &str) -> Error {
    Error::new(Code::Conflict, format!("the {what} `{name}` cannot be removed: {reason}"))
        .hint("remove what uses it first")
}

fn not_found(name: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no topic `{name}`")).field("topic")
}

fn to_out(row: TopicRow) -> TopicOut {
    TopicOut {
        priority: priority_of_rank(row.priority),
        name: row.name,
        schema: row.schema,
        declared: row.declared,
        created_at: row.created_at,
    }
}
