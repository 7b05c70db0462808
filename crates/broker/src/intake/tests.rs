//! What each form of an event is read as, and which ones are refused.

use posthaste_base::Code;
use serde_json::json;

use super::*;
use crate::event::{EventIn, Payload};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn refused<T>(read: Result<T>) -> (Code, String) {
    let error = read.err().expect("it should be refused");
    (error.code(), error.to_string())
}

fn text_of(event: &EventIn) -> &str {
    std::str::from_utf8(event.payload.bytes()).unwrap()
}

#[test]
fn an_envelope_keeps_the_text_of_its_payload() {
    let body = r#"{"type":"order", "payload": {"amount": 42.50} ,"key":"k1","subject":"u1","priority":"high",
        "dueAt":"2030-01-01T00:00:00Z","attributes":{"region":"eu"}}"#;
    for event in [envelope(&bytes(body)).unwrap(), payload_or_envelope(bytes(body)).unwrap()] {
        assert_eq!(text_of(&event), r#"{"amount": 42.50}"#);
        assert_eq!(event.event_type.as_deref(), Some("order"));
        assert_eq!((event.key.as_deref(), event.subject.as_deref()), (Some("k1"), Some("u1")));
        assert_eq!(event.priority, Some(Priority::High));
        assert_eq!(event.attributes, *json!({"region": "eu"}).as_object().unwrap());
        assert!(event.due.is_some());
    }
}

#[test]
fn an_object_is_an_envelope_only_with_type_and_payload() {
    for body in
        [r#"{"orderId":"a","amount":1}"#, r#"{"type":"x","amount":1}"#, r#"{"payload":1}"#, "[1]", "7"]
    {
        let event = payload_or_envelope(bytes(body)).unwrap();
        assert_eq!((text_of(&event), event.event_type.as_deref()), (body, None));
    }
}

#[test]
fn what_is_wrong_in_an_envelope_is_named() {
    let (code, message) = refused(envelope(&bytes(r#"{"type":"a","payload":1,"prioritty":"HIGH"}"#)));
    assert_eq!(code, Code::UnknownParameter);
    assert_eq!(message, "`prioritty`: there is no field `prioritty`, expected perhaps `priority`");
    for (body, code, part) in [
        ("[1]", Code::InvalidEvent, "an envelope is not an object"),
        (r#"{"type":"a"}"#, Code::InvalidEvent, "`payload`: "),
        (r#"{"type":7,"payload":1}"#, Code::InvalidEvent, "`type`: `type` is of the wrong type"),
        (r#"{"type":"a","payload":1,"priority":"URGENT"}"#, Code::InvalidEvent, "`priority`: "),
        (r#"{"type":"a","payload":1,"attributes":[]}"#, Code::InvalidEvent, "`attributes`: "),
        (r#"{"type":"a","payload":1,"dueAt":"2026-02-30T00:00:00Z"}"#, Code::InvalidTime, "`dueAt`: "),
        (
            r#"{"type":"a","payload":1,"dueAt":"2026-02-03T00:00 Europe/Berln"}"#,
            Code::UnknownZone,
            "`dueAt`: ",
        ),
        (r#"{"type":"a","payloadBase64":"*"}"#, Code::InvalidEvent, "`payloadBase64`: "),
        (r#"{"type":"a","payload":{"a":1,"a":2}}"#, Code::MalformedBody, "`/payload/a`: the key comes twice"),
        (r#"{"type":"a","payload":"#, Code::MalformedBody, "EOF"),
    ] {
        let (found, message) = refused(envelope(&bytes(body)));
        assert_eq!(found, code, "{body}: {message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn each_event_of_a_batch_is_good_or_bad_by_itself() {
    let body = r#"{"events":[{"type":"a","payload":{"n": 1.0}},{"type":"a","payload":2,"kye":"x"}]}"#;
    let events = envelope_batch(&bytes(body)).unwrap();
    assert_eq!(text_of(events[0].as_ref().unwrap()), r#"{"n": 1.0}"#);
    assert_eq!(events[1].as_ref().unwrap_err().code(), Code::UnknownParameter);
    let many = format!(r#"{{"events":[{}]}}"#, vec!["{}"; 1_001].join(","));
    assert_eq!(refused(envelope_batch(&bytes(&many))).0, Code::PayloadTooLarge);
    for wrong in [r#"{"events":[]}"#, "[]", r#"{"events":[7]}"#] {
        assert_eq!(refused(envelope_batch(&bytes(wrong))).0, Code::InvalidEvent, "{wrong}");
    }
    assert_eq!(refused(envelope_batch(&bytes(r#"{"events":[{}],"x":1}"#))).0, Code::UnknownParameter);
}

const CLOUD_EVENT: &str = r#"{"specversion":"1.0","id":"7","source":"/shop","type":"com.shop.paid","subject":"u1",
    "time":"2020-01-01T00:00:00Z","datacontenttype":"application/json","posthastepriority":"CRITICAL","tenant":"a",
    "data":{"amount": 1.0}}"#;

#[test]
fn a_cloud_event_is_known_by_source_and_id() {
    let event = cloud_event(&bytes(CLOUD_EVENT)).unwrap();
    assert_eq!(event.key.as_deref(), Some("/shop 7"));
    assert_eq!(event.event_type.as_deref(), Some("com.shop.paid"));
    assert_eq!((event.subject.as_deref(), event.priority), (Some("u1"), Some(Priority::Critical)));
    assert_eq!(event.due, None, "the time says when it happened");
    assert_eq!(text_of(&event), r#"{"amount": 1.0}"#);
    let attributes = json!({"specversion": "1.0", "id": "7", "source": "/shop", "time": "2020-01-01T00:00:00Z",
        "datacontenttype": "application/json", "tenant": "a"});
    assert_eq!(Value::Object(event.attributes), attributes);
}

#[test]
fn the_three_forms_of_a_cloud_event_are_one() {
    let structured = cloud_event(&bytes(CLOUD_EVENT)).unwrap();
    let batch = cloud_event_batch(&bytes(&format!("[{CLOUD_EVENT}]"))).unwrap().remove(0).unwrap();
    let headers: [(&str, &[u8]); 7] = [
        ("specversion", b"1.0"),
        ("id", b"7"),
        ("source", b"/shop"),
        ("type", b"com.shop.paid"),
        ("subject", b"u%31"),
        ("time", b"2020-01-01T00:00:00Z"),
        ("posthastepriority", b"CRITICAL"),
    ];
    let headers = headers.into_iter().chain([("tenant", b"a".as_slice())]);
    let binary =
        cloud_event_of_headers(headers, Some("application/json"), bytes(r#"{"amount": 1.0}"#)).unwrap();
    assert_eq!((&structured, &structured), (&batch, &binary));
}

#[test]
fn data_that_is_not_json_stays_as_it_is() {
    let event = |rest: &str| {
        cloud_event(&bytes(&format!(r#"{{"specversion":"1.0","id":"7","source":"s","type":"t"{rest}}}"#)))
    };
    assert_eq!(
        event(r#","data_base64":"AAE=""#).unwrap().payload,
        Payload::Binary(Bytes::from_static(&[0, 1]))
    );
    let text = event(r#","datacontenttype":"text/plain","data":"hello""#).unwrap();
    assert_eq!(text.payload, Payload::Binary(Bytes::from_static(b"hello")));
    assert_eq!(text_of(&event("").unwrap()), "null");
    assert_eq!(refused(event(r#","data":1,"data_base64":"AAE=""#)).0, Code::InvalidEvent);
}

#[test]
fn what_is_wrong_in_a_cloud_event_is_named() {
    for (body, part) in [
        ("[]", "a CloudEvent is an object"),
        (r#"{"id":"1","source":"s","type":"t"}"#, "`specversion`: the version of CloudEvents is none"),
        (r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#, "`specversion`: "),
        (r#"{"specversion":"1.0","source":"s","type":"t"}"#, "`id`: a CloudEvent needs `id`"),
        (r#"{"specversion":"1.0","id":"1","source":"a b","type":"t"}"#, "`source`: "),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","myExt":"x"}"#, "`myExt`: "),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","ext":{}}"#, "`ext`: "),
    ] {
        let (code, message) = refused(cloud_event(&bytes(body)));
        assert_eq!(code, Code::InvalidEvent, "{body}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn keys_that_are_too_long_are_hashed_and_never_run_together() {
    let key = |source: &str, id: &str| {
        let body = json!({"specversion": "1.0", "id": id, "source": source, "type": "t"}).to_string();
        cloud_event(&bytes(&body)).unwrap().key.unwrap()
    };
    assert_ne!(key("a/b", "c"), key("a", "b/c"));
    assert_eq!(key("s", &"x".repeat(300)).len(), 64);
    assert_ne!(key("s", &"x".repeat(300)), key("s", &"x".repeat(301)));
}
