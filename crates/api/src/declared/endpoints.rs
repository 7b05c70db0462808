//! Endpoints: address, settings, pause, and secrets that rotate.
//!
//! A secret is in the answer that makes it and in no other. Not for: calling endpoints.

use axum::response::Response;
use http::Method;
use posthaste_base::{Code, Error, Result};
use posthaste_broker::{Broker, EndpointIn, EndpointOut, EndpointPatch};
use posthaste_web::Scope;
use serde::Deserialize;
use serde_json::Value;

use crate::call::{Call, json_response, no_content, of_value, to_value};
use crate::shape::{Field, Kind, Shape, may, must, or_null, page_fields};
use crate::table::{PAGE, Row, Takes, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(Method::GET, "/endpoints", "listEndpoints", "Endpoints by name.", run!(list))
        .query(&PAGE)
        .gives(200, &ENDPOINTS),
    Row::new(Method::GET, "/endpoints/{endpoint}", "getEndpoint", "An endpoint, without its secrets.", run!(get))
        .gives(200, &ENDPOINT),
    Row::new(
        Method::PUT,
        "/endpoints/{endpoint}",
        "putEndpoint",
        "Makes an endpoint (201, with its secret), or makes an existing one exactly so (200, its secrets stay).",
        run!(put),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&ENDPOINT_IN))
    .gives(200, &ENDPOINT),
    Row::new(Method::PATCH, "/endpoints/{endpoint}", "patchEndpoint", "Changes an endpoint.", run!(patch))
        .needs(Scope::Operate)
        .takes(Takes::Json(&ENDPOINT_PATCH))
        .gives(200, &ENDPOINT),
    Row::new(
        Method::DELETE,
        "/endpoints/{endpoint}",
        "deleteEndpoint",
        "Removes an endpoint that no subscription leads to.",
        run!(delete),
    )
    .needs(Scope::Operate)
    .status(204),
    Row::new(
        Method::POST,
        "/endpoints/{endpoint}/pause",
        "pauseEndpoint",
        "Nothing is sent until it resumes; messages wait, and it does not count as a receive.",
        run!(pause),
    )
    .needs(Scope::Operate)
    .gives(200, &ENDPOINT),
    Row::new(Method::POST, "/endpoints/{endpoint}/resume", "resumeEndpoint", "Ends a pause.", run!(resume))
        .needs(Scope::Operate)
        .gives(200, &ENDPOINT),
    Row::new(
        Method::POST,
        "/endpoints/{endpoint}/rotate-secret",
        "rotateSecret",
        "Makes a new secret. The old ones sign as well until the overlap ends.",
        run!(rotate),
    )
    .needs(Scope::Operate)
    .takes(Takes::OptionalJson(&ROTATE))
    .gives(200, &ROTATED),
];

const KINDS: &[&str] = &["webhook", "function"];
const BODY_TYPES: &[&str] = &["json", "form"];
const COUNT: Kind = Kind::Int(0, u32::MAX as i64);
const URL: &str = "Where to: `https://...`, to a public host unless the operator allows others.";
const KIND: Field = may(
    "kind",
    Kind::OneOf(KINDS),
    "One POST a message, or one for up to `batch` messages; `webhook` when left out.",
);
const SETTINGS_FIELD: Field = may("settings", Kind::Of(&SETTINGS), "What differs from the defaults.");

static SETTINGS: Shape = Shape {
    name: "EndpointSettings",
    about: "How an endpoint is called.",
    fields: &[
        may("timeoutMs", COUNT, "For one attempt; 10000 when left out, 30000 at most."),
        may("batch", COUNT, "Messages of one call, for a function."),
        may(
            "batchWindowSeconds",
            COUNT,
            "How long a function's messages are collected unless they fill a batch sooner; 0 when left out.",
        ),
        may("headers", Kind::Texts, "Sent with every call."),
        may(
            "body",
            Kind::Any,
            "What a webhook is sent instead of the payload; `{payload.name}` in its texts is filled in.",
        ),
        may("bodyType", Kind::OneOf(BODY_TYPES), "How `body` is written; `json` when left out."),
        may("inFlightMax", COUNT, "Calls at once, on each node."),
        may("rate", Kind::Of(&RATE), "Calls a second, on each node; no limit when null."),
        may("breaker", Kind::Of(&BREAKER), "When calls stop for a while."),
    ],
};

static RATE: Shape = Shape {
    name: "EndpointRate",
    about: "How often an endpoint is called.",
    fields: &[
        must("perSecond", Kind::Number, "May be below one."),
        may("burst", COUNT, "Calls that may come at once after a quiet time."),
    ],
};

static BREAKER: Shape = Shape {
    name: "BreakerSettings",
    about: "When calls to an endpoint stop, and how they start again.",
    fields: &[
        may("failurePercent", COUNT, "It opens at this share of failures,"),
        may("callsMin", COUNT, "of at least so many calls,"),
        may("windowMs", COUNT, "in this time;"),
        may("failuresInRow", COUNT, "or at so many failures in a row."),
        may("openMs", COUNT, "How long it stays open."),
        may("trials", COUNT, "Calls that have to succeed before it closes."),
        may("trialTimeoutMs", COUNT, "How long a trial may take."),
    ],
};

static ENDPOINT_IN: Shape = Shape {
    name: "EndpointIn",
    about: "An endpoint to make.",
    fields: &[
        must("url", Kind::Text, URL),
        KIND,
        may("secret", Kind::Text, "`whsec_...`; one is made when it is left out."),
        SETTINGS_FIELD,
    ],
};

static ENDPOINT_PATCH: Shape = Shape {
    name: "EndpointPatch",
    about: "What changes of an endpoint.",
    fields: &[
        may("url", Kind::Text, URL),
        KIND,
        SETTINGS_FIELD,
        may("paused", Kind::Bool, "Whether nothing is sent."),
    ],
};

static ENDPOINT: Shape = Shape {
    name: "Endpoint",
    about: "A webhook's address, limits and breaker.",
    fields: &[
        must("name", Kind::Text, "Its name."),
        must("url", Kind::Text, URL),
        must("kind", Kind::OneOf(KINDS), "What one call carries."),
        must("settings", Kind::Of(&SETTINGS), "All of them."),
        must("paused", Kind::Bool, "Whether nothing is sent."),
        must("declared", Kind::Bool, "Whether it comes from a configuration file."),
        or_null("breaker", Kind::Any, "The breaker's state as it last changed; null is closed."),
        must("secrets", Kind::List(&Kind::Of(&SECRET)), "The newest first."),
        must("createdAt", Kind::Time, "When it was made."),
        may("secret", Kind::Text, "Only in the answer that made it."),
    ],
};

static SECRET: Shape = Shape {
    name: "SecretState",
    about: "That there is a secret, and not what it is.",
    fields: &[or_null("until", Kind::Time, "When it ends; null for the newest.")],
};

static ENDPOINTS: Shape =
    Shape { name: "EndpointPage", about: "Endpoints.", fields: &page_fields(&Kind::Of(&ENDPOINT)) };

static ROTATE: Shape = Shape {
    name: "RotateSecret",
    about: "How the secret rotates.",
    fields: &[may("overlapSeconds", COUNT, "How long the old ones stay good; a day when left out.")],
};

static ROTATED: Shape = Shape {
    name: "RotatedSecret",
    about: "A new secret.",
    fields: &[
        must("secret", Kind::Text, "Shown this once."),
        must("oldUntil", Kind::Time, "When the ones before it end."),
    ],
};

async fn list(call: Call) -> Result<Response> {
    let page = call.page::<String>()?;
    let endpoints = call.broker().list_endpoints(page.after.as_deref(), page.limit + 1).await?;
    call.answer_page(endpoints, page.limit, |endpoint| endpoint.name.clone())
}

async fn get(call: Call) -> Result<Response> {
    let endpoint = call.broker().get_endpoint(call.param("endpoint")).await?;
    call.answer(&endpoint)
}

async fn put(mut call: Call) -> Result<Response> {
    let mut body = call.body_value().await?;
    let name = call.param("endpoint").to_owned();
    body["name"] = Value::from(name.as_str());
    let wanted: EndpointIn = of_value(body)?;
    let (status, endpoint) = match call.broker().create_endpoint(wanted.clone()).await {
        Ok(made) => (201, to_value(&made)?),
        Err(error) if error.code() == Code::Conflict => {
            (200, to_value(&replace(call.broker(), &name, wanted).await?)?)
        }
        Err(error) => return Err(error),
    };
    Ok(json_response(status, &ENDPOINT.write(endpoint)))
}

/// A patch leaves what it does not name; what is to go has to be named as `null`.
async fn replace(broker: &Broker, name: &str, wanted: EndpointIn) -> Result<EndpointOut> {
    if wanted.secret.is_some() {
        return Err(Error::new(Code::Conflict, format!("the endpoint `{name}` has a secret already"))
            .field("secret")
            .hint("leave it out, or rotate the secret with `rotate-secret`"));
    }
    let present = broker.get_endpoint(name).await?;
    let mut settings = to_value(&wanted.settings)?;
    for header in present.settings.headers.keys().filter(|name| !wanted.settings.headers.contains_key(*name))
    {
        settings["headers"][header] = Value::Null;
    }
    let patch = EndpointPatch {
        url: Some(wanted.url),
        kind: Some(wanted.kind),
        settings: settings.as_object().cloned(),
        paused: None,
    };
    broker.update_endpoint(name, patch).await
}

async fn patch(mut call: Call) -> Result<Response> {
    let patch: EndpointPatch = call.body().await?;
    let endpoint = call.broker().update_endpoint(call.param("endpoint"), patch).await?;
    call.answer(&endpoint)
}

async fn delete(call: Call) -> Result<Response> {
    call.broker().delete_endpoint(call.param("endpoint")).await?;
    Ok(no_content())
}

async fn pause(call: Call) -> Result<Response> {
    let endpoint = call.broker().pause_endpoint(call.param("endpoint")).await?;
    call.answer(&endpoint)
}

async fn resume(call: Call) -> Result<Response> {
    let endpoint = call.broker().resume_endpoint(call.param("endpoint")).await?;
    call.answer(&endpoint)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    #[serde(default = "a_day")]
    overlap_seconds: u32,
}

fn a_day() -> u32 {
    24 * 3600
}

async fn rotate(mut call: Call) -> Result<Response> {
    let RotateBody { overlap_seconds } = call.body().await?;
    let rotated = call.broker().rotate_secret(call.param("endpoint"), overlap_seconds).await?;
    call.answer(&rotated)
}
