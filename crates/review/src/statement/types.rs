//! Types: their names in definitions and casts, and the statements that make them.

use super::{ColumnDefinition, Expression, Identifier, ObjectName, Setting, Span, TableConstraint};

/// A type as it was written, and as PostgreSQL calls it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TypeName {
    pub span: Span,
    pub text: String,
    /// The name in `pg_type`: `varchar(40)` and `character varying(40)` are both `pg_catalog.varchar`, an `int` is
    /// `pg_catalog.int4`, `text` is `pg_catalog.text`. A name that is not one of PostgreSQL's own has a schema only
    /// when one was written. Serial types keep their written name without a schema.
    pub name: ObjectName,
    /// As `format_type` writes it as far as the text tells: `character varying(40)`, `numeric(5,2)`, `integer[]`.
    pub canonical: String,
    /// What stands in the parentheses: `["5", "2"]`.
    pub modifiers: Vec<String>,
    /// 1 for any array: PostgreSQL does not keep how many.
    pub array_dimensions: usize,
    pub is_setof: bool,
    /// `t.c%TYPE` or `t%ROWTYPE`: then `name` is what stands before the `%`.
    pub is_reference: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CreateType {
    pub name: ObjectName,
    pub definition: TypeDefinition,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TypeDefinition {
    Enum {
        labels: Vec<String>,
    },
    Composite {
        columns: Vec<ColumnDefinition>,
    },
    Range {
        options: Vec<Setting>,
    },
    Base {
        options: Vec<Setting>,
    },
    /// CREATE TYPE name, which only reserves the name.
    Shell,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CreateDomain {
    pub name: ObjectName,
    pub base: TypeName,
    pub collation: Option<ObjectName>,
    pub default: Option<Expression>,
    pub is_not_null: bool,
    /// CHECK and named NOT NULL constraints.
    pub constraints: Vec<TableConstraint>,
}

impl TypeName {
    /// The integer type below a serial type: `serial` is `integer`.
    pub fn serial_base(&self) -> Option<&'static str> {
        if self.name.schema.as_deref().is_some_and(|schema| schema != "pg_catalog")
            || self.array_dimensions > 0
        {
            return None;
        }
        match self.name.name.as_str() {
            "serial" | "serial4" => Some("integer"),
            "bigserial" | "serial8" => Some("bigint"),
            "smallserial" | "serial2" => Some("smallint"),
            _ => None,
        }
    }

    /// Whether the name is one of the grammar or was written with `pg_catalog`, so that no schema of users is meant.
    pub fn is_built_in(&self) -> bool {
        self.name.schema.as_deref() == Some("pg_catalog")
    }

    /// The name alone, for messages.
    pub fn identifier(&self) -> Identifier {
        Identifier::new(self.name.name.clone(), self.span)
    }
}
