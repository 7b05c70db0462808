//! Types, functions, sequences, publications and extensions, as plain data.
//!
//! Not for: tables.

use serde::{Deserialize, Serialize};

use super::{Constraint, Name};

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Of a domain: the type below it, as `format_type` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_not_null: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Of a domain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Constraint>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Function {
    pub name: Name,
    /// Types of its arguments, as `format_type` writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub returns: String,
    /// `i` immutable, `s` stable, `v` volatile.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub volatility: String,
    /// `f` function, `p` procedure, `a` aggregate, `w` window.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// Only of functions that somebody made, in SQL or PL/pgSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sequence {
    pub oid: u32,
    pub name: Name,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    pub start: i64,
    pub minimum: i64,
    pub maximum: i64,
    pub increment: i64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cycles: bool,
    /// Not there when it was never used, and when it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_value: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_last_value_known: bool,
    /// The column that owns it, or uses it as its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Publication {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_tables: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Name>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Extension {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schema: String,
}
