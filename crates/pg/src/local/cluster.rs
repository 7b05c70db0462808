//! The cluster on disk: its folder, its creation, who may connect, and the locks that keep two starters apart.
//!
//! Not for: the process (`postmaster`).
//!
//! The folder holds `data` (the cluster), `socket`, `password` (for the loopback address), `start.log` (what the
//! server says before its own log), `start.lock` (held while starting) and `use.lock` (held while in use).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use posthaste_base::Secret;
use rustix::fs::FlockOperation;

use super::postmaster::Postmaster;
use super::{Account, LocalOptions, Programs, failed, programs, settings};
use crate::{Pool, PoolOptions, Result, Target};

pub(super) const PORT: u16 = 5432;
pub(super) const SUPERUSER: &str = "postgres";
pub(super) const DATABASE: &str = "posthaste";

/// `/var/lib/posthaste` for root, whose home others cannot enter; the user's own data folder otherwise.
pub fn default_folder() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/posthaste");
    }
    let data_home = std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into()));
    data_home.unwrap_or_else(|| home().join(".local/share")).join("posthaste")
}

/// A cluster in a folder, made or still to be made.
pub struct Cluster {
    pub(super) options: LocalOptions,
    pub(super) programs: Programs,
    pub(super) account: Account,
    pub(super) folder: PathBuf,
    pub(super) socket_folder: PathBuf,
}

/// Says that this process uses the server, until it is dropped or the process ends.
pub(super) struct SharedUse(File);

impl Cluster {
    /// Finds programs, account and folder, and makes the folder.
    pub fn open(options: LocalOptions) -> Result<Self> {
        let account = Account::choose(options.account.as_deref())?;
        let folder = std::path::absolute(&options.folder).map_err(|error| failed(error.to_string()))?;
        account.own_folder(&folder)?;
        let version = std::fs::read_to_string(folder.join("data/PG_VERSION")).ok();
        let wanted = version.and_then(|text| text.trim().parse().ok()).or(options.version);
        let programs = Programs::find(options.bin.as_deref(), wanted)?;
        let socket_folder = socket_folder(&folder, &account);
        Ok(Self { options, programs, account, folder, socket_folder })
    }

    /// Starts the server, or adopts the one that runs. Processes that start at the same time wait for each other.
    pub async fn start(&self) -> Result<Postmaster> {
        let deadline = Instant::now() + self.options.start_within;
        let _lock =
            lock(&self.folder.join("start.lock"), FlockOperation::NonBlockingLockExclusive, deadline).await?;
        if let Some(postmaster) = Postmaster::adopt(self, deadline).await? {
            return Ok(postmaster);
        }
        self.prepare()?;
        let mut postmaster = Postmaster::start(self, deadline).await?;
        let target = postmaster.target().clone();
        if let Err(error) = make_database(&target).await {
            postmaster.stop(super::Shutdown::Fast).await?;
            return Err(error);
        }
        Ok(postmaster)
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Stops the server if it runs and removes the whole folder. For clusters that are thrown away.
    pub async fn remove(self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let path = self.folder.join("start.lock");
        let lock = lock(&path, FlockOperation::NonBlockingLockExclusive, deadline).await?;
        if let Some(mut postmaster) = Postmaster::adopt(&self, deadline).await? {
            postmaster.stop(super::Shutdown::Immediate).await?;
        }
        drop(lock);
        let gone =
            |error: io::Error| failed(format!("could not remove `{}`: {error}", self.folder.display()));
        if self.socket_folder.exists() && !self.socket_folder.starts_with(&self.folder) {
            std::fs::remove_dir_all(&self.socket_folder).map_err(gone)?;
        }
        std::fs::remove_dir_all(&self.folder).map_err(gone)
    }

    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = self.account.command(&self.programs.bin.join(program));
        // Nothing of ours steers the server: not PGDATA, not LC_ALL, and no secret in the environment.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
        if let Some(libraries) = programs::libraries(&self.programs.bin) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    pub(super) fn target(&self, socket_folder: &Path, port: u16) -> Target {
        Target::unix(socket_folder, port, SUPERUSER, DATABASE)
    }

    pub(super) fn loopback_target(&self, database: &str) -> Result<Option<Target>> {
        let Some(port) = self.options.loopback_port else { return Ok(None) };
        let password = self.password()?;
        let address =
            format!("host=127.0.0.1 port={port} user={SUPERUSER} dbname={database} sslmode=disable");
        Target::parse(&format!("{address} password={}", password.expose())).map(Some)
    }

    pub(super) async fn shared_use(&self) -> Result<SharedUse> {
        let deadline = Instant::now() + Duration::from_secs(10);
        lock(&self.folder.join("use.lock"), FlockOperation::NonBlockingLockShared, deadline)
            .await
            .map(SharedUse)
    }

    /// Whether a server that was adopted runs as the options say: it was started with others, perhaps.
    pub(super) fn is_as_wanted(&self, postmaster: &Postmaster) -> bool {
        let text = settings::text(&self.options, settings::memory_bytes());
        let written = std::fs::read_to_string(self.data_folder().join(settings::FILE));
        postmaster.loopback_port() == self.options.loopback_port
            && written.is_ok_and(|written| written == text)
    }

    /// Everything but the process: the cluster, its settings, who may connect.
    fn prepare(&self) -> Result<()> {
        self.account.own_folder(&self.socket_folder)?;
        if !self.data_folder().join("PG_VERSION").exists() {
            self.create()?;
        }
        let text = settings::text(&self.options, settings::memory_bytes());
        self.write(&self.data_folder().join(settings::FILE), &text)?;
        let names = ["root", &self.account.name].map(|name| format!("posthaste \"{name}\" {SUPERUSER}\n"));
        self.write(&self.data_folder().join("pg_ident.conf"), &names.concat())?;
        // The socket's folder lets in nobody else; that the kernel names the peer keeps it so if it is opened.
        let mut access = String::from("local all all peer map=posthaste\n");
        if self.options.loopback_port.is_some() {
            access.push_str("host all all 127.0.0.1/32 scram-sha-256\n");
        }
        self.write(&self.data_folder().join("pg_hba.conf"), &access)
    }

    /// Makes the cluster beside its place and moves it there whole, so that a kill leaves no half cluster.
    fn create(&self) -> Result<()> {
        self.options.say("creating the database cluster");
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().as_bytes().starts_with(b"data.new") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let unfinished = self.folder.join("data.new");
        let password_file = self.folder.join("password");
        self.write(&password_file, &random_password()?)?;
        let mut initdb = self.command("initdb");
        initdb.arg("--pgdata").arg(&unfinished).arg("--pwfile").arg(&password_file);
        initdb.args(["--username", SUPERUSER, "--data-checksums", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--auth-local=peer", "--auth-host=scram-sha-256"]);
        if !self.options.is_durable {
            initdb.arg("--no-sync");
        }
        let output = initdb.output().map_err(|error| failed(format!("initdb could not be run: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(format!("initdb failed: {}", said.trim())));
        }
        let mut own = OpenOptions::new()
            .append(true)
            .open(unfinished.join("postgresql.conf"))
            .map_err(|error| failed(error.to_string()))?;
        let written =
            writeln!(own, "\ninclude_if_exists = '{}'", settings::FILE).and_then(|()| own.sync_all());
        written
            .and_then(|()| std::fs::rename(&unfinished, self.data_folder()))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|error| failed(format!("could not put the new cluster in its place: {error}")))
    }

    fn password(&self) -> Result<Secret> {
        let path = self.folder.join("password");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| failed(format!("could not read `{}`: {error}", path.display())))?;
        Ok(Secret::new(text.trim()))
    }

    /// Writes a file that only the account can read, whole or not at all.
    fn write(&self, path: &Path, text: &str) -> Result<()> {
        let wrong = |error: io::Error| failed(format!("could not write `{}`: {error}", path.display()));
        let unfinished = path.with_extension("new");
        let _ = std::fs::remove_file(&unfinished);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished).map_err(wrong)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(wrong)?;
        self.account.own(&unfinished, 0o600)?;
        std::fs::rename(&unfinished, path).map_err(wrong)
    }
}

impl SharedUse {
    /// Whether no other process uses the server. If so, nobody can begin to until this is dropped.
    pub(super) fn is_last(&self) -> Result<bool> {
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(failed(format!("could not lock: {error}"))),
        }
    }

    /// Shares the server again, after [`SharedUse::is_last`] kept others out or lost the lock to them.
    pub(super) fn share(&self) -> Result<()> {
        rustix::fs::flock(&self.0, FlockOperation::LockShared)
            .map_err(|error| failed(format!("could not lock: {error}")))
    }
}

/// The kernel's limit for a socket's path is 107 bytes; a deep data folder gets its socket elsewhere.
fn socket_folder(folder: &Path, account: &Account) -> PathBuf {
    let beside = folder.join("socket");
    let longest = beside.join(format!(".s.PGSQL.{PORT}"));
    if longest.as_os_str().len() <= 107 {
        return beside;
    }
    let hash = folder.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let parent = if account.is_other { "/run" } else { "/tmp" };
    PathBuf::from(format!("{parent}/posthaste-{}-{hash:016x}", account.uid))
}

/// A file lock, which ends with the process. Waits without blocking the runtime.
async fn lock(path: &Path, operation: FlockOperation, deadline: Instant) -> Result<File> {
    let wrong = |error: io::Error| failed(format!("could not lock `{}`: {error}", path.display()));
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path).map_err(wrong)?;
    loop {
        match rustix::fs::flock(&file, operation) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {}
            Err(error) => return Err(wrong(error.into())),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Our own database, so that nothing of ours lies in `postgres`, which tools expect to be empty.
async fn make_database(target: &Target) -> Result<()> {
    let pool = Pool::lazy(target.clone().with_database("postgres"), PoolOptions::of_size(1))?;
    let connection = pool.get().await?;
    let row = connection.query_one(include_str!("../../sql/database_exists.sql"), &[&DATABASE]).await?;
    if !row.try_get::<_, bool>(0)? {
        connection.batch_execute(include_str!("../../sql/create_database.sql")).await?;
    }
    Ok(())
}

fn random_password() -> Result<String> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| failed(format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
