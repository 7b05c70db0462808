//! A TCP proxy that breaks connections on demand: in front of a database or an endpoint.
//!
//! Not for: what is in the bytes. It cuts, holds and delays; it does not read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Where the proxy sends what it gets.
#[derive(Clone, Debug)]
pub enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Upstream {
    /// The Unix socket of a database target.
    pub fn of_server(target: &posthaste_pg::Target) -> Self {
        let (folder, port) = target.socket().expect("a target behind a Unix socket");
        Self::Unix(folder.join(format!(".s.PGSQL.{port}")))
    }
}

/// What happens to connections. A change takes hold of open ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing; bytes go through.
    Pass,
    /// New connections are closed at once, open ones stay as they are.
    Refuse,
    /// Connections are taken and bytes read, and nothing ever comes back.
    BlackHole,
    /// Every connection is reset, and every new one.
    Reset,
    /// Each piece waits so long before it goes on, in both directions.
    Delay { delay_ms: u64 },
    /// A connection is reset when so many bytes have come back through it since this was set or it was opened.
    DropAfter { bytes: u64 },
}

/// Listens on a loopback port until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    accepted: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (fault, faults) = watch::channel(Fault::Pass);
        let accepted = Arc::new(AtomicU64::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, upstream, faults, accepted.clone(), open.clone()));
        Self { address, fault, accepted, open, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many connections were made to it so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Upstream,
    faults: watch::Receiver<Fault>,
    accepted: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
) {
    // Dropping the set with this task ends all connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let Ok((client, _)) = connection else { continue };
                accepted.fetch_add(1, Ordering::SeqCst);
                let count = Count::one_more(&open);
                let (upstream, faults) = (upstream.clone(), faults.clone());
                connections.spawn(async move {
                    serve(client, upstream, faults).await;
                    drop(count);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection as open for as long as it lives, however its task ends.
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one_more(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(open.clone())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(mut client: TcpStream, upstream: Upstream, faults: watch::Receiver<Fault>) {
    let fault = faults.borrow().clone();
    match fault {
        Fault::Refuse => return,
        Fault::Reset => return reset(&client),
        _ => {}
    }
    let (from_client, to_client) = client.split();
    let is_cut = match upstream {
        Upstream::Tcp(address) => match TcpStream::connect(address).await {
            Ok(mut server) => {
                let (from_server, to_server) = server.split();
                relay((from_client, to_client), (from_server, to_server), faults).await
            }
            Err(_) => true,
        },
        Upstream::Unix(path) => match UnixStream::connect(path).await {
            Ok(mut server) => {
                let (from_server, to_server) = server.split();
                relay((from_client, to_client), (from_server, to_server), faults).await
            }
            Err(_) => true,
        },
    };
    if is_cut {
        reset(&client);
    }
}

/// Closing with a linger of zero sends RST instead of FIN.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}

/// Both directions at once; a side that closes for writing only leaves the other direction open.
/// `true` when the client shall see a reset.
async fn relay<A, B, C, D>(client: (A, B), server: (C, D), faults: watch::Receiver<Fault>) -> bool
where
    A: AsyncRead + Unpin,
    B: AsyncWrite + Unpin,
    C: AsyncRead + Unpin,
    D: AsyncWrite + Unpin,
{
    let upward = pump(client.0, server.1, faults.clone(), false);
    let downward = pump(server.0, client.1, faults, true);
    tokio::pin!(upward, downward);
    tokio::select! {
        cut = &mut upward => cut || downward.await,
        cut = &mut downward => cut || upward.await,
    }
}

/// Copies until the source ends (`false`) or the fault cuts (`true`).
async fn pump(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    mut faults: watch::Receiver<Fault>,
    is_downward: bool,
) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed_bytes = 0_u64;
    loop {
        let fault = faults.borrow_and_update().clone();
        let read = tokio::select! {
            // What was set before the bytes came must hold for them, also when both are seen at once.
            biased;
            changed = faults.changed() => {
                if changed.is_err() {
                    return true;
                }
                passed_bytes = 0;
                if *faults.borrow() == Fault::Reset {
                    return true;
                }
                continue;
            }
            read = source.read(&mut buffer) => read,
        };
        let length = match read {
            Ok(0) => {
                let _ = sink.shutdown().await;
                return false;
            }
            Ok(length) => length,
            Err(_) => return true,
        };
        let mut piece = &buffer[..length];
        let mut is_last = false;
        match fault {
            Fault::Pass | Fault::Refuse => {}
            Fault::BlackHole => continue,
            Fault::Reset => return true,
            Fault::Delay { delay_ms } => tokio::time::sleep(Duration::from_millis(delay_ms)).await,
            Fault::DropAfter { bytes } if is_downward => {
                let left = usize::try_from(bytes.saturating_sub(passed_bytes)).unwrap_or(usize::MAX);
                is_last = left <= length;
                piece = &buffer[..left.min(length)];
            }
            Fault::DropAfter { .. } => {}
        }
        passed_bytes += piece.len() as u64;
        if sink.write_all(piece).await.is_err() || is_last {
            return true;
        }
    }
}
