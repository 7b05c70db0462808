//! Tables and what hangs on them, as plain data.
//!
//! Not for: types, functions and the server.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Name;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    #[default]
    Table,
    PartitionedTable,
    ForeignTable,
    View,
    MaterializedView,
    Composite,
}

/// A table or what can be used as one; its indexes are with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Relation {
    pub oid: u32,
    pub name: Name,
    pub kind: RelationKind,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_unlogged: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_temporary: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tablespace: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// Names of rules other than the `_RETURN` of a view.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_row_security: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forces_row_security: bool,
    /// `reloptions`, such as `fillfactor` and `autovacuum_enabled`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// `d`, `n`, `f` or `i`, as in `pg_class.relreplident`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub replica_identity: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<String>,
    /// What it inherits from; for a partition, the one table that it is a part of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// For a partitioned table: `list`, `range` or `hash`, and the columns of its key (empty names for expressions).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<PartitionKey>,
    /// Views, materialized views and functions with a SQL body that read it, with the columns that they read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependents: Vec<Dependent>,
    pub size: Size,
    pub activity: Activity,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Column {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The attribute number: that of the catalog, and not the place in this list.
    pub number: i16,
    /// As `format_type` writes it, with its modifier: `character varying(40)`, `numeric(5,2)`; types that are not
    /// the server's own have their schema: `public.mood`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    pub type_modifier: i32,
    /// The type's own name, its schema apart; for a domain the domain's.
    pub type_ref: Name,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_not_null: bool,
    /// As PostgreSQL writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// `s` stored, `v` virtual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// `a` always, `d` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Of the planner's statistics; not there when the table was never analysed or may not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_fraction: Option<f32>,
    /// As `pg_stats.n_distinct`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width_bytes: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConstraintKind {
    #[default]
    Check,
    NotNull,
    PrimaryKey,
    Unique,
    ForeignKey,
    Exclusion,
    /// A constraint trigger.
    Trigger,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Constraint {
    pub oid: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub kind: ConstraintKind,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_validated: bool,
    /// False only for NOT ENFORCED (18 and newer).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_enforced: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_deferrable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_inherited: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_inherit: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// As `pg_get_constraintdef` writes it; empty for a check of a table that was locked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub definition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Reference>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    pub table: Name,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// `a` no action, `r` restrict, `c` cascade, `n` set null, `d` set default.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on_delete: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on_update: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Index {
    pub oid: u32,
    pub name: Name,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_unique: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_primary: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_exclusion: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_valid: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_ready: bool,
    /// False for an index that a constraint checks at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_immediate: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_partitioned: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_clustered: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_replica_identity: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nulls_not_distinct: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Name>,
    /// In the order of the index; `None` for an expression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<IndexKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Not there for an index over all rows, and for one whose table was locked: see `has_predicate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_predicate: bool,
    /// The constraint that it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    pub size: Size,
    /// Since the counters were reset; replicas count apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scans: Option<u64>,
    /// 16 and newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scan_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Empty when the table was locked, so that its text is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// With its schema, unless it is the server's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub opclass: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_descending: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_nulls_first: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Trigger {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub function: Name,
    /// `O` enabled, `D` disabled, `R` replica, `A` always.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub enabled: String,
    /// Made by a constraint, and not by `create trigger`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_internal: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Partition {
    pub parent: Name,
    /// `FOR VALUES ...` or `DEFAULT`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bound: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_default: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionKey {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub strategy: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// As `pg_get_partkeydef` writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub definition: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependent {
    pub name: Name,
    /// `view`, `materialized-view`, `function`, `policy`, `rule`, `trigger`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Empty when it depends on the whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// Sizes from `pg_class`: no lock is needed to read them, and they are as old as the last VACUUM or ANALYZE.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Size {
    /// Not there when it was never counted (`reltuples` of -1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The heap or the index alone.
    pub bytes: u64,
    pub toast_bytes: u64,
}

/// Counters of `pg_stat_user_tables`, since they were reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Activity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub live_rows: u64,
    pub dead_rows: u64,
    pub modified_since_analyze: u64,
    pub sequential_scans: u64,
    pub index_scans: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analyzed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vacuumed_at: Option<Timestamp>,
    /// Rows written in a second, over the time in which it was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes_per_s: Option<f64>,
}
