//! Doing together what is asked for together: requests that arrive while a transaction is under way wait for the
//! next one and share it, so that one flush of the server's log serves them all.
//!
//! Nothing waits for company: with one request at a time, each has a transaction of its own, at once.

use std::future::Future;
use std::sync::Arc;

use posthaste_base::{Code, Error, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Requests that may wait; more are held back at the sender.
const WAITING_MAX: usize = 8_192;

/// A request with where its answer goes.
pub(crate) struct Request<I, O> {
    pub(crate) input: I,
    answer: oneshot::Sender<Result<O>>,
}

impl<I, O> Request<I, O> {
    pub(crate) fn answer(self, answer: Result<O>) {
        // Whoever asked may have gone; what was done stays done.
        let _ = self.answer.send(answer);
    }
}

/// The sending half; the work ends when the last one is dropped.
pub(crate) struct Gather<I, O> {
    sender: mpsc::Sender<Request<I, O>>,
}

impl<I: Send + 'static, O: Send + 'static> Gather<I, O> {
    /// Starts a task that hands batches of at most `batch_max` requests to `work`, `parallel` of them at a time.
    pub(crate) fn start<F, Fut>(batch_max: usize, parallel: usize, work: F) -> Self
    where
        F: Fn(Vec<Request<I, O>>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel::<Request<I, O>>(WAITING_MAX);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(parallel));
            loop {
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let mut batch = Vec::new();
                if receiver.recv_many(&mut batch, batch_max).await == 0 {
                    return;
                }
                let done = work(batch);
                tokio::spawn(async move {
                    done.await;
                    drop(place);
                });
            }
        });
        Self { sender }
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&self, input: I) -> Result<O> {
        self.post(input).await?.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Asks, and answers with where the answer will come.
    pub(crate) async fn post(&self, input: I) -> Result<oneshot::Receiver<Result<O>>> {
        let (answer, receiver) = oneshot::channel();
        self.sender.send(Request { input, answer }).await.map_err(|_| stopped())?;
        Ok(receiver)
    }
}

fn stopped() -> Error {
    Error::new(Code::Unavailable, "the node is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn what_arrives_together_is_done_together() {
        let batches = Arc::new(AtomicUsize::new(0));
        let counted = batches.clone();
        let gather = Gather::start(100, 1, move |batch: Vec<Request<u32, u32>>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                for request in batch {
                    let doubled = request.input * 2;
                    request.answer(Ok(doubled));
                }
            }
        });
        let answers = futures::future::join_all((0..50).map(|n| gather.ask(n))).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.expect("the work answers"), n as u32 * 2);
        }
        assert!(batches.load(Ordering::Relaxed) < 10);
    }
}
