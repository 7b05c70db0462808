//! One endpoint as a node sees it: its address and keys, and the guard (bulkhead, rate limit, breaker) before it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use jiff::Timestamp;
use posthaste_base::{EndpointId, MessageId};
use posthaste_broker::{Broker, Endpoint as Declared};
use posthaste_engine::breaker::{Shared, Transition};
use posthaste_engine::guard::{Admit, Guard, Outcome, Reason};
use posthaste_observe::{Deferral, EndpointMetrics};

use crate::{Endpoint, SigningKey};

/// What does not change until the endpoint is declared anew.
pub(crate) struct Destination {
    pub(crate) declared: Arc<Declared>,
    /// None when the stored address is not one that may be called; the error says why.
    pub(crate) address: Result<Endpoint, posthaste_base::Error>,
    /// With until when each is good. None when the secrets cannot be opened: then nothing is sent, for it would not be
    /// signed.
    keys: Option<Vec<(SigningKey, Option<Timestamp>)>>,
    /// Since when this node has held back its messages.
    held_since: Option<Instant>,
}

/// More messages than this are not noted as ones to go alone: others will be when their call is refused again.
const ALONE_MAX: usize = 10_000;

pub(crate) struct Gate {
    pub(crate) id: EndpointId,
    pub(crate) metrics: EndpointMetrics,
    destination: Mutex<Arc<Destination>>,
    guard: Mutex<Guard>,
    /// Messages of a call that was refused as a whole, which come back to go alone.
    alone: Mutex<HashSet<MessageId>>,
}

/// The gates of all endpoints that this node has called.
#[derive(Default)]
pub(crate) struct Gates {
    known: Mutex<HashMap<EndpointId, Arc<Gate>>>,
}

impl Gates {
    /// The gate of an endpoint, brought up to date with the catalog.
    pub(crate) fn of(&self, broker: &Broker, declared: &Arc<Declared>, now_ms: i64) -> Arc<Gate> {
        let mut known = lock(&self.known);
        if let Some(gate) = known.get(&declared.id) {
            gate.update(broker, declared, now_ms);
            return gate.clone();
        }
        let gate = Arc::new(Gate::new(broker, declared));
        // A node that starts takes over what others know of the endpoint.
        gate.adopt(declared, now_ms);
        known.insert(declared.id, gate.clone());
        gate
    }
}

impl Gate {
    fn new(broker: &Broker, declared: &Arc<Declared>) -> Self {
        Self {
            id: declared.id,
            metrics: EndpointMetrics::new(&declared.name),
            destination: Mutex::new(Arc::new(Destination::new(broker, declared, None))),
            guard: Mutex::new(Guard::new(declared.settings.guard)),
            alone: Mutex::default(),
        }
    }

    pub(crate) fn destination(&self) -> Arc<Destination> {
        lock(&self.destination).clone()
    }

    /// Takes in a new declaration, and what other nodes said of the breaker.
    fn update(&self, broker: &Broker, declared: &Arc<Declared>, now_ms: i64) {
        let mut destination = lock(&self.destination);
        if Arc::ptr_eq(&destination.declared, declared) {
            return;
        }
        *destination = Arc::new(Destination::new(broker, declared, destination.held_since));
        drop(destination);
        self.adopt(declared, now_ms);
    }

    fn adopt(&self, declared: &Declared, now_ms: i64) {
        let shared =
            declared.breaker.as_ref().and_then(|state| serde_json::from_value::<Shared>(state.clone()).ok());
        let mut guard = lock(&self.guard);
        guard.configure(declared.settings.guard);
        if let Some(transition) = shared.and_then(|shared| guard.breaker_mut().adopt(&shared, now_ms)) {
            self.show(transition);
        }
    }

    /// Whether a call may be made now.
    pub(crate) fn admit(&self, now_ms: i64, random: f64) -> Admit {
        let admit = lock(&self.guard).admit(now_ms, random);
        match admit {
            Admit::Go { trial } => {
                self.metrics.in_flight.increment(1.0);
                if trial {
                    self.metrics.breaker_state.set(1.0);
                }
            }
            Admit::Later { reason, .. } => self.metrics.deferred(match reason {
                Reason::BreakerOpen => Deferral::Breaker,
                Reason::EndpointFull => Deferral::Bulkhead,
                Reason::RateLimited => Deferral::Rate,
            }),
        }
        admit
    }

    /// Takes in how a call ended; what the breaker makes of it is told to the other nodes.
    pub(crate) fn done(&self, broker: &Broker, now_ms: i64, trial: bool, outcome: Outcome, latency_ms: u32) {
        self.metrics.in_flight.decrement(1.0);
        let (transition, shared) = {
            let mut guard = lock(&self.guard);
            (guard.done(now_ms, trial, outcome, latency_ms.into()), guard.breaker().shared())
        };
        let Some(transition) = transition else { return };
        self.show(transition);
        let (broker, id, name) = (broker.clone(), self.id, self.destination().declared.name.clone());
        match transition {
            Transition::Opened { until_ms, .. } => {
                tracing::warn!(endpoint.name = name, until_ms, "the breaker of endpoint `{name}` opened");
            }
            Transition::Closed => {
                tracing::info!(endpoint.name = name, "the breaker of endpoint `{name}` closed")
            }
        }
        // Not waited for: other nodes find out by themselves, if they are not told.
        tokio::spawn(async move {
            if let Err(error) = broker.share_breaker(id, &shared).await {
                tracing::debug!(%error, "the state of a breaker could not be shared");
            }
        });
    }

    /// Notes a message that is to go alone when it comes again.
    pub(crate) fn send_alone(&self, message: MessageId) {
        let mut alone = lock(&self.alone);
        // Those that another node received since are never asked for.
        if alone.len() >= ALONE_MAX {
            alone.clear();
        }
        alone.insert(message);
    }

    /// Whether a message is to go alone; asked once.
    pub(crate) fn goes_alone(&self, message: MessageId) -> bool {
        lock(&self.alone).remove(&message)
    }

    fn show(&self, transition: Transition) {
        match transition {
            Transition::Opened { .. } => {
                self.metrics.breaker_trips.increment(1);
                self.metrics.breaker_state.set(2.0);
            }
            Transition::Closed => self.metrics.breaker_state.set(0.0),
        }
    }
}

impl Destination {
    pub(crate) fn new(broker: &Broker, declared: &Arc<Declared>, held_since: Option<Instant>) -> Self {
        let opened = broker.open_secrets(&declared.name, &declared.secrets);
        let untils = declared.secrets.iter().map(|secret| secret.until);
        let keys = opened.and_then(|secrets| {
            secrets
                .iter()
                .zip(untils)
                .map(|(secret, until)| Ok((SigningKey::parse(secret)?, until)))
                .collect()
        });
        if let Err(error) = &keys {
            tracing::error!(endpoint.name = declared.name, %error, "nothing is sent to `{}`", declared.name);
        }
        let is_held = declared.paused || keys.is_err();
        Self {
            address: Endpoint::parse(&declared.url),
            keys: keys.ok(),
            declared: declared.clone(),
            held_since: is_held.then(|| held_since.unwrap_or_else(Instant::now)),
        }
    }

    /// Whether its messages wait instead of being tried.
    pub(crate) fn is_held(&self) -> bool {
        self.held_since.is_some()
    }

    pub(crate) fn held_for_ms(&self) -> i64 {
        let held_for = self.held_since.map(|since| since.elapsed()).unwrap_or_default();
        i64::try_from(held_for.as_millis()).unwrap_or(i64::MAX)
    }

    /// The keys that are good `now`.
    pub(crate) fn keys(&self, now: Timestamp) -> Vec<SigningKey> {
        let good = self.keys.iter().flatten().filter(|(_, until)| until.is_none_or(|until| now < until));
        good.map(|(key, _)| key.clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
