//! What applying a declaration changes, field by field, as data and as plain text.
//!
//! Pure. Only what was declared before is removed when it is declared no more; what was made over HTTP or by
//! need stays. Not for: carrying a diff out.

use std::fmt;

use posthaste_store::declare::{EndpointRow, TopicRow};
use serde::Serialize;
use serde_json::{Value, json};

use super::refresh::{Stored, endpoint_parts, priority_of_rank, secrets_of, settings_of};
use super::{Declaration, EndpointDeclaration, SubscriptionDeclaration, TypeDeclaration};
use crate::route::priority_of_name;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    pub changes: Vec<Change>,
    /// How many things are as declared.
    pub unchanged: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub kind: Kind,
    pub name: String,
    #[serde(flatten)]
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Type,
    Queue,
    Endpoint,
    Subscription,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Action {
    Create,
    Change {
        fields: Vec<FieldChange>,
    },
    Remove,
    /// It is declared no more but stays, for this reason.
    Keep {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    pub field: String,
    pub old: Value,
    pub new: Value,
}

impl Diff {
    /// Whether applying it would do nothing. What has to stay is not a change.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| matches!(change.action, Action::Keep { .. }))
    }
}

/// Queues that are to be removed, for the caller to look whether they hold messages.
pub(super) fn removable_queues(stored: &Stored, declaration: &Declaration) -> Vec<(i32, String)> {
    let gone = stored.queues.iter().filter(|row| row.declared && !declaration.queues.contains_key(&row.name));
    gone.map(|row| (row.id, row.name.clone())).collect()
}

/// `full` are the names of queues that hold messages, `resealed` those of endpoints whose secrets are declared
/// otherwise than they are stored.
pub(super) fn diff(stored: &Stored, declaration: &Declaration, full: &[String], resealed: &[String]) -> Diff {
    let mut diff = Diff::default();
    let uses = uses_after(stored, declaration);
    let user = |kind: &str, name: &str| {
        uses.iter().find(|(_, used_kind, used)| *used_kind == kind && used == name).map(|(by, ..)| by.clone())
    };
    for (name, declared) in &declaration.types {
        let row = stored.topics.iter().find(|row| row.name == *name);
        let old = row.map(|row| (topic_fields(row), row.declared));
        diff.declare(Kind::Type, name, old, type_fields(name, declared, true));
    }
    for row in stored.topics.iter().filter(|row| row.declared && !declaration.types.contains_key(&row.name)) {
        if user("topic", &row.name).is_none() {
            diff.push(Kind::Type, &row.name, Action::Remove);
            continue;
        }
        // Subscribed to, so it stays a topic, but as one that was made by need.
        let new = type_fields(&row.name, &TypeDeclaration::default(), false);
        diff.declare(Kind::Type, &row.name, Some((topic_fields(row), true)), new);
    }
    for (name, settings) in &declaration.queues {
        let row = stored.queues.iter().find(|row| row.name == *name);
        let old = row.map(|row| (declared(json!(settings_of(&row.columns)), row.declared), row.declared));
        diff.declare(Kind::Queue, name, old, declared(json!(settings), true));
    }
    for (_, name) in removable_queues(stored, declaration) {
        let reason = match user("queue", &name) {
            Some(by) => Some(format!("subscription `{by}` leads to it")),
            None => full.contains(&name).then(|| "it holds messages".to_string()),
        };
        diff.push(Kind::Queue, &name, removal(reason));
    }
    for (name, endpoint) in &declaration.endpoints {
        let row = stored.endpoints.iter().find(|row| row.name == *name);
        let old = row.map(|row| (endpoint_row_fields(row), row.declared));
        diff.declare(Kind::Endpoint, name, old, endpoint_fields(endpoint));
        if let Some(row) = row.filter(|_| resealed.contains(name)) {
            diff.add_field(Kind::Endpoint, name, secrets_change(row, endpoint));
        }
    }
    let gone = |row: &&EndpointRow| row.declared && !declaration.endpoints.contains_key(&row.name);
    for row in stored.endpoints.iter().filter(gone) {
        let by = user("endpoint", &row.name);
        diff.push(
            Kind::Endpoint,
            &row.name,
            removal(by.map(|by| format!("subscription `{by}` leads to it"))),
        );
    }
    for (name, subscription) in &declaration.subscriptions {
        let row = stored.subscriptions.iter().find(|row| row.name == *name);
        let old = row.map(|row| {
            let as_declared = SubscriptionDeclaration {
                topic: row.topic.clone(),
                filter: row.filter.clone(),
                queue: row.queue.clone(),
                endpoint: row.endpoint.clone(),
            };
            (declared(json!(as_declared), row.declared), row.declared)
        });
        diff.declare(Kind::Subscription, name, old, declared(json!(subscription), true));
    }
    for row in &stored.subscriptions {
        if row.declared && !declaration.subscriptions.contains_key(&row.name) {
            diff.push(Kind::Subscription, &row.name, Action::Remove);
        }
    }
    diff
}

/// Which subscription uses what once the declaration is applied: (subscription, kind, name).
fn uses_after(stored: &Stored, declaration: &Declaration) -> Vec<(String, &'static str, String)> {
    let mut uses = Vec::new();
    let mut add = |by: &str, topic: &str, queue: Option<&String>, endpoint: Option<&String>| {
        let used = [("topic", Some(topic)), ("queue", queue.map(String::as_str))];
        for (kind, name) in used.into_iter().chain([("endpoint", endpoint.map(String::as_str))]) {
            uses.extend(name.map(|name| (by.to_string(), kind, name.to_string())));
        }
    };
    for (name, declared) in &declaration.subscriptions {
        add(name, &declared.topic, declared.queue.as_ref(), declared.endpoint.as_ref());
    }
    for row in stored.subscriptions.iter().filter(|row| !row.declared) {
        if !declaration.subscriptions.contains_key(&row.name) {
            add(&row.name, &row.topic, row.queue.as_ref(), row.endpoint.as_ref());
        }
    }
    uses
}

impl Diff {
    fn push(&mut self, kind: Kind, name: &str, action: Action) {
        self.changes.push(Change { kind, name: name.to_string(), action });
    }

    fn declare(&mut self, kind: Kind, name: &str, old: Option<(Value, bool)>, new: Value) {
        let Some((old, _)) = old else { return self.push(kind, name, Action::Create) };
        let mut fields = Vec::new();
        compare("", &old, &new, &mut fields);
        match fields.is_empty() {
            true => self.unchanged += 1,
            false => self.push(kind, name, Action::Change { fields }),
        }
    }

    fn add_field(&mut self, kind: Kind, name: &str, field: FieldChange) {
        let last = self.changes.last_mut().filter(|change| change.kind == kind && change.name == name);
        match last {
            Some(Change { action: Action::Change { fields }, .. }) => fields.push(field),
            _ => {
                self.unchanged -= 1;
                self.push(kind, name, Action::Change { fields: vec![field] });
            }
        }
    }
}

fn removal(reason: Option<String>) -> Action {
    reason.map_or(Action::Remove, |reason| Action::Keep { reason })
}

fn declared(mut fields: Value, is_declared: bool) -> Value {
    fields["declared"] = json!(is_declared);
    fields
}

fn topic_fields(row: &TopicRow) -> Value {
    let priority = priority_of_rank(row.priority);
    declared(json!({"priority": priority, "schema": row.schema}), row.declared)
}

fn type_fields(name: &str, declaration: &TypeDeclaration, is_declared: bool) -> Value {
    let priority = declaration.priority.unwrap_or_else(|| priority_of_name(name));
    declared(json!({"priority": priority, "schema": declaration.schema}), is_declared)
}

fn endpoint_row_fields(row: &EndpointRow) -> Value {
    let settings = endpoint_parts(row).map(|(_, settings)| settings).unwrap_or_default();
    let mut fields = declared(json!(settings), row.declared);
    fields["url"] = json!(row.url);
    fields["kind"] = json!(row.kind);
    fields
}

fn endpoint_fields(endpoint: &EndpointDeclaration) -> Value {
    let mut fields = declared(json!(endpoint.settings), true);
    fields["url"] = json!(endpoint.url);
    fields["kind"] = json!(endpoint.kind);
    fields
}

/// Secrets themselves are never part of a diff.
fn secrets_change(row: &EndpointRow, wanted: &EndpointDeclaration) -> FieldChange {
    let shown = |n: usize, what: &str| json!(format!("{n} {what}"));
    FieldChange {
        field: "secrets".into(),
        old: shown(secrets_of(&row.secrets).len(), "stored"),
        new: shown(wanted.secrets.len(), "declared"),
    }
}

/// Fields that differ. A schema and a filter are one field each: what is in them belongs to the user.
fn compare(path: &str, old: &Value, new: &Value, fields: &mut Vec<FieldChange>) {
    if old == new {
        return;
    }
    if let (Value::Object(old), Value::Object(new), false) = (old, new, matches!(path, "schema" | "filter")) {
        let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
        for key in keys {
            let path = super::reader::join(path, key);
            let or_null = |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or_default();
            compare(&path, &or_null(old), &or_null(new), fields);
        }
        return;
    }
    fields.push(FieldChange { field: path.to_string(), old: old.clone(), new: new.clone() });
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "type",
            Self::Queue => "queue",
            Self::Endpoint => "endpoint",
            Self::Subscription => "subscription",
        })
    }
}

/// One line for a thing, and one below it for each field that changes.
impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Change { kind, name, action } in &self.changes {
            match action {
                Action::Create => writeln!(f, "+ {kind} {name}")?,
                Action::Remove => writeln!(f, "- {kind} {name}")?,
                Action::Keep { reason } => writeln!(f, "! {kind} {name} stays: {reason}")?,
                Action::Change { fields } => {
                    writeln!(f, "~ {kind} {name}")?;
                    for FieldChange { field, old, new } in fields {
                        writeln!(f, "    {field}: {} -> {}", short(old), short(new))?;
                    }
                }
            }
        }
        match (self.changes.is_empty(), self.unchanged) {
            (true, _) => write!(f, "nothing changes"),
            (false, n) => write!(f, "{n} unchanged"),
        }
    }
}

fn short(value: &Value) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let text = match value {
        Value::Null => "none".to_string(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
