//! Queues one at a time: settings, pause and resume.
//!
//! Not for: what is in a queue (see `crate::queue`).

use jiff::Timestamp;
use posthaste_base::{Code, Error, Priority, Result};
use posthaste_store::declare::{self as rows, QueueRow};
use serde::{Deserialize, Serialize};

use super::check;
use super::refresh::{columns_of, settings_of};
use super::topic::{already, in_use};
use crate::transact::Abort;
use crate::{Broker, QueueSettings};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueIn {
    pub name: String,
    /// What is not said is as for the NORMAL queue.
    #[serde(default)]
    pub settings: QueueSettingsPatch,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueOut {
    pub name: String,
    pub settings: QueueSettings,
    pub paused: bool,
    /// Whether the configuration file declares it; applying the file then undoes other changes.
    pub declared: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueuePatch {
    pub settings: QueueSettingsPatch,
    pub paused: Option<bool>,
}

macro_rules! settings_patch {
    ($($field:ident: $kind:ty,)+) => {
        /// Settings of a queue of which only some are said.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct QueueSettingsPatch {
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$kind>,
            )+
        }

        impl QueueSettingsPatch {
            /// `base` with what this says instead.
            pub fn over(&self, base: QueueSettings) -> QueueSettings {
                QueueSettings { $($field: self.$field.unwrap_or(base.$field),)+ }
            }
        }
    };
}

settings_patch! {
    visibility_seconds: u32,
    retention_seconds: u32,
    dead_retention_seconds: u32,
    max_receives: u16,
    delay_seconds: u32,
    batch: u32,
    reserved: u32,
    max_concurrency: u32,
    worker_timeout_seconds: u32,
    backoff_base_ms: u32,
    backoff_cap_ms: u32,
}

impl Broker {
    /// Queues by name, after `after`; `limit` at most.
    pub async fn list_queues(&self, after: Option<&str>, limit: usize) -> Result<Vec<QueueOut>> {
        let connection = self.pool().get().await?;
        let found = rows::list_queues(&connection, after.unwrap_or_default(), limit as i64).await?;
        Ok(found.into_iter().map(to_out).collect())
    }

    pub async fn get_queue(&self, name: &str) -> Result<QueueOut> {
        let connection = self.pool().get().await?;
        rows::get_queue(&connection, name).await?.map(to_out).ok_or_else(|| self.no_queue(name))
    }

    pub async fn create_queue(&self, queue: QueueIn) -> Result<QueueOut> {
        check::name(&queue.name, "a queue").map_err(|error| error.field("name"))?;
        let settings = queue.settings.over(QueueSettings::of_name(&queue.name));
        first(check::queue(&settings))?;
        let (name, columns) = (queue.name.as_str(), &columns_of(&settings));
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let row = rows::insert_queue(&tx, name, columns, false).await?;
                rows::notify_catalog(&tx).await?;
                Ok::<_, Abort>(row)
            })
            .await?
            .ok_or_else(|| already("queue", name))?;
        self.refresh_catalog().await?;
        Ok(to_out(row))
    }

    pub async fn update_queue(&self, name: &str, patch: QueuePatch) -> Result<QueueOut> {
        let patch = &patch;
        let row = self
            .transact(|tx| async move {
                rows::lock(&tx).await?;
                let row = rows::get_queue(&tx, name).await?.ok_or_else(|| self.no_queue(name))?;
                let settings = patch.settings.over(settings_of(&row.columns));
                first(check::queue(&settings))?;
                let paused = patch.paused.unwrap_or(row.paused);
                let columns = columns_of(&settings);
                let row = rows::update_queue(&tx, row.id, &columns, paused, row.declared).await?;
                rows::notify_catalog(&tx).await?;
                row.ok_or_else(|| Abort::from(self.no_queue(name)))
            })
            .await?;
        self.refresh_catalog().await?;
        Ok(to_out(row))
    }

    /// Nothing is received from a paused queue; messages go on coming in, and wait.
    pub async fn pause_queue(&self, name: &str) -> Result<QueueOut> {
        self.update_queue(name, QueuePatch { paused: Some(true), ..QueuePatch::default() }).await
    }

    pub async fn resume_queue(&self, name: &str) -> Result<QueueOut> {
        self.update_queue(name, QueuePatch { paused: Some(false), ..QueuePatch::default() }).await
    }

    /// Removes an empty queue that no subscription leads to. The queues of the priorities always stay.
    pub async fn delete_queue(&self, name: &str) -> Result<()> {
        if Priority::ALL.iter().any(|priority| priority.queue_name() == name) {
            return Err(in_use("queue", name, "deliveries go through it").hint("pause it instead"));
        }
        self.transact(|tx| async move {
            rows::lock(&tx).await?;
            let row = rows::get_queue(&tx, name).await?.ok_or_else(|| self.no_queue(name))?;
            if let Some(by) = rows::subscription_of_destination(&tx, Some(row.id), None).await? {
                return Err(in_use("queue", name, &format!("subscription `{by}` leads to it")).into());
            }
            if !rows::remove_queue(&tx, row.id).await? {
                let error = in_use("queue", name, "it holds messages or dead letters");
                return Err(error.hint("purge it and discard its dead letters first").into());
            }
            rows::notify_catalog(&tx).await?;
            Ok::<_, Abort>(())
        })
        .await?;
        self.refresh_catalog().await
    }

    fn no_queue(&self, name: &str) -> Error {
        let fallback =
            || Error::new(Code::UnknownQueue, format!("there is no queue `{name}`")).field("queue");
        self.catalog().queue(name).err().unwrap_or_else(fallback)
    }
}

/// All problems as one error: the first, with the others as violations.
pub(super) fn first(errors: Vec<Error>) -> Result<()> {
    let mut errors = errors.into_iter();
    let Some(error) = errors.next() else { return Ok(()) };
    let others = errors.map(|error| posthaste_base::Violation {
        pointer: format!("/settings/{}", error.field_name().unwrap_or_default().replace('.', "/")),
        message: match error.expectation() {
            Some(expected) => format!("{}, expected {expected}", error.message()),
            None => error.message().to_string(),
        },
    });
    let others = others.collect();
    Err(error.violations(others))
}

fn to_out(row: QueueRow) -> QueueOut {
    QueueOut {
        settings: settings_of(&row.columns),
        name: row.name,
        paused: row.paused,
        declared: row.declared,
        created_at: row.created_at,
    }
}
