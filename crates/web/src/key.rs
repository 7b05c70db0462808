//! API keys: how they look, what is stored of them, and what they allow.
//!
//! A key is 32 random bytes, so it cannot be guessed and a fast hash is right for it: slow hashes exist for
//! passwords, which can be. Only the SHA-256 is stored or compared. Look-ups go by that hash, whose bytes a
//! caller cannot choose, so the time that a comparison takes tells nothing about a stored key.
//!
//! Not for: where keys are stored (a front gives a `KeyStore`), nor for who may call (see `auth`).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use posthaste_base::{Code, Error, Result, Secret};
use sha2::{Digest, Sha256};

use crate::Rate;

/// SHA-256 of a key's whole text.
pub type KeyHash = [u8; 32];

/// A key as its owner holds it.
pub struct ApiKey;

impl ApiKey {
    pub const PREFIX: &'static str = "ph_";
    /// The prefix, and 32 bytes in base64url.
    const LENGTH: usize = 3 + 43;

    /// A new key: shown once, and what is stored of it.
    pub fn generate() -> Result<(Secret, KeyHash)> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::new(Code::Internal, "failed to make a random key").caused_by(error))?;
        let text = format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(bytes));
        let hash = Sha256::digest(&text).into();
        Ok((Secret::new(text), hash))
    }

    /// The hash of what may be a key. What cannot be one is `None` and costs no look-up.
    pub fn hash(text: &[u8]) -> Option<KeyHash> {
        let is_key = text.len() == Self::LENGTH
            && text.starts_with(Self::PREFIX.as_bytes())
            && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_key.then(|| Sha256::digest(text).into())
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Publish = 1,
    Consume = 2,
    /// Change queues, endpoints, schedules, dead letters; includes `Read`.
    Operate = 4,
    Read = 8,
}

impl Scope {
    pub const ALL: [Scope; 4] = [Scope::Publish, Scope::Consume, Scope::Operate, Scope::Read];

    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Publish => "publish",
            Scope::Consume => "consume",
            Scope::Operate => "operate",
            Scope::Read => "read",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            Error::new(Code::InvalidParameter, format!("`{text}` is not a scope"))
                .expected("publish, consume, operate or read")
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    pub fn has(self, scope: Scope) -> bool {
        let enough =
            if scope == Scope::Read { Scope::Read as u8 | Scope::Operate as u8 } else { scope as u8 };
        self.0 & enough != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope as u8))
    }
}

/// What is stored of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRecord {
    pub id: i64,
    pub name: String,
    pub scopes: Scopes,
    /// The key's own limit, instead of the front's.
    pub rate: Option<Rate>,
    pub expires_at: Option<Timestamp>,
}

pub type LookUp<'a> = Pin<Box<dyn Future<Output = Result<Option<KeyRecord>>> + Send + 'a>>;

/// Where keys are. Boxed, because it is asked once in 30 seconds for each key.
pub trait KeyStore: Send + Sync + 'static {
    fn look_up(&self, hash: KeyHash) -> LookUp<'_>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_hashes_to_what_is_stored() {
        let (key, hash) = ApiKey::generate().unwrap();
        assert_eq!(ApiKey::hash(key.expose().as_bytes()), Some(hash));
        assert_eq!(format!("{key:?}"), "***");
        for wrong in
            ["", "ph_", "ph_short", &key.expose().replace("ph_", "sk_"), &format!("{}x", key.expose())]
        {
            assert_eq!(ApiKey::hash(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn scopes_read_their_own_names() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse::<Scope>().unwrap(), scope);
        }
        assert_eq!("admin".parse::<Scope>().unwrap_err().code(), Code::InvalidParameter);
    }
}
