//! Doing together what is asked for together: requests that arrive while a transaction is under way wait for the
//! next one and share it, so that one flush of the server's log serves them all.
//!
//! Those who were answered together tend to ask again together. For them, and for nobody else, the next transaction
//! waits a moment: without it, clients in a hurry would part into small groups that wait for each other's flush. With
//! one request at a time, each has a transaction of its own, at once.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use posthaste_base::{Code, Error, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Groups of requests that may wait; more are held back at the sender.
const WAITING_MAX: usize = 8_192;
/// Large ones go in smaller company, so that no statement grows without end; what was asked for at once stays together.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// So much of the time that a batch took (an eighth), and no longer than this, the next one waits for those whom it
/// answered.
const PATIENCE: u32 = 8;
const PATIENCE_MAX: Duration = Duration::from_millis(1);

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

/// Who was answered since the last batch began, and until when the next one waits for them to ask again.
#[derive(Default)]
struct Answered {
    /// Groups of requests.
    groups: usize,
    until: Option<Instant>,
}

impl Answered {
    fn add(&mut self, groups: usize, began_at: Instant, now: Instant) {
        self.groups += groups;
        let patience = now.saturating_duration_since(began_at) / PATIENCE;
        self.until = Some(now + patience.min(PATIENCE_MAX));
    }
}

fn lock(answered: &Mutex<Answered>) -> MutexGuard<'_, Answered> {
    answered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sending half; the work ends when the last one is dropped.
pub(crate) struct Gather<I, O> {
    /// What is asked for at once stays together: were it put in one by one, whoever takes it out would part it.
    sender: mpsc::Sender<Vec<Request<I, O>>>,
}

impl<I: Send + 'static, O: Send + 'static> Gather<I, O> {
    /// Starts a task that hands batches of about `batch_max` requests to `work`, `parallel` of them at a time. `bytes_of`
    /// says how much one holds: a batch ends before it has more than [`BATCH_BYTES_MAX`].
    pub(crate) fn start<F, Fut>(batch_max: usize, parallel: usize, bytes_of: fn(&I) -> usize, work: F) -> Self
    where
        F: Fn(Vec<Request<I, O>>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel::<Vec<Request<I, O>>>(WAITING_MAX);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(parallel));
            let bytes =
                move |group: &[Request<I, O>]| group.iter().map(|one| bytes_of(&one.input)).sum::<usize>();
            let answered = Arc::new(Mutex::new(Answered::default()));
            let mut next = None;
            loop {
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let Answered { groups, until } = std::mem::take(&mut *lock(&answered));
                // One that did not fit into the last batch is the first of a full one.
                let company = if next.is_some() { 0 } else { groups + receiver.len() };
                let first = match next.take() {
                    Some(group) => Some(group),
                    None => receiver.recv().await,
                };
                let Some(mut batch) = first else { return };
                // Those who were answered together ask again together: let them all speak.
                loop {
                    tokio::task::yield_now().await;
                    let is_complete = receiver.len() + 1 >= company;
                    if is_complete || until.is_none_or(|until| until <= Instant::now()) {
                        break;
                    }
                }
                let (mut batch_bytes, mut groups) = (bytes(&batch), 1);
                while let Ok(mut group) = receiver.try_recv() {
                    batch_bytes += bytes(&group);
                    if batch.len() + group.len() > batch_max || batch_bytes > BATCH_BYTES_MAX {
                        next = Some(group);
                        break;
                    }
                    batch.append(&mut group);
                    groups += 1;
                }
                let (done, answered, began_at) = (work(batch), answered.clone(), Instant::now());
                tokio::spawn(async move {
                    done.await;
                    lock(&answered).add(groups, began_at, Instant::now());
                    drop(place);
                });
            }
        });
        Self { sender }
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&self, input: I) -> Result<O> {
        let mut answers = self.ask_all(vec![input]).await;
        answers.pop().unwrap_or_else(|| Err(stopped()))
    }

    /// Asks for several at once, and waits for the answers, which come in the same order.
    pub(crate) async fn ask_all(&self, inputs: Vec<I>) -> Vec<Result<O>> {
        if inputs.is_empty() {
            return Vec::new();
        }
        let mut receivers = Vec::with_capacity(inputs.len());
        let mut group = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (answer, receiver) = oneshot::channel();
            group.push(Request { input, answer });
            receivers.push(receiver);
        }
        // Should nobody take them any more, their answers are dropped, which is an answer too.
        let _ = self.sender.send(group).await;
        let mut answers = Vec::with_capacity(receivers.len());
        for receiver in receivers {
            answers.push(receiver.await.unwrap_or_else(|_| Err(stopped())));
        }
        answers
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
        let gather = Gather::start(
            100,
            1,
            |_| 4,
            move |batch: Vec<Request<u32, u32>>| {
                counted.fetch_add(1, Ordering::Relaxed);
                async move {
                    tokio::task::yield_now().await;
                    for request in batch {
                        let doubled = request.input * 2;
                        request.answer(Ok(doubled));
                    }
                }
            },
        );
        let answers = futures::future::join_all((0..50).map(|n| gather.ask(n))).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.expect("the work answers"), n as u32 * 2);
        }
        assert!(batches.load(Ordering::Relaxed) < 10);
    }

    /// One begins alone, three come while it waits: they would never meet again.
    #[tokio::test]
    async fn those_who_parted_meet_again() {
        const ROUNDS: usize = 20;
        let batches = Arc::new(AtomicUsize::new(0));
        let counted = batches.clone();
        let work = move |batch: Vec<Request<(), ()>>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                batch.into_iter().for_each(|request| request.answer(Ok(())));
            }
        };
        let gather = Gather::start(100, 1, |()| 0, work);
        let client = async |start_ms| {
            tokio::time::sleep(Duration::from_millis(start_ms)).await;
            for _ in 0..ROUNDS {
                gather.ask(()).await.expect("the work answers");
                // It has something to do before it asks again.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
            }
        };
        futures::future::join_all([0, 5, 5, 5].map(client)).await;
        let batches = batches.load(Ordering::Relaxed);
        assert!(batches < ROUNDS + ROUNDS / 2, "{batches} batches for {ROUNDS} rounds");
    }

    #[tokio::test]
    async fn large_ones_go_in_smaller_company() {
        let work = |batch: Vec<Request<usize, usize>>| async move {
            let size = batch.len();
            batch.into_iter().for_each(|request| request.answer(Ok(size)));
        };
        let gather = Gather::start(100, 1, |bytes: &usize| *bytes, work);
        let half = BATCH_BYTES_MAX / 2;
        let asked = [1, half, half, half, 2 * half + 1, 1].map(|bytes| gather.ask(bytes));
        let sizes = futures::future::join_all(asked).await.into_iter().map(|size| size.expect("an answer"));
        assert_eq!(sizes.collect::<Vec<_>>(), [2, 2, 2, 2, 1, 1]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_asked_for_at_once_is_not_parted() {
        let gather = Gather::start(
            100,
            4,
            |_| 4,
            |batch: Vec<Request<u32, usize>>| async move {
                let size = batch.len();
                batch.into_iter().for_each(|request| request.answer(Ok(size)));
            },
        );
        for _ in 0..50 {
            let (one, other) =
                tokio::join!(gather.ask_all((0..60).collect()), gather.ask_all((0..60).collect()));
            for size in one.into_iter().chain(other) {
                assert_eq!(size.expect("the work answers"), 60, "two groups of 60 are more than a batch");
            }
        }
        assert!(gather.ask_all(Vec::new()).await.is_empty());
    }
}
