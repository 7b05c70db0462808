//! The configuration as it is shown: each value with where it came from, secrets as `***`.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Config, Origin};
use crate::output::flatten;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    pub key: String,
    pub value: Value,
    pub origin: Origin,
}

impl Config {
    /// Every value, by its dotted key.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (section, value) in self.sections() {
            flatten(section, &value, &mut |key, value| {
                let origin = self.origin(key);
                entries.push(Entry { key: key.to_owned(), value: value.clone(), origin });
            });
        }
        entries
    }

    fn sections(&self) -> Vec<(&'static str, Value)> {
        let mut database = json!(self.database);
        for (key, secret) in [("url", &self.database.url), ("direct_url", &self.database.direct_url)] {
            if let Some(secret) = secret {
                database[key] = json!(redacted(secret.expose()));
            }
        }
        let mut server = json!(self.server);
        server["seal_key"] = json!(self.server.seal_key.as_ref().map(|_| "***"));
        server["spans_headers"] =
            self.server.spans_headers.keys().map(|name| (name.clone(), json!("***"))).collect();
        let declaration = &self.declaration;
        let endpoints = declaration.endpoints.iter().map(|(name, endpoint)| {
            let mut shown = json!(endpoint.settings);
            shown["url"] = json!(endpoint.url);
            shown["kind"] = json!(endpoint.kind);
            shown["headers"] =
                endpoint.settings.headers.keys().map(|name| (name.clone(), json!("***"))).collect();
            shown["secrets"] = endpoint.secrets.iter().map(|_| json!("***")).collect();
            (name.clone(), shown)
        });
        vec![
            ("server", server),
            ("database", database),
            ("delivery", json!(declaration.delivery)),
            ("types", json!(declaration.types)),
            ("queues", json!(declaration.queues)),
            ("endpoints", Value::Object(endpoints.collect())),
            ("subscriptions", json!(declaration.subscriptions)),
        ]
    }

    /// The origin of a key, or of the nearest table or list around it that is said as a whole.
    fn origin(&self, key: &str) -> Origin {
        if let Some(origin) = self.origins.get(key) {
            return origin.clone();
        }
        // A schema or a filter is written as one value; its fields come from where it stands.
        let mut place = key;
        while let Some(at) = place.rfind('.') {
            place = &place[..at];
            let is_value = ["schema", "filter", "headers", "rate"].iter().any(|name| place.ends_with(name));
            if let Some(origin) = self.origins.get(place).filter(|_| is_value) {
                return origin.clone();
            }
        }
        Origin::Default
    }
}

fn redacted(url: &str) -> String {
    posthaste_pg::Target::parse(url).map_or_else(|_| "***".to_owned(), |target| target.redacted())
}
