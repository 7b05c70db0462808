//! What came back from one attempt, or why nothing did.
//!
//! Not for: what it means for the message (the engine's failure categories).

use std::fmt;

use bytes::Bytes;

/// The outcome of one call: a status, or the reason why there is none.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// There as soon as the head of the answer was read: it decides, even if the body breaks off.
    pub status: Option<u16>,
    /// There if and only if `status` is not.
    pub transport_error: Option<TransportError>,
    /// The header `Retry-After` as it came, if it is short and printable.
    pub retry_after: Option<String>,
    /// The first bytes of the answer's body.
    pub head: Bytes,
    /// Whether `head` is all of it: it came to its end, and had no more bytes than are kept.
    pub is_whole: bool,
    pub latency_ms: u32,
}

impl Answer {
    /// Any 2xx, whatever its body (requirements, decision 9).
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Why an attempt has no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    pub kind: TransportKind,
    pub message: String,
    /// `false` when it is certain that no byte of the request left: the endpoint cannot have acted on it.
    pub may_have_arrived: bool,
}

/// The kinds of failure below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// The address is one that calls may not go to.
    AddressRefused,
    /// The name does not resolve.
    Dns,
    /// Nobody listens there, or there is no way there.
    ConnectRefused,
    /// No connection in time.
    ConnectTimeout,
    /// The certificate or the handshake failed.
    Tls,
    /// The connection ended before the answer.
    Reset,
    /// What came back is not HTTP.
    MalformedAnswer,
    /// No answer in time.
    Timeout,
}

impl TransportKind {
    pub const ALL: [TransportKind; 8] = [
        Self::AddressRefused,
        Self::Dns,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Reset,
        Self::MalformedAnswer,
        Self::Timeout,
    ];

    /// The name under which it is stored and counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddressRefused => "address-refused",
            Self::Dns => "dns",
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::MalformedAnswer => "malformed-answer",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
