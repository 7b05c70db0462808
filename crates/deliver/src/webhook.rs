//! The headers of one attempt, as a pure function of what is known about it.
//!
//! An event that came as a CloudEvent goes out as one: its attributes are `ce-` headers again (the binary mode of
//! CloudEvents over HTTP). Attributes of other events are one header, as the JSON object that they are. Not for:
//! sending (see `client`), or what the signature covers (see `sign`).

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use posthaste_broker::MessageEvent;
use serde_json::{Map, Value};

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
pub const EVENT_ID: HeaderName = HeaderName::from_static("posthaste-event-id");
pub const SUBJECT: HeaderName = HeaderName::from_static("posthaste-subject");
pub const PRIORITY: HeaderName = HeaderName::from_static("posthaste-priority");
pub const DUE_AT: HeaderName = HeaderName::from_static("posthaste-due-at");
pub const ATTRIBUTES: HeaderName = HeaderName::from_static("posthaste-attributes");

/// Attributes that need more than this are not sent as headers: servers refuse calls whose headers are too large,
/// and what is refused is dead.
pub const ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;

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
    /// What else is said of the event. None for a batch, and where the body is of the endpoint's own form, which says
    /// what the endpoint is told.
    pub event: Option<&'a MessageEvent>,
}

/// The headers of an attempt. Texts that a header cannot carry are percent-encoded (see `header_text`).
pub fn headers(attempt: &Attempt<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(24);
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
    if let Some(event) = attempt.event {
        add_event(&mut headers, event);
    }
    headers
}

fn add_event(headers: &mut HeaderMap, event: &MessageEvent) {
    headers.insert(EVENT_ID, owned(event.id.to_string()));
    headers.insert(PRIORITY, HeaderValue::from_static(event.priority.as_str()));
    headers.insert(DUE_AT, owned(event.due_at.to_string()));
    if let Some(subject) = &event.subject {
        headers.insert(SUBJECT, value(&header_text(subject)));
    }
    let Some(attributes) = event.attributes.as_deref() else { return };
    match cloud_event(attributes) {
        Some(attributes) => add_cloud_event(headers, event, attributes),
        None if attributes.len() > ATTRIBUTES_BYTES_MAX => {}
        None => {
            let json = ascii_json(attributes);
            if json.len() <= ATTRIBUTES_BYTES_MAX {
                headers.insert(ATTRIBUTES, value(&json));
            }
        }
    }
}

/// The attributes of an event that came as a CloudEvent, if it did. Those of other events may have any names and values.
fn cloud_event(attributes: &str) -> Option<Map<String, Value>> {
    // Most events are none, and are not parsed to find that out.
    if !attributes.contains("\"specversion\"") {
        return None;
    }
    let attributes = serde_json::from_str::<Map<String, Value>>(attributes).ok()?;
    let is_there = |name| matches!(attributes.get(name), Some(Value::String(text)) if !text.is_empty());
    let is_one = attributes.get("specversion")? == "1.0" && is_there("id") && is_there("source");
    (is_one && attributes.iter().all(|(name, value)| is_of_cloud_events(name, value))).then_some(attributes)
}

fn is_of_cloud_events(name: &str, value: &Value) -> bool {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_scalar = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    !name.is_empty() && name.bytes().all(is_name) && is_scalar
}

/// All of them or none: half a CloudEvent is none. What the body is, is said in any case.
fn add_cloud_event(headers: &mut HeaderMap, event: &MessageEvent, attributes: Map<String, Value>) {
    let own = [("type", Some(&event.event_type)), ("subject", event.subject.as_ref())];
    let own = own.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?.as_str()))));
    let mut said = Vec::with_capacity(attributes.len() + 2);
    let mut n_bytes = 0;
    // The event itself says these two.
    let others = attributes.into_iter().filter(|(name, _)| name != "type" && name != "subject");
    for (name, attribute) in own.chain(others) {
        let text = match attribute {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if name == "datacontenttype" {
            headers.insert(header::CONTENT_TYPE, value(&text));
            continue;
        }
        // The words of CloudEvents: a double quote is encoded too.
        let encoded = encoded(&text, |byte| byte.is_ascii_graphic() && byte != b'%' && byte != b'"');
        n_bytes += name.len() + encoded.len();
        if let Ok(name) = HeaderName::try_from(format!("ce-{name}")) {
            said.push((name, value(&encoded)));
        }
    }
    if n_bytes <= ATTRIBUTES_BYTES_MAX {
        headers.extend(said);
    }
}

/// JSON that a header can carry: what is not visible ASCII stands in texts only, where it can be escaped, but for
/// white space.
fn ascii_json(json: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if json.bytes().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 32);
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if is_plain(byte) => escaped.push(char::from(byte)),
            Ok(byte) if byte.is_ascii_whitespace() => escaped.push(' '),
            // Writing to a string cannot fail.
            _ => drop(write!(escaped, "\\u{unit:04x}")),
        }
    }
    Cow::Owned(escaped)
}

/// A text as a header carries it: visible ASCII as it is, every other byte and `%` itself as `%` and two digits.
/// Different texts stay different, which a receiver that compares idempotency keys relies on.
pub fn header_text(text: &str) -> Cow<'_, str> {
    encoded(text, |byte| byte.is_ascii_graphic() && byte != b'%')
}

fn encoded(text: &str, is_plain: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&is_plain) {
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

/// A text that was made to be a header's value, which is not copied again.
fn owned(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text)
        .or_else(|_| HeaderValue::from_str(&header_text(text)))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use posthaste_base::{EventId, Priority, Secret};

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
            event: None,
        }
    }

    fn event(subject: Option<&str>, attributes: &str) -> MessageEvent {
        MessageEvent {
            id: EventId::generate(),
            key: "order-7".into(),
            event_type: "order.paid".into(),
            subject: subject.map(str::to_owned),
            priority: Priority::High,
            due_at: "2026-03-01T09:00:00Z".parse().unwrap(),
            correlation_id: None,
            attributes: (!attributes.is_empty()).then(|| attributes.to_owned()),
        }
    }

    #[test]
    fn headers_say_what_the_event_says() {
        let event = event(Some("user 7"), r#"{"region":"Köln","tier":"\ud83d\ude00","n":1}"#);
        let headers = headers(&Attempt { event: Some(&event), ..attempt() });
        for (name, expected) in [
            ("posthaste-event-id", event.id.to_string().as_str()),
            ("posthaste-subject", "user%207"),
            ("posthaste-priority", "HIGH"),
            ("posthaste-due-at", "2026-03-01T09:00:00Z"),
            ("posthaste-attributes", r#"{"region":"K\u00f6ln","tier":"\ud83d\ude00","n":1}"#),
            ("content-type", "application/json"),
        ] {
            assert_eq!(headers[name], expected, "{name}");
        }
    }

    #[test]
    fn attributes_of_any_text_are_the_same_json_in_a_header() {
        for text in ["plain", "grün 😀", "a\r\nx: y", "\u{7f}\0\"\\", "\u{2028}"] {
            let attributes = serde_json::json!({ "text": text, (text): [text] });
            for json in [attributes.to_string(), serde_json::to_string_pretty(&attributes).unwrap()] {
                let event = event(None, &json);
                let headers = headers(&Attempt { event: Some(&event), ..attempt() });
                let sent = headers["posthaste-attributes"].to_str().unwrap();
                assert_eq!(serde_json::from_str::<Value>(sent).unwrap(), attributes, "{json}");
            }
        }
    }

    #[test]
    fn attributes_that_would_make_the_headers_too_large_stay_away() {
        let long = |text: &str| event(None, &serde_json::json!({ "text": text }).to_string());
        for (text, is_sent) in
            [("x".repeat(4_000), true), ("x".repeat(5_000), false), ("ü".repeat(1_000), false)]
        {
            let event = long(&text);
            let headers = headers(&Attempt { event: Some(&event), ..attempt() });
            assert_eq!(headers.contains_key("posthaste-attributes"), is_sent);
        }
    }

    #[test]
    fn cloud_events_go_out_as_cloud_events() {
        let attributes = r#"{"specversion":"1.0","id":"a 1","source":"/shop","time":"2026-03-01T08:59:00Z",
            "datacontenttype":"text/plain","region":"\"Köln\" 5%","retry":3}"#;
        let event = event(Some("user-7"), attributes);
        let headers = headers(&Attempt { event: Some(&event), ..attempt() });
        for (name, expected) in [
            ("ce-specversion", "1.0"),
            ("ce-id", "a%201"),
            ("ce-source", "/shop"),
            ("ce-type", "order.paid"),
            ("ce-subject", "user-7"),
            ("ce-time", "2026-03-01T08:59:00Z"),
            ("ce-region", "%22K%C3%B6ln%22%205%25"),
            ("ce-retry", "3"),
            ("content-type", "text/plain"),
        ] {
            assert_eq!(headers[name], expected, "{name}");
        }
        assert!(!headers.contains_key("posthaste-attributes") && !headers.contains_key("ce-datacontenttype"));
        let too_long = attributes.replace("/shop", &"s".repeat(5_000));
        let event = self::event(None, &too_long);
        let headers = super::headers(&Attempt { event: Some(&event), ..attempt() });
        assert!(headers.keys().all(|name| !name.as_str().starts_with("ce-")));
        assert_eq!(headers["content-type"], "text/plain");
    }

    #[test]
    fn attributes_that_only_look_like_a_cloud_event_contradict_nothing() {
        let of = |more: &str| {
            let attributes = format!(r#"{{"specversion":"1.0","id":"a","source":"/s",{more}}}"#);
            headers(&Attempt { event: Some(&event(Some("user-7"), &attributes)), ..attempt() })
        };
        let headers = of(r#""type":"x","subject":"y""#);
        assert_eq!(headers.get_all("ce-type").iter().collect::<Vec<_>>(), ["order.paid"]);
        assert_eq!(headers.get_all("ce-subject").iter().collect::<Vec<_>>(), ["user-7"]);
        for more in [r#""userId":"u""#, r#""a-b":"c""#, r#""":1"#, r#""a":null"#, r#""a":[1]"#] {
            let headers = of(more);
            assert!(headers.contains_key("posthaste-attributes") && !headers.contains_key("ce-id"), "{more}");
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
