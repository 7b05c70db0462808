//! Standard Webhooks v1 signatures (symmetric): making secrets, signing a call, verifying one.
//!
//! Not for: the headers that carry a signature (see `webhook`), or where secrets are kept.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use posthaste_base::{Code, Error, Secret};
use sha2::Sha256;

/// What every secret starts with.
pub const SECRET_PREFIX: &str = "whsec_";
/// The shortest and the longest secret that the specification allows, in bytes of key.
pub const SECRET_BYTES_MIN: usize = 24;
pub const SECRET_BYTES_MAX: usize = 64;
/// How far a receiver lets the timestamp be from its own clock, unless it says otherwise.
pub const TOLERANCE_SECONDS_DEFAULT: i64 = 300;

const GENERATED_BYTES: usize = 32;
const VERSION: &str = "v1";

// Secrets come from other systems too, some of which leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret, read once and ready to sign: the key's share of the work is done when it is made.
#[derive(Clone)]
pub struct SigningKey {
    mac: Hmac<Sha256>,
}

impl SigningKey {
    /// Reads `whsec_<base64>`. The message of a refusal never holds the secret.
    pub fn parse(secret: &Secret) -> Result<Self, Error> {
        let refuse = |message: String| {
            Error::new(Code::InvalidParameter, message).field("secret").expected(format!(
                "`whsec_` and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"
            ))
        };
        let Some(encoded) = secret.expose().strip_prefix(SECRET_PREFIX) else {
            return Err(refuse(format!("the secret does not start with `{SECRET_PREFIX}`")));
        };
        let Ok(key) = LENIENT.decode(encoded) else {
            return Err(refuse(format!("what follows `{SECRET_PREFIX}` in the secret is not base64")));
        };
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&key.len()) {
            return Err(refuse(format!("the secret has {} bytes", key.len())));
        }
        let mac = Hmac::new_from_slice(&key).expect("HMAC takes keys of every length");
        Ok(Self { mac })
    }

    fn mac_over(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// A new secret from the system's random source.
pub fn generate_secret() -> Result<Secret, Error> {
    let mut key = [0u8; GENERATED_BYTES];
    getrandom::fill(&mut key).map_err(|error| {
        Error::new(Code::Internal, "the system gave no random bytes for a secret").caused_by(error)
    })?;
    Ok(Secret::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(key))))
}

/// The value of `webhook-signature`: one signature for each key, so that a receiver that knows the old or the new
/// secret of a rotation finds its own. Empty without keys.
pub fn signature(keys: &[SigningKey], id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
    // "v1," and 44 characters of base64, and a space between two.
    let mut text = String::with_capacity(keys.len() * 48);
    let timestamp = timestamp_seconds.to_string();
    for key in keys {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(VERSION);
        text.push(',');
        let digest = key.mac_over(id, &timestamp, body).finalize().into_bytes();
        STANDARD.encode_string(digest, &mut text);
    }
    text
}

/// The three headers that a receiver has to look at.
#[derive(Clone, Copy, Debug)]
pub struct SignedHeaders<'a> {
    pub id: &'a str,
    pub timestamp: &'a str,
    pub signature: &'a str,
}

/// Why a call is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("`webhook-timestamp` is not a number of seconds")]
    MalformedTimestamp,
    #[error("`webhook-timestamp` is too long ago")]
    TooOld,
    #[error("`webhook-timestamp` is too far ahead")]
    TooNew,
    #[error("no signature in `webhook-signature` fits the body and the secret")]
    NoMatch,
}

/// Checks a call as a receiver does. Signatures of versions not known here are passed over, as the specification asks.
pub fn verify(
    keys: &[SigningKey],
    headers: SignedHeaders<'_>,
    body: &[u8],
    now_seconds: i64,
    tolerance_seconds: i64,
) -> Result<(), VerifyError> {
    let sent_seconds: i64 = headers.timestamp.parse().map_err(|_| VerifyError::MalformedTimestamp)?;
    if sent_seconds < now_seconds.saturating_sub(tolerance_seconds) {
        return Err(VerifyError::TooOld);
    }
    if sent_seconds > now_seconds.saturating_add(tolerance_seconds) {
        return Err(VerifyError::TooNew);
    }
    for key in keys {
        // The header's own text is signed, not the number read from it.
        let mac = key.mac_over(headers.id, headers.timestamp, body);
        for candidate in headers.signature.split(' ') {
            let Some((VERSION, encoded)) = candidate.split_once(',') else { continue };
            let Ok(claimed) = LENIENT.decode(encoded) else { continue };
            // `verify_slice` takes the same time whichever byte differs.
            if mac.clone().verify_slice(&claimed).is_ok() {
                return Ok(());
            }
        }
    }
    Err(VerifyError::NoMatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key(secret: &str) -> SigningKey {
        SigningKey::parse(&Secret::new(secret)).unwrap()
    }

    fn check(signature: &str, timestamp: &str, now_seconds: i64) -> Result<(), VerifyError> {
        let headers = SignedHeaders { id: ID, timestamp, signature };
        verify(&[key(SECRET)], headers, BODY, now_seconds, TOLERANCE_SECONDS_DEFAULT)
    }

    #[test]
    fn signature_is_the_one_of_the_published_vector() {
        assert_eq!(signature(&[key(SECRET)], ID, AT, BODY), SIGNATURE);
        assert_eq!(check(SIGNATURE, "1614265330", AT), Ok(()));
    }

    #[test]
    fn signature_agrees_with_another_implementation() {
        // Computed with Python: hmac.new(bytes(range(64)), "id-1.1.grüße".encode(), "sha256").
        let secret = format!("whsec_{}", STANDARD.encode((0u8..64).collect::<Vec<_>>()));
        assert_eq!(
            signature(&[key(&secret)], "id-1", 1, "grüße".as_bytes()),
            "v1,1VUp9a6L/hKI/V9Xgepl/029HzD/LJP7mrqFaPOPyKM="
        );
    }

    #[test]
    fn rotation_signs_with_both_secrets_and_either_verifies() {
        let new = key(generate_secret().unwrap().expose());
        let both = signature(&[new.clone(), key(SECRET)], ID, AT, BODY);
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(SIGNATURE));
        let headers = SignedHeaders { id: ID, timestamp: "1614265330", signature: &both };
        for receiver in [new, key(SECRET)] {
            assert_eq!(verify(&[receiver], headers, BODY, AT, 0), Ok(()));
        }
    }

    #[test]
    fn verify_refuses_what_was_changed_or_is_stale() {
        assert_eq!(check("v1,AAAA", "1614265330", AT), Err(VerifyError::NoMatch));
        assert_eq!(check("", "1614265330", AT), Err(VerifyError::NoMatch));
        assert_eq!(check(&SIGNATURE.replace("v1,", "v2,"), "1614265330", AT), Err(VerifyError::NoMatch));
        assert_eq!(check(SIGNATURE, "1614265331", AT), Err(VerifyError::NoMatch));
        assert_eq!(check(SIGNATURE, "soon", AT), Err(VerifyError::MalformedTimestamp));
        assert_eq!(check(SIGNATURE, "1614265330", AT + 301), Err(VerifyError::TooOld));
        assert_eq!(check(SIGNATURE, "1614265330", AT - 301), Err(VerifyError::TooNew));
        assert_eq!(check(SIGNATURE, "1614265330", AT + 300), Ok(()));
        assert_eq!(check(&format!("v1a,zzz v2,b {SIGNATURE}"), "1614265330", AT), Ok(()));
    }

    #[test]
    fn secrets_outside_the_rules_are_refused_and_never_shown() {
        let of_bytes = |n: usize| format!("whsec_{}", STANDARD.encode(vec![7u8; n]));
        for (secret, allowed) in [
            (of_bytes(23), false),
            (of_bytes(24), true),
            (of_bytes(64), true),
            (of_bytes(65), false),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_string(), false),
            ("whsec_not base64 at all!".to_string(), false),
            (of_bytes(32).trim_end_matches('=').to_string(), true),
        ] {
            match SigningKey::parse(&Secret::new(secret.clone())) {
                Ok(key) => {
                    assert!(allowed, "{secret} passed");
                    assert_eq!(format!("{key:?}"), "SigningKey(***)");
                }
                Err(error) => {
                    assert!(!allowed, "{secret} was refused: {error}");
                    assert_eq!(error.code(), Code::InvalidParameter);
                    assert!(!error.to_string().contains(&secret[6..]));
                }
            }
        }
    }

    #[test]
    fn generated_secrets_differ_and_can_be_read() {
        let (one, two) = (generate_secret().unwrap(), generate_secret().unwrap());
        assert_ne!(one, two);
        SigningKey::parse(&one).unwrap();
    }
}
