//! API keys: made, listed, revoked and looked up. The text of a key is shown once and stored as its hash.
//!
//! Not for: which scope a request needs, or counting requests (the fronts').

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use posthaste_base::{Code, Error, Result, Secret};
use posthaste_store::key::{self as rows, KeyRow, KeyWrite};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Broker;
use crate::declare::check;

/// What every key starts with, so that a leaked one can be recognised.
pub const KEY_PREFIX: &str = "ph_";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Hand in events and send messages.
    Publish,
    /// Receive and settle messages.
    Consume,
    /// Change what is declared, redrive, purge, switch failure modes, make keys.
    Operate,
    /// Look at everything, change nothing.
    Read,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Publish, Self::Consume, Self::Operate, Self::Read];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
            Self::Operate => "operate",
            Self::Read => "read",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            Error::new(Code::InvalidParameter, format!("`{text}` is not a scope"))
                .field("scopes")
                .expected("publish, consume, operate or read")
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyIn {
    pub name: String,
    pub scopes: Vec<Scope>,
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyOut {
    pub name: String,
    pub scopes: Vec<Scope>,
    pub rate_per_second: Option<u32>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// A key that was just made. This is the only time that its text is there.
#[derive(Clone, Debug, Serialize)]
pub struct KeyCreated {
    pub key: Secret,
    #[serde(flatten)]
    pub about: KeyOut,
}

/// What a good key lets its bearer do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    pub id: i32,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub rate_per_second: Option<u32>,
    pub expires_at: Option<Timestamp>,
}

impl KeyGrant {
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// The hash under which a key is stored. Keys are long and random, so a fast hash is enough.
pub fn key_hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Broker {
    pub async fn create_key(&self, key: KeyIn) -> Result<KeyCreated> {
        check::name(&key.name, "an API key").map_err(|error| error.field("name"))?;
        if key.scopes.is_empty() {
            return Err(Error::new(Code::InvalidParameter, "a key without a scope can do nothing")
                .field("scopes")
                .expected("one or more of publish, consume, operate and read"));
        }
        if key.rate_per_second.is_some_and(|rate| !(1..=1_000_000).contains(&rate)) {
            return Err(Error::new(Code::InvalidParameter, "the rate is out of range")
                .field("rate_per_second")
                .expected("a whole number from 1 to 1000000"));
        }
        let mut scopes = key.scopes.clone();
        scopes.sort_unstable();
        scopes.dedup();
        let scopes: Vec<_> = scopes.into_iter().map(|scope| scope.as_str().to_string()).collect();
        let text = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>()?));
        let write = KeyWrite {
            name: &key.name,
            hash: &key_hash(&text),
            scopes: &scopes,
            rate_per_second: key.rate_per_second.map(|rate| rate as i32),
            expires_at: key.expires_at,
        };
        let connection = self.pool().get().await?;
        let row = rows::insert(&connection, write).await?.ok_or_else(|| {
            Error::new(Code::Conflict, format!("there is already an API key `{}`", key.name))
                .field("name")
                .hint("choose another name; a revoked key keeps its name")
        })?;
        Ok(KeyCreated { key: Secret::new(text), about: to_out(row) })
    }

    /// Keys by name, after `after`; `limit` at most.
    pub async fn list_keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<KeyOut>> {
        let connection = self.pool().get().await?;
        let found = rows::list(&connection, after.unwrap_or_default(), limit as i64).await?;
        Ok(found.into_iter().map(to_out).collect())
    }

    /// Ends a key at once. Revoking it again changes nothing.
    pub async fn revoke_key(&self, name: &str) -> Result<KeyOut> {
        let connection = self.pool().get().await?;
        let row = rows::revoke(&connection, name).await?.ok_or_else(|| {
            Error::new(Code::NotFound, format!("there is no API key `{name}`")).field("name")
        })?;
        Ok(to_out(row))
    }

    /// The key of this hash (see [`key_hash`]), if it is neither revoked nor expired.
    pub async fn look_up_key(&self, hash: &[u8; 32]) -> Result<Option<KeyGrant>> {
        let connection = self.pool().get().await?;
        let row = rows::look_up(&connection, hash).await?;
        Ok(row.map(|row| {
            let id = row.id;
            let KeyOut { name, scopes, rate_per_second, expires_at, .. } = to_out(row);
            KeyGrant { id, name, scopes, rate_per_second, expires_at }
        }))
    }
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(Code::Internal, "no random numbers to be had").caused_by(error))?;
    Ok(bytes)
}

fn to_out(row: KeyRow) -> KeyOut {
    KeyOut {
        name: row.name,
        // A scope of a newer version is one that this version has nothing for.
        scopes: row.scopes.iter().filter_map(|scope| scope.parse().ok()).collect(),
        rate_per_second: row.rate_per_second.and_then(|rate| u32::try_from(rate).ok()),
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    }
}
