//! The outbound client: one POST, one answer, within one time limit. It never fails and never panics; what goes
//! wrong is part of the answer.
//!
//! Not for: trying again (a message's receives are the one counter of tries), redirects, cookies and proxies, none of
//! which it follows, keeps or uses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use posthaste_base::limits::ATTEMPT_TIMEOUT_MS_MAX;
use posthaste_base::{Code, Error};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, timeout_at};

use crate::address::AddressPolicy;
use crate::answer::{Answer, TransportKind};
use crate::classify::{classify, transport_error};
use crate::connect::{Connector, TcpConnector};
use crate::endpoint::Endpoint;
use crate::resolve::Resolver;

/// The time limit of an attempt that names none (requirements, decision 5).
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How much of an answer's body is kept.
pub const HEAD_BYTES_MAX: usize = 1_024;
/// How much of an answer's body is read so that its connection can be used again; a longer one costs its connection.
pub const DRAIN_BYTES_MAX: usize = 64 * 1024;

const ANSWER_HEADERS_BYTES_MAX: usize = 64 * 1024;
const RETRY_AFTER_BYTES_MAX: usize = 64;

/// How calls are made.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub policy: AddressPolicy,
    /// For the name, the connection and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an answer's body is read after its head, which alone decides.
    pub body_timeout: Duration,
    /// More than are on their way at a time: while messages are settled in batches, most of their connections idle,
    /// and each that is dropped then is made again a moment later.
    pub idle_connections_per_host_max: usize,
    /// Shorter than the 5 seconds after which many servers close an idle connection: a request that crosses such a
    /// close on its way is lost.
    pub idle_timeout: Duration,
    /// Roots that are trusted besides the public ones; see `roots_from_pem`.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Names with fixed addresses, which the policy judges like all others.
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            policy: AddressPolicy::public_only(),
            connect_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(2),
            idle_connections_per_host_max: 512,
            idle_timeout: Duration::from_secs(4),
            extra_roots: Vec::new(),
            names: BTreeMap::new(),
        }
    }
}

/// Reads the certificates of a PEM file, for `ClientOptions::extra_roots`.
pub fn roots_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let refuse = |message: &str| Error::new(Code::InvalidFile, message).expected("certificates in PEM form");
    let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| refuse("the file with extra root certificates cannot be read").caused_by(error))?;
    if roots.is_empty() {
        return Err(refuse("the file with extra root certificates holds none"));
    }
    Ok(roots)
}

/// One call. `headers` come from `webhook::headers`.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub endpoint: &'a Endpoint,
    pub body: Bytes,
    pub headers: HeaderMap,
    /// For everything from the name to the answer's head, and at most for its body; 30 seconds at most. With zero nobody is called.
    pub timeout: Duration,
}

/// Cheap to clone; all clones share their idle connections.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Payload>,
    body_timeout: Duration,
    head_bytes_max: usize,
}

impl Client {
    /// The same client for answers whose body decides too: it keeps more of it than `HEAD_BYTES_MAX`, and reads it for
    /// as long as the call may take.
    pub fn keeping(&self, head_bytes_max: usize) -> Self {
        let body_timeout = Duration::from_millis(ATTEMPT_TIMEOUT_MS_MAX.into());
        Self { head_bytes_max, body_timeout, ..self.clone() }
    }

    pub fn new(options: ClientOptions) -> Result<Self, Error> {
        let tcp = TcpConnector {
            policy: Arc::new(options.policy),
            resolver: Resolver::new(options.names),
            timeout: options.connect_timeout,
        };
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(options.extra_roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.idle_connections_per_host_max)
            // An idle connection that turns out to be closed is replaced, but only for a request of which nothing
            // was written: a request that may have arrived is not sent twice.
            .retry_canceled_requests(true)
            .http1_max_buf_size(ANSWER_HEADERS_BYTES_MAX)
            .build(Connector { https, timeout: options.connect_timeout });
        Ok(Self { http, body_timeout: options.body_timeout, head_bytes_max: HEAD_BYTES_MAX })
    }

    /// Makes one call.
    pub async fn post(&self, request: Request<'_>) -> Answer {
        let started = Instant::now();
        let limit = attempt_limit(request.timeout);
        let deadline = started + limit;
        let was_written = Arc::new(AtomicBool::new(false));
        let asked = async {
            // A timer's grain is a millisecond, in which a receiver nearby could still be reached and answer.
            if limit.is_zero() {
                std::future::pending::<()>().await;
            }
            self.http.request(outgoing(request, Arc::clone(&was_written))).await
        };
        let mut answer = match timeout_at(deadline, asked).await {
            Ok(Ok(response)) => self.read(response, deadline).await,
            Ok(Err(error)) => Answer {
                transport_error: Some(classify(&error, was_written.load(Ordering::Relaxed))),
                ..Answer::default()
            },
            Err(_) => {
                let message = format!("no answer within {} ms", limit.as_millis());
                let may_have_arrived = was_written.load(Ordering::Relaxed);
                let kind = TransportKind::Timeout;
                Answer {
                    transport_error: Some(transport_error(kind, message, may_have_arrived)),
                    ..Answer::default()
                }
            }
        };
        answer.latency_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        answer
    }

    async fn read(&self, response: http::Response<Incoming>, deadline: Instant) -> Answer {
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .filter(|text| text.len() <= RETRY_AFTER_BYTES_MAX)
            .map(ToString::to_string);
        let status = Some(response.status().as_u16());
        let body = response.into_body();
        let (head, is_whole) = if body.is_end_stream() {
            (Bytes::new(), true)
        } else {
            read_head(body, deadline.min(Instant::now() + self.body_timeout), self.head_bytes_max).await
        };
        Answer { status, transport_error: None, retry_after, head, is_whole, latency_ms: 0 }
    }
}

/// Keeps the first bytes of a body and drains a little more. A body that is too long, too slow or breaks off is
/// dropped, which closes its connection; that changes nothing about the answer, but that it is not whole.
async fn read_head(mut body: Incoming, deadline: Instant, head_bytes_max: usize) -> (Bytes, bool) {
    let mut head = Vec::new();
    let mut read_bytes = 0;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return (Bytes::from(head), read_bytes <= head_bytes_max),
            Ok(Some(Err(_))) | Err(_) => break,
        };
        let Some(data) = frame.data_ref() else { continue };
        read_bytes += data.len();
        // Copied, because a slice would keep the connection's whole read buffer alive.
        head.extend_from_slice(&data[..data.len().min(head_bytes_max - head.len())]);
        let left_bytes = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let is_too_long = read_bytes.saturating_add(left_bytes) > DRAIN_BYTES_MAX;
        if is_too_long && head.len() == head_bytes_max {
            break;
        }
    }
    (Bytes::from(head), false)
}

fn attempt_limit(wanted: Duration) -> Duration {
    wanted.min(Duration::from_millis(ATTEMPT_TIMEOUT_MS_MAX.into()))
}

fn outgoing(request: Request<'_>, was_written: Arc<AtomicBool>) -> http::Request<Payload> {
    // Of an empty body the library never asks for a byte, so it is not known when the request goes out.
    was_written.store(request.body.is_empty(), Ordering::Relaxed);
    let payload = Payload { bytes: Some(request.body).filter(|bytes| !bytes.is_empty()), was_written };
    let mut outgoing = http::Request::new(payload);
    *outgoing.method_mut() = Method::POST;
    *outgoing.uri_mut() = request.endpoint.uri.clone();
    *outgoing.headers_mut() = request.headers;
    outgoing.headers_mut().insert(header::HOST, request.endpoint.host_header.clone());
    outgoing
}

fn tls_config(extra_roots: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, Error> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(root).map_err(|error| {
            Error::new(Code::InvalidConfig, "an extra root certificate cannot be used").caused_by(error)
        })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Code::Internal, "TLS could not be set up").caused_by(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// A request's body, which notes when the library takes it: that is in the same step in which the first byte of the
/// request is written, so until then it is certain that nothing was sent.
struct Payload {
    bytes: Option<Bytes>,
    was_written: Arc<AtomicBool>,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.was_written.store(true, Ordering::Relaxed);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn no_attempt_may_take_longer_than_the_limit_of_all() {
        assert_eq!(attempt_limit(Duration::from_secs(3_600)), Duration::from_secs(30));
        assert_eq!(attempt_limit(TIMEOUT_DEFAULT), Duration::from_secs(10));
    }

    #[test]
    fn extra_roots_are_read_from_pem_and_refused_by_name() {
        let certified = rcgen::generate_simple_self_signed(vec!["a.example".to_string()]).unwrap();
        let encoded = STANDARD.encode(certified.cert.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
        assert_eq!(roots_from_pem(format!("{pem}{pem}").as_bytes()).unwrap().len(), 2);
        for text in ["", "not a certificate", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"]
        {
            assert_eq!(roots_from_pem(text.as_bytes()).unwrap_err().code(), Code::InvalidFile, "{text}");
        }
        let broken = ClientOptions { extra_roots: vec![vec![1, 2, 3].into()], ..ClientOptions::default() };
        assert_eq!(Client::new(broken).err().map(|error| error.code()), Some(Code::InvalidConfig));
    }
}
