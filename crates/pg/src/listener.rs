//! LISTEN on a session of its own, which comes back after every loss.
//!
//! Not for: truth. A notification says "look now"; what was missed while the session was down is found by
//! looking, which `Heard::Reconnected` asks for.

use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::AsyncMessage;

use crate::{Error, Result, Target, tls};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Notification {
        channel: String,
        payload: String,
    },
    /// The session is new (the first one is not told of): notifications may have been missed. Look once.
    Reconnected,
}

/// Drop it to stop listening.
pub struct Listener {
    heard: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Connects to the target's direct address and listens; returns when the first session is listening.
    pub async fn connect(target: &Target, channels: &[&str]) -> Result<Self> {
        let target = target.direct().clone();
        let statement: String =
            channels.iter().map(|channel| format!("listen {};", quoted(channel))).collect();
        let session = tokio::time::timeout(CONNECT_WITHIN, Session::open(&target, &statement))
            .await
            .unwrap_or_else(|_| Err(silent(&target)))?;
        // Bounded: a consumer that does not read holds up only this session, and the server keeps its queue.
        let (sender, heard) = mpsc::channel(1024);
        let task = tokio::spawn(keep_listening(target, statement, session, sender));
        Ok(Self { heard, task })
    }

    /// The next thing heard; waits through losses of the session. Cancel-safe.
    pub async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            // The task ends only with its runtime.
            None => std::future::pending().await,
        }
    }

    /// What was heard already, without waiting: to take many wake-ups as one.
    pub fn try_next(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the session may be silent before it is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(30);

struct Session {
    client: tokio_postgres::Client,
    messages: mpsc::Receiver<Heard>,
    driver: JoinHandle<()>,
}

impl Session {
    async fn open(target: &Target, statement: &str) -> Result<Self> {
        let refused = |error| Error::connecting(&target.redacted(), error);
        let connector = tls::connector(target)?;
        let (client, mut connection) = target.driver_config().connect(connector).await.map_err(refused)?;
        let (sender, messages) = mpsc::channel(64);
        let driver = tokio::spawn(async move {
            let mut stream = futures::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = stream.next().await {
                let AsyncMessage::Notification(notification) = message else { continue };
                let heard = Heard::Notification {
                    channel: notification.channel().to_owned(),
                    payload: notification.payload().to_owned(),
                };
                if sender.send(heard).await.is_err() {
                    return;
                }
            }
        });
        let session = Self { client, messages, driver };
        session.client.batch_execute(statement).await?;
        Ok(session)
    }

    /// Hands on what comes until the session breaks. `false` when nobody wants it any more.
    async fn relay(&mut self, consumer: &mpsc::Sender<Heard>) -> bool {
        loop {
            match tokio::time::timeout(SILENCE, self.messages.recv()).await {
                Ok(Some(heard)) => {
                    if consumer.send(heard).await.is_err() {
                        return false;
                    }
                }
                Ok(None) => return !consumer.is_closed(),
                Err(_) => {
                    let sign = self.client.check_connection();
                    if !matches!(tokio::time::timeout(CONNECT_WITHIN, sign).await, Ok(Ok(()))) {
                        return true;
                    }
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn keep_listening(
    target: Target,
    statement: String,
    mut session: Session,
    consumer: mpsc::Sender<Heard>,
) {
    while session.relay(&consumer).await {
        tracing::warn!(target = %target, "lost the session that listens; connecting again");
        let mut delay = Duration::from_millis(50);
        session = loop {
            let opening = tokio::time::timeout(CONNECT_WITHIN, Session::open(&target, &statement));
            match opening.await.unwrap_or_else(|_| Err(silent(&target))) {
                Ok(session) => break session,
                Err(error) => tracing::debug!(%error, "still not listening"),
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(Duration::from_secs(5));
        };
        tracing::info!(target = %target, "listening again");
        if consumer.send(Heard::Reconnected).await.is_err() {
            return;
        }
    }
}

fn silent(target: &Target) -> Error {
    let reason = format!("no answer within {} s", CONNECT_WITHIN.as_secs());
    Error::Unreachable { target: target.redacted(), reason, source: None }
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
