//! A small installation that can be hurt: a durable database behind a proxy, nodes as processes, one receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use posthaste_pg::Pool;
use posthaste_testkit::db::DurableServer;
use posthaste_testkit::proxy::{Proxy, Upstream};
use posthaste_testkit::receiver::Receiver;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::traffic::Ledger;

/// Longer than anything takes; only a test that fails waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(100);
/// Far below what may be declared, so that a test need not wait for leases of the dead.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// Events of `order` go to `/shop`; their ends are told to `/ends`.
const DECLARED: &str = r#"
    [types.order]
    priority = "NORMAL"
    [endpoints.shop]
    url = "{receiver}/shop"
    timeout_ms = 30000
    in_flight_max = 20
    [endpoints.shop.breaker]
    open_ms = 500
    [subscriptions.orders]
    topic = "order"
    endpoint = "shop"
    [endpoints.ends]
    url = "{receiver}/ends"
    in_flight_max = 50
    [subscriptions.completed]
    topic = "EventCompleted"
    endpoint = "ends"
    [subscriptions.failed]
    topic = "EventFailed"
    endpoint = "ends"
"#;

const ENVIRONMENT: [(&str, &str); 7] = [
    ("POSTHASTE_SERVER__LISTEN", "127.0.0.1:0"),
    ("POSTHASTE_SERVER__LOG_FILTER", "warn"),
    ("POSTHASTE_SERVER__SHUTDOWN_SECONDS", "10"),
    ("POSTHASTE_SERVER__SEAL_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
    ("POSTHASTE_DATABASE__POOL_SIZE", "8"),
    ("POSTHASTE_DATABASE__STATEMENT_SECONDS", "3"),
    ("POSTHASTE_DELIVERY__ALLOW_PRIVATE_ADDRESSES", "true"),
];

/// What queues may not be declared as: short leases, many receives, quick retries. Nodes without a file leave it.
const HURRY: &str = "update posthaste.queue
    set visibility_seconds = 3, max_receives = 20, backoff_base_ms = 50, backoff_cap_ms = 500
    where name in ('critical', 'high', 'normal', 'low')";

pub(crate) struct Site {
    pub(crate) server: DurableServer,
    pub(crate) proxy: Proxy,
    pub(crate) receiver: Receiver,
    pub(crate) ledger: Ledger,
    folder: PathBuf,
    count: u32,
}

/// A process that runs `posthaste serve`; killed when it is dropped.
pub(crate) struct Node {
    pub(crate) address: String,
    child: Child,
}

impl Site {
    /// With a node that has made the schema, and leases that are over soon.
    pub(crate) async fn open() -> (Self, Node) {
        Self::open_with("").await
    }

    /// With more in the configuration.
    pub(crate) async fn open_with(more: &str) -> (Self, Node) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("posthaste-site-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        eprintln!("the folder is {}", folder.display());
        let (server, receiver) =
            (DurableServer::start().await, Receiver::start_recording(100_000).await.unwrap());
        let proxy = Proxy::start(Upstream::of_server(&server.target)).await;
        let declared = format!("{DECLARED}{more}").replace("{receiver}", &receiver.url(""));
        let file = folder.join("declared.toml");
        std::fs::write(&file, declared).expect("a configuration");
        let mut site = Self { server, proxy, receiver, ledger: Ledger::default(), folder, count: 0 };
        // The first node makes the schema and what is declared, and ends: the others have no file to go by.
        site.start(&["--config", &file.to_string_lossy()]).await.end().await;
        let pool = site.pool().await;
        pool.get().await.unwrap().batch_execute(HURRY).await.expect("the queues are there");
        let node = site.start_node().await;
        (site, node)
    }

    /// Connections that go past the proxy.
    pub(crate) async fn pool(&self) -> Pool {
        self.server.pool(2).await
    }

    /// Starts a node and waits until it answers HTTP.
    pub(crate) async fn start_node(&mut self) -> Node {
        self.start(&[]).await
    }

    async fn start(&mut self, arguments: &[&str]) -> Node {
        self.count += 1;
        let port_file = self.folder.join(format!("port-{}", self.count));
        let target = &self.server.target;
        let url = format!(
            "postgres://{}@{}/{}?sslmode=disable",
            target.user(),
            self.proxy.address(),
            target.database()
        );
        // On failure the folder stays, with what the nodes said.
        let log = std::fs::File::create(self.folder.join(format!("node-{}.log", self.count))).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_posthaste"))
            .args(["serve", "--database-url", &url, "--port-file"])
            .arg(&port_file)
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary to start");
        let written = async {
            loop {
                if let Ok(address) = std::fs::read_to_string(&port_file) {
                    return address.trim().to_owned();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let address = tokio::time::timeout(LONG, written).await.expect("the node to listen");
        Node { address, child }
    }

    /// Waits until everything that was accepted has ended, and checks how.
    ///
    /// Two calls for one message may be open at a time only when the lease of the first has run out.
    pub(crate) async fn check_all_ended(self) {
        let pool = self.pool().await;
        let session = pool.get().await.expect("the database is there at the end");
        let count = async |statement: &str| -> i64 {
            session.query_one(statement, &[]).await.expect("a count").get(0)
        };
        let left = async || {
            let waiting = count("select count(*) from posthaste.waiting").await;
            let deferred = count("select count(*) from posthaste.deferred").await;
            let mut held = 0;
            for row in session.query("select id from posthaste.queue", &[]).await.unwrap() {
                let queue: i32 = row.get(0);
                held += count(&format!(
                    "select (select count(*) from posthaste.lease_{queue}_0 where not closed)
                        + (select count(*) from posthaste.lease_{queue}_1 where not closed)
                        + case when not posthaste.queue_has_messages({queue}) then 0
                            when exists (select from posthaste.dead_letter where queue_id = {queue}) then 0
                            else 1 end"
                ))
                .await;
            }
            // A queue with dead letters says nothing about its log, so that is counted by what became of it.
            let unfinished = count(
                "select count(*) from posthaste.event
                where type = 'order' and finished_at is null and cancelled_at is null",
            )
            .await;
            (waiting, deferred, held, unfinished)
        };
        let nothing_left = async {
            while left().await != (0, 0, 0, 0) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(LONG, nothing_left).await.is_err() {
            panic!("stuck: (waiting, deferred, held, unfinished) are {:?}", left().await);
        }
        let dead: BTreeSet<String> = session
            .query(
                "select e.key from posthaste.dead_letter d join posthaste.event e on e.id = d.event_id",
                &[],
            )
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let requests = self.receiver.requests();
        let delivered: BTreeSet<_> = requests
            .iter()
            .filter(|request| request.status.is_some_and(|status| status < 300))
            .filter_map(|request| request.header("idempotency-key"))
            .collect();
        let accepted = self.ledger.accepted();
        let is_nowhere = |key: &&String| !delivered.contains(key.as_str()) && !dead.contains(*key);
        let nowhere: Vec<_> = accepted.iter().filter(is_nowhere).collect();
        assert!(nowhere.is_empty(), "neither delivered nor dead: {nowhere:?} of {}", accepted.len());
        for request in &requests {
            let Some(overlap) = request.overlap else { continue };
            // The lease began before the call did.
            assert!(
                overlap >= LEASE - Duration::from_millis(900),
                "message {:?} was called again {overlap:?} after an open call",
                request.header("webhook-id")
            );
        }
        let twice = "select count(*) from (
            select message_id, receive from posthaste.attempt group by message_id, receive having count(*) > 1) t";
        assert_eq!(count(twice).await, 0, "attempts are recorded once");
        let told_twice = "select count(*) from (
            select convert_from(payload, 'UTF8')::jsonb->>'eventId' from posthaste.event
            where type in ('EventCompleted', 'EventFailed') group by 1 having count(*) > 1) t";
        assert_eq!(count(told_twice).await, 0, "an event ends once");
        self.say(&accepted, &dead, &requests);
        drop(session);
        pool.close();
        let _ = std::fs::remove_dir_all(&self.folder);
        self.server.remove().await;
    }

    fn say(
        &self,
        accepted: &BTreeSet<String>,
        dead: &BTreeSet<String>,
        requests: &[posthaste_testkit::receiver::Received],
    ) {
        let mut by_path: BTreeMap<&str, usize> = BTreeMap::new();
        for request in requests {
            *by_path.entry(&request.path).or_default() += 1;
        }
        let refused = self.ledger.refused();
        eprintln!("{} accepted, {refused} not; {} dead; calls: {by_path:?}", accepted.len(), dead.len());
    }
}

impl Node {
    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id as i32)).expect("a node that runs");
        kill_process(pid, signal).expect("to signal the node");
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("to kill the node");
    }

    /// Stops the process in its tracks, as a frozen machine is.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Tells it to stop, and waits until it has, cleanly.
    pub(crate) async fn end(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(LONG, self.child.wait()).await.expect("the node to end");
        assert!(ended.expect("a status").success(), "the node ended with an error");
    }
}
