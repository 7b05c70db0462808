//! Messages that are claimed before they are asked for: a busy consumer gets each once and in order, and what it does
//! not come for is with others soon, as if it had not been received.

use std::time::Duration;

use posthaste_base::Clock;
use posthaste_broker::{Broker, BrokerOptions, Declaration, SendIn};
use posthaste_testkit::db::TestDb;
use tokio_util::sync::CancellationToken;

/// More than it takes to be thought busy.
const ROUNDS: usize = 40;
const LONG: Duration = Duration::from_secs(20);

struct Desk {
    db: TestDb,
    broker: Broker,
    stop: CancellationToken,
}

impl Desk {
    /// With a keeper, which makes visible again what was given back.
    async fn open() -> Self {
        let db = TestDb::posthaste().await;
        let broker = open(&db).await;
        let declaration = Declaration::parse("[queues.work]\nmax_receives = 1\n").expect("a declaration");
        broker.apply(&declaration).await.expect("an applied declaration");
        let stop = CancellationToken::new();
        let (keeper, until) = (broker.clone(), stop.clone());
        tokio::spawn(async move { keeper.run_keeper(until).await });
        Self { db, broker, stop }
    }

    async fn send(&self, count: usize) {
        let messages = (0..count).map(|n| SendIn { payload: format!("{n}").into(), ..SendIn::default() });
        self.broker.send("work", messages.collect()).await.expect("sent messages");
    }

    /// Receives and settles one after the other, as quickly as it goes.
    async fn be_busy(&self, rounds: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for _ in 0..rounds {
            seen.extend(take(&self.broker, 1, Duration::ZERO).await);
        }
        seen
    }

    async fn in_flight(&self) -> u64 {
        self.broker.depth("work").await.expect("a depth").in_flight
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn open(db: &TestDb) -> Broker {
    Broker::open(db.pool.clone(), BrokerOptions::default(), Clock::system()).await.expect("a broker")
}

async fn take(broker: &Broker, max: usize, wait: Duration) -> Vec<String> {
    let messages = broker.receive("work", max, None, wait).await.expect("received messages");
    assert!(messages.iter().all(|message| message.receives == 1), "nobody has seen them before");
    let settled = broker.settle(messages.iter().map(|message| message.receipt).collect()).await.unwrap();
    assert!(settled.iter().all(Result::is_ok), "{settled:?}");
    messages.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn a_busy_consumer_gets_each_message_once_and_in_order() {
    let desk = Desk::open().await;
    desk.send(3 * ROUNDS).await;
    assert_eq!(desk.be_busy(2 * ROUNDS).await, numbered(0..2 * ROUNDS));
    assert_eq!(take(&desk.broker, 1_000, Duration::ZERO).await.len(), ROUNDS, "with what was claimed ahead");
    assert_eq!(desk.in_flight().await, 0);
}

#[tokio::test]
async fn what_a_busy_consumer_does_not_come_for_goes_to_others() {
    let desk = Desk::open().await;
    desk.send(2 * ROUNDS).await;
    let mut seen = desk.be_busy(ROUNDS).await;
    assert!(desk.in_flight().await > 0, "more is claimed than was asked for");
    let other = open(&desk.db).await;
    while seen.len() < 2 * ROUNDS {
        let more = take(&other, 1_000, LONG).await;
        assert!(!more.is_empty(), "{} messages did not come", 2 * ROUNDS - seen.len());
        seen.extend(more);
    }
    seen.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(seen, numbered(0..2 * ROUNDS));
}

#[tokio::test]
async fn a_node_that_stops_leaves_nothing_claimed() {
    let desk = Desk::open().await;
    desk.send(2 * ROUNDS).await;
    desk.be_busy(ROUNDS).await;
    assert!(desk.in_flight().await > 0);
    desk.broker.give_back_ahead().await;
    assert_eq!(desk.in_flight().await, 0);
}

#[tokio::test]
async fn a_paused_queue_gives_nothing_of_what_was_claimed_ahead() {
    let desk = Desk::open().await;
    desk.send(2 * ROUNDS).await;
    desk.be_busy(ROUNDS).await;
    desk.broker.pause_queue("work").await.expect("a paused queue");
    assert!(take(&desk.broker, 1, Duration::ZERO).await.is_empty());
    desk.broker.resume_queue("work").await.expect("a queue that goes on");
    let mut left = Vec::new();
    while left.len() < ROUNDS {
        let more = take(&desk.broker, 1_000, LONG).await;
        assert!(!more.is_empty(), "{} messages did not come", ROUNDS - left.len());
        left.extend(more);
    }
    left.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(left, numbered(ROUNDS..2 * ROUNDS));
}
