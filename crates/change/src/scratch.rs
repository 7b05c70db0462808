//! A throw-away PostgreSQL on this machine, in which a plan or a migration is tried before anybody else meets it.
//!
//! It holds a copy of a schema and no row. Not for: the database that is worked on; nothing here writes to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use posthaste_base::{Code, Error, Result};
use posthaste_pg::local::{LocalOptions, LocalServer, Programs};
use posthaste_pg::{Pool, Target};
use tokio::process::Command;

/// A server with any number of databases, gone with its folder after [`Scratch::remove`].
pub struct Scratch {
    server: LocalServer,
    folder: PathBuf,
    made: AtomicU32,
}

impl Scratch {
    /// Starts a server in a new folder. `bin` is where PostgreSQL's programs are; searched for when not given.
    pub async fn start(bin: Option<&Path>) -> Result<Self> {
        let folder = parent().join(format!("posthaste-scratch-{}", uuid::Uuid::now_v7().simple()));
        let mut options = LocalOptions::in_folder(&folder);
        options.bin = bin.map(Path::to_owned);
        options.is_durable = false;
        options.settings = SETTINGS.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let server = LocalServer::start(options).await?;
        Ok(Self { server, folder, made: AtomicU32::new(0) })
    }

    /// A new, empty database.
    pub async fn database(&self) -> Result<Target> {
        self.create("template0").await
    }

    /// A new database with that schema in it, to be copied.
    pub async fn load(&self, schema: &str) -> Result<Target> {
        let target = self.database().await?;
        run_script(&target, schema).await.map_err(|error| {
            let message =
                format!("the schema could not be rebuilt in a scratch database: {}", error.message());
            Error::new(error.code(), message)
                .hint("an extension that is missing on this machine is the usual cause; install it here")
        })?;
        Ok(target)
    }

    /// A new database that is like that one, to which nobody may be connected.
    pub async fn copy_of(&self, model: &Target) -> Result<Target> {
        self.create(model.database()).await
    }

    async fn create(&self, model: &str) -> Result<Target> {
        let name = format!("scratch_{}", self.made.fetch_add(1, Ordering::Relaxed) + 1);
        let statement = include_str!("../sql/scratch/create_database.sql");
        let statement = statement.replace("{name}", &name).replace("{model}", model);
        run_script(self.server.target(), &statement).await?;
        Ok(self.server.target().clone().with_database(&name))
    }

    /// Stops the server and deletes its folder.
    pub async fn remove(self) -> Result<()> {
        let stopped = self.server.stop().await;
        // What cannot be deleted is in a temporary folder, and no reason to fail.
        let _ = std::fs::remove_dir_all(&self.folder);
        Ok(stopped?)
    }
}

/// Nothing of it must survive, so nothing is forced to disk.
const SETTINGS: &[(&str, &str)] =
    &[("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("autovacuum", "off")];

fn parent() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Runs a script whole, statement after statement; a statement that stands outside of BEGIN commits by itself.
pub async fn run_script(target: &Target, script: &str) -> Result<()> {
    let pool = Pool::connect(target.clone(), 1).await?;
    let connection = pool.get().await?;
    connection.batch_execute(script).await.map_err(|error| posthaste_pg::Error::from(error).into())
}

/// The schema of a database as a script, by `pg_dump`: every object, no row, no owner.
///
/// Takes ACCESS SHARE on every table, and gives up after two seconds where that has to wait.
pub async fn schema_of(target: &Target, bin: Option<&Path>) -> Result<String> {
    let bin = Programs::find(bin, None)?.bin;
    let (address, password) = target.for_program();
    let mut command = Command::new(bin.join("pg_dump"));
    command.args(["--schema-only", "--no-owner", "--no-privileges", "--no-security-labels"]);
    command.args(["--no-tablespaces", "--lock-wait-timeout=2000", "--dbname"]).arg(address);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    let output = command.kill_on_drop(true).output().await.map_err(|error| {
        Error::new(
            Code::PostgresMissing,
            format!("`pg_dump` could not be started in `{}`: {error}", bin.display()),
        )
        .hint("install PostgreSQL's client programs, or give the schema with `--schema FILE`")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(Code::DatabaseUnreachable, format!("`pg_dump` failed: {}", said.trim()))
            .hint("a newer server needs a newer `pg_dump`: point `PG_BIN` to it, or give `--schema FILE`"));
    }
    Ok(without_meta_commands(&String::from_utf8_lossy(&output.stdout)))
}

/// Newer versions of `pg_dump` write `\restrict` and `\unrestrict`, which only psql knows.
fn without_meta_commands(script: &str) -> String {
    let is_meta = |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
    let mut kept: Vec<&str> = script.lines().filter(|line| !is_meta(line)).collect();
    kept.push("");
    kept.join("\n")
}
