//! Subscriptions: a topic, a filter, and a queue or an endpoint.
//!
//! Not for: what a filter means, which the broker decides.

use axum::response::Response;
use http::Method;
use posthaste_base::{Code, Error, Result};
use posthaste_broker::{SubscriptionIn, SubscriptionPatch};
use posthaste_web::Scope;
use serde_json::Value;

use crate::call::{Call, json_response, no_content, of_value, to_value};
use crate::shape::{Field, Kind, Shape, may, must, page_fields};
use crate::table::{PAGE, Row, Takes, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(Method::GET, "/subscriptions", "listSubscriptions", "Subscriptions by name.", run!(list))
        .query(&PAGE)
        .gives(200, &SUBSCRIPTIONS),
    Row::new(Method::GET, "/subscriptions/{subscription}", "getSubscription", "A subscription.", run!(get))
        .gives(200, &SUBSCRIPTION),
    Row::new(
        Method::PUT,
        "/subscriptions/{subscription}",
        "putSubscription",
        "Makes a subscription (201), or makes an existing one exactly so (200). Its topic stays.",
        run!(put),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&SUBSCRIPTION_IN))
    .gives(200, &SUBSCRIPTION),
    Row::new(
        Method::PATCH,
        "/subscriptions/{subscription}",
        "patchSubscription",
        "Changes a subscription; messages that are under way stay as they are.",
        run!(patch),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&SUBSCRIPTION_PATCH))
    .gives(200, &SUBSCRIPTION),
    Row::new(
        Method::DELETE,
        "/subscriptions/{subscription}",
        "deleteSubscription",
        "Removes a subscription; new events do not go its way any more.",
        run!(delete),
    )
    .needs(Scope::Operate)
    .status(204),
];

const TOPIC: &str = "The event type; `*` is every one but those of Posthaste itself.";
const FILTER: Field = may("filter", Kind::Object, "Which events pass; all when it is left out or null.");
const QUEUE: Field = may("queue", Kind::Text, "Where they go: this queue, or else the endpoint.");
const ENDPOINT: Field = may("endpoint", Kind::Text, "Where they go: this endpoint, or else the queue.");

static SUBSCRIPTION_IN: Shape = Shape {
    name: "SubscriptionIn",
    about: "A subscription to make.",
    fields: &[must("topic", Kind::Text, TOPIC), FILTER, QUEUE, ENDPOINT],
};

static SUBSCRIPTION_PATCH: Shape = Shape {
    name: "SubscriptionPatch",
    about: "What changes of a subscription.",
    fields: &[FILTER, QUEUE, ENDPOINT],
};

static SUBSCRIPTION: Shape = Shape {
    name: "Subscription",
    about: "Which events go where.",
    fields: &[
        must("name", Kind::Text, "Its name."),
        must("topic", Kind::Text, TOPIC),
        FILTER,
        QUEUE,
        ENDPOINT,
        must("declared", Kind::Bool, "Whether it comes from a configuration file."),
        must("createdAt", Kind::Time, "When it was made."),
    ],
};

static SUBSCRIPTIONS: Shape = Shape {
    name: "SubscriptionPage",
    about: "Subscriptions.",
    fields: &page_fields(&Kind::Of(&SUBSCRIPTION)),
};

async fn list(call: Call) -> Result<Response> {
    let page = call.page::<String>()?;
    let found = call.broker().list_subscriptions(page.after.as_deref(), page.limit + 1).await?;
    call.answer_page(found, page.limit, |subscription| subscription.name.clone())
}

async fn get(call: Call) -> Result<Response> {
    let subscription = call.broker().get_subscription(call.param("subscription")).await?;
    call.answer(&subscription)
}

async fn put(mut call: Call) -> Result<Response> {
    let mut body = call.body_value().await?;
    let name = call.param("subscription").to_owned();
    body["name"] = Value::from(name.as_str());
    let wanted: SubscriptionIn = of_value(body)?;
    let (status, subscription) = match call.broker().create_subscription(wanted.clone()).await {
        Ok(subscription) => (201, subscription),
        Err(error) if error.code() == Code::Conflict => {
            let present = call.broker().get_subscription(&name).await?;
            if present.topic != wanted.topic {
                let message = format!("the subscription `{name}` is to the topic `{}`", present.topic);
                return Err(Error::new(Code::Conflict, message)
                    .field("topic")
                    .hint("a subscription keeps its topic: make another one"));
            }
            let patch = SubscriptionPatch {
                filter: Some(wanted.filter),
                queue: wanted.queue,
                endpoint: wanted.endpoint,
            };
            (200, call.broker().update_subscription(&name, patch).await?)
        }
        Err(error) => return Err(error),
    };
    Ok(json_response(status, &SUBSCRIPTION.write(to_value(&subscription)?)))
}

async fn patch(mut call: Call) -> Result<Response> {
    let patch: SubscriptionPatch = call.body().await?;
    let subscription = call.broker().update_subscription(call.param("subscription"), patch).await?;
    call.answer(&subscription)
}

async fn delete(call: Call) -> Result<Response> {
    call.broker().delete_subscription(call.param("subscription")).await?;
    Ok(no_content())
}
