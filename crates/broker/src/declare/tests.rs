//! What a configuration file may say, and what is said about one that is wrong.

use std::collections::HashMap;

use posthaste_base::{Code, Priority};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

fn parse(text: &str) -> Declaration {
    Declaration::parse(text).unwrap_or_else(|errors| panic!("{}", list(&errors)))
}

fn errors(text: &str) -> Vec<Error> {
    Declaration::parse(text).expect_err("a refusal")
}

fn list(errors: &[Error]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

/// The text has one error, of this code, whose words hold all of `words`.
fn check(text: &str, code: Code, field: &str, words: &[&str]) {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{}", list(&errors));
    let error = &errors[0];
    assert_eq!((error.code(), error.field_name()), (code, Some(field)), "{error}");
    for word in words {
        let told = format!("{error}; {}", error.next_step());
        assert!(told.contains(word), "`{word}` is not in: {told}");
    }
}

#[test]
fn an_empty_file_declares_the_four_queues_and_the_default_type() {
    let declaration = parse("");
    assert_eq!(declaration, Declaration::default());
    let names: Vec<_> = declaration.queues.keys().map(String::as_str).collect();
    assert_eq!(names, ["critical", "high", "low", "normal"]);
    assert!(declaration.types["order"].schema.is_some());
    let all = |field: fn(&QueueSettings) -> u32| -> [u32; 4] {
        Priority::ALL.map(|priority| field(&declaration.queues[priority.queue_name()]))
    };
    assert_eq!(all(|queue| queue.worker_timeout_seconds), [60, 90, 120, 180]);
    assert_eq!(all(|queue| queue.visibility_seconds), [90, 120, 150, 210]);
    assert_eq!(all(|queue| queue.retention_seconds / 3600), [24, 48, 72, 168]);
    assert_eq!(all(|queue| queue.max_receives.into()), [3, 3, 5, 5]);
    assert_eq!(all(|queue| queue.batch), [5, 10, 10, 20]);
    assert_eq!(all(|queue| queue.reserved), [100, 50, 100, 0]);
    assert_eq!(all(|queue| queue.max_concurrency), [20, 10, 20, 50]);
    assert_eq!(all(|queue| queue.dead_retention_seconds / 86_400), [14; 4]);
    for settings in declaration.queues.values() {
        assert!(check::queue(settings).is_empty());
    }
}

const WHOLE: &str = r#"
[server]
anything = "is the command line's"

[delivery]
key_ttl_days = 3
allow_networks = ["10.0.0.0/8", "::1"]

[types.BIRTHDAY]
[types."order.paid"]
priority = "high"
schema = { type = "object", required = ["orderId"] }

[queues.critical]
max_receives = 4
[queues.mail]
delay_seconds = 5

[endpoints.shop]
url = "https://shop.example/hook"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
timeout_ms = 5000
in_flight_max = 4
rate = { per_second = 0.5 }
headers = { "X-Team" = "a" }
[endpoints.shop.breaker]
open_ms = 1000
[endpoints.work]
url = "http://10.1.2.3:8080"
kind = "function"
batch = 50

[subscriptions.paid]
topic = "order.paid"
filter = { payload = { amount = [{ numeric = [">", 10] }] } }
endpoint = "shop"
[subscriptions.birthdays]
topic = "BIRTHDAY"
queue = "mail"
"#;

#[test]
fn a_whole_file_is_read() {
    let declaration = parse(WHOLE);
    assert_eq!(declaration.delivery.key_ttl_days, 3);
    assert_eq!(declaration.types["order.paid"].priority, Some(Priority::High));
    assert_eq!(declaration.queues["critical"].max_receives, 4);
    assert_eq!(declaration.queues["critical"].retention_seconds, 86_400);
    assert_eq!(declaration.queues["mail"], QueueSettings { delay_seconds: 5, ..QueueSettings::default() });
    let shop = &declaration.endpoints["shop"];
    assert_eq!((shop.settings.timeout_ms, shop.settings.guard.in_flight_max), (5_000, 4));
    assert_eq!(shop.settings.guard.rate.map(|rate| rate.burst), Some(1));
    assert_eq!((shop.settings.guard.breaker.open_ms, shop.settings.guard.breaker.trials), (1_000, 3));
    assert_eq!(shop.settings.headers["X-Team"], "a");
    assert_eq!(shop.secrets.len(), 1);
    assert_eq!(declaration.endpoints["work"].kind, EndpointKind::Function);
    assert_eq!(declaration.subscriptions["paid"].endpoint.as_deref(), Some("shop"));
}

#[test]
fn a_misspelt_key_names_its_place_and_the_right_one() {
    let unknown = Code::UnknownConfigKey;
    check(
        "\n[queues.mail]\nvisibilty_seconds = 200\n",
        unknown,
        "queues.mail.visibilty_seconds",
        &["line 3", "did you mean `visibility_seconds`"],
    );
    check("[queue.mail]\n", unknown, "queue", &["line 1", "`queues`"]);
    check("[delivery]\nkey-ttl-days = 1", unknown, "delivery.key-ttl-days", &["`key_ttl_days`"]);
    let endpoint = |rest: &str| format!("[endpoints.a]\nurl = \"https://a.example\"\n{rest}");
    check(&endpoint("timeout = 1"), unknown, "endpoints.a.timeout", &["line 3", "`timeout_ms`"]);
    check(&endpoint("ulr = \"x\""), unknown, "endpoints.a.ulr", &["`url`"]);
    check(&endpoint("breaker.trails = 1"), unknown, "endpoints.a.breaker.trails", &["`trials`"]);
    check(&endpoint("rate.per_secnd = 1"), unknown, "endpoints.a.rate.per_secnd", &["`per_second`"]);
    check("[delivery]\nzzz = 1", unknown, "delivery.zzz", &["one of", "default_type"]);
}

#[test]
fn wrong_types_and_values_name_path_and_what_is_expected() {
    let config = Code::InvalidConfig;
    check("[queues.mail]\nbatch = \"ten\"", config, "queues.mail.batch", &["line 2", "a whole number"]);
    check("[queues.mail]\nmax_receives = 70000", config, "queues.mail.max_receives", &["from 0 to 65535"]);
    check("[queues.mail]\ndelay_seconds = -1", config, "queues.mail.delay_seconds", &["-1", "whole number"]);
    check(
        "[delivery]\nallow_private_addresses = 1",
        config,
        "delivery.allow_private_addresses",
        &["true or false"],
    );
    check("[types.a]\npriority = \"urgent\"", config, "types.a.priority", &["CRITICAL, HIGH, NORMAL or LOW"]);
    check("queues = 3", config, "queues", &["a table"]);
    check("[[endpoints]]\nname = \"a\"", config, "endpoints", &["a list", "`[endpoints.NAME]`"]);
    check("[queues]\nmail = 3", config, "queues.mail", &["a table"]);
    check("[queues.\"a b\"]", config, "queues.\"a b\"", &["letters, digits"]);
    check("[queues.mail]\nbatch = 99999999999999999999", config, "queues.mail.batch", &["64 bits"]);
    check(
        "[endpoints.a]\nurl = \"https://a.example\"\nrate.per_second = nan",
        config,
        "endpoints.a.rate.per_second",
        &["finite"],
    );
    check(
        "[delivery]\nallow_networks = [\"10.0.0.0/40\"]",
        config,
        "delivery.allow_networks",
        &["10.0.0.0/8"],
    );
    check("[types.a]\nschema = { type = \"objekt\" }", config, "types.a.schema", &["line 2"]);
}

#[test]
fn what_is_not_toml_names_the_line() {
    for text in ["[queues", "a = 1\na = 2", "a = ", "x = \"\u{1}\""] {
        let errors = errors(text);
        assert!(errors.iter().all(|error| error.code() == Code::InvalidConfig), "{}", list(&errors));
        assert!(errors[0].message().starts_with("line "), "{}", list(&errors));
    }
}

#[test]
fn queues_that_contradict_themselves_are_refused() {
    let queue = |rest: &str| format!("[queues.mail]\n{rest}");
    let visibility = queue("visibility_seconds = 60\nworker_timeout_seconds = 60");
    check(
        &visibility,
        Code::InvalidQueue,
        "queues.mail.visibility_seconds",
        &["line 2", "60 s", "at least 90"],
    );
    let delay = queue("retention_seconds = 600\ndelay_seconds = 700");
    check(&delay, Code::InvalidQueue, "queues.mail.retention_seconds", &["600 s", "700 s"]);
    let dead = queue("dead_retention_seconds = 86400");
    check(&dead, Code::InvalidQueue, "queues.mail.dead_retention_seconds", &["86400 s", "259200 s"]);
    for (setting, field) in [
        ("batch = 0", "batch"),
        ("batch = 1001", "batch"),
        ("max_concurrency = 0", "max_concurrency"),
        ("max_receives = 0", "max_receives"),
        ("backoff_cap_ms = 10", "backoff_cap_ms"),
        ("visibility_seconds = 43201", "visibility_seconds"),
    ] {
        check(&queue(setting), Code::InvalidQueue, &format!("queues.mail.{field}"), &["line 2"]);
    }
}

#[test]
fn a_longer_worker_timeout_takes_the_visibility_along_unless_that_is_said() {
    let declaration = parse("[queues.critical]\nworker_timeout_seconds = 300");
    assert_eq!(declaration.queues["critical"].visibility_seconds, 330);
}

#[test]
fn windows_of_functions_fit_the_leases_of_the_queues_that_they_are_called_from() {
    let function = |window: u32| {
        format!(
            "[endpoints.a]\nurl = \"https://a.example\"\nkind = \"function\"\nbatch_window_seconds = {window}"
        )
    };
    let field = "endpoints.a.batch_window_seconds";
    check(&function(301), Code::InvalidEndpoint, field, &["line 4", "from 0 to 300"]);
    let words = ["line 4", "21 s", "queue `critical`, 90 s", "60 s", "at most 20", "visibility_seconds"];
    check(&function(21), Code::InvalidEndpoint, field, &words);
    parse(&function(20));
    let queues = ["critical", "high", "normal", "low"]
        .map(|name| format!("[queues.{name}]\nvisibility_seconds = 600"));
    parse(&format!("{}\n{}", queues.join("\n"), function(300)));
}

#[test]
fn endpoints_that_cannot_be_called_are_refused() {
    let field = "endpoints.a.url";
    for (url, words) in [
        ("example.org/hook", "no scheme"),
        ("ftp://example.org", "`ftp`"),
        ("https://user:pw@example.org", "user name or password"),
        ("https://", "no host"),
        ("https:///x", "no host"),
        ("https://a b", "a space"),
        ("", "no address"),
    ] {
        check(&format!("[endpoints.a]\nurl = \"{url}\""), Code::InvalidEndpoint, field, &["line 2", words]);
    }
    check("[endpoints.a]", Code::InvalidEndpoint, "endpoints.a", &["no `url`"]);
    let endpoint = |rest: &str| format!("[endpoints.a]\nurl = \"https://a.example\"\n{rest}");
    check(&endpoint("kind = \"mail\""), Code::InvalidConfig, "endpoints.a.kind", &["`webhook`"]);
    check(&endpoint("timeout_ms = 60000"), Code::InvalidEndpoint, "endpoints.a.timeout_ms", &["30000"]);
    check(&endpoint("breaker.trials = 0"), Code::InvalidConfig, "endpoints.a.breaker.trials", &["from 1"]);
    let body = "body = { text = [\"{paylod.a}\"] }";
    check(&endpoint(body), Code::InvalidEndpoint, "endpoints.a.body", &["`{paylod.a}`", "payload"]);
    check(
        &endpoint("headers = { Host = \"x\" }"),
        Code::InvalidEndpoint,
        "endpoints.a.headers.Host",
        &["sets the header"],
    );
}

#[test]
fn a_wrong_secret_is_never_shown() {
    for value in ["\"hunter2hunter2\"", "[\"hunter2hunter2\"]", "{ a = \"hunter2hunter2\" }"] {
        let text = format!("[endpoints.a]\nurl = \"https://a.example\"\nsecret = {value}");
        let told = list(&errors(&text));
        assert!(told.contains("endpoints.a.secret") && !told.contains("hunter2"), "{told}");
    }
    assert!(!format!("{:?}", parse(WHOLE)).contains("whsec_"));
}

#[test]
fn subscriptions_lead_to_one_thing_that_is_declared() {
    let queue = |rest: &str| format!("[queues.mail]\n[subscriptions.s]\n{rest}");
    let config = Code::InvalidConfig;
    check(&queue("topic = \"a\""), config, "subscriptions.s", &["one queue or one endpoint"]);
    check(&queue("queue = \"mail\""), config, "subscriptions.s", &["no `topic`"]);
    check(&queue("topic = \"a\"\nqueue = \"mial\""), config, "subscriptions.s.queue", &["line 4", "`mail`"]);
    check(
        &queue("topic = \"a\"\nendpoint = \"x\""),
        config,
        "subscriptions.s.endpoint",
        &["[endpoints.<name>]"],
    );
    let filter = "topic = \"a\"\nqueue = \"mail\"\nfilter = { a = [{ gt = 1 }] }";
    let errors = errors(&queue(filter));
    assert_eq!(errors.len(), 1, "{}", list(&errors));
    assert_eq!(errors[0].code(), Code::InvalidFilter);
    assert!(errors[0].field_name().unwrap().starts_with("subscriptions.s.filter/a"), "{}", errors[0]);
    assert!(errors[0].message().starts_with("line 5"), "{}", errors[0]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = r#"
[delivery]
default_typ = "x"
key_ttl_days = 0
[queues.critical]
visibility_seconds = 30
[queues.mail]
batch = "x"
colour = 1
[endpoints.a]
url = "nowhere"
secret = "x"
[subscriptions.s]
topic = "t"
queue = "none"
"#;
    let errors = errors(text);
    let fields: Vec<_> = errors.iter().filter_map(Error::field_name).collect();
    for field in [
        "delivery.default_typ",
        "delivery.key_ttl_days",
        "queues.critical.visibility_seconds",
        "queues.mail.batch",
        "queues.mail.colour",
        "endpoints.a.url",
        "endpoints.a.secret",
        "subscriptions.s.queue",
    ] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
    assert_eq!(fields.len(), 8, "{fields:?}");
    assert!(errors.iter().all(|error| error.message().starts_with("line ")), "{}", list(&errors));
}

#[test]
fn another_default_type_does_not_bring_the_schema_of_orders() {
    let declaration = parse("[delivery]\ndefault_type = \"note\"");
    assert!(declaration.types.is_empty());
}

#[test]
fn schemas_and_secrets_are_fetched_from_where_they_are() {
    let text =
        "[types.a]\nschema_file = \"a.json\"\n[endpoints.e]\nurl = \"https://e.example\"\nsecret = \"env:E\"";
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let resolve = |file: &'static str, variables: HashMap<&'static str, &'static str>| {
        let mut declaration = parse(text);
        let read = |_: &str| Ok(file.to_string());
        let result = declaration.resolve(read, |name| variables.get(name).map(ToString::to_string));
        result.map(|()| declaration)
    };
    let declaration = resolve("{\"type\": \"object\"}", HashMap::from([("E", secret)])).unwrap();
    assert_eq!(declaration.types["a"].schema, Some(json!({"type": "object"})));
    assert_eq!(declaration.types["a"].schema_file, None);
    assert_eq!(declaration.endpoints["e"].secrets, [Secret::new(secret)]);
    let errors = resolve("{", HashMap::new()).unwrap_err();
    let fields: Vec<_> = errors.iter().filter_map(Error::field_name).collect();
    assert_eq!(fields, ["types.a.schema_file", "endpoints.e.secrets"]);
    let errors = resolve("{}", HashMap::from([("E", "plain")])).unwrap_err();
    assert!(!list(&errors).contains("plain"), "{}", list(&errors));
}

#[test]
fn other_sections_are_read_with_the_same_care() {
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Server {
        listen: String,
        workers: u32,
    }
    let template = json!(Server::default());
    let read = |text: &str| read_section::<Server>(text, "server", &template);
    assert_eq!(read("[server]\nworkers = 3").unwrap().workers, 3);
    assert_eq!(read("").unwrap(), Server::default());
    let errors = read("[server]\nlisten = 1\nworker = 2").unwrap_err();
    assert_eq!(errors.len(), 2, "{}", list(&errors));
}

#[test]
fn priorities_in_patches_are_read_in_any_case_and_null_takes_a_schema_away() {
    let patch: TopicPatch = serde_json::from_value(json!({"priority": "High", "schema": null})).unwrap();
    assert_eq!(patch, TopicPatch { priority: Some(Priority::High), schema: Some(None) });
    assert_eq!(serde_json::from_value::<TopicPatch>(json!({})).unwrap(), TopicPatch::default());
    assert!(serde_json::from_value::<TopicPatch>(json!({"prioritty": "LOW"})).is_err());
}

#[test]
fn endpoint_settings_are_flat_as_data_and_refuse_unknown_keys() {
    let settings: EndpointSettings = serde_json::from_value(json!({"in_flight_max": 3})).unwrap();
    assert_eq!(settings.guard.in_flight_max, 3);
    let back: EndpointSettings = serde_json::from_value(json!(settings)).unwrap();
    assert_eq!(back, settings);
    assert!(serde_json::from_value::<EndpointSettings>(json!({"in_flight": 3})).is_err());
}
