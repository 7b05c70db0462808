//! The rules that what is declared has to keep, whether it comes from a file or over HTTP.
//!
//! Fields are named from the thing itself (`visibility_seconds`); whoever knows where it stands puts that in
//! front. Not for: reading, or what depends on the database.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use posthaste_base::limits::{
    ATTEMPT_TIMEOUT_MS_MAX, BATCH_MESSAGES_MAX, BATCH_WINDOW_SECONDS_MAX, NAME_BYTES_MAX,
    RETENTION_SECONDS_MAX, VISIBILITY_MARGIN_SECONDS, VISIBILITY_SECONDS_MAX,
};
use posthaste_base::{Code, Error, Priority, Result, Secret};
use posthaste_engine::filter::Filter;
use posthaste_engine::schema::Schema;
use serde_json::Value;

use super::DeliverySettings;
use crate::catalog::EVERY_TOPIC;
use crate::{BodyType, EndpointSettings, QueueSettings};

/// What else an endpoint's address has to pass: which networks the operator allows.
pub type EndpointCheck = Arc<dyn Fn(&str) -> Result<()> + Send + Sync>;

const DEAD_RETENTION_SECONDS_MAX: u32 = 366 * 24 * 3600;
const CONCURRENCY_MAX: u32 = 10_000;
const BACKOFF_MS_MAX: u32 = 12 * 3600 * 1000;
const URL_BYTES_MAX: usize = 2_048;
const HEADERS_MAX: usize = 50;
const SECRET_PREFIX: &str = "whsec_";

/// Secrets come from other systems too, some of which leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A name of anything: short, and safe in an address, a file name and a metric.
pub(crate) fn name(name: &str, what: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::new(Code::InvalidParameter, format!("`{shown}` cannot be the name of {what}"))
        .expected(format!("1 to {NAME_BYTES_MAX} letters, digits, dots, hyphens and underscores")))
}

/// What a subscription is to: a topic's name, or `*` for every topic.
pub(crate) fn topic(topic: &str) -> Result<()> {
    if topic == EVERY_TOPIC { Ok(()) } else { name(topic, "a topic") }
}

/// All that is wrong with a queue's settings.
pub(crate) fn queue(settings: &QueueSettings) -> Vec<Error> {
    let s = settings;
    let batch_max = BATCH_MESSAGES_MAX as u32;
    let limits = [
        ("visibility_seconds", s.visibility_seconds, 1, VISIBILITY_SECONDS_MAX),
        ("retention_seconds", s.retention_seconds, 1, RETENTION_SECONDS_MAX),
        ("dead_retention_seconds", s.dead_retention_seconds, 1, DEAD_RETENTION_SECONDS_MAX),
        ("max_receives", s.max_receives.into(), 1, 1_000),
        ("batch", s.batch, 1, batch_max),
        ("reserved", s.reserved, 0, CONCURRENCY_MAX),
        ("max_concurrency", s.max_concurrency, 1, CONCURRENCY_MAX),
        ("worker_timeout_seconds", s.worker_timeout_seconds, 1, VISIBILITY_SECONDS_MAX),
        ("backoff_base_ms", s.backoff_base_ms, 1, BACKOFF_MS_MAX),
        ("backoff_cap_ms", s.backoff_cap_ms, 1, BACKOFF_MS_MAX),
    ];
    let mut errors = Vec::new();
    for (field, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            errors.push(out_of_range(Code::InvalidQueue, field, value, least, most));
        }
    }
    let mut refuse = |field: &str, message: String, expected: String| {
        errors.push(Error::new(Code::InvalidQueue, message).field(field).expected(expected));
    };
    let visibility_min = s.worker_timeout_seconds.saturating_add(VISIBILITY_MARGIN_SECONDS);
    if s.visibility_seconds < visibility_min {
        let message = format!(
            "a visibility timeout of {} s is too short for a worker timeout of {} s: messages would be \
             received again while they are worked on",
            s.visibility_seconds, s.worker_timeout_seconds
        );
        let expected =
            format!("at least {visibility_min} (the worker timeout and {VISIBILITY_MARGIN_SECONDS} s)");
        refuse("visibility_seconds", message, expected);
    }
    if s.retention_seconds <= s.delay_seconds {
        let message = format!(
            "a retention of {} s is not longer than the delay of {} s: messages would expire before they \
             can be received",
            s.retention_seconds, s.delay_seconds
        );
        refuse("retention_seconds", message, format!("more than {}", s.delay_seconds));
    }
    if s.dead_retention_seconds <= s.retention_seconds {
        let message = format!(
            "a dead letter retention of {} s is not longer than the retention of {} s",
            s.dead_retention_seconds, s.retention_seconds
        );
        refuse("dead_retention_seconds", message, format!("more than {}", s.retention_seconds));
    }
    if s.backoff_cap_ms < s.backoff_base_ms {
        let message =
            format!("a cap of {} ms is below the base of {} ms", s.backoff_cap_ms, s.backoff_base_ms);
        refuse("backoff_cap_ms", message, format!("at least {}", s.backoff_base_ms));
    }
    errors
}

/// All that is wrong with an endpoint's settings.
pub(crate) fn endpoint(settings: &EndpointSettings) -> Vec<Error> {
    let mut errors = Vec::new();
    let limits = [
        ("timeout_ms", settings.timeout_ms, 1, ATTEMPT_TIMEOUT_MS_MAX),
        ("batch", settings.batch, 1, BATCH_MESSAGES_MAX as u32),
        ("batch_window_seconds", settings.batch_window_seconds, 0, BATCH_WINDOW_SECONDS_MAX),
    ];
    for (field, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            errors.push(out_of_range(Code::InvalidEndpoint, field, value, least, most));
        }
    }
    errors.extend(settings.guard.validate().err());
    let body = settings.body.as_ref().map_or(Ok(()), posthaste_engine::body::check);
    errors.extend(body.err().map(|error| error.field("body")));
    if settings.body_type == BodyType::Form {
        let form = settings.body.as_ref().map_or(Err(no_form()), posthaste_engine::body::check_form);
        errors.extend(form.err().map(|error| error.field("body")));
    }
    if settings.headers.len() > HEADERS_MAX {
        let message = format!("{} headers are too many", settings.headers.len());
        errors.push(
            Error::new(Code::InvalidEndpoint, message)
                .field("headers")
                .expected(format!("at most {HEADERS_MAX}")),
        );
    }
    for (header, value) in &settings.headers {
        if let Err(message) = header_is_sendable(header, value) {
            errors.push(
                Error::new(Code::InvalidEndpoint, message).field(super::reader::join("headers", header)),
            );
        }
    }
    errors
}

fn no_form() -> Error {
    Error::new(Code::InvalidEndpoint, "a form has no fields")
        .expected("`body`, a table of the form's fields: `{ to = \"{payload.phone}\" }`")
}

/// Whether the leases of the queues that deliver to endpoints last for what a function's messages wait, and the call.
pub(crate) fn window<'a>(
    settings: &EndpointSettings,
    queue: impl Fn(&str) -> Option<&'a QueueSettings>,
) -> Result<()> {
    let window = settings.batch_window_seconds;
    let queues = Priority::ALL.iter().filter_map(|one| Some((one.queue_name(), queue(one.queue_name())?)));
    let Some((name, queue)) = queues.min_by_key(|(_, queue)| queue.window_seconds_max()) else {
        return Ok(());
    };
    let window_max = queue.window_seconds_max();
    if window <= window_max {
        return Ok(());
    }
    let message = format!(
        "a batching window of {window} s does not fit the visibility timeout of queue `{name}`, {} s, beside its \
         worker timeout of {} s: messages would be received again while they are collected",
        queue.visibility_seconds, queue.worker_timeout_seconds
    );
    Err(Error::new(Code::InvalidEndpoint, message)
        .field("batch_window_seconds")
        .expected(format!("at most {window_max}"))
        .hint("lengthen `visibility_seconds` of the four queues of the priorities first"))
}

/// How an endpoint's address may look. Where it may lead is for the [`EndpointCheck`] and for each call.
pub(crate) fn url(url: &str) -> Result<()> {
    let refuse = |message: String| {
        Err(Error::new(Code::InvalidEndpoint, message)
            .field("url")
            .expected("an address such as `https://example.org/hook`"))
    };
    if url.is_empty() {
        return refuse("the endpoint has no address".into());
    }
    if url.len() > URL_BYTES_MAX {
        return refuse(format!("the address has {} bytes, more than {URL_BYTES_MAX}", url.len()));
    }
    if url.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'\\') {
        return refuse("the address has a space, a backslash or a character outside ASCII in it".into());
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse("the address has no scheme".into());
    };
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return refuse(format!("the scheme `{scheme}` is not allowed"));
    }
    if url.contains('#') {
        return refuse("the address has a fragment (`#`), which is never sent".into());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse("the address holds a user name or password".into())
            .map_err(|error| error.hint("leave it out; the receiver checks the signature instead"));
    }
    if authority.is_empty() || authority.starts_with(':') {
        return refuse("the address has no host".into());
    }
    Ok(())
}

/// A webhook secret in its own form, `whsec_<base64>`. The message never holds the secret.
pub(crate) fn secret(secret: &Secret) -> Result<()> {
    let refuse = |message: String| {
        Err(Error::new(Code::InvalidParameter, message)
            .field("secret")
            .expected("`whsec_` and the base64 of 24 to 64 bytes"))
    };
    let Some(encoded) = secret.expose().strip_prefix(SECRET_PREFIX) else {
        return refuse(format!("the secret does not start with `{SECRET_PREFIX}`"));
    };
    match LENIENT.decode(encoded) {
        Err(_) => refuse("what follows `whsec_` in the secret is not base64".into()),
        Ok(key) if !(24..=64).contains(&key.len()) => refuse(format!("the secret has {} bytes", key.len())),
        Ok(_) => Ok(()),
    }
}

pub(crate) fn generate_secret() -> Result<Secret> {
    Ok(Secret::new(format!("{SECRET_PREFIX}{}", LENIENT.encode(crate::key::random_bytes::<32>()?))))
}

pub(crate) fn schema(type_name: &str, schema: &Value) -> Result<()> {
    Schema::compile(type_name, schema).map(|_| ()).map_err(|error| error.field("schema"))
}

pub(crate) fn filter(filter: &Value) -> Result<()> {
    Filter::parse(filter).map(|_| ()).map_err(|error| {
        let pointer = error.field_name().unwrap_or_default().to_string();
        error.field(format!("filter{pointer}"))
    })
}

/// What waits in a queue of the priorities is taken by the nodes' workers, and goes to endpoints.
pub(crate) fn pull_queue(name: &str) -> Result<()> {
    if Priority::ALL.iter().all(|priority| priority.queue_name() != name) {
        return Ok(());
    }
    let message = format!("the queue `{name}` is for what goes to endpoints: nobody pulls from it");
    Err(Error::new(Code::InvalidParameter, message).field("queue").expected("a queue of your own"))
}

pub(super) fn delivery(settings: &DeliverySettings) -> Vec<Error> {
    let mut errors = Vec::new();
    for (field, value) in
        [("key_ttl_days", settings.key_ttl_days), ("attempt_retention_days", settings.attempt_retention_days)]
    {
        if !(1..=3_650).contains(&value) {
            errors.push(out_of_range(Code::InvalidConfig, field, value, 1, 3_650));
        }
    }
    errors.extend(name(&settings.default_type, "an event type").err().map(|e| e.field("default_type")));
    for network in &settings.allow_networks {
        if !is_network(network) {
            errors.push(
                Error::new(Code::InvalidConfig, format!("`{network}` is not a network"))
                    .field("allow_networks")
                    .expected("a network such as `10.0.0.0/8`, an address, or `all`"),
            );
        }
    }
    errors
}

fn is_network(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return text.eq_ignore_ascii_case("all") };
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|digits| digits.parse::<u8>().is_ok_and(|bits| bits <= bits_max))
}

fn header_is_sendable(header: &str, value: &str) -> std::result::Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if header.is_empty() || header.len() > 128 || !header.bytes().all(is_token) {
        return Err(format!("`{header}` is not the name of a header"));
    }
    if value.len() > 4_096 || !value.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)) {
        return Err("the value of the header has characters that cannot be sent, or is too long".into());
    }
    let lower = header.to_ascii_lowercase();
    let is_ours = lower.starts_with("webhook-")
        || ["host", "content-length", "content-type", "transfer-encoding", "connection"]
            .contains(&lower.as_str());
    if is_ours {
        return Err(format!("Posthaste sets the header `{header}` itself"));
    }
    Ok(())
}

fn out_of_range(code: Code, field: &str, value: u32, least: u32, most: u32) -> Error {
    Error::new(code, format!("{value} is out of range"))
        .field(field)
        .expected(format!("a whole number from {least} to {most}"))
}
