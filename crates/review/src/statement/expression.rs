//! Expressions: the user's own text, and what a review asks of it.

use super::{Identifier, ObjectName, Span, TableUse, TypeName};

/// An expression as it was written. It is not evaluated; what is listed is what occurs anywhere in it, in the order
/// of the text, also in subqueries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expression {
    pub span: Span,
    /// Exactly as in the file, so that a plan can use it again.
    pub text: String,
    pub shape: Shape,
    pub functions: Vec<FunctionCall>,
    pub columns: Vec<ColumnUse>,
    pub casts: Vec<TypeName>,
    /// Operators as written: `>=`, `||`, `@>`, `OPERATOR(pg_catalog.+)`; not AND, OR, NOT, IS and IN.
    pub operators: Vec<String>,
    /// Tables that its subqueries read.
    pub tables: Vec<TableUse>,
    /// What must all hold, when it is a condition: its parts between the ANDs. One part when there is no AND.
    pub conjuncts: Vec<Conjunct>,
}

/// What an expression is on the outside, parentheses apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Shape {
    #[default]
    Other,
    /// The word NULL.
    Null,
    /// A number, with its sign, or TRUE or FALSE.
    Literal(String),
    /// A string's value, without its quotes. Also one with a cast, as in `'{}'::jsonb` or `date '2024-01-01'`.
    String(String),
    Column(ColumnUse),
    /// Also `CURRENT_TIMESTAMP` and its like, by their own names in lower case.
    Call(ObjectName),
    Subquery,
}

/// A function that is called. CURRENT_DATE, COALESCE and other words of the grammar are here too, in lower case and
/// with `is_keyword`; COALESCE, NULLIF, GREATEST and LEAST are no functions of the catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionCall {
    pub name: ObjectName,
    pub argument_count: usize,
    pub span: Span,
    pub is_keyword: bool,
    /// The first argument's value when it is a string: `nextval('s')`.
    pub first_string: Option<String>,
}

/// A name in an expression that may be a column: `a`, `t.a`.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnUse {
    /// The table or alias before the dot.
    pub table: Option<String>,
    /// `*` for all of them.
    pub column: Identifier,
}

/// A part of a condition that is easy to reason about.
#[derive(Clone, Debug, PartialEq)]
pub enum Conjunct {
    /// `a IS NOT NULL`, also `NOT (a IS NULL)`.
    NotNull(Identifier),
    /// `a IS NULL`.
    Null(Identifier),
    /// `a >= 5`, with the column to the left; turned around when it was written `5 <= a`. `value` is a constant, in
    /// the user's own words.
    Compare {
        column: Identifier,
        operator: String,
        value: String,
    },
    /// `a IN (1, 2)` and `a = ANY (ARRAY[1, 2])`, of constants, in the user's own words.
    In {
        column: Identifier,
        values: Vec<String>,
    },
    Other {
        text: String,
    },
}

impl Expression {
    /// Whether it is a constant in the text: NULL, a number, a string (also with a cast), TRUE or FALSE.
    pub fn is_constant(&self) -> bool {
        matches!(self.shape, Shape::Null | Shape::Literal(_) | Shape::String(_))
    }

    pub fn is_null(&self) -> bool {
        self.shape == Shape::Null
    }

    /// Columns that it proves to be not NULL, taken as a condition that holds.
    pub fn not_null_columns(&self) -> impl Iterator<Item = &str> {
        self.conjuncts.iter().filter_map(|conjunct| match conjunct {
            Conjunct::NotNull(column) => Some(column.as_str()),
            _ => None,
        })
    }
}
