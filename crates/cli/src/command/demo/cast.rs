//! Who takes part in the demonstration: endpoints with their secrets, event types, and the events to send.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use posthaste_base::{Error, Secret};
use posthaste_deliver::generate_secret;
use serde_json::{Value, json};

pub(super) const GREETINGS: &str = "greetings";
pub(super) const CALENDAR: &str = "calendar";
pub(super) const INBOX: &str = "inbox";
pub(super) const TYPES: [(&str, &str); 4] =
    [("BIRTHDAY", GREETINGS), ("ANNIVERSARY", GREETINGS), ("REMINDER", CALENDAR), ("NOTIFICATION", INBOX)];

/// How events get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    /// The same again, which is no second event.
    HttpAgain,
    Sql,
    /// In a transaction that is rolled back: there is no event.
    SqlRolledBack,
}

#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub event_type: &'static str,
    pub key: String,
    pub payload: Value,
    pub due_in_seconds: u32,
    pub way: Way,
}

/// The names and secrets of one demonstration; each has keys of its own, so that a folder can be used again.
pub(super) struct Cast {
    pub endpoints: Vec<(&'static str, Secret)>,
    pub events: Vec<Planned>,
}

impl Cast {
    pub(super) fn new() -> Result<Self, Error> {
        let secrets = [GREETINGS, CALENDAR, INBOX].map(|name| Ok((name, generate_secret()?)));
        let endpoints = secrets.into_iter().collect::<Result<_, Error>>()?;
        let run = uuid::Uuid::now_v7().simple().to_string();
        Ok(Self { endpoints, events: events(&run[20..]) })
    }

    /// The configuration of the demonstration's node: short pauses, so that it fits into half a minute.
    pub(super) fn configuration(&self, receiver: SocketAddr, folder: &Path, pg_bin: Option<&Path>) -> String {
        let quoted = |path: &Path| Value::from(path.to_string_lossy()).to_string();
        let pg_bin = pg_bin.map(|path| format!("pg_bin = {}\n", quoted(path))).unwrap_or_default();
        let mut text = format!(
            "# Written by `posthaste demo`.\n\
             [server]\nlisten = \"127.0.0.1:0\"\nshutdown_seconds = 5\n\n\
             [database]\ndata_dir = {}\n{pg_bin}\n\
             [delivery]\nallow_networks = [\"127.0.0.0/8\"]\n",
            // A folder that is not there yet: PostgreSQL's must belong to the user that it runs as.
            quoted(&folder.join("database"))
        );
        for queue in ["critical", "high", "normal", "low"] {
            let _ = write!(
                text,
                "\n[queues.{queue}]\nmax_receives = 2\nbackoff_base_ms = 300\nbackoff_cap_ms = 900\n"
            );
        }
        for (name, secret) in &self.endpoints {
            let _ = write!(
                text,
                "\n[endpoints.{name}]\nurl = \"http://{receiver}/{name}\"\nsecret = \"{}\"\n\
                 timeout_ms = 5000\nbreaker = {{ open_ms = 1500, trials = 1 }}\n",
                secret.expose()
            );
        }
        for (event_type, endpoint) in TYPES {
            let _ = write!(
                text,
                "\n[types.{event_type}]\n\n[subscriptions.{}]\ntopic = \"{event_type}\"\nendpoint = \"{endpoint}\"\n",
                event_type.to_lowercase()
            );
        }
        text
    }
}

/// All events of one run: some due at once, some in seconds, some that no receiver can take, some from SQL.
fn events(run: &str) -> Vec<Planned> {
    let mut events = Vec::new();
    let mut add = |event_type: &'static str, count: u32, way: Way, make: &dyn Fn(u32) -> (Value, u32)| {
        for number in 1..=count {
            let (payload, due_in_seconds) = make(number);
            let prefix = if matches!(way, Way::Sql | Way::SqlRolledBack) { "sql" } else { "http" };
            let undone = if way == Way::SqlRolledBack { "-undone" } else { "" };
            let key = format!("{run}-{prefix}-{}-{number}{undone}", event_type.to_lowercase());
            events.push(Planned { event_type, key, payload, due_in_seconds, way });
        }
    };
    let greeting = |number: u32| json!({"to": format!("user-{number}"), "text": "many happy returns"});
    add("BIRTHDAY", 8, Way::Http, &|number| (greeting(number), 2 + number % 4));
    add("ANNIVERSARY", 6, Way::Http, &|number| (greeting(number), 0));
    add("ANNIVERSARY", 2, Way::HttpAgain, &|number| (greeting(number), 0));
    add("REMINDER", 12, Way::Http, &|number| (json!({"appointment": number}), 0));
    // The receiver refuses what has no text, for good.
    add("NOTIFICATION", 10, Way::Http, &|number| {
        let text = if number % 4 == 0 { Value::Null } else { json!("you have mail") };
        (json!({"to": format!("user-{number}"), "text": text}), 0)
    });
    let order = |number: u32| json!({"text": "your order is on its way", "order": number});
    add("NOTIFICATION", 4, Way::Sql, &|number| (order(number), 0));
    add("NOTIFICATION", 1, Way::SqlRolledBack, &|number| (order(number), 0));
    events
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn only_repeats_share_a_key() {
        let events = events("run");
        let new: Vec<_> = events.iter().filter(|event| event.way != Way::HttpAgain).collect();
        let keys: BTreeSet<_> = new.iter().map(|event| &event.key).collect();
        assert_eq!(keys.len(), new.len());
        let again = events.iter().filter(|event| event.way == Way::HttpAgain);
        assert!(again.into_iter().all(|event| keys.contains(&event.key)));
    }

    #[test]
    fn the_configuration_is_valid() {
        let cast = Cast::new().unwrap();
        let text = cast.configuration("127.0.0.1:9".parse().unwrap(), Path::new("/tmp/a \"b\""), None);
        let config = crate::config::Config::of_text("posthaste.toml".into(), &text).unwrap();
        assert_eq!(config.declaration.subscriptions.len(), TYPES.len());
    }
}
