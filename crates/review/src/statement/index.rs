//! CREATE INDEX and the keys of indexes.

use super::{Expression, Identifier, ObjectName, Setting, Span};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateIndex {
    /// PostgreSQL chooses one when there is none.
    pub name: Option<Identifier>,
    pub table: ObjectName,
    pub is_unique: bool,
    pub is_concurrent: bool,
    pub if_not_exists: bool,
    /// ON ONLY.
    pub is_only: bool,
    /// `btree` when none is written.
    pub method: Option<Identifier>,
    pub keys: Vec<IndexKey>,
    pub include: Vec<Identifier>,
    pub nulls_not_distinct: bool,
    pub options: Vec<Setting>,
    pub tablespace: Option<Identifier>,
    pub predicate: Option<Expression>,
}

/// A column or an expression of an index, with its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexKey {
    pub span: Span,
    pub column: Option<Identifier>,
    pub expression: Option<Expression>,
    pub collation: Option<ObjectName>,
    pub opclass: Option<ObjectName>,
    pub opclass_options: Vec<Setting>,
    pub is_descending: bool,
    pub nulls: Option<NullsOrder>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NullsOrder {
    First,
    Last,
}
