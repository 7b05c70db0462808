//! The headers of one attempt, as a pure function of what is known about it.
//!
//! Not for: sending (see `client`), or what the signature covers (see `sign`).

use std::borrow::Cow;
use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::sign::{SigningKey, signature};

pub const USER_AGENT: &str = concat!("Posthaste/", env!("CARGO_PKG_VERSION"));
pub const CONTENT_TYPE_DEFAULT: &str = "application/json";

pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub const EVENT_TYPE: HeaderName = HeaderName::from_static("posthaste-event-type");
pub const ATTEMPT: HeaderName = HeaderName::from_static("posthaste-attempt");

/// What is known about an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The same for every attempt of one message, so that a receiver can tell a repetition.
    pub webhook_id: &'a str,
    pub timestamp_seconds: i64,
    pub body: &'a [u8],
    /// `application/json` if not given.
    pub content_type: Option<&'a str>,
    /// The endpoint's secrets: several while they are rotated, none for an endpoint without.
    pub keys: &'a [SigningKey],
    pub idempotency_key: &'a str,
    pub event_type: &'a str,
    pub traceparent: Option<&'a str>,
    /// The id of whoever published the event.
    pub correlation_id: Option<&'a str>,
    /// How often the message has been received, this time included.
    pub receive_count: u32,
}

/// The headers of an attempt. Texts that a header cannot carry are percent-encoded (see `header_text`).
pub fn headers(attempt: &Attempt<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    let id = header_text(attempt.webhook_id);
    headers.insert(header::CONTENT_TYPE, value(attempt.content_type.unwrap_or(CONTENT_TYPE_DEFAULT)));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(WEBHOOK_ID, value(&id));
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(attempt.timestamp_seconds));
    if !attempt.keys.is_empty() {
        let signature = signature(attempt.keys, &id, attempt.timestamp_seconds, attempt.body);
        headers.insert(WEBHOOK_SIGNATURE, value(&signature));
    }
    headers.insert(IDEMPOTENCY_KEY, value(&header_text(attempt.idempotency_key)));
    headers.insert(EVENT_TYPE, value(&header_text(attempt.event_type)));
    headers.insert(ATTEMPT, HeaderValue::from(attempt.receive_count));
    if let Some(traceparent) = attempt.traceparent.filter(|text| !text.is_empty()) {
        headers.insert(TRACEPARENT, value(traceparent));
    }
    if let Some(id) = attempt.correlation_id {
        headers.insert(X_CORRELATION_ID, value(id));
    }
    headers
}

/// A text as a header carries it: visible ASCII as it is, every other byte and `%` itself as `%` and two digits.
/// Different texts stay different, which a receiver that compares idempotency keys relies on.
pub fn header_text(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text)
        .or_else(|_| HeaderValue::from_str(&header_text(text)))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use posthaste_base::Secret;

    use super::*;
    use crate::sign::{SignedHeaders, verify};

    fn attempt<'a>() -> Attempt<'a> {
        Attempt {
            webhook_id: "msg-1",
            timestamp_seconds: 1_700_000_000,
            body: b"{}",
            content_type: None,
            keys: &[],
            idempotency_key: "order-7",
            event_type: "order.paid",
            traceparent: None,
            correlation_id: None,
            receive_count: 3,
        }
    }

    #[test]
    fn headers_tell_who_what_and_which_attempt() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = headers(&Attempt {
            traceparent: Some(traceparent),
            correlation_id: Some("order-7"),
            ..attempt()
        });
        let version = format!("Posthaste/{}", env!("CARGO_PKG_VERSION"));
        for (name, expected) in [
            ("content-type", "application/json"),
            ("user-agent", version.as_str()),
            ("webhook-id", "msg-1"),
            ("webhook-timestamp", "1700000000"),
            ("idempotency-key", "order-7"),
            ("posthaste-event-type", "order.paid"),
            ("posthaste-attempt", "3"),
            ("traceparent", traceparent),
            ("x-correlation-id", "order-7"),
        ] {
            assert_eq!(headers[name], expected, "{name}");
        }
        assert!(!headers.contains_key("webhook-signature"));
    }

    #[test]
    fn signature_covers_the_id_that_is_sent() {
        let keys = [SigningKey::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap()];
        let headers = headers(&Attempt { keys: &keys, webhook_id: "grüße 1", ..attempt() });
        let text = |name: &str| headers[name].to_str().unwrap();
        let signed = SignedHeaders {
            id: text("webhook-id"),
            timestamp: text("webhook-timestamp"),
            signature: text("webhook-signature"),
        };
        assert_eq!(signed.id, "gr%C3%BC%C3%9Fe%201");
        assert_eq!(verify(&keys, signed, b"{}", 1_700_000_000, 0), Ok(()));
    }

    #[test]
    fn texts_that_a_header_cannot_carry_are_encoded_and_stay_different() {
        for (text, expected) in [
            ("plain-key:1/2", "plain-key:1/2"),
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            ("a\r\nx: y", "a%0D%0Ax:%20y"),
            ("é\0", "%C3%A9%00"),
            ("", ""),
        ] {
            assert_eq!(header_text(text), expected);
            let headers = headers(&Attempt { idempotency_key: text, event_type: text, ..attempt() });
            assert_eq!(headers["idempotency-key"], expected);
        }
    }

    #[test]
    fn a_content_type_with_a_line_break_smuggles_no_header() {
        let headers = headers(&Attempt { content_type: Some("text/plain\r\nx-evil: 1"), ..attempt() });
        assert_eq!(headers["content-type"], "text/plain%0D%0Ax-evil:%201");
        let own = Attempt { content_type: Some("application/cloudevents+json; charset=utf-8"), ..attempt() };
        assert_eq!(super::headers(&own)["content-type"], "application/cloudevents+json; charset=utf-8");
    }
}
