//! Topics, queues, endpoints and subscriptions: reading and writing what is declared.
//!
//! Not for: messages, or what a valid setting is.

use jiff::Timestamp;
use posthaste_pg::driver::Row;
use serde_json::Value;

use crate::{Result, Session, sql};

/// The key of the advisory lock under which declarations change.
const DECLARATIONS_LOCK: i64 = 0x7068_6465_636c;

#[derive(Clone, Debug)]
pub struct TopicRow {
    pub name: String,
    pub priority: i16,
    pub schema: Option<Value>,
    pub declared: bool,
    /// Nobody asked for it: an event or a schedule of this type came.
    pub by_need: bool,
    pub created_at: Timestamp,
}

/// The settings of a queue, as the columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueColumns {
    pub visibility_seconds: i32,
    pub retention_seconds: i32,
    pub dead_retention_seconds: i32,
    pub max_receives: i16,
    pub delay_seconds: i32,
    pub batch: i32,
    pub reserved: i32,
    pub max_concurrency: i32,
    pub worker_timeout_seconds: i32,
    pub backoff_base_ms: i32,
    pub backoff_cap_ms: i32,
}

#[derive(Clone, Debug)]
pub struct QueueRow {
    pub id: i32,
    pub name: String,
    pub columns: QueueColumns,
    pub paused: bool,
    pub declared: bool,
    pub segment: i16,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct EndpointRow {
    pub id: i32,
    pub name: String,
    pub kind: String,
    pub url: String,
    /// `[{"secret", "until"}]`, only those that are still good.
    pub secrets: Value,
    pub settings: Value,
    pub paused: bool,
    pub declared: bool,
    pub breaker: Option<Value>,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct SubscriptionRow {
    pub id: i32,
    pub name: String,
    pub topic: String,
    pub filter: Option<Value>,
    pub queue_id: Option<i32>,
    pub endpoint_id: Option<i32>,
    pub queue: Option<String>,
    pub endpoint: Option<String>,
    pub declared: bool,
    pub created_at: Timestamp,
}

/// What an endpoint is made or changed to.
#[derive(Clone, Copy, Debug)]
pub struct EndpointWrite<'a> {
    pub kind: &'a str,
    pub url: &'a str,
    pub settings: &'a Value,
    pub declared: bool,
}

/// What a subscription is made or changed to.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionWrite<'a> {
    pub name: &'a str,
    pub topic: &'a str,
    pub filter: Option<&'a Value>,
    pub queue_id: Option<i32>,
    pub endpoint_id: Option<i32>,
    pub declared: bool,
}

/// Waits for other changes of declarations to end; held until the transaction ends.
pub async fn lock(session: &Session) -> Result<()> {
    let statement = session.prepare_cached(sql!("topic/lock_declarations")).await?;
    session.execute(&statement, &[&DECLARATIONS_LOCK]).await?;
    Ok(())
}

/// Tells all nodes, when the transaction commits, to read the catalog again.
pub async fn notify_catalog(session: &Session) -> Result<()> {
    let statement = session.prepare_cached(sql!("topic/notify_catalog")).await?;
    session.execute(&statement, &[]).await?;
    Ok(())
}

pub async fn list_topics(session: &Session, after: &str, limit: i64) -> Result<Vec<TopicRow>> {
    let statement = session.prepare_cached(sql!("topic/list")).await?;
    session.query(&statement, &[&after, &limit]).await?.iter().map(topic).collect()
}

pub async fn get_topic(session: &Session, name: &str) -> Result<Option<TopicRow>> {
    let statement = session.prepare_cached(sql!("topic/get")).await?;
    session.query_opt(&statement, &[&name]).await?.as_ref().map(topic).transpose()
}

/// None when there is a topic of that name.
pub async fn insert_topic(
    session: &Session,
    name: &str,
    priority: i16,
    schema: Option<&Value>,
    declared: bool,
) -> Result<Option<TopicRow>> {
    let statement = session.prepare_cached(sql!("topic/insert")).await?;
    let row = session.query_opt(&statement, &[&name, &priority, &schema, &declared]).await?;
    row.as_ref().map(topic).transpose()
}

/// Makes a topic by need; true when it is new, and then the nodes are told.
pub async fn ensure_topic(session: &Session, name: &str, priority: i16) -> Result<bool> {
    let statement = session.prepare_cached(sql!("topic/ensure")).await?;
    Ok(session.execute(&statement, &[&name, &priority]).await? > 0)
}

/// None when there is no topic of that name.
pub async fn update_topic(
    session: &Session,
    name: &str,
    priority: i16,
    schema: Option<&Value>,
    declared: bool,
) -> Result<Option<TopicRow>> {
    let statement = session.prepare_cached(sql!("topic/update")).await?;
    let row = session.query_opt(&statement, &[&name, &priority, &schema, &declared]).await?;
    row.as_ref().map(topic).transpose()
}

/// False when there is none, or somebody subscribes to it.
pub async fn delete_topic(session: &Session, name: &str) -> Result<bool> {
    let statement = session.prepare_cached(sql!("topic/delete")).await?;
    Ok(session.execute(&statement, &[&name]).await? > 0)
}

pub async fn list_queues(session: &Session, after: &str, limit: i64) -> Result<Vec<QueueRow>> {
    let statement = session.prepare_cached(sql!("queue_admin/list")).await?;
    session.query(&statement, &[&after, &limit]).await?.iter().map(queue).collect()
}

pub async fn get_queue(session: &Session, name: &str) -> Result<Option<QueueRow>> {
    let statement = session.prepare_cached(sql!("queue_admin/get")).await?;
    session.query_opt(&statement, &[&name]).await?.as_ref().map(queue).transpose()
}

/// Makes a queue with the tables of its segments; None when there is a queue of that name.
pub async fn insert_queue(
    session: &Session,
    name: &str,
    columns: &QueueColumns,
    declared: bool,
) -> Result<Option<QueueRow>> {
    let statement = session.prepare_cached(sql!("queue_admin/insert")).await?;
    let c = columns;
    let row = session
        .query_opt(
            &statement,
            &[
                &name,
                &c.visibility_seconds,
                &c.retention_seconds,
                &c.dead_retention_seconds,
                &c.max_receives,
                &c.delay_seconds,
                &c.batch,
                &c.reserved,
                &c.max_concurrency,
                &c.worker_timeout_seconds,
                &c.backoff_base_ms,
                &c.backoff_cap_ms,
                &declared,
            ],
        )
        .await?;
    let Some(row) = row.as_ref().map(queue).transpose()? else { return Ok(None) };
    let statement = session.prepare_cached(sql!("queue_admin/create_segments")).await?;
    session.execute(&statement, &[&row.id]).await?;
    Ok(Some(row))
}

/// None when there is no queue of that id.
pub async fn update_queue(
    session: &Session,
    id: i32,
    columns: &QueueColumns,
    paused: bool,
    declared: bool,
) -> Result<Option<QueueRow>> {
    let statement = session.prepare_cached(sql!("queue_admin/update")).await?;
    let c = columns;
    let row = session
        .query_opt(
            &statement,
            &[
                &id,
                &c.visibility_seconds,
                &c.retention_seconds,
                &c.dead_retention_seconds,
                &c.max_receives,
                &c.delay_seconds,
                &c.batch,
                &c.reserved,
                &c.max_concurrency,
                &c.worker_timeout_seconds,
                &c.backoff_base_ms,
                &c.backoff_cap_ms,
                &paused,
                &declared,
            ],
        )
        .await?;
    row.as_ref().map(queue).transpose()
}

/// Whether the queue holds messages in any state, or dead letters.
pub async fn queue_has_messages(session: &Session, id: i32) -> Result<bool> {
    let statement = session.prepare_cached(sql!("queue_admin/has_messages")).await?;
    Ok(session.query_one(&statement, &[&id]).await?.try_get(0)?)
}

/// Removes the queue and its tables; false when it holds messages. Senders are locked out while it looks.
pub async fn remove_queue(session: &Session, id: i32) -> Result<bool> {
    let statement = session.prepare_cached(sql!("queue_admin/remove")).await?;
    Ok(session.query_one(&statement, &[&id]).await?.try_get(0)?)
}

pub async fn list_endpoints(session: &Session, after: &str, limit: i64) -> Result<Vec<EndpointRow>> {
    let statement = session.prepare_cached(sql!("endpoint/list")).await?;
    session.query(&statement, &[&after, &limit]).await?.iter().map(endpoint).collect()
}

pub async fn get_endpoint(session: &Session, name: &str) -> Result<Option<EndpointRow>> {
    let statement = session.prepare_cached(sql!("endpoint/get")).await?;
    session.query_opt(&statement, &[&name]).await?.as_ref().map(endpoint).transpose()
}

/// The new endpoint's id; None when there is one of that name.
pub async fn insert_endpoint(
    session: &Session,
    name: &str,
    secrets: &Value,
    write: EndpointWrite<'_>,
) -> Result<Option<i32>> {
    let statement = session.prepare_cached(sql!("endpoint/insert")).await?;
    let EndpointWrite { kind, url, settings, declared } = write;
    let row = session.query_opt(&statement, &[&name, &kind, &url, &secrets, &settings, &declared]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub async fn update_endpoint(
    session: &Session,
    id: i32,
    paused: bool,
    write: EndpointWrite<'_>,
) -> Result<()> {
    let statement = session.prepare_cached(sql!("endpoint/update")).await?;
    let EndpointWrite { kind, url, settings, declared } = write;
    session.execute(&statement, &[&id, &kind, &url, &settings, &paused, &declared]).await?;
    Ok(())
}

pub async fn set_endpoint_secrets(session: &Session, id: i32, secrets: &Value) -> Result<()> {
    let statement = session.prepare_cached(sql!("endpoint/set_secrets")).await?;
    session.execute(&statement, &[&id, &secrets]).await?;
    Ok(())
}

/// Makes `fingerprint` the one of the installation unless it has one; answers with the one it has.
pub async fn claim_seal(session: &Session, fingerprint: &str) -> Result<String> {
    let statement = session.prepare_cached(sql!("endpoint/claim_seal")).await?;
    Ok(session.query_one(&statement, &[&fingerprint]).await?.try_get(0)?)
}

/// Until when the secrets before the new one stay good; None when there is no such endpoint.
pub async fn rotate_endpoint_secret(
    session: &Session,
    id: i32,
    secret: &str,
    overlap_seconds: f64,
) -> Result<Option<Timestamp>> {
    let statement = session.prepare_cached(sql!("endpoint/rotate_secret")).await?;
    let row = session.query_opt(&statement, &[&id, &secret, &overlap_seconds]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// False when there is none, or a subscription leads to it.
pub async fn delete_endpoint(session: &Session, id: i32) -> Result<bool> {
    let statement = session.prepare_cached(sql!("endpoint/delete")).await?;
    Ok(session.execute(&statement, &[&id]).await? > 0)
}

pub async fn list_subscriptions(session: &Session, after: &str, limit: i64) -> Result<Vec<SubscriptionRow>> {
    let statement = session.prepare_cached(sql!("subscription/list")).await?;
    session.query(&statement, &[&after, &limit]).await?.iter().map(subscription).collect()
}

pub async fn get_subscription(session: &Session, name: &str) -> Result<Option<SubscriptionRow>> {
    let statement = session.prepare_cached(sql!("subscription/get")).await?;
    session.query_opt(&statement, &[&name]).await?.as_ref().map(subscription).transpose()
}

/// False when there is one of that name.
pub async fn insert_subscription(session: &Session, write: SubscriptionWrite<'_>) -> Result<bool> {
    let statement = session.prepare_cached(sql!("subscription/insert")).await?;
    let SubscriptionWrite { name, topic, filter, queue_id, endpoint_id, declared } = write;
    Ok(session.execute(&statement, &[&name, &topic, &filter, &queue_id, &endpoint_id, &declared]).await? > 0)
}

/// False when there is none of that name.
pub async fn update_subscription(session: &Session, write: SubscriptionWrite<'_>) -> Result<bool> {
    let statement = session.prepare_cached(sql!("subscription/update")).await?;
    let SubscriptionWrite { name, topic, filter, queue_id, endpoint_id, declared } = write;
    Ok(session.execute(&statement, &[&name, &topic, &filter, &queue_id, &endpoint_id, &declared]).await? > 0)
}

pub async fn delete_subscription(session: &Session, name: &str) -> Result<bool> {
    let statement = session.prepare_cached(sql!("subscription/delete")).await?;
    Ok(session.execute(&statement, &[&name]).await? > 0)
}

/// The name of a subscription that leads to the queue or the endpoint, if there is one.
pub async fn subscription_of_destination(
    session: &Session,
    queue_id: Option<i32>,
    endpoint_id: Option<i32>,
) -> Result<Option<String>> {
    let statement = session.prepare_cached(sql!("subscription/of_destination")).await?;
    let row = session.query_opt(&statement, &[&queue_id, &endpoint_id]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The name of a subscription to the topic, if there is one.
pub async fn subscription_of_topic(session: &Session, topic: &str) -> Result<Option<String>> {
    let statement = session.prepare_cached(sql!("subscription/of_topic")).await?;
    let row = session.query_opt(&statement, &[&topic]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

fn topic(row: &Row) -> Result<TopicRow> {
    Ok(TopicRow {
        name: row.try_get("name")?,
        priority: row.try_get("priority")?,
        schema: row.try_get("schema")?,
        declared: row.try_get("declared")?,
        by_need: row.try_get("by_need")?,
        created_at: row.try_get("created_at")?,
    })
}

fn queue(row: &Row) -> Result<QueueRow> {
    Ok(QueueRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        columns: QueueColumns {
            visibility_seconds: row.try_get("visibility_seconds")?,
            retention_seconds: row.try_get("retention_seconds")?,
            dead_retention_seconds: row.try_get("dead_retention_seconds")?,
            max_receives: row.try_get("max_receives")?,
            delay_seconds: row.try_get("delay_seconds")?,
            batch: row.try_get("batch")?,
            reserved: row.try_get("reserved")?,
            max_concurrency: row.try_get("max_concurrency")?,
            worker_timeout_seconds: row.try_get("worker_timeout_seconds")?,
            backoff_base_ms: row.try_get("backoff_base_ms")?,
            backoff_cap_ms: row.try_get("backoff_cap_ms")?,
        },
        paused: row.try_get("paused")?,
        declared: row.try_get("declared")?,
        segment: row.try_get("segment")?,
        created_at: row.try_get("created_at")?,
    })
}

fn endpoint(row: &Row) -> Result<EndpointRow> {
    Ok(EndpointRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        url: row.try_get("url")?,
        secrets: row.try_get("secrets")?,
        settings: row.try_get("settings")?,
        paused: row.try_get("paused")?,
        declared: row.try_get("declared")?,
        breaker: row.try_get("breaker")?,
        created_at: row.try_get("created_at")?,
    })
}

fn subscription(row: &Row) -> Result<SubscriptionRow> {
    Ok(SubscriptionRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        topic: row.try_get("topic")?,
        filter: row.try_get("filter")?,
        queue_id: row.try_get("queue_id")?,
        endpoint_id: row.try_get("endpoint_id")?,
        queue: row.try_get("queue")?,
        endpoint: row.try_get("endpoint")?,
        declared: row.try_get("declared")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Writes the state of an endpoint's breaker, for the other nodes to see; false when a newer one is there.
pub async fn set_breaker(session: &Session, endpoint: i32, state: &Value) -> Result<bool> {
    let statement = session.prepare_cached(sql!("endpoint/set_breaker")).await?;
    Ok(session.execute(&statement, &[&endpoint, state]).await? == 1)
}

/// Makes messages visible that wait for these endpoints in these queues; looks at `count` of each queue at most.
pub async fn wake_endpoints(session: &Session, endpoints: &[i32], queues: &[i32], count: i64) -> Result<u64> {
    let statement = session.prepare_cached(sql!("endpoint/sweep_held")).await?;
    Ok(session.execute(&statement, &[&endpoints, &queues, &count]).await?)
}
