//! What is told about events and schedules: domain events, listings, refusals.

use super::*;

#[tokio::test]
async fn posthaste_publishes_what_becomes_of_events_and_subjects() {
    let mut world = World::at("2027-03-01T00:00:00Z").await;
    for topic in posthaste_broker::DOMAIN_EVENTS {
        world.subscribe(topic, topic).await;
    }
    world.subscribe("s", "BIRTHDAY").await;
    let made = world.birthday("UTC", "1990-03-14").await;
    let changed = json!({"zone": "Europe/Berlin", "dates": {"birthday": "1990-03-15"}});
    world.broker.patch_subject("u1", patch(changed)).await.unwrap();
    let mut told = told(&world).await;
    assert_eq!(told.remove("EventScheduled").unwrap()["eventId"], json!(made.event_id));
    assert_eq!(
        told.remove("UserTimezoneChanged").unwrap(),
        json!({"subject": "u1", "from": "UTC", "to": "Europe/Berlin", "moved": 1, "notMoved": 0})
    );
    assert_eq!(told.remove("UserBirthdayChanged").unwrap()["to"], "1990-03-15");
    assert!(told.is_empty(), "{told:?}");

    world.goes_on_at("2027-03-15T08:00:05Z").await;
    assert_eq!(self::told(&world).await.len(), 1, "the event itself");
    let mut told = self::told(&world).await;
    let completed = told.remove("EventCompleted").unwrap();
    assert_eq!((&completed["eventId"], &completed["subject"]), (&json!(made.event_id), &json!("u1")));
    assert_eq!(told.remove("EventScheduled").unwrap()["dueAt"], "2028-03-15T08:00:00Z");
    assert!(told.is_empty(), "{told:?}");
    assert!(self::told(&world).await.is_empty(), "an end does not announce an end");
}

/// Receives and settles everything; the payloads by their types.
async fn told(world: &World) -> std::collections::BTreeMap<String, Value> {
    let mut told = std::collections::BTreeMap::new();
    for message in world.receive().await {
        world.settle(&message).await;
        let name = message.event.unwrap().event_type;
        let before = told.insert(name, serde_json::from_slice(&message.payload).unwrap());
        assert!(before.is_none(), "each is told once");
    }
    told
}

#[tokio::test]
async fn events_are_followed_to_their_end_when_somebody_asks() {
    let world = World::at("2027-03-01T00:00:00Z").await;
    world.subscribe("ends", "EventCompleted").await;
    world.subscribe("s", "order").await;
    let payload = Payload::json(br#"{"orderId": "test-123", "amount": 42.50}"#.as_slice().into()).unwrap();
    let event = world.broker.publish(EventIn::of(payload)).await.unwrap().id;
    assert!(told(&world).await.contains_key("order"));
    assert_eq!(told(&world).await["EventCompleted"]["eventId"], json!(event));
    let unrouted = EventIn {
        event_type: Some("nobody".into()),
        ..EventIn::of(Payload::json(b"1".as_slice().into()).unwrap())
    };
    let event = world.broker.publish(unrouted).await.unwrap().id;
    assert_eq!(told(&world).await["EventCompleted"]["eventId"], json!(event));
}

#[tokio::test]
async fn listings_go_page_by_page() {
    let world = World::at("2027-03-01T00:00:00Z").await;
    for id in ["a", "b", "c"] {
        world.subject(id, "UTC", "1990-03-15").await;
        world.schedule(json!({"type": "x", "subject": id, "follows": "birthday"})).await;
    }
    let yearly = json!({"type": "y", "subject": "b", "rule": {"yearly": "05-05"}});
    let last = world.schedule(yearly).await;
    let ids =
        |subjects: Vec<posthaste_broker::SubjectOut>| subjects.into_iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(ids(world.broker.list_subjects(None, 2).await.unwrap()), ["a", "b"]);
    assert_eq!(ids(world.broker.list_subjects(Some("b"), 2).await.unwrap()), ["c"]);
    let page = world.broker.list_schedules(None, None, 3).await.unwrap();
    assert_eq!(page.len(), 3);
    assert_eq!(
        world.broker.list_schedules(None, Some(page[2].id), 3).await.unwrap(),
        std::slice::from_ref(&last)
    );
    let of_b = world.broker.list_schedules(Some("b"), None, 10).await.unwrap();
    assert_eq!(of_b.len(), 2);
    assert_eq!(world.broker.list_schedules(Some("b"), Some(of_b[0].id), 10).await.unwrap(), [last]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_field() {
    let world = World::at("2027-03-01T00:00:00Z").await;
    world.birthday("UTC", "1990-03-15").await;
    let check = async |schedule: Value, code: Code, field: &str| {
        let error = world.refused(schedule.clone()).await;
        assert_eq!((error.code(), error.field_name()), (code, Some(field)), "{schedule}: {error}");
    };
    let cron = json!({"cron": "0 9 * * *"});
    check(json!({"type": "x", "subject": "u1", "name": "b", "rule": cron}), Code::Conflict, "name").await;
    check(json!({"type": "x", "subject": "u1", "name": "12", "rule": cron}), Code::InvalidParameter, "name")
        .await;
    check(json!({"type": "x", "subject": "nobody", "rule": cron}), Code::NotFound, "subject").await;
    check(json!({"type": "x", "subject": "u1"}), Code::InvalidSchedule, "rule").await;
    check(json!({"type": "x", "rule": cron}), Code::InvalidSchedule, "zone").await;
    check(json!({"type": "x", "follows": "birthday", "zone": "UTC"}), Code::InvalidSchedule, "subject").await;
    check(json!({"type": "x", "subject": "u1", "follows": "wedding"}), Code::InvalidSchedule, "follows")
        .await;
    check(json!({"type": "x", "rule": cron, "zone": "Europe/Berln"}), Code::UnknownZone, "zone").await;
    check(json!({"type": "x", "rule": cron, "zone": "UTC", "at": "25:00"}), Code::InvalidTime, "at").await;
    for rule in [
        cron.clone(),
        json!({"once": "2027-05-01T09:00"}),
        json!({"rrule": "FREQ=DAILY", "from": "2027-05-01T09:00"}),
    ] {
        check(json!({"type": "x", "rule": rule, "zone": "UTC", "at": "10:00"}), Code::InvalidParameter, "at")
            .await;
    }
    check(json!({"type": "EventFailed", "rule": cron, "zone": "UTC"}), Code::InvalidEvent, "type").await;
    let nul = json!({"a": ["\0"]});
    check(json!({"type": "x", "rule": cron, "zone": "UTC", "payload": nul}), Code::InvalidEvent, "payload")
        .await;
    let past = json!({"once": "2026-01-01T09:00"});
    check(json!({"type": "x", "rule": past, "zone": "UTC"}), Code::InvalidSchedule, "rule").await;
    let far = json!({"once": "2099-01-01T09:00"});
    check(json!({"type": "x", "rule": far, "zone": "UTC"}), Code::InvalidTime, "rule").await;
    let never = json!({"cron": "0 9 30 2 *"});
    let error = world.refused(json!({"type": "x", "rule": never, "zone": "UTC"})).await;
    assert_eq!(error.code(), Code::InvalidSchedule);
    assert_eq!(
        world.number("select count(*) from posthaste.schedule").await,
        1,
        "what is refused leaves nothing"
    );

    let check = async |zone: &str, dates: Value, code: Code, field: &str| {
        let error = world.broker.put_subject("u2", subject(zone, dates)).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (code, Some(field)), "{error}");
    };
    check("Mars/Olympus", json!({}), Code::UnknownZone, "zone").await;
    check("UTC", json!({"birthday": "2025-02-29"}), Code::InvalidTime, "dates.birthday").await;
    let error = world.broker.patch_subject("u2", patch(json!({}))).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn a_local_time_of_an_event_is_that_of_its_subject_once() {
    let world = World::at("2027-03-01T00:00:00Z").await;
    world.subject("u1", "Asia/Tokyo", "1990-03-15").await;
    let publish = async |subject: Option<&str>| {
        let due = Some(posthaste_engine::due::parse_due("2027-03-15T09:00").unwrap());
        let payload = Payload::json(b"1".as_slice().into()).unwrap();
        let subject = subject.map(str::to_owned);
        world.broker.publish(EventIn { due, subject, key: Some("k".into()), ..EventIn::of(payload) }).await
    };
    let made = publish(Some("u1")).await.unwrap();
    assert_eq!(made.due_at, time("2027-03-15T00:00:00Z"));
    let change = world.broker.patch_subject("u1", patch(json!({"zone": "UTC"}))).await.unwrap();
    assert!(change.moved.is_empty() && change.not_moved.is_empty(), "what moves is a schedule");
    assert_eq!(world.broker.show_event(made.id).await.unwrap().due_at, made.due_at);

    for (subject, named) in [(Some("nobody"), "there is no subject `nobody`"), (None, "names no zone")] {
        let error = publish(subject).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::InvalidTime, Some("dueAt")), "{error}");
        assert!(error.message().contains(named), "{error}");
    }
}
