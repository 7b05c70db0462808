//! From the text of a configuration file to a [`Declaration`], with everything that is wrong said at once.
//!
//! Not for: the rules for one thing (see `check`), or reading files that it refers to.

use posthaste_base::{Code, Error, Secret};
use posthaste_engine::guard::Rate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reader::{Reader, join, nearest};
use super::{
    Declaration, DeliverySettings, ENV_PREFIX, EndpointDeclaration, SubscriptionDeclaration, TypeDeclaration,
    check,
};
use crate::{EndpointKind, EndpointSettings, QueueSettings};

const SECTIONS: [&str; 8] =
    ["server", "database", "delivery", "types", "queues", "endpoints", "subscriptions", "review"];

/// Reads one section of a file, such as `[server]`, with the same care: `template` shows every known key, with
/// an object where a table is.
pub fn read_section<T>(text: &str, section: &str, template: &Value) -> Result<T, Vec<Error>>
where
    T: Clone + Default + Serialize + DeserializeOwned,
{
    let (mut reader, document) = Reader::read(text);
    let Some(value) = document.as_ref().and_then(|document| document.get(section)) else {
        return if reader.errors.is_empty() { Ok(T::default()) } else { Err(reader.errors) };
    };
    let settings = reader.settings(value, section, &T::default(), template);
    if reader.errors.is_empty() { Ok(settings) } else { Err(reader.errors) }
}

pub(super) fn parse(text: &str) -> Result<Declaration, Vec<Error>> {
    let (mut reader, document) = Reader::read(text);
    let Some(document) = document else { return Err(reader.errors) };
    for key in document.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
        reader.unknown_key(&join("", key), key, SECTIONS);
    }
    let mut declaration = Declaration::default();
    if let Some(value) = document.get("delivery") {
        let base = DeliverySettings::default();
        declaration.delivery = reader.settings(value, "delivery", &base, &json!(base));
        check::delivery(&declaration.delivery)
            .into_iter()
            .for_each(|error| reader.report_below("delivery", error));
        // The default type's schema goes with the default.
        declaration.types.clear();
    }
    for (name, value) in section(&mut reader, &document, "types", "an event type") {
        let declared = event_type(&mut reader, &join("types", name), name, value);
        declaration.types.insert(name.clone(), declared);
    }
    for (name, value) in section(&mut reader, &document, "queues", "a queue") {
        let settings = queue(&mut reader, &join("queues", name), name, value);
        declaration.queues.insert(name.clone(), settings);
    }
    for (name, value) in section(&mut reader, &document, "endpoints", "an endpoint") {
        let declared = endpoint(&mut reader, &join("endpoints", name), value);
        declaration.endpoints.insert(name.clone(), declared);
    }
    for (name, value) in section(&mut reader, &document, "subscriptions", "a subscription") {
        let declared = subscription(&mut reader, &join("subscriptions", name), value, &declaration);
        declaration.subscriptions.insert(name.clone(), declared);
    }
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    declaration.complete();
    for (name, endpoint) in &declaration.endpoints {
        if let Err(error) = check::window(&endpoint.settings, |queue| declaration.queues.get(queue)) {
            reader.report_below(&join("endpoints", name), error);
        }
    }
    if reader.errors.is_empty() { Ok(declaration) } else { Err(reader.errors) }
}

/// The named things of a section whose names are allowed.
fn section<'a>(
    reader: &mut Reader,
    document: &'a Map<String, Value>,
    section: &str,
    what: &str,
) -> Vec<(&'a String, &'a Value)> {
    let Some(things) = document.get(section).and_then(|value| reader.object(value, section)) else {
        return Vec::new();
    };
    for name in things.keys() {
        if let Err(error) = check::name(name, what) {
            let error = Error::new(Code::InvalidConfig, error.message())
                .expected(error.expectation().unwrap_or_default());
            reader.report(&join(section, name), error);
        }
    }
    things.iter().collect()
}

fn event_type(reader: &mut Reader, path: &str, name: &str, value: &Value) -> TypeDeclaration {
    let base = TypeDeclaration::default();
    let declared = reader.settings(value, path, &base, &json!(base));
    if declared.schema.is_some() && declared.schema_file.is_some() {
        let error = Error::new(Code::InvalidConfig, "a type has one schema, not two");
        reader.report(&format!("{path}.schema_file"), error.expected("`schema` or `schema_file`"));
    }
    if let Some(Err(error)) = declared.schema.as_ref().map(|schema| check::schema(name, schema)) {
        reader.report_below(path, error);
    }
    declared
}

fn queue(reader: &mut Reader, path: &str, name: &str, value: &Value) -> QueueSettings {
    let base = QueueSettings::of_name(name);
    let n_errors = reader.errors.len();
    let mut settings = reader.settings(value, path, &base, &json!(base));
    let is_said = |key: &str| value.get(key).is_some();
    if is_said("worker_timeout_seconds") && !is_said("visibility_seconds") {
        // Who gives workers longer means the messages to stay away as long.
        let margin_seconds = posthaste_base::limits::VISIBILITY_MARGIN_SECONDS;
        settings.visibility_seconds =
            settings.visibility_seconds.max(settings.worker_timeout_seconds.saturating_add(margin_seconds));
    }
    // A value that could not be read left the default in its place: what contradicts that says nothing.
    if reader.errors.len() == n_errors {
        check::queue(&settings).into_iter().for_each(|error| reader.report_below(path, error));
    }
    settings
}

/// `[endpoints.<name>]` as it is written, but for the settings.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct EndpointKeys {
    url: String,
    kind: Option<EndpointKind>,
    secret: Option<Secret>,
    secrets: Vec<Secret>,
}

fn endpoint(reader: &mut Reader, path: &str, value: &Value) -> EndpointDeclaration {
    let empty = EndpointDeclaration {
        url: String::new(),
        kind: EndpointKind::Webhook,
        secrets: Vec::new(),
        settings: EndpointSettings::default(),
    };
    let Some(object) = reader.object(value, path) else { return empty };
    let (keys_template, mut settings_template) = (json!(EndpointKeys::default()), json!(empty.settings));
    settings_template["rate"] = json!(Rate { per_second: 1.0, burst: 1 });
    let is_key = |key: &str| keys_template.get(key).is_some();
    let part = |of_keys: bool| -> Value {
        object
            .iter()
            .filter(|(key, _)| is_key(key) == of_keys)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Map<_, _>>()
            .into()
    };
    // Secrets are checked by hand: what serde says of a wrong value quotes it.
    let mut keys_part = part(true);
    let secrets = secrets(reader, path, &mut keys_part);
    let keys = reader.settings(&keys_part, path, &EndpointKeys::default(), &keys_template);
    // Unknown keys are looked for among all that an endpoint can have.
    let settings_part = settings_of(reader, path, part(false), &keys_template, &settings_template);
    let settings = reader.settings(&settings_part, path, &empty.settings, &settings_template);
    let n_errors = reader.errors.len();
    if !object.contains_key("url") {
        let error = Error::new(Code::InvalidEndpoint, "the endpoint has no `url`");
        reader.report(path, error.expected("`url = \"https://...\"`"));
    } else if let (true, Err(error)) = (object["url"].is_string(), check::url(&keys.url)) {
        reader.report_below(path, error);
    }
    if reader.errors.len() == n_errors {
        check::endpoint(&settings).into_iter().for_each(|error| reader.report_below(path, error));
    }
    let kind = keys.kind.unwrap_or(EndpointKind::Webhook);
    EndpointDeclaration { url: keys.url, kind, secrets, settings }
}

/// Takes `secret` and `secrets` out of an endpoint's keys.
fn secrets(reader: &mut Reader, path: &str, keys: &mut Value) -> Vec<Secret> {
    let mut found = Vec::new();
    let Some(keys) = keys.as_object_mut() else { return found };
    let refuse = |reader: &mut Reader, key: &str, message: &str| {
        let error = Error::new(Code::InvalidConfig, message.to_string());
        reader.report(&format!("{path}.{key}"), error.expected("`whsec_...`, or `env:NAME`"));
    };
    if keys.contains_key("secret") && keys.contains_key("secrets") {
        refuse(reader, "secrets", "an endpoint has `secret` or `secrets`, not both");
    }
    for key in ["secret", "secrets"] {
        let values = match keys.remove(key) {
            None => continue,
            Some(Value::Array(values)) if key == "secrets" => values,
            Some(value @ Value::String(_)) if key == "secret" => vec![value],
            Some(_) if key == "secret" => {
                refuse(reader, key, "a secret is a text");
                continue;
            }
            Some(_) => {
                refuse(reader, key, "secrets are a list of texts");
                continue;
            }
        };
        for value in values {
            let Some(text) = value.as_str() else {
                refuse(reader, key, "a secret is a text");
                continue;
            };
            let secret = Secret::new(text);
            match text.strip_prefix(ENV_PREFIX) {
                Some("") => refuse(reader, key, "`env:` is not followed by the name of a variable"),
                Some(_) => found.push(secret),
                None => match check::secret(&secret) {
                    Ok(()) => found.push(secret),
                    Err(error) => refuse(reader, key, error.message()),
                },
            }
        }
    }
    found
}

/// The part of an endpoint that is settings, after what is unknown was reported.
fn settings_of(
    reader: &mut Reader,
    path: &str,
    part: Value,
    keys_template: &Value,
    settings_template: &Value,
) -> Value {
    let Value::Object(mut part) = part else { return part };
    let names = |template: &Value| -> Vec<String> {
        template.as_object().into_iter().flat_map(|known| known.keys().cloned()).collect()
    };
    let known = [names(keys_template), names(settings_template)].concat();
    part.retain(|key, _| {
        let is_known = settings_template.get(key).is_some();
        if !is_known {
            reader.unknown_key(&join(path, key), key, known.iter().map(String::as_str));
        }
        is_known
    });
    Value::Object(part)
}

fn subscription(
    reader: &mut Reader,
    path: &str,
    value: &Value,
    declaration: &Declaration,
) -> SubscriptionDeclaration {
    let base = SubscriptionDeclaration::default();
    let declared = reader.settings(value, path, &base, &json!(base));
    let Some(object) = value.as_object() else { return declared };
    let invalid = |message: String| Error::new(Code::InvalidConfig, message);
    if !object.contains_key("topic") {
        reader.report(path, invalid("the subscription has no `topic`".into()).expected("`topic = \"...\"`"));
    } else if let (true, Err(error)) = (object["topic"].is_string(), check::topic(&declared.topic)) {
        let told = invalid(error.message().into()).expected(error.expectation().unwrap_or_default());
        reader.report(&format!("{path}.topic"), told);
    }
    if let Some(Err(error)) = declared.filter.as_ref().map(check::filter) {
        reader.report_below(path, error);
    }
    if object.contains_key("queue") == object.contains_key("endpoint") {
        let message = "a subscription leads to one queue or one endpoint".to_string();
        reader.report(path, invalid(message).expected("`queue = \"...\"` or `endpoint = \"...\"`"));
    }
    if let Some(Err(error)) = declared.queue.as_deref().map(check::pull_queue) {
        let told = invalid(error.message().into()).expected(error.expectation().unwrap_or_default());
        reader.report(&format!("{path}.queue"), told);
    }
    let queues = declaration.queues.keys().map(String::as_str).collect();
    let endpoints = declaration.endpoints.keys().map(String::as_str).collect();
    refer(reader, path, "queue", declared.queue.as_deref(), queues);
    refer(reader, path, "endpoint", declared.endpoint.as_deref(), endpoints);
    declared
}

/// Notes a reference to something that the file does not declare.
fn refer(reader: &mut Reader, path: &str, kind: &str, name: Option<&str>, known: Vec<&str>) {
    let Some(name) = name.filter(|name| !known.contains(name)) else { return };
    let error = Error::new(Code::InvalidConfig, format!("no {kind} `{name}` is declared"));
    let error = match nearest(name, known.iter().copied()) {
        Some(near) => error.expected(format!("`{near}`")),
        None if known.is_empty() => error.expected(format!("one that `[{kind}s.<name>]` declares")),
        None => error.expected(format!("one of {}", known.join(", "))),
    };
    reader.report(&format!("{path}.{kind}"), error);
}
