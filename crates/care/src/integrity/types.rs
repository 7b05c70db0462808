//! Kinds of types, as far as a comparison of values needs them.
//!
//! Not for: casting values; PostgreSQL does that.

use posthaste_base::catalog::{Catalog, Column, TypeKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Integer,
    Decimal,
    Float,
    Money,
    Text,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
    Other,
}

impl Family {
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Family::Integer | Family::Decimal | Family::Float | Family::Money)
    }

    pub(crate) fn is_time(self) -> bool {
        matches!(self, Family::Date | Family::Timestamp | Family::TimestampTz)
    }

    /// What a key is made of.
    pub(crate) fn is_key(self) -> bool {
        matches!(self, Family::Integer | Family::Decimal | Family::Text | Family::Uuid)
    }

    /// Whether `=` compares the two as they are.
    pub(crate) fn compares_with(self, other: Family) -> bool {
        let is_exact = |family| matches!(family, Family::Integer | Family::Decimal);
        self == other || is_exact(self) && is_exact(other)
    }
}

pub(crate) fn family(catalog: &Catalog, column: &Column) -> Family {
    of_name(base_type(catalog, column))
}

/// The type's name, for a domain that of the type below.
pub(crate) fn base_type<'a>(catalog: &'a Catalog, column: &'a Column) -> &'a str {
    let domain =
        catalog.types.iter().find(|kind| kind.kind == TypeKind::Domain && kind.name == column.type_ref);
    domain.and_then(|domain| domain.base.as_deref()).unwrap_or(&column.type_name)
}

fn of_name(name: &str) -> Family {
    let (bare, rest) = name.split_once('(').unwrap_or((name, ""));
    if name.ends_with("[]") {
        return Family::Other;
    }
    match bare.trim() {
        "smallint" | "integer" | "bigint" => Family::Integer,
        "numeric" => Family::Decimal,
        "real" | "double precision" => Family::Float,
        "money" => Family::Money,
        "text" | "character varying" | "character" | "citext" | "name" => Family::Text,
        other if other == "citext" || other.ends_with(".citext") => Family::Text,
        "uuid" => Family::Uuid,
        "date" => Family::Date,
        "timestamp without time zone" => Family::Timestamp,
        "timestamp with time zone" => Family::TimestampTz,
        "timestamp" if rest.ends_with("without time zone") => Family::Timestamp,
        "timestamp" if rest.ends_with("with time zone") => Family::TimestampTz,
        _ => Family::Other,
    }
}

/// The digits after the point of a `numeric(p,s)`.
pub(crate) fn scale(type_name: &str) -> Option<u32> {
    let inside = type_name.strip_prefix("numeric(")?.strip_suffix(')')?;
    match inside.split_once(',') {
        Some((_, scale)) => scale.trim().parse().ok(),
        None => Some(0),
    }
}

/// How many characters a `varchar(n)` or `char(n)` holds.
pub(crate) fn length_max(type_name: &str) -> Option<u32> {
    let inside = type_name.strip_prefix("character")?.trim_start_matches(" varying");
    inside.strip_prefix('(')?.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_the_names_that_the_server_writes() {
        for (name, expected) in [
            ("character varying(40)", Family::Text),
            ("character(3)", Family::Text),
            ("public.citext", Family::Text),
            ("numeric(10,2)", Family::Decimal),
            ("timestamp(3) with time zone", Family::TimestampTz),
            ("timestamp(3) without time zone", Family::Timestamp),
            ("timestamp with time zone", Family::TimestampTz),
            ("integer[]", Family::Other),
            ("jsonb", Family::Other),
        ] {
            assert_eq!(of_name(name), expected, "{name}");
        }
        assert_eq!(scale("numeric(10,2)"), Some(2));
        assert_eq!(scale("numeric"), None);
        assert_eq!(length_max("character varying(255)"), Some(255));
        assert_eq!(length_max("character(8)"), Some(8));
        assert_eq!(length_max("text"), None);
    }
}
