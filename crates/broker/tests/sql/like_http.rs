//! What comes from SQL is like what comes over HTTP: local times, limits, delays, and what is announced.

use posthaste_broker::{Declaration, EventIn, Payload};
use posthaste_engine::due::parse_due;
use serde_json::{Value, json};

use super::{SHOP, Shop};

/// Each local time as SQL and as a node resolve it; far enough ahead, and in the next ten years.
#[tokio::test]
async fn a_local_time_is_the_same_instant_from_sql_and_from_a_node() {
    let shop = Shop::open().await;
    for (local, zone) in [
        ("2030-07-01T09:00:00", "Europe/Berlin"),
        ("2030-10-27T02:30:00", "Europe/Berlin"),
        ("2030-10-27T01:59:59", "Europe/Berlin"),
        ("2030-10-27T03:00:00", "Europe/Berlin"),
        ("2030-03-31T02:30:00", "Europe/Berlin"),
        ("2030-11-03T01:30:00", "America/New_York"),
        ("2030-03-10T02:00:00", "America/New_York"),
        ("2030-04-07T01:45:00", "Australia/Lord_Howe"),
        ("2030-10-06T02:15:00", "Australia/Lord_Howe"),
        ("2011-12-30T10:00:00", "Pacific/Apia"),
        ("2030-01-01T00:00:00", "Asia/Kathmandu"),
        ("2030-01-01T00:00:00", "Etc/GMT+5"),
        ("2030-01-01T00:00:00", "UTC"),
    ] {
        let session = shop.db.pool.get().await.unwrap();
        let ask = format!("select posthaste.resolve_local('{local}', '{zone}') = $1::text::timestamptz");
        let by_node = parse_due(&format!("{local}[{zone}]")).unwrap().resolve(None).unwrap();
        let is_same = session.query_one(&ask, &[&by_node.to_string()]).await.unwrap().get::<_, bool>(0);
        assert!(is_same, "{local} in {zone} is {by_node}");
    }
}

#[tokio::test]
async fn a_local_time_needs_a_zone_that_is_known() {
    let shop = Shop::open().await;
    let subject = "insert into posthaste.subject (id, zone) values ('ann', 'Europe/Berlin')";
    shop.db.pool.get().await.unwrap().batch_execute(subject).await.unwrap();
    let local = r#"'order', '{"orderId": "a", "amount": 1}', due_local => '2030-10-27 02:30'"#;
    for (more, expected) in [
        ("", "22023: posthaste.publish: the local time 2030-10-27 02:30:00 names no zone"),
        (", subject => 'bob'", "22023: posthaste.publish: the local time 2030-10-27 02:30:00 names no zone"),
        (", zone => 'Europe/Nowhere'", "22023: time zone \"Europe/Nowhere\" not recognized"),
        (", zone => 'CET'", "22023: posthaste: there is no time zone `CET`"),
        (", zone => '+02'", "22023: posthaste: there is no time zone `+02`"),
        (", zone => 'Mars/Base5'", "22023: posthaste: there is no time zone `Mars/Base5`"),
        (
            ", zone => 'UTC', due_at => now()",
            "22023: posthaste.publish: both `due_at` and `due_local` are given",
        ),
    ] {
        let error = shop.call(&format!("publish({local}{more})")).await.expect_err(more);
        assert!(error.starts_with(expected), "{more}: {error}");
    }
    let error = shop.call("publish('order', '1', zone => 'UTC')").await.unwrap_err();
    assert!(error.starts_with("22023: posthaste.publish: `zone` is the zone of `due_local`"), "{error}");
    for (n, more) in ["zone => 'Europe/Berlin'", "subject => 'ann'"].into_iter().enumerate() {
        let id = shop.publish(&format!("{local}, key => '{n}', {more}")).await;
        let due_at = shop.broker.show_event(id).await.unwrap().due_at;
        assert_eq!(due_at.to_string(), "2030-10-27T00:30:00Z", "the first of the two: {more}");
    }
}

#[tokio::test]
async fn an_event_that_is_due_later_is_announced_to_those_who_ask() {
    let shop = Shop::open().await;
    let later = r#"'{"orderId": "a", "amount": 1}', due_at => '2030-01-02T03:04:05.25Z', subject => 'ann'"#;
    shop.publish(&format!("'order', {later}, key => 'before'")).await;
    assert_eq!(shop.take_up().await, 0, "nobody has asked");
    let more = format!("{SHOP}\n[subscriptions.news]\ntopic = \"EventScheduled\"\nqueue = \"eu\"\n");
    shop.broker.apply(&Declaration::parse(&more).unwrap()).await.unwrap();

    let by_sql = shop.publish(&format!("'order', {later}, priority => 'HIGH', key => 'sql'")).await;
    shop.publish(&format!("'order', {later}, key => 'sql'")).await;
    shop.publish(r#"'order', '{"orderId": "b", "amount": 1}'"#).await;
    let by_node = EventIn {
        key: Some("node".into()),
        subject: Some("ann".into()),
        priority: Some(posthaste_base::Priority::High),
        due: Some(parse_due("2030-01-02T03:04:05.25Z").unwrap()),
        ..EventIn::of(Payload::json(r#"{"orderId": "a", "amount": 1}"#.into()).unwrap())
    };
    let by_node = shop.broker.publish(by_node).await.unwrap().id;
    assert_eq!(shop.take_up().await, 2, "what is due now, and one announcement");
    let mut told = shop.received("eu").await;
    told.sort_by_key(|one| one["eventId"] != json!(by_sql));
    let ids: Vec<Value> = told.iter_mut().map(|one| one["eventId"].take()).collect();
    assert_eq!(ids, [json!(by_sql), json!(by_node)]);
    assert_eq!(told[0], told[1], "SQL says what a node says");
}

#[tokio::test]
async fn a_message_from_sql_has_the_limits_and_the_delay_of_one_from_a_node() {
    let shop = Shop::open().await;
    let large =
        "'inbox', to_jsonb(repeat('x', 262000)), attributes => jsonb_build_object('a', repeat('y', 200))";
    let error = shop.call(&format!("send({large})")).await.unwrap_err();
    assert!(error.starts_with("22023: posthaste.send: `payload` and `attributes` have 2622"), "{error}");
    let delay = "update posthaste.queue set delay_seconds = 60 where name = 'inbox'";
    shop.db.pool.get().await.unwrap().batch_execute(delay).await.unwrap();
    shop.call("send('inbox', '1')").await.unwrap();
    shop.call("send('inbox', '2', 0)").await.unwrap();
    shop.call("send('inbox', '3', 5)").await.unwrap();
    assert_eq!(shop.received("inbox").await, [json!(2)], "who names a delay has that one");
    let deferred = "select count(*), min(visible_at - sent_at)::text from posthaste.deferred";
    let row = shop.db.pool.get().await.unwrap().query_one(deferred, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (2, "00:00:05"));
}
