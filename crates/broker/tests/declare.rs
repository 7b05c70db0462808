//! Declarations against a real database: applying files, changes one at a time, keys and failure modes.

use posthaste_base::{Clock, Code, Secret};
use posthaste_broker::{
    Action, Broker, BrokerOptions, Declaration, Diff, EndpointIn, EndpointKind, EndpointPatch,
    EndpointSettings, FailureMode, FailureModeKind, KeyIn, QueueIn, QueuePatch, QueueSettingsPatch, Scope,
    SealKey, SubscriptionIn, SubscriptionPatch, TopicIn, TopicPatch, key_hash,
};
use posthaste_testkit::db::TestDb;
use serde_json::json;

async fn database() -> TestDb {
    let fingerprint = posthaste_store::schema::fingerprint();
    TestDb::with_template("broker", &fingerprint, async |pool| {
        posthaste_store::schema::upgrade(&pool).await.map(|_| ())
    })
    .await
}

/// The key of every broker here, as all nodes of an installation have one.
fn seal_key() -> Option<SealKey> {
    SealKey::parse(&Secret::new("A".repeat(43) + "=")).ok()
}

async fn open(db: &TestDb) -> Broker {
    let options = BrokerOptions { failure_modes: true, seal_key: seal_key(), ..BrokerOptions::default() };
    Broker::open(db.pool.clone(), options, Clock::system()).await.expect("a broker")
}

fn secrets(broker: &Broker, endpoint: &str) -> Vec<Secret> {
    let sealed = broker.catalog().endpoint(endpoint).unwrap().secrets.clone();
    broker.open_secrets(endpoint, &sealed).unwrap()
}

fn parse(text: &str) -> Declaration {
    Declaration::parse(text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

async fn apply(broker: &Broker, text: &str) -> Diff {
    broker.apply(&parse(text)).await.expect("an applied declaration")
}

async fn execute(db: &TestDb, statement: &str) {
    db.pool.get().await.unwrap().batch_execute(statement).await.unwrap();
}

const SHOP: &str = r#"
[types.paid]
priority = "HIGH"
[queues.mail]
[endpoints.shop]
url = "https://shop.example/hook"
[subscriptions.a]
topic = "paid"
endpoint = "shop"
[subscriptions.b]
topic = "new"
queue = "mail"
"#;

#[tokio::test]
async fn applying_makes_it_so_and_applying_again_changes_nothing() {
    let db = database().await;
    let broker = open(&db).await;
    let planned = broker.plan_apply(&parse(SHOP)).await.unwrap();
    assert!(broker.catalog().queues.is_empty(), "a plan writes nothing");
    let diff = apply(&broker, SHOP).await;
    assert_eq!(diff, planned);
    assert!(diff.changes.iter().all(|change| change.action == Action::Create), "{diff}");
    assert!(diff.to_string().contains("+ queue mail\n"), "{diff}");
    let catalog = broker.catalog();
    assert_eq!(catalog.queue_ids.len(), 5);
    assert!(catalog.topics["paid"].declared && !catalog.topics["new"].declared);
    assert!(catalog.topics["order"].schema.is_some());
    assert_eq!(catalog.endpoint("shop").unwrap().secrets.len(), 1, "a secret was made");
    assert!(catalog.has_subscriber("paid"));
    let again = apply(&broker, SHOP).await;
    assert!(again.is_empty() && again.changes.is_empty(), "{again}");
    assert_eq!(again.to_string(), "nothing changes");
}

#[tokio::test]
async fn changes_are_shown_field_by_field() {
    let db = database().await;
    let broker = open(&db).await;
    apply(&broker, SHOP).await;
    let changed = SHOP
        .replace("[queues.mail]", "[queues.mail]\nbatch = 7")
        .replace(
            "/hook\"",
            "/other\"\nbreaker.open_ms = 500\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
        )
        .replace("queue = \"mail\"", "queue = \"post\"\nfilter = { region = [\"eu\"] }\n[queues.post]");
    let text = broker.plan_apply(&parse(&changed)).await.unwrap().to_string();
    for line in [
        "~ queue mail\n    batch: 10 -> 7\n",
        "    breaker.open_ms: 30000 -> 500\n",
        "    url: https://shop.example/hook -> https://shop.example/other\n",
        "    secrets: 1 stored -> 1 declared\n",
        "    queue: mail -> post\n",
        "    filter: none -> {\"region\":[\"eu\"]}\n",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains("whsec_"), "{text}");
    apply(&broker, &changed).await;
    let again = apply(&broker, &changed).await;
    assert!(again.is_empty(), "{again}");
    assert_eq!(secrets(&broker, "shop"), [Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]);
}

#[tokio::test]
async fn only_what_was_declared_is_removed_and_never_what_holds_messages() {
    let db = database().await;
    let broker = open(&db).await;
    apply(&broker, SHOP).await;
    let own = QueueIn { name: "own".into(), settings: QueueSettingsPatch::default() };
    broker.create_queue(own).await.unwrap();
    let mail = broker.catalog().queue("mail").unwrap().id;
    execute(&db, &format!("insert into posthaste.log_{mail}_0 (payload) values ('x')")).await;
    let diff = apply(&broker, "").await;
    let text = diff.to_string();
    assert!(text.contains("! queue mail stays: it holds messages\n"), "{text}");
    for line in ["- endpoint shop\n", "- subscription a\n", "- subscription b\n", "- type paid\n"] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    let catalog = broker.catalog();
    assert!(catalog.queue("own").is_ok() && catalog.queue("mail").is_ok());
    assert!(catalog.topics.contains_key("new"), "made by need");
    execute(&db, &format!("truncate posthaste.log_{mail}_0")).await;
    assert!(apply(&broker, "").await.to_string().contains("- queue mail\n"));
    assert_eq!(broker.catalog().queue("mail").unwrap_err().code(), Code::UnknownQueue);
}

#[tokio::test]
async fn what_is_still_used_stays_and_says_by_whom() {
    let db = database().await;
    let broker = open(&db).await;
    apply(&broker, SHOP).await;
    let own = SubscriptionIn {
        name: "own".into(),
        topic: "paid".into(),
        filter: None,
        queue: None,
        endpoint: Some("shop".into()),
    };
    broker.create_subscription(own).await.unwrap();
    let text = apply(&broker, "").await.to_string();
    assert!(text.contains("! endpoint shop stays: subscription `own` leads to it\n"), "{text}");
    assert!(text.contains("~ type paid\n    declared: true -> false\n    priority: HIGH -> LOW\n"), "{text}");
    assert!(!broker.catalog().topics["paid"].declared);
}

#[tokio::test]
async fn a_queue_whose_messages_were_all_settled_can_be_removed() {
    let db = database().await;
    let broker = open(&db).await;
    broker.create_queue(QueueIn { name: "q".into(), settings: QueueSettingsPatch::default() }).await.unwrap();
    let id = broker.catalog().queue("q").unwrap().id;
    execute(&db, &format!("insert into posthaste.log_{id}_0 (payload) values ('x')")).await;
    let error = broker.delete_queue("q").await.unwrap_err();
    assert_eq!(error.code(), Code::Conflict, "{error}");
    // A closed lease whose cursor is behind the message, as settling leaves it.
    let claimed = format!(
        "insert into posthaste.lease_{id}_0 (expires_at, size, closed, late, prev_xmax, cur, pos_xid, pos_seq)
         select now(), 1, true, '{{}}', pg_snapshot_xmin(pg_current_snapshot()), pg_current_snapshot(), m.xid, m.seq
         from posthaste.log_{id}_0 m"
    );
    execute(&db, &claimed).await;
    broker.delete_queue("q").await.unwrap();
    assert_eq!(broker.get_queue("q").await.unwrap_err().code(), Code::UnknownQueue);
}

#[tokio::test]
async fn applies_at_the_same_time_go_one_after_the_other() {
    let db = database().await;
    let brokers = [open(&db).await, open(&db).await];
    let declaration = parse(SHOP);
    let applies = brokers.iter().flat_map(|broker| [broker.apply(&declaration), broker.apply(&declaration)]);
    let diffs = futures::future::join_all(applies).await;
    let changing = diffs.iter().filter(|diff| !diff.as_ref().expect("no error").is_empty()).count();
    assert_eq!(changing, 1);
}

#[tokio::test]
async fn other_nodes_are_told_of_changes_at_commit() {
    let db = database().await;
    let broker = open(&db).await;
    let mut listener = posthaste_store::Listener::connect(&db.target, &["posthaste"]).await.unwrap();
    broker.create_topic(TopicIn { name: "t".into(), priority: None, schema: None }).await.unwrap();
    let heard = tokio::time::timeout(std::time::Duration::from_secs(10), listener.next()).await;
    let heard = format!("{:?}", heard.expect("told in time"));
    assert!(heard.contains("catalog"), "{heard}");
}

#[tokio::test]
async fn topics_are_made_by_need_changed_and_removed() {
    let db = database().await;
    let broker = open(&db).await;
    broker.ensure_topic("Birthday").await.unwrap();
    broker.ensure_topic("Birthday").await.unwrap();
    assert_eq!(broker.get_topic("Birthday").await.unwrap().priority.as_str(), "CRITICAL");
    let topic = TopicIn { name: "Birthday".into(), priority: None, schema: None };
    assert_eq!(broker.create_topic(topic).await.unwrap_err().code(), Code::Conflict);
    let schema = json!({"type": "object"});
    let patch = TopicPatch { schema: Some(Some(schema.clone())), ..TopicPatch::default() };
    assert_eq!(broker.update_topic("Birthday", patch).await.unwrap().schema, Some(schema));
    assert!(broker.catalog().topics["Birthday"].schema.is_some());
    let patch = TopicPatch { schema: Some(Some(json!({"type": 1}))), ..TopicPatch::default() };
    assert_eq!(broker.update_topic("Birthday", patch).await.unwrap_err().code(), Code::InvalidConfig);
    let patch = TopicPatch { schema: Some(None), ..TopicPatch::default() };
    assert_eq!(broker.update_topic("Birthday", patch).await.unwrap().schema, None);
    broker.delete_topic("Birthday").await.unwrap();
    assert_eq!(broker.delete_topic("Birthday").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(broker.ensure_topic("a b").await.unwrap_err().code(), Code::InvalidParameter);
}

#[tokio::test]
async fn queues_are_listed_by_cursor_changed_and_paused() {
    let db = database().await;
    let broker = open(&db).await;
    apply(&broker, "").await;
    let names = |queues: Vec<posthaste_broker::QueueOut>| -> Vec<String> {
        queues.into_iter().map(|queue| queue.name).collect()
    };
    assert_eq!(names(broker.list_queues(None, 2).await.unwrap()), ["critical", "high"]);
    assert_eq!(names(broker.list_queues(Some("high"), 9).await.unwrap()), ["low", "normal"]);
    assert!(broker.pause_queue("low").await.unwrap().paused);
    assert!(broker.catalog().queue("low").unwrap().paused);
    assert!(!broker.resume_queue("low").await.unwrap().paused);
    let settings = QueueSettingsPatch { visibility_seconds: Some(10), ..QueueSettingsPatch::default() };
    let error = broker.update_queue("low", QueuePatch { settings, paused: None }).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidQueue, "{error}");
    let settings = QueueSettingsPatch { batch: Some(9), ..QueueSettingsPatch::default() };
    let queue = broker.update_queue("low", QueuePatch { settings, paused: None }).await.unwrap();
    assert_eq!((queue.settings.batch, queue.settings.visibility_seconds), (9, 210));
    let diff = apply(&broker, "").await.to_string();
    assert!(diff.contains("~ queue low\n    batch: 9 -> 20\n"), "{diff}");
    assert_eq!(broker.delete_queue("low").await.unwrap_err().code(), Code::Conflict);
    assert_eq!(broker.pause_queue("none").await.unwrap_err().code(), Code::UnknownQueue);
}

fn endpoint(name: &str) -> EndpointIn {
    EndpointIn {
        name: name.into(),
        url: "https://a.example".into(),
        kind: EndpointKind::Webhook,
        secret: None,
        settings: EndpointSettings::default(),
    }
}

#[tokio::test]
async fn endpoints_never_show_their_secrets_again() {
    let db = database().await;
    let broker = open(&db).await;
    let made = broker.create_endpoint(endpoint("a")).await.unwrap();
    assert!(made.secret.expose().starts_with("whsec_"));
    let shown = serde_json::to_string(&broker.list_endpoints(None, 10).await.unwrap()).unwrap();
    assert!(!shown.contains("whsec_") && shown.contains("\"secrets\":[{\"until\":null}]"), "{shown}");
    assert_eq!(broker.create_endpoint(endpoint("a")).await.unwrap_err().code(), Code::Conflict);
    let url = EndpointIn { url: "https://u:p@a.example".into(), ..endpoint("b") };
    assert_eq!(broker.create_endpoint(url).await.unwrap_err().code(), Code::InvalidEndpoint);
}

#[tokio::test]
async fn secrets_are_sealed_at_rest_and_a_node_with_another_key_is_refused() {
    let db = database().await;
    let broker = open(&db).await;
    let made = broker.create_endpoint(endpoint("a")).await.unwrap();
    let session = db.pool.get().await.unwrap();
    let stored: String =
        session.query_one("select secrets::text from posthaste.endpoint limit 1", &[]).await.unwrap().get(0);
    let key = made.secret.expose().trim_start_matches("whsec_");
    assert!(stored.contains("sealed:1:") && !stored.contains(key), "{stored}");

    let other_key = SealKey::parse(&SealKey::generate().unwrap()).ok();
    for (key, part) in [(other_key, "not the one of this installation"), (None, "no key")] {
        let options = BrokerOptions { seal_key: key, ..BrokerOptions::default() };
        let other = Broker::open(db.pool.clone(), options, Clock::system()).await.unwrap();
        let error = other.create_endpoint(endpoint("b")).await.unwrap_err();
        assert!(error.message().contains(part), "{error}");
        let sealed = other.catalog().endpoint("a").unwrap().secrets.clone();
        assert_eq!(other.open_secrets("a", &sealed).unwrap_err().field_name(), Some("server.seal_key"));
    }
    assert!(broker.check_seal_key().await.is_ok());
}

#[tokio::test]
async fn a_rotated_secret_overlaps_and_then_runs_out() {
    let db = database().await;
    let broker = open(&db).await;
    let first = broker.create_endpoint(endpoint("a")).await.unwrap().secret;
    let second = broker.rotate_secret("a", 3600).await.unwrap();
    assert_eq!(secrets(&broker, "a"), [second.secret.clone(), first]);
    let until: Vec<_> = broker.get_endpoint("a").await.unwrap().secrets.iter().map(|s| s.until).collect();
    assert_eq!(until, [None, Some(second.old_until)]);
    let name = db.target.database().to_string();
    execute(&db, &format!("alter database {name} set posthaste.clock_offset = '2 hours'")).await;
    // Connections that are made from now on see the moved clock.
    let pool = posthaste_store::Pool::connect(db.target.clone(), 2).await.unwrap();
    let options = BrokerOptions { seal_key: seal_key(), ..BrokerOptions::default() };
    let later = Broker::open(pool, options, Clock::system()).await.unwrap();
    assert_eq!(secrets(&later, "a"), [second.secret]);
    let third = later.rotate_secret("a", 0).await.unwrap();
    assert_eq!(secrets(&later, "a"), [third.secret], "no overlap");
    assert_eq!(later.rotate_secret("b", 0).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn endpoints_are_patched_setting_by_setting() {
    let db = database().await;
    let broker = open(&db).await;
    broker.create_endpoint(endpoint("a")).await.unwrap();
    let patch = |settings: serde_json::Value| EndpointPatch {
        settings: settings.as_object().cloned(),
        ..EndpointPatch::default()
    };
    let changed = patch(json!({"timeout_ms": 500, "rate": {"per_second": 2.5}, "breaker": {"trials": 1}}));
    let out = broker.update_endpoint("a", changed).await.unwrap();
    assert_eq!((out.settings.timeout_ms, out.settings.guard.breaker.trials), (500, 1));
    assert_eq!(out.settings.guard.breaker.calls_min, 5, "the others stay");
    let out = broker.update_endpoint("a", patch(json!({"rate": null}))).await.unwrap();
    assert_eq!((out.settings.guard.rate, out.settings.timeout_ms), (None, 500));
    for wrong in [json!({"timeout": 1}), json!({"timeout_ms": 0}), json!({"breaker": 3})] {
        let error = broker.update_endpoint("a", patch(wrong.clone())).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidEndpoint, "{wrong}: {error}");
    }
    assert!(broker.pause_endpoint("a").await.unwrap().paused);
    assert!(!broker.resume_endpoint("a").await.unwrap().paused);
    let url = EndpointPatch { url: Some("nowhere".into()), ..EndpointPatch::default() };
    assert_eq!(broker.update_endpoint("a", url).await.unwrap_err().code(), Code::InvalidEndpoint);
}

#[tokio::test]
async fn the_operators_check_of_addresses_is_asked() {
    let db = database().await;
    let broker = open(&db).await;
    broker.check_endpoints_with(std::sync::Arc::new(|url| {
        let error = posthaste_base::Error::new(Code::InvalidEndpoint, "the host is a private address");
        if url.contains("10.0.0.1") { Err(error) } else { Ok(()) }
    }));
    let private = EndpointIn { url: "http://10.0.0.1".into(), ..endpoint("a") };
    assert_eq!(broker.create_endpoint(private).await.unwrap_err().code(), Code::InvalidEndpoint);
    let file = parse("[endpoints.a]\nurl = \"http://10.0.0.1\"");
    let error = broker.plan_apply(&file).await.unwrap_err();
    assert_eq!(error.field_name(), Some("endpoints.a.url"), "{error}");
    broker.create_endpoint(endpoint("a")).await.unwrap();
}

#[tokio::test]
async fn subscriptions_are_made_changed_and_ended() {
    let db = database().await;
    let broker = open(&db).await;
    apply(&broker, "[queues.own]").await;
    let wanted = SubscriptionIn {
        name: "s".into(),
        topic: "t".into(),
        filter: Some(json!({"region": ["eu"]})),
        queue: Some("own".into()),
        endpoint: None,
    };
    broker.create_subscription(wanted.clone()).await.unwrap();
    assert_eq!(broker.create_subscription(wanted.clone()).await.unwrap_err().code(), Code::Conflict);
    let refused = |change: fn(&mut SubscriptionIn)| {
        let mut subscription = SubscriptionIn { name: "x".into(), ..wanted.clone() };
        change(&mut subscription);
        let broker = broker.clone();
        async move { broker.create_subscription(subscription).await.unwrap_err().code() }
    };
    assert_eq!(refused(|s| s.queue = Some("none".into())).await, Code::UnknownQueue);
    assert_eq!(refused(|s| s.queue = Some("low".into())).await, Code::InvalidParameter, "workers empty it");
    assert_eq!(refused(|s| s.endpoint = Some("a".into())).await, Code::InvalidParameter);
    assert_eq!(refused(|s| s.queue = None).await, Code::InvalidParameter);
    assert_eq!(refused(|s| s.filter = Some(json!({"a": 1}))).await, Code::InvalidFilter);
    broker.create_endpoint(endpoint("a")).await.unwrap();
    let patch =
        SubscriptionPatch { filter: Some(None), endpoint: Some("a".into()), ..SubscriptionPatch::default() };
    let out = broker.update_subscription("s", patch).await.unwrap();
    assert_eq!((out.filter, out.queue, out.endpoint.as_deref()), (None, None, Some("a")));
    let error = broker.delete_endpoint("a").await.unwrap_err();
    assert!(error.message().contains("subscription `s`"), "{error}");
    assert_eq!(broker.delete_topic("t").await.unwrap_err().code(), Code::Conflict);
    broker.delete_subscription("s").await.unwrap();
    assert!(!broker.catalog().has_subscriber("t"));
    broker.delete_endpoint("a").await.unwrap();
    assert_eq!(broker.delete_subscription("s").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn what_is_stored_but_broken_is_left_out_and_the_rest_works() {
    let db = database().await;
    let broker = open(&db).await;
    apply(&broker, SHOP).await;
    execute(
        &db,
        r#"update posthaste.subscription set filter = '{"a": 1}' where name = 'a';
           update posthaste.topic set schema = '{"type": 1}' where name = 'order'"#,
    )
    .await;
    broker.refresh_catalog().await.unwrap();
    let catalog = broker.catalog();
    assert!(!catalog.has_subscriber("paid") && catalog.has_subscriber("new"));
    assert!(catalog.topics["order"].schema.is_none());
}

#[tokio::test]
async fn keys_are_shown_once_looked_up_by_hash_and_revoked() {
    let db = database().await;
    let broker = open(&db).await;
    let wanted = KeyIn {
        name: "ci".into(),
        scopes: vec![Scope::Read, Scope::Publish, Scope::Read],
        rate_per_second: Some(50),
        expires_at: None,
    };
    let made = broker.create_key(wanted.clone()).await.unwrap();
    let text = made.key.expose().to_string();
    assert!(text.starts_with("ph_") && text.len() == 46, "{text}");
    let listed = serde_json::to_string(&broker.list_keys(None, 10).await.unwrap()).unwrap();
    assert!(!listed.contains(&text), "{listed}");
    let grant = broker.look_up_key(&key_hash(&text)).await.unwrap().expect("a grant");
    assert_eq!((grant.name.as_str(), grant.rate_per_second), ("ci", Some(50)));
    assert!(grant.allows(Scope::Publish) && !grant.allows(Scope::Operate));
    assert_eq!(broker.look_up_key(&key_hash("ph_other")).await.unwrap(), None);
    assert_eq!(broker.create_key(wanted.clone()).await.unwrap_err().code(), Code::Conflict);
    let revoked = broker.revoke_key("ci").await.unwrap().revoked_at;
    assert!(revoked.is_some());
    assert_eq!(broker.revoke_key("ci").await.unwrap().revoked_at, revoked);
    assert_eq!(broker.look_up_key(&key_hash(&text)).await.unwrap(), None);
    assert_eq!(broker.revoke_key("none").await.unwrap_err().code(), Code::NotFound);
    let past = Some("2020-01-01T00:00:00Z".parse().unwrap());
    let expired = broker.create_key(KeyIn { name: "old".into(), expires_at: past, ..wanted }).await.unwrap();
    assert_eq!(broker.look_up_key(&key_hash(expired.key.expose())).await.unwrap(), None);
}

#[tokio::test]
async fn failure_modes_are_for_all_nodes_and_only_where_enabled() {
    let db = database().await;
    let broker = open(&db).await;
    assert_eq!(broker.get_failure_mode().await.unwrap(), FailureMode::default());
    let mode = FailureMode { mode: FailureModeKind::RandomFailP30, seed: 7, ..FailureMode::default() };
    broker.set_failure_mode(mode).await.unwrap();
    let other = open(&db).await;
    assert_eq!(other.failure_mode().map(|mode| (mode.seed, mode.percent)), Some((7, Some(30))));
    let without = Broker::open(db.pool.clone(), BrokerOptions::default(), Clock::system()).await.unwrap();
    assert_eq!(without.failure_mode(), None);
    let error = without.set_failure_mode(FailureMode::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::FailureModesDisabled);
    broker.set_failure_mode(FailureMode::default()).await.unwrap();
    assert_eq!(broker.failure_mode(), None);
    let nowhere = FailureMode {
        mode: FailureModeKind::SlowDownstream,
        endpoint: Some("none".into()),
        ..FailureMode::default()
    };
    assert_eq!(broker.set_failure_mode(nowhere).await.unwrap_err().code(), Code::NotFound);
}
