//! What is declared: topics, queues, endpoints and subscriptions, in a file or one by one.
//!
//! [`Declaration`] is what a configuration file says. `apply` makes the database so, in one transaction, and
//! `plan_apply` says first what that would change. The other files hold the use cases for one thing at a time.
//! All changes go one after the other, under one lock, and tell all nodes to read the catalog again.
//!
//! Not for: the `[server]` part of the file (the command line's), or messages.

mod apply;
pub(crate) mod check;
mod diff;
mod endpoint;
mod file;
mod queue;
mod reader;
mod refresh;
mod subscription;
mod topic;

use std::collections::BTreeMap;

use posthaste_base::{Code, Error, Priority, Secret};
use posthaste_engine::schema::default_order_schema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{BrokerOptions, EndpointKind, EndpointSettings, QueueSettings};

pub use check::EndpointCheck;
pub use diff::{Action, Change, Diff, FieldChange, Kind};
pub use endpoint::{EndpointCreated, EndpointIn, EndpointOut, EndpointPatch, RotatedSecret, SecretOut};
pub use file::read_section;
pub use queue::{QueueIn, QueueOut, QueuePatch, QueueSettingsPatch};
pub use subscription::{SubscriptionIn, SubscriptionOut, SubscriptionPatch};
pub use topic::{TopicIn, TopicOut, TopicPatch};

/// What a configuration file declares, checked as a whole. The four queues of the priorities are always there.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    pub delivery: DeliverySettings,
    pub types: BTreeMap<String, TypeDeclaration>,
    pub queues: BTreeMap<String, QueueSettings>,
    pub endpoints: BTreeMap<String, EndpointDeclaration>,
    pub subscriptions: BTreeMap<String, SubscriptionDeclaration>,
}

/// `[delivery]`: what holds for all events and endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverySettings {
    /// How long an idempotency key outlives its message.
    pub key_ttl_days: u32,
    pub attempt_retention_days: u32,
    /// The event type of a payload that comes without one.
    pub default_type: String,
    /// Whether events of a type that is not declared are refused, instead of making its topic.
    pub strict_types: bool,
    /// Endpoints may be anywhere: for development.
    pub allow_private_addresses: bool,
    /// Networks that endpoints may be in though they are not public: `10.0.0.0/8`.
    pub allow_networks: Vec<String>,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        let options = BrokerOptions::default();
        Self {
            key_ttl_days: options.key_ttl_days,
            attempt_retention_days: options.attempt_retention_days,
            default_type: options.default_type,
            strict_types: options.strict_types,
            allow_private_addresses: false,
            allow_networks: Vec::new(),
        }
    }
}

/// `[types.<name>]`: an event type, which is a topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypeDeclaration {
    /// None is what the name stands for (see `priority_of_name`).
    #[serde(deserialize_with = "priority_of_any_case")]
    pub priority: Option<Priority>,
    pub schema: Option<Value>,
    /// Read by [`Declaration::resolve`], which puts it in place of `schema`.
    pub schema_file: Option<String>,
}

/// `[endpoints.<name>]`; its settings stand beside `url`.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointDeclaration {
    pub url: String,
    pub kind: EndpointKind,
    /// The newest first: `whsec_...`, or `env:NAME` until it is resolved. None: one is made with the endpoint,
    /// and whatever it has is left alone.
    pub secrets: Vec<Secret>,
    pub settings: EndpointSettings,
}

/// `[subscriptions.<name>]`, with a queue or an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriptionDeclaration {
    pub topic: String,
    pub filter: Option<Value>,
    pub queue: Option<String>,
    pub endpoint: Option<String>,
}

impl Default for Declaration {
    /// What an empty file declares: the four queues, and the default type with its schema.
    fn default() -> Self {
        let mut declaration = Self {
            delivery: DeliverySettings::default(),
            types: BTreeMap::new(),
            queues: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
        };
        declaration.complete();
        declaration
    }
}

impl DeliverySettings {
    /// The broker's options that these settings decide; the others are the defaults.
    pub fn options(&self) -> BrokerOptions {
        BrokerOptions {
            key_ttl_days: self.key_ttl_days,
            attempt_retention_days: self.attempt_retention_days,
            default_type: self.default_type.clone(),
            strict_types: self.strict_types,
            ..BrokerOptions::default()
        }
    }
}

impl Declaration {
    /// Reads the text of a configuration file; `[server]` is left to the command line. Errors are all that is
    /// wrong with it, each with its path as `field` and, in the message, its line.
    pub fn parse(text: &str) -> Result<Self, Vec<Error>> {
        file::parse(text)
    }

    /// Fetches what the file only refers to: schemas in files and secrets in the environment.
    pub fn resolve(
        &mut self,
        read_file: impl Fn(&str) -> std::io::Result<String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        for (name, declared) in &mut self.types {
            let Some(path) = declared.schema_file.take() else { continue };
            let field = format!("{}.schema_file", reader::join("types", name));
            match schema_of_file(name, &path, &read_file) {
                Ok(schema) => declared.schema = Some(schema),
                Err(error) => errors.push(error.field(field)),
            }
        }
        for (name, declared) in &mut self.endpoints {
            for secret in &mut declared.secrets {
                let Some(variable_name) = secret.expose().strip_prefix(ENV_PREFIX) else { continue };
                match variable(variable_name).map(Secret::new) {
                    None => {
                        let message = format!("the environment has no variable `{variable_name}`");
                        let error = Error::new(Code::InvalidConfig, message);
                        errors.push(error.field(reader::join("endpoints", name) + ".secrets"));
                    }
                    Some(found) => match check::secret(&found) {
                        Ok(()) => *secret = found,
                        Err(error) => errors.push(error.field(reader::join("endpoints", name) + ".secrets")),
                    },
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Adds what is there without being declared.
    fn complete(&mut self) {
        for priority in Priority::ALL {
            let name = priority.queue_name().to_string();
            self.queues.entry(name).or_insert_with(|| QueueSettings::of_priority(priority));
        }
        let default_type = DeliverySettings::default().default_type;
        if self.delivery.default_type == default_type {
            self.types.entry(default_type).or_insert_with(|| TypeDeclaration {
                schema: Some(default_order_schema()),
                ..TypeDeclaration::default()
            });
        }
    }
}

/// Where a secret is not in the file but in the environment: `env:NAME`.
pub(crate) const ENV_PREFIX: &str = "env:";

fn schema_of_file(
    type_name: &str,
    path: &str,
    read_file: impl Fn(&str) -> std::io::Result<String>,
) -> Result<Value, Error> {
    let text = read_file(path).map_err(|error| {
        Error::new(Code::InvalidFile, format!("failed to read `{path}`: {error}")).expected("a JSON Schema")
    })?;
    let schema = posthaste_engine::json::parse(text.as_bytes()).map_err(|error| {
        Error::new(Code::InvalidFile, format!("`{path}` is not JSON: {}", error.message()))
    })?;
    check::schema(type_name, &schema)?;
    Ok(schema)
}

/// Reads a priority as it is written, in any case.
pub(crate) fn priority_of_any_case<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Priority>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let unknown = |_| {
        serde::de::Error::custom(format!(
            "`{text}` is not a priority, expected CRITICAL, HIGH, NORMAL or LOW"
        ))
    };
    text.parse().map(Some).map_err(unknown)
}

/// For patches: a field that is there and null takes the value away; one that is not there leaves it.
pub(crate) fn there<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests;
