//! Subjects and schedules against a real database: what their tests share.

mod answers;
mod changes;
mod occurrences;
mod onward;

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
