//! Connections to endpoints: resolve, judge every address, connect, and shake hands if the scheme is https.
//!
//! Not for: requests and their answers (see `client`). No proxy is ever used: it would call on our behalf addresses
//! that we may not call.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service;

use crate::address::AddressPolicy;
use crate::endpoint::port_of;
use crate::resolve::Resolver;

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;

type Connecting<S> = Pin<Box<dyn Future<Output = Result<S, ConnectError>> + Send>>;

/// Why there is no connection. In all of these no byte of the request was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("`{host}` leads to {address}, which is {reason}")]
    AddressRefused { host: String, address: IpAddr, reason: &'static str },
    #[error("the name `{host}` does not resolve: {reason}")]
    Dns { host: String, reason: Arc<str> },
    #[error("no connection to {address}: {cause}")]
    Refused { address: SocketAddr, cause: io::Error },
    #[error("no connection within {timeout_ms} ms")]
    TimedOut { timeout_ms: u128 },
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the URL cannot be called")]
    Uncallable,
}

/// Connects by TCP to addresses that the policy lets through.
#[derive(Clone)]
pub(crate) struct TcpConnector {
    pub(crate) policy: Arc<AddressPolicy>,
    pub(crate) resolver: Resolver,
    pub(crate) timeout: Duration,
}

impl TcpConnector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let deadline = Instant::now() + self.timeout;
        let timed_out = || ConnectError::TimedOut { timeout_ms: self.timeout.as_millis() };
        let host = uri.host().ok_or(ConnectError::Uncallable)?;
        let port = port_of(&uri);
        let addresses = timeout_at(deadline, self.addresses(host)).await.map_err(|_| timed_out())??;
        let mut last = timed_out();
        for (i, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, port);
            // The time that is left is shared out, so that a dead first address leaves some for the second.
            let share = (deadline - Instant::now()) / (addresses.len() - i) as u32;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A request is one write: waiting to fill a packet only delays it. That it could not be set
                    // is no reason to fail.
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(cause)) => last = ConnectError::Refused { address, cause },
                Err(_) => last = timed_out(),
            }
        }
        Err(last)
    }

    /// The addresses of a host that may be called; an error if there are none.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let candidates: Arc<[IpAddr]> = match literal {
            Ok(address) => Arc::new([address]),
            Err(_) => self
                .resolver
                .resolve(host)
                .await
                .map_err(|reason| ConnectError::Dns { host: host.to_string(), reason })?,
        };
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in candidates.iter().map(IpAddr::to_canonical) {
            match self.policy.check(address) {
                Ok(()) if allowed.len() < ADDRESSES_MAX => allowed.push(address),
                Ok(()) => {}
                Err(reason) => {
                    refused = Some(ConnectError::AddressRefused { host: host.to_string(), address, reason });
                }
            }
        }
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some(refused)) => Err(refused),
            (true, None) => {
                Err(ConnectError::Dns { host: host.to_string(), reason: Arc::from("it has no address") })
            }
        }
    }
}

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Connects with TLS where the scheme asks for it, and says of each failure what it was.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) https: HttpsConnector<TcpConnector>,
    pub(crate) timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.timeout;
        let connecting = self.https.call(uri);
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(match error.downcast::<ConnectError>() {
                    Ok(error) => *error,
                    Err(error) => ConnectError::Tls(error.to_string()),
                }),
                Err(_) => Err(ConnectError::TimedOut { timeout_ms: limit.as_millis() }),
            }
        })
    }
}
