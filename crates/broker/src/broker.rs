//! The broker itself: what all use cases share.

use std::sync::{Arc, OnceLock, RwLock};

use posthaste_base::{Clock, Result};
use posthaste_store::Pool;
use tokio::sync::Notify;

use crate::bell::Notifier;
use crate::declare::EndpointCheck;
use crate::metrics::Metrics;
use crate::queue::Desk;
use crate::room::Room;
use crate::{Catalog, SealKey};

#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// How long an idempotency key outlives its message (requirements, I1).
    pub key_ttl_days: u32,
    /// How long attempts are kept.
    pub attempt_retention_days: u32,
    /// The event type of a payload that comes without one.
    pub default_type: String,
    /// Whether events of a type that is not declared are refused, instead of making its topic.
    pub strict_types: bool,
    /// Whether failure modes may be switched on.
    pub failure_modes: bool,
    /// What the secrets of endpoints are sealed with. Without it, none can be made or used.
    pub seal_key: Option<SealKey>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            key_ttl_days: 7,
            attempt_retention_days: 7,
            default_type: "order".into(),
            strict_types: false,
            failure_modes: false,
            seal_key: None,
        }
    }
}

impl BrokerOptions {
    pub(crate) fn key_ttl_seconds(&self) -> f64 {
        f64::from(self.key_ttl_days) * 86_400.0
    }
}

/// All that Posthaste does with events and messages. Cheap to clone; all clones are one broker.
#[derive(Clone)]
pub struct Broker {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) pool: Pool,
    pub(crate) options: BrokerOptions,
    pub(crate) clock: Clock,
    pub(crate) catalog: RwLock<Arc<Catalog>>,
    /// Held while the catalog is read, so that an older reading never takes the place of a newer one.
    pub(crate) refresh_turn: tokio::sync::Mutex<()>,
    pub(crate) endpoint_check: OnceLock<EndpointCheck>,
    /// Rung when the scheduler may have something earlier to do than it knows.
    pub(crate) keeper_bell: Notify,
    pub(crate) notifier: Notifier,
    pub(crate) desk: Desk,
    pub(crate) metrics: Metrics,
    pub(crate) room: Room,
}

impl Broker {
    /// Over a database whose schema is up to date; reads the catalog once.
    pub async fn open(pool: Pool, options: BrokerOptions, clock: Clock) -> Result<Self> {
        let inner = Arc::new_cyclic(|inner| Inner {
            pool,
            options,
            clock,
            catalog: RwLock::new(Arc::new(Catalog::default())),
            refresh_turn: tokio::sync::Mutex::new(()),
            endpoint_check: OnceLock::new(),
            keeper_bell: Notify::new(),
            notifier: Notifier::start(inner.clone()),
            desk: Desk::new(inner.clone()),
            metrics: Metrics::default(),
            room: Room::default(),
        });
        let broker = Self { inner };
        broker.refresh_catalog().await?;
        Ok(broker)
    }

    /// The catalog as it is known now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub fn options(&self) -> &BrokerOptions {
        &self.inner.options
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }
}
