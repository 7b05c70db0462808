//! When schedules occur, and what follows when an occurrence ends.

use super::*;

#[tokio::test]
async fn a_birthday_is_at_nine_where_the_subject_lives() {
    let world = World::at("2027-01-10T00:00:00Z").await;
    for (n, (zone, birthday, expected)) in [
        ("Europe/Berlin", "1990-03-15", "2027-03-15T08:00:00Z"),
        ("Europe/Berlin", "1990-07-15", "2027-07-15T07:00:00Z"),
        ("America/New_York", "1990-03-15", "2027-03-15T13:00:00Z"),
        ("Asia/Kathmandu", "1990-03-15", "2027-03-15T03:15:00Z"),
        ("Pacific/Kiritimati", "1990-03-15", "2027-03-14T19:00:00Z"),
        ("America/New_York", "1990-01-09", "2028-01-09T14:00:00Z"),
        ("UTC", "1992-02-29", "2027-02-28T09:00:00Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("u{n}");
        world.subject(&id, zone, birthday).await;
        let made = world.schedule(json!({"type": "BIRTHDAY", "subject": id, "follows": "birthday"})).await;
        assert_eq!(made.next_at, at(expected), "{zone} {birthday}");
        assert!(made.next_local.unwrap().contains("T09:00:00"), "{zone} {birthday}");
        assert_eq!((made.status.as_str(), made.occurrences), ("active", 1));
    }
}

#[tokio::test]
async fn completion_makes_next_years_event_whole() {
    let mut world = World::at("2027-02-20T00:00:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    world.subject("u1", "Europe/Berlin", "1992-02-29").await;
    let template = json!({
        "name": "b", "type": "BIRTHDAY", "subject": "u1", "follows": "birthday", "at": "10:30",
        "priority": "HIGH", "attributes": {"channel": "mail"}, "payload": {"webhook": "https://a.example", "n": 1.5}
    });
    let made = world.schedule(template).await;
    assert_eq!(made.next_at, at("2027-02-28T09:30:00Z"));
    assert!(world.receive().await.is_empty(), "it is not due");

    world.goes_on_at("2027-02-28T09:30:05Z").await;
    let first = world.receive_one().await;
    let before = world.broker.get_schedule("b").await.unwrap();
    assert_eq!(before.next_at, made.next_at, "the next one is made when this one has ended");
    world.settle(&first).await;
    assert_eq!(world.status_of(made.event_id.unwrap()).await, EventStatus::Completed);
    let after = world.broker.get_schedule("b").await.unwrap();
    assert_eq!((after.next_at, after.occurrences), (at("2028-02-29T09:30:00Z"), 2));

    world.goes_on_at("2028-02-29T09:30:05Z").await;
    let second = world.receive_one().await;
    let (first_event, second_event) = (first.event.unwrap(), second.event.unwrap());
    assert_eq!(Some(second_event.id), after.event_id);
    assert_ne!(second_event.key, first_event.key);
    assert_eq!(second_event.event_type, "BIRTHDAY");
    assert_eq!(second_event.subject.as_deref(), Some("u1"));
    assert_eq!(second_event.priority, posthaste_base::Priority::High);
    assert_eq!(second_event.attributes, first_event.attributes);
    assert_eq!(second.payload, first.payload);
    let payload: Value = serde_json::from_slice(&second.payload).unwrap();
    assert_eq!(payload, json!({"webhook": "https://a.example", "n": 1.5}));
}

#[tokio::test]
async fn an_occurrence_that_dies_does_not_end_its_schedule() {
    let mut world = World::at("2027-03-15T07:59:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    let made = world.birthday("Europe/Berlin", "1990-03-15").await;
    world.goes_on_at("2027-03-15T08:00:05Z").await;
    let message = world.receive_one().await;
    let failure = classify_unsettled(Unsettled::ReceivesExhausted);
    let dead = Settlement::dead(message.receipt, &failure);
    world.broker.conclude(vec![dead]).await.unwrap().remove(0).unwrap();
    assert_eq!(world.status_of(made.event_id.unwrap()).await, EventStatus::Failed);
    let after = world.broker.get_schedule("b").await.unwrap();
    assert_eq!((after.status.as_str(), after.next_at), ("active", at("2028-03-15T08:00:00Z")));
}

#[tokio::test]
async fn an_occurrence_that_nobody_subscribes_to_ends_when_it_is_published() {
    let mut world = World::at("2027-03-15T07:59:00Z").await;
    let made = world.birthday("Europe/Berlin", "1990-03-15").await;
    world.goes_on_at("2027-03-15T08:00:05Z").await;
    assert!(world.receive().await.is_empty());
    assert_eq!(world.status_of(made.event_id.unwrap()).await, EventStatus::Completed);
    let after = world.broker.get_schedule("b").await.unwrap();
    assert_eq!((after.next_at, after.occurrences), (at("2028-03-15T08:00:00Z"), 2));
}

#[tokio::test]
async fn occurrences_that_were_missed_are_skipped() {
    let mut world = World::at("2026-01-01T00:00:00Z").await;
    world.subscribe("s", "tick").await;
    world.schedule(json!({"name": "t", "type": "tick", "rule": {"cron": "0 * * * *"}, "zone": "UTC"})).await;
    world.goes_on_at("2026-01-03T10:20:00Z").await;
    let late = world.receive_one().await;
    assert_eq!(late.event.as_ref().unwrap().due_at, time("2026-01-01T01:00:00Z"));
    world.settle(&late).await;
    let after = world.broker.get_schedule("t").await.unwrap();
    assert_eq!(after.next_at, at("2026-01-03T11:00:00Z"));
}

#[tokio::test]
async fn two_nodes_that_finish_an_event_together_make_one_next() {
    let mut world = World::at("2026-01-01T00:00:00Z").await;
    for name in ["a", "b", "c", "d"] {
        world.subscribe(name, "tick").await;
    }
    world.schedule(json!({"name": "t", "type": "tick", "rule": {"cron": "0 * * * *"}, "zone": "UTC"})).await;
    for round in 1..=8 {
        world.goes_on_at(&format!("2026-01-01T{round:02}:00:10Z")).await;
        let other = node(&world.db, &world.clock).await;
        let receipts: Vec<_> = world.receive().await.iter().map(|message| message.receipt).collect();
        assert_eq!(receipts.len(), 4);
        let (one, two) =
            tokio::join!(world.broker.settle(receipts[..2].to_vec()), other.settle(receipts[2..].to_vec()),);
        assert!(one.unwrap().iter().chain(&two.unwrap()).all(Result::is_ok));
        let schedule = world.broker.get_schedule("t").await.unwrap();
        assert_eq!(schedule.occurrences, round + 1);
        assert_eq!(world.number("select count(*) from posthaste.waiting").await, 1);
    }
    assert_eq!(world.number("select count(*) from posthaste.event").await, 9);
}

#[tokio::test]
async fn a_skipped_hour_moves_the_occurrence_and_only_that_one() {
    let mut world = World::at("2026-03-28T02:00:00Z").await;
    world.subscribe("s", "tick").await;
    let rule = json!({"name": "t", "type": "tick", "rule": {"cron": "30 2 * * *"}, "zone": "Europe/Berlin"});
    let made = world.schedule(rule).await;
    assert_eq!(made.next_local.as_deref(), Some("2026-03-29T03:30:00+02:00[Europe/Berlin]"));
    world.goes_on_at("2026-03-29T01:30:05Z").await;
    let message = world.receive_one().await;
    world.settle(&message).await;
    let after = world.broker.get_schedule("t").await.unwrap();
    assert_eq!(after.next_local.as_deref(), Some("2026-03-30T02:30:00+02:00[Europe/Berlin]"));
}

#[tokio::test]
async fn a_rule_that_ends_finishes_its_schedule() {
    let mut world = World::at("2026-05-01T00:00:00Z").await;
    world.subscribe("s", "tick").await;
    let rrule = json!({"rrule": "FREQ=DAILY;COUNT=2", "from": "2026-05-01T09:00"});
    world.schedule(json!({"name": "r", "type": "tick", "rule": rrule, "zone": "UTC"})).await;
    let once = json!({"once": "2026-05-01T09:00"});
    world.schedule(json!({"name": "o", "type": "tick", "rule": once, "zone": "UTC"})).await;
    world.goes_on_at("2026-05-01T09:00:05Z").await;
    for message in world.receive().await {
        world.settle(&message).await;
    }
    let once = world.broker.get_schedule("o").await.unwrap();
    assert_eq!((once.status.as_str(), once.event_id, once.occurrences), ("finished", None, 1));
    assert_eq!(world.broker.get_schedule("r").await.unwrap().next_at, at("2026-05-02T09:00:00Z"));
    world.goes_on_at("2026-05-02T09:00:05Z").await;
    let last = world.receive_one().await;
    world.settle(&last).await;
    let rrule = world.broker.get_schedule("r").await.unwrap();
    assert_eq!((rrule.status.as_str(), rrule.next_at, rrule.occurrences), ("finished", None, 2));
    assert_eq!(world.broker.cancel_schedule("r").await.unwrap_err().code(), Code::Conflict);
}

#[tokio::test]
async fn a_strangers_key_does_not_stop_a_schedule() {
    let mut world = World::at("2026-01-01T00:00:00Z").await;
    world.subscribe("s", "tick").await;
    let made = world
        .schedule(json!({"name": "t", "type": "tick", "rule": {"cron": "0 * * * *"}, "zone": "UTC"}))
        .await;
    let key = Some(format!("schedule:{}:2:2026-01-01T02:00:00Z", made.id));
    let payload = Payload::json(b"{}".as_slice().into()).unwrap();
    let stranger = EventIn { event_type: Some("else".into()), key, ..EventIn::of(payload) };
    world.broker.publish(stranger).await.unwrap();
    world.goes_on_at("2026-01-01T01:00:05Z").await;
    let message = world.receive_one().await;
    world.settle(&message).await;
    world.goes_on_at("2026-01-01T02:00:05Z").await;
    let schedule = world.broker.get_schedule("t").await.unwrap();
    assert_eq!(world.receive_one().await.event.map(|event| event.id), schedule.event_id);
}
