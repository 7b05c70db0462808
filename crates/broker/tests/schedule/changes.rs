//! What moves, stops or goes when a subject, a schedule or an event is changed.

use super::*;

#[tokio::test]
async fn a_change_of_zone_moves_what_is_pending() {
    let mut world = World::at("2027-03-01T00:00:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    let made = world.birthday("Europe/Berlin", "1990-03-15").await;
    let own = world
        .schedule(json!({"type": "tax", "subject": "u1", "zone": "UTC", "rule": {"yearly": "04-01"}}))
        .await;
    let event = made.event_id.unwrap();
    let old_key = world.broker.show_event(event).await.unwrap().key;

    let change = world.broker.patch_subject("u1", patch(json!({"zone": "america/new_york"}))).await.unwrap();
    assert_eq!(change.subject.zone, "America/New_York");
    let [moved] = &change.moved[..] else { panic!("{change:?}") };
    assert_eq!((moved.schedule, moved.event), (made.id, event), "one with a zone of its own stays");
    assert_eq!((moved.from, moved.to), (at("2027-03-15T08:00:00Z"), at("2027-03-15T13:00:00Z")));
    assert!(change.not_moved.is_empty());
    let shown = world.broker.show_event(event).await.unwrap();
    assert_eq!(shown.due_at, time("2027-03-15T13:00:00Z"));
    assert_ne!(shown.key, old_key);
    let (schedule, own) = (world.broker.get_schedule("b").await.unwrap(), own.id.to_string());
    assert_eq!((schedule.next_at, schedule.event_id), (moved.to, Some(event)));
    assert_eq!(world.broker.get_schedule(&own).await.unwrap().next_at, at("2027-04-01T09:00:00Z"));

    world.goes_on_at("2027-03-15T08:30:00Z").await;
    assert!(world.receive().await.is_empty(), "the old time has no meaning any more");
    world.goes_on_at("2027-03-15T13:00:05Z").await;
    let message = world.receive_one().await;
    assert_eq!(message.event.unwrap().id, event);

    let again = world.broker.patch_subject("u1", patch(json!({"zone": "Asia/Tokyo"}))).await.unwrap();
    let [stays] = &again.not_moved[..] else { panic!("{again:?}") };
    assert_eq!((stays.event, stays.reason), (event, NotMovedReason::InDelivery));
    assert!(again.moved.is_empty());
    world.broker.settle(vec![message.receipt]).await.unwrap().remove(0).unwrap();
    let schedule = world.broker.get_schedule("b").await.unwrap();
    assert_eq!(schedule.next_at, at("2028-03-15T00:00:00Z"), "the next one is made in the new zone");
}

#[tokio::test]
async fn a_time_that_has_passed_in_the_new_zone_is_due_at_once() {
    let world = World::at("2027-03-15T10:00:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    let made = world.birthday("America/New_York", "1990-03-15").await;
    world.broker.patch_subject("u1", patch(json!({"zone": "Asia/Tokyo"}))).await.unwrap();
    assert_eq!(world.receive_one().await.event.map(|event| event.id), made.event_id);
}

/// A birthday in Berlin is received, its subject goes from there to `zones`, one after the other, and then it is
/// settled, a minute after it was due.
async fn check_moved_in_delivery(zones: &[&str], expected: &str) {
    let mut world = World::at("2027-03-15T07:59:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    world.birthday("Europe/Berlin", "1990-03-15").await;
    world.goes_on_at("2027-03-15T08:00:05Z").await;
    let message = world.receive_one().await;
    for zone in zones {
        let change = world.broker.patch_subject("u1", patch(json!({"zone": zone}))).await.unwrap();
        assert_eq!((change.moved.len(), change.not_moved.len()), (0, 1), "{zone}");
    }
    world.goes_on_at("2027-03-15T08:01:00Z").await;
    world.settle(&message).await;
    assert_eq!(world.broker.get_schedule("b").await.unwrap().next_at, at(expected), "{zones:?}");
}

#[tokio::test]
async fn who_moves_while_a_birthday_is_delivered_has_no_second_one_on_that_day() {
    check_moved_in_delivery(&["America/New_York"], "2028-03-15T13:00:00Z").await;
    check_moved_in_delivery(&["Asia/Tokyo"], "2028-03-15T00:00:00Z").await;
    check_moved_in_delivery(&["Pacific/Kiritimati", "Pacific/Midway"], "2028-03-15T20:00:00Z").await;
}

#[tokio::test]
async fn what_comes_once_comes_once_though_its_subject_moves_west_while_it_is_delivered() {
    let mut world = World::at("2027-03-15T07:59:00Z").await;
    world.subscribe("s", "visa").await;
    world.birthday("Asia/Tokyo", "1990-09-01").await;
    let rule = json!({"once": "2027-03-15T17:00"});
    let once = world.schedule(json!({"type": "visa", "subject": "u1", "rule": rule})).await;
    world.goes_on_at("2027-03-15T08:00:05Z").await;
    let message = world.receive_one().await;
    world.broker.patch_subject("u1", patch(json!({"zone": "America/New_York"}))).await.unwrap();
    world.goes_on_at("2027-03-15T21:00:05Z").await;
    world.broker.go_on_by_the_clock().await.unwrap();
    assert!(world.receive().await.is_empty(), "by the clock");
    world.settle(&message).await;
    let ended = world.broker.get_schedule(&once.id.to_string()).await.unwrap();
    assert_eq!((ended.status.as_str(), ended.next_at), ("finished", None));
}

#[tokio::test]
async fn a_date_that_is_corrected_after_its_day_comes_on_its_own_day_too() {
    let mut world = World::at("2027-03-15T07:59:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    world.birthday("Europe/Berlin", "1990-03-15").await;
    world.goes_on_at("2027-03-15T08:00:05Z").await;
    let message = world.receive_one().await;
    world.settle(&message).await;
    world.goes_on_at("2027-03-16T12:00:00Z").await;
    let dates = json!({"dates": {"birthday": "1990-03-20"}});
    let moved = world.broker.patch_subject("u1", patch(dates)).await.unwrap().moved.remove(0);
    assert_eq!((moved.from, moved.to), (at("2028-03-15T08:00:00Z"), at("2027-03-20T08:00:00Z")));
}

#[tokio::test]
async fn a_date_that_goes_takes_its_occurrence_and_one_that_comes_brings_one() {
    let world = World::at("2027-03-01T00:00:00Z").await;
    let made = world.birthday("UTC", "1990-03-15").await;
    let change =
        async |dates: Value| world.broker.patch_subject("u1", patch(json!({"dates": dates}))).await.unwrap();

    let moved = change(json!({"birthday": "1990-02-15"})).await.moved.remove(0);
    assert_eq!((Some(moved.event), moved.to), (made.event_id, at("2028-02-15T09:00:00Z")));
    assert!(change(json!({"birthday": "1991-02-15"})).await.moved.is_empty(), "the same day of the year");
    assert!(change(json!({"wedding": "2020-05-05"})).await.moved.is_empty(), "nothing follows it");

    let gone = change(json!({"birthday": null})).await.moved.remove(0);
    assert_eq!((Some(gone.event), gone.to), (made.event_id, None));
    assert_eq!(world.status_of(gone.event).await, EventStatus::Cancelled);
    let waits = world.broker.get_schedule("b").await.unwrap();
    assert_eq!((waits.status.as_str(), waits.event_id, waits.next_at), ("active", None, None));

    let back = change(json!({"birthday": "1990-03-15"})).await.moved.remove(0);
    assert_ne!(Some(back.event), made.event_id);
    assert_eq!((back.from, back.to), (None, at("2027-03-15T09:00:00Z")));
    assert_eq!(world.number("select count(*) from posthaste.waiting").await, 1);
}

#[tokio::test]
async fn a_paused_schedule_makes_nothing_until_it_is_resumed() {
    let mut world = World::at("2027-03-01T00:00:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    let made = world.birthday("UTC", "1990-03-15").await;
    let paused = world.broker.pause_schedule("b").await.unwrap();
    assert_eq!((paused.withdrawn, paused.in_delivery), (made.event_id, None));
    assert_eq!((paused.schedule.status.as_str(), paused.schedule.event_id), ("paused", None));
    assert_eq!(world.broker.pause_schedule("b").await.unwrap().withdrawn, None, "once is enough");
    let change = world.broker.patch_subject("u1", patch(json!({"zone": "Asia/Tokyo"}))).await.unwrap();
    assert!(change.moved.is_empty() && change.not_moved.is_empty());

    world.goes_on_at("2027-03-16T00:00:00Z").await;
    assert!(world.receive().await.is_empty());
    let resumed = world.broker.resume_schedule("b").await.unwrap().schedule;
    assert_eq!((resumed.status.as_str(), resumed.next_at), ("active", at("2028-03-15T00:00:00Z")));
    let again = world.broker.resume_schedule("b").await.unwrap().schedule;
    assert_eq!(again.event_id, resumed.event_id);
}

#[tokio::test]
async fn what_is_in_delivery_cannot_be_taken_back_and_has_no_successor() {
    let mut world = World::at("2027-03-15T08:59:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    let made = world.birthday("UTC", "1990-03-15").await;
    world.goes_on_at("2027-03-15T09:00:05Z").await;
    let message = world.receive_one().await;
    let cancelled = world.broker.cancel_schedule("b").await.unwrap();
    assert_eq!((cancelled.withdrawn, cancelled.in_delivery), (None, made.event_id));
    assert_eq!(cancelled.schedule.status, "cancelled");
    world.settle(&message).await;
    assert_eq!(world.status_of(made.event_id.unwrap()).await, EventStatus::Completed);
    assert_eq!(world.number("select count(*) from posthaste.waiting").await, 0);
    let error = world.broker.resume_schedule("b").await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Conflict, "schedule `b` is cancelled"));
}

#[tokio::test]
async fn a_schedule_that_is_resumed_while_it_delivers_goes_on_once() {
    let mut world = World::at("2027-03-15T08:59:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    world.birthday("UTC", "1990-03-15").await;
    world.goes_on_at("2027-03-15T09:00:05Z").await;
    let message = world.receive_one().await;
    world.broker.pause_schedule("b").await.unwrap();
    let resumed = world.broker.resume_schedule("b").await.unwrap().schedule;
    world.settle(&message).await;
    let after = world.broker.get_schedule("b").await.unwrap();
    assert_eq!((after.event_id, after.occurrences), (resumed.event_id, 2));
    assert_eq!(world.number("select count(*) from posthaste.waiting").await, 1);
}

#[tokio::test]
async fn a_cancelled_event_is_not_published_and_its_schedule_goes_on() {
    let mut world = World::at("2027-03-01T00:00:00Z").await;
    world.subscribe("s", "BIRTHDAY").await;
    let made = world.birthday("UTC", "1990-03-15").await;
    let cancelled = world.broker.cancel_event(made.event_id.unwrap()).await.unwrap();
    assert_eq!(cancelled.next_at, at("2028-03-15T09:00:00Z"));
    let after = world.broker.get_schedule("b").await.unwrap();
    assert_eq!((after.event_id, after.next_at), (cancelled.next, cancelled.next_at));
    let again = world.broker.cancel_event(made.event_id.unwrap()).await.unwrap();
    assert_eq!(again.next, None, "cancelled is cancelled");

    let payload = Payload::json(b"{}".as_slice().into()).unwrap();
    let due = Some(Due::Instant(time("2027-03-02T00:00:00Z")));
    let event = EventIn { event_type: Some("BIRTHDAY".into()), due, ..EventIn::of(payload.clone()) };
    let later = world.broker.publish(event).await.unwrap().id;
    assert_eq!(world.broker.cancel_event(later).await.unwrap().next, None);
    let event =
        EventIn { event_type: Some("BIRTHDAY".into()), key: Some("k".into()), ..EventIn::of(payload) };
    let now = world.broker.publish(event).await.unwrap().id;
    let error = world.broker.cancel_event(now).await.unwrap_err();
    assert_eq!(error.code(), Code::Conflict);
    assert_eq!(world.broker.cancel_event(EventId::generate()).await.unwrap_err().code(), Code::NotFound);
    world.goes_on_at("2027-03-02T00:00:05Z").await;
    assert_eq!(world.receive_one().await.event.unwrap().id, now);
}

#[tokio::test]
async fn a_subject_that_is_removed_takes_its_schedules_along() {
    let world = World::at("2027-03-01T00:00:00Z").await;
    let made = world.birthday("UTC", "1990-03-15").await;
    let removed = world.broker.delete_subject("u1").await.unwrap();
    assert_eq!((removed.withdrawn, removed.in_delivery), (vec![made.event_id.unwrap()], vec![]));
    assert_eq!(world.status_of(made.event_id.unwrap()).await, EventStatus::Cancelled);
    assert_eq!(world.broker.get_schedule("b").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.broker.get_subject("u1").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.broker.delete_subject("u1").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.number("select count(*) from posthaste.waiting").await, 0);
}

#[tokio::test]
async fn changes_and_ends_at_the_same_time_leave_one_occurrence() {
    let mut world = World::at("2026-01-01T00:00:00Z").await;
    world.subscribe("s", "tick").await;
    world.subject("u1", "UTC", "1990-03-15").await;
    world
        .schedule(json!({"name": "t", "type": "tick", "subject": "u1", "rule": {"cron": "0 * * * *"}}))
        .await;
    for round in 1..=10 {
        let now = time("2026-01-01T00:00:10Z") + SignedDuration::from_hours(2 * round);
        world.goes_on_at(&now.to_string()).await;
        let receipts: Vec<_> = world.receive().await.iter().map(|message| message.receipt).collect();
        assert_eq!(receipts.len(), 1);
        let zone = if round % 2 == 0 { "UTC" } else { "Asia/Kolkata" };
        let (settled, changed, paused) = tokio::join!(
            world.broker.settle(receipts),
            world.broker.patch_subject("u1", patch(json!({"zone": zone}))),
            async {
                world.broker.pause_schedule("t").await?;
                world.broker.resume_schedule("t").await
            }
        );
        settled.unwrap();
        changed.unwrap();
        paused.unwrap();
        let schedule = world.broker.get_schedule("t").await.unwrap();
        let waiting = "select count(*) from posthaste.waiting";
        assert_eq!((schedule.status.as_str(), world.number(waiting).await), ("active", 1));
        // Kolkata is half an hour off, so the minute tells which zone the occurrence was made for.
        let minute = if zone == "UTC" { 0 } else { 30 };
        let next = schedule.next_at.unwrap();
        assert_eq!(next.to_zoned(jiff::tz::TimeZone::UTC).minute(), minute, "round {round}: {next}");
    }
}
