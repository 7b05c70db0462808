//! Redrives: what a run takes, when it gives back, and what it leaves behind.

use posthaste_base::{Code, DeadLetterId, RedriveId};
use posthaste_broker::RedriveStatus;
use posthaste_store::dead::NewDeadLetter;
use serde_json::json;

use super::{EVENT_ID, LEFT, Yard, redrive, run};

const WAITING: &str = "select count(*) from posthaste.deferred";
const FREE: &str = "select count(*) from posthaste.dead_letter where redrive_id is null";

#[tokio::test]
async fn preview_shows_the_oldest_and_changes_nothing() {
    let yard = Yard::new().await;
    let ids = yard.add_many(30).await;
    let digest =
        "select hashtextextended(string_agg(d::text, ',' order by d.id), 0) from posthaste.dead_letter d";
    let before = yard.count(digest).await;
    let preview = yard.broker.preview_redrive(&redrive(json!({}))).await.unwrap();
    assert_eq!((preview.count, preview.max_messages, preview.has_more), (20, 20, true));
    assert_eq!(preview.messages.iter().map(|letter| letter.id.0).collect::<Vec<_>>(), ids[..20]);
    assert_eq!(yard.preview(json!({"maxMessages": 1_000})).await, ids);
    assert_eq!(yard.count(digest).await, before);
    assert_eq!(yard.count(WAITING).await, 0);
    assert!(yard.broker.list_redrives(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn run_takes_a_thousand_letters_at_most_and_moves_them_in_batches() {
    let yard = Yard::new().await;
    yard.add_many(1_001).await;
    let too_many = yard.broker.start_redrive(&redrive(json!({"maxMessages": 1_001}))).await.unwrap_err();
    assert_eq!((too_many.code(), too_many.field_name()), (Code::InvalidParameter, Some("maxMessages")));
    let run = yard.start(json!({"maxMessages": 1_000, "perMessageDelayJitter": 0})).await;
    assert_eq!((run.total, run.moved, run.waiting, run.status), (1_000, 0, 1_000, RedriveStatus::Running));
    let mut batches = Vec::new();
    loop {
        match yard.broker.move_due(400).await.unwrap() {
            0 => break,
            moved => batches.push(moved),
        }
    }
    assert_eq!(batches, [400, 400, 200]);
    let run = yard.broker.redrive(run.id).await.unwrap();
    assert_eq!((run.moved, run.waiting, run.status), (1_000, 0, RedriveStatus::Done));
    assert!(run.finished_at.is_some());
    assert_eq!((yard.count(LEFT).await, yard.count(WAITING).await), (1, 1_000));
}

#[tokio::test]
async fn run_that_finds_nothing_is_recorded_as_done() {
    let yard = Yard::new().await;
    let run = yard.start(json!({"queue": "mail"})).await;
    assert_eq!((run.total, run.status, run.queue.as_deref()), (0, RedriveStatus::Done, Some("mail")));
    assert_eq!(yard.broker.list_redrives(None, 10).await.unwrap(), std::slice::from_ref(&run));
    assert_eq!(yard.broker.list_redrives(Some(run.id), 10).await.unwrap(), []);
    assert_eq!(yard.broker.move_due(10).await.unwrap(), 0);
}

#[tokio::test]
async fn cancelled_run_lets_go_of_what_has_not_gone_back() {
    let yard = Yard::new().await;
    yard.add_many(10).await;
    let run = yard.start(json!({"perMessageDelayJitter": 0})).await;
    assert_eq!(yard.count(FREE).await, 0);
    assert_eq!(yard.broker.move_due(4).await.unwrap(), 4);
    let run = yard.broker.cancel_redrive(run.id).await.unwrap();
    assert_eq!((run.status, run.moved, run.released, run.waiting), (RedriveStatus::Cancelled, 4, 6, 0));
    assert_eq!((yard.count(FREE).await, yard.count(WAITING).await), (6, 4));
    assert_eq!(yard.broker.move_due(100).await.unwrap(), 0);
    assert_eq!(yard.broker.cancel_redrive(run.id).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(yard.broker.cancel_redrive(RedriveId(999)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(yard.broker.redrive(RedriveId(999)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(yard.start(json!({})).await.total, 6, "another run may take them");
}

#[tokio::test]
async fn two_runs_at_once_take_different_letters() {
    let yard = Yard::new().await;
    let ids = yard.add_many(200).await;
    let body = json!({"maxMessages": 150});
    let (one, other) = tokio::join!(yard.start(body.clone()), yard.start(body));
    assert_eq!(one.total + other.total, 200);
    for run in [one, other] {
        let taken = format!("select count(*) from posthaste.dead_letter where redrive_id = {}", run.id);
        assert_eq!(yard.count(&taken).await, i64::from(run.total));
    }
    assert_eq!(yard.count(FREE).await, 0);
    assert_eq!(ids.len(), 200);
}

#[tokio::test]
async fn run_goes_on_after_a_restart() {
    let yard = Yard::new().await;
    yard.add_many(10).await;
    let run = yard.start(json!({"perMessageDelayJitter": 0})).await;
    yard.broker.move_due(3).await.unwrap();
    let yard = yard.restarted("0").await;
    assert_eq!(yard.broker.redrive(run.id).await.unwrap().waiting, 7);
    assert_eq!(yard.broker.move_due(100).await.unwrap(), 7);
    assert_eq!(yard.broker.redrive(run.id).await.unwrap().status, RedriveStatus::Done);
}

#[tokio::test]
async fn messages_go_back_within_the_jitter_and_not_before() {
    let yard = Yard::new().await;
    yard.add_many(60).await;
    let first = yard.start(json!({"maxMessages": 20, "perMessageDelayJitter": 900})).await;
    let paced = json!({"maxMessages": 20, "perMessageDelayJitter": 0, "ratePerSecond": 1});
    let second = yard.start(paced).await;
    let third = yard.start(json!({"maxMessages": 20, "perMessageDelayJitter": 5})).await;
    let check = async |run: RedriveId, least: i64, most: i64| {
        let outside = format!(
            "select count(*) from posthaste.dead_letter d join posthaste.redrive r on r.id = d.redrive_id
            where r.id = {run} and extract(epoch from d.redrive_at - r.started_at) not between {least} and {most}"
        );
        assert_eq!(yard.count(&outside).await, 0, "run {run}");
    };
    // The database's clock runs on between the start and the taking, hence the second.
    check(first.id, 0, 901).await;
    check(second.id, 0, 20).await;
    check(third.id, 0, 6).await;
    let spread = "select count(distinct redrive_at) from posthaste.dead_letter where redrive_id = ";
    assert_eq!(yard.count(&format!("{spread}{}", second.id)).await, 20, "one a second");
    assert!(yard.count(&format!("{spread}{}", first.id)).await > 10, "jitter spreads them");
    let run = yard.broker.cancel_redrive(second.id).await.unwrap();
    assert_eq!(run.released, 20);
    let moved = yard.broker.move_due(100).await.unwrap();
    assert!(moved < 40, "{moved} moved at once");
    let yard = yard.restarted("901 seconds").await;
    assert_eq!(yard.broker.move_due(100).await.unwrap(), 40 - moved);
}

#[tokio::test]
async fn redriven_message_comes_back_as_it_was_under_its_id() {
    let yard = Yard::new().await;
    let payload = vec![0, 159, 146, 150, 255];
    let attributes = Some(r#"{"region": "eu"}"#.to_owned());
    let letter = NewDeadLetter { payload: Some(payload.clone()), attributes, ..yard.letter("mail", 4_711) };
    yard.add(&[letter]).await;
    yard.start(json!({"perMessageDelayJitter": 0})).await;
    yard.broker.move_due(10).await.unwrap();
    let mail = yard.broker.catalog().queue("mail").unwrap().id;
    yard.broker.promote(mail).await.unwrap();
    let wait = std::time::Duration::from_secs(10);
    let received = yard.broker.receive("mail", 10, None, wait).await.unwrap();
    let message = received.first().expect("the message");
    assert_eq!((message.id.0, message.receives), (4_711, 1));
    assert_eq!(
        (message.payload.as_ref(), message.attributes.as_deref()),
        (&payload[..], Some(r#"{"region": "eu"}"#))
    );
    assert!(message.sent_at > "2026-01-03T00:00:00Z".parse().unwrap(), "its time in the queue begins anew");
}

/// An event that ended as failed, with two messages of which `dead` died.
const FAILED_EVENT: &str = "
    insert into posthaste.event
        (id, key, payload_hash, type, priority, due_at, expires_at, published_at, fanout, finished_at, failed, payload)
    values
        ('018f0000-0000-7000-8000-000000000001', 'k', '', 'paid', 1, posthaste.now(), posthaste.now(),
        posthaste.now(), 2, posthaste.now(), true, '{\"n\": 1}');
    insert into posthaste.outcome (event_id, message_id, failed)
    values
        ('018f0000-0000-7000-8000-000000000001', 71, true),
        ('018f0000-0000-7000-8000-000000000001', 72, false)";
#[tokio::test]
async fn event_of_a_redriven_message_is_under_way_again() {
    let yard = Yard::new().await;
    run(&yard.db, FAILED_EVENT).await;
    let letter = NewDeadLetter {
        event_id: Some(EVENT_ID.parse().unwrap()),
        tracked: true,
        payload: None,
        ..yard.letter("mail", 71)
    };
    let ids = yard.add(&[letter]).await;
    let whole = serde_json::to_value(yard.broker.dead_letter(DeadLetterId(ids[0])).await.unwrap()).unwrap();
    assert_eq!(
        (&whole["payload"], &whole["type"]),
        (&json!({"n": 1}), &json!("paid")),
        "both are the event's"
    );
    yard.start(json!({"perMessageDelayJitter": 0})).await;
    yard.broker.move_due(10).await.unwrap();
    let check = async |what: &str, condition: &str| {
        assert_eq!(yard.count(&format!("select count(*) from posthaste.{condition}")).await, 1, "{what}");
    };
    check("it has not ended", "event where finished_at is null and not failed").await;
    check("the key lives on", "event where expires_at > posthaste.now() + interval '9 days'").await;
    check("the other message's end is kept", "outcome").await;
    check("this one's is forgotten", "outcome where message_id = 72").await;
    check(
        "the message is whole",
        "deferred where id = 71 and tracked and receives = 0 and payload is null and event_id is not null",
    )
    .await;
}

#[tokio::test]
async fn payload_that_differs_from_its_events_is_kept() {
    let yard = Yard::new().await;
    run(&yard.db, FAILED_EVENT).await;
    let letter = NewDeadLetter {
        event_id: Some(EVENT_ID.parse().unwrap()),
        payload: Some(b"changed".to_vec()),
        ..yard.letter("mail", 71)
    };
    yard.add(&[letter]).await;
    yard.start(json!({"perMessageDelayJitter": 0})).await;
    yard.broker.move_due(10).await.unwrap();
    assert_eq!(yard.count("select count(*) from posthaste.deferred where payload = 'changed'").await, 1);
}
