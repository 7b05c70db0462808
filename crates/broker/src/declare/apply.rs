//! Making the database as a declaration says, in one transaction, or saying first what that would change.
//!
//! Not for: what is different (see `diff`).

use std::collections::HashMap;

use posthaste_base::{Code, Error, Result};
use posthaste_store::declare::{self as rows, EndpointRow, EndpointWrite, SubscriptionWrite};
use posthaste_store::{Isolation, Session, TransactionOptions};
use serde_json::json;

use super::diff::{diff, removable_queues};
use super::refresh::{Stored, columns_of, read, secrets_of};
use super::{
    Action, Change, Declaration, Diff, ENV_PREFIX, EndpointDeclaration, Kind, TypeDeclaration, check,
};
use crate::Broker;
use crate::route::priority_of_name;
use crate::transact::Abort;

impl Broker {
    /// What `apply` would change now. Nothing is written.
    pub async fn plan_apply(&self, declaration: &Declaration) -> Result<Diff> {
        self.check_declaration(declaration)?;
        let options = TransactionOptions {
            isolation: Isolation::RepeatableRead,
            read_only: true,
            ..TransactionOptions::default()
        };
        self.transact_with(options, |tx| async move { Ok(self.compute(&tx, declaration).await?.1) }).await
    }

    /// Makes what is declared so, and says what that changed. Applies at the same time go one after the other.
    pub async fn apply(&self, declaration: &Declaration) -> Result<Diff> {
        self.check_declaration(declaration)?;
        let diff = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let (stored, mut diff) = self.compute(&tx, declaration).await?;
                carry_out(self, &tx, &stored, declaration, &mut diff).await?;
                if !diff.is_empty() {
                    rows::notify_catalog(&tx).await?;
                }
                Ok::<_, Abort>(diff)
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(diff)
    }

    fn check_declaration(&self, declaration: &Declaration) -> Result<()> {
        let unresolved = |message: String, field: String| {
            let error = Error::new(Code::InvalidConfig, message).field(field);
            Err(error.hint("resolve the declaration before it is applied"))
        };
        for (name, declared) in &declaration.types {
            if declared.schema_file.is_some() {
                let field = format!("{}.schema_file", super::reader::join("types", name));
                return unresolved("the schema was not read".into(), field);
            }
        }
        for (name, endpoint) in &declaration.endpoints {
            let path = super::reader::join("endpoints", name);
            if endpoint.secrets.iter().any(|secret| secret.expose().starts_with(ENV_PREFIX)) {
                return unresolved("a secret was not read".into(), path + ".secrets");
            }
            self.check_url(&endpoint.url).map_err(|error| error.field(path + ".url"))?;
        }
        Ok(())
    }

    async fn compute(&self, session: &Session, declaration: &Declaration) -> Result<(Stored, Diff), Abort> {
        let stored = read(session).await?;
        let mut full = Vec::new();
        for (id, name) in removable_queues(&stored, declaration) {
            if rows::queue_has_messages(session, id).await? {
                full.push(name);
            }
        }
        let resealed: Vec<_> = stored
            .endpoints
            .iter()
            .filter(|row| {
                declaration.endpoints.get(&row.name).is_some_and(|wanted| self.is_resealed(row, wanted))
            })
            .map(|row| row.name.clone())
            .collect();
        let diff = diff(&stored, declaration, &full, &resealed);
        Ok((stored, diff))
    }

    /// Whether secrets are declared that are not the stored ones. A declaration without any leaves them alone;
    /// stored ones that cannot be opened are not the declared ones.
    fn is_resealed(&self, row: &EndpointRow, wanted: &EndpointDeclaration) -> bool {
        let stored = || self.open_secrets(&row.name, &secrets_of(&row.secrets));
        let is_same = || stored().is_ok_and(|secrets| secrets == wanted.secrets);
        !wanted.secrets.is_empty() && !is_same()
    }
}

/// Creates and changes from what is led to, to what leads; removes the other way round.
async fn carry_out(
    broker: &Broker,
    session: &Session,
    stored: &Stored,
    declaration: &Declaration,
    diff: &mut Diff,
) -> Result<(), Abort> {
    let mut ids = Ids {
        queues: stored.queues.iter().map(|row| (row.name.clone(), row.id)).collect(),
        endpoints: stored.endpoints.iter().map(|row| (row.name.clone(), row.id)).collect(),
    };
    for kind in [Kind::Type, Kind::Queue, Kind::Endpoint, Kind::Subscription] {
        for change in diff.changes.iter().filter(|change| change.kind == kind) {
            match change.action {
                Action::Create => create(broker, session, declaration, change, &mut ids).await?,
                Action::Change { .. } => update(broker, session, stored, declaration, change, &ids).await?,
                Action::Remove | Action::Keep { .. } => {}
            }
        }
    }
    for kind in [Kind::Subscription, Kind::Endpoint, Kind::Queue, Kind::Type] {
        for change in diff.changes.iter_mut().filter(|change| change.kind == kind) {
            if change.action == Action::Remove {
                remove(session, change, &ids).await?;
            }
        }
    }
    Ok(())
}

struct Ids {
    queues: HashMap<String, i32>,
    endpoints: HashMap<String, i32>,
}

async fn create(
    broker: &Broker,
    session: &Session,
    declaration: &Declaration,
    change: &Change,
    ids: &mut Ids,
) -> Result<(), Abort> {
    let name = change.name.as_str();
    let is_new = match change.kind {
        Kind::Type => {
            let declared = &declaration.types[name];
            let priority = declared.priority.unwrap_or_else(|| priority_of_name(name)).rank();
            rows::insert_topic(session, name, priority, declared.schema.as_ref(), true).await?.is_some()
        }
        Kind::Queue => {
            let columns = columns_of(&declaration.queues[name]);
            let row = rows::insert_queue(session, name, &columns, true).await?;
            row.map(|row| ids.queues.insert(row.name, row.id)).is_some()
        }
        Kind::Endpoint => {
            let declared = &declaration.endpoints[name];
            let settings = json!(declared.settings);
            let write = EndpointWrite {
                kind: declared.kind.as_str(),
                url: &declared.url,
                settings: &settings,
                declared: true,
            };
            let secrets = match declared.secrets.as_slice() {
                [] => broker.seal(session, name, &[check::generate_secret()?]).await?,
                secrets => broker.seal(session, name, secrets).await?,
            };
            let secrets = super::endpoint::secrets_column(&secrets);
            let id = rows::insert_endpoint(session, name, &secrets, write).await?;
            id.map(|id| ids.endpoints.insert(name.to_string(), id)).is_some()
        }
        Kind::Subscription => {
            ensure_topic_of(session, declaration, name).await?;
            rows::insert_subscription(session, subscription_write(declaration, name, ids)).await?
        }
    };
    if is_new {
        return Ok(());
    }
    // Only a topic can come between, made by need; then what is declared is written over it.
    match change.kind {
        Kind::Type => write_type(session, declaration, name).await,
        kind => Err(Error::new(Code::Conflict, format!("{kind} `{name}` was made at the same time")).into()),
    }
}

async fn update(
    broker: &Broker,
    session: &Session,
    stored: &Stored,
    declaration: &Declaration,
    change: &Change,
    ids: &Ids,
) -> Result<(), Abort> {
    let name = change.name.as_str();
    match change.kind {
        Kind::Type => write_type(session, declaration, name).await?,
        Kind::Queue => {
            let Some(row) = stored.queues.iter().find(|row| row.name == name) else { return Ok(()) };
            let columns = columns_of(&declaration.queues[name]);
            rows::update_queue(session, row.id, &columns, row.paused, true).await?;
        }
        Kind::Endpoint => {
            let Some(row) = stored.endpoints.iter().find(|row| row.name == name) else { return Ok(()) };
            let declared = &declaration.endpoints[name];
            let settings = json!(declared.settings);
            let write = EndpointWrite {
                kind: declared.kind.as_str(),
                url: &declared.url,
                settings: &settings,
                declared: true,
            };
            rows::update_endpoint(session, row.id, row.paused, write).await?;
            let Action::Change { fields } = &change.action else { return Ok(()) };
            if fields.iter().any(|field| field.field == "secrets") {
                let secrets = broker.seal(session, name, &declared.secrets).await?;
                let secrets = super::endpoint::secrets_column(&secrets);
                rows::set_endpoint_secrets(session, row.id, &secrets).await?;
            }
        }
        Kind::Subscription => {
            ensure_topic_of(session, declaration, name).await?;
            rows::update_subscription(session, subscription_write(declaration, name, ids)).await?;
        }
    }
    Ok(())
}

/// Writes a type as it is declared, or, when it is declared no more, as one that was made by need.
async fn write_type(session: &Session, declaration: &Declaration, name: &str) -> Result<(), Abort> {
    let by_need = TypeDeclaration::default();
    let declared = declaration.types.get(name);
    let as_declared = declared.unwrap_or(&by_need);
    let priority = as_declared.priority.unwrap_or_else(|| priority_of_name(name)).rank();
    rows::update_topic(session, name, priority, as_declared.schema.as_ref(), declared.is_some()).await?;
    Ok(())
}

async fn ensure_topic_of(
    session: &Session,
    declaration: &Declaration,
    subscription: &str,
) -> Result<(), Abort> {
    let topic = &declaration.subscriptions[subscription].topic;
    rows::ensure_topic(session, topic, priority_of_name(topic).rank()).await?;
    Ok(())
}

fn subscription_write<'a>(declaration: &'a Declaration, name: &'a str, ids: &Ids) -> SubscriptionWrite<'a> {
    let declared = &declaration.subscriptions[name];
    SubscriptionWrite {
        name,
        topic: &declared.topic,
        filter: declared.filter.as_ref(),
        queue_id: declared.queue.as_ref().and_then(|queue| ids.queues.get(queue).copied()),
        endpoint_id: declared.endpoint.as_ref().and_then(|endpoint| ids.endpoints.get(endpoint).copied()),
        declared: true,
    }
}

/// Removes, or notes in the change why it stays after all.
async fn remove(session: &Session, change: &mut Change, ids: &Ids) -> Result<(), Abort> {
    let name = change.name.as_str();
    let (is_gone, reason) = match change.kind {
        Kind::Type => (rows::delete_topic(session, name).await?, "somebody subscribes to it"),
        Kind::Queue => match ids.queues.get(name) {
            Some(id) => (rows::remove_queue(session, *id).await?, "it holds messages"),
            None => (true, ""),
        },
        Kind::Endpoint => match ids.endpoints.get(name) {
            Some(id) => (rows::delete_endpoint(session, *id).await?, "a subscription leads to it"),
            None => (true, ""),
        },
        Kind::Subscription => {
            rows::delete_subscription(session, name).await?;
            (true, "")
        }
    };
    if !is_gone {
        change.action = Action::Keep { reason: reason.to_string() };
    }
    Ok(())
}
