//! How an event's end is told, and that it ends once, also when an answer comes after the lease has run out.

use std::time::Duration;

use posthaste_base::EventId;
use posthaste_testkit::receiver::Behaviour;
use serde_json::Value;

use crate::post_office::{LONG, ORDERS, PostOffice, options, until};

fn told() -> String {
    let ends = r#"
        [endpoints.ends]
        url = "{receiver}/ends"
        [subscriptions.completed]
        topic = "EventCompleted"
        endpoint = "ends"
        [subscriptions.failed]
        topic = "EventFailed"
        endpoint = "ends"
    "#;
    format!("{ORDERS}\ntimeout_ms = 30000\n{ends}")
}

/// Waits for so many ends and answers with all: (type, event).
async fn ends(office: &PostOffice, count: usize) -> Vec<(String, EventId)> {
    until("the ends", async || (office.calls("/ends").len() >= count).then_some(())).await;
    let ends = office.calls("/ends").into_iter().map(|call| {
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let id = body["eventId"].as_str().unwrap().parse().unwrap();
        (call.header("posthaste-event-type").unwrap().to_owned(), id)
    });
    ends.collect()
}

#[tokio::test]
async fn completed_and_failed_events_are_told_of_once_each() {
    let office = PostOffice::open(&told()).await;
    let good = office.publish("order").await.id;
    office.delivered(good).await;
    assert_eq!(ends(&office, 1).await, [("EventCompleted".to_owned(), good)]);
    office.receiver.behave("/shop", Behaviour::answer(410));
    let bad = office.publish("order").await.id;
    office.died(bad).await;
    assert_eq!(ends(&office, 2).await[1..], [("EventFailed".to_owned(), bad)]);
    office.emptied("low").await;
    assert_eq!(office.calls("/ends").len(), 2, "what is told has no end of its own");
}

/// Chats, pagers, mail and SMS have interfaces of their own, which a template speaks.
#[tokio::test]
async fn a_dead_letter_is_told_to_a_chat_and_by_sms_in_their_own_words() {
    let chat = r#"
        [endpoints.chat]
        url = "{receiver}/chat"
        headers = { authorization = "Bearer t" }
        body = { text = "{payload.type} {payload.subject}: {payload.deadLetter.error}", letter = "{payload.deadLetter.id}", place = ["{payload.deadLetter.queue}", "{payload.deadLetter.endpoint}", "{payload.deadLetter.code}"] }
        [subscriptions.chat]
        topic = "EventFailed"
        endpoint = "chat"
        [endpoints.sms]
        url = "{receiver}/sms"
        body = { To = "+491", Body = "{payload.type} & {payload.subject}" }
        body_type = "form"
        [subscriptions.sms]
        topic = "EventFailed"
        endpoint = "sms"
    "#;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let declared =
        format!("{ORDERS}\n{chat}").replace("/chat\"\n", &format!("/chat\"\nsecret = \"{secret}\"\n"));
    let office = PostOffice::open(&declared).await;
    office.receiver.check_signatures(&[secret]);
    office.receiver.behave("/shop", Behaviour::answer(410));
    let bad = office.publish_as("order", |event| event.subject = Some("anna".into())).await.id;
    let (letter, _) = office.died(bad).await;
    until("the call", async || (!office.calls("/chat").is_empty()).then_some(())).await;
    let call = &office.calls("/chat")[0];
    assert_eq!((call.is_signature_valid, call.header("authorization")), (Some(true), Some("Bearer t")));
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    let text = format!("order anna: {}", letter.error);
    let place = serde_json::json!(["normal", "shop", letter.code]);
    assert_eq!(body, serde_json::json!({"text": text, "letter": letter.id, "place": place}));
    until("the other call", async || (!office.calls("/sms").is_empty()).then_some(())).await;
    let call = &office.calls("/sms")[0];
    assert_eq!(call.header("content-type"), Some("application/x-www-form-urlencoded"));
    let mut fields: Vec<_> = call.body.split(|byte| *byte == b'&').collect();
    fields.sort_unstable();
    assert_eq!(fields, [&b"Body=order+%26+anna"[..], b"To=%2B491"]);
}

/// The first call is answered with `status` when the lease has run out and a second call has delivered the message.
async fn check_late_answer(status: u16) {
    let mut office = PostOffice::without_worker(&told()).await;
    office.shorten_leases("normal", 1).await;
    office.start_worker(options());
    let late =
        if status == 200 { Behaviour::answer(200) } else { Behaviour::answer(200).fail_first(1, status) };
    office.receiver.behave("/shop", late.delay_first_ms(1, 3_000));
    let id = office.publish("order").await.id;
    office.receiver.wait_until(LONG, |counts| counts.succeeded >= 1).await.unwrap();
    // The late answer has been dealt with when its attempt is recorded.
    let both = async || {
        let event = office.broker.show_event(id).await.unwrap();
        (event.attempts.len() == 2).then_some(event)
    };
    let event = until("both attempts", both).await;
    let mut recorded: Vec<_> = event.attempts.iter().map(|one| (one.receive, one.status.unwrap())).collect();
    recorded.sort_unstable();
    assert_eq!(recorded, [(1, status as i16), (2, 200)]);
    office.emptied("normal").await;
    assert_eq!(ends(&office, 1).await, [("EventCompleted".to_owned(), id)]);
    assert!(office.letters().await.is_empty());
    let calls = office.calls("/shop");
    assert_eq!(calls.len(), 2);
    let overlap = calls[1].overlap.expect("the first call was open still");
    assert!(overlap >= Duration::from_millis(990), "called again {overlap:?} after, under a lease of 1 s");
}

#[tokio::test]
async fn good_answer_after_the_lease_ran_out_ends_nothing_twice() {
    check_late_answer(200).await;
}

#[tokio::test]
async fn bad_answer_after_the_lease_ran_out_kills_nothing() {
    check_late_answer(400).await;
}

#[tokio::test]
async fn message_that_outlives_its_leases_dies_and_its_end_is_told() {
    let mut office =
        PostOffice::without_worker(&told().replace("max_receives = 3", "max_receives = 1")).await;
    office.shorten_leases("normal", 1).await;
    office.start_worker(options());
    office.receiver.behave("/shop", Behaviour::answer(200).delay_ms(4_000));
    let id = office.publish("order").await.id;
    assert_eq!(ends(&office, 1).await, [("EventFailed".to_owned(), id)]);
    let letters = office.letters().await;
    assert_eq!((letters[0].category.as_str(), letters[0].code.as_str()), ("TIMEOUT", "lease-expired"));
}
