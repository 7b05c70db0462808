//! What the keeper does where a test has to be between its steps.

use posthaste_base::{Clock, Priority};
use posthaste_testkit::db::TestDb;
use tokio::sync::{Mutex, MutexGuard};

use super::due::EVENTS_BATCH;
use super::*;
use crate::{BrokerOptions, QueueIn, QueueSettingsPatch};

/// What the process shows of its keeper is one for all of them, so one test runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A node on a database of its own.
struct World {
    _turn: MutexGuard<'static, ()>,
    db: TestDb,
    broker: Broker,
}

impl World {
    async fn new() -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let fingerprint = posthaste_store::schema::fingerprint();
        let db = TestDb::with_template("broker", &fingerprint, async |pool| {
            posthaste_store::schema::upgrade(&pool).await.map(|_| ())
        })
        .await;
        let broker =
            Broker::open(db.pool.clone(), BrokerOptions::default(), Clock::system()).await.expect("a broker");
        Self { _turn: turn, db, broker }
    }

    async fn sql(&self, statement: &str) {
        self.db.pool.get().await.unwrap().batch_execute(statement).await.unwrap();
    }

    async fn number(&self, query: &str) -> i64 {
        self.db.pool.get().await.unwrap().query_one(query, &[]).await.unwrap().get(0)
    }

    async fn publish(&self, priority: &str, count: i64) {
        let query = "select posthaste.publish('tick', jsonb_build_object('n', n, 'p', $1::text), priority => $1) \
                     from generate_series(1, $2::bigint) n";
        self.db.pool.get().await.unwrap().query(query, &[&priority, &count]).await.unwrap();
    }
}

const ATTEMPT_PARTITIONS: &str =
    "select count(*) from pg_inherits where inhparent = 'posthaste.attempt'::regclass";

#[tokio::test]
async fn what_is_more_urgent_goes_before_the_rest_of_a_backlog() {
    let world = World::new().await;
    world.publish("LOW", EVENTS_BATCH + 1).await;
    let backlog = world.broker.publish_urgent().await.unwrap();
    assert_eq!((backlog.priority, backlog.count), (Some(Priority::Low), EVENTS_BATCH as usize));
    world.publish("CRITICAL", 1).await;
    world.publish("HIGH", 1).await;
    for (priority, count) in [(Priority::Critical, 1), (Priority::High, 1), (Priority::Low, 1)] {
        let batch = world.broker.publish_urgent().await.unwrap();
        assert_eq!((batch.priority, batch.count), (Some(priority), count));
    }
    assert_eq!(world.broker.publish_urgent().await.unwrap().count, 0);
}

#[tokio::test]
async fn a_backlog_does_not_keep_the_keeper_to_itself() {
    let world = World::new().await;
    world.publish("LOW", EVENTS_BATCH + 1).await;
    let now = Instant::now();
    let round = world.broker.publish_round(Some(now), Duration::ZERO).await.unwrap();
    assert_eq!((round.count, round.is_cut), (EVENTS_BATCH as usize, true));
    let round = world.broker.publish_round(None, Duration::ZERO).await.unwrap();
    assert_eq!((round.count, round.is_cut), (1, false));
}

#[tokio::test]
async fn each_queue_has_its_delayed_messages_promoted_in_turn() {
    let world = World::new().await;
    let mut queues = Vec::new();
    for name in ["a", "b"] {
        let queue = QueueIn { name: name.into(), settings: QueueSettingsPatch::default() };
        world.broker.create_queue(queue).await.unwrap();
        queues.push(world.broker.catalog().queue(name).unwrap().id);
    }
    world
        .sql(
            "insert into posthaste.deferred (id, queue_id, visible_at, sent_at, payload)
             select nextval('posthaste.message_seq'), q.id, posthaste.now() - interval '1 s', posthaste.now(), ''
             from posthaste.queue q, generate_series(1, 1001)",
        )
        .await;
    let round = world.broker.promote_round(queues.clone(), Some(Instant::now())).await.unwrap();
    assert_eq!((round.count, round.is_cut), (2_000, true));
    let left = "select count(distinct queue_id) * 10 + count(*) from posthaste.deferred";
    assert_eq!(world.number(left).await, 22, "one of each queue");
    let round = world.broker.promote_round(queues, None).await.unwrap();
    assert_eq!((round.count, round.is_cut), (2, false));
}

#[tokio::test]
async fn the_keeper_tidies_up_though_there_is_work() {
    let world = World::new().await;
    assert_eq!(world.number(ATTEMPT_PARTITIONS).await, 1, "the default one");
    let mut keeper = Keeper::new(world.broker.clone());
    world.publish("LOW", 1).await;
    keeper.turn(&CancellationToken::new()).await.unwrap();
    assert_eq!(world.number("select count(*) from posthaste.waiting").await, 0, "it had work to do");
    assert!(keeper.tidy_at > Instant::now(), "it is not time to tidy again");
    assert_eq!(world.number(ATTEMPT_PARTITIONS).await, 5, "today's and those of three days");
}

#[tokio::test]
async fn many_old_events_go_in_turns_and_not_at_the_pace_of_tidying() {
    let world = World::new().await;
    world.publish("LOW", 2 * FORGET_BATCH + 1).await;
    world.broker.publish_due().await.unwrap();
    world.sql("update posthaste.event set expires_at = posthaste.now() - interval '1 day'").await;
    let mut keeper = Keeper::new(world.broker.clone());
    for left in [FORGET_BATCH + 1, 1, 0] {
        assert!(keeper.forget_at < Instant::now() + TIDY_EVERY / 2, "it goes on soon");
        keeper.forget_at = Instant::now();
        keeper.forget().await.unwrap();
        assert_eq!(world.number("select count(*) from posthaste.event").await, left);
    }
    assert!(keeper.forget_at > Instant::now() + TIDY_EVERY / 2, "there are no more");
}

/// The number behind a series, such as `name{label="x"}`.
fn value(series: &str) -> f64 {
    let text = posthaste_observe::install().unwrap().render();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(f64::NAN, |number| number.parse().unwrap())
}

#[tokio::test]
async fn who_cannot_work_does_not_say_that_they_lead() {
    posthaste_observe::install().unwrap();
    let world = World::new().await;
    let queue = QueueIn { name: "q".into(), settings: QueueSettingsPatch::default() };
    world.broker.create_queue(queue).await.unwrap();
    world.sql("select posthaste.send('q', '1')").await;
    let shown = || {
        let leader = value(r#"posthaste_leader{role="keeper"}"#);
        (leader, value(r#"posthaste_queue_messages{queue="q",state="visible"}"#))
    };
    let awake = CancellationToken::new();
    awake.cancel();
    let mut keeper = Keeper::new(world.broker.clone());
    keeper.turn(&awake).await.unwrap();
    assert_eq!(shown(), (1.0, 1.0));

    world.sql("alter table posthaste.waiting rename to gone").await;
    keeper.turn(&awake).await.unwrap_err();
    keeper.failed(Duration::ZERO);
    assert_eq!(shown(), (0.0, 1.0), "nobody else can lead yet");
    keeper.lead_ends = Instant::now();
    keeper.broker.inner.metrics.schedule.lag_seconds.set(7.0);
    keeper.failed(Duration::ZERO);
    assert_eq!((shown(), value("posthaste_scheduler_lag_seconds")), ((0.0, 0.0), 0.0));

    world.sql("alter table posthaste.gone rename to waiting").await;
    keeper.turn(&awake).await.unwrap();
    assert_eq!(shown(), (1.0, 1.0));
}

#[tokio::test]
async fn schedules_that_cannot_go_on_hold_up_no_event() {
    let world = World::new().await;
    let schedule = serde_json::json!({"type": "tick", "rule": {"cron": "0 0 1 1 *"}, "zone": "UTC"});
    world.broker.create_schedule(serde_json::from_value(schedule).unwrap()).await.unwrap();
    world.sql("update posthaste.schedule set following_at = posthaste.now()").await;
    world.sql("alter table posthaste.schedule add constraint stuck check (following_at < '2000-01-01') not valid").await;
    world.publish("LOW", 1).await;
    let mut keeper = Keeper::new(world.broker.clone());
    assert!(keeper.lead().await.unwrap());
    assert!(keeper.work().await.unwrap());
    assert!(keeper.go_on_at > Instant::now(), "it is tried again later");
    assert_eq!(world.number("select count(*) from posthaste.waiting").await, 1, "the schedule's own");
}

#[tokio::test]
async fn the_lag_is_that_of_the_oldest_event_though_it_cannot_be_published() {
    posthaste_observe::install().unwrap();
    let world = World::new().await;
    world.publish("LOW", 1).await;
    world.sql("update posthaste.waiting set due_at = posthaste.now() - interval '60 s'").await;
    let held = posthaste_store::Transaction::begin(&world.db.pool, Default::default()).await.unwrap();
    held.batch_execute("select from posthaste.waiting for update").await.unwrap();
    let mut keeper = Keeper::new(world.broker.clone());
    for _ in 0..2 {
        assert!(keeper.lead().await.unwrap() && !keeper.work().await.unwrap());
        let lag = value("posthaste_scheduler_lag_seconds");
        assert!((60.0..90.0).contains(&lag), "{lag}");
    }
    held.roll_back().await;
    assert!(keeper.work().await.unwrap(), "it is published");
    assert!(!keeper.work().await.unwrap());
    assert_eq!(value("posthaste_scheduler_lag_seconds"), 0.0);
}

#[tokio::test]
async fn attempts_are_kept_for_their_days_and_no_longer() {
    let world = World::new().await;
    // The days have partitions, but for the ninth and the third, whose attempts are in the default one.
    world
        .sql(
            "do $$ declare day date; today date := (posthaste.now() at time zone 'UTC')::date; begin
                 foreach day in array array[today - 8, today - 7] loop
                     execute format(
                         'create table posthaste.%I partition of posthaste.attempt for values from (%L) to (%L)',
                         'attempt_' || to_char(day, 'YYYYMMDD'), day::timestamp at time zone 'UTC',
                         (day + 1)::timestamp at time zone 'UTC'
                     );
                 end loop;
             end $$;
             insert into posthaste.attempt (at, message_id, endpoint_id, receive, latency_ms)
             select date_trunc('day', posthaste.now(), 'UTC') - make_interval(days => age), age, 1, 1, 0
             from unnest(array[9, 8, 7, 3]) age",
        )
        .await;
    Keeper::new(world.broker.clone()).tidy().await.unwrap();
    let session = world.db.pool.get().await.unwrap();
    let text = async |query: &str| session.query_one(query, &[]).await.unwrap().get::<_, String>(0);
    let attempts = "select string_agg(message_id::text, ' ' order by at) from posthaste.attempt";
    assert_eq!(text(attempts).await, "7 3");
    let partitions = "select string_agg(
            ((posthaste.now() at time zone 'UTC')::date - to_date(right(c.relname, 8), 'YYYYMMDD'))::text, ' '
            order by c.relname
        )
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'posthaste.attempt'::regclass and c.relname ~ '[0-9]{8}$'";
    assert_eq!(text(partitions).await, "7 0 -1 -2 -3");
}
