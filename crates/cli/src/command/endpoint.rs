//! `posthaste endpoint`: addresses that events are delivered to, their secrets, and a test call.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_base::{Code, Error, Secret};
use posthaste_broker::{Broker, EndpointIn, EndpointKind, EndpointSettings};
use posthaste_deliver::{Client, ClientOptions, test_call};
use serde_json::Value;

use super::all_by_name;
use crate::ask::{Consent, talk};
use crate::config::{Config, Place};
use crate::database::{address_policy, with_broker};
use crate::failure::FINDINGS;
use crate::output::{self, Format, Output};

/// Look at endpoints and change them: list, show, add, remove, pause, resume, rotate-secret, test.
#[derive(Subcommand, Debug)]
pub(crate) enum Endpoint {
    List(List),
    Show(Show),
    Add(Add),
    Remove(Remove),
    Pause(Pause),
    Resume(Resume),
    RotateSecret(RotateSecret),
    Test(Test),
}

/// List all endpoints.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste endpoint list")]
pub(crate) struct List {
    #[command(flatten)]
    output: Output,
}

/// Show one endpoint: its settings, its breaker, until when its secrets are good.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste endpoint show shop")]
pub(crate) struct Show {
    /// The endpoint's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Add an endpoint and print its secret, this once.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste endpoint add shop https://shop.example/hooks\n  \
    posthaste endpoint add batch https://fn.example/run --kind function \\\n    \
    --settings '{\"batch\": 50}'")]
pub(crate) struct Add {
    /// The endpoint's name.
    name: String,
    /// Its address.
    url: String,
    /// webhook: one call a message; function: one call for up to N messages.
    #[arg(long, default_value = "webhook", value_parser = ["webhook", "function"])]
    kind: String,
    /// Settings over the defaults, as JSON: timeoutMs, batch, batchWindowSeconds, headers, body,
    /// bodyType, inFlightMax, rate, breaker. Names as in the configuration file do as well.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Remove an endpoint that no subscription leads to.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste endpoint remove shop --yes")]
pub(crate) struct Remove {
    /// The endpoint's name.
    name: String,
    #[command(flatten)]
    consent: Consent,
}

/// Hold back what goes to an endpoint until it is resumed. Nothing is lost, and no try is used up.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste endpoint pause shop")]
pub(crate) struct Pause {
    /// The endpoint's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Deliver again to an endpoint that was paused.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste endpoint resume shop")]
pub(crate) struct Resume {
    /// The endpoint's name.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Make a new secret and print it, this once. Calls are signed with the old one too for a while.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste endpoint rotate-secret shop --overlap-seconds 86400")]
pub(crate) struct RotateSecret {
    /// The endpoint's name.
    name: String,
    /// How long the old secret stays good.
    #[arg(long, default_value_t = 24 * 3600)]
    overlap_seconds: u32,
    #[command(flatten)]
    output: Output,
}

/// Make one signed call to an endpoint and print what came back.
///
/// It is the call that an event of the type posthaste.test would make: with the endpoint's own headers, in its own form,
/// to a function as a batch of one. Guards and a pause do not hold it back, and nothing is recorded.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  posthaste endpoint test shop\n  posthaste endpoint test shop --payload '{\"ping\": true}'"
)]
pub(crate) struct Test {
    /// The endpoint's name.
    name: String,
    /// The event's payload.
    #[arg(long, default_value = r#"{"test": true}"#)]
    payload: String,
    #[command(flatten)]
    output: Output,
}

impl Endpoint {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, config| {
            match self {
                Endpoint::List(list) => list.run(broker).await?,
                Endpoint::Show(show) => {
                    show.output.one("endpoint", &broker.get_endpoint(&show.name).await?)?
                }
                Endpoint::Add(add) => add.run(broker).await?,
                Endpoint::Remove(remove) => {
                    broker.get_endpoint(&remove.name).await?;
                    if remove.consent.get(&format!("remove the endpoint `{}`", remove.name))? {
                        broker.delete_endpoint(&remove.name).await?;
                        talk(&format!("removed the endpoint `{}`", remove.name));
                    }
                }
                Endpoint::Pause(pause) => {
                    pause.output.one("endpoint", &broker.pause_endpoint(&pause.name).await?)?;
                }
                Endpoint::Resume(resume) => {
                    resume.output.one("endpoint", &broker.resume_endpoint(&resume.name).await?)?;
                }
                Endpoint::RotateSecret(rotate) => {
                    let is_declared = broker.get_endpoint(&rotate.name).await?.declared;
                    let rotated = broker.rotate_secret(&rotate.name, rotate.overlap_seconds).await?;
                    if is_declared {
                        talk(&format!(
                            "`{}` is declared: write the new secret before the old one into its `secrets`, or the next \
                             `apply` or start of a node takes it back",
                            rotate.name
                        ));
                    }
                    talk(&format!("the old secret is good until {:.0}", rotated.old_until));
                    print_secret(rotate.output, &rotated, &rotated.secret)?;
                }
                Endpoint::Test(test) => return test.run(broker, config).await,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

impl List {
    async fn run(self, broker: &Broker) -> anyhow::Result<()> {
        let page = async |after: Option<String>, limit| broker.list_endpoints(after.as_deref(), limit).await;
        let endpoints = all_by_name(page, |endpoint| &endpoint.name).await?;
        let columns = [
            ("NAME", "name"),
            ("KIND", "kind"),
            ("URL", "url"),
            ("PAUSED", "paused"),
            ("BREAKER", "breaker.state"),
            ("DECLARED", "declared"),
        ];
        self.output.list("endpoints", &endpoints, &columns)
    }
}

impl Add {
    async fn run(self, broker: &Broker) -> anyhow::Result<()> {
        let settings = match &self.settings {
            None => EndpointSettings::default(),
            Some(text) => settings(text).map_err(|error| {
                let error = output::outside_names(&error.to_string());
                Error::new(Code::InvalidParameter, format!("the settings cannot be read: {error}"))
                    .field("--settings")
                    .expected("an object such as `{\"timeoutMs\": 5000}`")
            })?,
        };
        let kind = if self.kind == "function" { EndpointKind::Function } else { EndpointKind::Webhook };
        let new = EndpointIn { name: self.name, url: self.url, kind, secret: None, settings };
        let created = broker.create_endpoint(new).await?;
        print_secret(self.output, &created, &created.secret)
    }
}

/// Under the names that HTTP and `endpoint show` use, or those of the configuration file.
fn settings(text: &str) -> serde_json::Result<EndpointSettings> {
    let mut settings: Value = serde_json::from_str(text)?;
    // What is below the other settings has names of the caller's own.
    for place in ["", "/breaker", "/rate"] {
        if let Some(object) = settings.pointer_mut(place).and_then(Value::as_object_mut) {
            let named = std::mem::take(object).into_iter().map(|(name, value)| (output::snake(&name), value));
            *object = named.collect();
        }
    }
    serde_json::from_value(settings)
}

fn print_secret<T: serde::Serialize>(output: Output, whole: &T, secret: &Secret) -> anyhow::Result<()> {
    talk("this is the only time that the secret is shown");
    match output.format {
        Format::Json => output.one("endpoint", whole),
        Format::Human => output::line(secret.expose()),
    }
}

impl Test {
    async fn run(self, broker: &Broker, config: &Config) -> anyhow::Result<ExitCode> {
        let known = broker.catalog().endpoint(&self.name)?.clone();
        let options = ClientOptions { policy: address_policy(config)?, ..ClientOptions::default() };
        let called = test_call(broker, &Client::new(options)?, &known, self.payload.into()).await?;
        let shown = serde_json::json!({
            "endpoint": self.name,
            "succeeded": called.failure.is_none(),
            "status": called.status,
            "latencyMs": called.latency_ms,
            "code": called.failure.as_ref().map(|(code, _)| code),
            "error": called.failure.as_ref().map(|(_, message)| message),
            "response": String::from_utf8_lossy(&called.response),
        });
        self.output.one("call", &shown)?;
        Ok(if called.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
    }
}
