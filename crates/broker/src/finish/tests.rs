//! Ends of events where a test has to be inside of the transaction.

use jiff::Timestamp;
use posthaste_base::Clock;
use posthaste_store::{Transaction, TransactionOptions};
use posthaste_testkit::db::TestDb;
use serde_json::json;

use super::*;
use crate::{BrokerOptions, QueueIn, QueueSettingsPatch, ScheduleOut, SubscriptionIn};

/// A node on whose database an hourly schedule's event has just become two messages.
struct World {
    db: TestDb,
    broker: Broker,
    event: EventId,
    messages: [MessageId; 2],
}

impl World {
    async fn new() -> Self {
        let fingerprint = posthaste_store::schema::fingerprint();
        let db = TestDb::with_template("broker", &fingerprint, async |pool| {
            posthaste_store::schema::upgrade(&pool).await.map(|_| ())
        })
        .await;
        let options = BrokerOptions::default();
        let broker = Broker::open(db.pool.clone(), options, Clock::system()).await.unwrap();
        let inbox = QueueIn { name: "inbox".into(), settings: QueueSettingsPatch::default() };
        broker.create_queue(inbox).await.unwrap();
        for name in ["a", "b"] {
            let subscription = SubscriptionIn {
                name: name.into(),
                topic: "tick".into(),
                filter: None,
                queue: Some("inbox".into()),
                endpoint: None,
            };
            broker.create_subscription(subscription).await.unwrap();
        }
        let schedule = json!({"name": "t", "type": "tick", "rule": {"cron": "0 * * * *"}, "zone": "UTC"});
        let made = broker.create_schedule(serde_json::from_value(schedule).unwrap()).await.unwrap();
        let event = made.event_id.unwrap();
        let session = db.pool.get().await.unwrap();
        let now = Timestamp::now();
        rows::move_waiting(&session, &[rows::Move { event_id: event.0, due_at: now, key: "moved".into() }])
            .await
            .unwrap();
        assert_eq!(broker.publish_due().await.unwrap(), 1);
        let peeked = broker.peek("inbox", 10).await.unwrap();
        let messages = [peeked[0].id, peeked[1].id];
        drop(session);
        Self { db, broker, event, messages }
    }

    fn ended(&self, message: usize, failed: bool) -> Outcome {
        Outcome { event_id: self.event, message_id: self.messages[message], failed }
    }

    async fn finish(&self, outcomes: &[Outcome]) {
        let transaction = self.begin().await;
        finish_in(&transaction, &self.broker, outcomes).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn begin(&self) -> Transaction {
        Transaction::begin(&self.db.pool, TransactionOptions::default()).await.unwrap()
    }

    async fn schedule(&self) -> ScheduleOut {
        self.broker.get_schedule("t").await.unwrap()
    }

    /// Sessions that wait for a lock.
    async fn blocked(&self) -> i64 {
        let session = self.db.pool.get().await.unwrap();
        let query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        session.query_one(query, &[]).await.unwrap().get(0)
    }

    async fn waiting(&self) -> i64 {
        let session = self.db.pool.get().await.unwrap();
        session.query_one("select count(*) from posthaste.waiting", &[]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn a_transaction_that_rolls_back_makes_no_next() {
    let world = World::new().await;
    let transaction = world.begin().await;
    finish_in(&transaction, &world.broker, &[world.ended(0, false), world.ended(1, false)]).await.unwrap();
    transaction.roll_back().await;
    assert_eq!((world.schedule().await.event_id, world.waiting().await), (Some(world.event), 0));
    world.finish(&[world.ended(0, false), world.ended(1, false)]).await;
    assert_eq!((world.schedule().await.occurrences, world.waiting().await), (2, 1));
}

#[tokio::test]
async fn the_last_of_two_transactions_sees_what_the_first_wrote() {
    let world = World::new().await;
    let first = world.begin().await;
    finish_in(&first, &world.broker, &[world.ended(0, false)]).await.unwrap();
    let outcomes = [world.ended(1, false)];
    let last = world.finish(&outcomes);
    let first = async {
        while world.blocked().await == 0 {}
        first.commit().await.unwrap();
    };
    tokio::join!(last, first);
    assert_eq!((world.schedule().await.occurrences, world.waiting().await), (2, 1));
}

#[tokio::test]
async fn a_message_that_ends_twice_counts_once() {
    let world = World::new().await;
    world.finish(&[world.ended(0, false), world.ended(0, true)]).await;
    world.finish(&[world.ended(0, false)]).await;
    assert_eq!((world.schedule().await.event_id, world.waiting().await), (Some(world.event), 0));
    world.finish(&[world.ended(1, false)]).await;
    world.finish(&[world.ended(1, false)]).await;
    assert_eq!((world.schedule().await.occurrences, world.waiting().await), (2, 1));
    assert!(world.broker.show_event(world.event).await.unwrap().finished_at.is_some());
}

#[tokio::test]
async fn an_event_that_completes_after_a_redrive_makes_no_second_next() {
    let world = World::new().await;
    world.finish(&[world.ended(0, false), world.ended(1, true)]).await;
    let after_failure = world.schedule().await;
    assert_eq!(after_failure.occurrences, 2);
    // What a redrive does to an event that had failed.
    let session = world.db.pool.get().await.unwrap();
    session.execute("delete from posthaste.outcome where failed", &[]).await.unwrap();
    let reopen = "update posthaste.event set finished_at = null, failed = false where id = $1";
    session.execute(reopen, &[&world.event.0]).await.unwrap();
    world.finish(&[world.ended(1, false)]).await;
    let shown = world.broker.show_event(world.event).await.unwrap();
    assert_eq!(shown.status, crate::EventStatus::Completed);
    assert_eq!(world.schedule().await.event_id, after_failure.event_id);
    assert_eq!(world.waiting().await, 1);
}

#[test]
fn ends_are_tracked_for_schedules_and_for_those_who_ask() {
    let mut catalog = Catalog::default();
    assert!(tracked(&catalog, Some(ScheduleId(1)), "order"));
    assert!(!tracked(&catalog, None, "order"));
    let subscription = crate::Subscription {
        id: posthaste_base::SubscriptionId(1),
        name: "s".into(),
        topic: "EventFailed".into(),
        filter: None,
        filter_json: None,
        destination: crate::Destination::Queue(posthaste_base::QueueId(1)),
        declared: false,
    };
    catalog.subscriptions.insert("EventFailed".into(), vec![subscription.into()]);
    assert!(tracked(&catalog, None, "order"));
    assert!(!tracked(&catalog, None, "EventFailed"), "an end does not announce an end");
}
