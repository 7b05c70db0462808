//! The key that webhook secrets are sealed with: configured, or kept in a file of the data folder.
//!
//! Not for: sealing (see the broker), nor for the password of the private server.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use posthaste_base::{Code, Error, Secret};
use posthaste_broker::SealKey;

use crate::config::Config;

const FILE: &str = "seal.key";

/// The key, if there is one.
pub(crate) fn find(config: &Config) -> Result<Option<SealKey>, Error> {
    if let Some(key) = &config.server.seal_key {
        return SealKey::parse(key).map(Some);
    }
    let path = config.database.folder().join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => SealKey::parse(&Secret::new(text)).map(Some).map_err(|error| error.field(shown(&path))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(&path, "read", &error)),
    }
}

/// The key; one is made, and kept for the next time, if there is none.
pub(crate) fn find_or_make(config: &Config) -> Result<SealKey, Error> {
    if let Some(key) = find(config)? {
        return Ok(key);
    }
    let folder = config.database.folder();
    let (path, key) = (folder.join(FILE), SealKey::generate()?);
    let mut options = OpenOptions::new();
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| options.write(true).create_new(true).mode(0o600).open(&path))
        .and_then(|mut file| file.write_all(key.expose().as_bytes()).and_then(|()| file.sync_all()));
    match written {
        Ok(()) => SealKey::parse(&key),
        // Another process was first.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            find(config)?.ok_or_else(|| unusable(&path, "read", &error))
        }
        Err(error) => Err(unusable(&path, "write", &error)),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unusable(path: &Path, what: &str, error: &std::io::Error) -> Error {
    Error::new(Code::InvalidFile, format!("failed to {what} `{}`: {error}", shown(path)))
        .field("server.seal_key")
        .expected("a key in the configuration, or a data folder that can be written to")
        .hint("set POSTHASTE_SERVER__SEAL_KEY to the output of `openssl rand -base64 32`, or use another `--data-dir`")
}
