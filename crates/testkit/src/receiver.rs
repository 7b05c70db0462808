//! A local HTTP receiver for tests and measurements: it records what comes, counts repetitions, checks signatures,
//! and misbehaves on demand, path by path.
//!
//! Not for: production. It shares no code with the sender, so that a mistake in a signature is seen by both or neither.

mod behaviour;
mod serve;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use self::behaviour::Behaviour;
use self::behaviour::Rule;

const TOLERANCE_SECONDS: i64 = 300;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// `None` if the receiver was given no secret.
    pub is_signature_valid: Option<bool>,
    /// What it was answered with; `None` while it is not, or when the caller has gone.
    pub status: Option<u16>,
    /// Whether it is being worked on.
    pub is_open: bool,
    /// How long ago the oldest call began that was open when this one came, for the same message.
    pub overlap: Option<Duration>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What has come since the start or the last `clear`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub connections: u64,
    pub requests: u64,
    /// Requests that were given their answer, of whatever status.
    pub answered: u64,
    /// Answers of status 2xx.
    pub succeeded: u64,
    /// Different values of `idempotency-key`.
    pub distinct_keys: u64,
    /// Requests whose `idempotency-key` had come before.
    pub duplicates: u64,
    /// Different values of `idempotency-key` among those answered with 2xx.
    pub succeeded_keys: u64,
    pub bad_signatures: u64,
}

/// A receiver on a free port of this host. It stops, with all its connections, when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// Answers 200 and records up to 10,000 requests.
    pub async fn start() -> io::Result<Self> {
        Self::start_recording(10_000).await
    }

    /// Records up to so many requests; what comes after them is only counted.
    pub async fn start_recording(requests_max: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            requests_max,
            default: RwLock::new(Arc::new(Rule::new(Behaviour::answer(200)))),
            by_path: RwLock::default(),
            keys: RwLock::default(),
            state: Mutex::default(),
            hasher: RandomState::new(),
            changed: Notify::new(),
        });
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What happens to the requests of one path from now on.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        let rule = Arc::new(Rule::new(behaviour));
        self.shared.by_path.write().unwrap_or_else(PoisonError::into_inner).insert(path.to_string(), rule);
    }

    /// What happens to the requests of all other paths from now on.
    pub fn behave_elsewhere(&self, behaviour: Behaviour) {
        *self.shared.default.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Rule::new(behaviour));
    }

    /// Checks the signatures of all requests from now on with these secrets (`whsec_<base64>`).
    pub fn check_signatures(&self, secrets: &[&str]) {
        let keys = secrets.iter().map(|secret| {
            let encoded = secret.strip_prefix("whsec_").expect("a secret starts with whsec_");
            STANDARD.decode(encoded).expect("a secret is base64")
        });
        *self.shared.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.collect();
    }

    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// The most calls of one path that were open at a time, of those recorded.
    pub fn open_max(&self, path: &str) -> usize {
        self.shared.state().open_max.get(path).copied().unwrap_or(0)
    }

    /// The recorded requests, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.state().requests.clone()
    }

    /// Forgets all requests, keys and counts, but not the behaviours.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        *state = State { generation: state.generation + 1, ..State::default() };
    }

    /// Waits until so many requests have come.
    pub async fn wait_for(&self, requests: u64, timeout: Duration) -> Result<Counts, String> {
        self.wait_until(timeout, |counts| counts.requests >= requests).await
    }

    /// Waits until the counts satisfy the condition; an error holds the counts that did not.
    pub async fn wait_until(
        &self,
        timeout: Duration,
        is_reached: impl Fn(&Counts) -> bool,
    ) -> Result<Counts, String> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            // Listening starts before the look, so that no change falls between the two.
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let counts = self.counts();
            if is_reached(&counts) {
                return Ok(counts);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Err(format!("not reached within {timeout:?}: {:?}", self.counts()));
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Shared {
    requests_max: usize,
    default: RwLock<Arc<Rule>>,
    by_path: RwLock<HashMap<String, Arc<Rule>>>,
    keys: RwLock<Vec<Vec<u8>>>,
    state: Mutex<State>,
    hasher: RandomState,
    changed: Notify,
}

#[derive(Default)]
struct State {
    counts: Counts,
    requests: Vec<Received>,
    /// Places of the recorded requests that are being worked on.
    open: BTreeSet<usize>,
    open_max: HashMap<String, usize>,
    /// How often everything was forgotten.
    generation: u64,
    /// Whether a key has been answered with 2xx, by the key's hash: a measurement sends millions of keys.
    keys: HashMap<u64, bool>,
}

impl State {
    fn open_one(&mut self, mut request: Received) {
        let same = |other: &&Received| {
            other.path == request.path && other.header("webhook-id") == request.header("webhook-id")
        };
        let others = || self.open.iter().filter_map(|place| self.requests.get(*place));
        let oldest = others().filter(same).map(|other| other.at).min();
        request.overlap = oldest.map(|at| request.at.duration_since(at));
        let n_open = others().filter(|other| other.path == request.path).count() + 1;
        let most = self.open_max.entry(request.path.clone()).or_default();
        *most = n_open.max(*most);
        self.open.insert(self.requests.len());
        self.requests.push(request);
    }
}

/// A request that is being worked on, until this is dropped.
struct Call<'a> {
    shared: &'a Shared,
    key_hash: Option<u64>,
    place: Option<usize>,
    generation: u64,
}

impl Call<'_> {
    fn answered(self, status: StatusCode) {
        let mut state = self.shared.state();
        state.counts.answered += 1;
        if status.is_success() {
            state.counts.succeeded += 1;
            if let Some(has_succeeded) = self.key_hash.and_then(|hash| state.keys.get_mut(&hash))
                && !std::mem::replace(has_succeeded, true)
            {
                state.counts.succeeded_keys += 1;
            }
        }
        if let Some(request) = self.request(&mut state) {
            request.status = Some(status.as_u16());
        }
    }

    fn request<'s>(&self, state: &'s mut State) -> Option<&'s mut Received> {
        let place = self.place.filter(|_| self.generation == state.generation)?;
        state.requests.get_mut(place)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(request) = self.request(&mut state) {
            request.is_open = false;
        }
        if let Some(place) = self.place.filter(|_| self.generation == state.generation) {
            state.open.remove(&place);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rule(&self, path: &str) -> Arc<Rule> {
        let by_path = self.by_path.read().unwrap_or_else(PoisonError::into_inner);
        match by_path.get(path) {
            Some(rule) => Arc::clone(rule),
            None => Arc::clone(&self.default.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Counts a request, and records it while there is room.
    fn record(&self, parts: http::request::Parts, body: Bytes) -> Call<'_> {
        let is_signature_valid = self.check_signature(&parts.headers, &body);
        let key_hash = parts.headers.get("idempotency-key").map(|key| self.hasher.hash_one(key.as_bytes()));
        let mut guard = self.state();
        let state = &mut *guard;
        state.counts.requests += 1;
        state.counts.bad_signatures += u64::from(is_signature_valid == Some(false));
        if let Some(hash) = key_hash {
            if let Entry::Vacant(entry) = state.keys.entry(hash) {
                entry.insert(false);
                state.counts.distinct_keys += 1;
            } else {
                state.counts.duplicates += 1;
            }
        }
        let mut place = None;
        if state.requests.len() < self.requests_max {
            place = Some(state.requests.len());
            let path = parts.uri.path().to_string();
            state.open_one(Received {
                at: Instant::now(),
                path,
                headers: parts.headers,
                body,
                is_signature_valid,
                status: None,
                is_open: true,
                overlap: None,
            });
        }
        let call = Call { shared: self, key_hash, place, generation: state.generation };
        drop(guard);
        self.changed.notify_waiters();
        call
    }

    fn check_signature(&self, headers: &HeaderMap, body: &[u8]) -> Option<bool> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            return None;
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        let is_recent = timestamp.parse::<i64>().is_ok_and(|sent| (now - sent).abs() <= TOLERANCE_SECONDS);
        let is_signed = keys.iter().any(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
            text("webhook-signature").split(' ').any(|signature| signature == expected)
        });
        Some(!id.is_empty() && is_recent && is_signed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// Sends one request on a connection of its own and gives back the status of the answer, 0 without one.
    async fn send(receiver: &Receiver, path: &str, key: &str) -> u16 {
        let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nidempotency-key: {key}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
    }

    #[tokio::test]
    async fn repeated_keys_are_counted_once() {
        let receiver = Receiver::start_recording(2).await.unwrap();
        receiver.behave("/twice", Behaviour::answer(202).fail_first(2, 500));
        let mut statuses = Vec::new();
        for key in ["a", "b", "a", "b", "b"] {
            statuses.push(send(&receiver, "/twice", key).await);
        }
        assert_eq!(statuses, [500, 500, 202, 202, 202]);
        let counts = receiver.wait_for(5, Duration::from_secs(5)).await.unwrap();
        assert_eq!((counts.requests, counts.distinct_keys, counts.duplicates), (5, 2, 3));
        assert_eq!((counts.answered, counts.succeeded, counts.succeeded_keys), (5, 3, 2));
        assert_eq!(receiver.requests().len(), 2);
        receiver.clear();
        assert_eq!(receiver.counts(), Counts::default());
    }

    #[tokio::test]
    async fn random_failures_repeat_with_their_seed() {
        let receiver = Receiver::start().await.unwrap();
        let mut rounds = Vec::new();
        for seed in [7, 7, 8] {
            receiver.behave("/flaky", Behaviour::answer(200).fail_randomly(0.3, 503, seed));
            let mut statuses = Vec::new();
            for _ in 0..100 {
                statuses.push(send(&receiver, "/flaky", "k").await);
            }
            let failures = statuses.iter().filter(|status| **status == 503).count();
            assert!((15..=45).contains(&failures), "seed {seed}: {failures} of 100");
            rounds.push(statuses);
        }
        assert_eq!(rounds[0], rounds[1]);
        assert_ne!(rounds[0], rounds[2]);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_request_or_the_timeout() {
        let receiver = Receiver::start().await.unwrap();
        receiver.behave_elsewhere(Behaviour::reset());
        let refused = receiver.wait_for(1, Duration::from_millis(20)).await.unwrap_err();
        assert!(refused.contains("requests: 0"), "{refused}");
        let (status, counts) =
            tokio::join!(send(&receiver, "/", "k"), receiver.wait_for(1, Duration::from_secs(5)));
        assert_eq!((status, counts.unwrap().answered), (0, 0));
    }
}
