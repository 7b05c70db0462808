//! Each metric says what has happened: driven against a real database, and read from the text that is scraped.
//!
//! The registry is one for the process, so one test runs at a time, with queues of its own names, and counts from where
//! it began.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use posthaste_base::{Category, Clock};
use posthaste_broker::{
    Broker, BrokerOptions, Declaration, EventIn, Message, Payload, RedriveIn, SendIn, Settlement,
};
use posthaste_engine::due::parse_due;
use posthaste_engine::failure::{Unsettled, classify_unsettled};
use posthaste_observe::names::{self, Metric};
use posthaste_observe::{Handle, install};
use posthaste_testkit::db::TestDb;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

struct Desk {
    _turn: MutexGuard<'static, ()>,
    before: HashMap<String, f64>,
    db: TestDb,
    broker: Broker,
    handle: Handle,
}

/// What is scraped, by series.
fn numbers(handle: &Handle) -> HashMap<String, f64> {
    let text = handle.render();
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    lines.filter_map(|(series, number)| Some((series.to_owned(), number.parse().ok()?))).collect()
}

impl Desk {
    async fn open(declaration: &str) -> Self {
        // Before the broker, whose handles would record nothing.
        let turn = ONE_AT_A_TIME.lock().await;
        let handle = install().expect("a registry");
        let db = TestDb::posthaste().await;
        let broker = open(&db).await;
        broker.apply(&Declaration::parse(declaration).expect("a declaration")).await.expect("it is applied");
        Self { _turn: turn, before: numbers(&handle), db, broker, handle }
    }

    async fn pass(&mut self, seconds: i64) {
        self.db.set_clock_ahead(seconds).await;
        self.broker = open(&self.db).await;
    }

    async fn sql(&self, statement: &str) {
        self.db.pool.get().await.unwrap().batch_execute(statement).await.unwrap();
    }

    async fn receive(&self, queue: &str, max: usize) -> Vec<Message> {
        self.broker.receive(queue, max, Some(30), Duration::ZERO).await.expect("messages")
    }

    /// The number behind `series`, such as `name{label="x"}`, or by how much it has grown if it only grows; NaN when it
    /// is not there.
    fn value(&self, series: &str) -> f64 {
        let name = series.split('{').next().unwrap_or(series);
        let only_grows = ["_total", "_count", "_sum"].iter().any(|end| name.ends_with(end));
        let before = self.before.get(series).filter(|_| only_grows).copied().unwrap_or(0.0);
        numbers(&self.handle).get(series).map_or(f64::NAN, |number| number - before)
    }

    fn check(&self, expected: &[(&str, f64)]) {
        let found: Vec<_> = expected.iter().map(|(series, _)| (*series, self.value(series))).collect();
        assert_eq!(found, expected);
    }
}

async fn open(db: &TestDb) -> Broker {
    Broker::open(db.pool.clone(), BrokerOptions::default(), Clock::system()).await.expect("a broker")
}

fn json_payload(text: &'static str) -> Payload {
    Payload::json(text.as_bytes().into()).expect("JSON")
}

#[tokio::test]
async fn a_queue_shows_what_went_through_it_and_what_is_in_it() {
    let mut desk = Desk::open("[queues.q]\nmax_receives = 2\n").await;
    let send = |delay_seconds| SendIn { payload: "x".into(), delay_seconds, ..SendIn::default() };
    desk.broker
        .send("q", vec![send(None), send(None), send(None), send(None), send(Some(600))])
        .await
        .unwrap();
    let mut held = desk.receive("q", 4).await;
    desk.broker.settle(vec![held.remove(0).receipt]).await.unwrap();
    desk.broker.give_back(vec![held.remove(0).receipt], 300).await.unwrap();
    let permanent = posthaste_engine::failure::Failure {
        category: Category::Permanent,
        ..classify_unsettled(Unsettled::ReceivesExhausted)
    };
    desk.broker.conclude(vec![Settlement::dead(held.remove(0).receipt, &permanent)]).await.unwrap();
    assert!(desk.receive("q", 1).await.is_empty());
    desk.broker.send("q", vec![send(None)]).await.unwrap();
    desk.broker.measure_queues().await.unwrap();
    desk.check(&[
        (r#"posthaste_messages_sent_total{queue="q"}"#, 6.0),
        (r#"posthaste_messages_received_total{queue="q"}"#, 4.0),
        (r#"posthaste_empty_receives_total{queue="q"}"#, 1.0),
        (r#"posthaste_claim_duration_seconds_count{queue="q"}"#, 2.0),
        (r#"posthaste_claim_messages_sum{queue="q"}"#, 4.0),
        (r#"posthaste_messages_settled_total{queue="q",outcome="acknowledged"}"#, 1.0),
        (r#"posthaste_messages_settled_total{queue="q",outcome="returned"}"#, 1.0),
        (r#"posthaste_messages_settled_total{queue="q",outcome="expired"}"#, 0.0),
        (r#"posthaste_dead_letters_total{queue="q",category="permanent"}"#, 1.0),
        (r#"posthaste_dead_letter_messages{queue="q"}"#, 1.0),
        (r#"posthaste_queue_messages{queue="q",state="visible"}"#, 1.0),
        (r#"posthaste_queue_messages{queue="q",state="in_flight"}"#, 1.0),
        (r#"posthaste_queue_messages{queue="q",state="delayed"}"#, 2.0),
    ]);

    desk.pass(40).await;
    let queue = desk.broker.catalog().queue("q").unwrap().id;
    assert_eq!(desk.broker.sweep_leases(queue, None).await.unwrap(), 1);
    let run = RedriveIn { per_message_delay_jitter: Some(0), ..RedriveIn::default() };
    desk.broker.start_redrive(&run).await.unwrap();
    desk.broker.move_due(10).await.unwrap();
    desk.broker.measure_queues().await.unwrap();
    desk.check(&[
        (r#"posthaste_messages_settled_total{queue="q",outcome="expired"}"#, 1.0),
        (r#"posthaste_redriven_messages_total{queue="q"}"#, 1.0),
        (r#"posthaste_dead_letter_messages{queue="q"}"#, 0.0),
        (r#"posthaste_queue_messages{queue="q",state="visible"}"#, 2.0),
        (r#"posthaste_queue_messages{queue="q",state="in_flight"}"#, 0.0),
        (r#"posthaste_queue_messages{queue="q",state="delayed"}"#, 3.0),
    ]);
    let age = desk.value(r#"posthaste_queue_oldest_age_seconds{queue="q"}"#);
    assert!((39.0..60.0).contains(&age), "{age}");
}

#[tokio::test]
async fn what_sql_sends_is_counted_once_when_it_is_first_received() {
    let desk = Desk::open("[queues.s]\nmax_receives = 3\n").await;
    desk.sql("select posthaste.send('s', '1'), posthaste.send('s', '2', 1)").await;
    desk.broker.send("s", vec![SendIn { payload: "x".into(), ..SendIn::default() }]).await.unwrap();
    let sent = r#"posthaste_messages_sent_total{queue="s"}"#;
    desk.check(&[(sent, 1.0)]);
    let held = desk.receive("s", 10).await;
    desk.check(&[(sent, 2.0)]);
    assert!(held.iter().all(|message| message.subscription.is_none()));
    desk.broker.give_back(held.iter().map(|message| message.receipt).collect(), 0).await.unwrap();
    // The other one comes here after its delay, the first two after they were given back.
    desk.sql("update posthaste.deferred set visible_at = posthaste.now()").await;
    let queue = desk.broker.catalog().queue("s").unwrap().id;
    desk.broker.promote(queue).await.unwrap();
    assert_eq!(desk.receive("s", 10).await.len(), 3);
    desk.check(&[(sent, 3.0)]);
}

const SCHEMAS: &str = r#"
[queues.inbox]
[types.order]
schema = { type = "object", required = ["orderId"] }
[subscriptions.orders]
topic = "order"
queue = "inbox"
[subscriptions.ticks]
topic = "tick"
queue = "inbox"
[subscriptions.told]
topic = "EventScheduled"
queue = "inbox"
"#;

#[tokio::test]
async fn an_event_that_comes_again_is_counted_whoever_repeats_it() {
    let mut desk = Desk::open(SCHEMAS).await;
    let options = BrokerOptions { failure_modes: true, ..BrokerOptions::default() };
    desk.broker = Broker::open(desk.db.pool.clone(), options, Clock::system()).await.unwrap();
    let event = |key: &str, payload| EventIn {
        event_type: Some("tick".into()),
        key: Some(key.into()),
        ..EventIn::of(json_payload(payload))
    };
    desk.broker.publish(event("k", "1")).await.unwrap();
    assert!(desk.broker.publish(event("k", "1")).await.unwrap().duplicate);
    desk.broker.publish(event("k", "2")).await.unwrap_err();
    let batch = desk.broker.publish_batch(vec![event("k", "1"), event("k", "2")]).await.unwrap();
    assert!(batch[0].is_ok() && batch[1].is_err());
    desk.check(&[
        (r#"posthaste_idempotency_hits_total{outcome="duplicate"}"#, 2.0),
        (r#"posthaste_idempotency_hits_total{outcome="conflict"}"#, 2.0),
    ]);
    let mode = serde_json::from_value(json!({"mode": "duplicate_submit"})).unwrap();
    desk.broker.set_failure_mode(mode).await.unwrap();
    desk.broker.refresh_catalog().await.unwrap();
    desk.broker.publish(event("new", "1")).await.unwrap();
    desk.check(&[(r#"posthaste_idempotency_hits_total{outcome="duplicate"}"#, 3.0)]);
}

#[tokio::test]
async fn the_scheduler_shows_its_rounds_its_lag_and_where_events_came_from() {
    let mut desk = Desk::open(SCHEMAS).await;
    desk.sql("select posthaste.publish('order', '{\"orderId\": 1}'), posthaste.publish('order', '{}')").await;
    let later = EventIn {
        event_type: Some("order".into()),
        due: Some(parse_due(&(jiff::Timestamp::now() + Duration::from_secs(100)).to_string()).unwrap()),
        ..EventIn::of(json_payload("{\"orderId\": 2}"))
    };
    desk.broker.publish(later).await.unwrap();
    assert_eq!(desk.broker.publish_due().await.unwrap(), 2);
    desk.check(&[
        (r#"posthaste_events_accepted_total{source="sql"}"#, 1.0),
        (r#"posthaste_events_refused_total{code="invalid-payload"}"#, 1.0),
        (r#"posthaste_dead_letters_total{queue="inbox",category="validation"}"#, 1.0),
        (r#"posthaste_events_accepted_total{source="domain"}"#, 1.0),
        (r#"posthaste_messages_sent_total{queue="inbox"}"#, 2.0),
        (r#"posthaste_scheduler_ticks_total{outcome="done"}"#, 1.0),
        ("posthaste_scheduler_claimed_events_sum", 2.0),
        ("posthaste_scheduler_tick_duration_seconds_count", 1.0),
    ]);
    desk.pass(160).await;
    // The node's own clock has not moved; what was due by the database's is not late by its.
    assert_eq!(desk.broker.publish_due().await.unwrap(), 1);
    desk.check(&[("posthaste_scheduler_lag_seconds", 0.0)]);
    desk.sql("update posthaste.event set published_at = null where due_at > accepted_at").await;
    desk.sql("insert into posthaste.waiting select priority, now() - interval '60 s', id from posthaste.event where due_at > accepted_at").await;
    desk.sql("update posthaste.event set due_at = now() - interval '60 s' where due_at > accepted_at").await;
    assert_eq!(desk.broker.publish_due().await.unwrap(), 1);
    let lag = desk.value("posthaste_scheduler_lag_seconds");
    assert!((60.0..90.0).contains(&lag), "{lag}");
    assert_eq!(desk.broker.publish_due().await.unwrap(), 0);
    desk.check(&[("posthaste_scheduler_lag_seconds", 0.0)]);
}

#[tokio::test]
async fn occurrences_are_counted_as_they_are_made_moved_and_ended() {
    let mut desk = Desk::open(SCHEMAS).await;
    let subject =
        |zone: &str| serde_json::from_value(json!({"zone": zone, "dates": {"birthday": "1990-03-15"}}));
    desk.broker.put_subject("u1", subject("Europe/Berlin").unwrap()).await.unwrap();
    let schedule = json!({"type": "BIRTHDAY", "subject": "u1", "follows": "birthday"});
    desk.broker.create_schedule(serde_json::from_value(schedule).unwrap()).await.unwrap();
    desk.broker.put_subject("u1", subject("Asia/Tokyo").unwrap()).await.unwrap();
    let minutely = json!({"name": "t", "type": "tick", "rule": {"cron": "* * * * *"}, "zone": "UTC"});
    desk.broker.create_schedule(serde_json::from_value(minutely).unwrap()).await.unwrap();
    for round in 1..=2 {
        desk.pass(round * 70).await;
        desk.broker.publish_due().await.unwrap();
        let messages = desk.receive("inbox", 10).await;
        let is_tick =
            |message: &&Message| message.event.as_ref().is_some_and(|event| event.event_type == "tick");
        let tick = messages.iter().find(is_tick).expect("an occurrence").receipt;
        let failure = classify_unsettled(Unsettled::ReceivesExhausted);
        let end = if round == 1 { Settlement::done(tick) } else { Settlement::dead(tick, &failure) };
        desk.broker.conclude(vec![end]).await.unwrap().remove(0).unwrap();
    }
    desk.check(&[
        (r#"posthaste_schedule_occurrences_total{outcome="made"}"#, 4.0),
        (r#"posthaste_schedule_occurrences_total{outcome="moved"}"#, 1.0),
        (r#"posthaste_schedule_occurrences_total{outcome="ended"}"#, 1.0),
        (r#"posthaste_schedule_occurrences_total{outcome="failed"}"#, 1.0),
        (r#"posthaste_events_accepted_total{source="schedule"}"#, 4.0),
        (r#"posthaste_events_accepted_total{source="domain"}"#, 4.0),
    ]);
}

#[tokio::test]
async fn the_keeper_shows_that_it_leads_and_the_database_how_it_is_used() {
    let desk = Desk::open("[queues.q]\n").await;
    desk.broker.send("q", vec![SendIn { payload: "x".into(), ..SendIn::default() }]).await.unwrap();
    let stop = CancellationToken::new();
    let keeper = tokio::spawn({
        let (broker, stop) = (desk.broker.clone(), stop.clone());
        async move { broker.run_keeper(stop).await }
    });
    while desk.value(r#"posthaste_queue_messages{queue="q",state="visible"}"#) != 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    desk.check(&[
        (r#"posthaste_leader{role="keeper"}"#, 1.0),
        (r#"posthaste_database_connections_max{pool="main"}"#, 10.0),
        (r#"posthaste_database_connection_errors_total{pool="main"}"#, 0.0),
    ]);
    assert!(desk.value(r#"posthaste_database_connections{pool="main",state="in_use"}"#) >= 1.0);
    assert!(desk.value(r#"posthaste_database_wait_seconds_count{pool="main"}"#) >= 1.0);
    stop.cancel();
    keeper.await.unwrap();
    desk.check(&[
        (r#"posthaste_leader{role="keeper"}"#, 0.0),
        (r#"posthaste_queue_messages{queue="q",state="visible"}"#, 0.0),
    ]);
}

/// Where metrics are checked, or at least fed, that the tests of this file do not drive: the file, and what is in it.
const ELSEWHERE: &[(&Metric, &str, &str)] = &[
    (&names::QUEUE_BUSY, "deliver/src/worker.rs", "metrics.busy.increment"),
    (&names::DELIVERY_LATENCY, "deliver/tests/metrics/main.rs", "posthaste_delivery_latency_seconds_sum{"),
    (&names::ATTEMPTS, "deliver/tests/metrics/main.rs", "posthaste_attempts_total{"),
    (&names::ATTEMPT_DURATION, "deliver/tests/metrics/main.rs", "posthaste_attempt_duration_seconds_count{"),
    (&names::ATTEMPTS_IN_FLIGHT, "deliver/tests/metrics/main.rs", "posthaste_attempts_in_flight{"),
    (&names::DEFERRALS, "deliver/tests/metrics/main.rs", "posthaste_deferrals_total{"),
    (&names::BREAKER_STATE, "deliver/tests/metrics/main.rs", "posthaste_breaker_state{"),
    (&names::BREAKER_TRIPS, "deliver/tests/metrics/main.rs", "posthaste_breaker_trips_total{"),
    (&names::SPANS_EXPORTED, "deliver/src/export.rs", "self.metrics.exported"),
    (&names::SPANS_DROPPED, "deliver/src/export.rs", "self.metrics.refused"),
    (&names::HTTP_REQUESTS, "web/src/request.rs", "metrics.answered("),
    (&names::HTTP_DURATION, "web/src/request.rs", "metrics.answered("),
    (&names::HTTP_IN_FLIGHT, "web/src/request.rs", "metrics.in_flight.increment"),
    (&names::HTTP_CONNECTIONS, "web/src/server.rs", "metrics.connections.increment"),
    (&names::HTTP_CONNECTIONS_REFUSED, "web/src/server.rs", "metrics.connections_refused.increment"),
    (&names::DATABASE_RETRIES, "pg/src/pool.rs", "metrics.retries.increment"),
];

#[tokio::test]
async fn every_metric_has_a_producer() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    for (metric, file, text) in ELSEWHERE {
        let source = std::fs::read_to_string(crates.join(file)).unwrap();
        assert!(source.contains(text), "{} is not in {file} any more", metric.name);
    }
    let own = include_str!("metrics.rs");
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(metric, ..)| metric.name).collect();
    let of_process = |name: &str| name.starts_with("process_") || name == names::BUILD_INFO.name;
    let handle = install().unwrap();
    for metric in names::ALL {
        let name = metric.name;
        let is_checked = own.contains(&format!("(r#\"{name}")) || own.contains(&format!("(\"{name}"));
        let is_shown = of_process(name) && handle.render().contains(&format!("\n{name}"));
        assert!(is_checked || is_shown || elsewhere.contains(name), "{name} has no producer");
    }
}
