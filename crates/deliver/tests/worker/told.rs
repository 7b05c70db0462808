//! What an event says reaches who it is for: attributes, and CloudEvents as CloudEvents.

use bytes::Bytes;
use posthaste_broker::intake;
use posthaste_testkit::receiver::Received;

use crate::post_office::{ORDERS, PostOffice};

fn check(call: &Received, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(call.header(name), Some(*value), "{name}");
    }
}

#[tokio::test]
async fn webhook_is_told_what_the_event_says() {
    let office = PostOffice::open(ORDERS).await;
    let out = office
        .publish_as("order", |event| {
            event.attributes = serde_json::json!({"userId": "u-7"}).as_object().unwrap().clone();
            event.subject = Some("u-7".into());
        })
        .await;
    office.delivered(out.id).await;
    let (id, due_at) = (out.id.to_string(), out.due_at.to_string());
    let call = office.calls("/shop").remove(0);
    check(
        &call,
        &[
            ("posthaste-event-id", &id),
            ("posthaste-subject", "u-7"),
            ("posthaste-priority", "NORMAL"),
            ("posthaste-due-at", &due_at),
            ("posthaste-attributes", r#"{"userId":"u-7"}"#),
        ],
    );
}

#[tokio::test]
async fn endpoint_with_a_body_of_its_own_is_told_by_that_alone() {
    let office = PostOffice::open(&format!("{ORDERS}\nbody = {{ user = \"{{subject}}\" }}\n")).await;
    let out = office.publish_as("order", |event| event.subject = Some("u-7".into())).await;
    office.delivered(out.id).await;
    let call = office.calls("/shop").remove(0);
    assert_eq!(&call.body[..], br#"{"user":"u-7"}"#);
    assert_eq!(call.header("posthaste-subject"), None);
}

#[tokio::test]
async fn cloud_event_arrives_as_the_cloud_event_that_it_was() {
    let office = PostOffice::open(ORDERS).await;
    let text = r#"{"specversion":"1.0","type":"order","source":"/shop/7","id":"a-1","time":"2026-03-01T08:59:00Z",
        "datacontenttype":"text/plain","region":"eu","data":"hello"}"#;
    let event = intake::cloud_event(&Bytes::from_static(text.as_bytes())).unwrap();
    let out = office.broker.publish(event).await.unwrap();
    office.delivered(out.id).await;
    let call = office.calls("/shop").remove(0);
    check(
        &call,
        &[
            ("ce-specversion", "1.0"),
            ("ce-type", "order"),
            ("ce-source", "/shop/7"),
            ("ce-id", "a-1"),
            ("ce-time", "2026-03-01T08:59:00Z"),
            ("ce-region", "eu"),
            ("content-type", "text/plain"),
        ],
    );
    assert_eq!(&call.body[..], b"hello");
    // Read as HTTP brings it, it is the same event.
    let headers = call.headers.iter();
    let attributes =
        headers.filter_map(|(name, value)| Some((name.as_str().strip_prefix("ce-")?, value.as_bytes())));
    let again =
        intake::cloud_event_of_headers(attributes, call.header("content-type"), call.body.clone()).unwrap();
    assert!(office.broker.publish(again).await.unwrap().duplicate);
}

#[tokio::test]
async fn cloud_event_without_data_arrives_without() {
    let office = PostOffice::open(ORDERS).await;
    let text = r#"{"specversion":"1.0","type":"order","source":"/shop/7","id":"a-1",
        "datacontenttype":"text/plain"}"#;
    let event = intake::cloud_event(&Bytes::from_static(text.as_bytes())).unwrap();
    office.delivered(office.broker.publish(event).await.unwrap().id).await;
    let call = office.calls("/shop").remove(0);
    check(&call, &[("ce-id", "a-1"), ("content-type", "text/plain")]);
    assert_eq!(&call.body[..], b"");
}
