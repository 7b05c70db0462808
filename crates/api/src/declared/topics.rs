//! Topics: an event type with its priority and its schema.
//!
//! Not for: publishing to them (see `events`).

use axum::response::Response;
use http::Method;
use posthaste_base::{Code, Priority, Result};
use posthaste_broker::{TopicIn, TopicPatch, priority_of_name};
use posthaste_web::Scope;
use serde::Deserialize;
use serde_json::Value;

use crate::call::{Call, json_response, no_content, to_value};
use crate::shape::{Field, Kind, Shape, may, must, page_fields};
use crate::table::{PAGE, Row, Takes, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(Method::GET, "/topics", "listTopics", "Topics by name.", run!(list))
        .query(&PAGE)
        .gives(200, &TOPICS),
    Row::new(Method::GET, "/topics/{topic}", "getTopic", "A topic.", run!(get)).gives(200, &TOPIC),
    Row::new(
        Method::PUT,
        "/topics/{topic}",
        "putTopic",
        "Makes a topic (201), or makes an existing one exactly so (200).",
        run!(put),
    )
    .needs(Scope::Operate)
    .takes(Takes::OptionalJson(&TOPIC_IN))
    .gives(200, &TOPIC),
    Row::new(Method::PATCH, "/topics/{topic}", "patchTopic", "Changes a topic.", run!(patch))
        .needs(Scope::Operate)
        .takes(Takes::Json(&TOPIC_IN))
        .gives(200, &TOPIC),
    Row::new(
        Method::DELETE,
        "/topics/{topic}",
        "deleteTopic",
        "Removes a topic without subscriptions.",
        run!(delete),
    )
    .needs(Scope::Operate)
    .status(204),
];

const PRIORITY: Field = may("priority", Kind::Priority, "Of its events, unless they say otherwise.");
const SCHEMA: Field =
    may("schema", Kind::Object, "A JSON Schema that payloads have to satisfy; none when null.");

static TOPIC_IN: Shape =
    Shape { name: "TopicIn", about: "A topic to make or to change.", fields: &[PRIORITY, SCHEMA] };

static TOPIC: Shape = Shape {
    name: "Topic",
    about: "An event type.",
    fields: &[
        must("name", Kind::Text, "Its name, which is the type of its events."),
        PRIORITY,
        SCHEMA,
        must("declared", Kind::Bool, "Whether it comes from a configuration file."),
        must("createdAt", Kind::Time, "When it was made."),
    ],
};

static TOPICS: Shape = Shape { name: "TopicPage", about: "Topics.", fields: &page_fields(&Kind::Of(&TOPIC)) };

async fn list(call: Call) -> Result<Response> {
    let page = call.page::<String>()?;
    let topics = call.broker().list_topics(page.after.as_deref(), page.limit + 1).await?;
    call.answer_page(topics, page.limit, |topic| topic.name.clone())
}

async fn get(call: Call) -> Result<Response> {
    let topic = call.broker().get_topic(call.param("topic")).await?;
    call.answer(&topic)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    #[serde(default)]
    priority: Option<String>,
    #[serde(default)]
    schema: Option<Value>,
}

async fn put(mut call: Call) -> Result<Response> {
    let PutBody { priority, schema } = call.body().await?;
    let priority = priority.map(|text| text.parse::<Priority>()).transpose()?;
    let name = call.param("topic").to_owned();
    let topic = TopicIn { name: name.clone(), priority, schema: schema.clone() };
    let (status, topic) = match call.broker().create_topic(topic).await {
        Ok(topic) => (201, topic),
        Err(error) if error.code() == Code::Conflict => {
            let priority = Some(priority.unwrap_or_else(|| priority_of_name(&name)));
            let patch = TopicPatch { priority, schema: Some(schema) };
            (200, call.broker().update_topic(&name, patch).await?)
        }
        Err(error) => return Err(error),
    };
    Ok(json_response(status, &TOPIC.write(to_value(&topic)?)))
}

async fn patch(mut call: Call) -> Result<Response> {
    let patch: TopicPatch = call.body().await?;
    let topic = call.broker().update_topic(call.param("topic"), patch).await?;
    call.answer(&topic)
}

async fn delete(call: Call) -> Result<Response> {
    call.broker().delete_topic(call.param("topic")).await?;
    Ok(no_content())
}
