//! Queues against a real database: what is sent is received once under a lease, and nothing is lost on the way.

use std::collections::HashSet;
use std::time::Duration;

use posthaste_base::{Clock, Code};
use posthaste_broker::{Broker, BrokerOptions, Declaration, EventIn, Message, Payload, SendIn, Settlement};
use posthaste_testkit::db::TestDb;

struct Desk {
    db: TestDb,
    broker: Broker,
}

impl Desk {
    async fn open() -> Self {
        let db = TestDb::posthaste().await;
        let broker = open(&db).await;
        let declaration = Declaration::parse("[queues.work]\nmax_receives = 3\n").expect("a declaration");
        broker.apply(&declaration).await.expect("an applied declaration");
        Self { db, broker }
    }

    async fn send(&self, payloads: impl IntoIterator<Item = String>) {
        let messages = payloads.into_iter().map(|text| SendIn { payload: text.into(), ..SendIn::default() });
        self.broker.send("work", messages.collect()).await.expect("sent messages");
    }

    async fn receive(&self, max: usize) -> Vec<Message> {
        self.broker.receive("work", max, Some(30), Duration::ZERO).await.expect("received messages")
    }

    /// Moves the database's clock; a new broker has new sessions that see it.
    async fn pass(&mut self, seconds: u32) {
        self.db.set_clock_ahead(seconds.into()).await;
        self.broker = open(&self.db).await;
    }

    async fn sweep(&self) -> usize {
        let queue = self.broker.catalog().queue("work").unwrap().id;
        self.broker.sweep_leases(queue, None).await.expect("a sweep")
    }
}

async fn open(db: &TestDb) -> Broker {
    Broker::open(db.pool.clone(), BrokerOptions::default(), Clock::system()).await.expect("a broker")
}

fn payloads(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
}

fn numbered(n: usize) -> impl Iterator<Item = String> {
    (0..n).map(|i| format!("{{\"n\":{i}}}"))
}

#[tokio::test]
async fn what_is_sent_is_received_once_and_settled() {
    let desk = Desk::open().await;
    desk.send(numbered(25)).await;
    let mut seen = Vec::new();
    for expected in [10, 10, 5, 0] {
        let messages = desk.receive(10).await;
        assert_eq!(messages.len(), expected);
        assert!(messages.iter().all(|message| message.receives == 1));
        seen.extend(payloads(&messages));
        let settled =
            desk.broker.settle(messages.iter().map(|message| message.receipt).collect()).await.unwrap();
        assert!(settled.iter().all(Result::is_ok));
    }
    assert_eq!(seen, numbered(25).collect::<Vec<_>>());
    let depth = desk.broker.depth("work").await.unwrap();
    assert_eq!((depth.visible, depth.in_flight, depth.delayed, depth.is_exact), (0, 0, 0, true));
}

#[tokio::test]
async fn visible_in_flight_and_delayed_are_disjoint() {
    let desk = Desk::open().await;
    desk.send(numbered(10)).await;
    let later = SendIn { payload: "later".into(), delay_seconds: Some(60), ..SendIn::default() };
    desk.broker.send("work", vec![later]).await.unwrap();
    let held = desk.receive(4).await;
    desk.broker.settle(vec![held[0].receipt]).await.unwrap();
    let depth = desk.broker.depth("work").await.unwrap();
    assert_eq!((depth.visible, depth.in_flight, depth.delayed), (6, 3, 1));
    assert!(depth.oldest_age_seconds.is_some());
}

#[tokio::test]
async fn expired_lease_is_visible_again_and_its_old_receipts_are_refused() {
    let mut desk = Desk::open().await;
    desk.send(numbered(5)).await;
    let held = desk.receive(5).await;
    desk.broker.settle(vec![held[1].receipt, held[3].receipt]).await.unwrap();
    assert_eq!(desk.sweep().await, 0, "the lease still runs");
    desk.pass(31).await;
    assert_eq!(desk.sweep().await, 3);
    let again = desk.receive(10).await;
    assert_eq!(payloads(&again), payloads(&[held[0].clone(), held[2].clone(), held[4].clone()]));
    assert!(again.iter().all(|message| message.receives == 2));
    let ids = |messages: &[Message]| messages.iter().map(|message| message.id).collect::<Vec<_>>();
    assert_eq!(ids(&again), [held[0].id, held[2].id, held[4].id], "an id is for life");
    let settled = desk.broker.settle(vec![held[0].receipt, again[0].receipt]).await.unwrap();
    assert_eq!(settled[0].as_ref().unwrap_err().code(), Code::LeaseLost);
    assert!(settled[1].is_ok());
}

#[tokio::test]
async fn message_that_is_never_settled_dies_after_its_receives() {
    let mut desk = Desk::open().await;
    desk.send(numbered(2)).await;
    for receive in 1..=3 {
        assert_eq!(desk.receive(10).await.len(), 2, "receive {receive}");
        desk.pass(31 * receive).await;
        assert_eq!(desk.sweep().await, 2);
    }
    assert!(desk.receive(10).await.is_empty());
    let session = desk.db.pool.get().await.unwrap();
    let row = session
        .query_one("select count(*), min(receives), min(code), min(convert_from(payload, 'UTF8')) from posthaste.dead_letter", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i16>(1)), (2, 3));
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("lease-expired", "{\"n\":0}"));
}

#[tokio::test]
async fn given_back_message_comes_again_after_its_delay_and_dies_in_the_end() {
    let mut desk = Desk::open().await;
    let queue = desk.broker.catalog().queue("work").unwrap().id;
    desk.send(numbered(1)).await;
    for receive in 1..=3u32 {
        let held = desk.receive(1).await;
        assert_eq!(held[0].receives, receive);
        let given = desk.broker.give_back(vec![held[0].receipt], 10).await.unwrap();
        assert!(given[0].is_ok());
        assert_eq!(desk.broker.promote(queue).await.unwrap(), 0, "not before its delay");
        desk.pass(11 * receive).await;
        assert_eq!(desk.broker.promote(queue).await.unwrap(), usize::from(receive < 3));
    }
    let session = desk.db.pool.get().await.unwrap();
    let code: String = session.query_one("select code from posthaste.dead_letter", &[]).await.unwrap().get(0);
    assert_eq!(code, "receives-exhausted");
}

#[tokio::test]
async fn extended_message_outlives_its_lease_and_keeps_its_receipt() {
    let mut desk = Desk::open().await;
    desk.send(numbered(3)).await;
    let held = desk.receive(3).await;
    desk.broker.extend(held[1].receipt, 300).await.unwrap();
    desk.pass(31).await;
    assert_eq!(desk.sweep().await, 2);
    assert!(desk.broker.settle(vec![held[1].receipt]).await.unwrap()[0].is_ok());
    assert!(desk.broker.settle(vec![held[0].receipt]).await.unwrap()[0].is_err());
    assert_eq!(desk.receive(10).await.len(), 2);
    desk.pass(400).await;
    assert_eq!(desk.sweep().await, 2, "the two that were received again, and not the settled one");
}

#[tokio::test]
async fn transaction_that_commits_late_is_neither_skipped_nor_in_the_way() {
    let desk = Desk::open().await;
    let mut late = desk.db.pool.get().await.unwrap();
    let open = late.transaction().await.unwrap();
    open.query("select posthaste.send('work', '\"late\"')", &[]).await.unwrap();
    desk.send(["1".into(), "2".into()]).await;
    assert_eq!(payloads(&desk.receive(10).await), ["1", "2"]);
    desk.send(["3".into()]).await;
    assert_eq!(payloads(&desk.receive(10).await), ["3"]);
    open.commit().await.unwrap();
    assert_eq!(payloads(&desk.receive(10).await), ["\"late\""]);
    assert!(desk.receive(10).await.is_empty());
}

#[tokio::test]
async fn rolled_back_send_is_not_received() {
    let desk = Desk::open().await;
    let mut session = desk.db.pool.get().await.unwrap();
    let open = session.transaction().await.unwrap();
    open.query("select posthaste.send('work', '1')", &[]).await.unwrap();
    open.rollback().await.unwrap();
    session.query("select posthaste.send('work', '2')", &[]).await.unwrap();
    assert_eq!(payloads(&desk.receive(10).await), ["2"]);
}

/// Senders with transactions of all lengths, consumers on two nodes with claims of all sizes: each message is
/// received exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_senders_and_consumers_lose_and_double_nothing() {
    let desk = Desk::open().await;
    let other = open(&desk.db).await;
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7_u64);
    println!("seed {seed}");
    let mut random = seed;
    let mut next = move |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    const SENDERS: u64 = 6;
    const EACH: u64 = 150;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let pool = desk.db.pool.clone();
        let plan: Vec<(u64, u64, bool)> = (0..EACH).map(|_| (1 + next(3), next(4), next(10) == 0)).collect();
        senders.spawn(async move {
            let mut sent = Vec::new();
            for (n, (count, pause_ms, rolls_back)) in plan.into_iter().enumerate() {
                let mut session = pool.get().await.unwrap();
                let open = session.transaction().await.unwrap();
                let mut mine = Vec::new();
                for i in 0..count {
                    let text = format!("\"{sender}-{n}-{i}\"");
                    open.query("select posthaste.send('work', $1::text::jsonb)", &[&text]).await.unwrap();
                    mine.push(text);
                }
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                if rolls_back {
                    open.rollback().await.unwrap();
                } else {
                    open.commit().await.unwrap();
                    sent.extend(mine);
                }
            }
            sent
        });
    }
    let mut consumers = tokio::task::JoinSet::new();
    for (n, broker) in [&desk.broker, &other, &desk.broker].into_iter().cloned().enumerate() {
        let sizes: Vec<usize> = (0..50).map(|_| 1 + next(40) as usize).collect();
        consumers.spawn(async move {
            let mut received = Vec::new();
            let mut turn = n;
            loop {
                turn += 1;
                let max = sizes[turn % sizes.len()];
                let messages =
                    broker.receive("work", max, Some(60), Duration::from_millis(1_500)).await.unwrap();
                if messages.is_empty() {
                    return received;
                }
                received.extend(payloads(&messages));
                let receipts = messages.iter().map(|message| message.receipt).collect();
                assert!(broker.settle(receipts).await.unwrap().iter().all(Result::is_ok));
            }
        });
    }
    let sent: HashSet<String> = senders.join_all().await.into_iter().flatten().collect();
    let received: Vec<String> = consumers.join_all().await.into_iter().flatten().collect();
    assert_eq!(received.len(), sent.len(), "each once");
    assert_eq!(received.into_iter().collect::<HashSet<_>>(), sent);
    let depth = desk.broker.depth("work").await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (0, 0));
}

#[tokio::test]
async fn space_is_given_back_and_what_is_not_settled_stays() {
    let mut desk = Desk::open().await;
    let queue = desk.broker.catalog().queue("work").unwrap().clone();
    let segment = posthaste_store::segment::Segment::new(queue.id, queue.segment);
    desk.send(numbered(10)).await;
    let held = desk.receive(10).await;
    let session = desk.db.pool.get().await.unwrap();
    assert!(posthaste_store::lead::rotate(&session, segment).await.unwrap());
    drop(session);
    assert!(!posthaste_store::lead::empty(&desk.db.pool, segment).await.unwrap(), "a lease is open");
    // This broker does not know of the change yet, and still sends to the segment behind.
    desk.send(["\"stale\"".into()]).await;
    desk.broker.settle(held.iter().map(|message| message.receipt).collect()).await.unwrap();
    assert!(!posthaste_store::lead::empty(&desk.db.pool, segment).await.unwrap(), "one is not received");
    desk.broker.refresh_catalog().await.unwrap();
    desk.send(["\"new\"".into()]).await;
    let wait = Duration::from_secs(5);
    let stale = desk.broker.receive("work", 10, Some(30), wait).await.unwrap();
    let fresh = desk.broker.receive("work", 10, Some(30), wait).await.unwrap();
    let mut both = [payloads(&stale), payloads(&fresh)].concat();
    both.sort();
    assert_eq!(both, ["\"new\"", "\"stale\""]);
    desk.broker.settle(stale.iter().chain(&fresh).map(|message| message.receipt).collect()).await.unwrap();
    assert!(posthaste_store::lead::empty(&desk.db.pool, segment).await.unwrap());
    // And the emptied one serves again.
    let session = desk.db.pool.get().await.unwrap();
    assert!(posthaste_store::lead::rotate(&session, segment.other()).await.unwrap());
    drop(session);
    desk.pass(0).await;
    desk.send(numbered(3)).await;
    assert_eq!(desk.receive(10).await.len(), 3);
}

#[tokio::test]
async fn a_waiting_consumer_is_woken_by_a_send() {
    let desk = Desk::open().await;
    let broker = desk.broker.clone();
    let waiting = tokio::spawn(async move {
        let started = std::time::Instant::now();
        let messages = broker.receive("work", 10, None, Duration::from_secs(20)).await.unwrap();
        (messages.len(), started.elapsed())
    });
    tokio::task::yield_now().await;
    desk.send(numbered(1)).await;
    let (count, took) = waiting.await.unwrap();
    assert_eq!(count, 1);
    assert!(took < Duration::from_secs(10), "woken, not waited out");
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let desk = Desk::open().await;
    let check = |result: Result<(), posthaste_base::Error>, code: Code, field: &str| {
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (code, Some(field)), "{error}");
    };
    let send = async |queue: &str, message: SendIn| desk.broker.send(queue, vec![message]).await.map(|_| ());
    check(send("nowhere", SendIn::default()).await, Code::UnknownQueue, "queue");
    check(send("critical", SendIn::default()).await, Code::InvalidParameter, "queue");
    let said = EventIn {
        event_type: Some("EventCompleted".into()),
        ..EventIn::of(Payload::json("{}".into()).unwrap())
    };
    check(desk.broker.publish(said).await.map(|_| ()), Code::InvalidEvent, "type");
    let long = SendIn { delay_seconds: Some(1_000_000), ..SendIn::default() };
    check(send("work", long).await, Code::InvalidParameter, "delaySeconds");
    let large = SendIn { payload: vec![b'x'; 300_000].into(), ..SendIn::default() };
    check(send("work", large).await, Code::PayloadTooLarge, "payload");
    let receive = async |max, visibility| {
        desk.broker.receive("work", max, visibility, Duration::ZERO).await.map(|_| ())
    };
    check(receive(0, None).await, Code::InvalidParameter, "maxMessages");
    check(receive(1, Some(0)).await, Code::InvalidParameter, "visibilitySeconds");
}

#[tokio::test]
async fn every_statement_of_a_segment_can_be_prepared() {
    let desk = Desk::open().await;
    let queue = desk.broker.catalog().queue("work").unwrap().clone();
    let session = desk.db.pool.get().await.unwrap();
    for half in [0, 1] {
        let segment = posthaste_store::segment::Segment::new(queue.id, half);
        for (name, text) in posthaste_store::segment::all_statements(segment) {
            if let Err(error) = session.prepare(&text).await {
                panic!("{name}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_receipt_that_is_given_twice_dies_once() {
    let desk = Desk::open().await;
    desk.send(numbered(1)).await;
    let receipt = desk.receive(1).await[0].receipt;
    let failure = posthaste_engine::failure::classify_unsettled(
        posthaste_engine::failure::Unsettled::ReceivesExhausted,
    );
    let dead = || Settlement::dead(receipt, &failure);
    desk.broker.conclude(vec![dead(), dead()]).await.expect("answers");
    let session = desk.db.pool.get().await.unwrap();
    let row = session.query_one("select count(*) from posthaste.dead_letter", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_settlement_that_is_refused_takes_no_other_with_it() {
    let desk = Desk::open().await;
    desk.send(numbered(3)).await;
    let held = desk.receive(3).await;
    let session = desk.db.pool.get().await.unwrap();
    session
        .batch_execute(
            "alter table posthaste.dead_letter add constraint refused check (code <> 'refused') not valid",
        )
        .await
        .unwrap();
    let mut refused = posthaste_engine::failure::classify_unsettled(
        posthaste_engine::failure::Unsettled::ReceivesExhausted,
    );
    refused.code = "refused".into();
    let settlements = vec![
        Settlement::done(held[0].receipt),
        Settlement::dead(held[1].receipt, &refused),
        Settlement::done(held[2].receipt),
    ];
    let answers = desk.broker.conclude(settlements).await.expect("answers");
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let left = desk.broker.depth("work").await.unwrap();
    assert_eq!((left.in_flight, left.visible), (1, 0), "it comes again after its lease");
}

#[tokio::test]
async fn what_was_kept_for_too_long_does_not_hide_what_lies_behind() {
    let mut desk = Desk::open().await;
    desk.send(numbered(8)).await;
    desk.pass(4 * 24 * 3600).await;
    desk.broker.clock().jump(jiff::SignedDuration::from_hours(4 * 24));
    desk.send(["\"fresh\"".to_owned()]).await;
    assert_eq!(payloads(&desk.receive(2).await), ["\"fresh\""]);
}

/// A subscription gives a message no payload of its own: its event has it.
#[tokio::test]
async fn a_queue_that_nobody_consumes_for_long_keeps_what_its_messages_say() {
    const DAY: u32 = 86_400;
    let mut desk = Desk::open().await;
    let declared = "[queues.work]\nmax_receives = 3\n[subscriptions.all]\ntopic = \"note\"\nqueue = \"work\"";
    desk.broker.apply(&Declaration::parse(declared).unwrap()).await.unwrap();
    let publish = async |desk: &Desk, key: &str| {
        let payload = Payload::json(format!("{{\"key\":\"{key}\"}}").into_bytes().into()).unwrap();
        let event =
            EventIn { key: Some(key.into()), event_type: Some("note".into()), ..EventIn::of(payload) };
        desk.broker.publish(event).await.unwrap().id
    };
    let (first, second) = (publish(&desk, "a").await, publish(&desk, "b").await);
    // The second one comes to its log a second time, when its event's own time has long run out.
    let held = desk.receive(2).await;
    desk.broker.settle(vec![held[0].receipt]).await.unwrap();
    let is_there = async |desk: &Desk, event| desk.broker.show_event(event).await.is_ok();
    for day in [60, 120, 180] {
        desk.pass(day * DAY).await;
        desk.sweep().await;
        // The log changes, and the one behind is given back: twice, so that both happen.
        desk.broker.rotate_queues().await.unwrap();
        desk.broker.rotate_queues().await.unwrap();
        desk.broker.sweep_events(100).await.unwrap();
        assert!(is_there(&desk, second).await, "after {day} days");
    }
    assert!(is_there(&desk, first).await, "it goes when the log that held its message does");
    let held = desk.receive(10).await;
    assert_eq!(payloads(&held), [r#"{"key":"b"}"#]);
    desk.broker.settle(vec![held[0].receipt]).await.unwrap();
    desk.pass(240 * DAY).await;
    for _ in 0..3 {
        desk.broker.rotate_queues().await.unwrap();
    }
    assert_eq!(desk.broker.sweep_events(100).await.unwrap(), 2, "nothing needs them any more");
}
