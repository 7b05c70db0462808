//! The ground of a benchmark: an empty database, in the server that DATABASE_URL names or in a private one that is
//! gone afterwards.
//!
//! Not for: nodes, which run over it.

use std::path::{Path, PathBuf};

use posthaste_base::{Code, Error};
use posthaste_store::schema;
use serde_json::json;

use super::measure::Server;
use crate::ask::talk;
use crate::config::{Config, Place};
use crate::database::{Database, Use};

/// Connections of the benchmark itself, and of a broker in its process.
const POOL_SIZE: usize = 20;

pub(super) struct Ground {
    pub database: Database,
    /// The server's processes; none where they are on another machine.
    pub server: Option<Server>,
    /// For files of the run.
    pub folder: Folder,
}

impl Ground {
    /// Opens the database and makes the schema. One that has the schema already is somebody's, and refused.
    pub(super) async fn open(place: &Place) -> anyhow::Result<Self> {
        let folder = Folder::make(place.data_dir.as_deref())?;
        let config = Config::of_text(folder.path.join("bench.toml"), &database_section(place, &folder.path))?;
        let database = Database::open(&config.database, POOL_SIZE, Use::Command, talk).await?;
        let ground = Self { server: Server::find(&database.pool).await?, database, folder };
        if schema::state(&ground.database.pool).await?.version > 0 {
            ground.close().await?;
            return Err(Error::new(
                Code::NotConfirmed,
                "a benchmark fills its database, and this one is in use",
            )
            .field("--database-url")
            .expected("an empty database, or none for a private one")
            .hint("make one with `createdb`, and name it in DATABASE_URL")
            .into());
        }
        schema::upgrade(&ground.database.pool).await?;
        Ok(ground)
    }

    /// The configuration of a node on this ground; `more` are its other sections.
    pub(super) fn configuration(&self, more: &str) -> String {
        let (url, folder) = (self.database.target().exposed(), self.folder.path.join("node"));
        format!("[database]\nurl = {}\ndata_dir = {}\n{more}", json!(url), json!(folder.to_string_lossy()))
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        self.database.stop().await
    }

    /// Cleans up after filling, so that no turn pays for another one's rows: statistics, then a checkpoint.
    pub(super) async fn settle_down(&self) -> Result<(), Error> {
        let session = self.database.pool.get().await?;
        session
            .batch_execute(include_str!("../../../sql/bench/vacuum.sql"))
            .await
            .map_err(posthaste_pg::Error::from)?;
        // Only a superuser may; without it the numbers are a little worse.
        let _ = session.batch_execute(include_str!("../../../sql/bench/checkpoint.sql")).await;
        Ok(())
    }
}

/// A folder of the run, which is removed with what is in it unless somebody named it.
pub(super) struct Folder {
    pub path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn make(named: Option<&Path>) -> Result<Self, Error> {
        // Not the system's temporary folder: that is in memory on many machines, where fsync costs nothing.
        let temporary = || PathBuf::from(format!("/var/tmp/posthaste-bench-{}", std::process::id()));
        let path = named.map_or_else(temporary, Path::to_owned);
        std::fs::create_dir_all(&path).map_err(|error| {
            Error::new(Code::InvalidFile, format!("failed to make `{}`: {error}", path.display()))
                .field("--data-dir")
                .expected("a folder that can be written to")
        })?;
        Ok(Self { path, is_temporary: named.is_none() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// To clean up after millions of rows takes as long as it takes.
const PATIENT: &str = "statement_seconds = 3600\n";

/// Nothing of a configuration file holds here: its database is in use.
fn database_section(place: &Place, folder: &Path) -> String {
    let of_environment = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
    if let Some(url) = place.database_url.clone().or(of_environment) {
        return format!("[database]\n{PATIENT}url = {}\n", json!(url));
    }
    // A folder that is not there yet: PostgreSQL's must belong to the user that it runs as.
    let data_dir = json!(folder.join("database").to_string_lossy());
    let pg_bin = place.pg_bin.as_deref().map(|path| format!("pg_bin = {}\n", json!(path.to_string_lossy())));
    format!("[database]\n{PATIENT}data_dir = {data_dir}\n{}", pg_bin.unwrap_or_default())
}
