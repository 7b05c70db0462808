//! What an attempt's outcome means: its category, a stable code, and whether the message is tried again.
//!
//! Not for: reading error texts of letters that somebody else wrote (see `triage`).

use std::borrow::Cow;

use posthaste_base::Category;
use serde::{Deserialize, Serialize};

use crate::backoff::{Backoff, parse_retry_after};

/// The code of a message whose consumer never answered within its lease.
pub const LEASE_EXPIRED: &str = "lease-expired";
/// The code of a message that its queue kept for as long as it may.
pub const RETENTION_EXPIRED: &str = "retention-expired";
/// The code of a message that was received as often as its queue allows, with no cause reported.
pub const RECEIVES_EXHAUSTED: &str = "receives-exhausted";

/// Why an attempt, or a message's time in its queue, came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub category: Category,
    /// Stable, kebab-case, an API: `http-503`, `connect-refused`, `timeout`.
    pub code: Cow<'static, str>,
    pub message: String,
    /// What the other side asked for, if it did.
    pub retry_after_ms: Option<u64>,
}

/// What went wrong before there was a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    ConnectRefused,
    ConnectionReset,
    Unreachable,
    Dns,
    Tls,
    /// The answer is not HTTP.
    Protocol,
    /// No answer in time, whether while connecting or later.
    Timeout,
    /// The address is one that must not be called: private, loopback, or not http(s).
    AddressRefused,
}

/// What a message did that nobody answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsettled {
    LeaseExpired,
    RetentionExpired,
    ReceivesExhausted,
}

/// What happens to a message after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Retry { delay_ms: u64 },
    Dead,
}

/// The failure that a status stands for; `None` is success. Any 2xx is a success whatever its body; 408, 425,
/// 429 and 5xx pass, all others do not (requirements, decision 9).
pub fn classify_http(status: u16, retry_after: Option<&str>, now_ms: i64) -> Option<Failure> {
    let (category, meaning) = match status {
        200..=299 => return None,
        408 => (Category::Transient, "the endpoint gave up waiting for the request"),
        425 => (Category::Transient, "the endpoint found it too early"),
        429 => (Category::Transient, "the endpoint was called too often"),
        500..=599 => (Category::Transient, "the endpoint failed"),
        300..=399 => (Category::Permanent, "redirect not followed"),
        401 | 403 => (Category::Permanent, "the endpoint denied access"),
        404 | 410 => (Category::Permanent, "there is nothing at this address"),
        400..=499 => (Category::Permanent, "the endpoint refused the message"),
        // No final answer has another status: the other side does not speak HTTP well.
        _ => (Category::Transient, "the status has no meaning"),
    };
    let retry_after_ms = match category {
        Category::Transient => retry_after.and_then(|header| parse_retry_after(header, now_ms)),
        _ => None,
    };
    Some(Failure {
        category,
        code: Cow::Owned(format!("http-{status}")),
        message: format!("{meaning} (HTTP {status})"),
        retry_after_ms,
    })
}

/// The failure that stands for an attempt without a status. `detail` is the transport's own words.
pub fn classify_transport(kind: Transport, detail: &str) -> Failure {
    let (category, code, meaning) = match kind {
        Transport::ConnectRefused => (Category::Transient, "connect-refused", "the connection was refused"),
        Transport::ConnectionReset => (Category::Transient, "connection-reset", "the connection was cut"),
        Transport::Unreachable => (Category::Transient, "unreachable", "the host cannot be reached"),
        Transport::Dns => (Category::Transient, "dns-failed", "the host's name could not be resolved"),
        Transport::Tls => (Category::Transient, "tls-failed", "no secure connection could be made"),
        Transport::Protocol => (Category::Transient, "protocol-error", "the answer is not HTTP"),
        Transport::Timeout => (Category::Timeout, "timeout", "no answer in time"),
        Transport::AddressRefused => {
            (Category::Permanent, "address-refused", "calls to this address are not allowed")
        }
    };
    let message = if detail.is_empty() { meaning.to_owned() } else { format!("{meaning}: {detail}") };
    Failure { category, code: Cow::Borrowed(code), message, retry_after_ms: None }
}

/// The failure of a message that nobody answered for.
pub fn classify_unsettled(kind: Unsettled) -> Failure {
    let (category, code, message) = match kind {
        // The consumer may have done the work and died before it said so, as with any call without an answer.
        Unsettled::LeaseExpired => {
            (Category::Timeout, LEASE_EXPIRED, "the consumer did not settle the message within its lease")
        }
        Unsettled::RetentionExpired => {
            (Category::Timeout, RETENTION_EXPIRED, "the message was not delivered while its queue kept it")
        }
        Unsettled::ReceivesExhausted => (
            Category::Processing,
            RECEIVES_EXHAUSTED,
            "the message was received as often as its queue allows",
        ),
    };
    Failure { category, code: Cow::Borrowed(code), message: message.to_owned(), retry_after_ms: None }
}

/// Retry or dead. `receives` counts this one; there is no other counter of tries (requirements, decision 6), and
/// a message that cannot succeed is not tried for the sake of the count.
pub fn after_failure(
    category: Category,
    receives: u32,
    receives_max: u32,
    backoff: &Backoff,
    retry_after_ms: Option<u64>,
    random: f64,
) -> Next {
    if !category.is_retryable() || receives >= receives_max {
        return Next::Dead;
    }
    Next::Retry { delay_ms: backoff.after_retry_after(receives, retry_after_ms, random) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_fall_into_the_decided_categories() {
        let check = |statuses: &[u16], expected: Option<Category>| {
            for status in statuses {
                let failure = classify_http(*status, None, 0);
                assert_eq!(failure.as_ref().map(|failure| failure.category), expected, "{status}");
                if let Some(failure) = failure {
                    assert_eq!(failure.code, format!("http-{status}"));
                }
            }
        };
        check(&[200, 201, 202, 204, 207, 299], None);
        check(&[408, 425, 429, 500, 501, 502, 503, 504, 599], Some(Category::Transient));
        check(&[301, 302, 307, 308, 400, 401, 403, 404, 409, 410, 418, 422, 451], Some(Category::Permanent));
        check(&[0, 100, 102, 600, 999], Some(Category::Transient));
    }

    #[test]
    fn retry_after_is_kept_for_what_passes_only() {
        let wish = |status| classify_http(status, Some("7"), 0).and_then(|failure| failure.retry_after_ms);
        assert_eq!(wish(429), Some(7_000));
        assert_eq!(wish(503), Some(7_000));
        assert_eq!(wish(404), None);
        assert_eq!(wish(302), None);
    }

    #[test]
    fn transport_failures_say_whether_the_effect_is_known() {
        let category = |kind| classify_transport(kind, "").category;
        assert_eq!(category(Transport::ConnectRefused), Category::Transient);
        assert_eq!(category(Transport::Dns), Category::Transient);
        assert_eq!(category(Transport::Tls), Category::Transient);
        assert_eq!(category(Transport::Timeout), Category::Timeout);
        assert_eq!(category(Transport::AddressRefused), Category::Permanent);
        assert_eq!(
            classify_transport(Transport::Dns, "no such host").message,
            "the host's name could not be resolved: no such host"
        );
    }

    #[test]
    fn what_cannot_succeed_is_dead_at_once_and_the_rest_when_receives_are_used_up() {
        let backoff = Backoff { base_ms: 1_000, cap_ms: 60_000 };
        let next = |category, receives| after_failure(category, receives, 3, &backoff, None, 0.5);
        assert_eq!(next(Category::Permanent, 1), Next::Dead);
        assert_eq!(next(Category::Validation, 1), Next::Dead);
        assert_eq!(next(Category::Transient, 1), Next::Retry { delay_ms: 500 });
        assert_eq!(next(Category::Timeout, 2), Next::Retry { delay_ms: 1_000 });
        assert_eq!(next(Category::Processing, 3), Next::Dead);
        assert_eq!(next(Category::Transient, 4), Next::Dead);
    }
}
