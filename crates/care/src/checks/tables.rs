//! The rows that the checks of tables share, from one query.
//!
//! Not for: what makes a finding of them.

use posthaste_base::catalog::Name;
use serde::Deserialize;

use crate::doctor::remedy::On;

pub(super) const SQL: &str = include_str!("../../sql/doctor/table.sql");

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Table {
    pub oid: i64,
    pub schema: String,
    pub table_name: String,
    /// `r`, `p` or `m`, as in `pg_class.relkind`.
    pub kind: String,
    pub persistence: String,
    pub is_partition: bool,
    pub parent_oid: Option<i64>,
    pub pages: i64,
    pub tuples: f64,
    pub options: Vec<String>,
    pub toast_options: Vec<String>,
    pub toast_live: i64,
    pub toast_dead: i64,
    pub live: i64,
    pub dead: i64,
    pub modified: i64,
    pub inserted: i64,
    pub updated: i64,
    pub deleted: i64,
    pub vacuumed_s: Option<f64>,
    pub analyzed_s: Option<f64>,
    pub has_primary_key: bool,
    pub has_unique_key: bool,
    pub replica_identity: String,
    pub is_published: bool,
    pub is_of_extension: bool,
}

impl Table {
    pub(super) fn name(&self) -> Name {
        Name::new(self.schema.as_str(), self.table_name.as_str())
    }

    pub(super) fn on(&self) -> On {
        On { name: self.name(), pages: self.pages, rows: self.rows() }
    }

    /// From the counters, or as it was last counted; none when neither knows.
    pub(super) fn rows(&self) -> Option<f64> {
        match (self.live, self.tuples) {
            (live, _) if live > 0 => Some(live as f64),
            (_, tuples) if tuples > 0.0 => Some(tuples),
            // Before 14 a table that was never counted has 0.
            (_, tuples) if tuples == 0.0 && self.pages == 0 => Some(0.0),
            _ => None,
        }
    }

    /// What a setting of the table says, if it says anything.
    pub(super) fn option<'a>(options: &'a [String], name: &str) -> Option<&'a str> {
        options
            .iter()
            .find_map(|option| option.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
    }

    pub(super) fn is_switched_off(options: &[String]) -> bool {
        let value = Self::option(options, "autovacuum_enabled").map(str::to_lowercase);
        // As PostgreSQL reads a boolean: any beginning of these words.
        value.is_some_and(|value| {
            value == "0"
                || value == "of"
                || value == "off"
                || ["false", "no"].iter().any(|word| !value.is_empty() && word.starts_with(&value))
        })
    }
}

#[cfg(test)]
pub(super) fn row(name: &str, more: serde_json::Value) -> serde_json::Value {
    let mut row = serde_json::json!({
        "oid": 1, "schema": "public", "table_name": name, "kind": "r", "persistence": "p", "is_partition": false,
        "parent_oid": null, "pages": 100, "tuples": 10_000.0, "options": [], "toast_options": [], "toast_pages": 0,
        "toast_live": 0, "toast_dead": 0, "live": 10_000, "dead": 0, "modified": 0, "inserted": 0, "updated": 0,
        "deleted": 0, "vacuumed_s": 60.0, "analyzed_s": 60.0, "has_primary_key": true, "has_unique_key": true,
        "replica_identity": "d", "is_published": false, "is_of_extension": false,
    });
    let serde_json::Value::Object(more) = more else { panic!("more fields") };
    row.as_object_mut().expect("an object").extend(more);
    row
}
