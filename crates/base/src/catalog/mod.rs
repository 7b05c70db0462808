//! A database's catalog as plain data: what is there, how large it is, how much it is used.
//!
//! `pg` reads it from a server, `posthaste catalog export` writes it to a file, and reviews and checks decide from
//! it. It holds names, types and numbers, and no row of any table. Texts of expressions name everything that is not
//! the server's own with its schema, and times in UTC. Not for: reading it, and for decisions.

mod places;
mod relation;
mod types;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Code, Error, quote};

pub use places::Places;
pub use relation::{
    Activity, Column, Constraint, ConstraintKind, Dependent, Index, IndexKey, Partition, PartitionKey,
    Reference, Relation, RelationKind, Size, Trigger,
};
pub use types::{Extension, Function, Publication, Sequence, TypeInfo, TypeKind};

/// The version of the file's form, which grows when a field changes its meaning.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Catalog {
    pub format: u32,
    pub server: Server,
    /// In the order of the search path, for names without a schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search_path: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<Function>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<Sequence>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publications: Vec<Publication>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    /// What could not be read, and why: a missing grant, a lock that was held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    #[serde(skip)]
    pub places: Places,
}

/// The server and what went on when the catalog was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// As `server_version_num`: 150018 for 15.18.
    pub version_num: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_replica: bool,
    /// Since when the counters of this database count; not there when they were never reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_since: Option<Timestamp>,
    /// Those that a review or a check asks for, such as `TimeZone`, `lock_timeout`, `wal_level`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<u32>,
    /// Age of the oldest transaction that was open, in milliseconds: what an ACCESS EXCLUSIVE lock may have to wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_transaction_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Replica>,
    /// Bytes a second that a sequential scan reads here, when it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_bytes_per_s: Option<u64>,
    /// Bytes a second that a rewrite writes here, when it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite_bytes_per_s: Option<u64>,
    /// Bytes of WAL a second, over the time in which it was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_bytes_per_s: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Replica {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
}

/// A name as it is in the catalog: not quoted, not folded.
#[expect(clippy::derived_hash_with_manual_eq, reason = "equality is the derived one, in another order")]
#[derive(Clone, Debug, Default, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Name {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schema: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.name, &other.name) && self.schema == other.schema
    }
}

/// The names of one database are often as long as each other and begin alike; where they differ at all, it is mostly at
/// the end. Catalogs are searched for names all the time.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.as_bytes().last() == other.as_bytes().last() && one == other
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
    /// Reads what [`Catalog::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let catalog: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(Code::InvalidFile, error.to_string())
                .expected("what `posthaste catalog export` writes")
        })?;
        match catalog.format {
            FORMAT => Ok(catalog),
            0 => Err(Error::new(Code::InvalidFile, "it does not say which form it has")
                .field("format")
                .expected("what `posthaste catalog export` writes")),
            other => {
                Err(Error::new(Code::InvalidFile, format!("it is {other}, of another version of Posthaste"))
                    .field("format")
                    .expected(FORMAT.to_string())
                    .hint("export the catalog again with this version"))
            }
        }
    }

    /// One JSON document, a line for each thing, so that two of them can be compared. What is empty is left out.
    pub fn to_json(&self) -> Result<String, Error> {
        let failed = |error: serde_json::Error| Error::new(Code::Internal, error.to_string());
        let mut text = format!("{{\n\"format\": {}", self.format);
        let mut field = |name: &str, value: String| {
            text.push_str(&format!(",\n\"{name}\": {value}"));
        };
        field("server", serde_json::to_string(&self.server).map_err(failed)?);
        field("search_path", serde_json::to_string(&self.search_path).map_err(failed)?);
        field("schemas", serde_json::to_string(&self.schemas).map_err(failed)?);
        field("relations", lines(&self.relations).map_err(failed)?);
        field("types", lines(&self.types).map_err(failed)?);
        field("functions", lines(&self.functions).map_err(failed)?);
        field("sequences", lines(&self.sequences).map_err(failed)?);
        field("publications", lines(&self.publications).map_err(failed)?);
        field("extensions", lines(&self.extensions).map_err(failed)?);
        field("unread", lines(&self.unread).map_err(failed)?);
        text.push_str("\n}\n");
        Ok(text)
    }

    /// A relation by its name, or by the search path when no schema is said.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        self.place(schema, name).map(|place| &self.relations[place])
    }

    /// Where a relation is in the list of them.
    pub fn place(&self, schema: Option<&str>, name: &str) -> Option<usize> {
        match schema {
            Some(schema) => self.places.find(&self.relations, schema, name),
            None => self.search_path.iter().find_map(|one| self.places.find(&self.relations, one, name)),
        }
    }

    /// An index by its name, with the table that it is on.
    pub fn index(&self, schema: Option<&str>, name: &str) -> Option<(&Relation, &Index)> {
        let find = |schema: &str| {
            self.relations.iter().find_map(|relation| {
                let index = relation
                    .indexes
                    .iter()
                    .find(|i| is_same(&i.name.name, name) && i.name.schema == schema)?;
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

/// A list with a line for each of its items.
fn lines<T: Serialize>(items: &[T]) -> serde_json::Result<String> {
    let items = items.iter().map(serde_json::to_string).collect::<serde_json::Result<Vec<_>>>()?;
    Ok(if items.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", items.join(",\n")) })
}
