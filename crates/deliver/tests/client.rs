//! The client against real sockets: what each way of failing becomes, and which connections are used again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use posthaste_base::Secret;
use posthaste_deliver::webhook::{self, Attempt};
use posthaste_deliver::{
    AddressPolicy, Answer, Client, ClientOptions, Endpoint, Request, SigningKey, TransportKind,
    generate_secret,
};
use posthaste_testkit::receiver::{Behaviour, Receiver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

fn options() -> ClientOptions {
    ClientOptions { policy: AddressPolicy::parse(&["127.0.0.0/8"]).unwrap(), ..ClientOptions::default() }
}

fn client() -> Client {
    Client::new(options()).unwrap()
}

async fn post(client: &Client, url: &str, timeout: Duration) -> Answer {
    let endpoint = Endpoint::parse(url).unwrap();
    let body = Bytes::from_static(b"{\"n\":1}");
    let answer = client.post(Request { endpoint: &endpoint, body, headers: HeaderMap::new(), timeout }).await;
    assert_eq!(answer.status.is_none(), answer.transport_error.is_some(), "{answer:?}");
    answer
}

/// Checks the kind of a failure and whether the request may have arrived; gives back the message.
fn failed(answer: Answer, kind: TransportKind, may_have_arrived: bool) -> String {
    let error = answer.transport_error.unwrap_or_else(|| panic!("status {:?}", answer.status));
    assert_eq!((error.kind, error.may_have_arrived), (kind, may_have_arrived), "{error:?}");
    error.message
}

#[tokio::test]
async fn signed_call_arrives_whole_and_its_answer_is_read() {
    let receiver = Receiver::start().await.unwrap();
    let answer = Behaviour::answer(429).header("retry-after", "7").body("not now");
    receiver.behave("/hook", answer);
    let secret = generate_secret().unwrap();
    receiver.check_signatures(&[secret.expose()]);
    let keys = [
        SigningKey::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap(),
        SigningKey::parse(&secret).unwrap(),
    ];
    let body = Bytes::from_static(b"{\"total\": 12.50}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let headers = webhook::headers(&Attempt {
        webhook_id: "msg-1",
        timestamp_seconds: now,
        body: &body,
        content_type: None,
        keys: &keys,
        idempotency_key: "order-7",
        event_type: "order.paid",
        traceparent: None,
        correlation_id: None,
        receive_count: 1,
        event: None,
    });
    let endpoint = Endpoint::parse(&receiver.url("/hook?tenant=a")).unwrap();
    let answer =
        client().post(Request { endpoint: &endpoint, body: body.clone(), headers, timeout: LONG }).await;

    assert_eq!(answer.status, Some(429));
    assert!(!answer.is_success());
    assert_eq!(answer.retry_after.as_deref(), Some("7"));
    assert_eq!(answer.head, "not now");
    let [request] = receiver.requests().try_into().unwrap();
    assert_eq!(
        (request.path.as_str(), &request.body, request.is_signature_valid),
        ("/hook", &body, Some(true))
    );
    for (name, value) in [
        ("host", receiver.address().to_string().as_str()),
        ("content-length", "16"),
        ("content-type", "application/json"),
        ("idempotency-key", "order-7"),
        ("posthaste-attempt", "1"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn wrong_secret_is_seen_by_the_receiver() {
    let receiver = Receiver::start().await.unwrap();
    receiver.check_signatures(&[generate_secret().unwrap().expose()]);
    assert!(post(&client(), &receiver.url("/"), LONG).await.is_success());
    assert_eq!(receiver.counts().bad_signatures, 1);
}

#[tokio::test]
async fn connection_is_used_again() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave_elsewhere(Behaviour::answer(200).body("x".repeat(60 * 1024)));
    let client = client();
    for _ in 0..20 {
        assert_eq!(post(&client, &receiver.url("/"), LONG).await.head.len(), 1_024);
    }
    assert_eq!((receiver.counts().requests, receiver.counts().connections), (20, 1));
}

#[tokio::test]
async fn huge_and_endless_bodies_are_cut_off_and_the_status_counts() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/huge", Behaviour::huge_body(1 << 40));
    receiver.behave("/endless", Behaviour::slow_body(0));
    let client = client();
    for path in ["/huge", "/endless", "/huge"] {
        let answer = post(&client, &receiver.url(path), LONG).await;
        assert_eq!((answer.status, answer.head.len()), (Some(200), 1_024), "{path}");
    }
    // Such a connection is not used again.
    assert_eq!(receiver.counts().connections, 3);
}

#[tokio::test]
async fn slow_body_is_not_waited_for() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave_elsewhere(Behaviour::slow_body(20));
    let client =
        Client::new(ClientOptions { body_timeout: Duration::from_millis(100), ..options() }).unwrap();
    let answer = post(&client, &receiver.url("/"), LONG).await;
    assert_eq!(answer.status, Some(200));
    assert!(answer.latency_ms < 5_000, "{} ms", answer.latency_ms);
    // The time limit of the attempt holds for the body as well.
    let slow = Client::new(ClientOptions { body_timeout: LONG, ..options() }).unwrap();
    let answer = post(&slow, &receiver.url("/"), SOON).await;
    assert_eq!(answer.status, Some(200));
    assert!(answer.latency_ms < 5_000, "{} ms", answer.latency_ms);
}

#[tokio::test]
async fn hanging_receiver_is_a_timeout_after_the_request() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/hang", Behaviour::hang());
    receiver.behave("/late", Behaviour::answer(200).delay_ms(60_000));
    for path in ["/hang", "/late"] {
        let answer = post(&client(), &receiver.url(path), SOON).await;
        assert!((300..5_000).contains(&answer.latency_ms), "{} ms", answer.latency_ms);
        let message = failed(answer, TransportKind::Timeout, true);
        assert_eq!(message, "no answer within 300 ms");
    }
    assert_eq!(receiver.counts().requests, 2);
}

/// A receiver this near answers within the grain of the timer, in most of so many calls.
#[tokio::test]
async fn whoever_has_no_time_left_calls_nobody() {
    let (receiver, client) = (Receiver::start().await.unwrap(), client());
    post(&client, &receiver.url("/first"), LONG).await;
    for _ in 0..100 {
        let answer = post(&client, &receiver.url("/more"), Duration::ZERO).await;
        failed(answer, TransportKind::Timeout, false);
    }
    assert_eq!(receiver.counts().requests, 1);
}

#[tokio::test]
async fn broken_connections_are_resets() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/reset", Behaviour::reset());
    receiver.behave("/close", Behaviour::raw(""));
    receiver.behave("/half-head", Behaviour::raw("HTTP/1.1 200 OK\r\ncontent-le"));
    for path in ["/reset", "/close", "/half-head"] {
        failed(post(&client(), &receiver.url(path), LONG).await, TransportKind::Reset, true);
    }
    // Each was sent once: nothing is tried again once it may have arrived.
    assert_eq!(receiver.counts().requests, 3);
}

#[tokio::test]
async fn cut_body_does_not_change_the_status() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave_elsewhere(Behaviour::cut_body());
    let answer = post(&client(), &receiver.url("/"), LONG).await;
    assert_eq!((answer.status, answer.head), (Some(200), Bytes::from_static(b"half")));
}

#[tokio::test]
async fn what_is_not_http_is_a_malformed_answer() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/text", Behaviour::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
    receiver.behave("/status", Behaviour::raw("HTTP/1.1 abc OK\r\n\r\n"));
    receiver
        .behave("/head", Behaviour::raw(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20))));
    for path in ["/text", "/status", "/head"] {
        failed(post(&client(), &receiver.url(path), LONG).await, TransportKind::MalformedAnswer, true);
    }
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/from", Behaviour::redirect(&receiver.url("/to")));
    assert_eq!(post(&client(), &receiver.url("/from"), LONG).await.status, Some(307));
    assert_eq!(receiver.counts().requests, 1);
}

#[tokio::test]
async fn nobody_there_is_connect_refused() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    failed(post(&client(), &format!("http://{free}/"), LONG).await, TransportKind::ConnectRefused, false);
}

#[tokio::test]
async fn unknown_name_is_dns() {
    let message = failed(post(&client(), "http://nowhere.invalid/", LONG).await, TransportKind::Dns, false);
    assert!(message.contains("nowhere.invalid"), "{message}");
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let receiver = Receiver::start().await.unwrap();
    let port = receiver.address().port();
    let strict = Client::new(ClientOptions::default()).unwrap();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST", "10.0.0.1", "169.254.169.254"] {
        let answer = post(&strict, &format!("http://{host}:{port}/"), LONG).await;
        failed(answer, TransportKind::AddressRefused, false);
    }
    assert_eq!(receiver.counts().connections, 0);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let answer = post(&client(), &format!("http://{host}:{port}/"), LONG).await;
        assert!(answer.is_success(), "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn a_name_is_called_only_at_its_allowed_addresses() {
    let receiver = Receiver::start().await.unwrap();
    let port = receiver.address().port();
    let public_looking =
        |addresses: &[[u8; 4]]| addresses.iter().map(|a| IpAddr::V4(Ipv4Addr::from(*a))).collect();
    let names = [
        ("inner.example".to_string(), public_looking(&[[10, 0, 0, 1], [192, 168, 0, 1]])),
        ("mixed.example".to_string(), public_looking(&[[10, 0, 0, 1], [127, 0, 0, 1]])),
        ("empty.example".to_string(), Vec::new()),
    ];
    let client = Client::new(ClientOptions { names: names.into(), ..options() }).unwrap();
    let call = async |host: &str| post(&client, &format!("http://{host}:{port}/"), LONG).await;
    failed(call("inner.example").await, TransportKind::AddressRefused, false);
    failed(call("empty.example").await, TransportKind::Dns, false);
    let answer = call("mixed.example").await;
    assert!(answer.is_success(), "{answer:?}");
    assert_eq!(receiver.requests()[0].header("host"), Some(format!("mixed.example:{port}").as_str()));
}

#[tokio::test]
async fn connection_that_was_closed_while_idle_fails_no_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // Answers one request on each connection, as if it would keep it, and closes it.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { answer_once(stream).await });
        }
    });
    let client = client();
    for _ in 0..50 {
        let answer = post(&client, &url, LONG).await;
        assert!(answer.is_success(), "{answer:?}");
        // The close is in this host's queue already; it is seen once the reactor has had its turn.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn answer_whose_body_decides_is_read_for_as_long_as_the_call_may_take() {
    let client = Client::new(ClientOptions { body_timeout: Duration::from_millis(20), ..options() }).unwrap();
    let check = async |client: &Client, timeout: Duration, expected: (&'static [u8], bool)| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            let _ = stream.write_all(b"late").await;
        });
        let answer = post(client, &url, timeout).await;
        assert_eq!((answer.status, &answer.head[..], answer.is_whole), (Some(200), expected.0, expected.1));
    };
    check(&client, LONG, (b"", false)).await;
    check(&client.keeping(100), LONG, (b"late", true)).await;
    check(&client.keeping(100), SOON, (b"", false)).await;
}

async fn answer_once(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    if read_request(&mut stream).await {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let _ = stream.shutdown().await;
    }
}

/// Whether it came whole.
async fn read_request(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut request = Vec::new();
    while !request.ends_with(b"{\"n\":1}") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn silent_listener_is_a_connect_timeout_with_tls_and_a_timeout_without() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::new(ClientOptions { connect_timeout: SOON, ..options() }).unwrap();
    let answer = post(&client, &format!("https://{address}/"), LONG).await;
    failed(answer, TransportKind::ConnectTimeout, false);
    // While TLS shakes hands, nothing of the request has been sent, whichever limit ends it.
    let patient = Client::new(ClientOptions { connect_timeout: LONG, ..options() }).unwrap();
    failed(post(&patient, &format!("https://{address}/"), SOON).await, TransportKind::Timeout, false);
    failed(post(&client, &format!("http://{address}/"), SOON).await, TransportKind::Timeout, true);
}

#[tokio::test]
async fn self_signed_certificate_is_refused_unless_it_is_a_root() {
    let certified = rcgen::generate_simple_self_signed(vec!["secure.example".to_string()]).unwrap();
    let root = certified.cert.der().clone();
    let address = serve_tls(certified).await;
    let url = format!("https://secure.example:{}/", address.port());
    let names: std::collections::BTreeMap<_, _> = [
        ("secure.example".to_string(), vec![address.ip()]),
        ("other.example".to_string(), vec![address.ip()]),
    ]
    .into();

    let strict = Client::new(ClientOptions { names: names.clone(), ..options() }).unwrap();
    let message = failed(post(&strict, &url, LONG).await, TransportKind::Tls, false);
    assert!(message.contains("UnknownIssuer"), "{message}");

    let trusting = Client::new(ClientOptions { names, extra_roots: vec![root], ..options() }).unwrap();
    let answer = post(&trusting, &url, LONG).await;
    assert!(answer.is_success(), "{answer:?}");
    let other = format!("https://other.example:{}/", address.port());
    let message = failed(post(&trusting, &other, LONG).await, TransportKind::Tls, false);
    assert!(message.contains("other.example"), "{message}");
}

#[tokio::test]
async fn plain_listener_behind_https_is_a_tls_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    failed(post(&client(), &format!("https://{address}/"), LONG).await, TransportKind::Tls, false);
}

async fn serve_tls(certified: rcgen::CertifiedKey<rcgen::KeyPair>) -> SocketAddr {
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer_once(stream).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn one_hanging_endpoint_holds_up_no_other() {
    let receiver = Receiver::start().await.unwrap();
    receiver.behave("/hang", Behaviour::hang());
    let client = client();
    let hang = receiver.url("/hang");
    let stuck: Vec<_> = (0..50)
        .map(|_| {
            let (client, hang) = (client.clone(), hang.clone());
            tokio::spawn(async move { post(&client, &hang, LONG).await })
        })
        .collect();
    receiver.wait_for(50, LONG).await.unwrap();
    assert!(post(&client, &receiver.url("/"), LONG).await.is_success());
    stuck.iter().for_each(|task| task.abort());
}
