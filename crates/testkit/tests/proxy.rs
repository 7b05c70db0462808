//! The proxy breaks connections in the way that it was told, open ones too.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use posthaste_testkit::proxy::{Fault, Proxy, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy in front of a server that sends back what it gets.
async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Proxy::start(Upstream::Tcp(address)).await
}

async fn ask(client: &mut TcpStream) -> std::io::Result<String> {
    client.write_all(b"hello").await?;
    let mut answer = [0; 5];
    client.read_exact(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.expect("the proxy listens")
}

async fn is_silent(client: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(100), ask(client)).await.is_err()
}

#[tokio::test]
async fn connections_pass_and_are_counted() {
    let proxy = echo().await;
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client).await.expect("an answer"), "hello");
    assert_eq!((proxy.accepted(), proxy.open()), (1, 1));
    client.shutdown().await.expect("a half close");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("the end, without a reset");
}

#[tokio::test]
async fn a_reset_takes_open_and_new_connections() {
    let proxy = echo().await;
    let mut client = connect(&proxy).await;
    ask(&mut client).await.expect("an answer");
    proxy.set(Fault::Reset);
    let error = ask(&mut client).await.expect_err("a reset");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    ask(&mut connect(&proxy).await).await.expect_err("new ones too");
    proxy.set(Fault::Pass);
    ask(&mut connect(&proxy).await).await.expect("healed");
}

#[tokio::test]
async fn refused_connections_end_and_open_ones_stay() {
    let proxy = echo().await;
    let mut client = connect(&proxy).await;
    ask(&mut client).await.expect("an answer");
    proxy.set(Fault::Refuse);
    ask(&mut connect(&proxy).await).await.expect_err("refused");
    assert_eq!(ask(&mut client).await.expect("still open"), "hello");
}

#[tokio::test]
async fn a_black_hole_is_silent() {
    let proxy = echo().await;
    let mut client = connect(&proxy).await;
    ask(&mut client).await.expect("an answer");
    proxy.set(Fault::BlackHole);
    assert!(is_silent(&mut client).await);
    assert!(is_silent(&mut connect(&proxy).await).await);
}

#[tokio::test]
async fn a_delay_is_waited_in_both_directions() {
    let proxy = echo().await;
    proxy.set(Fault::Delay { delay_ms: 30 });
    let begin = Instant::now();
    ask(&mut connect(&proxy).await).await.expect("an answer");
    assert!(begin.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_connection_drops_after_so_many_bytes() {
    let proxy = echo().await;
    proxy.set(Fault::DropAfter { bytes: 7 });
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client).await.expect("five bytes"), "hello");
    ask(&mut client).await.expect_err("cut after two more");
}
