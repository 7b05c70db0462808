//! The receiver of the demonstration, as a team that receives webhooks would write it: it checks signatures, knows a
//! repeat by its idempotency key, refuses what it cannot take, and fails while it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use posthaste_base::limits::PAYLOAD_BYTES_MAX;
use posthaste_base::{Code, Error};
use posthaste_deliver::SigningKey;
use posthaste_deliver::sign::{SignedHeaders, TOLERANCE_SECONDS_DEFAULT, verify};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::cast::Cast;

/// A receiver that answers until it is dropped.
pub(super) struct Receiver {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    keys: Arc<BTreeMap<String, SigningKey>>,
    task: JoinHandle<()>,
}

/// What has come in, and what is to fail.
#[derive(Default)]
struct State {
    failing: BTreeSet<String>,
    /// By idempotency key: how often it took effect, which is once or there is a mistake.
    effects: BTreeMap<String, u32>,
    totals: Totals,
}

/// Calls, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub calls: u64,
    pub taken: u64,
    /// Known by their key, and taken without an effect.
    pub repeats: u64,
    pub refused: u64,
    pub failed: u64,
    pub unsigned: u64,
}

impl Receiver {
    pub(super) async fn start(cast: &Cast) -> Result<Self, Error> {
        let keys =
            cast.endpoints.iter().map(|(name, secret)| Ok(((*name).to_owned(), SigningKey::parse(secret)?)));
        let keys: Arc<BTreeMap<_, _>> = Arc::new(keys.collect::<Result<_, Error>>()?);
        let cannot = |error: std::io::Error| {
            Error::new(Code::Unavailable, "no port for the receiver").caused_by(error)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let state: Arc<Mutex<State>> = Arc::default();
        let task = tokio::spawn(serve(listener, state.clone(), keys.clone()));
        Ok(Self { address, state, keys, task })
    }

    pub(super) fn fail(&self, endpoint: &str) {
        debug_assert!(self.keys.contains_key(endpoint));
        self.lock().failing.insert(endpoint.to_owned());
    }

    pub(super) fn heal(&self, endpoint: &str) {
        self.lock().failing.remove(endpoint);
    }

    /// How often the event with this key took effect.
    pub(super) fn effects(&self, key: &str) -> u32 {
        self.lock().effects.get(key).copied().unwrap_or(0)
    }

    pub(super) fn totals(&self) -> Totals {
        self.lock().totals
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>, keys: Arc<BTreeMap<String, SigningKey>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (state, keys) = (state.clone(), keys.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, state.clone(), keys.clone()));
            // A connection that breaks off is the sender's affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    keys: Arc<BTreeMap<String, SigningKey>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let (status, text) = match Limited::new(body, PAYLOAD_BYTES_MAX).collect().await {
        Ok(body) => {
            take(&head, &body.to_bytes(), &mut state.lock().unwrap_or_else(PoisonError::into_inner), &keys)
        }
        Err(_) => (400, "the body did not arrive"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

/// What becomes of one call.
fn take(
    head: &http::request::Parts,
    body: &[u8],
    state: &mut State,
    keys: &BTreeMap<String, SigningKey>,
) -> (u16, &'static str) {
    state.totals.calls += 1;
    let endpoint = head.uri.path().trim_start_matches('/');
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = SignedHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let now = jiff::Timestamp::now().as_second();
    let is_signed = keys.get(endpoint).is_some_and(|key| {
        verify(std::slice::from_ref(key), signed, body, now, TOLERANCE_SECONDS_DEFAULT).is_ok()
    });
    if !is_signed {
        state.totals.unsigned += 1;
        return (401, "the signature is not ours");
    }
    if state.failing.contains(endpoint) {
        state.totals.failed += 1;
        return (503, "the calendar is being repaired");
    }
    let payload: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    if payload.get("text").is_some_and(serde_json::Value::is_null) {
        state.totals.refused += 1;
        return (422, "a message without a text");
    }
    let key = header("idempotency-key").to_owned();
    if state.effects.contains_key(&key) {
        state.totals.repeats += 1;
        return (200, "known");
    }
    *state.effects.entry(key).or_default() += 1;
    state.totals.taken += 1;
    (200, "taken")
}
