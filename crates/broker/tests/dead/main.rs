//! Dead letters and redrives against a real database: what their tests share.

mod letters;
mod redrives;

use posthaste_base::{Category, Clock};
use posthaste_broker::{
    Broker, BrokerOptions, DeadLetterFilter, Declaration, EventStatus, RedriveIn, RedriveOut, SealKey,
};
use posthaste_store::dead::{self, NewDeadLetter};
use posthaste_store::{PoolOptions, SESSION_SETTINGS};
use posthaste_testkit::db::TestDb;
use serde_json::Value;

const SHOP: &str = r#"
[queues.mail]
[queues.parcels]
[endpoints.shop]
url = "https://shop.example/hook"
[endpoints.other]
url = "https://other.example/hook"
[subscriptions.a]
topic = "paid"
endpoint = "shop"
"#;

/// A database with queues and an endpoint, and a broker over it.
struct Yard {
    db: TestDb,
    broker: Broker,
}

impl Yard {
    async fn new() -> Self {
        let fingerprint = posthaste_store::schema::fingerprint();
        let db = TestDb::with_template("broker", &fingerprint, async |pool| {
            posthaste_store::schema::upgrade(&pool).await.map(|_| ())
        })
        .await;
        // As every session of a node has them.
        let name = db.target.database().to_owned();
        for (setting, value) in SESSION_SETTINGS {
            run(&db, &format!("alter database {name} set {setting} = {value}")).await;
        }
        let broker = open(&db).await;
        let shop = Declaration::parse(SHOP).unwrap_or_else(|errors| panic!("{errors:?}"));
        broker.apply(&shop).await.expect("declarations");
        Self { db, broker }
    }

    /// Another node, after the first one is gone; the database's clock stands at `offset`.
    async fn restarted(self, offset: &str) -> Self {
        drop(self.broker);
        let name = self.db.target.database().to_owned();
        run(&self.db, &format!("alter database {name} set posthaste.clock_offset = '{offset}'")).await;
        let broker = open(&self.db).await;
        Self { db: self.db, broker }
    }

    async fn add(&self, letters: &[NewDeadLetter]) -> Vec<i64> {
        dead::insert(&self.db.pool.get().await.unwrap(), letters).await.expect("dead letters")
    }

    /// `count` letters of the queue `mail`, all alike.
    async fn add_many(&self, count: usize) -> Vec<i64> {
        let letters: Vec<_> = (0..count).map(|place| self.letter("mail", place as i64)).collect();
        self.add(&letters).await
    }

    fn letter(&self, queue: &str, message_id: i64) -> NewDeadLetter {
        NewDeadLetter {
            queue_id: self.broker.catalog().queue(queue).expect("a queue").id.0,
            message_id,
            event_id: None,
            subscription_id: None,
            endpoint_id: None,
            event_type: None,
            receives: 3,
            tracked: false,
            category: Category::Transient.as_str(),
            code: "http-503".into(),
            error: "the endpoint failed (HTTP 503)".into(),
            sent_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            redrives: 0,
            attributes: None,
            payload: Some(b"{}".to_vec()),
        }
    }

    /// An event whose only message is a dead letter.
    async fn add_failed_event(&self) -> Vec<i64> {
        run(
            &self.db,
            &format!(
                "insert into posthaste.event (id, key, payload_hash, type, priority, due_at, expires_at, published_at,
                    fanout, payload)
                values ('{EVENT_ID}', 'k', '', 'paid', 3, posthaste.now(), posthaste.now() + interval '14 days',
                    posthaste.now(), 1, '{{}}')"
            ),
        )
        .await;
        let event_id = Some(EVENT_ID.parse().unwrap());
        self.add(&[NewDeadLetter { event_id, ..self.letter("mail", 1) }]).await
    }

    /// The event's status, and how many of its messages are dead.
    async fn status(&self) -> (EventStatus, i64) {
        let event = self.broker.show_event(EVENT_ID.parse().unwrap()).await.expect("an event");
        (event.status, event.messages.dead)
    }

    async fn start(&self, body: Value) -> RedriveOut {
        self.broker.start_redrive(&redrive(body)).await.expect("a redrive")
    }

    async fn count(&self, statement: &str) -> i64 {
        let session = self.db.pool.get().await.unwrap();
        session.query_one(statement, &[]).await.expect(statement).get(0)
    }

    /// A filter's letters, as a preview has them.
    async fn preview(&self, body: Value) -> Vec<i64> {
        let preview = self.broker.preview_redrive(&redrive(body)).await.expect("a preview");
        preview.messages.iter().map(|letter| letter.id.0).collect()
    }
}

async fn open(db: &TestDb) -> Broker {
    let pool = db.pool_with(PoolOptions::of_size(8));
    let seal_key = SealKey::parse(&SealKey::generate().expect("a key")).ok();
    let options = BrokerOptions { seal_key, ..BrokerOptions::default() };
    Broker::open(pool, options, Clock::system()).await.expect("a broker")
}

async fn run(db: &TestDb, statement: &str) {
    db.pool.get().await.unwrap().batch_execute(statement).await.expect(statement);
}

fn redrive(body: Value) -> RedriveIn {
    serde_json::from_value(body).expect("a redrive")
}

fn filter(body: Value) -> DeadLetterFilter {
    serde_json::from_value(body).expect("a filter")
}

/// How many dead letters are left.
const LEFT: &str = "select count(*) from posthaste.dead_letter";
const EVENT_ID: &str = "018f0000-0000-7000-8000-000000000001";
