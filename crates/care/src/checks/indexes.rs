//! The rows that the checks of indexes share, from one query, and what makes two indexes the same.
//!
//! Not for: what makes a finding of them.

use posthaste_base::catalog::Name;
use serde::Deserialize;

pub(super) const SQL: &str = include_str!("../../sql/doctor/index.sql");

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Index {
    pub oid: i64,
    pub schema: String,
    pub name: String,
    pub table_oid: i64,
    pub table_schema: String,
    pub table_name: String,
    /// `r`, `p` or `m`; `t` where large values are.
    pub table_kind: String,
    /// Whose large values.
    pub toast_of: Option<Name>,
    pub method: String,
    pub is_unique: bool,
    pub is_primary: bool,
    pub is_exclusion: bool,
    pub is_immediate: bool,
    pub is_valid: bool,
    pub is_live: bool,
    pub is_replica_identity: bool,
    pub is_clustered: bool,
    pub nulls_not_distinct: bool,
    pub key_count: usize,
    /// Attribute numbers, operator classes, collations and options, with a blank between them.
    pub key: String,
    pub classes: String,
    pub collations: String,
    pub options: String,
    /// Fingerprints of the stored trees.
    pub expressions: Option<String>,
    pub predicate: Option<String>,
    pub constraint_name: Option<String>,
    pub referred_by: i64,
    pub parent_oid: Option<i64>,
    pub pages: i64,
    pub scans: i64,
    pub last_scan_s: Option<f64>,
    pub table_writes: i64,
    pub serves_foreign_key: bool,
    pub lacking: Option<Vec<Lacking>>,
    pub definition: Option<String>,
    pub is_being_built: bool,
    pub hidden_builds: i64,
    pub is_of_extension: bool,
}

/// A partition that has no part of its parent's index.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Lacking {
    pub oid: i64,
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub pages: i64,
}

/// One column of an index's key, with all that an order goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    attribute: &'a str,
    class: &'a str,
    collation: &'a str,
    /// Bit 0 for descending, bit 1 for NULLs first.
    option: u8,
}

impl Index {
    pub(super) fn index_name(&self) -> Name {
        Name::new(self.schema.as_str(), self.name.as_str())
    }

    pub(super) fn table(&self) -> Name {
        Name::new(self.table_schema.as_str(), self.table_name.as_str())
    }

    pub(super) fn is_partitioned(&self) -> bool {
        self.table_kind == "p"
    }

    /// What the server, or a rule of the data, needs it for.
    pub(super) fn needed_for(&self) -> Option<&'static str> {
        if self.is_primary {
            Some("it is the primary key")
        } else if self.constraint_name.is_some() || self.is_exclusion {
            Some("a constraint stands on it")
        } else if self.referred_by > 0 {
            Some("foreign keys refer to it")
        } else if self.is_replica_identity {
            Some("it identifies rows for replication")
        } else if self.parent_oid.is_some() {
            Some("it is a part of its parent's index")
        } else {
            None
        }
    }

    /// The key in a form in which an index and its mirror image, which serves the same scans backward, are equal.
    pub(super) fn keys(&self) -> Vec<Key<'_>> {
        let options: Vec<u8> =
            self.options.split(' ').map(|option| option.parse().unwrap_or_default()).collect();
        let is_mirrored = self.method == "btree" && options.first().is_some_and(|first| first & 1 == 1);
        let (classes, collations) = (self.classes.split(' '), self.collations.split(' '));
        let parts = self.key.split(' ').zip(classes).zip(collations).zip(options).take(self.key_count);
        parts
            .map(|(((attribute, class), collation), option)| Key {
                attribute,
                class,
                collation,
                option: if is_mirrored { option ^ 3 } else { option },
            })
            .collect()
    }

    /// Columns that it carries without being ordered by them.
    pub(super) fn included(&self) -> Vec<&str> {
        self.key.split(' ').skip(self.key_count).collect()
    }

    fn attributes(&self) -> Vec<&str> {
        self.key.split(' ').collect()
    }

    /// Whether every scan that this one serves is served as well by the other, whose key is the same or goes on.
    pub(super) fn is_served_by(&self, other: &Index) -> bool {
        let is_same_kind = self.table_oid == other.table_oid
            && self.method == other.method
            && self.predicate == other.predicate
            && self.expressions == other.expressions
            && self.oid != other.oid;
        let (keys, others) = (self.keys(), other.keys());
        let is_head = match self.method.as_str() {
            // Only a b-tree is ordered, so that its head is an index too.
            "btree" => others.starts_with(&keys),
            _ => others == keys,
        };
        let carries = other.attributes();
        // A column that is included may also be a part of the longer key.
        is_same_kind && is_head && self.included().iter().all(|column| carries.contains(column))
    }

    pub(super) fn is_same_key(&self, other: &Index) -> bool {
        self.is_served_by(other) && other.is_served_by(self)
    }
}

#[cfg(test)]
pub(super) fn row(oid: i64, name: &str, more: serde_json::Value) -> serde_json::Value {
    let text = r#"{
        "schema": "public", "table_oid": 1, "table_schema": "public", "table_name": "t", "table_kind": "r", "toast_of": null,
        "method": "btree", "is_unique": false, "is_primary": false, "is_exclusion": false, "is_immediate": true,
        "is_valid": true, "is_live": true, "is_replica_identity": false, "is_clustered": false,
        "nulls_not_distinct": false, "key_count": 1, "key": "2", "classes": "10", "collations": "0", "options": "0",
        "expressions": null, "predicate": null, "constraint_name": null, "referred_by": 0,
        "parent_oid": null, "pages": 100, "scans": 50, "last_scan_s": null, "table_writes": 1000,
        "serves_foreign_key": false, "lacking": null, "definition": null, "is_being_built": false,
        "hidden_builds": 0, "is_of_extension": false}"#;
    let mut row: serde_json::Value = serde_json::from_str(text).expect("a row");
    row["oid"] = serde_json::json!(oid);
    row["name"] = serde_json::json!(name);
    let serde_json::Value::Object(more) = more else { panic!("more fields") };
    row.as_object_mut().expect("an object").extend(more);
    row
}
