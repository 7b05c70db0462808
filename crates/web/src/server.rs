//! The HTTP/1.1 server: a router on a listener, until it is told to stop.
//!
//! Each connection is one task. A peer that is slow to send its head, sends too large a one, or idles, is
//! let go; so are connections beyond the limit. Not for: TLS, which a proxy in front does, nor for limits on
//! bodies (see `body`).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use posthaste_observe::HttpMetrics;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// The pause after an accept that failed for want of file descriptors or memory: at once, it fails again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    pub connections_max: usize,
    /// How long a connection may take to send a request's head; also how long it may idle between requests.
    pub head_timeout: Duration,
    /// The largest request head, which is also the size of the read buffer. At least 8 KB.
    pub head_bytes_max: usize,
    pub headers_max: usize,
    /// How long requests may go on after the server was told to stop.
    pub drain_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            head_timeout: Duration::from_secs(60),
            head_bytes_max: 32 * 1024,
            headers_max: 100,
            drain_timeout: Duration::from_secs(25),
        }
    }
}

/// What every connection of a server shares.
struct Shared {
    router: Router,
    http: http1::Builder,
    stop: CancellationToken,
    /// Cancelled when the time to drain is over.
    abort: CancellationToken,
    metrics: HttpMetrics,
}

/// Serves until `stop` is cancelled and the requests under way are answered, or the time to drain is over.
/// Returns how many connections were cut off.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    metrics: HttpMetrics,
    settings: ServerSettings,
    stop: CancellationToken,
) -> usize {
    // Not `pipeline_flush`: with it, hyper drops its answer to a head that is too large.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_buf_size(settings.head_bytes_max.max(8 * 1024))
        .max_headers(settings.headers_max);
    let abort = CancellationToken::new();
    let shared = Arc::new(Shared { router, http, stop: stop.clone(), abort: abort.clone(), metrics });
    let places = Arc::new(Semaphore::new(settings.connections_max.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();

    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Err(error) => pause_after(&error).await,
            Ok((stream, peer)) => match places.clone().try_acquire_owned() {
                Ok(place) => drop(connections.spawn(connection(shared.clone(), stream, peer, place))),
                Err(_) => turn_away(&stream, &shared.metrics),
            },
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(settings.drain_timeout, connections.wait()).await.is_ok() {
        return 0;
    }
    let cut_off = connections.len();
    tracing::warn!(connections = cut_off, "cut off HTTP connections that did not end in time");
    abort.cancel();
    connections.wait().await;
    cut_off
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
    shared.metrics.connections.increment(1.0);
    // Answers are small and wanted now. If the option cannot be set, the connection is gone already.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        answer(shared.router.clone(), request)
    });
    let serving = shared.http.serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        biased;
        served = serving.as_mut() => Some(served),
        () = shared.stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            shared.abort.run_until_cancelled(serving).await
        }
    };
    if let Some(Err(error)) = served {
        tracing::debug!(peer = %peer, error.cause = %error, "an HTTP connection ended with an error");
    }
    shared.metrics.connections.decrement(1.0);
}

/// A router is always ready.
async fn answer(mut router: Router, request: http::Request<Body>) -> Result<Response, Infallible> {
    router.call(request).await
}

/// A connection that broke off while it waited is its own affair; everything else is ours, and may last.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::error!(error.cause = %error, "failed to accept an HTTP connection");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Answers without reading: one more connection must cost next to nothing.
fn turn_away(stream: &TcpStream, metrics: &HttpMetrics) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
        content-type: application/problem+json\r\n\
        content-length: 213\r\n\
        retry-after: 1\r\n\
        connection: close\r\n\r\n\
        {\"type\":\"/errors/unavailable\",\"title\":\"the service cannot do this at the moment\",\"status\":503,\
        \"code\":\"unavailable\",\"detail\":\"too many connections are open\",\"nextStep\":\"use connections again, or try again shortly\"}";
    metrics.connections_refused.increment(1);
    let _ = stream.try_write(ANSWER);
}
