//! A database's catalog as plain data: what is there, how large it is, how much it is used.
//!
//! `pg` reads it from a server, `posthaste catalog export` writes it to a file, and reviews and checks decide from
//! it. It holds names, types and numbers, and no row of any table. Not for: reading it, and for decisions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::quote;

/// The version of the file's form, which grows when a field changes its meaning.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Catalog {
    pub format: u32,
    pub server: Server,
    /// In the order of the search path, for names without a schema.
    pub search_path: Vec<String>,
    pub schemas: Vec<String>,
    pub relations: Vec<Relation>,
    pub types: Vec<TypeInfo>,
    pub functions: Vec<Function>,
    pub sequences: Vec<Sequence>,
    pub publications: Vec<Publication>,
    pub extensions: Vec<Extension>,
    /// What could not be read, and why: a missing grant, a lock that was held.
    pub unread: Vec<String>,
}

/// The server and what went on when the catalog was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// As `server_version_num`: 150018 for 15.18.
    pub version_num: u32,
    pub database: String,
    pub read_at: Option<Timestamp>,
    pub is_replica: bool,
    /// Those that a review or a check asks for, such as `TimeZone`, `lock_timeout`, `wal_level`.
    pub settings: BTreeMap<String, String>,
    pub connections: Option<u32>,
    pub connections_max: Option<u32>,
    /// Age of the oldest transaction that was open, in milliseconds: what an ACCESS EXCLUSIVE lock may have to wait for.
    pub longest_transaction_ms: Option<u64>,
    pub replicas: Vec<Replica>,
    /// Bytes a second that a sequential scan reads here, when it was measured.
    pub scan_bytes_per_s: Option<u64>,
    /// Bytes a second that a rewrite writes here, when it was measured.
    pub rewrite_bytes_per_s: Option<u64>,
    /// Bytes of WAL a second, over the time in which it was watched.
    pub wal_bytes_per_s: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Replica {
    pub name: String,
    pub lag_bytes: Option<u64>,
    pub lag_ms: Option<u64>,
}

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

/// A name as it is in the catalog: not quoted, not folded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Name {
    pub schema: String,
    pub name: String,
}

/// A table or what can be used as one; its indexes are with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Relation {
    pub oid: u32,
    pub name: Name,
    pub kind: RelationKind,
    pub owner: String,
    pub is_unlogged: bool,
    pub is_temporary: bool,
    pub access_method: String,
    pub tablespace: String,
    pub columns: Vec<Column>,
    pub constraints: Vec<Constraint>,
    pub indexes: Vec<Index>,
    pub triggers: Vec<Trigger>,
    /// Names of rules other than the `_RETURN` of a view.
    pub rules: Vec<String>,
    pub policies: Vec<String>,
    pub has_row_security: bool,
    pub forces_row_security: bool,
    /// `reloptions`, such as `fillfactor` and `autovacuum_enabled`.
    pub options: BTreeMap<String, String>,
    /// `d`, `n`, `f` or `i`, as in `pg_class.relreplident`.
    pub replica_identity: String,
    pub statistics: Vec<String>,
    /// What it inherits from; for a partition, the one table that it is a part of.
    pub parents: Vec<Name>,
    pub partition: Option<Partition>,
    /// For a partitioned table: `list`, `range` or `hash`, and the columns of its key (empty names for expressions).
    pub partition_key: Option<PartitionKey>,
    /// Views, materialized views and functions with a SQL body that read it, with the columns that they read.
    pub dependents: Vec<Dependent>,
    pub size: Size,
    pub activity: Activity,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Column {
    pub name: String,
    /// The attribute number: that of the catalog, and not the place in this list.
    pub number: i16,
    /// As `format_type` writes it, with its modifier: `character varying(40)`, `numeric(5,2)`.
    pub type_name: String,
    pub type_modifier: i32,
    /// The type's own name, its schema apart; for a domain the domain's.
    pub type_ref: Name,
    pub is_not_null: bool,
    /// As PostgreSQL writes it.
    pub default: Option<String>,
    /// `s` stored, `v` virtual.
    pub generated: Option<String>,
    /// `a` always, `d` by default.
    pub identity: Option<String>,
    pub collation: Option<String>,
    /// Of the planner's statistics; not there when the table was never analysed or may not be read.
    pub null_fraction: Option<f32>,
    /// As `pg_stats.n_distinct`.
    pub distinct: Option<f32>,
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
    pub name: String,
    pub kind: ConstraintKind,
    pub is_validated: bool,
    /// False only for NOT ENFORCED (18 and newer).
    pub is_enforced: bool,
    pub is_deferrable: bool,
    pub is_inherited: bool,
    pub no_inherit: bool,
    pub columns: Vec<String>,
    /// `pg_get_constraintdef`, which takes no lock on the table.
    pub definition: String,
    pub index: Option<Name>,
    pub references: Option<Reference>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    pub table: Name,
    pub columns: Vec<String>,
    /// `a` no action, `r` restrict, `c` cascade, `n` set null, `d` set default.
    pub on_delete: String,
    pub on_update: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Index {
    pub oid: u32,
    pub name: Name,
    pub method: String,
    pub is_unique: bool,
    pub is_primary: bool,
    pub is_exclusion: bool,
    pub is_valid: bool,
    pub is_ready: bool,
    /// False for an index that a constraint checks at once.
    pub is_immediate: bool,
    pub is_partitioned: bool,
    pub is_clustered: bool,
    pub is_replica_identity: bool,
    pub nulls_not_distinct: bool,
    pub parent: Option<Name>,
    /// In the order of the index; `None` for an expression.
    pub keys: Vec<IndexKey>,
    pub include: Vec<String>,
    pub predicate: Option<String>,
    /// The constraint that it serves.
    pub constraint: Option<String>,
    pub size: Size,
    /// Since the counters were reset; replicas count apart.
    pub scans: Option<u64>,
    /// 16 and newer.
    pub last_scan_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexKey {
    pub column: Option<String>,
    pub expression: Option<String>,
    pub opclass: String,
    pub collation: Option<String>,
    pub is_descending: bool,
    pub is_nulls_first: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Trigger {
    pub name: String,
    pub function: Name,
    /// `O` enabled, `D` disabled, `R` replica, `A` always.
    pub enabled: String,
    /// Made by a constraint, and not by `create trigger`.
    pub is_internal: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Partition {
    pub parent: Name,
    /// `FOR VALUES ...` or `DEFAULT`.
    pub bound: String,
    pub is_default: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionKey {
    pub strategy: String,
    pub columns: Vec<String>,
    /// As `pg_get_partkeydef` writes it.
    pub definition: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependent {
    pub name: Name,
    /// `view`, `materialized-view`, `function`, `policy`, `rule`, `trigger`.
    pub kind: String,
    /// Empty when it depends on the whole.
    pub columns: Vec<String>,
}

/// Sizes from `pg_class`: no lock is needed to read them, and they are as old as the last VACUUM or ANALYZE.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Size {
    /// Not there when it was never counted (`reltuples` of -1).
    pub rows: Option<u64>,
    /// The heap or the index alone.
    pub bytes: u64,
    pub toast_bytes: u64,
}

/// Counters of `pg_stat_user_tables`, since they were reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Activity {
    pub since: Option<Timestamp>,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub live_rows: u64,
    pub dead_rows: u64,
    pub modified_since_analyze: u64,
    pub sequential_scans: u64,
    pub index_scans: u64,
    pub analyzed_at: Option<Timestamp>,
    pub vacuumed_at: Option<Timestamp>,
    /// Rows written in a second, over the time in which it was watched.
    pub writes_per_s: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TypeKind {
    #[default]
    Enum,
    Domain,
    Composite,
    Range,
    Base,
}

/// A type that somebody made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TypeInfo {
    pub name: Name,
    pub kind: TypeKind,
    pub labels: Vec<String>,
    /// Of a domain: the type below it, as `format_type` writes it.
    pub base: Option<String>,
    pub is_not_null: bool,
    pub default: Option<String>,
    /// Of a domain.
    pub checks: Vec<Constraint>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Function {
    pub name: Name,
    /// Types of its arguments, as `format_type` writes them.
    pub arguments: Vec<String>,
    pub returns: String,
    /// `i` immutable, `s` stable, `v` volatile.
    pub volatility: String,
    /// `f` function, `p` procedure, `a` aggregate, `w` window.
    pub kind: String,
    pub language: String,
    /// Only of functions that somebody made, in SQL or PL/pgSQL.
    pub body: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sequence {
    pub name: Name,
    pub type_name: String,
    pub start: i64,
    pub minimum: i64,
    pub maximum: i64,
    pub increment: i64,
    pub cycles: bool,
    pub last_value: Option<i64>,
    /// The column that owns it, or uses it as its default.
    pub table: Option<Name>,
    pub column: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Publication {
    pub name: String,
    pub all_tables: bool,
    pub tables: Vec<Name>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Extension {
    pub name: String,
    pub version: String,
    pub schema: String,
}

impl Name {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// As SQL writes it, with its schema.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote::identifier(&self.schema), quote::identifier(&self.name))
    }
}

impl Server {
    /// The major version: 15 for 15.18.
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }
}

impl Catalog {
    /// A relation by its name, or by the search path when no schema is said.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        let find =
            |schema: &str| self.relations.iter().find(|r| r.name.name == name && r.name.schema == schema);
        match schema {
            Some(schema) => find(schema),
            None => self.search_path.iter().find_map(|schema| find(schema)),
        }
    }

    /// An index by its name, with the table that it is on.
    pub fn index(&self, schema: Option<&str>, name: &str) -> Option<(&Relation, &Index)> {
        let find = |schema: &str| {
            self.relations.iter().find_map(|relation| {
                let index =
                    relation.indexes.iter().find(|i| i.name.name == name && i.name.schema == schema)?;
                Some((relation, index))
            })
        };
        match schema {
            Some(schema) => find(schema),
            None => self.search_path.iter().find_map(|schema| find(schema)),
        }
    }

    /// Those that inherit from it or are its partitions, one level down.
    pub fn children<'a>(&'a self, parent: &'a Name) -> impl Iterator<Item = &'a Relation> {
        self.relations.iter().filter(move |relation| relation.parents.contains(parent))
    }
}
