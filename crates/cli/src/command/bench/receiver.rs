//! A receiver of webhooks that is fast, counts what it takes, and misbehaves where its path says so.
//!
//! `/take/N` takes; `/stall/N` never answers while it is told to stall, and takes otherwise; `/time/N` takes and keeps
//! how late the payload's `due` (microseconds) is. Not for: checking signatures, which costs time (see the demo's).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::output;

/// Numbers of endpoints that are told apart.
pub(super) const ENDPOINTS_MAX: usize = 32;

/// Run the receiver alone, as a process of its own; it prints its address and answers until it is killed.
#[derive(Args, Debug)]
pub(crate) struct Serve {}

impl Serve {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let (listener, address) = listen().await?;
        output::line(address)?;
        serve(listener, Arc::new(State::default())).await;
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct State {
    taken: [AtomicU64; ENDPOINTS_MAX],
    is_stalling: AtomicBool,
    late_ms: Mutex<Vec<f64>>,
}

impl State {
    /// How late those were that came in since this was asked last.
    pub(super) fn take_late_ms(&self) -> Vec<f64> {
        std::mem::take(&mut self.lock())
    }

    pub(super) fn timed(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<f64>> {
        self.late_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, state.clone()));
            // A connection that breaks off is the sender's affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let arrived_at = jiff::Timestamp::now();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Ok(Response::new(Full::default()));
    };
    let mut words = head.uri.path().trim_start_matches('/').split('/');
    let what = words.next().unwrap_or_default();
    let taken = words.next().and_then(|number| state.taken.get(number.parse::<usize>().ok()?));
    match what {
        "count" => {
            let counts: Vec<u64> = state.taken.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            return Ok(Response::new(Full::new(json!(counts).to_string().into())));
        }
        "stalling" => state.is_stalling.store(true, Ordering::Relaxed),
        "stall" if state.is_stalling.load(Ordering::Relaxed) => std::future::pending::<()>().await,
        "time" => {
            if let Some(due) = due_micros(&body) {
                let late_micros = arrived_at.as_microsecond() - due;
                state.lock().push(late_micros as f64 / 1_000.0);
            }
        }
        _ => {}
    }
    if let Some(taken) = taken {
        taken.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Response::new(Full::default()))
}

/// The number after `"due":`, wherever it stands.
fn due_micros(body: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"due\":")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_due_time_stands_in_the_payload() {
        assert_eq!(due_micros(b"{\"n\":1,\"due\":1700000000000001}"), Some(1_700_000_000_000_001));
        assert_eq!(due_micros(b"{\"due\":\"x\"}"), None);
        assert_eq!(due_micros(b"{}"), None);
    }
}
