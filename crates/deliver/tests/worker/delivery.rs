//! What a receiver gets, and what is kept of it.

use posthaste_base::Secret;
use posthaste_deliver::SigningKey;
use posthaste_deliver::sign::{SignedHeaders, verify};
use posthaste_testkit::receiver::{Behaviour, Received};

use crate::post_office::{LONG, ORDERS, PostOffice, open_broker, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn is_signed_with(request: &Received, secret: &Secret) -> bool {
    let text = |name| request.header(name).unwrap_or_default();
    let headers = SignedHeaders {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    verify(&[SigningKey::parse(secret).unwrap()], headers, &request.body, now as i64, 300).is_ok()
}

#[tokio::test]
async fn event_is_delivered_once_signed_with_its_key_and_its_trace() {
    let office =
        PostOffice::open(&format!("{ORDERS}\nsecret = \"{SECRET}\"\nheaders = {{ x-tenant = \"a\" }}\n"))
            .await;
    office.receiver.behave("/shop", Behaviour::answer(201).body("thanks"));
    office.receiver.check_signatures(&[SECRET]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let out = office
        .publish_as("order", |event| {
            event.correlation_id = Some(format!("00-{trace}-00f067aa0ba902b7-01 order-7"));
        })
        .await;
    let event = office.delivered(out.id).await;
    let requests = office.receiver.requests();
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(request.is_signature_valid, Some(true));
    let message_id = format!("msg_{}", event.attempts[0].message_id);
    for (name, expected) in [
        ("webhook-id", message_id.as_str()),
        ("idempotency-key", &out.key),
        ("posthaste-event-type", "order"),
        ("posthaste-attempt", "1"),
        ("content-type", "application/json"),
        ("x-tenant", "a"),
        ("x-correlation-id", "order-7"),
    ] {
        assert_eq!(request.header(name), Some(expected), "{name}");
    }
    let traceparent = request.header("traceparent").expect("a traceparent");
    assert!(traceparent.starts_with(&format!("00-{trace}-")), "{traceparent}");
    assert!(!traceparent.contains("00f067aa0ba902b7"), "a call is a span of its own");
    let [attempt] = &event.attempts[..] else { panic!("{:?}", event.attempts) };
    assert_eq!((attempt.receive, attempt.status, attempt.endpoint.as_deref()), (1, Some(201), Some("shop")));
    assert_eq!((attempt.category.as_deref(), attempt.response.as_deref()), (None, Some("thanks")));
    office.emptied("normal").await;
}

#[tokio::test]
async fn only_the_first_bytes_of_an_answer_and_how_long_it_took_are_kept() {
    let office = PostOffice::open(ORDERS).await;
    office.receiver.behave("/shop", Behaviour::answer(200).body("x".repeat(5_000)).delay_ms(120));
    let id = office.publish("order").await.id;
    let event = office.delivered(id).await;
    assert_eq!(event.attempts[0].response.as_deref().map(str::len), Some(512));
    assert!((100..30_000).contains(&event.attempts[0].latency_ms), "{}", event.attempts[0].latency_ms);
}

#[tokio::test]
async fn each_subscription_gets_its_own_message_with_the_same_key() {
    let more = "[endpoints.mail]\nurl = \"{receiver}/mail\"\n[subscriptions.mail]\ntopic = \"order\"\nendpoint = \"mail\"\n";
    let office = PostOffice::open(&format!("{ORDERS}{more}")).await;
    let out = office.publish("order").await;
    office.delivered(out.id).await;
    let (shop, mail) = (office.calls("/shop"), office.calls("/mail"));
    assert_eq!((shop.len(), mail.len()), (1, 1));
    assert_ne!(shop[0].header("webhook-id"), mail[0].header("webhook-id"));
    assert_eq!(shop[0].header("idempotency-key"), mail[0].header("idempotency-key"));
}

#[tokio::test]
async fn while_a_secret_rotates_calls_are_signed_with_both_and_then_with_the_new_one() {
    let office = PostOffice::open(&format!("{ORDERS}\nsecret = \"{SECRET}\"\n")).await;
    let old = Secret::new(SECRET);
    let rotated = office.broker.rotate_secret("shop", 1).await.unwrap();
    let during = office.publish("order").await.id;
    office.delivered(during).await;
    let request = office.receiver.requests().remove(0);
    assert!(is_signed_with(&request, &old) && is_signed_with(&request, &rotated.secret));
    // To the moment, without the catalog being read again.
    let is_over = async || (office.broker.clock().now() >= rotated.old_until).then_some(());
    until("the overlap to end", is_over).await;
    office.receiver.clear();
    let after = office.publish("order").await.id;
    office.delivered(after).await;
    let request = office.receiver.requests().remove(0);
    assert!(!is_signed_with(&request, &old) && is_signed_with(&request, &rotated.secret));
}

#[tokio::test]
async fn messages_of_a_subscription_that_another_node_just_made_are_delivered() {
    let mut office = PostOffice::open("").await;
    // Without its listener this node hears of nothing.
    office.stop_ground().await;
    let other = open_broker(&office.db, false).await;
    let declaration = ORDERS.replace("{receiver}", &office.receiver.url(""));
    other.apply(&posthaste_broker::Declaration::parse(&declaration).unwrap()).await.unwrap();
    assert!(office.broker.catalog().subscriptions_by_id.is_empty());
    let event = posthaste_broker::EventIn {
        event_type: Some("order".into()),
        ..posthaste_broker::EventIn::of(posthaste_broker::Payload::json(r#"{"n": 1}"#.into()).unwrap())
    };
    other.publish(event).await.unwrap();
    office.receiver.wait_for(1, LONG).await.unwrap();
    office.emptied("normal").await;
    assert!(office.letters().await.is_empty());
}

#[tokio::test]
async fn message_of_a_removed_subscription_dies_and_says_why() {
    let mut office = PostOffice::without_worker(ORDERS).await;
    let id = office.publish("order").await.id;
    office.broker.delete_subscription("orders").await.unwrap();
    office.start_worker(crate::post_office::options());
    let (letter, attempts) = office.died(id).await;
    assert_eq!((letter.category.as_str(), letter.code.as_str()), ("PERMANENT", "no-endpoint"));
    assert!(attempts.is_empty() && office.receiver.requests().is_empty());
}
