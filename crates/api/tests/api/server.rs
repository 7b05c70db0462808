//! A listener with the whole front, over a database of its own, and a client that speaks plain HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_api::{Api, BrokerKeys, router};
use posthaste_base::Clock;
use posthaste_broker::{Broker, BrokerOptions, Declaration, SealKey};
use posthaste_observe::{HttpMetrics, install};
use posthaste_testkit::db::TestDb;
use posthaste_web::{Access, Cors, Gate, Rate, ServerSettings, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::conform;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) broker: Broker,
    pub(crate) db: TestDb,
    setup: Setup,
    stop: CancellationToken,
}

#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) options: BrokerOptions,
    pub(crate) keys_required: bool,
    pub(crate) rate: Option<Rate>,
    pub(crate) cors: Cors,
    /// A configuration file.
    pub(crate) declares: &'static str,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn declaring(declares: &'static str) -> Self {
        Self::with(Setup { declares, ..Setup::default() }).await
    }

    pub(crate) async fn with(mut setup: Setup) -> Self {
        setup.options.seal_key = SealKey::parse(&SealKey::generate().expect("a key")).ok();
        Self::over(TestDb::posthaste().await, setup).await
    }

    /// Another node over the same database, whose clock shows so much more; this one stops.
    pub(crate) async fn later(mut self, seconds: i64) -> Self {
        self.stop.cancel();
        self.db.set_clock_ahead(seconds).await;
        let db =
            TestDb { url: self.db.url.clone(), target: self.db.target.clone(), pool: self.db.pool.clone() };
        Self::over(db, self.setup.clone()).await
    }

    async fn over(db: TestDb, setup: Setup) -> Self {
        let handle = install().expect("metrics");
        let broker =
            Broker::open(db.pool.clone(), setup.options.clone(), Clock::system()).await.expect("a broker");
        let declares = Declaration::parse(setup.declares).unwrap_or_else(|errors| panic!("{errors:?}"));
        broker.apply(&declares).await.expect("the declarations");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys = Arc::new(BrokerKeys(broker.clone()));
        let access = Access::new(address, setup.keys_required, keys, setup.cors.clone());
        let gate = Gate::new(access, setup.rate, 1_000);
        let api = Api::new(broker.clone(), Arc::new(move || handle.render()));
        let metrics = HttpMetrics::new();
        let router = router(&api, gate, &setup.cors, metrics.clone());
        let stop = CancellationToken::new();
        tokio::spawn({
            let (broker, stop) = (broker.clone(), stop.clone());
            async move { broker.run_keeper(stop).await }
        });
        tokio::spawn(serve(listener, router, metrics, ServerSettings::default(), stop.clone()));
        Self { address, broker, db, setup, stop }
    }

    /// Sends a request on a connection of its own: `POST /events`, headers, body.
    pub(crate) async fn send(
        &self,
        request: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let body = body.as_ref();
        let mut head = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses a body may close before it has all of it.
        let _ = stream.write_all(body).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let answer = Answer::read(&bytes);
        assert!(answer.header("x-correlation-id").is_some() && answer.header("traceparent").is_some());
        conform::check(request, &answer);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(&format!("POST {path}"), &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(&format!("PUT {path}"), &[], body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(&format!("PATCH {path}"), &[], body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(&format!("DELETE {path}"), &[], "").await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("the head of an answer");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = &bytes[end + 4..];
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { whole(body) } else { body.to_vec() };
        Self { status, head, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The answer's JSON, when it has this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem, when it is this one.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem:#}");
        assert!(problem["nextStep"].is_string() && problem["correlationId"].is_string(), "{problem:#}");
        problem
    }
}

/// Puts the chunks of a body together.
fn whole(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|part| part == b"\r\n").expect("the length of a chunk");
        let length = std::str::from_utf8(&chunks[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).expect("a length in hexadecimal");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 4 + length..];
    }
}
