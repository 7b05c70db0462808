//! Webhook secrets at rest: sealed with the installation's key, and opened only where a call is signed.
//!
//! AES-256-GCM with a random nonce; the endpoint's name is bound in, so that a sealed secret is good for that
//! endpoint alone. The database knows a fingerprint of the key, so that a node with another key is told at its
//! start, and not when a call cannot be signed. Not for: API keys, of which only a hash is kept.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthaste_base::{Code, Error, Result, Secret};
use posthaste_store::{Session, declare};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

use crate::{Broker, EndpointSecret};

/// What a sealed secret starts with; a later way of sealing gets another one.
const PREFIX: &str = "sealed:1:";
const KEY_LEN: usize = 32;
/// The setting that holds the key, as errors name it.
const FIELD: &str = "server.seal_key";

/// The key of an installation: the same on all of its nodes.
#[derive(Clone)]
pub struct SealKey {
    key: Arc<LessSafeKey>,
    fingerprint: String,
}

impl SealKey {
    /// Reads 32 bytes in base64.
    pub fn parse(text: &Secret) -> Result<Self> {
        let wrong = || {
            Error::new(Code::InvalidConfig, "this is not a key")
                .field(FIELD)
                .expected("32 random bytes in base64, as `openssl rand -base64 32` makes them")
        };
        let bytes = STANDARD.decode(text.expose().trim()).map_err(|_| wrong())?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong())?;
        let digest = Sha256::new().chain_update("posthaste seal key").chain_update(&bytes).finalize();
        Ok(Self { key: Arc::new(LessSafeKey::new(key)), fingerprint: STANDARD.encode(&digest[..9]) })
    }

    /// A new key, as a text to keep.
    pub fn generate() -> Result<Secret> {
        Ok(Secret::new(STANDARD.encode(random::<KEY_LEN>()?)))
    }

    fn seal(&self, endpoint: &str, secret: &Secret) -> Result<String> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = secret.expose().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(endpoint), &mut sealed)
            .map_err(|_| Error::new(Code::Internal, "a secret could not be sealed"))?;
        Ok(format!("{PREFIX}{}", STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    fn open(&self, endpoint: &str, sealed: &str) -> Option<Secret> {
        let mut bytes = STANDARD.decode(sealed.strip_prefix(PREFIX)?).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key.open_in_place(nonce, Aad::from(endpoint), text).ok()?;
        Some(Secret::new(std::str::from_utf8(text).ok()?))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.fingerprint)
    }
}

/// A secret as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret(pub(crate) String);

impl Broker {
    /// The secrets of an endpoint that calls are signed with, the newest first.
    ///
    /// Without the key that they were sealed with this is an error, never fewer secrets.
    pub fn open_secrets(&self, endpoint: &str, secrets: &[EndpointSecret]) -> Result<Vec<Secret>> {
        if secrets.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.seal_key()?;
        let open = |one: &EndpointSecret| key.open(endpoint, &one.sealed.0);
        secrets.iter().map(open).collect::<Option<_>>().ok_or_else(|| {
            Error::new(Code::InvalidConfig, format!("a secret of endpoint `{endpoint}` cannot be opened"))
                .field(FIELD)
                .expected("the key that it was sealed with")
                .hint("set the key that the other nodes have, or rotate the secret of this endpoint")
        })
    }

    /// Seals `secrets` for `endpoint`. The session holds the lock on declarations.
    pub(crate) async fn seal(
        &self,
        session: &Session,
        endpoint: &str,
        secrets: &[Secret],
    ) -> Result<Vec<SealedSecret>> {
        self.claim_seal(session).await?;
        let key = self.seal_key()?;
        secrets.iter().map(|secret| key.seal(endpoint, secret).map(SealedSecret)).collect()
    }

    /// Refuses a key that is not the one of the installation; the first one that comes is that.
    pub async fn check_seal_key(&self) -> Result<()> {
        if self.options().seal_key.is_none() {
            return Ok(());
        }
        let session = self.pool().get().await?;
        self.claim_seal(&session).await
    }

    async fn claim_seal(&self, session: &Session) -> Result<()> {
        let ours = &self.seal_key()?.fingerprint;
        let theirs = declare::claim_seal(session, ours).await?;
        if theirs == *ours {
            return Ok(());
        }
        let message = format!("this node's key ({ours}) is not the one of this installation ({theirs})");
        Err(Error::new(Code::InvalidConfig, message)
            .field(FIELD)
            .expected("the same key on all nodes over one database")
            .hint(
                "copy `seal.key` from the data folder of the first node, or what its `server.seal_key` says",
            ))
    }

    fn seal_key(&self) -> Result<&SealKey> {
        self.options().seal_key.as_ref().ok_or_else(|| {
            Error::new(Code::InvalidConfig, "there is no key to keep secrets with")
                .field(FIELD)
                .expected("the key that the nodes of this installation have")
                .hint("set POSTHASTE_SERVER__SEAL_KEY, or use the data folder of a node, which keeps it in `seal.key`")
        })
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(Code::Internal, "the system gives no random bytes").caused_by(error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealKey {
        SealKey::parse(&SealKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_endpoint_alone() {
        let (key, secret) = (key(), Secret::new("whsec_abc"));
        let sealed = key.seal("shop", &secret).unwrap();
        assert!(!sealed.contains("abc"));
        assert_eq!(key.open("shop", &sealed), Some(secret.clone()));
        assert_eq!(key.open("bank", &sealed), None);
        assert_ne!(key.seal("shop", &secret).unwrap(), sealed, "a nonce is used once");
    }

    #[test]
    fn what_was_changed_or_sealed_with_another_key_does_not_open() {
        let key = key();
        let sealed = key.seal("shop", &Secret::new("whsec_abc")).unwrap();
        assert_eq!(self::key().open("shop", &sealed), None);
        let mut bytes = STANDARD.decode(sealed.strip_prefix(PREFIX).unwrap()).unwrap();
        bytes[NONCE_LEN] ^= 1;
        assert_eq!(key.open("shop", &format!("{PREFIX}{}", STANDARD.encode(&bytes))), None);
        for wrong in ["", "whsec_abc", PREFIX, "sealed:1:AAAA", "sealed:2:AAAA"] {
            assert_eq!(key.open("shop", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_32_bytes_and_never_shown() {
        let text = SealKey::generate().unwrap();
        let shown = format!("{:?}", SealKey::parse(&text).unwrap());
        assert!(!text.expose().contains(&shown["SealKey(".len()..shown.len() - 1]));
        for wrong in ["", "hunter2", "AAAA"] {
            assert_eq!(SealKey::parse(&Secret::new(wrong)).unwrap_err().field_name(), Some(FIELD));
        }
    }
}
