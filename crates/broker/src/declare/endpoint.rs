//! Endpoints one at a time: address, settings, pause and resume, and secrets that rotate.
//!
//! What is given out never holds a secret, but for the answer to making one. Not for: calling endpoints.

use jiff::Timestamp;
use posthaste_base::{Code, Error, Result, Secret};
use posthaste_store::declare::{self as rows, EndpointRow, EndpointWrite};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::check::{self, EndpointCheck};
use super::queue::first;
use super::refresh::{endpoint_parts, secrets_of};
use super::topic::{already, in_use};
use crate::transact::Abort;
use crate::{Broker, EndpointKind, EndpointSettings, SealedSecret};

/// The longest time for which an old secret stays good beside a new one.
const OVERLAP_SECONDS_MAX: u32 = 30 * 24 * 3600;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointIn {
    pub name: String,
    pub url: String,
    #[serde(default = "webhook")]
    pub kind: EndpointKind,
    /// `whsec_...`; none makes one.
    #[serde(default)]
    pub secret: Option<Secret>,
    #[serde(default)]
    pub settings: EndpointSettings,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointOut {
    pub name: String,
    pub url: String,
    pub kind: EndpointKind,
    pub settings: EndpointSettings,
    pub paused: bool,
    /// Whether the configuration file declares it; applying the file then undoes other changes.
    pub declared: bool,
    /// How it last changed: `state`, `changedAt`, and while it is open `openedAt`, `until` and `trips`.
    pub breaker: Option<Value>,
    /// The newest first.
    pub secrets: Vec<SecretOut>,
    pub created_at: Timestamp,
}

/// A secret that is there, without what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretOut {
    /// Until when calls are signed with it too; none is for good.
    pub until: Option<Timestamp>,
}

/// An endpoint that was just made. This is the only time that its secret is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointCreated {
    #[serde(flatten)]
    pub endpoint: EndpointOut,
    pub secret: Secret,
}

/// The new secret, shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RotatedSecret {
    pub secret: Secret,
    /// Until when calls are signed with the old one too.
    pub old_until: Timestamp,
}

/// What is not there stays as it is. Settings are merged: a setting that is null goes back to its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointPatch {
    pub url: Option<String>,
    pub kind: Option<EndpointKind>,
    pub settings: Option<Map<String, Value>>,
    pub paused: Option<bool>,
}

fn webhook() -> EndpointKind {
    EndpointKind::Webhook
}

impl Broker {
    /// Sets what else addresses of endpoints have to pass when they are declared; the first one set stays.
    pub fn check_endpoints_with(&self, check: EndpointCheck) {
        let _ = self.inner.endpoint_check.set(check);
    }

    /// Endpoints by name, after `after`; `limit` at most.
    pub async fn list_endpoints(&self, after: Option<&str>, limit: usize) -> Result<Vec<EndpointOut>> {
        let connection = self.pool().get().await?;
        let found = rows::list_endpoints(&connection, after.unwrap_or_default(), limit as i64).await?;
        Ok(found.into_iter().map(to_out).collect())
    }

    pub async fn get_endpoint(&self, name: &str) -> Result<EndpointOut> {
        let connection = self.pool().get().await?;
        rows::get_endpoint(&connection, name).await?.map(to_out).ok_or_else(|| not_found(name))
    }

    pub async fn create_endpoint(&self, endpoint: EndpointIn) -> Result<EndpointCreated> {
        check::name(&endpoint.name, "an endpoint").map_err(|error| error.field("name"))?;
        self.check_url(&endpoint.url)?;
        first(check::endpoint(&endpoint.settings))?;
        self.check_window(&endpoint.settings)?;
        endpoint.secret.as_ref().map_or(Ok(()), check::secret)?;
        let secret = match endpoint.secret.clone() {
            Some(secret) => secret,
            None => check::generate_secret()?,
        };
        let (name, settings) = (endpoint.name.as_str(), &json!(endpoint.settings));
        let new = std::slice::from_ref(&secret);
        let write =
            EndpointWrite { kind: endpoint.kind.as_str(), url: &endpoint.url, settings, declared: false };
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let secrets = secrets_column(&self.seal(&tx, name, new).await?);
                let id = rows::insert_endpoint(&tx, name, &secrets, write).await?;
                id.ok_or_else(|| already("endpoint", name))?;
                rows::notify_catalog(&tx).await?;
                Ok::<_, Abort>(rows::get_endpoint(&tx, name).await?.ok_or_else(|| not_found(name))?)
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(EndpointCreated { endpoint: to_out(row), secret })
    }

    pub async fn update_endpoint(&self, name: &str, patch: EndpointPatch) -> Result<EndpointOut> {
        patch.url.as_deref().map_or(Ok(()), |url| self.check_url(url))?;
        let patch = &patch;
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let row = rows::get_endpoint(&tx, name).await?.ok_or_else(|| not_found(name))?;
                let settings = match &patch.settings {
                    Some(changes) => {
                        let settings = merged(&row, changes)?;
                        self.check_window(&settings)?;
                        json!(settings)
                    }
                    None => row.settings.clone(),
                };
                let write = EndpointWrite {
                    kind: patch.kind.map_or(row.kind.as_str(), |kind| kind.as_str()),
                    url: patch.url.as_deref().unwrap_or(&row.url),
                    settings: &settings,
                    declared: row.declared,
                };
                rows::update_endpoint(&tx, row.id, patch.paused.unwrap_or(row.paused), write).await?;
                rows::notify_catalog(&tx).await?;
                Ok::<_, Abort>(rows::get_endpoint(&tx, name).await?.ok_or_else(|| not_found(name))?)
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(to_out(row))
    }

    /// Nothing is sent to a paused endpoint; its messages wait, and that counts as no receive.
    pub async fn pause_endpoint(&self, name: &str) -> Result<EndpointOut> {
        self.update_endpoint(name, EndpointPatch { paused: Some(true), ..EndpointPatch::default() }).await
    }

    pub async fn resume_endpoint(&self, name: &str) -> Result<EndpointOut> {
        self.update_endpoint(name, EndpointPatch { paused: Some(false), ..EndpointPatch::default() }).await
    }

    /// Makes a new secret. Calls are signed with the old ones too for `overlap_seconds`.
    pub async fn rotate_secret(&self, name: &str, overlap_seconds: u32) -> Result<RotatedSecret> {
        if overlap_seconds > OVERLAP_SECONDS_MAX {
            return Err(Error::new(Code::InvalidParameter, "the overlap is too long")
                .field("overlap_seconds")
                .expected(format!("a whole number from 0 to {OVERLAP_SECONDS_MAX}")));
        }
        let secret = check::generate_secret()?;
        let new = std::slice::from_ref(&secret);
        let old_until = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let row = rows::get_endpoint(&tx, name).await?.ok_or_else(|| not_found(name))?;
                let sealed = self.seal(&tx, name, new).await?;
                let overlap_seconds = overlap_seconds.into();
                let until = rows::rotate_endpoint_secret(&tx, row.id, &sealed[0].0, overlap_seconds).await?;
                rows::notify_catalog(&tx).await?;
                Ok::<_, Abort>(until.ok_or_else(|| not_found(name))?)
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(RotatedSecret { secret, old_until })
    }

    /// Removes an endpoint that no subscription leads to.
    pub async fn delete_endpoint(&self, name: &str) -> Result<()> {
        self.transact(|tx| async move {
            rows::lock(&tx).await?;
            let row = rows::get_endpoint(&tx, name).await?.ok_or_else(|| not_found(name))?;
            if !rows::delete_endpoint(&tx, row.id).await? {
                let by = rows::subscription_of_destination(&tx, None, Some(row.id)).await?;
                let reason = format!("subscription `{}` leads to it", by.unwrap_or_default());
                return Err(in_use("endpoint", name, &reason).into());
            }
            rows::notify_catalog(&tx).await?;
            Ok::<_, Abort>(())
        })
        .await?;
        self.refresh_catalog().await
    }

    fn check_window(&self, settings: &EndpointSettings) -> Result<()> {
        let catalog = self.catalog();
        check::window(settings, |name| catalog.queue(name).ok().map(|queue| &queue.settings))
    }

    pub(super) fn check_url(&self, url: &str) -> Result<()> {
        check::url(url)?;
        self.inner.endpoint_check.get().map_or(Ok(()), |check| check(url))
    }
}

/// The column for these secrets, all good for good.
pub(super) fn secrets_column(secrets: &[SealedSecret]) -> Value {
    secrets.iter().map(|secret| json!({"secret": secret.0, "until": null})).collect()
}

fn merged(row: &EndpointRow, changes: &Map<String, Value>) -> Result<EndpointSettings> {
    let current = endpoint_parts(row).map(|(_, settings)| settings).unwrap_or_default();
    let mut settings = json!(current);
    merge(&mut settings, changes);
    let settings = serde_json::from_value::<EndpointSettings>(settings).map_err(|error| {
        Error::new(Code::InvalidEndpoint, format!("the settings cannot be read: {error}")).field("settings")
    })?;
    first(check::endpoint(&settings))?;
    Ok(settings)
}

/// RFC 7396: objects are merged, null takes away, all else is put in place.
fn merge(target: &mut Value, changes: &Map<String, Value>) {
    let Some(object) = target.as_object_mut() else { return };
    for (key, change) in changes {
        match change {
            Value::Null => {
                object.remove(key);
            }
            Value::Object(inner) => {
                let slot = object.entry(key.clone()).or_insert_with(|| json!({}));
                if !slot.is_object() {
                    *slot = json!({});
                }
                merge(slot, inner);
            }
            value => {
                object.insert(key.clone(), value.clone());
            }
        }
    }
}

fn not_found(name: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no endpoint `{name}`")).field("endpoint")
}

/// What the nodes tell each other of a breaker, for people: times as times.
fn told(breaker: &Value) -> Value {
    let time = |field: &str| {
        let ms = breaker.get(field).and_then(Value::as_i64)?;
        Timestamp::from_millisecond(ms).ok().map(|time| json!(time))
    };
    let told = [
        ("state", breaker.get("state").cloned()),
        ("changedAt", time("changed_at_ms")),
        ("openedAt", time("opened_at_ms")),
        ("until", time("until_ms")),
        ("trips", breaker.get("trips").cloned()),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn to_out(row: EndpointRow) -> EndpointOut {
    let (kind, settings) =
        endpoint_parts(&row).unwrap_or((EndpointKind::Webhook, EndpointSettings::default()));
    let secrets =
        secrets_of(&row.secrets).into_iter().map(|secret| SecretOut { until: secret.until }).collect();
    EndpointOut {
        name: row.name,
        url: row.url,
        kind,
        settings,
        paused: row.paused,
        declared: row.declared,
        breaker: row.breaker.as_ref().map(told),
        secrets,
        created_at: row.created_at,
    }
}
