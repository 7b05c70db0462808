//! What becomes of a message whose call fails: tried again, put off, or dead with its cause.

use std::time::Duration;

use posthaste_testkit::receiver::Behaviour;

use crate::post_office::{ORDERS, PostOffice};

/// An endpoint that gives up soon, with a breaker that stays out of the way.
fn impatient() -> String {
    format!("{ORDERS}\ntimeout_ms = 300\nbreaker = {{ failures_in_row = 1000, calls_min = 1000 }}\n")
}

#[tokio::test]
async fn server_errors_are_retried_with_the_same_id_and_key_until_it_is_delivered() {
    let office = PostOffice::open(&impatient()).await;
    office.receiver.behave("/shop", Behaviour::answer(200).fail_first(2, 503));
    let out = office.publish("order").await;
    let event = office.delivered(out.id).await;
    let mut statuses: Vec<_> =
        event.attempts.iter().map(|attempt| (attempt.receive, attempt.status.unwrap())).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [(1, 503), (2, 503), (3, 200)]);
    let failed = event.attempts.iter().find(|attempt| attempt.receive == 1).unwrap();
    assert_eq!((failed.category.as_deref(), failed.code.as_deref()), (Some("TRANSIENT"), Some("http-503")));
    assert_eq!(failed.response.as_deref(), Some("failing as asked"));
    let calls = office.calls("/shop");
    assert!(calls.iter().all(|call| call.header("webhook-id") == calls[0].header("webhook-id")));
    assert!(calls.iter().all(|call| call.header("idempotency-key") == Some(&out.key)));
    let counts: Vec<_> = calls.iter().map(|call| call.header("posthaste-attempt").unwrap()).collect();
    assert_eq!(counts, ["1", "2", "3"]);
    assert!(calls.iter().all(|call| call.overlap.is_none()));
}

/// Publishes to an endpoint that always behaves so; checks the category, the code and the number of receives.
async fn check_dies(behaviour: Behaviour, category: &str, code: &str, receives: i16) {
    let office = PostOffice::open(&impatient()).await;
    office.receiver.behave("/shop", behaviour);
    let id = office.publish("order").await.id;
    let (letter, attempts) = office.died(id).await;
    assert_eq!((letter.category.as_str(), letter.code.as_str()), (category, code), "{}", letter.error);
    assert_eq!((letter.receives, attempts.len()), (receives, receives as usize), "{attempts:?}");
    assert_eq!((letter.endpoint.as_deref(), letter.queue.as_str()), (Some("shop"), "normal"));
    assert_eq!(office.receiver.counts().requests, receives as u64);
    assert!(!letter.error.is_empty());
    office.emptied("normal").await;
}

#[tokio::test]
async fn server_error_kills_when_the_receives_are_used_up() {
    check_dies(Behaviour::answer(500), "TRANSIENT", "http-500", 3).await;
}

#[tokio::test]
async fn refusal_kills_at_once() {
    check_dies(Behaviour::answer(400), "PERMANENT", "http-400", 1).await;
}

#[tokio::test]
async fn redirect_is_not_followed() {
    check_dies(Behaviour::redirect("/elsewhere"), "PERMANENT", "http-307", 1).await;
}

#[tokio::test]
async fn silence_is_a_timeout() {
    check_dies(Behaviour::hang(), "TIMEOUT", "timeout", 3).await;
}

#[tokio::test]
async fn reset_connection_is_transient() {
    check_dies(Behaviour::reset(), "TRANSIENT", "connection-reset", 3).await;
}

#[tokio::test]
async fn answer_that_is_not_http_is_transient() {
    check_dies(Behaviour::raw("hello\r\n\r\n"), "TRANSIENT", "protocol-error", 3).await;
}

/// Publishes to an endpoint at this address, which no call can reach.
async fn check_unreachable(url: &str, category: &str, code: &str, receives: i16) {
    let office = PostOffice::open(&impatient().replace("{receiver}/shop", url)).await;
    let id = office.publish("order").await.id;
    let (letter, attempts) = office.died(id).await;
    assert_eq!((letter.category.as_str(), letter.code.as_str()), (category, code), "{}", letter.error);
    assert_eq!((letter.receives, attempts.len()), (receives, receives as usize));
    assert!(attempts.iter().all(|attempt| attempt.status.is_none()));
}

#[tokio::test]
async fn refused_connection_is_transient() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check_unreachable(&format!("http://{free}/"), "TRANSIENT", "connect-refused", 3).await;
}

#[tokio::test]
async fn private_address_is_refused_after_the_name_is_resolved() {
    check_unreachable("http://inner.example/", "PERMANENT", "address-refused", 1).await;
}

#[tokio::test]
async fn private_address_is_refused_when_it_is_written_out() {
    check_unreachable("http://192.168.7.7:1/", "PERMANENT", "address-refused", 1).await;
}

async fn check_retry_after(status: u16) {
    let office = PostOffice::open(&impatient()).await;
    let later = Behaviour::answer(200).fail_first(1, status).header("retry-after", "1");
    office.receiver.behave("/shop", later);
    let id = office.publish("order").await.id;
    office.delivered(id).await;
    let calls = office.calls("/shop");
    let gap = calls[1].at.duration_since(calls[0].at);
    assert!(gap >= Duration::from_millis(990), "called again after {gap:?}, without it after 60 ms at most");
}

#[tokio::test]
async fn retry_after_of_an_overloaded_endpoint_is_obeyed() {
    check_retry_after(429).await;
}

#[tokio::test]
async fn retry_after_of_an_unavailable_endpoint_is_obeyed() {
    check_retry_after(503).await;
}
