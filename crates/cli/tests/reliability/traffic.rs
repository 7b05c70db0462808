//! Events handed in over HTTP by several senders at a time, and what is known of their acceptance.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::site::Node;

const SENDERS: usize = 4;

/// What was accepted (answered with 202), by its key; shared with the senders.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Default)]
struct Entries {
    accepted: BTreeSet<String>,
    refused: usize,
    asked: usize,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> usize {
        let mut entries = self.lock();
        entries.asked += 1;
        entries.asked
    }

    fn note(&self, key: String, is_accepted: bool) {
        let mut entries = self.lock();
        if is_accepted {
            entries.accepted.insert(key);
        } else {
            entries.refused += 1;
        }
    }

    pub(crate) fn accepted(&self) -> BTreeSet<String> {
        self.lock().accepted.clone()
    }

    pub(crate) fn refused(&self) -> usize {
        self.lock().refused
    }
}

/// Senders that run until all is sent or they are dropped.
pub(crate) struct Traffic {
    senders: JoinSet<()>,
}

impl Traffic {
    /// Sends so many events in turn to these nodes, with a pause after each. A node that does not answer costs its
    /// event, which may have been accepted or not.
    pub(crate) fn start(ledger: &Ledger, nodes: &[&Node], count: usize, pause_ms: u64) -> Self {
        let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let (ledger, addresses) = (ledger.clone(), addresses.clone());
            senders.spawn(async move {
                for n in (sender..count).step_by(SENDERS) {
                    let number = ledger.next_number();
                    // Some are due later, and wait for the scheduler.
                    let due_ms = if number % 5 == 0 { 300 } else { 0 };
                    let key = format!("k-{number}");
                    let is_accepted = publish(&addresses[n % addresses.len()], &key, number, due_ms).await;
                    ledger.note(key, is_accepted);
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
            });
        }
        Self { senders }
    }

    /// Waits until all is sent.
    pub(crate) async fn sent(mut self) {
        while let Some(sender) = self.senders.join_next().await {
            sender.expect("no panic");
        }
    }
}

async fn publish(address: &str, key: &str, number: usize, due_ms: u64) -> bool {
    let body = format!(r#"{{"number": {number}}}"#);
    let due = match due_ms {
        0 => String::new(),
        _ => format!("&dueAt={}", jiff::Timestamp::now() + Duration::from_millis(due_ms)),
    };
    let request = format!(
        "POST /events?type=order{due} HTTP/1.1\r\nhost: {address}\r\nidempotency-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    // A node may hang as long as its database does; its sender has better things to do.
    match tokio::time::timeout(Duration::from_secs(5), exchange).await {
        Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 202") => true,
        Ok(Ok(answer)) => {
            // What is refused for good was asked for wrongly, by this test.
            assert!(!answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
            false
        }
        _ => false,
    }
}

/// Numbers from a seed (SplitMix64), which is printed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        let seed = std::env::var("POSTHASTE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
        eprintln!("seed {seed}; POSTHASTE_SEED sets another");
        Self(seed)
    }

    /// A number from `least` up to and without `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        least + (z ^ (z >> 31)) % (most - least)
    }
}
