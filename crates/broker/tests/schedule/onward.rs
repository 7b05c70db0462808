//! Schedules whose occurrences do not end in time: they go on by the clock.

use super::*;

/// An hourly schedule with one subscriber that receives, and one whose queue nobody drains.
async fn hourly() -> World {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let stuck = QueueIn { name: "stuck".into(), settings: QueueSettingsPatch::default() };
    world.broker.create_queue(stuck).await.expect("a queue");
    world.subscribe("s", "tick").await;
    let subscription = SubscriptionIn {
        name: "stuck".into(),
        topic: "tick".into(),
        filter: None,
        queue: Some("stuck".into()),
        endpoint: None,
    };
    world.broker.create_subscription(subscription).await.expect("a subscription");
    world.schedule(json!({"name": "t", "type": "tick", "rule": {"cron": "0 * * * *"}, "zone": "UTC"})).await;
    world
}

impl World {
    async fn go_on(&self) -> usize {
        self.broker.go_on_by_the_clock().await.expect("the keeper")
    }

    async fn tick(&self) -> ScheduleOut {
        self.broker.get_schedule("t").await.expect("a schedule")
    }

    async fn waiting(&self) -> i64 {
        self.number("select count(*) from posthaste.waiting").await
    }
}

#[tokio::test]
async fn a_subscriber_that_is_stuck_does_not_keep_a_schedule_from_the_others() {
    let mut world = hourly().await;
    let mut last = None;
    for hour in 1..=3 {
        world.goes_on_at(&format!("2026-01-01T{hour:02}:00:05Z")).await;
        world.go_on().await;
        let message = world.receive_one().await;
        world.settle(&message).await;
        let event = message.event.unwrap();
        assert_eq!((Some(event.id), world.tick().await.occurrences), (world.tick().await.event_id, hour));
        assert_ne!(last.replace(event.key.clone()), Some(event.key));
    }
    // What was overtaken ends after all: the schedule has gone on long since.
    let mut stuck = world.broker.receive("stuck", 10, None, Duration::ZERO).await.unwrap();
    assert_eq!(stuck.len(), 3);
    for message in stuck.drain(..2) {
        world.settle(&message).await;
        assert_eq!(world.status_of(message.event.unwrap().id).await, EventStatus::Completed);
    }
    assert_eq!((world.tick().await.occurrences, world.waiting().await), (3, 0));
    world.settle(&stuck.remove(0)).await;
    let after = world.tick().await;
    assert_eq!((after.occurrences, after.next_at), (4, at("2026-01-01T04:00:00Z")));
    assert_eq!((world.go_on().await, world.waiting().await), (0, 1));
}

#[tokio::test]
async fn nothing_is_made_before_its_time() {
    let mut world = hourly().await;
    world.goes_on_at("2026-01-01T01:00:05Z").await;
    world.receive_one().await;
    world.goes_on_at("2026-01-01T01:50:00Z").await;
    assert_eq!((world.go_on().await, world.tick().await.occurrences), (0, 1));
}

#[tokio::test]
async fn an_occurrence_that_comes_late_is_not_followed_by_those_whose_place_it_took() {
    let mut world = hourly().await;
    world.goes_on_at("2026-01-03T10:20:00Z").await;
    assert_eq!((world.go_on().await, world.waiting().await), (1, 1), "one was looked at, and it waits");
    assert_eq!((world.go_on().await, world.tick().await.occurrences), (0, 1), "nothing follows what waits");
    world.receive_one().await;
    world.goes_on_at("2026-01-03T10:50:00Z").await;
    assert_eq!((world.go_on().await, world.tick().await.occurrences), (0, 1));
    world.goes_on_at("2026-01-03T11:00:05Z").await;
    world.go_on().await;
    assert_eq!((world.tick().await.occurrences, world.tick().await.next_at), (2, at("2026-01-03T11:00:00Z")));
}

#[tokio::test]
async fn a_schedule_that_is_over_or_paused_does_not_go_on() {
    let mut world = World::at("2026-05-01T00:00:00Z").await;
    world.subscribe("s", "tick").await;
    let rrule = json!({"rrule": "FREQ=DAILY;COUNT=1", "from": "2026-05-01T09:00"});
    world.schedule(json!({"name": "r", "type": "tick", "rule": rrule, "zone": "UTC"})).await;
    world.schedule(json!({"name": "t", "type": "tick", "rule": {"cron": "0 9 * * *"}, "zone": "UTC"})).await;
    world.goes_on_at("2026-05-01T09:00:05Z").await;
    let messages = world.receive().await;
    assert_eq!(messages.len(), 2);
    world.broker.pause_schedule("t").await.unwrap();
    world.goes_on_at("2026-05-02T09:00:05Z").await;
    assert_eq!((world.go_on().await, world.waiting().await), (0, 0));
}

#[tokio::test]
async fn the_keeper_makes_what_nothing_else_would() {
    let mut world = hourly().await;
    world.goes_on_at("2026-01-01T01:00:05Z").await;
    let first = world.receive_one().await;
    world.settle(&first).await;
    world.goes_on_at("2026-01-01T02:00:05Z").await;
    let stop = tokio_util::sync::CancellationToken::new();
    let (broker, until) = (world.broker.clone(), stop.clone());
    let keeper = tokio::spawn(async move { broker.run_keeper(until).await });
    let messages = world.broker.receive("inbox", 10, None, Duration::from_secs(20)).await.unwrap();
    assert_eq!(messages.len(), 1);
    stop.cancel();
    keeper.await.unwrap();
    assert_eq!(world.tick().await.occurrences, 2);
}

#[tokio::test]
async fn an_end_a_move_and_the_clock_at_the_same_time_make_one_next() {
    let mut world = World::at("2026-01-01T00:00:00Z").await;
    world.subscribe("s", "tick").await;
    world.subject("u1", "UTC", "1990-03-15").await;
    world
        .schedule(json!({"name": "t", "type": "tick", "subject": "u1", "rule": {"cron": "0 * * * *"}}))
        .await;
    for round in 1..=8 {
        let now = time("2026-01-01T00:00:10Z") + SignedDuration::from_hours(3 * round);
        world.goes_on_at(&now.to_string()).await;
        world.broker.publish_due().await.unwrap();
        let messages = world.broker.receive("inbox", 10, Some(7_200), Duration::ZERO).await.unwrap();
        assert_eq!(messages.len(), 1, "round {round}");
        world.goes_on_at(&(now + SignedDuration::from_hours(1)).to_string()).await;
        let zone = if round % 2 == 0 { "UTC" } else { "Asia/Kolkata" };
        let (settled, moved, _) = tokio::join!(
            world.broker.settle(vec![messages[0].receipt]),
            world.broker.patch_subject("u1", patch(json!({"zone": zone}))),
            world.go_on(),
        );
        assert!(settled.unwrap().iter().all(Result::is_ok) && moved.is_ok());
        let tick = world.tick().await;
        assert_eq!((tick.status.as_str(), tick.occurrences), ("active", round + 1));
        let live = "select count(*) from posthaste.event where finished_at is null";
        assert_eq!(world.number(live).await, 1, "round {round}");
    }
}
