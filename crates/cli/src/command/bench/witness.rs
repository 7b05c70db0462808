//! The receivers of a soak: some fine, some slow, some failing in every way; and the account of what came, by number.
//!
//! What an event is numbered stands in its payload as `"n":`. Not for: benchmarks that measure (see `receiver`).

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::random::Random;

/// What the endpoints of a soak do, by the first word of their path.
pub(super) const PATHS: [&str; 6] = ["fine", "fine", "fine", "slow", "failing", "moody"];
/// How long `moody` is one way and then the other.
const MOOD: Duration = Duration::from_secs(15);

pub(super) struct Witness {
    state: Mutex<State>,
    started: tokio::time::Instant,
    is_healed: AtomicBool,
}

struct State {
    random: Random,
    /// How often each number was taken.
    taken: Vec<u8>,
    at_work: HashSet<u64>,
    overlaps: u64,
    calls: u64,
}

/// How one call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Take,
    After(Duration),
    Status(u16),
    Hang,
    Reset,
}

/// What came of all events so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub calls: u64,
    pub taken: u64,
    /// Taken again: a lease ran out, or its node died, before it was settled.
    pub repeats: u64,
    /// The same event in two calls at once.
    pub overlaps: u64,
}

impl Witness {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let state =
            State { random: Random(seed), taken: Vec::new(), at_work: HashSet::new(), overlaps: 0, calls: 0 };
        Arc::new(Self {
            state: Mutex::new(state),
            started: tokio::time::Instant::now(),
            is_healed: AtomicBool::new(false),
        })
    }

    /// Nothing fails any more.
    pub(super) fn heal(&self) {
        self.is_healed.store(true, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.lock();
        let taken = state.taken.iter().filter(|times| **times > 0);
        Counts {
            calls: state.calls,
            taken: taken.clone().count() as u64,
            repeats: taken.map(|times| u64::from(times - 1)).sum(),
            overlaps: state.overlaps,
        }
    }

    pub(super) fn was_taken(&self, number: u64) -> bool {
        self.lock().taken.get(number as usize).is_some_and(|times| *times > 0)
    }

    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let witness = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(witness.clone(), request));
                // A connection that breaks off is the sender's affair, or ours on purpose.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    fn decide(&self, path: &str) -> Answer {
        let is_bad_mood = (self.started.elapsed().as_secs() / MOOD.as_secs()) % 2 == 1;
        let mut state = self.lock();
        state.calls += 1;
        let (what, chance) = (path.trim_start_matches('/').split('/').next(), state.random.below(100));
        match what {
            _ if self.is_healed.load(Ordering::Relaxed) => Answer::Take,
            Some("slow") => Answer::After(Duration::from_millis(state.random.below(1_500))),
            Some("failing") => match chance {
                0..30 => Answer::Status(503),
                30..35 => Answer::Reset,
                35..37 => Answer::Hang,
                37..40 => Answer::Status(400),
                _ => Answer::Take,
            },
            Some("moody") if is_bad_mood => Answer::Status(500),
            _ => Answer::Take,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event in a call, until the call is answered or broken off.
struct AtWork {
    witness: Arc<Witness>,
    number: u64,
}

impl AtWork {
    fn begin(witness: &Arc<Witness>, number: u64) -> Self {
        let mut state = witness.lock();
        if !state.at_work.insert(number) {
            state.overlaps += 1;
        }
        Self { witness: witness.clone(), number }
    }

    fn take(&self) {
        let mut state = self.witness.lock();
        let place = self.number as usize;
        if state.taken.len() <= place {
            state.taken.resize(place + 1, 0);
        }
        state.taken[place] = state.taken[place].saturating_add(1);
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.witness.lock().at_work.remove(&self.number);
    }
}

async fn answer(witness: Arc<Witness>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let number = number_of(&body).ok_or(io::ErrorKind::InvalidData)?;
    let at_work = AtWork::begin(&witness, number);
    let status = match witness.decide(head.uri.path()) {
        Answer::Take => 200,
        Answer::After(pause) => {
            sleep(pause).await;
            200
        }
        Answer::Status(status) => status,
        Answer::Hang => std::future::pending().await,
        Answer::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
    };
    if status == 200 {
        at_work.take();
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    Ok(response)
}

/// The number after `"n":`.
pub(super) fn number_of(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    let (_, rest) = text.split_once("\"n\":")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_in_two_calls_at_once_is_noticed() {
        let witness = Witness::new(1);
        let first = AtWork::begin(&witness, 7);
        drop(AtWork::begin(&witness, 8));
        assert_eq!(witness.counts().overlaps, 0);
        drop(AtWork::begin(&witness, 7));
        assert_eq!(witness.counts().overlaps, 1);
        first.take();
        first.take();
        assert_eq!((witness.counts().taken, witness.counts().repeats), (1, 1));
        assert!(witness.was_taken(7) && !witness.was_taken(8) && !witness.was_taken(1_000));
    }

    #[test]
    fn an_event_has_its_number_in_its_payload() {
        assert_eq!(number_of(b"{\"n\":42,\"d\":\"x\"}"), Some(42));
        assert_eq!(number_of(b"{\"d\":\"x\"}"), None);
    }
}
