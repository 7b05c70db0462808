//! Databases for tests: one throw-away cluster for all test processes, one new database for each test.
//!
//! Not for: tests about durability. The cluster here forgets everything in a crash; see [`DurableServer`].
//!
//! The first test process starts the cluster, in memory where `/dev/shm` has room; later ones adopt it.
//! Databases are copied from templates and never dropped by tests, because a drop costs more than a copy.
//! `cargo xtask test` calls [`stop_cluster`] at the end. Without it the cluster stays for the next run, which
//! is quicker; the databases of processes that have ended are dropped when there are too many.

use std::fmt::Debug;
use std::future::Future;
use std::ops::AsyncFnOnce;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use posthaste_pg::local::{Cluster, LocalOptions, Postmaster, Programs, Shutdown};
use posthaste_pg::{Connection, Pool, PoolOptions, Target};
use tokio::sync::OnceCell;

/// A database of one test's own.
pub struct TestDb {
    /// With the password, if there is one, for processes that the test starts.
    pub url: String,
    pub target: Target,
    pub pool: Pool,
}

impl TestDb {
    /// A new, empty database.
    pub async fn empty() -> Self {
        Self::empty_on(&default_version()).await
    }

    /// The same, on a server of that version.
    pub async fn empty_on(version: &Version) -> Self {
        let server = cluster(version).await;
        Self::copy(&server, version, "template0").await
    }

    /// A copy of a template, which is made once by `migrate` and kept under `name` and `hash`: of whatever the
    /// template depends on, such as the text of all migrations.
    pub async fn with_template<F, Fut, E>(name: &str, hash: &str, migrate: F) -> Self
    where
        F: FnOnce(Pool) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Debug,
    {
        Self::with_template_on(&default_version(), name, hash, migrate).await
    }

    pub async fn with_template_on<F, Fut, E>(version: &Version, name: &str, hash: &str, migrate: F) -> Self
    where
        F: FnOnce(Pool) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Debug,
    {
        let server = cluster(version).await;
        let template = format!("template_{name}_{hash}");
        let template = template.get(..60).unwrap_or(&template).to_owned();
        locked(version, "template.lock", async || {
            if !exists(&server, &template).await {
                build_template(&server, version, name, &template, migrate).await;
            }
        })
        .await;
        Self::copy(&server, version, &template).await
    }

    /// A database with Posthaste's own schema, and sessions as Posthaste has them.
    pub async fn posthaste() -> Self {
        Self::posthaste_on(&default_version()).await
    }

    pub async fn posthaste_on(version: &Version) -> Self {
        let fingerprint = posthaste_store::schema::fingerprint();
        let mut db = Self::with_template_on(version, "posthaste", &fingerprint, async |pool| {
            posthaste_store::schema::upgrade(&pool).await.map(|_| ())
        })
        .await;
        db.target = db.target.with_settings(posthaste_store::SESSION_SETTINGS);
        db.pool = db.pool_with(PoolOptions::of_size(10));
        db
    }

    /// Sets the database's clock (`posthaste.now()`) ahead of the real time, for sessions made from now on: the pool
    /// is a new one.
    pub async fn set_clock_ahead(&mut self, seconds: i64) {
        let database = self.target.database();
        let statement = format!("alter database {database} set posthaste.clock_offset = '{seconds} seconds'");
        let session = self.pool.get().await.expect("a connection");
        session.batch_execute(&statement).await.expect("a setting");
        drop(session);
        self.pool = self.pool_with(PoolOptions::of_size(10));
    }

    /// More connections at a time, or other timeouts, to the same database.
    pub fn pool_with(&self, options: PoolOptions) -> Pool {
        Pool::lazy(self.target.clone(), options).expect("a pool")
    }

    async fn copy(server: &Target, version: &Version, template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(server).await;
        // A process of the same number may have left one of the same name.
        run(&admin, &drop_statement(&name, version)).await;
        run(&admin, &create_statement(&name, template, version)).await;
        let target = server.clone().with_database(&name);
        let pool = Pool::lazy(target.clone(), PoolOptions::of_size(10)).expect("a pool");
        Self { url: target.exposed(), target, pool }
    }
}

/// A server version to test on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub bin: PathBuf,
}

/// Every server version that this machine has and Posthaste supports: `PG_BIN_14` to `PG_BIN_18` name folders with
/// the programs, and the one that is found without them is always there.
pub fn versions() -> Vec<Version> {
    versions_from(14)
}

/// The same, with older ones: reviews know servers on which Posthaste itself does not run.
pub fn versions_from(oldest: u32) -> Vec<Version> {
    let named =
        (oldest..=18).filter_map(|major| {
            let bin = PathBuf::from(std::env::var_os(format!("PG_BIN_{major}"))?);
            let found = Programs::at(&bin).filter(|programs| programs.major == major);
            Some(found.unwrap_or_else(|| {
                panic!("PG_BIN_{major} is `{}`, which is not that version", bin.display())
            }))
        });
    let mut versions: Vec<_> = named.map(|found| Version { major: found.major, bin: found.bin }).collect();
    let default = default_version();
    if versions.iter().all(|version| version.major != default.major) {
        versions.push(default);
    }
    versions.sort();
    versions
}

pub fn default_version() -> Version {
    let programs = Programs::find(None, None).unwrap_or_else(|error| panic!("failed to {error}"));
    Version { major: programs.major, bin: programs.bin }
}

/// Stops and removes the throw-away clusters of this target folder, if there are any.
pub async fn stop_cluster() {
    for version in versions_from(12) {
        let folder = cluster_folder(&version);
        if folder.exists() {
            let cluster = Cluster::open(throw_away(&folder, &version)).expect("the test cluster");
            cluster.remove().await.expect("to remove the test cluster");
        }
    }
}

/// A server of one test's own that keeps what it has said to keep: on disk, with fsync. It can be killed.
///
/// Call [`DurableServer::remove`] at the end; one that is dropped is killed, and its folder removed.
pub struct DurableServer {
    pub target: Target,
    cluster: Option<Cluster>,
    postmaster: Postmaster,
    folder: PathBuf,
}

impl DurableServer {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of the server over its usual ones.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(&default_version(), settings).await
    }

    /// The same, on a server of that version.
    pub async fn start_on(version: &Version, settings: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("posthaste-durable-{}-{count}", std::process::id()));
        let mut options = LocalOptions::in_folder(&folder);
        options.bin = Some(version.bin.clone());
        options.version = Some(version.major);
        options.settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let cluster = Cluster::open(options).expect("a folder for the server");
        let postmaster = cluster.start().await.expect("the server to start");
        let target = postmaster.target().clone();
        Self { target, cluster: Some(cluster), postmaster, folder }
    }

    pub async fn pool(&self, size: usize) -> Pool {
        Pool::connect(self.target.clone(), size).await.expect("to connect to the durable server")
    }

    /// `kill -9` of the postmaster.
    pub async fn kill(&mut self) {
        self.postmaster.stop(Shutdown::Kill).await.expect("to kill the server");
    }

    pub async fn stop(&mut self, how: Shutdown) {
        self.postmaster.stop(how).await.expect("to stop the server");
    }

    /// Starts the server again after [`DurableServer::kill`] or a stop; the address stays.
    pub async fn restart(&mut self) {
        let cluster = self.cluster.as_ref().expect("the server was not removed");
        self.postmaster = cluster.start().await.expect("the server to start again");
    }

    pub fn pid(&self) -> i32 {
        self.postmaster.pid()
    }

    pub async fn remove(mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.remove().await.expect("to remove the server");
        }
    }
}

impl Drop for DurableServer {
    fn drop(&mut self) {
        if self.cluster.is_none() {
            return;
        }
        let pid = rustix::process::Pid::from_raw(self.postmaster.pid());
        if let Some(pid) = pid.filter(|_| self.postmaster.is_alive()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while self.postmaster.is_alive() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where the shared cluster of this version is reached, started if need be; found once in a process.
async fn cluster(version: &Version) -> Target {
    static TARGETS: [OnceCell<Target>; 19] = [const { OnceCell::const_new() }; 19];
    let index = usize::try_from(version.major).expect("a small number").min(TARGETS.len() - 1);
    TARGETS[index].get_or_init(|| start_cluster(version)).await.clone()
}

async fn start_cluster(version: &Version) -> Target {
    let folder = cluster_folder(version);
    let cluster = Cluster::open(throw_away(&folder, version)).expect("a folder for the test cluster");
    let postmaster = cluster.start().await.expect("the test cluster to start");
    let target = postmaster.target().clone();
    if postmaster.is_adopted() {
        locked(version, "template.lock", async || drop_left_over(&target, version).await).await;
    }
    // The server outlives this process: the next one adopts it.
    target
}

fn throw_away(folder: &Path, version: &Version) -> LocalOptions {
    let settings = [
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("wal_compression", "off"),
        ("autovacuum", "off"),
        ("max_connections", "300"),
        ("shared_buffers", "128MB"),
        ("max_wal_size", "512MB"),
        ("logging_collector", "off"),
        ("log_checkpoints", "off"),
    ];
    let mut options = LocalOptions::in_folder(folder);
    options.bin = Some(version.bin.clone());
    options.version = Some(version.major);
    options.is_durable = false;
    options.settings = settings.map(|(name, value)| (name.into(), value.into())).to_vec();
    options
}

/// In memory where there is room. Each target folder and user has clusters of their own, so that checkouts do
/// not meet.
fn cluster_folder(version: &Version) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let uid = rustix::process::geteuid().as_raw();
    let name = format!("posthaste-test-{:016x}-{uid}-{}", hash(&target_folder()), version.major);
    let in_memory = memory.join(&name);
    // Once chosen it stays, or a full memory would hide the cluster that fills it.
    if in_memory.exists() || room > 2 << 30 { in_memory } else { std::env::temp_dir().join(name) }
}

/// The `target` folder that the running test was built in: the one above `debug/deps`.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let above = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    above.unwrap_or_else(|| Path::new("target")).to_owned()
}

/// FNV: stable between builds, which the standard hasher does not promise.
fn hash(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

async fn build_template<F, Fut, E>(server: &Target, version: &Version, name: &str, template: &str, migrate: F)
where
    F: FnOnce(Pool) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Debug,
{
    let admin = connect(server).await;
    let unfinished = format!("unfinished_{name}");
    let rows = admin
        .query(
            "select datname from pg_database where starts_with(datname, $1)",
            &[&format!("template_{name}_")],
        )
        .await
        .expect("the list of templates");
    let outdated = rows.iter().map(|row| row.get::<_, String>(0));
    for database in outdated.chain([unfinished.clone()]) {
        run(&admin, &format!("drop database if exists \"{database}\" with (force)")).await;
    }
    run(&admin, &create_statement(&unfinished, "template0", version)).await;
    let pool =
        Pool::lazy(server.clone().with_database(&unfinished), PoolOptions::of_size(4)).expect("a pool");
    migrate(pool.clone()).await.expect("the migrations of the template");
    pool.close();
    drop(pool);
    // A template cannot be copied while a session uses it, and ended ones take a moment to go.
    run(&admin, &format!("alter database \"{unfinished}\" with allow_connections false")).await;
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1";
    admin.execute(end, &[&unfinished]).await.expect("to end the template's sessions");
    run(&admin, &format!("alter database \"{unfinished}\" rename to \"{template}\"")).await;
}

/// Databases of processes that have ended go when there are many: memory is finite.
async fn drop_left_over(server: &Target, version: &Version) {
    let admin = connect(server).await;
    let rows = admin.query("select datname from pg_database where datname like 'test\\_%'", &[]).await;
    let names: Vec<String> = rows.expect("the list of databases").iter().map(|row| row.get(0)).collect();
    if names.len() < 150 {
        return;
    }
    for name in names {
        let pid =
            name.split('_').nth(1).and_then(|pid| pid.parse().ok()).and_then(rustix::process::Pid::from_raw);
        if pid.is_none_or(|pid| rustix::process::test_kill_process(pid).is_err()) {
            run(&admin, &drop_statement(&name, version)).await;
        }
    }
}

/// Copying files is the quickest way to copy a small database; before version 15 it is the only one.
fn create_statement(name: &str, template: &str, version: &Version) -> String {
    let strategy = if version.major >= 15 { " strategy file_copy" } else { "" };
    format!("create database \"{name}\" template \"{template}\"{strategy}")
}

/// Before version 13 sessions cannot be ended by it.
fn drop_statement(name: &str, version: &Version) -> String {
    let force = if version.major >= 13 { " with (force)" } else { "" };
    format!("drop database if exists \"{name}\"{force}")
}

async fn exists(server: &Target, database: &str) -> bool {
    let admin = connect(server).await;
    let found = admin.query_opt("select from pg_database where datname = $1", &[&database]).await;
    found.expect("to look for a database").is_some()
}

async fn connect(server: &Target) -> Connection {
    let target = server.clone().with_database("postgres");
    let pool = Pool::lazy(target, PoolOptions::of_size(1)).expect("a pool");
    pool.get().await.expect("to connect to the test cluster")
}

async fn run(admin: &Connection, statement: &str) {
    if let Err(error) = admin.batch_execute(statement).await {
        panic!("{statement}: {}", posthaste_base::Error::from(posthaste_pg::Error::from(error)));
    }
}

/// Runs `body` while no other process, and no other thread of this one, holds the same lock.
async fn locked<T>(version: &Version, name: &str, body: impl AsyncFnOnce() -> T) -> T {
    let path = cluster_folder(version).join(name);
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&path).expect("a lock file");
    while rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    body().await
}
