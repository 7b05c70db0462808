//! Objects other than tables, indexes and types: kinds, DROP, COMMENT, GRANT, views, sequences, publications.

use super::{Expression, Identifier, Located, ObjectName, Persistence, Query, Span, TypeName};

/// What a statement names, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    #[default]
    Table,
    ForeignTable,
    Index,
    View,
    MaterializedView,
    Sequence,
    Type,
    Domain,
    Function,
    Procedure,
    /// ROUTINE: a function, a procedure or an aggregate.
    Routine,
    Aggregate,
    Trigger,
    EventTrigger,
    Rule,
    Policy,
    Statistics,
    Publication,
    Subscription,
    Extension,
    Schema,
    Column,
    Constraint,
    DomainConstraint,
    Database,
    /// Also USER and GROUP.
    Role,
    Tablespace,
    Server,
    ForeignDataWrapper,
    UserMapping,
    Language,
    Cast,
    Collation,
    Conversion,
    Operator,
    OperatorClass,
    OperatorFamily,
    TextSearchConfiguration,
    TextSearchDictionary,
    TextSearchParser,
    TextSearchTemplate,
    Transform,
    AccessMethod,
    LargeObject,
    DefaultPrivileges,
    System,
    PropertyGraph,
    /// DROP OWNED.
    Owned,
    Parameter,
}

/// `name = value`, in lists of options; the value as written, strings without their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// In lower case, with its prefix: `toast.autovacuum_enabled`. For foreign options the case is kept.
    pub name: String,
    pub value: Option<String>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Drop {
    pub kind: ObjectKind,
    pub if_exists: bool,
    pub is_concurrent: bool,
    pub is_cascade: bool,
    pub targets: Vec<DropTarget>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DropTarget {
    pub name: ObjectName,
    /// For a trigger, a rule or a policy.
    pub table: Option<ObjectName>,
    /// Of a function or its like, when written.
    pub arguments: Option<Vec<TypeName>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub kind: ObjectKind,
    /// For a column the table, and for a constraint, a trigger, a rule or a policy the name itself.
    pub name: ObjectName,
    pub column: Option<Identifier>,
    /// For a constraint, a trigger, a rule or a policy: what it is on.
    pub on: Option<ObjectName>,
    /// `None` for NULL.
    pub text: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    pub is_revoke: bool,
    /// In upper case: `SELECT`, `ALL`; names of roles when `kind` is `None`.
    pub privileges: Vec<String>,
    /// Columns after a privilege.
    pub columns: Vec<Identifier>,
    /// `None` for membership in roles.
    pub kind: Option<ObjectKind>,
    /// Empty for ALL ... IN SCHEMA.
    pub objects: Vec<ObjectName>,
    /// Of ALL TABLES (and so on) IN SCHEMA.
    pub schemas: Vec<Identifier>,
    pub grantees: Vec<Identifier>,
    /// ALTER DEFAULT PRIVILEGES.
    pub is_default: bool,
    pub is_cascade: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateView {
    pub name: ObjectName,
    pub is_materialized: bool,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub is_recursive: bool,
    pub persistence: Persistence,
    pub columns: Vec<Identifier>,
    pub options: Vec<Setting>,
    pub access_method: Option<Identifier>,
    pub tablespace: Option<Identifier>,
    pub query: Query,
    pub with_no_data: bool,
    /// `local` or `cascaded`.
    pub check_option: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateSequence {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub options: SequenceOptions,
}

/// What is written; what is not keeps its default, or in an ALTER stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SequenceOptions {
    pub span: Span,
    pub type_name: Option<TypeName>,
    pub increment: Option<i64>,
    /// `Some(None)` for NO MINVALUE.
    pub minimum: Option<Option<i64>>,
    pub maximum: Option<Option<i64>>,
    pub start: Option<i64>,
    /// `Some(None)` for RESTART without a value.
    pub restart: Option<Option<i64>>,
    pub cache: Option<i64>,
    pub cycles: Option<bool>,
    /// Table and column; `Some(None)` for OWNED BY NONE.
    pub owned_by: Option<Option<(ObjectName, Identifier)>>,
    /// SEQUENCE NAME, of an identity.
    pub name: Option<ObjectName>,
    pub persistence: Option<Persistence>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatePolicy {
    pub name: Identifier,
    pub table: ObjectName,
    pub is_restrictive: bool,
    /// `all`, `select`, `insert`, `update` or `delete`.
    pub command: String,
    pub roles: Vec<Identifier>,
    pub using: Option<Expression>,
    pub with_check: Option<Expression>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateStatistics {
    pub name: Option<ObjectName>,
    pub if_not_exists: bool,
    /// `ndistinct`, `dependencies`, `mcv`; empty for all.
    pub kinds: Vec<String>,
    pub columns: Vec<Identifier>,
    pub expressions: Vec<Expression>,
    pub table: ObjectName,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatePublication {
    pub name: Identifier,
    pub all_tables: bool,
    pub tables: Vec<PublicationTable>,
    pub schemas: Vec<Identifier>,
    pub options: Vec<Setting>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublicationTable {
    pub name: ObjectName,
    pub is_only: bool,
    pub columns: Vec<Identifier>,
    pub condition: Option<Expression>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateSubscription {
    pub name: Identifier,
    pub publications: Vec<Identifier>,
    pub options: Vec<Setting>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateExtension {
    pub name: Identifier,
    pub if_not_exists: bool,
    pub schema: Option<Identifier>,
    pub version: Option<String>,
    pub is_cascade: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateSchema {
    /// The owner's name when none is written.
    pub name: Identifier,
    pub if_not_exists: bool,
    pub owner: Option<Identifier>,
    /// Statements that are part of it; names without a schema in them mean this one.
    pub elements: Vec<Located>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateOther {
    pub kind: ObjectKind,
    /// Not there for casts, transforms and user mappings.
    pub name: Option<ObjectName>,
    pub or_replace: bool,
    pub if_not_exists: bool,
}

impl ObjectKind {
    /// As the statement writes it.
    pub fn words(self) -> &'static str {
        match self {
            ObjectKind::Table => "TABLE",
            ObjectKind::ForeignTable => "FOREIGN TABLE",
            ObjectKind::Index => "INDEX",
            ObjectKind::View => "VIEW",
            ObjectKind::MaterializedView => "MATERIALIZED VIEW",
            ObjectKind::Sequence => "SEQUENCE",
            ObjectKind::Type => "TYPE",
            ObjectKind::Domain => "DOMAIN",
            ObjectKind::Function => "FUNCTION",
            ObjectKind::Procedure => "PROCEDURE",
            ObjectKind::Routine => "ROUTINE",
            ObjectKind::Aggregate => "AGGREGATE",
            ObjectKind::Trigger => "TRIGGER",
            ObjectKind::EventTrigger => "EVENT TRIGGER",
            ObjectKind::Rule => "RULE",
            ObjectKind::Policy => "POLICY",
            ObjectKind::Statistics => "STATISTICS",
            ObjectKind::Publication => "PUBLICATION",
            ObjectKind::Subscription => "SUBSCRIPTION",
            ObjectKind::Extension => "EXTENSION",
            ObjectKind::Schema => "SCHEMA",
            ObjectKind::Column => "COLUMN",
            ObjectKind::Constraint => "CONSTRAINT",
            ObjectKind::DomainConstraint => "DOMAIN CONSTRAINT",
            ObjectKind::Database => "DATABASE",
            ObjectKind::Role => "ROLE",
            ObjectKind::Tablespace => "TABLESPACE",
            ObjectKind::Server => "SERVER",
            ObjectKind::ForeignDataWrapper => "FOREIGN DATA WRAPPER",
            ObjectKind::UserMapping => "USER MAPPING",
            ObjectKind::Language => "LANGUAGE",
            ObjectKind::Cast => "CAST",
            ObjectKind::Collation => "COLLATION",
            ObjectKind::Conversion => "CONVERSION",
            ObjectKind::Operator => "OPERATOR",
            ObjectKind::OperatorClass => "OPERATOR CLASS",
            ObjectKind::OperatorFamily => "OPERATOR FAMILY",
            ObjectKind::TextSearchConfiguration => "TEXT SEARCH CONFIGURATION",
            ObjectKind::TextSearchDictionary => "TEXT SEARCH DICTIONARY",
            ObjectKind::TextSearchParser => "TEXT SEARCH PARSER",
            ObjectKind::TextSearchTemplate => "TEXT SEARCH TEMPLATE",
            ObjectKind::Transform => "TRANSFORM",
            ObjectKind::AccessMethod => "ACCESS METHOD",
            ObjectKind::LargeObject => "LARGE OBJECT",
            ObjectKind::DefaultPrivileges => "DEFAULT PRIVILEGES",
            ObjectKind::System => "SYSTEM",
            ObjectKind::PropertyGraph => "PROPERTY GRAPH",
            ObjectKind::Owned => "OWNED",
            ObjectKind::Parameter => "PARAMETER",
        }
    }
}
