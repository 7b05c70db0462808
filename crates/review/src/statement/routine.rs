//! Code that is kept in the database: functions, procedures, triggers, rules; and the bodies that are looked into.

use super::{Expression, Identifier, Located, ObjectName, Setting, Span, TypeName};

/// The statements of a DO, of a function or of a procedure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    pub span: Span,
    /// In lower case; `plpgsql` for a DO that names none.
    pub language: String,
    /// In the order of the text, also those in branches and loops, flat. SQL that is part of an expression or an
    /// assignment (`x := (SELECT ...)`) is here as a query. Empty for a language that is not looked into.
    pub statements: Vec<Located>,
    /// Whether the body was read: false for C, Python and others, and for a body that is no plain string.
    pub is_read: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateFunction {
    pub name: ObjectName,
    pub is_procedure: bool,
    pub or_replace: bool,
    pub parameters: Vec<Parameter>,
    pub returns: Option<TypeName>,
    /// RETURNS TABLE.
    pub returns_table: Vec<Parameter>,
    /// In lower case; `sql` for a body that is not a string.
    pub language: String,
    /// `i`, `s` or `v` (also when none is written).
    pub volatility: String,
    pub is_strict: bool,
    pub is_security_definer: bool,
    pub is_leakproof: bool,
    /// SET clauses: their names and values.
    pub settings: Vec<Setting>,
    pub body: Body,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameter {
    /// `in`, `out`, `inout` or `variadic`.
    pub mode: String,
    pub name: Option<Identifier>,
    pub type_name: TypeName,
    pub default: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TriggerEvent {
    Insert,
    /// OF these columns; empty for any.
    Update(Vec<Identifier>),
    Delete,
    Truncate,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTrigger {
    pub name: Identifier,
    pub table: ObjectName,
    pub or_replace: bool,
    pub is_constraint: bool,
    /// `before`, `after` or `instead of`.
    pub timing: String,
    pub events: Vec<TriggerEvent>,
    /// FROM, for a constraint trigger.
    pub from: Option<ObjectName>,
    pub is_deferrable: bool,
    pub is_initially_deferred: bool,
    pub for_each_row: bool,
    pub condition: Option<Expression>,
    pub function: ObjectName,
    pub has_transition_tables: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateEventTrigger {
    pub name: Identifier,
    /// `ddl_command_start` and its like.
    pub event: String,
    pub tags: Vec<String>,
    pub function: ObjectName,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateRule {
    pub name: Identifier,
    pub table: ObjectName,
    pub or_replace: bool,
    /// `select`, `insert`, `update` or `delete`.
    pub event: String,
    pub is_instead: bool,
    pub condition: Option<Expression>,
    pub actions: Vec<Located>,
}
