//! Waking: within the node by bells, between nodes by notifications that are gathered, and by them from SQL.
//!
//! A notification in every sender's transaction would make commits queue up behind each other (measured: a quarter of
//! the rate with 16 clients), so a node sends at most one in a while for each queue, outside of any sender's
//! transaction. Nothing depends on their arrival: everybody who waits looks again by himself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use posthaste_base::{Error, QueueId};
use posthaste_store::{Heard, Listener, lead};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Broker;
use crate::broker::Inner;

const CHANNEL: &str = "posthaste";
/// The least time between two notifications of a node.
const GATHERED_FOR: Duration = Duration::from_millis(25);
/// How often the catalog is read without being asked to: secrets run out, and notifications may not be carried.
const CATALOG_EVERY: Duration = Duration::from_secs(60);

/// What other nodes are to be told.
#[derive(Default)]
struct News {
    queues: BTreeSet<QueueId>,
    is_due: bool,
}

/// Gathers what this node has to tell the others.
pub(crate) struct Notifier {
    news: Arc<Mutex<News>>,
    has_news: Arc<Notify>,
}

impl Notifier {
    pub(crate) fn start(inner: Weak<Inner>) -> Self {
        let notifier = Self { news: Arc::default(), has_news: Arc::default() };
        tokio::spawn(tell(inner, notifier.news.clone(), notifier.has_news.clone()));
        notifier
    }

    pub(crate) fn queue(&self, queue: QueueId) {
        let is_new = self.lock().queues.insert(queue);
        if is_new {
            self.has_news.notify_one();
        }
    }

    pub(crate) fn due(&self) {
        let was_due = std::mem::replace(&mut self.lock().is_due, true);
        if !was_due {
            self.has_news.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

async fn tell(inner: Weak<Inner>, news: Arc<Mutex<News>>, has_news: Arc<Notify>) {
    loop {
        // Looks up now and then whether the broker is still there.
        let _ = tokio::time::timeout(Duration::from_secs(5), has_news.notified()).await;
        let Some(inner) = inner.upgrade() else { return };
        let told = std::mem::take(&mut *news.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        if told.queues.is_empty() && !told.is_due {
            continue;
        }
        // A node that is not told looks again by itself soon, so a failure here is no news.
        if let Ok(session) = inner.pool.get().await {
            if told.is_due {
                let _ = lead::notify(&session, "due").await;
            }
            for queue in told.queues {
                let _ = lead::notify(&session, &format!("queue:{queue}")).await;
            }
        }
        drop(inner);
        tokio::time::sleep(GATHERED_FOR).await;
    }
}

impl Broker {
    /// Rings for the keeper, here and soon in the node that leads.
    pub(crate) fn ring_keeper(&self) {
        self.inner.keeper_bell.notify_one();
        self.inner.notifier.due();
    }

    pub(crate) fn keeper_bell(&self) -> &Notify {
        &self.inner.keeper_bell
    }

    /// Hears what other nodes and SQL send, until `shutdown`. Without it (behind a pooler that does not carry LISTEN)
    /// all goes on by ticks.
    pub async fn run_listener(&self, shutdown: CancellationToken) {
        let read_again = async {
            loop {
                tokio::time::sleep(CATALOG_EVERY).await;
                self.heard("catalog").await;
            }
        };
        tokio::select! {
            () = self.keep_listening(shutdown) => {}
            () = read_again => {}
        }
    }

    async fn keep_listening(&self, shutdown: CancellationToken) {
        let target = self.pool().target().direct().clone();
        let mut pause = Duration::from_millis(100);
        loop {
            match Listener::connect(&target, &[CHANNEL]).await {
                Ok(listener) => {
                    pause = Duration::from_millis(100);
                    tokio::select! {
                        () = self.listen(listener) => {}
                        () = shutdown.cancelled() => return,
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %Error::from(error), "notifications are not heard for now")
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn listen(&self, mut listener: Listener) {
        loop {
            match listener.next().await {
                Heard::Notification { payload, .. } => self.heard(&payload).await,
                Heard::Reconnected => {
                    // Whatever was said meanwhile was missed.
                    self.heard("catalog").await;
                    self.inner.keeper_bell.notify_one();
                    self.inner.desk.ring_all();
                }
            }
        }
    }

    async fn heard(&self, payload: &str) {
        if payload == "due" {
            self.inner.keeper_bell.notify_one();
        } else if payload == "catalog" {
            if let Err(error) = self.refresh_catalog().await {
                tracing::warn!(%error, "the catalog could not be read again");
            }
        } else if let Some(queue) = payload.strip_prefix("queue:").and_then(|id| id.parse().ok()) {
            self.inner.desk.bell(QueueId(queue)).notify_one();
        }
    }
}
