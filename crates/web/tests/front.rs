//! The layers and the server over real sockets, around a tiny router.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use posthaste_base::{Code, Error, Result, Secret};
use posthaste_observe::{HttpMetrics, correlation, install};
use posthaste_web::auth::Publish;
use posthaste_web::key::{KeyHash, LookUp};
use posthaste_web::{
    Access, Allowed, ApiKey, Body, Caller, Correlation, Cors, Gate, GateLayer, KeyRecord, KeyStore, Problem,
    Rate, RequestLayer, Scope, ServerSettings, problem, serve,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Keys {
    stored: Vec<(KeyHash, KeyRecord)>,
    look_ups: AtomicUsize,
}

impl KeyStore for Keys {
    fn look_up(&self, hash: KeyHash) -> LookUp<'_> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        let found = self.stored.iter().find(|(stored, _)| *stored == hash).map(|(_, key)| key.clone());
        Box::pin(async move { Ok(found) })
    }
}

/// How a test's server differs from the usual one.
struct Setup {
    keys: Arc<Keys>,
    keys_required: bool,
    rate: Option<Rate>,
    concurrency_max: usize,
    cors: Cors,
    settings: ServerSettings,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            keys: Arc::default(),
            keys_required: false,
            rate: None,
            concurrency_max: 100,
            cors: Cors::None,
            settings: ServerSettings::default(),
        }
    }
}

struct Server {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<usize>,
    /// Each permit lets one request to `/held` end; `held` has one for each that began.
    release: Arc<Semaphore>,
    held: Arc<Semaphore>,
}

async fn start(setup: Setup) -> Server {
    install().unwrap();
    let (release, held) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (wait, began) = (release.clone(), held.clone());
    let hold = move || async move {
        began.add_permits(1);
        wait.acquire().await.unwrap().forget();
        "held"
    };
    let guarded = Router::new()
        .route("/echo", post(async |_: Allowed<Publish>, body: Body| body.bytes))
        .route("/whoami", get(async |caller: Caller| caller.key().map_or("local", |_| "a key").to_owned()))
        .route("/fail/{code}", get(fail))
        .route("/panic", get(async || -> &'static str { panic!("oh no") }))
        .route(
            "/trace",
            get(async |correlation: Correlation| {
                assert_eq!(correlation::current(), Some(correlation.id));
                correlation.traceparent.to_string()
            }),
        )
        .route("/held", get(hold));
    let open = Router::new().route("/health", get(async || "ok"));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let access = Access::new(address, setup.keys_required, setup.keys, setup.cors.clone());
    let gate = GateLayer::new(Gate::new(access, setup.rate, setup.concurrency_max));
    let metrics = HttpMetrics::new();
    let router = problem::with_fallbacks(guarded.layer(gate).merge(open));
    let router = setup.cors.around(router).layer(RequestLayer::new(metrics.clone()));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, router, metrics, setup.settings, stop.clone()));
    Server { address, stop, serving, release, held }
}

async fn fail() -> Result<String, Problem> {
    let error =
        Error::new(Code::DatabaseFailed, "failed to store the event").caused_by("disk at /secret/path");
    Err(Problem(error.retry_after(2)))
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        problem
    }

    fn code(&self) -> String {
        self.problem()["code"].as_str().unwrap().to_owned()
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request line, headers and a body as they are, on a connection of its own.
    async fn send(&self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        write_request(&mut stream, request, headers, body).await;
        read_answer(&mut stream).await
    }

    async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.send(&format!("GET {path}"), headers, b"").await
    }

    async fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let length = format!("content-length: {}", body.len());
        self.send(&format!("POST {path}"), &[headers, &[&length]].concat(), body).await
    }
}

async fn write_request(stream: &mut TcpStream, request: &str, headers: &[&str], body: &[u8]) {
    let host =
        if headers.iter().any(|header| header.starts_with("host:")) { "" } else { "host: localhost\r\n" };
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    stream.write_all(format!("{request} HTTP/1.1\r\n{host}{headers}\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
}

/// Reads one answer, whose length must be declared.
async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
            let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                assert_eq!(body.len(), length);
                return answer;
            }
        }
        let mut buffer = [0; 4096];
        let n_read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer)).await;
        let n_read = n_read.expect("an answer in time").unwrap();
        assert!(n_read > 0, "the connection ended after {text:?}");
        bytes.extend_from_slice(&buffer[..n_read]);
    }
}

fn keys(scopes: &[Scope], rate: Option<Rate>) -> (Secret, Arc<Keys>) {
    let (key, hash) = ApiKey::generate().unwrap();
    let scopes = scopes.iter().copied().collect();
    let record = KeyRecord { id: 1, name: "shop".to_owned(), scopes, rate, expires_at: None };
    (key, Arc::new(Keys { stored: vec![(hash, record)], look_ups: AtomicUsize::new(0) }))
}

#[tokio::test]
async fn every_answer_carries_the_callers_correlation() {
    let server = start(Setup::default()).await;
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for path in ["/trace", "/nowhere", "/panic", "/health"] {
        let answer = server.get(path, &[trace]).await;
        assert_eq!(answer.header("x-correlation-id"), Some("0af7651916cd43dd8448eb211c80319c"), "{path}");
    }
    let answer = server.get("/trace", &[trace]).await;
    assert_eq!(answer.header("traceparent"), Some(answer.body.as_str()));
    let answer = server.get("/nowhere", &["x-correlation-id: order-7"]).await;
    assert_eq!(
        (&answer.problem()["correlationId"], answer.header("x-correlation-id")),
        (&"order-7".into(), Some("order-7"))
    );
}

#[tokio::test]
async fn errors_are_problems_without_their_causes() {
    let server = start(Setup::default()).await;
    for (request, status, code) in [
        ("GET /nowhere", 404, "not-found"),
        ("DELETE /echo", 405, "method-not-allowed"),
        ("GET /fail/now", 503, "database-failed"),
        ("GET /panic", 500, "internal"),
    ] {
        let answer = server.send(request, &[], b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{request}");
        assert!(!answer.body.contains("/secret/path") && !answer.body.contains("oh no"), "{}", answer.body);
    }
    assert_eq!(server.get("/fail/now", &[]).await.header("retry-after"), Some("2"));
    assert_eq!(server.send("DELETE /echo", &[], b"").await.header("allow"), Some("POST"));
}

#[tokio::test]
async fn keys_are_asked_for_and_looked_up_once() {
    let (key, keys) = keys(&[Scope::Read], None);
    let server = start(Setup { keys: keys.clone(), keys_required: true, ..Setup::default() }).await;
    let bearer = format!("authorization: Bearer {}", key.expose());
    let header = format!("x-api-key: {}", key.expose());
    let (unknown, _) = ApiKey::generate().unwrap();
    let unknown = format!("x-api-key: {}", unknown.expose());

    let answer = server.get("/whoami", &[]).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    for good in [&bearer, &header] {
        assert_eq!(server.get("/whoami", &[good]).await.body, "a key");
    }
    for _ in 0..2 {
        assert_eq!(server.get("/whoami", &[&unknown]).await.code(), "unauthorized");
    }
    assert_eq!(keys.look_ups.load(Ordering::Relaxed), 2, "one for each key");
    assert_eq!(server.get("/health", &[]).await.body, "ok", "no key is needed outside the gate");
    let answer = server.post("/echo", &[&bearer], b"{}").await;
    assert_eq!(answer.code(), "forbidden");
    assert_eq!(answer.problem()["expected"], "a key with the scope `publish`");
}

#[tokio::test]
async fn a_loopback_listener_is_open_to_this_host_alone() {
    let server = start(Setup::default()).await;
    assert_eq!(server.get("/whoami", &[]).await.body, "local");
    assert_eq!(server.get("/whoami", &["host: evil.example"]).await.code(), "forbidden");
    assert_eq!(server.get("/whoami", &["origin: https://evil.example"]).await.code(), "forbidden");
}

#[tokio::test]
async fn a_keys_own_rate_is_kept() {
    let (key, keys) = keys(&[Scope::Read], Rate::new(1, 3));
    let server = start(Setup { keys, ..Setup::default() }).await;
    let header = format!("x-api-key: {}", key.expose());
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = server.get("/whoami", &[&header]).await;
        if answer.status == 429 {
            assert_eq!(
                (answer.code().as_str(), answer.header("retry-after")),
                ("too-many-requests", Some("1"))
            );
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..3], [200; 3]);
    assert_eq!(server.get("/whoami", &[]).await.status, 200, "others are not held up");
}

#[tokio::test]
async fn requests_beyond_the_concurrency_are_shed_and_their_places_come_back() {
    let server = start(Setup { concurrency_max: 1, ..Setup::default() }).await;
    let mut first = server.connect().await;
    write_request(&mut first, "GET /held", &[], b"").await;
    server.held.acquire().await.unwrap().forget();
    let answer = server.get("/whoami", &[]).await;
    assert_eq!(
        (answer.status, answer.code().as_str(), answer.header("retry-after")),
        (503, "unavailable", Some("1"))
    );
    assert_eq!(server.get("/health", &[]).await.status, 200, "what is outside the gate still answers");
    server.release.add_permits(1);
    assert_eq!(read_answer(&mut first).await.body, "held");
    assert_eq!(server.get("/whoami", &[]).await.status, 200);
}

#[tokio::test]
async fn bodies_are_checked_before_they_are_used() {
    let server = start(Setup::default()).await;
    let json = "content-type: application/json";
    assert_eq!(server.post("/echo", &[json], b"{\"a\": 1}").await.body, "{\"a\": 1}");
    for (header, body, code) in [
        (json, &b""[..], "missing-body"),
        ("content-type: text/plain", b"{}", "unsupported-media-type"),
        ("content-encoding: gzip", b"{}", "unsupported-media-type"),
    ] {
        assert_eq!(server.post("/echo", &[header], body).await.code(), code, "{header}");
    }
    let chunked = b"3\r\n{\"a\r\n5\r\n\": 1}\r\n0\r\n\r\n";
    let answer = server.send("POST /echo", &[json, "transfer-encoding: chunked"], chunked).await;
    assert_eq!(answer.body, "{\"a\": 1}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_not_reset() {
    let server = start(Setup::default()).await;
    let ten_megabytes = vec![b' '; 10 * 1024 * 1024];
    let answer = server.post("/echo", &[], &ten_megabytes).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "payload-too-large"));

    // Declared but never sent: the answer does not wait for it.
    let answer = server.send("POST /echo", &["content-length: 99999999"], b"{").await;
    assert_eq!(answer.status, 413);

    let mut chunked = b"500000\r\n".to_vec();
    chunked.extend(vec![b' '; 0x500000]);
    chunked.extend(b"\r\n0\r\n\r\n");
    let answer = server.send("POST /echo", &["transfer-encoding: chunked"], &chunked).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_malformed() {
    let server = start(Setup::default()).await;
    let mut stream = server.connect().await;
    write_request(&mut stream, "POST /echo", &["content-length: 10"], b"{\"a\"").await;
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.is_empty() || rest.contains("malformed-body"), "{rest}");
}

#[tokio::test]
async fn preflights_are_answered_for_configured_origins() {
    let cors = Cors::parse(&["https://app.example"]).unwrap();
    let server = start(Setup { cors, keys_required: true, ..Setup::default() }).await;
    let headers = ["origin: https://app.example", "access-control-request-method: POST"];
    let answer = server.send("OPTIONS /echo", &headers, b"").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://app.example"))
    );
    let headers = ["origin: https://evil.example", "access-control-request-method: POST"];
    assert_eq!(server.send("OPTIONS /echo", &headers, b"").await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn connections_are_kept_and_pipelined() {
    let server = start(Setup::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        write_request(&mut stream, "GET /health", &[], b"").await;
        assert_eq!(read_answer(&mut stream).await.body, "ok");
    }
}

#[tokio::test]
async fn stopping_lets_requests_end_and_takes_no_new_ones() {
    let server = start(Setup::default()).await;
    let mut idle = server.connect().await;
    write_request(&mut idle, "GET /health", &[], b"").await;
    read_answer(&mut idle).await;
    let mut busy = server.connect().await;
    write_request(&mut busy, "GET /held", &[], b"").await;
    server.held.acquire().await.unwrap().forget();

    server.stop.cancel();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "an idle connection is closed");
    server.release.add_permits(1);
    assert_eq!(read_answer(&mut busy).await.body, "held");
    assert_eq!(server.serving.await.unwrap(), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn requests_that_do_not_end_in_time_are_cut_off() {
    let settings = ServerSettings { drain_timeout: Duration::from_millis(20), ..ServerSettings::default() };
    let server = start(Setup { settings, ..Setup::default() }).await;
    let mut busy = server.connect().await;
    write_request(&mut busy, "GET /held", &[], b"").await;
    server.held.acquire().await.unwrap().forget();
    server.stop.cancel();
    assert_eq!(server.serving.await.unwrap(), 1);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let settings = ServerSettings { connections_max: 1, ..ServerSettings::default() };
    let server = start(Setup { settings, ..Setup::default() }).await;
    let mut first = server.connect().await;
    write_request(&mut first, "GET /health", &[], b"").await;
    read_answer(&mut first).await;
    let answer = read_answer(&mut server.connect().await).await;
    assert_eq!(
        (answer.status, answer.code().as_str(), answer.header("retry-after")),
        (503, "unavailable", Some("1"))
    );
}

#[tokio::test]
async fn a_head_that_is_slow_or_too_large_is_let_go() {
    let settings = ServerSettings { head_timeout: Duration::from_millis(50), ..ServerSettings::default() };
    let server = start(Setup { settings, ..Setup::default() }).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: loc").await.unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));

    let settings = ServerSettings { head_bytes_max: 8 * 1024, ..ServerSettings::default() };
    let server = start(Setup { settings, ..Setup::default() }).await;
    let answer = server.get("/health", &[&format!("x-large: {}", "x".repeat(10_000))]).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let server = start(Setup::default()).await;
    server.get("/fail/first", &[]).await;
    server.get("/fail/second", &[]).await;
    server.get("/no/such/address", &[]).await;
    let text = install().unwrap().render();
    assert!(
        text.contains(r#"posthaste_http_requests_total{route="/fail/{code}",method="GET",status="503"}"#),
        "{text}"
    );
    assert!(text.contains(r#"route="unmatched""#) && !text.contains("/no/such/address"), "{text}");
}
