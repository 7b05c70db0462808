//! What applications publish and send from SQL, in their own transactions: checked as strictly as what comes over
//! HTTP, at once where SQL can tell, and else when the event is due.

mod held;
mod library;
mod like_http;
mod loops;
mod role;
mod upgrade;

use std::time::Duration;

use posthaste_base::{Clock, Code, EventId};
use posthaste_broker::{
    Broker, BrokerOptions, DeadLetterFilter, DeadLetterOut, Declaration, EventIn, EventStatus, Message,
    Payload, RedriveIn,
};
use posthaste_testkit::db::TestDb;
use serde_json::{Value, json};

const SHOP: &str = r#"
[queues.inbox]
[queues.eu]
[queues.dear]
[types.order]
schema = { type = "object", required = ["orderId", "amount"], properties = { amount = { type = "number", exclusiveMinimum = 0 } } }
[subscriptions.all]
topic = "order"
queue = "inbox"
[subscriptions.eu]
topic = "order"
queue = "eu"
filter = { region = ["eu"] }
[subscriptions.dear]
topic = "order"
queue = "dear"
filter = { payload = { amount = [{ numeric = [">", 100] }] }, priority = ["CRITICAL"] }
"#;

struct Shop {
    db: TestDb,
    broker: Broker,
    options: BrokerOptions,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(BrokerOptions::default()).await
    }

    async fn open_with(options: BrokerOptions) -> Self {
        let db = TestDb::posthaste().await;
        let broker = Broker::open(db.pool.clone(), options.clone(), Clock::system()).await.expect("a broker");
        broker
            .apply(&Declaration::parse(SHOP).expect("a declaration"))
            .await
            .expect("an applied declaration");
        Self { db, broker, options }
    }

    async fn pass(&mut self, seconds: i64) {
        self.db.set_clock_ahead(seconds).await;
        let pool = self.db.pool.clone();
        self.broker = Broker::open(pool, self.options.clone(), Clock::system()).await.expect("a broker");
    }

    /// Runs `select posthaste.<call>` as an application would; the answer as text.
    async fn call(&self, call: &str) -> Result<String, String> {
        let session = self.db.pool.get().await.expect("a session");
        let answer = session.query_one(&format!("select (posthaste.{call})::text"), &[]).await;
        answer.map(|row| row.get(0)).map_err(|error| match error.as_db_error() {
            Some(error) => format!("{}: {}", error.code().code(), error.message()),
            None => error.to_string(),
        })
    }

    async fn publish(&self, arguments: &str) -> EventId {
        self.call(&format!("publish({arguments})")).await.expect("it should be taken").parse().expect("an id")
    }

    async fn take_up(&self) -> usize {
        self.broker.publish_due().await.expect("the scheduler")
    }

    async fn receive(&self, queue: &str) -> Vec<Message> {
        self.broker.receive(queue, 100, None, Duration::ZERO).await.expect("messages")
    }

    async fn received(&self, queue: &str) -> Vec<Value> {
        let messages = self.receive(queue).await;
        messages.iter().map(|message| serde_json::from_slice(&message.payload).expect("JSON")).collect()
    }

    async fn letters(&self) -> Vec<DeadLetterOut> {
        let filter = DeadLetterFilter::default();
        self.broker.list_dead(&filter, false, None, 100).await.expect("dead letters").letters
    }

    async fn status_of(&self, event: EventId) -> EventStatus {
        self.broker.show_event(event).await.expect("an event").status
    }
}

#[tokio::test]
async fn commit_publishes_and_rollback_does_not() {
    let shop = Shop::open().await;
    let session = shop.db.pool.get().await.unwrap();
    for (end, n) in [("rollback", 1), ("commit", 2)] {
        session
            .batch_execute(&format!(
                "begin; select posthaste.publish('order', '{{\"orderId\": \"t\", \"amount\": {n}}}'); \
                 select posthaste.send('inbox', '{n}'); {end}"
            ))
            .await
            .unwrap();
    }
    assert_eq!(shop.take_up().await, 1);
    assert_eq!(shop.received("inbox").await, [json!(2), json!({"orderId": "t", "amount": 2})]);
    assert_eq!(shop.take_up().await, 0, "it is taken up once");
}

#[tokio::test]
async fn same_key_is_one_event_and_conflicts_are_raised() {
    let shop = Shop::open().await;
    let first = shop.publish(r#"'order', '{"orderId": "a", "amount": 1}', key => 'k'"#).await;
    let again = shop.publish(r#"'order', '{"amount": 1.0, "orderId": "a"}', key => 'k'"#).await;
    assert_eq!(first, again, "the same content in another order");
    for other in [r#"'order', '{"orderId": "a", "amount": 2}'"#, r#"'else', '{"orderId": "a", "amount": 1}'"#]
    {
        let error = shop.call(&format!("publish({other}, key => 'k')")).await.unwrap_err();
        assert!(error.starts_with("23505: posthaste.publish: the idempotency key k"), "{error}");
    }
    let unnamed = shop.publish(r#"'order', '{"orderId": "b", "amount": 1}'"#).await;
    assert_eq!(
        shop.publish(r#"'order', '{"orderId": "b", "amount": 1}'"#).await,
        unnamed,
        "content is a key"
    );
    assert_eq!((shop.take_up().await, shop.receive("inbox").await.len()), (2, 2));
    assert_eq!(shop.publish(r#"'order', '{"orderId": "a", "amount": 1}', key => 'k'"#).await, first);
    assert_eq!(shop.take_up().await, 0, "it was delivered long since");
}

#[tokio::test]
async fn a_key_means_the_same_from_sql_and_from_a_node() {
    let shop = Shop::open().await;
    let event = |key: &str, text: &'static str| EventIn {
        key: Some(key.into()),
        event_type: Some("order".into()),
        ..EventIn::of(Payload::json(text.as_bytes().into()).unwrap())
    };
    let by_node = shop.broker.publish(event("n", r#"{"orderId": "a", "amount": 42.50}"#)).await.unwrap();
    assert_eq!(shop.publish(r#"'order', '{"amount": 42.5, "orderId": "a"}', key => 'n'"#).await, by_node.id);
    let binary = EventIn {
        key: Some("b".into()),
        event_type: Some("blob".into()),
        ..EventIn::of(Payload::Binary([0, 255].as_slice().into()))
    };
    shop.broker.publish(binary).await.unwrap();
    let error = shop.call("publish('blob', '1', key => 'b')").await.unwrap_err();
    assert!(error.starts_with("23505"), "{error}");

    let by_sql = shop.publish(r#"'order', '{"orderId": "a", "amount": 42.50}', key => 's'"#).await;
    let same = shop.broker.publish(event("s", r#"{"amount":42.5,"orderId":"a"}"#)).await.unwrap();
    assert_eq!((same.id, same.duplicate), (by_sql, true));
    let other = shop.broker.publish(event("s", r#"{"amount":1,"orderId":"a"}"#)).await.unwrap_err();
    assert_eq!(other.code(), Code::KeyConflict);
}

#[tokio::test]
async fn content_without_a_key_is_the_same_event_from_sql_and_from_a_node() {
    let shop = Shop::open().await;
    let text = r#"{"orderId": "ä \u0007", "amount": 42.50}"#;
    let by_node = shop.broker.publish(EventIn::of(Payload::json(text.into()).unwrap())).await.unwrap();
    assert_eq!(shop.publish(r#"'order', '{"amount": 42.5, "orderId": "ä \u0007"}'"#).await, by_node.id);
    let by_sql = shop.publish(r#"'order', '{"orderId": "b", "amount": 1.00}'"#).await;
    let payload = Payload::json(r#"{"amount":1,"orderId":"b"}"#.into()).unwrap();
    let same = shop.broker.publish(EventIn::of(payload)).await.unwrap();
    assert_eq!((same.id, same.duplicate), (by_sql, true));
    assert_eq!(shop.take_up().await, 1);
}

/// JSON of every kind, but for what `jsonb` does not keep: whole numbers above 2^53 that were written with an exponent.
fn any_json(random: &mut impl FnMut(u64) -> u64, depth: u64) -> String {
    const TEXTS: [&str; 9] = [
        "a",
        "b c",
        "\"\\\\",
        "\t\u{8}\u{1f}\u{7f}",
        "ä",
        "\u{e000}",
        "\u{ffff}",
        "\u{10000}",
        "\u{1f600}\u{fb33}",
    ];
    let text = |random: &mut dyn FnMut(u64) -> u64| {
        (0..random(4)).map(|_| TEXTS[random(9) as usize]).collect::<String>()
    };
    match random(if depth == 0 { 7 } else { 10 }) {
        0 => ["null", "true", "false"][random(3) as usize].to_owned(),
        1 => (random(u64::MAX) as i64 >> random(64)).to_string(),
        2 => (random(u64::MAX) >> random(64)).to_string(),
        3 => format!("{}.{:04}", random(u64::MAX) as i64 >> random(64), random(10_000)),
        4 => match f64::from_bits(random(u64::MAX)) {
            float if float.is_finite() && (float.fract() != 0.0 || float.abs() > 2e19) => {
                format!("{float:e}")
            }
            _ => "1e-7".to_owned(),
        },
        5 => format!("{}e-{}", random(1_000), random(330)),
        6 => json!(text(random)).to_string(),
        7 => {
            let items: Vec<_> = (0..random(4)).map(|_| any_json(random, depth - 1)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let fields: std::collections::BTreeMap<_, _> =
                (0..random(6)).map(|_| (text(random), any_json(random, depth - 1))).collect();
            let fields: Vec<_> =
                fields.iter().map(|(key, value)| format!("{} : {value}", json!(key))).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

#[tokio::test]
async fn the_canonical_form_is_that_of_the_nodes() {
    let seed = 1 + u64::from(std::process::id());
    println!("seed {seed}");
    let mut state = seed;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed ^ (mixed >> 33)) % below
    };
    let fixed = ["-0", "-0.0", "1.00", "1e21", "123456789012345680000.5", "0.000001", "0.0000001", "1e-400"];
    let fixed = fixed.into_iter().chain([
        "9223372036854775808.0",
        "18446744073709551615",
        "5e-324",
        "1e20",
        "17214897797569.3125",
    ]);
    let random = (0..2_000).map(|_| any_json(&mut random, 4));
    let texts: Vec<String> = fixed.map(str::to_owned).chain(random).collect();
    let shop = Shop::open().await;
    let session = shop.db.pool.get().await.unwrap();
    let ask = "select posthaste.canonical(t.text::jsonb) from unnest($1::text[]) with ordinality as t (text, n) order by n";
    let rows = session.query(ask, &[&texts]).await.unwrap();
    for (text, row) in texts.iter().zip(&rows) {
        let value = posthaste_engine::json::parse(text.as_bytes()).unwrap();
        assert_eq!(row.get::<_, String>(0), posthaste_engine::canonical::to_canonical(&value), "{text}");
    }
}

#[tokio::test]
async fn what_is_due_later_comes_later() {
    let mut shop = Shop::open().await;
    let due = r#"'order', '{"orderId": "a", "amount": 1}', due_at => posthaste.now() + interval '1 hour'"#;
    let event = shop.publish(due).await;
    assert_eq!((shop.take_up().await, shop.status_of(event).await), (0, EventStatus::Pending));
    shop.pass(3_601).await;
    assert_eq!((shop.take_up().await, shop.receive("inbox").await.len()), (1, 1));
    let past = r#"'order', '{"orderId": "b", "amount": 1}', due_at => '-infinity'"#;
    shop.publish(past).await;
    assert_eq!(shop.take_up().await, 1, "what was due in the past is due now");
}

#[tokio::test]
async fn topics_fan_out_by_their_filters() {
    let shop = Shop::open().await;
    let publish = async |amount: u32, more: &str| {
        shop.publish(&format!(r#"'order', '{{"orderId": "{amount}", "amount": {amount}}}' {more}"#)).await;
    };
    publish(1, "").await;
    publish(2, r#", attributes => '{"region": "eu"}'"#).await;
    publish(300, r#", attributes => '{"region": "eu"}', priority => 'critical', subject => 'u1'"#).await;
    publish(400, r#", attributes => '{"region": "us"}', priority => 'LOW'"#).await;
    assert_eq!(shop.take_up().await, 4);
    for (queue, expected) in [("inbox", vec![1, 2, 300, 400]), ("eu", vec![2, 300]), ("dear", vec![300])] {
        let mut amounts: Vec<_> =
            shop.received(queue).await.iter().map(|one| one["amount"].clone()).collect();
        amounts.sort_by_key(|amount| amount.as_u64());
        assert_eq!(amounts, expected, "{queue}");
    }
}

#[tokio::test]
async fn what_sql_can_tell_is_wrong_is_raised_at_once() {
    let shop = Shop::open().await;
    let huge = "repeat('x', 262145)";
    for (arguments, expected) in [
        ("null, '1'", "22023: posthaste.publish: `type`"),
        ("'', '1'", "22023: posthaste.publish: `type`"),
        ("'a b', '1'", "22023: posthaste.publish: `type`"),
        ("E'a\\nb', '1'", "22023: posthaste.publish: `type`"),
        ("'Übung', '1'", "22023: posthaste.publish: `type`"),
        ("repeat('x', 121), '1'", "22023: posthaste.publish: `type`"),
        (
            "'EventCompleted', '{}'",
            "22023: posthaste.publish: only Posthaste itself publishes `EventCompleted`",
        ),
        ("'order', null", "22004: posthaste.publish: `payload`"),
        (
            &format!("'order', to_jsonb({huge})"),
            "22023: posthaste.publish: `payload` and `attributes` have 262147 bytes",
        ),
        (
            &format!("'order', '1', attributes => jsonb_build_object('a', {huge})"),
            "22023: posthaste.publish: `payload` and",
        ),
        ("'order', '1', attributes => '[]'", "22023: posthaste.publish: `attributes`"),
        ("'order', '1', key => ''", "22023: posthaste.publish: `key`"),
        ("'order', '1', key => E'a\\r\\nb'", "22023: posthaste.publish: `key`"),
        ("'order', '1', key => repeat('ä', 128)", "22023: posthaste.publish: `key`"),
        ("'order', '1', subject => ''", "22023: posthaste.publish: `subject`"),
        ("'order', '1', subject => E'\\t'", "22023: posthaste.publish: `subject`"),
        ("'order', '1', priority => 'urgent'", "22023: posthaste.publish: `priority` is urgent"),
        ("'order', '1', due_at => 'infinity'", "22023: posthaste.publish: `due_at`"),
        ("'order', '1', due_at => '9999-12-31'", "22023: posthaste.publish: `due_at`"),
        ("'order', '{\"a\": NaN}'", "22P02"),
        ("'order', '{\"a\": -1e400}'", "22003: posthaste: the payload has a number"),
    ] {
        let error = shop.call(&format!("publish({arguments})")).await.expect_err(arguments);
        assert!(error.starts_with(expected), "{arguments}: {error}");
    }
    for (arguments, expected) in [
        ("'nowhere', '1'", "42704: posthaste.send: there is no queue `nowhere`"),
        ("'critical', '1'", "22023: posthaste.send: the queue `critical` is for what goes to endpoints"),
        ("'inbox', null", "22004: posthaste.send: `payload`"),
        ("'inbox', '1', -1", "22023: posthaste.send: `delay_seconds` is -1"),
        ("'inbox', '1', 259200", "22023: posthaste.send: `delay_seconds` is 259200"),
        ("'inbox', '1', 0, '1'", "22023: posthaste.send: `attributes`"),
        (&format!("'inbox', to_jsonb({huge})"), "22023: posthaste.send: `payload`"),
    ] {
        let error = shop.call(&format!("send({arguments})")).await.expect_err(arguments);
        assert!(error.starts_with(expected), "{arguments}: {error}");
    }
    assert_eq!(shop.take_up().await, 0);
    assert!(shop.receive("inbox").await.is_empty());
    shop.publish("'big', to_jsonb(repeat('x', 262000))").await;
    shop.call("send('inbox', to_jsonb(repeat('x', 262000)))").await.unwrap();
    assert_eq!((shop.take_up().await, shop.receive("inbox").await.len()), (1, 1));
}

#[tokio::test]
async fn a_payload_that_its_schema_refuses_is_a_dead_letter_until_it_is_redriven() {
    let shop = Shop::open().await;
    let bad = shop.publish(r#"'order', '{"amount": 0}', priority => 'HIGH'"#).await;
    let good = shop.publish(r#"'order', '{"orderId": "a", "amount": 1}'"#).await;
    assert_eq!(shop.take_up().await, 2);
    assert_eq!(shop.received("inbox").await, [json!({"orderId": "a", "amount": 1})]);
    assert_eq!(shop.status_of(good).await, EventStatus::Processing);
    assert_eq!(shop.status_of(bad).await, EventStatus::Failed);
    let letters = shop.letters().await;
    let letter = serde_json::to_value(&letters[0]).unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letter["category"], &letter["code"], &letter["queue"], &letter["eventId"]),
        (&json!("VALIDATION"), &json!("invalid-payload"), &json!("inbox"), &json!(bad))
    );
    let cause = letter["error"].as_str().unwrap();
    assert!(
        cause.contains("/orderId: is required") && cause.contains("/amount: must be greater than 0"),
        "{cause}"
    );

    redrive(&shop).await;
    assert_eq!(shop.letters().await.len(), 1, "it is as wrong as before");
    let lenient = SHOP
        .replace("required = [\"orderId\", \"amount\"], ", "")
        .replace("exclusiveMinimum = 0", "minimum = 0");
    shop.broker.apply(&Declaration::parse(&lenient).unwrap()).await.unwrap();
    redrive(&shop).await;
    assert_eq!(shop.received("inbox").await, [json!({"amount": 0})]);
    assert!(shop.letters().await.is_empty());
    assert_eq!(shop.status_of(bad).await, EventStatus::Processing);
}

async fn redrive(shop: &Shop) {
    let run = RedriveIn { per_message_delay_jitter: Some(0), ..RedriveIn::default() };
    shop.broker.start_redrive(&run).await.expect("a redrive");
    assert_eq!(shop.broker.move_due(100).await.expect("moved letters"), 1);
    assert_eq!(shop.take_up().await, 1);
}

#[tokio::test]
async fn an_event_that_is_refused_ends_as_failed() {
    let shop = Shop::open().await;
    let more = format!("{SHOP}\n[subscriptions.ends]\ntopic = \"EventFailed\"\nqueue = \"eu\"\n");
    shop.broker.apply(&Declaration::parse(&more).unwrap()).await.unwrap();
    let bad = shop.publish(r#"'order', '{"amount": 0}'"#).await;
    assert_eq!(shop.take_up().await, 1);
    let told = shop.received("eu").await;
    assert_eq!((told.len(), &told[0]["eventId"]), (1, &json!(bad)));
}

#[tokio::test]
async fn json_that_nodes_do_not_take_is_a_dead_letter() {
    let shop = Shop::open().await;
    shop.publish("'deep', (repeat('[', 100) || repeat(']', 100))::jsonb").await;
    shop.publish("'large', '{\"n\": 123456789012345678901}'").await;
    assert_eq!(shop.take_up().await, 2);
    let letters = serde_json::to_value(shop.letters().await).unwrap();
    for letter in letters.as_array().unwrap() {
        assert_eq!((&letter["category"], &letter["code"]), (&json!("VALIDATION"), &json!("malformed-body")));
    }
    assert_eq!(letters.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_type_that_is_new_is_made_or_refused_as_configured() {
    let shop = Shop::open().await;
    let event = shop.publish("'news', '1'").await;
    assert_eq!(shop.take_up().await, 1);
    assert!(shop.broker.catalog().topics.contains_key("news"));
    assert_eq!(shop.status_of(event).await, EventStatus::Completed);

    let strict = Shop::open_with(BrokerOptions { strict_types: true, ..BrokerOptions::default() }).await;
    let event = strict.publish("'news', '1'").await;
    assert_eq!(strict.take_up().await, 1);
    assert!(!strict.broker.catalog().topics.contains_key("news"));
    assert_eq!(strict.status_of(event).await, EventStatus::Failed);
    let letters = serde_json::to_value(strict.letters().await).unwrap();
    assert_eq!(
        (&letters[0]["category"], &letters[0]["code"]),
        (&json!("VALIDATION"), &json!("unknown-type"))
    );
}

#[tokio::test]
async fn the_trace_of_the_sender_stays_with_an_event_from_sql() {
    let shop = Shop::open().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let order = r#"'order', '{"orderId": "t", "amount": 1}'"#;
    let id = shop.publish(&format!("{order}, correlation_id => '{trace}'")).await;
    assert_eq!(shop.take_up().await, 1);
    let stored = shop.receive("inbox").await.remove(0).event.unwrap().correlation_id;
    assert_eq!(stored.as_deref(), Some(trace), "whole, so that what follows has its place");
    let shown = shop.broker.show_event(id).await.unwrap().correlation_id;
    assert_eq!(shown.as_deref(), Some(&trace[3..35]));
    for wrong in ["''", "'a b'", "e'a\\nb'", "repeat('x', 129)"] {
        let error = shop.call(&format!("publish({order}, correlation_id => {wrong})")).await.unwrap_err();
        assert!(error.starts_with("22023: ") && error.contains("`correlation_id`"), "{wrong}: {error}");
    }
}

/// The rules of a bus, as a cloud's are written: one way for many types, chosen by name, list and prefix.
#[tokio::test]
async fn one_subscription_to_every_topic_takes_the_types_that_its_filter_lets_through() {
    let shop = Shop::open().await;
    let rules = r#"
        [queues.tasks]
        [queues.audit]
        [queues.ends]
        [subscriptions.users]
        topic = "*"
        queue = "tasks"
        filter = { type = ["user.profile.updated", "job.posted"], source = ["plooral.api"] }
        [subscriptions.audit]
        topic = "*"
        queue = "audit"
        filter = { type = [{ prefix = "audit." }], source = ["plooral.api", "plooral.admin"] }
        [subscriptions.named]
        topic = "job.posted"
        queue = "audit"
        [subscriptions.ends]
        topic = "EventCompleted"
        queue = "ends"
    "#;
    shop.broker.apply(&Declaration::parse(rules).unwrap()).await.unwrap();
    for (n, (event_type, source)) in [
        ("user.profile.updated", "plooral.api"),
        ("user.profile.updated", "stranger"),
        ("job.posted", "plooral.api"),
        ("job.closed", "plooral.api"),
        ("audit.login", "plooral.admin"),
    ]
    .into_iter()
    .enumerate()
    {
        shop.publish(&format!("'{event_type}', '{n}', attributes => '{{\"source\": \"{source}\"}}'")).await;
    }
    while shop.take_up().await > 0 {}
    assert_eq!(shop.received("tasks").await, [json!(0), json!(2)]);
    assert_eq!(shop.received("audit").await, [json!(2), json!(4)]);
    // Nobody wanted two of them, so these are complete; that is told to who asks for it by name.
    while shop.take_up().await > 0 {}
    assert_eq!(shop.received("ends").await.len(), 2);
}
