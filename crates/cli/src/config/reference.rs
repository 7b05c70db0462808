//! The reference of the configuration: every key with its default and its meaning, as the page
//! docs/configuration.md and as `posthaste config reference`.
//!
//! Defaults come from the code, so that only meanings are written here; a test holds the keys against the code.
//! Not for: reading or checking anything.

use std::fmt::Write as _;

use posthaste_base::Priority;
use posthaste_broker::{
    DeliverySettings, EndpointSettings, QueueSettings, SubscriptionDeclaration, TypeDeclaration,
};
use serde_json::{Value, json};

use super::{Database, Server};

/// A key below its section, and what it means. Units are the last word of its name.
type Row = (&'static str, &'static str);

struct Section {
    title: &'static str,
    about: &'static str,
    defaults: fn() -> Value,
    rows: &'static [Row],
}

const SECTIONS: &[Section] = &[
    Section {
        title: "[server]",
        about: "One node: what it does, where it listens, how much it takes at a time.",
        defaults: || json!(Server::default()),
        rows: &[
            (
                "listen",
                "Address and port of HTTP; port 0 is any free one. An address that is not loopback needs an API key to exist.",
            ),
            (
                "roles",
                "What the node does: `api`, `scheduler`, `worker`. Any number of nodes may have any of them.",
            ),
            ("api_keys", "`auto`: no key is needed on a loopback address; `required`: one always is."),
            (
                "cors_origins",
                "Origins whose pages may call, such as `[\"https://app.example\"]`, or `[\"*\"]`.",
            ),
            (
                "rate_per_second",
                "Requests of one key, or of one address without a key, where the key has no rate of its own. 0 is no limit.",
            ),
            ("rate_burst", "Requests that may come at once after a quiet time. 0 is as many as in a second."),
            ("requests_max", "Requests that are worked on at once; more are answered 503."),
            ("connections_max", "Open connections; more are turned away."),
            ("idle_seconds", "How long a connection may idle, or take to send a request's head."),
            ("attempts_max", "Calls to endpoints at a time, over all queues of this node."),
            ("metrics", "Whether `GET /metrics` answers with numbers."),
            (
                "spans_url",
                "A collector that spans are sent to, by OTLP over HTTP with JSON: `http://collector:4318/v1/traces`. Without it none are recorded. See [operations](operations.md#traces).",
            ),
            ("spans_headers", "Sent with them, such as the collector's key: `{ x-api-key = \"...\" }`."),
            (
                "spans_percent",
                "How much of the traces that begin here is recorded. A trace that its caller began is recorded if the caller records it.",
            ),
            ("failure_modes", "Whether things may be made to go wrong on purpose. Never in production."),
            ("log_format", "`readable`, or `json`: a line of JSON each."),
            (
                "log_filter",
                "The least level, or levels by part: `info,posthaste_web=debug`. `RUST_LOG` says the same.",
            ),
            (
                "shutdown_seconds",
                "How long to finish what is under way after SIGTERM, before the rest is given back.",
            ),
            (
                "seal_key",
                "What the secrets of endpoints are sealed with in the database, as base64 of 32 bytes; the same on all nodes. Without it, `seal.key` in the data folder, made at the first start.",
            ),
        ],
    },
    Section {
        title: "[database]",
        about: "Where everything is kept. Without `url`, a private PostgreSQL in a folder of this host.",
        defaults: || json!(Database::default()),
        rows: &[
            (
                "url",
                "An existing database: `postgres://user:password@host:5432/database?sslmode=verify-full`. `DATABASE_URL` says the same.",
            ),
            (
                "direct_url",
                "The same database past PgBouncer, for LISTEN, where `url` goes through one in transaction mode.",
            ),
            ("pool_size", "Connections of one node at most; `LISTEN` takes one more."),
            ("connect_seconds", "How long `serve` tries to reach the database at start."),
            (
                "statement_seconds",
                "How long one statement may take. A server that has not answered 5 s later is given up: the connection is closed and made anew.",
            ),
            (
                "data_dir",
                "The folder of the private server: `/var/lib/posthaste` for root, else `~/.local/share/posthaste`.",
            ),
            (
                "pg_bin",
                "The folder with `postgres` and `initdb`, for the private server. `PG_BIN` says the same.",
            ),
            (
                "listen_port",
                "A loopback port on which other programs of this host reach the private server; the password is in the data folder.",
            ),
        ],
    },
    Section {
        title: "[delivery]",
        about: "What holds for all events.",
        defaults: || json!(DeliverySettings::default()),
        rows: &[
            (
                "key_ttl_days",
                "How long an idempotency key is remembered after its messages can no longer wait.",
            ),
            (
                "attempt_retention_days",
                "How long attempts are kept: status, latency, the first bytes of the answer.",
            ),
            ("default_type", "The type of a payload that comes without one."),
            (
                "strict_types",
                "Whether events of a type that nobody has declared, here, over HTTP or by a subscription, are refused. Otherwise their topic is made by need.",
            ),
            ("allow_private_addresses", "Whether endpoints may be at private addresses. For development."),
            (
                "allow_networks",
                "Networks in which endpoints may be though they are private, such as `[\"10.0.0.0/8\"]`.",
            ),
        ],
    },
    Section {
        title: "[types.NAME]",
        about: "An event type, which is a topic.",
        defaults: || json!(TypeDeclaration::default()),
        rows: &[
            (
                "priority",
                "`CRITICAL`, `HIGH`, `NORMAL` or `LOW`. Without it, by name: BIRTHDAY is CRITICAL, ANNIVERSARY is HIGH, REMINDER is NORMAL, all others are LOW.",
            ),
            ("schema", "A JSON Schema that payloads must satisfy. Without one, any JSON is taken."),
            ("schema_file", "The same in a file, named from the folder of the configuration."),
        ],
    },
    Section {
        title: "[queues.NAME]",
        about: "A queue. The four of the priorities are always there, with defaults of their own; any other starts from \
                those of `normal`.",
        defaults: || json!(QueueSettings::of_priority(Priority::Normal)),
        rows: &[
            (
                "visibility_seconds",
                "How long a received message stays away unless it is settled. At least `worker_timeout_seconds` and 30 s.",
            ),
            (
                "retention_seconds",
                "How long a message may wait before it becomes a dead letter. Longer than the delay.",
            ),
            ("dead_retention_seconds", "How long a dead letter is kept. Longer than the retention."),
            ("max_receives", "Receives after which a message becomes a dead letter."),
            (
                "delay_seconds",
                "How long a message waits before it can be received, when its sender says nothing.",
            ),
            ("batch", "Messages that a worker takes at a time."),
            ("reserved", "Places among `server.attempts_max` that no other queue may use."),
            ("max_concurrency", "Messages that one node works on at a time."),
            ("worker_timeout_seconds", "How long the work on one message may take."),
            (
                "backoff_base_ms",
                "The longest wait before the second try; it doubles with each try. The wait itself is random below that.",
            ),
            ("backoff_cap_ms", "Where the doubling ends."),
        ],
    },
    Section {
        title: "[endpoints.NAME]",
        about: "Where webhooks and functions are called.",
        defaults: || {
            let mut defaults = json!(EndpointSettings::default());
            let breaker = defaults["breaker"].take();
            let entries = breaker.as_object().into_iter().flatten();
            for (name, value) in entries {
                defaults[format!("breaker.{name}")] = value.clone();
            }
            defaults["kind"] = json!("webhook");
            defaults
        },
        rows: &[
            ("url", "Its address, http or https, without credentials. Needed."),
            ("kind", "`webhook`: one call a message; `function`: one call for up to `batch` messages."),
            ("secret", "What calls are signed with: `whsec_...`, or `env:NAME`. Without it, one is made."),
            ("secrets", "Several secrets, the newest first, while one takes over from another."),
            ("timeout_ms", "How long one call may take, from connecting to the last byte."),
            ("batch", "Messages of one call, for a function."),
            (
                "batch_window_seconds",
                "How long a function's messages are collected before a call, unless they fill one sooner. At most 300, and what the leases of the priorities' queues leave beside their worker timeouts: 20 s by default.",
            ),
            ("headers", "Sent with every call: `{ x-tenant = \"shop\" }`."),
            (
                "body",
                "What a webhook is sent instead of the payload, for receivers with a form of their own: `{ text = \"{type}: {payload.error}\" }`. See [delivery](delivery.md#endpoint).",
            ),
            (
                "body_type",
                "How `body` is written: `json`, or `form` for `application/x-www-form-urlencoded`.",
            ),
            ("in_flight_max", "Calls of one node at a time: the bulkhead."),
            (
                "rate",
                "Calls of one node: `{ per_second = 100, burst = 100 }`. Without it, as fast as the bulkhead lets through.",
            ),
            (
                "breaker.failure_percent",
                "The breaker opens when this share of the calls in the window failed...",
            ),
            ("breaker.calls_min", "...and there were at least so many."),
            ("breaker.window_ms", "The window."),
            ("breaker.failures_in_row", "It also opens after so many failures in a row."),
            (
                "breaker.open_ms",
                "How long it stays open; nothing is called meanwhile, and no try is used up.",
            ),
            (
                "breaker.trials",
                "Calls that are let through then, all of which must succeed before it closes.",
            ),
            (
                "breaker.trial_timeout_ms",
                "After this time a trial that has not reported back has lost its place.",
            ),
        ],
    },
    Section {
        title: "[subscriptions.NAME]",
        about: "Which events of a topic go where: to one queue or to one endpoint.",
        defaults: || json!(SubscriptionDeclaration::default()),
        rows: &[
            (
                "topic",
                "The event type, or `*` for every one but Posthaste's own; a filter may choose among them. Needed.",
            ),
            ("endpoint", "The endpoint that is called."),
            ("queue", "The queue that consumers pull from."),
            (
                "filter",
                "What an event must look like, by `payload` and `attributes`. Without it, all events go there. See [delivery](delivery.md#subscription).",
            ),
        ],
    },
];

/// The page, in Markdown.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Generated from crates/cli/src/config/reference.rs by `cargo xtask docs`. Change it there. -->\n\n\
         One TOML file, `posthaste.toml` in the working folder, or the one that `--config` or `POSTHASTE_CONFIG` \
         names. Everything in it has a default, so that no file is needed. \
         [posthaste.example.toml](../posthaste.example.toml) shows all of it as a file.\n\n\
         Flags win over the environment, and the environment over the file. A variable is named after the key, with \
         two underscores for each dot: `POSTHASTE_SERVER__LISTEN`, `POSTHASTE_QUEUES__LOW__BATCH`. \
         `posthaste config check` says everything that is wrong; `posthaste config show --origin` says where each \
         value comes from. Units are the last word of a key's name: `_ms`, `_seconds`, `_days`, `_percent`.\n\n\
         `[server]` and `[database]` are read by each node at its start. Everything else is declared: it is applied \
         at the start of a node and by `posthaste apply`, and what a file declared before and declares no more is \
         removed, unless it still holds messages or something leads to it. What was made over HTTP stays. A node \
         without a file changes nothing that was declared.\n",
    );
    for section in SECTIONS {
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n| key | default | meaning |\n| --- | --- | --- |\n",
            section.title, section.about
        );
        let defaults = (section.defaults)();
        for (key, about) in section.rows {
            let _ = writeln!(page, "| `{key}` | {} | {about} |", shown(defaults.get(*key)));
        }
        if section.title.starts_with("[queues") {
            page.push_str(&priorities());
        }
    }
    page
}

/// What differs between the four queues of the priorities.
fn priorities() -> String {
    let queues = Priority::ALL.map(|priority| json!(QueueSettings::of_priority(priority)));
    let mut table =
        String::from("\n| default of | critical | high | normal | low |\n| --- | --- | --- | --- | --- |\n");
    let keys = SECTIONS
        .iter()
        .filter(|section| section.title.starts_with("[queues"))
        .flat_map(|section| section.rows);
    for (key, _) in keys {
        let values: Vec<_> = queues.iter().map(|queue| shown(queue.get(*key))).collect();
        if values.iter().any(|value| *value != values[0]) {
            let _ = writeln!(table, "| `{key}` | {} |", values.join(" | "));
        }
    }
    table
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use posthaste_base::Code;

    use super::*;

    /// Where `cargo xtask docs` writes it.
    const PAGE: &str = include_str!("../../../../docs/configuration.md");

    #[test]
    fn the_page_is_up_to_date() {
        assert!(PAGE == page(), "run `cargo xtask docs`");
    }

    #[test]
    fn every_key_is_explained_and_no_other() {
        for section in SECTIONS {
            let defaults = (section.defaults)();
            let known: BTreeSet<_> = defaults.as_object().unwrap().keys().map(String::as_str).collect();
            let told: BTreeSet<_> = section.rows.iter().map(|(key, _)| *key).collect();
            let missing: Vec<_> = known.difference(&told).filter(|key| **key != "breaker").collect();
            assert!(missing.is_empty(), "{}: {missing:?} are not explained", section.title);
            assert_eq!(told.len(), section.rows.len(), "{}: a key is explained twice", section.title);
            for key in told {
                let text = format!("{}\n{key} = 1\n", section.title);
                let errors = super::super::parse(&text).err().unwrap_or_default();
                let unknown = errors.iter().any(|error| error.code() == Code::UnknownConfigKey);
                assert!(!unknown, "{}: there is no key `{key}`", section.title);
            }
        }
    }
}
