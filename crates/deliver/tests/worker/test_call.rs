//! A test call sends what a delivery would send.

use std::collections::BTreeSet;

use bytes::Bytes;
use posthaste_deliver::{Client, TestCall, test_call};
use posthaste_testkit::receiver::{Behaviour, Received};
use serde_json::Value;

use crate::post_office::{ORDERS, PostOffice, options};

async fn call(office: &PostOffice, payload: &'static str) -> TestCall {
    let shop = office.broker.catalog().endpoint("shop").unwrap().clone();
    let client = Client::new(options().client).unwrap();
    test_call(&office.broker, &client, &shop, payload.into()).await.unwrap()
}

fn names(call: &Received) -> BTreeSet<&str> {
    call.headers.keys().map(http::HeaderName::as_str).collect()
}

#[tokio::test]
async fn test_call_has_the_headers_and_the_form_of_a_delivery() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let own = format!("secret = \"{SECRET}\"\nheaders = {{ x-tenant = \"a\" }}\n");
    for form in ["", "body = { To = \"{payload.number}\" }\nbody_type = \"form\"\n", "kind = \"function\"\n"]
    {
        let office = PostOffice::open(&format!("{ORDERS}\n{own}{form}")).await;
        office.receiver.check_signatures(&[SECRET]);
        let id = office.publish("order").await.id;
        office.delivered(id).await;
        let tested = call(&office, r#"{"number": "+1"}"#).await;
        assert_eq!((tested.status, tested.failure), (Some(200), None));
        let calls = office.calls("/shop");
        let [delivery, test] = &calls[..] else { panic!("{} calls", calls.len()) };
        assert_eq!(names(test), names(delivery), "{form}");
        assert_eq!(test.header("content-type"), delivery.header("content-type"));
        assert_eq!((test.header("x-tenant"), test.is_signature_valid), (Some("a"), Some(true)));
        let body = String::from_utf8(test.body.to_vec()).unwrap();
        match form {
            "" => assert_eq!(body, r#"{"number": "+1"}"#),
            _ if form.starts_with("body") => assert_eq!(body, "To=%2B1"),
            _ => {
                let batch: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(batch["messages"][0]["payload"]["number"], "+1");
                assert_eq!(batch["messages"][0]["type"], "posthaste.test");
            }
        }
    }
}

fn name_all(body: &[u8]) -> Bytes {
    let batch: Value = serde_json::from_slice(body).unwrap();
    serde_json::json!({ "failed": [batch["messages"][0]["id"]] }).to_string().into()
}

#[tokio::test]
async fn test_calls_are_not_taken_for_repeats_of_each_other() {
    for kind in ["webhook", "function"] {
        let office = PostOffice::without_worker(&format!("{ORDERS}\nkind = \"{kind}\"\n")).await;
        call(&office, "{}").await;
        call(&office, "{}").await;
        let calls = office.calls("/shop");
        for name in ["webhook-id", "idempotency-key"] {
            assert_ne!(calls[0].header(name), calls[1].header(name), "{name} of a {kind}");
        }
    }
}

#[tokio::test]
async fn test_call_fails_where_a_delivery_would() {
    let office = PostOffice::without_worker(&format!("{ORDERS}\nkind = \"function\"\n")).await;
    let check = async |behaviour: Behaviour, code: &str| {
        office.receiver.behave("/shop", behaviour);
        assert_eq!(call(&office, "{}").await.failure.unwrap().0, code);
    };
    check(Behaviour::answer(422), "http-422").await;
    check(Behaviour::reply(name_all), "named-as-failed").await;
    check(Behaviour::answer(200).body(r#"{"failed": [0]}"#), "answer-unreadable").await;
}
