//! Subjects and schedules against a real database: occurrences in local time, their ends, and what changes move.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use posthaste_base::{Clock, Code, Error, EventId};
use posthaste_broker::{
    Broker, BrokerOptions, EventIn, EventStatus, Message, NotMovedReason, Payload, QueueIn,
    QueueSettingsPatch, ScheduleIn, ScheduleOut, Settlement, SubjectIn, SubjectPatch, SubscriptionIn,
};
use posthaste_engine::due::Due;
use posthaste_engine::failure::{Unsettled, classify_unsettled};
use posthaste_testkit::db::TestDb;
use serde_json::{Value, json};

/// A database whose clock a test sets, and a node on it.
struct World {
    db: TestDb,
    broker: Broker,
    clock: Clock,
}

impl World {
    /// With the queue `inbox`, to which nothing is subscribed yet.
    async fn at(now: &str) -> Self {
        let fingerprint = posthaste_store::schema::fingerprint();
        let db = TestDb::with_template("broker", &fingerprint, async |pool| {
            posthaste_store::schema::upgrade(&pool).await.map(|_| ())
        })
        .await;
        let clock = set_clock(&db, now).await;
        let broker = node(&db, &clock).await;
        let inbox = QueueIn { name: "inbox".into(), settings: QueueSettingsPatch::default() };
        broker.create_queue(inbox).await.expect("a queue");
        Self { db, broker, clock }
    }

    /// Moves the database's clock: sessions see it from their start on, so the node is a new one.
    async fn goes_on_at(&mut self, now: &str) {
        self.clock = set_clock(&self.db, now).await;
        self.broker = node(&self.db, &self.clock).await;
    }

    async fn subscribe(&self, name: &str, topic: &str) {
        let subscription = SubscriptionIn {
            name: name.into(),
            topic: topic.into(),
            filter: None,
            queue: Some("inbox".into()),
            endpoint: None,
        };
        self.broker.create_subscription(subscription).await.expect("a subscription");
    }

    async fn subject(&self, id: &str, zone: &str, birthday: &str) {
        self.broker.put_subject(id, subject(zone, json!({"birthday": birthday}))).await.expect("a subject");
    }

    async fn schedule(&self, schedule: Value) -> ScheduleOut {
        self.broker.create_schedule(schedule_in(schedule)).await.expect("a schedule")
    }

    /// The schedule of u1's birthday.
    async fn birthday(&self, zone: &str, date: &str) -> ScheduleOut {
        self.subject("u1", zone, date).await;
        self.schedule(json!({"name": "b", "type": "BIRTHDAY", "subject": "u1", "follows": "birthday"})).await
    }

    async fn refused(&self, schedule: Value) -> Error {
        self.broker.create_schedule(schedule_in(schedule)).await.expect_err("it should be refused")
    }

    async fn receive(&self) -> Vec<Message> {
        self.broker.publish_due().await.expect("the scheduler");
        self.broker.receive("inbox", 100, None, Duration::ZERO).await.expect("messages")
    }

    async fn receive_one(&self) -> Message {
        let mut messages = self.receive().await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    async fn settle(&self, message: &Message) {
        for answer in self.broker.settle(vec![message.receipt]).await.expect("to settle") {
            answer.expect("the lease holds");
        }
    }

    async fn status_of(&self, event: EventId) -> EventStatus {
        self.broker.show_event(event).await.expect("an event").status
    }

    async fn number(&self, query: &str) -> i64 {
        self.db.pool.get().await.unwrap().query_one(query, &[]).await.unwrap().get(0)
    }
}

/// Sets the clock of the database, and answers with that of a node that agrees with it.
async fn set_clock(db: &TestDb, now: &str) -> Clock {
    let offset = time(now).duration_since(Timestamp::now()).as_secs();
    let statement = format!(
        "do $$ begin execute format('alter database %I set posthaste.clock_offset = %L', current_database(), \
         '{offset} seconds'); end $$"
    );
    db.pool.get().await.unwrap().batch_execute(&statement).await.unwrap();
    let clock = Clock::system();
    clock.jump(SignedDuration::from_secs(offset));
    clock
}

async fn node(db: &TestDb, clock: &Clock) -> Broker {
    let pool = db.pool_with(posthaste_store::PoolOptions::of_size(10));
    Broker::open(pool, BrokerOptions::default(), clock.clone()).await.expect("a broker")
}

fn subject(zone: &str, dates: Value) -> SubjectIn {
    serde_json::from_value(json!({"zone": zone, "dates": dates})).unwrap()
}

fn patch(patch: Value) -> SubjectPatch {
    serde_json::from_value(patch).unwrap()
}

fn schedule_in(schedule: Value) -> ScheduleIn {
    serde_json::from_value(schedule).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn at(text: &str) -> Option<Timestamp> {
    Some(time(text))
}

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
